"""Which nets the rows of Table 2 average, by the file names of the contest's record, from ensembles.yaml."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from replicate.paper.entries import ClaimId, Fraction, Words, entries
from replicate.paper.runs import DIGITS, Run, runs
from replicate.settings import Strict

FILE = Path(__file__).with_name("ensembles.yaml")


class Member(Strict):
    """A run of the ledger; `named`: what the entry's file calls it; `pretrained`: on which release, None if on none."""

    run: str
    named: str | None = Field(default=None, alias="as")
    pretrained: Literal["Fall 2009", "Fall 2011"] | None = None

    @field_validator("run")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in runs():
            raise ValueError("no such run in runs_2012.yaml")
        return value

    @property
    def ledger(self) -> Run:
        return runs()[self.run]


class Ensemble(Strict):
    """`test_top5` is the entry's error on the contest's results page, a share of the 2012 test pictures."""

    name: Words
    claim: ClaimId
    file: Words | None = None
    test_top5: Fraction | None = None
    members: list[Member]

    @model_validator(mode="after")
    def _named_in_the_file(self) -> "Ensemble":
        for member in self.members:
            if self.file and f"-{member.named}-" not in f"{self.file.removesuffix('.txt').removesuffix('.')}-":
                raise ValueError(f"members: the file's name does not have {member.named!r}")
        return self

    @property
    def test_percent(self) -> float | None:
        return None if self.test_top5 is None else round(100 * self.test_top5, DIGITS)


@cache
def ensembles() -> list[Ensemble]:
    """The rows in the order of Table 2, single nets first."""
    return entries(FILE, Ensemble, "name")
