"""Shapes and counts, derived from a description. 1 MAC = 2 FLOPs; biases count as parameters, not as MACs."""

from dataclasses import dataclass
from math import prod

from replicate.errors import UserError
from replicate.networks.description import BatchNorm, Conv, GlobalPool, Linear, Local, Network, Pool

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One layer, counted. `input` and `output` are (channels, height, width) or (units,).

    `excess` is how many rows and columns of zeros beyond the right and lower edge the last windows read
    (conv), or by how much they are clipped (pool). The weights and biases of a batch normalisation are counted as parameters.
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
        return self.kind in ("conv", "local", "linear")

    @property
    def neurons(self) -> int:
        """Outputs of a layer with weights; the others add no neurons."""
        return prod(self.output) if self.learned else 0


@dataclass(frozen=True)
class Totals:
    """`conv_*`: of the layers that read maps by windows, locally connected ones among them."""

    parameters: int
    macs: int
    neurons: int
    conv_parameters: int
    conv_macs: int
    conv_neurons: int


def output_side(side: int, kernel_size: int, stride: int, padding: int, rounding: str) -> int:
    """1 + (side + 2·padding - kernel)/stride, rounded up or down; at most 0 where the kernel does not fit.

    Rounded up, a last window that would begin beyond the picture and its padding on the left is left out.
    """
    steps = side + 2 * padding - kernel_size
    if rounding == "down":
        return 1 + steps // stride
    last = -(-steps // stride)
    return 1 + last - (last * stride >= side + padding)


def count(network: Network, side: int | None = None, classes: int | None = None) -> list[Row]:
    """Every layer of `network` on inputs of `side` pixels (default: the net's own), in order."""
    side = side or network.input.side
    classes = classes or network.classes
    shape: Shape = (network.input.maps, side, side)
    rows = []
    for layer in network.layers:
        kernel = stride = padding = groups = None
        weights = biases = macs = excess = 0
        out: Shape = shape
        if isinstance(layer, Conv | Local | Pool):
            kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
            rounding = network.rounding.pool if isinstance(layer, Pool) else network.rounding.conv
            new = output_side(shape[1], kernel, stride, padding, rounding)
            if new < 1:
                raise UserError(
                    f"network {network.name!r}: {layer.name} ({kernel}x{kernel}) has nothing left to read on "
                    f"{side}-pixel input; use a larger input side"
                )
            excess = max(0, (new - 1) * stride + kernel - shape[1] - 2 * padding)
            out = (shape[0] if isinstance(layer, Pool) else _width(layer, classes), new, new)
        if isinstance(layer, Conv):
            groups = layer.groups
            weights, biases = kernel * kernel * (shape[0] // groups) * out[0], out[0] * layer.bias
            macs = weights * out[1] * out[2]
        elif isinstance(layer, Local):
            weights, biases = kernel * kernel * shape[0] * prod(out), prod(out)
            macs = weights
        elif isinstance(layer, Linear):
            groups = layer.groups
            out = (_width(layer, classes),)
            if prod(shape) % groups:
                raise UserError(f"network {network.name!r}: {layer.name}: {prod(shape)} inputs do not split into {groups} groups")
            weights, biases = prod(shape) // groups * out[0], out[0]
            macs = weights
        elif isinstance(layer, BatchNorm):
            weights = biases = shape[0]
        elif isinstance(layer, GlobalPool):
            out = (shape[0], 1, 1)
        rows.append(Row(layer.name, layer.kind, kernel, stride, padding, groups, shape, out, weights, biases, macs, excess))
        shape = out
    return rows


def _width(layer: Conv | Local | Linear, classes: int) -> int:
    return classes if layer.out == "classes" else layer.out


def totals(rows: list[Row]) -> Totals:
    conv = [row for row in rows if row.kind in ("conv", "local")]
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
