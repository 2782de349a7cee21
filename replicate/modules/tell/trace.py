"""What a model calls: every torch function between its input and its output, from modules and functional calls alike.

The model runs once on an input of the given shape, usually on the meta device, where tensors have shapes and no values.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from replicate.modules.layers import Local2d
from replicate.modules.tell.seen import Aside

Shape = tuple[int, ...]

# Calls that give Python a tensor's values: what the model does next may depend on them, and a trace shows one way only.
READS = {"item", "tolist", "numpy", "is_nonzero", "equal", "allclose"}
READS |= {"__bool__", "__int__", "__float__", "__index__", "__complex__", "__contains__", "__array__"}
WHOLE = (Local2d,)  # modules of ours that are one layer of a description


class Untraceable(Exception):
    """Why a model cannot be seen as a list of layers, in one line."""


@dataclass(frozen=True)
class Ref:
    """In a call's arguments: the result of an earlier call."""

    index: int


@dataclass
class Call:
    """One result of one torch function. `arguments` are (args, kwargs) with `Ref` for what earlier calls gave.

    `live`: computed from the model's input, rather than from parameters and constants only. `module` is the path of the
    module that was running, empty in the model itself.
    """

    index: int
    name: str
    function: Callable
    arguments: tuple[tuple, dict[str, Any]]
    pick: int | None
    shape: Shape
    live: bool
    module: str

    @property
    def refs(self) -> list[int]:
        return sorted({value.index for value in leaves(self.arguments) if isinstance(value, Ref)})

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters, buffers and constants among the arguments; those of a module that is taken whole."""
        modules = [value for value in leaves(self.arguments) if isinstance(value, nn.Module)]
        return [value for value in leaves(self.arguments) if isinstance(value, Tensor)] + [
            p for m in modules for p in m.parameters()
        ]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif isinstance(value, slice):
        yield from (value.start, value.stop, value.step)
    else:
        yield value


def replace(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` applied to everything in it that is no list, tuple, dict or slice."""
    if isinstance(value, list):
        return [replace(part, change) for part in value]
    if isinstance(value, tuple):
        parts = [replace(part, change) for part in value]
        return tuple(parts) if type(value) is tuple or isinstance(value, torch.Size) else type(value)(*parts)
    if isinstance(value, dict):
        return {key: replace(part, change) for key, part in value.items()}
    if isinstance(value, slice):
        return slice(*(replace(part, change) for part in (value.start, value.stop, value.step)))
    return change(value)


class Stay(TorchFunctionMode):
    """Keeps tensors on the device they are on: a model written for two GPUs runs where there is none."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.call(function, args, kwargs or {})

    def call(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        name = name_of(function)
        if name in ("cuda", "cpu", "xpu") and args and isinstance(args[0], Tensor):
            return args[0]
        if name == "to":
            kinds = [v.dtype if isinstance(v, Tensor) else v for v in leaves((args[1:], kwargs))]
            kinds = [v for v in kinds if isinstance(v, torch.dtype)]
            return args[0].to(kinds[0]) if kinds else args[0]
        return function(*args, **{key: value for key, value in kwargs.items() if key != "device"})


def name_of(function: Callable) -> str:
    """`relu` for torch.relu, F.relu, Tensor.relu_ and aten.relu.default; a property's own name for its getter."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    return name.split(".")[0].strip("_")


