"""A model's layers beside those of a network: what differs, layer by layer, and which network is nearest.

The rows are laid side by side so that as little as possible differs, layers with weights first. Two forms of one function
are no difference (`seen`). Initial weights, rates and what is subtracted from pixels cannot be seen from a model.
"""

from dataclasses import dataclass, field
from functools import cache
from math import isclose, log2
from typing import Any

from replicate import networks
from replicate.errors import UserError
from replicate.modules.tell.look import Look
from replicate.modules.tell.seen import (
    ACTIVATIONS,
    LEARNED,
    NEVER,
    NORMS,
    OTHER_ACTIVATIONS,
    OTHER_DROPOUT,
    Layer,
    canonical,
    described,
    square,
    zeros_at,
)
from replicate.networks import Network

POOLS = ("max_pool", "avg_pool", "global_pool", "adaptive_avg_pool", "adaptive_max_pool")
FAMILIES = ((*ACTIVATIONS, *OTHER_ACTIVATIONS), NORMS, POOLS, ("conv", "local"), ("dropout", *OTHER_DROPOUT))

# How far a model is from a network, in steps that only order the networks: what makes it another function counts more.
MISSING = dict.fromkeys(LEARNED, 12.0) | dict.fromkeys(POOLS, 5.0) | dict.fromkeys(NORMS, 3.0) | {"dropout": 1.5}
STEP = {
    "kind": 3.0, "kernel_size": 3.0, "stride": 2.0, "groups": 2.0, "order": 1.5, "inputs": 0.5, "bias": 0.5, "side": 0.5,
    "rescale": 0.2, "classes": 0.1, "channel order": 0.5, "training": 0.5,
}  # fmt: skip
ASIDES = {  # where a difference is said to be, and what it is called
    "classes": ("answer", "classes"),
    "channels": ("input", "channel order"),
    "training": ("training", "training"),
}
OTHERWISE_MISSING, OTHERWISE_STEP = 2.0, 1.0


@dataclass(frozen=True)
class Difference:
    """`here` is the model's, `there` the network's; None where one has no such layer. `kind` is the layer's."""

    layer: str
    kind: str
    what: str
    here: Any
    there: Any
    step: float
    of: Layer | None = None  # the model's layer, where the network has none


@dataclass(frozen=True, eq=False)
class Row:
    """One layer of the model and one of the network, either of which may be missing."""

    here: Layer | None
    there: Layer | None
    differences: list[Difference] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.there.name if self.there else self.here.name


@dataclass(frozen=True)
class Comparison:
    """`beside` are the differences of the input, `rows` those of the layers."""

    network: Network
    rows: list[Row]
    beside: list[Difference]
    notes: list[str]

    @property
    def differences(self) -> list[Difference]:
        return self.beside + [difference for row in self.rows for difference in row.differences]

    @property
    def distance(self) -> float:
        return sum(difference.step for difference in self.differences)

    @property
    def parameters(self) -> int:
        return sum(row.there.parameters for row in self.rows if row.there)


def nearest(look: Look, classes: int | None, side_is_asked: bool) -> list[Comparison]:
    """The networks that are nearest to the model: one, or all that are equally near, the paper's and unchanged ones first."""
    all_of_them = [compare(look, name, classes, side_is_asked) for name in networks.names()]
    least = min(comparison.distance for comparison in all_of_them)
    found = [comparison for comparison in all_of_them if isclose(comparison.distance, least, abs_tol=1e-9)]
    return sorted(found, key=lambda c: (c.network.name != "paper", c.network.base is not None, c.network.name))


