"""The model that is looked at, however it is given: a module, a class or function that makes one, or where one lies.

A module that is given is copied, never altered. Models are made on the meta device, which takes no memory and no time;
one that cannot be is made on the CPU.
"""

import copy
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from replicate.errors import UserError, unknown
from replicate.modules.tell.seen import side_by_side
from replicate.modules.tell.trace import Shape, Stay, Tape, Untraceable, record, tensors_of

SIDES = (224, 227)  # tried in this order where no input is given
SCRIPTED = "is compiled by torch.jit, and what scripted or traced modules call is not followed; give the module before torch.jit"


class Subject:
    """`real()` gives the model with values; `run` records it; `device` is where it ran."""

    def __init__(self, model: Any, name: str):
        self.name, self.device = name, "meta"
        self.notes: list[str] = []
        self._given = model
        self._real: Callable | None = None
        self._meta: Callable | None = None
        if not callable(model):
            raise UserError(f"{name}: is {type(model).__name__}, neither a torch module nor something that makes one")

    def real(self) -> Callable:
        if self._real is None:
            with Stay():
                self._real = _copy(self._given) if isinstance(self._given, nn.Module) else _made(self._given, self.name)
        return self._real

    def run(self, shapes: list[Shape]) -> tuple[Tape, Shape]:
        """What the model calls in evaluation, and the first of `shapes` (channels, height, width) on which it runs.

        Raises UserError with the model's own words for each shape on which it does not.
        """
        failed: dict[str, str] = {}
        for device in ("meta", "cpu"):
            for shape in shapes:
                try:
                    model = self._model(device)
                except UserError:
                    raise
                except SystemExit as error:
                    raise UserError(f"{self.name}: cannot be made: it ends the program (exit status {error.code})") from None
                except Exception as error:  # whatever a model of others does
                    if device == "cpu":
                        raise UserError(f"{self.name}: cannot be made: {first_line(error)}") from None
                    if _is_of_jit(error):
                        raise UserError(f"{self.name}: {SCRIPTED}") from None
                    self.notes.append(f"cannot be made on the meta device ({first_line(error)}); made on the CPU")
                    break
                self._check(model)
                try:
                    tape = record(model, shape, device, training=False)
                except Untraceable as error:
                    raise UserError(f"{self.name}: cannot be traced: {error}{self._hint(model)}") from None
                except (Exception, SystemExit) as error:
                    failed[side_by_side(shape)] = first_line(error)
                    expected = _input(model, shapes[0])
                    self._meta = self._real = None  # layers that take their sizes from their input may have taken these
                else:
                    self.device = device
                    return tape, shape
        said = "; ".join(f"at {where}: {words}" for where, words in failed.items())
        hint = f"give the input it expects with --input {expected}{self._hint(model)}"
        raise UserError(f"{self.name}: does not run ({said}); {hint}")

    def trained(self, shape: Shape) -> Tape:
        """What the model calls in training, on the device where `run` found it to run. Raises what the model raises."""
        return record(self._model(self.device), shape, self.device, training=True)

    def _check(self, model: Callable) -> None:
        """UserError for a module that cannot be followed, or not be called with pictures alone."""
        if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
            raise UserError(f"{self.name}: {SCRIPTED}")
        takes = _parameters(model.forward) if isinstance(model, nn.Module) else None
        if takes is not None and not _takes(model.forward, 1):
            raise UserError(
                f"{self.name}: its forward takes {', '.join(takes) or 'nothing'}, and is called with pictures only; "
                "give a module whose forward takes pictures alone and fills in the rest"
            )

    def _hint(self, model: Callable) -> str:
        is_function = model is self._given and not isinstance(model, nn.Module)
        return (
            "; it was called with pictures: if it makes a model, give a function that needs no arguments" if is_function else ""
        )

    def _model(self, device: str) -> Callable:
        if device == "cpu":
            return self.real()
        if self._meta is None:
            if isinstance(self._given, nn.Module):
                self._meta = _copy(self._given, device)
            else:
                with torch.device(device), Stay():
                    self._meta = _made(self._given, self.name)
        return self._meta


def opened(where: str) -> Subject:
    """The model at `package.module:attribute` or `file.py:attribute`. Importing it runs its module."""
    module_name, _, attribute = where.partition(":")
    if not attribute:
        raise UserError(f"{where}: write it as package.module:factory, file.py:factory or weights.safetensors")
    value: Any = _imported(module_name)
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise unknown(f"attribute of {module_name}", part, [name for name in vars(value) if not name.startswith("_")])
        value = getattr(value, part)
    return Subject(value, where)


def _imported(name: str) -> Any:
    path = Path(name).resolve()
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise UserError(f"{name}: no such file")
    folder = str(path.parent if is_file else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if not is_file:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
        return module
    except (Exception, SystemExit) as error:
        raise UserError(f"{name}: cannot be imported: {first_line(error)}") from None


def _made(model: Callable, name: str) -> Callable:
    """What `model` makes when it is called without arguments; itself, if it is a function of pictures."""
    if _takes(model, 0):
        made = model()
        if not callable(made):
            raise UserError(f"{name}: gives {type(made).__name__}, no torch module")
        return getattr(made, "_orig_mod", made)
    if isinstance(model, type) or not _takes(model, 1):
        raise UserError(
            f"{name}: needs arguments; give a function without any, such as `def factory(): return {model.__name__}(...)`"
        )
    return model


def _takes(model: Callable, count: int) -> bool:
    try:
        inspect.signature(model).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _parameters(function: Callable) -> list[str] | None:
    """The names of a function's parameters; None where Python does not know them."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None


def _is_of_jit(error: Exception) -> bool:
    return any("torch/jit/" in Path(frame.filename).as_posix() for frame in traceback.extract_tb(error.__traceback__))


def _input(model: Callable, shape: Shape) -> str:
    """How to write the input that a module may expect: with the channels of its first convolution, if `shape` has others."""
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)] if isinstance(model, nn.Module) else []
    channels = convolutions[0].in_channels if convolutions else 0  # 0: not known yet
    return side_by_side((channels, *shape[1:])).replace("×", "x") if channels not in (0, shape[0]) else "CxHxW"


def _copy(module: nn.Module, device: str | None = None) -> nn.Module:
    """The same module with tensors of its own, without values on the meta device."""
    module = getattr(module, "_orig_mod", module)
    memo: dict[int, Any] = {}
    for tensor in tensors_of(module).values() if device else ():
        if not nn.parameter.is_lazy(tensor):
            moved = tensor.detach().to(device)
            memo[id(tensor)] = nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else moved
    with torch.device(device or "cpu"):
        return copy.deepcopy(module, memo)


def first_line(error: BaseException) -> str:
    """An error's kind and first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
