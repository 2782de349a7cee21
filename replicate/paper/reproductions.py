"""What others have published of this network and its kin on ILSVRC-2012's validation pictures, from reproductions.yaml."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from replicate.paper.entries import Percent, Words, entries
from replicate.paper.runs import DIGITS
from replicate.settings import Strict

FILE = Path(__file__).with_name("reproductions.yaml")


class Figures(Strict):
    """In percent, of what the entry's `reported` says."""

    top1: Percent
    top5: Percent | None = None


class Reproduction(Strict):
    """`trained` is false where somebody else's weights were tested once more; `unstated`: views that the source leaves open."""

    who: Words
    network: str | None = None
    trained: bool = True
    reported: Literal["accuracy", "error"]
    centre: Figures | None = None
    ten: Figures | None = None
    unstated: Figures | None = None
    source: Words
    note: str = ""

    @model_validator(mode="after")
    def _something(self) -> "Reproduction":
        if self.centre is None and self.ten is None and self.unstated is None:
            raise ValueError("give centre, ten or unstated")
        return self

    def error(self, views: Literal["centre", "ten", "unstated"], top: Literal["top1", "top5"]) -> float | None:
        """In percent, whichever of the two the source prints."""
        figures = getattr(self, views)
        value = getattr(figures, top) if figures else None
        return round(100 - value, DIGITS) if value is not None and self.reported == "accuracy" else value


@cache
def reproductions() -> list[Reproduction]:
    return entries(FILE, Reproduction, "who")
