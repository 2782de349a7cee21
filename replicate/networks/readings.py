"""What follows from a reading of the first layer: its quotient, the sides up to the last pooling, and the counts."""

from dataclasses import dataclass
from fractions import Fraction

from replicate.networks.arithmetic import count, totals
from replicate.networks.description import Conv, Network, Rounding


@dataclass(frozen=True)
class Derived:
    """`quotient` is 1 + (side + zeros - kernel)/stride before rounding; `sides` are (layer, side of its output)."""

    quotient: Fraction
    conv1_side: int
    sides: tuple[tuple[str, int], ...]
    fc6_inputs: int
    parameters: int
    macs: int


def derive(network: Network, side: int, zeros: tuple[int, int], conv_rounding: str, pool_rounding: str) -> Derived:
    """`network` on pictures of `side` pixels with `zeros` (before, after) around them, sizes rounded as said."""
    first = network.layers[0]
    if not isinstance(first, Conv):
        raise ValueError(f"network {network.name!r} does not begin with a convolution")
    # Zeros around the picture are a larger picture to the arithmetic; so they may be uneven.
    read = network.model_copy(
        update={
            "layers": [first.model_copy(update={"padding": 0}), *network.layers[1:]],
            "rounding": Rounding(conv=conv_rounding, pool=pool_rounding),
        }
    )
    wide = side + sum(zeros)
    rows = count(read, side=wide)
    sums = totals(rows)
    return Derived(
        quotient=1 + Fraction(wide - first.kernel_size, first.stride),
        conv1_side=rows[0].output[1],
        sides=tuple((row.name, row.output[1]) for row in rows if row.kind in ("conv", "max_pool")),
        fc6_inputs=next(row.weights // row.output[0] for row in rows if row.kind == "linear"),
        parameters=sums.parameters,
        macs=sums.macs,
    )