def compare(look: Look, name: str, classes: int | None = None, side_is_asked: bool = False) -> Comparison:
    """The model beside the network `name`, read for `classes` classes (default: its own).

    On the input on which the model was seen; that it is another than the network's own is a difference unless the user
    asked for it.
    """
    network = networks.load(name)
    side = square(look.input) if look.complete else network.input.side
    there = _layers(name, side, classes, look.complete)
    beside, notes = [], []
    if look.complete and side != network.input.side and not side_is_asked:
        beside.append(Difference("input", "input", "side", side, network.input.side, STEP["side"]))
    if look.complete and side != network.input.side and side_is_asked:
        counted = there[0].input[1]
        notes.append(f"{network.name} reads {network.input.side} pixels a side; its counts here are those for {counted}")
    if look.input and look.input[0] != network.input.maps:
        beside.append(Difference("input", "input", "channels", look.input[0], network.input.maps, OTHERWISE_STEP))
    theirs = {"classes": classes or network.classes, "channels": " ".join(map(str, range(network.input.maps)))}
    for aside in look.asides:
        layer, what = ASIDES[aside.what]
        if aside.here != theirs.get(aside.what):
            beside.append(Difference(layer, layer, what, aside.here, theirs.get(aside.what), STEP[what]))
    here = canonical(look.layers) if look.complete else look.layers
    rows = _in_order(_aligned(here, there), here, there)
    for row in rows:
        if row.here and row.there and row.here.moved != row.there.moved:
            where = {True: "here", False: f"in {network.name}"}
            stands = [f"{layer.moved} {where[layer is row.here]}" for layer in (row.here, row.there) if layer.moved]
            notes.append(f"{row.name} stands {' and '.join(stands)}: the same function")
    return Comparison(network, rows, beside, notes)


@cache
def _layers(name: str, side: int, classes: int | None, complete: bool) -> list[Layer]:
    network = networks.load(name)
    try:
        layers = described(network, side, classes)
    except UserError:  # too small a picture for this network: read it at its own size, the side is a difference anyway
        layers = described(network, network.input.side, classes)
    return canonical(layers) if complete else [layer for layer in layers if layer.kind in (*LEARNED, "batch_norm")]


def _aligned(here: list[Layer], there: list[Layer]) -> list[Row]:
    """The two rows side by side with the least sum of steps."""
    best: dict[tuple[int, int], tuple[float, Row | None]] = {(0, 0): (0.0, None)}
    for i in range(len(here) + 1):
        for j in range(len(there) + 1):
            ways = []
            if i:
                ways.append((best[i - 1, j][0] + _alone(here[i - 1]), Row(here[i - 1], None)))
            if j:
                ways.append((best[i, j - 1][0] + _alone(there[j - 1]), Row(None, there[j - 1])))
            if i and j and _comparable(here[i - 1], there[j - 1]):
                found = between(here[i - 1], there[j - 1])
                ways.append((best[i - 1, j - 1][0] + sum(d.step for d in found), Row(here[i - 1], there[j - 1], found)))
            if ways:
                best[i, j] = min(ways, key=lambda way: way[0])
    rows: list[Row] = []
    i, j = len(here), len(there)
    while row := best[i, j][1]:
        rows.append(row)
        i, j = i - (row.here is not None), j - (row.there is not None)
    return rows[::-1]


def _does_nothing(layer: Layer) -> bool:
    return layer.settings.get("rescale") == NEVER


def _alone(layer: Layer) -> float:
    """The steps of a layer that one side lacks; few, and never a difference, for one that does nothing."""
    return 0.1 if _does_nothing(layer) else MISSING.get(layer.kind, OTHERWISE_MISSING)


def _comparable(here: Layer, there: Layer) -> bool:
    return here.kind == there.kind or any(here.kind in family and there.kind in family for family in FAMILIES)


