"""A model's layers in one row: towers that do the same to different maps are one layer, as in the descriptions.

Every value carries, for each of its numbers, which number of the layer before it is. Moves of values (chunk, cat, view)
are replayed on these; so a layer is known to read all maps, or a part of them, by what it reads and not by how it is written.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from replicate.modules.tell.behaviour import Replay
from replicate.modules.tell.graph import Step, Steps, steps_of
from replicate.modules.tell.seen import LEARNED, Aside, Layer, Shape
from replicate.modules.tell.trace import Tape, Untraceable


def layers_of(tape: Tape, real: Callable[[], Any], known: dict) -> list[Layer]:
    """The layers of what was recorded, in order. Untraceable where the ways of the values are no row of layers."""
    steps = steps_of(tape, real, known)
    row = _Row(tape, steps, Replay(tape, real))
    while row.advance():
        pass
    answers = row.numbers[tape.output].unique().numel()
    if answers < prod(row.shape):
        tape.notes.append(f"its answer is {answers:,} of the {prod(row.shape):,} that its last layer gives")
        tape.asides.append(Aside("classes", answers))
    return row.layers


@dataclass
class _Row:
    """`numbers[index]`: for each number of a value, which number of the last layer's output `shape` it is."""

    tape: Tape
    steps: Steps
    replay: Replay

    def __post_init__(self) -> None:
        first = self.tape.calls[0].shape
        self.pictures, self.shape = first[0], first[1:]
        self.layers: list[Layer] = []
        self.numbers = {0: _all(self.shape).expand(first)}
        self.left = [step for step in self.steps.values() if step.index]

    def advance(self) -> bool:
        """Takes the next layer, in all its parts; False when the answer is reached."""
        self._move()
        wave = [step for step in self.left if step.layer and all(index in self.numbers for index in step.reads)]
        if not wave:
            if self.tape.output in self.numbers:
                return False
            stuck = self.left[0]
            raise Untraceable(
                f"the ways of its values part and meet again at {self._said(stuck)} otherwise than those of two towers"
            )
        wave = self._alike(wave)
        self._take(wave)
        return True

    def _move(self) -> None:
        for step in [step for step in self.left if step.is_move]:
            if all(index in self.numbers for index in step.reads):
                try:
                    moved = self.replay.value(step.index, {index: self.numbers[index] for index in step.reads})
                except Exception as error:  # a call of the model's on numbers of ours
                    raise Untraceable(f"{self._said(step)} cannot be followed ({type(error).__name__}: {error})") from None
                self.numbers[step.index] = moved.long()
                self.left.remove(step)

    def _alike(self, wave: list[Step]) -> list[Step]:
        """The steps of the wave that are parts of one layer. Some may wait: those of a tower that lacks this layer."""
        first = next((step for step in wave if step.layer.kind not in LEARNED), wave[0])
        alike = [step for step in wave if step.layer.kind == first.layer.kind]
        parts = self._parts(alike)
        same = all(step.layer.settings == steps[0].layer.settings for steps in parts for step in steps)
        sets = [self._set(steps[0]) for steps in parts] + [self._set(step) for step in wave if step not in alike]
        sets.sort(key=lambda part: part[0].item())
        apart = all(a[-1] < b[0] for a, b in pairwise(sets)) or torch.cat(sets).unique().numel() == sum(map(len, sets))
        if not (same and apart) or (len(alike) < len(wave) and first.layer.kind in LEARNED):
            ways = ", ".join(dict.fromkeys(self._said(step) for step in wave))
            raise Untraceable(f"its ways part into layers that are not towers of one network: {ways}")
        return alike

    def _parts(self, wave: list[Step]) -> list[list[Step]]:
        """The steps by the part of the maps that they read."""
        found: dict[bytes, list[Step]] = {}
        for step in wave:
            found.setdefault(self._set(step).numpy().tobytes(), []).append(step)
        return list(found.values())

    def _set(self, step: Step) -> Tensor:
        """The numbers that a step reads, sorted, each once."""
        read = self._read(step)
        return read if bool((read[1:] > read[:-1]).all()) else read.unique()

    def _take(self, wave: list[Step]) -> None:
        first = wave[0].layer
        parts = [steps[0] for steps in self._parts(wave)]
        settings = _together([step.layer.settings for step in parts])
        if first.kind in LEARNED:
            groups, shape = self._learned(wave, parts)
            settings |= {"groups": groups} if "groups" in settings else {}
        elif prod(first.input) == prod(first.output) and first.input[0] == first.output[0]:
            settings |= self._covered(parts)
            shape = self.shape
            if first.kind == "lrn":
                self._in_order(wave)
                settings = settings | {"towers": first.settings["towers"] * len(parts)}
            for step in wave:
                self.numbers[step.index] = self._read(step, whole=True).reshape(self.tape.calls[step.index].shape)
        elif first.kind == "unrecognised" and len(wave) == 1 and not self._covered(parts):
            shape = first.output
            self._give(wave[0], _all(shape))
        else:
            shape = self._windows(wave, parts)
        names = " + ".join(dict.fromkeys(step.layer.name for step in wave))
        sums = {key: sum(getattr(step.layer, key) for step in wave) for key in ("weights", "biases")}
        self.layers.append(replace(first, name=names, input=self.shape, output=shape, settings=settings, **sums))
        self.left = [step for step in self.left if step not in wave]
        made, taken = {step.index for step in wave}, {index for step in wave for index in step.reads}
        past = torch.cat([self.numbers[index].flatten() for index in taken]) if "part" in settings else None
        for index in list(self.numbers):  # what was before this layer is past, but for the maps that it did not touch
            if index not in made and (past is None or torch.isin(self.numbers[index], past).any()):
                del self.numbers[index]
        self.shape = shape

    def _learned(self, wave: list[Step], parts: list[Step]) -> tuple[int, Shape]:
        """Groups and output of one layer with weights: a part each reads all maps, or maps of its own."""
        first = wave[0].layer
        inner = first.settings.get("groups", 1)
        sizes = [len(self._set(step)) for step in parts]
        own = sum(sizes) == prod(self.shape)
        equal = len({(step.layer.output, step.layer.settings.get("groups")) for step in wave}) == 1 and len(set(sizes)) == 1
        if len(parts) == 1 and own:
            groups = inner
            fits = inner == 1 or len(wave) == 1
        else:
            groups = inner * len(parts)
            fits = own and len(parts) == len(wave) and equal
        if not fits:
            ways = ", ".join(dict.fromkeys(self._said(step) for step in wave))
            raise Untraceable(f"{ways} read neither all of what is before them nor equal parts of it")
        if first.kind != "linear":
            orders = [self._planes(step, inner) for step in wave]
            changed = [maps.tolist() for maps in orders if not torch.equal(maps, maps.sort().values)]
            if changed and not any(layer.kind in LEARNED for layer in self.layers):  # later ones may have any order of maps
                self.tape.asides.append(Aside("channels", " ".join(map(str, changed[0]))))
        out = sum(step.layer.output[0] for step in wave)
        shape = (out, *first.output[1:])
        start = 0
        for step in wave:
            size = prod(step.layer.output)
            self._give(step, _all(step.layer.output) + start)
            start += size
        return groups, shape

    def _windows(self, wave: list[Step], parts: list[Step]) -> Shape:
        """Output of a layer that changes the size of each map."""
        if self._covered(parts):
            raise Untraceable(f"{self._said(wave[0])} changes the size of some maps only")
        places = wave[0].layer.output[1:]
        if any(step.layer.output[1:] != places for step in wave):
            raise Untraceable(f"{self._said(wave[0])} makes maps of another size than {self._said(wave[-1])}")
        for step in wave:
            maps = self._planes(step, 1)
            size = prod(places)
            self._give(step, (maps[:, None] * size + torch.arange(size)).reshape(len(maps), *places))
        return self.shape[0], *places

    def _covered(self, parts: list[Step]) -> dict[str, Any]:
        """Nothing if the parts are all there is, else how much of it they are."""
        taken = sum(len(self._set(step)) for step in parts)
        return {} if taken == prod(self.shape) else {"part": f"{taken / prod(self.shape):.0%} of the maps"}

    def _planes(self, step: Step, groups: int) -> Tensor:
        """Which maps a step reads, in its order; Untraceable if they are not whole, or mixed between the groups."""
        read = self._read(step).reshape(-1, *step.layer.input[1:])
        size = prod(self.shape[1:])
        maps = read.reshape(len(read), -1)[:, 0] // size
        whole = torch.equal(read.reshape(len(read), -1), maps[:, None] * size + torch.arange(size))
        blocks = maps.reshape(groups, -1).sort(1).values if len(maps) % groups == 0 else None
        aligned = groups == 1 or blocks is not None and bool((blocks == blocks[:, :1] + torch.arange(blocks.shape[1])).all())
        if not whole or not aligned or len(maps.unique()) != len(maps):
            raise Untraceable(f"{self._said(step)} reads maps that were rearranged")
        return maps

    def _in_order(self, wave: list[Step]) -> None:
        for step in wave:
            maps = self._planes(step, 1)
            if not torch.equal(maps, maps[0] + torch.arange(len(maps))):
                raise Untraceable(f"{self._said(step)} normalises over maps in another order than their layer's")

    def _read(self, step: Step, whole: bool = False) -> Tensor:
        """The numbers that a step reads, of the first picture; of all with `whole`."""
        values = [self.numbers[index] for index in step.reads]
        if any(value.numel() % self.pictures or (value.ndim > 1 and value.shape[0] != self.pictures) for value in values):
            raise Untraceable(f"{self._said(step)} mixes the pictures of a batch")
        if whole:
            return values[0]
        return torch.cat([value.reshape(self.pictures, -1)[0] for value in values])

    def _give(self, step: Step, numbers: Tensor) -> None:
        shape = self.tape.calls[step.index].shape
        self.numbers[step.index] = numbers.reshape(1, -1).expand(self.pictures, -1).reshape(shape)

    def _said(self, step: Step) -> str:
        name = step.layer.name if step.layer else ", ".join(step.names)
        at = self.tape.calls[step.index].module
        return (
            f"{name} ({step.layer.kind})"
            if step.layer and step.layer.kind != name
            else f"{name} in {at}"
            if at and at != name
            else name
        )


def _all(shape: Shape) -> Tensor:
    return torch.arange(prod(shape)).reshape(shape)


def _together(settings: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings of the parts of one layer; where they are not the same, all of them as words."""
    first = settings[0]
    return {
        key: first[key] if all(s.get(key) == first[key] for s in settings) else " / ".join(str(s.get(key)) for s in settings)
        for key in first
    }


def unused(tape: Tape) -> dict[str, int]:
    """Parameters that do not bear on the answer, by name, with their numbers."""
    found: set[int] = set()
    done: set[int] = set()
    todo = [tape.output]
    while todo:
        index = todo.pop()
        if index not in done:
            done.add(index)
            found |= {id(tensor) for tensor in tape.calls[index].tensors}
            todo += tape.calls[index].refs
    return {name: t.numel() for name, t in tape.own.items() if isinstance(t, nn.Parameter) and id(t) not in found}
