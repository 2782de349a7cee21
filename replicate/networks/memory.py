"""How many numbers a training step keeps, layer by layer, derived from a description; what a library adds is not in it.

Kept: the pictures; what each layer puts out, and the gradient of it; of an LRN its denominators, of dropout its mask; of
every weight and bias itself, its gradient and its velocity. Nonlinearities and dropout work in place.
"""

from dataclasses import dataclass
from math import prod

from replicate.networks.arithmetic import Row, Shape, count
from replicate.networks.description import Network

NUMBER = 4  # bytes of a float32
COPIES = 3  # a parameter, its gradient, its velocity
IN_PLACE = ("relu", "tanh", "sigmoid", "dropout")
MARKED = ("lrn", "dropout")  # layers that keep one more number an output: a denominator, a mask


@dataclass(frozen=True)
class Held:
    """Counts of numbers: `parameters` once (a step keeps `COPIES` of each), the rest for one picture."""

    name: str
    output: Shape
    parameters: int
    activations: int
    gradients: int
    marks: int

    def bytes(self, pictures: int) -> int:
        """What a step on a batch of `pictures` keeps of it."""
        return NUMBER * (COPIES * self.parameters + pictures * (self.activations + self.gradients + self.marks))


def held(network: Network, side: int | None = None) -> list[Held]:
    """The pictures, then every layer that keeps anything, on inputs of `side` pixels (default: the net's own)."""
    rows = count(network, side)
    found = [_pictures(rows)]
    for row in rows:
        units = prod(row.output)
        own = 0 if row.kind in IN_PLACE else units
        found.append(Held(row.name, row.output, row.parameters, own, own, units if row.kind in MARKED else 0))
    return [one for one in found if one.bytes(1)]


def of_one_tower(network: Network, side: int | None = None) -> Held:
    """What one tower's device keeps: its share of every layer, the whole picture, and what it gets from the other towers.

    A layer of fewer groups than towers reads all maps, those of the other towers as copies, whose gradients go back.
    """
    towers, rows = network.towers, count(network, side)
    whole = held(network, side)
    copies = [prod(row.input) - prod(row.input) // towers for row in rows[1:] if row.learned and (row.groups or 1) < towers]
    return Held(
        name="one tower",
        output=(),
        parameters=sum(one.parameters for one in whole) // towers,
        activations=whole[0].activations + sum(one.activations for one in whole[1:]) // towers + sum(copies),
        gradients=sum(one.gradients for one in whole) // towers + sum(copies),
        marks=sum(one.marks for one in whole) // towers,
    )


def _pictures(rows: list[Row]) -> Held:
    shape = rows[0].input
    return Held("pictures", shape, 0, prod(shape), 0, 0)
