"""Every measure by name: one function a kind of evidence. claims.yaml names them, with their arguments."""

from collections.abc import Callable
from typing import Any

from replicate.errors import unknown
from replicate.evidence.measures_arithmetic import ARITHMETIC
from replicate.evidence.measures_results import COUNTS, SAMPLES
from replicate.evidence.measures_settings import SETTINGS

FAMILIES: dict[str, dict[str, Callable[..., Any]]] = {
    "arithmetic": ARITHMETIC,  # f(**arguments): derived, needs nothing
    "setting": SETTINGS,  # f(setup, **arguments): read from a network and a recipe
    "count": COUNTS,  # f(results, **arguments): one number
    "sample": SAMPLES,  # f(results, **arguments): numbers over seeds
}


def names() -> list[str]:
    return [name for family in FAMILIES.values() for name in family]


def family(measure: str) -> str:
    """The family that `measure` belongs to."""
    for name, members in FAMILIES.items():
        if measure in members:
            return name
    raise unknown("measure", measure, names())
