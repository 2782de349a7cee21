"""Principal components of ImageNet's colours as others ship them, from colours.yaml: what ours are compared with."""

from functools import cache
from pathlib import Path

from pydantic import PositiveFloat, model_validator

from replicate.paper.entries import Words, entries
from replicate.settings import Strict

FILE = Path(__file__).with_name("colours.yaml")
WHITE = 255  # grey levels of a pixel of 1


class Axes(Strict):
    """`vectors[channel][axis]`; exactly one of `deviations` (grey levels) and `eigenvalues` (of pixels in 0..1)."""

    name: Words
    source: Words
    meaning: Words
    vectors: list[list[float]]
    deviations: list[PositiveFloat] | None = None
    eigenvalues: list[PositiveFloat] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Axes":
        if (self.deviations is None) == (self.eigenvalues is None):
            raise ValueError("give deviations or eigenvalues")
        return self

    @property
    def in_grey_levels(self) -> list[float]:
        """Standard deviations along the axes."""
        return self.deviations or [WHITE * value**0.5 for value in self.eigenvalues]


@cache
def axes() -> dict[str, Axes]:
    return {one.name: one for one in entries(FILE, Axes, "name")}