def between(here: Layer, there: Layer) -> list[Difference]:
    """What differs in two layers that stand at the same place."""
    found = []

    def differs(what: str, ours: Any, theirs: Any, step: float | None = None) -> None:
        step = STEP.get(what, OTHERWISE_STEP) if step is None else step
        found.append(Difference(there.name, there.kind, what, ours, theirs, step))

    if here.kind != there.kind:
        differs("kind", here.kind, there.kind)
    if here.kind in LEARNED and there.kind in LEARNED:
        ours, theirs = here.output[0], there.output[0]
        if ours != theirs:
            if there.is_last:
                differs("classes", ours, theirs)
            else:
                differs("out", ours, theirs, 1 + min(2.0, abs(log2(ours / theirs))))
        ours, theirs = (layer.units if layer.kind == "linear" else layer.input[0] for layer in (here, there))
        if ours != theirs:
            differs("inputs", ours, theirs)
    if here.kind == there.kind:
        if _does_nothing(here):
            differs("rescale", here.settings["rescale"], there.settings["rescale"], _alone(there))
            return found
        for key in dict.fromkeys([*there.settings, *here.settings]):
            ours, theirs = here.settings.get(key), there.settings.get(key)
            if key == "zeros" and ours is not None:
                theirs = _zeros(here, there, there)
                if ours == _zeros(here, there, here):  # what differs is the kernel, the stride or the side
                    continue
            if not _same(ours, theirs) and not (key in _UNSEEN and ours is None):
                differs(key, ours, theirs)
        if here.kind in NORMS and bool(here.parameters) != bool(there.parameters):
            differs("parameters", here.parameters, there.parameters)
    return found


def _zeros(here: Layer, there: Layer, windows: Layer) -> tuple:
    """The zeros that `there` would read on the maps that `here` reads, with the kernel and stride of `windows`."""
    kernel, stride = windows.settings["kernel_size"], windows.settings["stride"]
    if not (isinstance(kernel, int) and isinstance(stride, int) and here.input[1] == here.input[2]):
        return there.settings["zeros"]
    return zeros_at(there, here.input[1], kernel, stride)


_UNSEEN = ("stride", "zeros", "eps", "momentum")  # what a file of weights does not show


def _same(ours: Any, theirs: Any) -> bool:
    """Numbers to a thousandth: constants of a handmade layer are fitted."""
    if isinstance(ours, float) and isinstance(theirs, float | int):
        return isclose(ours, theirs, rel_tol=1e-3)
    return ours == theirs


def _in_order(rows: list[Row], here: list[Layer], there: list[Layer]) -> list[Row]:
    """A layer that stands elsewhere between the same two layers with weights is one difference, of order; the rest is missing."""
    rows = list(rows)
    for extra in [row for row in rows if row.there is None]:
        lacking = [row for row in rows if row.here is None and row.there.kind == extra.here.kind and _near(rows, row, extra)]
        if lacking:
            row = lacking[0]
            names = {id(other.here): other.name for other in rows if other.here}
            stands = _after(here, extra.here, names), _after(there, row.there, {})
            order = Difference(row.there.name, row.there.kind, "order", *stands, STEP["order"])
            rows[rows.index(row)] = Row(extra.here, row.there, [order, *between(extra.here, row.there)])
            rows.remove(extra)
    for i, row in enumerate(rows):
        layer = row.here or row.there
        if row.there is None or row.here is None:
            ours, theirs = (layer.kind, None) if row.here else (None, layer.kind)
            found = [Difference(row.name, layer.kind, "layer", ours, theirs, _alone(layer), row.here)]
            rows[i] = Row(row.here, row.there, [] if _does_nothing(layer) else found)
    return rows


def _near(rows: list[Row], one: Row, other: Row) -> bool:
    """No layer with weights that both have lies between the two rows."""
    i, j = sorted((rows.index(one), rows.index(other)))
    return not any(row.here and row.there and row.there.kind in LEARNED for row in rows[i + 1 : j])


def _after(layers: list[Layer], layer: Layer, names: dict[int, str]) -> str:
    """`after conv1`, by the network's names where it has that layer."""
    place = next(i for i, other in enumerate(layers) if other is layer)
    before = layers[place - 1]
    return f"after {names.get(id(before), before.name)}" if place else "first"
