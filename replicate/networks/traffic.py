"""What crosses between devices that hold a tower each (section 3.2), derived from a description. No torch.

Every device has the whole picture. From the first layer with weights on it holds its tower's part of the maps or units,
and of the class scores, in which the towers share. A layer that reads all maps (groups 1) needs, forward, the parts of
the other towers; backward each of them sends what it found of the gradient of the part that is held here. The softmax
needs all class scores; of their gradient every device then knows its own part, so that nothing comes back.
"""

from dataclasses import dataclass
from math import prod

from replicate.errors import UserError
from replicate.networks.arithmetic import Row, Shape, count
from replicate.networks.description import LRN, Dropout, Local, Network, Weighted

LOSS = "loss"  # what reads the class scores


@dataclass(frozen=True)
class Crossing:
    """What one device receives for one picture before `layer`, in numbers; `reads` is the shape of the layer's whole input.

    Where the classes are shared out unevenly, the device that receives most.
    """

    layer: str
    reads: Shape
    forward: int
    backward: int


def traffic(network: Network, side: int | None = None, classes: int | None = None) -> list[Crossing]:
    """Every layer before which towers exchange, in order, the loss last; empty for a net of one tower.

    On inputs of `side` pixels and for `classes` classes (default: the net's own); UserError as `must_divide`.
    """
    must_divide(network)
    if network.towers == 1:
        return []
    found = [_whole(row, network.towers) for row in _reading_parts(network, side, classes) if reads_all(row)]
    classes = classes or network.classes
    return [*found, Crossing(LOSS, (classes,), classes - min(parts(classes, network.towers)), 0)]


def reads_all(row: Row) -> bool:
    """Does a layer with weights read the maps or units of all towers? Those without groups do."""
    return (row.groups or 1) == 1


def parts(classes: int, towers: int) -> list[int]:
    """How many class scores each tower computes; where they do not go evenly, the first ones compute one more."""
    each, left = divmod(classes, towers)
    return [each + (tower < left) for tower in range(towers)]


def spans(network: Network) -> str | None:
    """The first normalisation whose window runs across the towers, so that no tower can compute it alone; None if none does."""
    if network.towers == 1:
        return None
    layers = network.layers[_first(network) + 1 :]  # what comes before has the picture, which is whole everywhere
    return next((one.name for one in layers if isinstance(one, LRN) and one.neighbours == "maps" and one.scope == "layer"), None)


def must_divide(network: Network) -> None:
    """UserError, with the layer, where the towers of `network` cannot have a device each."""

    def refused(layer: str, why: str) -> UserError:
        return UserError(f"network {network.name!r} cannot be divided between devices, a tower each: {layer} {why}")

    if layer := spans(network):
        raise refused(layer, "normalises across the towers (scope: layer); scope: tower keeps its window inside one")
    towers, first = network.towers, _first(network)
    if towers == 1:
        return
    for position, layer in enumerate(network.layers):
        if isinstance(layer, Dropout) and position < first:
            raise refused(layer.name, "drops values of the picture, which all towers read")
        if not isinstance(layer, Weighted):
            continue
        if isinstance(layer, Local):
            raise refused(layer.name, "has weights of its own at every position, which are not kept map by map")
        if layer.out != "classes" and layer.out % towers:
            raise refused(layer.name, f"has {layer.out} maps or units, which do not go into {towers} towers")
        if position == first and layer.groups > 1:
            raise refused(layer.name, f"reads the picture in {layer.groups} groups")
        if layer.groups > 1 and layer.groups % towers:
            raise refused(layer.name, f"reads {layer.groups} groups of maps, and there are {towers} towers")


def _first(network: Network) -> int:
    """Where in the list the first layer with weights stands: it reads the picture."""
    return next(i for i, layer in enumerate(network.layers) if isinstance(layer, Weighted))


def _reading_parts(network: Network, side: int | None, classes: int | None) -> list[Row]:
    """The layers with weights whose input is held in parts: all but the first."""
    return [row for row in count(network, side, classes) if row.learned][1:]


def _whole(row: Row, towers: int) -> Crossing:
    others = prod(row.input) // towers * (towers - 1)
    return Crossing(row.name, row.input, others, others)
