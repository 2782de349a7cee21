"""A value that follows from the paper's own statements, with the way there, and how its steps write numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from replicate.networks import Network, Row


@dataclass(frozen=True)
class Derived:
    """`steps` are lines for a reader who has the paper beside them, with the numbers filled in.

    `at_least`: the value is a lower bound, so that one which falls short of the paper's decides nothing.
    """

    value: Any
    steps: list[str]
    at_least: bool = False


def times(*numbers: int) -> str:
    """`11×11×3`"""
    return "×".join(f"{number:,}" for number in numbers)


def plus(numbers: Sequence[float]) -> str:
    """`34,944 + 307,456`"""
    return " + ".join(f"{number:,}" for number in numbers)


def whole(value: float) -> float:
    """An integer where it is one, so that it is shown as one."""
    return int(value) if float(value).is_integer() else value


def number(value: float) -> str:
    """Four significant digits, more where the number is whole or large."""
    if float(value).is_integer() or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def side_of(row: Row, network: Network) -> str:
    """How a layer's map gets its side: `conv1: 1 + (224 - 11)/4 = 54.25, rounded up 55`."""
    zeros = f" + 2·{row.padding}" if row.padding else ""
    quotient = 1 + Fraction(row.input[1] + 2 * (row.padding or 0) - row.kernel_size, row.stride)
    rounding = network.rounding.pool if row.kind.endswith("pool") else network.rounding.conv
    whole = "" if quotient == row.output[1] else f", rounded {rounding} {row.output[1]}"
    return f"{row.name}: 1 + ({row.input[1]}{zeros} - {row.kernel_size})/{row.stride} = {float(quotient):g}{whole}"


def units_of(row: Row) -> str:
    """`conv1: 55×55×96 = 290,400`; of a layer without maps its width."""
    units = prod(row.output)
    maps = "" if len(row.output) == 1 else f"{times(*row.output[1:], row.output[0])} = "
    return f"{row.name}: {maps}{units:,}"


def parameters_of(row: Row) -> str:
    """`conv1: 11×11×3×96 weights + 96 biases = 34,944`"""
    if row.kind == "conv":
        weights = times(row.kernel_size, row.kernel_size, row.input[0] // row.groups, row.output[0])
    elif row.kind == "linear":
        weights = times(prod(row.input) // row.groups, row.output[0])
    else:
        weights = f"{row.weights:,}"
    return f"{row.name}: {weights} weights + {row.biases:,} biases = {row.parameters:,}"
