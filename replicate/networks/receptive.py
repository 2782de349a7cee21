"""What part of the picture a unit of each layer sees, derived from a description. All lengths are pixels of the input."""

from dataclasses import dataclass

from replicate.networks.arithmetic import Shape, count
from replicate.networks.description import LRN, Conv, GlobalPool, Linear, Local, Network, Pool


@dataclass(frozen=True)
class Field:
    """A unit sees a square of `size`; its neighbour's lies `stride` further on; those of a row reach from `first` to `end`.

    0 is the picture's first pixel and `end` is one past the last that is read, so that a negative `first` and an `end`
    beyond the side are padding. All four are None where every unit sees the whole picture.
    """

    name: str
    output: Shape
    size: int | None
    stride: int | None
    first: int | None
    end: int | None


def fields(network: Network, side: int | None = None) -> list[Field]:
    """Every layer that sees more than the one before it, on inputs of `side` pixels (default: the net's own)."""
    found = []
    size, stride, first, whole = 1, 1, 0, False
    for layer, row in zip(network.layers, count(network, side), strict=True):
        if isinstance(layer, Conv | Local | Pool):
            kernel, step, padding = layer.kernel_size, layer.stride, layer.padding
        elif isinstance(layer, LRN) and layer.neighbours == "space":
            kernel, step, padding = layer.size, 1, layer.size // 2
        elif isinstance(layer, Linear | GlobalPool):
            whole = True
        else:
            continue
        if whole:
            found.append(Field(row.name, row.output, None, None, None, None))
            continue
        first -= padding * stride
        size += (kernel - 1) * stride
        stride *= step
        found.append(Field(row.name, row.output, size, stride, first, first + (row.output[1] - 1) * stride + size))
    return found
