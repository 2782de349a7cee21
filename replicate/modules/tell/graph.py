"""From calls to steps: what lies between a model's input and its answer, as layers, moves of values, and calls that are
neither until `behaviour` has told what they do together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from replicate.modules.tell.behaviour import Replay, told
from replicate.modules.tell.recognise import layer_of, with_bias, with_zeros
from replicate.modules.tell.seen import LEARNED, Layer
from replicate.modules.tell.trace import Call, Tape

# Calls that put values elsewhere and change none.
MOVES = {
    "view", "reshape", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "contiguous", "detach", "clone", "alias", "data",
    "to", "float", "double", "half", "type", "type_as", "cat", "concat", "concatenate", "stack", "hstack", "chunk", "split",
    "split_with_sizes", "tensor_split", "unbind", "narrow", "getitem", "select", "slice", "index_select", "permute", "transpose",
    "swapaxes", "swapdims", "movedim", "moveaxis", "T", "mT", "t", "view_as", "reshape_as", "flip", "roll", "channel_shuffle",
}  # fmt: skip
JOINS = ("cat", "concat", "concatenate", "stack")


@dataclass
class Step:
    """`index` is the call whose result it is; `layer` is None for a move, and for calls that are not told yet (`names`)."""

    index: int
    reads: list[int]
    layer: Layer | None = None
    is_move: bool = False
    names: list[str] = field(default_factory=list)

    @property
    def is_other(self) -> bool:
        return self.layer is None and not self.is_move and self.index > 0

    @property
    def is_learned(self) -> bool:
        return self.layer is not None and self.layer.kind in LEARNED


Steps = dict[int, Step]


def steps_of(tape: Tape, real: Callable[[], Any], known: dict) -> Steps:
    """Every step on a way from the input to the answer, by its call, in the order of the calls.

    `known` keeps what was told of each stretch, for a second tape of the same model.
    """
    calls = tape.calls
    steps: Steps = {}
    on_path = _on_path(tape)
    for index in on_path:
        call = calls[index]
        layer = layer_of(call, calls, tape.tensors)
        if layer and layer.kind in LEARNED:
            layer = replace(layer, settings=layer.settings | _unusual_weights(tape, call, on_path))
        steps[index] = Step(
            index, [ref for ref in call.refs if calls[ref].live], layer, layer is None and call.name in MOVES, [call.name]
        )
    _fold_padding(steps)
    _fold_biases(steps, calls)
    _add_up(steps, calls)
    _gather(steps, tape)
    _tell(steps, tape, Replay(tape, real), known)
    return steps


def _on_path(tape: Tape) -> list[int]:
    found, todo = set(), [tape.output]
    while todo:
        index = todo.pop()
        if index not in found:
            found.add(index)
            todo += [ref for ref in tape.calls[index].refs if tape.calls[ref].live]
    return sorted(found)


def _unusual_weights(tape: Tape, call: Call, on_path: list[int]) -> dict[str, str]:
    """What is to be said of a layer's weights if they are not its own, stored as they are used."""
    tensors, made_by = tape.held(call.index)
    computed = [name for name in made_by if name not in MOVES]
    if tensors and computed:
        return {"weights": f"computed by {', '.join(computed)}"}
    own = {id(tensor) for tensor in call.tensors if isinstance(tensor, nn.Parameter)}
    users = sum(bool(own & {id(tensor) for tensor in tape.calls[index].tensors}) for index in on_path)
    return {"weights": f"shared by {users} calls"} if users > 1 else {}


def readers(steps: Steps) -> dict[int, list[Step]]:
    found: dict[int, list[Step]] = {index: [] for index in steps}
    for step in steps.values():
        for index in step.reads:
            found[index].append(step)
    return found


def _fold_padding(steps: Steps) -> None:
    for step in list(steps.values()):
        if step.layer is None or step.layer.kind != "pad":
            continue
        read_by = readers(steps)[step.index]
        pad = step.layer
        if pad.settings["value"] == 0 and _not_negative(steps, step.reads[0]):
            pad_for_pool = replace(pad, settings=pad.settings | {"value": float("-inf")})  # what the maximum does not see either
        else:
            pad_for_pool = pad
        folded = [r.layer and with_zeros(r.layer, pad_for_pool if r.layer.kind == "max_pool" else pad) for r in read_by]
        if read_by and all(folded):
            for reader, layer in zip(read_by, folded, strict=True):
                reader.layer, reader.reads = layer, step.reads
            del steps[step.index]


def _not_negative(steps: Steps, index: int) -> bool:
    while True:
        step = steps[index]
        kind = step.layer.kind if step.layer else "move" if step.is_move else ""
        if kind in ("relu", "sigmoid"):
            return True
        if kind not in ("lrn", "max_pool", "dropout", "identity", "move") or len(step.reads) != 1:
            return False
        index = step.reads[0]


def _fold_biases(steps: Steps, calls: list[Call]) -> None:
    read_by = readers(steps)
    for step in list(steps.values()):
        if step.is_other and len(step.reads) == 1 and len(read_by[step.reads[0]]) == 1:
            before = steps[step.reads[0]]
            layer = with_bias(before.layer, calls[step.index], calls) if before.layer else None
            if layer:
                steps[step.index] = replace(step, layer=layer, reads=before.reads)
                del steps[before.index]


