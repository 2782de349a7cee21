"""Shapes and counts, derived from a description. 1 MAC = 2 FLOPs; biases count as parameters, not as MACs."""

from dataclasses import dataclass
from math import prod

from replicate.errors import UserError
from replicate.networks.description import Conv, Linear, MaxPool, Network

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One layer, counted. `input` and `output` are (channels, height, width) or (units,).

    `excess` is how many rows and columns of zeros beyond the right and lower edge the last windows read
    (conv), or by how much they are clipped (pool).
    """

    name: str
    kind: str
    kernel_size: int | None
    stride: int | None
    padding: int | None
    groups: int | None
    input: Shape
    output: Shape
    weights: int
    biases: int
    macs: int
    excess: int = 0

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def learned(self) -> bool:
        return self.kind in ("conv", "linear")

    @property
    def neurons(self) -> int:
        """Outputs of a layer with weights; the others add no neurons."""
        return prod(self.output) if self.learned else 0


@dataclass(frozen=True)
class Totals:
    parameters: int
    macs: int
    neurons: int
    conv_parameters: int
    conv_macs: int
    conv_neurons: int


def output_side(side: int, kernel_size: int, stride: int, padding: int, rounding: str) -> int:
    """1 + (side + 2·padding - kernel)/stride, rounded up or down; at most 0 where the kernel does not fit."""
    steps = side + 2 * padding - kernel_size
    return 1 + (-(-steps // stride) if rounding == "up" else steps // stride)


def count(network: Network, side: int | None = None, classes: int | None = None) -> list[Row]:
    """Every layer of `network` on inputs of `side` pixels (default: the net's own), in order."""
    side = side or network.input.side
    classes = classes or network.classes
    shape: Shape = (len(network.input.channels), side, side)
    rows = []
    for layer in network.layers:
        kernel = stride = padding = groups = None
        weights = biases = macs = excess = 0
        out: Shape = shape
        if isinstance(layer, Conv | MaxPool):
            is_conv = isinstance(layer, Conv)
            kernel, stride = layer.kernel_size, layer.stride
            padding = layer.padding if is_conv else 0
            rounding = network.rounding.conv if is_conv else network.rounding.pool
            new = output_side(shape[1], kernel, stride, padding, rounding)
            if new < 1:
                raise UserError(
                    f"network {network.name!r}: {layer.name} ({kernel}x{kernel}) has nothing left to read on "
                    f"{side}-pixel input; use a larger input side"
                )
            excess = max(0, (new - 1) * stride + kernel - shape[1] - 2 * padding)
            out = (layer.out if is_conv else shape[0], new, new)
            if is_conv:
                groups = layer.groups
                weights, biases = kernel * kernel * shape[0] // groups * out[0], out[0]
                macs = weights * new * new
        elif isinstance(layer, Linear):
            out = (classes if layer.out == "classes" else layer.out,)
            weights, biases = prod(shape) * out[0], out[0]
            macs = weights
        rows.append(Row(layer.name, layer.kind, kernel, stride, padding, groups, shape, out, weights, biases, macs, excess))
        shape = out
    return rows


def totals(rows: list[Row]) -> Totals:
    conv = [row for row in rows if row.kind == "conv"]
    return Totals(
        parameters=sum(row.parameters for row in rows),
        macs=sum(row.macs for row in rows),
        neurons=sum(row.neurons for row in rows),
        conv_parameters=sum(row.parameters for row in conv),
        conv_macs=sum(row.macs for row in conv),
        conv_neurons=sum(row.neurons for row in conv),
    )


def faults(network: Network) -> list[str]:
    """Where the description's own counts and the published ones part, layer by layer; empty if nowhere."""
    published = network.published
    if published is None:
        return []
    rows = {row.name: row for row in count(network)}
    found = []
    for name, layer in published.layers.items():
        if name not in rows:
            found.append(f"{name}: published, but the description has no such layer")
            continue
        row = rows[name]
        for what, ours, theirs in (
            ("output", list(row.output), layer.output),
            ("parameters", row.parameters, layer.parameters),
            ("MACs", row.macs, layer.macs),
        ):
            if theirs is not None and ours != theirs:
                found.append(f"{name}: {what} {_shown(ours)}, published {_shown(theirs)}")
    sums = totals(list(rows.values()))
    for what, ours, theirs in (
        ("parameters", sums.parameters, published.parameters),
        ("MACs", sums.macs, published.macs),
    ):
        if theirs is not None and ours != theirs:
            found.append(f"total: {what} {ours:,}, published {theirs:,}")
    return found


def _shown(value: int | list[int]) -> str:
    return "×".join(map(str, value)) if isinstance(value, list) else f"{value:,}"