class Tape(Stay):
    """Records while it is the active mode. `output` is the index of the call that gave the model's answer."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.calls: list[Call] = []
        self.output = 0
        self.notes: list[str] = []
        self.asides: list[Aside] = []
        self.path: list[str] = []
        self.told: list[tuple] = []
        self.own: dict[str, Tensor] = {}  # the model's parameters, buffers and other tensors
        self.tensors: dict[int, str] = {}  # their ids -> their names
        self._of: dict[int, int] = {}  # id of a tensor -> its latest call
        self._kept: list[Tensor] = []  # keeps ids unique
        self._stale: set[int] = set()
        self._muted = False
        self._record("input", lambda: None, ((), {}), None, x, live=True)

    def call(self, function, args, kwargs):
        name = name_of(function)
        if self._muted:
            return function(*args, **kwargs)
        arguments = self._arguments(args, kwargs)
        read = [self.calls[v.index] for v in leaves(arguments) if isinstance(v, Ref)]
        live = any(call.live for call in read)
        if live and getattr(function, "__name__", "") in READS:
            raise Untraceable(
                f"{self._here()}reads the values of what it computes ({name}); a trace would show one way of several"
            )
        target = args[0] if args and isinstance(args[0], Tensor) else None
        version = target._version if target is not None else 0
        result = super().call(function, args, kwargs)
        if target is not None and target._version != version and not isinstance(target, nn.Parameter):
            self._written(target)
            if result is not target:  # x[...] = value
                self._record(name, function, arguments, None, target, live)
        if isinstance(result, Tensor):
            self._record(name, function, arguments, None, result, live)
        elif isinstance(result, list | tuple):
            for index, part in enumerate(result):
                if isinstance(part, Tensor):
                    self._record(name, function, arguments, index, part, live)
        return result

    def whole(self, name: str, module: nn.Module, forward: Callable, x: Tensor) -> Tensor:
        """Runs one module as a single call `name`; what it calls inside is not recorded."""
        arguments = self._arguments((module, x), {})
        self._muted = True
        try:
            result = forward(x)
        finally:
            self._muted = False
        self._record(name, lambda module, x: module(x), arguments, None, result, live=True)
        return result

    def held(self, index: int) -> tuple[list[Tensor], list[str]]:
        """The model's own tensors that a call reads, directly or by way of what is computed from them alone, and those calls."""
        found: dict[int, Tensor] = {}
        names: dict[str, None] = {}
        todo = [self.calls[index]]
        while todo:
            call = todo.pop()
            found |= {id(tensor): tensor for tensor in call.tensors if id(tensor) in self.tensors}
            before = [self.calls[ref] for ref in call.refs if not self.calls[ref].live]
            names |= dict.fromkeys(other.name for other in before)
            todo += before
        return list(found.values()), list(names)

    def seen(self, tensor: Tensor) -> int | None:
        """The call that gave `tensor` the values that it has."""
        if id(tensor) in self._stale:
            raise Untraceable(f"{self._here()}writes into part of a tensor in place and then reads it under another name")
        return self._of.get(id(tensor))

    def _arguments(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        def ref(value: Any) -> Any:
            index = self.seen(value) if isinstance(value, Tensor) else None
            return value if index is None else Ref(index)

        return replace(args, ref), replace(kwargs, ref)

    def _written(self, target: Tensor) -> None:
        """Other names of the memory that was written now have values that no recorded call gave."""
        first, last = _memory(target)
        for tensor in self._kept:
            if tensor is not target and tensor.untyped_storage()._cdata == target.untyped_storage()._cdata:
                start, end = _memory(tensor)
                if start <= last and first <= end:
                    self._stale.add(id(tensor))
        self._stale.discard(id(target))

    def _record(self, name, function, arguments, pick, result: Tensor, live: bool) -> None:
        call = Call(
            len(self.calls), name, function, arguments, pick, tuple(result.shape), live, self.path[-1] if self.path else ""
        )
        self.calls.append(call)
        self._of[id(result)] = call.index
        self._kept.append(result)

    def _here(self) -> str:
        return f"{self.path[-1]} " if self.path and self.path[-1] else "its forward "


def _memory(tensor: Tensor) -> tuple[int, int]:
    """The first and the last place of a tensor in its storage."""
    start = tensor.storage_offset()
    return start, start + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def record(model: Callable, shape: Shape, device: str, training: bool) -> Tape:
    """Calls `model` once on (batch, *shape) and returns what it called; an nn.Module must be one that may be altered."""
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    dtype = next((t.dtype for t in tensors_of(model).values() if t.is_floating_point()), torch.get_default_dtype())
    if modules:
        model.train(training)  # its own, which may leave layers as they are
    for module in modules.values():
        if isinstance(module, nn.DataParallel):
            module.device_ids = []  # runs its module where it is
    with torch.device(device), torch.no_grad():
        # Two pictures in training, since the spread of one is zero to batch normalisation.
        x = torch.randn(
            2 if training else 1, *shape, dtype=dtype, generator=None if device == "meta" else torch.Generator().manual_seed(0)
        )
        if any(
            nn.parameter.is_lazy(tensor) for tensor in tensors_of(model).values()
        ):  # it takes its sizes from what it is given first
            with Stay():
                model(x)
        tape = Tape(x)
        tape.own = tensors_of(model)
        tape.tensors = {id(tensor): name for name, tensor in tape.own.items()}
        with _followed(modules, tape), tape:
            answer = model(x)
    tape.output = _answer(answer, tape)
    return tape


def tensors_of(model: Callable) -> dict[str, Tensor]:
    """Parameters, buffers and other tensors that are attributes of a module, by their full names."""
    found = {}
    for path, module in model.named_modules() if isinstance(model, nn.Module) else []:
        for name, value in [*module._parameters.items(), *module._buffers.items(), *vars(module).items()]:
            if isinstance(value, Tensor):
                found[f"{path}.{name}" if path else name] = value
    return found


@contextmanager
def _followed(modules: dict[str, nn.Module], tape: Tape) -> Iterator[None]:
    """Keeps `tape.path` at the module that is running, and takes the modules in WHOLE as one call."""
    handles = []
    for name, module in modules.items():
        handles.append(module.register_forward_pre_hook(lambda m, x, name=name: tape.path.append(name)))
        handles.append(module.register_forward_hook(lambda m, x, y: (tape.path.pop(), None)[1]))
        if isinstance(module, WHOLE):
            module.forward = lambda x, m=module: tape.whole("local", m, type(m).forward.__get__(m), x)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in modules.values():
            if isinstance(module, WHOLE):
                del module.forward


def _answer(answer: Any, tape: Tape) -> int:
    """The call that gave the model's answer: the tensor, or of several the one called logits, else the first."""
    parts = dict(answer) if isinstance(answer, dict) else dict(enumerate(answer)) if isinstance(answer, list | tuple) else {}
    if not isinstance(answer, Tensor):
        parts = {str(key): value for key, value in (parts or getattr(answer, "__dict__", {})).items()}
        tensors = {key: value for key, value in parts.items() if isinstance(value, Tensor)}
        if not tensors:
            raise Untraceable(f"its answer is no tensor but {type(answer).__name__}")
        key = "logits" if "logits" in tensors else next(iter(tensors))
        if len(tensors) > 1:
            tape.notes.append(f"its answer has {len(tensors)} tensors; {key!r} is looked at")
        answer = tensors[key]
    index = tape.seen(answer)
    if index is None or not tape.calls[index].live:
        raise Untraceable(
            "its answer is not computed from its input by calls of torch that can be watched (compiled or scripted code?)"
        )
    return index