def _add_up(steps: Steps, calls: list[Call]) -> None:
    """The sum of two equal layers that read different maps is one layer that reads both."""
    for step in list(steps.values()):
        parts = [steps[index] for index in step.reads]
        if calls[step.index].name not in ("add", "iadd") or len(parts) != 2 or not all(part.is_learned for part in parts):
            continue
        first, second = (part.layer for part in parts)
        equal = first.kind == second.kind and first.output == second.output and _but_bias(first) == _but_bias(second)
        if equal and all(len(readers(steps)[part.index]) == 1 for part in parts):
            bias = first.settings["bias"] or second.settings["bias"]
            sums = {"weights": first.weights + second.weights, "biases": first.biases + second.biases}
            layer = replace(first, name=f"{first.name} + {second.name}", settings=first.settings | {"bias": bias}, **sums)
            steps[step.index] = replace(step, layer=layer, reads=parts[0].reads + parts[1].reads)
            for part in parts:
                del steps[part.index]


def _but_bias(layer: Layer) -> dict[str, Any]:
    return {key: value for key, value in layer.settings.items() if key != "bias"}


def _gather(steps: Steps, tape: Tape) -> None:
    """Makes one step of calls whose ways part at one tensor and meet again without a parameter in between."""
    calls = tape.calls
    for end in sorted(steps, reverse=True):
        step = steps.get(end)
        if step is None or len(step.reads) < 2 or not (step.is_other or (step.is_move and calls[end].name in JOINS)):
            continue
        entry = _parting(steps, end)
        inside = _between(steps, entry, end)
        kept_in = all(r.index in inside for index in inside - {end} for r in readers(steps)[index])
        learns = any(_learns(tape, index) for index in inside)
        is_other = any(steps[index].is_other for index in inside)
        if kept_in and is_other and not learns and calls[entry].shape == calls[end].shape:
            names = list(dict.fromkeys(calls[index].name for index in sorted(inside)))
            for index in inside:
                del steps[index]
            steps[end] = Step(end, [entry], names=names)
    for index in sorted(steps):  # the order of the calls, for what was put back
        steps[index] = steps.pop(index)


def _parting(steps: Steps, end: int) -> int:
    """The nearest tensor through which every way from the input to `end` goes."""
    dominator: dict[int, int] = {0: 0}
    for index in sorted(i for i in steps if i <= end):
        ways = [read for read in steps[index].reads if read in dominator]
        if not ways:
            continue
        nearest = ways[0]
        for other in ways[1:]:
            while nearest != other:
                nearest, other = (dominator[nearest], other) if nearest > other else (nearest, dominator[other])
        dominator[index] = nearest
    return dominator[end]


def _between(steps: Steps, entry: int, end: int) -> set[int]:
    """`end` and every step on a way from `entry` to it."""
    found, todo = set(), [end]
    while todo:
        index = todo.pop()
        if index not in found and index != entry:
            found.add(index)
            todo += steps[index].reads
    return found


def _tell(steps: Steps, tape: Tape, replay: Replay, known: dict) -> None:
    """Gives every stretch of other calls the layer that it behaves like; the longest stretch that is one layer wins."""
    for chain in _chains(steps):
        start = 0
        unknown: list[Step] = []
        while start < len(chain):
            for end in range(len(chain), start, -1):
                part = chain[start:end]
                found = None if part[-1].is_move or part[0].is_move else _as_layer(part, tape, replay, known)
                if found:
                    break
            if found:
                _become(steps, unknown, tape, None)
                _become(steps, part, tape, found)
                unknown, start = [], end
            else:
                unknown.append(chain[start])
                start += 1
        _become(steps, unknown, tape, None)


def _chains(steps: Steps) -> list[list[Step]]:
    """Stretches of other calls and moves, each reading only the one before; they begin and end with another call."""
    read_by = readers(steps)
    chains: list[list[Step]] = []
    for step in steps.values():
        if len(step.reads) != 1 or not (step.is_other or step.is_move):
            continue
        follows = chains and chains[-1][-1].index == step.reads[0] and len(read_by[step.reads[0]]) == 1
        if follows:
            chains[-1].append(step)
        elif step.is_other:
            chains.append([step])
    for chain in chains:
        while chain[-1].is_move:
            chain.pop()
    return chains


def _as_layer(part: list[Step], tape: Tape, replay: Replay, known: dict) -> Layer | None:
    entry, end = part[0].reads[0], part[-1].index
    if any(_learns(tape, step.index) for step in part):
        return None  # it learns: no layer that a description could have, whatever it does before it is trained
    call, is_random = tape.calls[end], replay.is_random(entry, end)
    key: tuple = call.module, tuple(name for step in part for name in step.names), call.shape[1:], is_random
    key += (sum(seen == key for seen in tape.told),)  # the same words a second time may have other constants
    tape.told.append(key[:-1])
    if key not in known:
        known[key] = told(replay.function(entry, end), tape.calls[entry].shape, is_random)
    if known[key] is None:
        return None
    kind, settings = known[key]
    return Layer(kind, call.module or kind, tape.calls[entry].shape[1:], call.shape[1:], settings)


def _learns(tape: Tape, index: int) -> bool:
    return any(isinstance(tensor, nn.Parameter) for tensor in tape.held(index)[0])


def _become(steps: Steps, part: list[Step], tape: Tape, layer: Layer | None) -> None:
    """Puts one step with `layer` for those in `part`; without one, a layer that says which calls were not recognised."""
    while part and layer is None and part[0].is_move:
        part = part[1:]
    while part and layer is None and part[-1].is_move:
        part = part[:-1]
    if not part:
        return
    entry, last = part[0].reads[0], part[-1]
    if layer is None:
        names = list(dict.fromkeys(name for step in part for name in step.names))
        weights = sum(t.numel() for step in part for t in tape.held(step.index)[0] if isinstance(t, nn.Parameter))
        call = tape.calls[last.index]
        settings = {"calls": ", ".join(names)}
        layer = Layer("unrecognised", call.module or names[-1], tape.calls[entry].shape[1:], call.shape[1:], settings, weights)
    for step in part[:-1]:
        del steps[step.index]
    steps[last.index] = replace(last, reads=[entry], layer=layer, is_move=False)
