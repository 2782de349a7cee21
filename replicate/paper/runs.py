"""The ledger of the 2012 runs: what the comments of their parameter files say came out, from runs_2012.yaml."""

from functools import cache
from pathlib import Path
from typing import Literal, get_args

from pydantic import PositiveInt, model_validator

from replicate.paper.entries import ClaimId, Fraction, Words, entries
from replicate.settings import Strict

FILE = Path(__file__).with_name("runs_2012.yaml")

Data = Literal["ILSVRC-2010", "ILSVRC-2012", "Fall 2009"]
Split = Literal["test", "validation", "held out"]
Views = Literal["centre", "ten"]
Top = Literal["top1", "top5"]
DIGITS = 6  # of an error in percent; the logs have fewer


class Result(Strict):
    """Errors as the log prints them, shares of all pictures. `inferred`: what the log does not say itself.

    `claim` is the statement of the paper that these errors stand behind.
    """

    data: Data
    split: Split
    views: Views | None
    inferred: list[Literal["split", "views"]] = []
    top1: Fraction
    top5: Fraction
    claim: ClaimId | None = None

    def percent(self, top: Top) -> float:
        """The error in percent, without what floating point adds to it."""
        return round(100 * getattr(self, top), DIGITS)

    @property
    def pictures(self) -> str:
        """In short, with a question mark for what the log does not say: `2012 val., ten?`."""
        split = {"validation": "val."}.get(self.split, self.split) + self._mark("split")
        return f"{self.data.removeprefix('ILSVRC-')} {split}, {self.views or ''}{self._mark('views')}"

    def _mark(self, what: str) -> str:
        return "?" if what in self.inferred or getattr(self, what) is None else ""


class Run(Strict):
    """`network` is one of ours; `parameters` is given only where the net is none that a plain list of layers can describe."""

    run: Words
    what: Words
    network: str | None = None
    parameters: PositiveInt | None = None
    stopped: PositiveInt | None = None
    file: Words
    results: list[Result] = []

    @model_validator(mode="after")
    def _once(self) -> "Run":
        if self.network and self.parameters:
            raise ValueError("parameters: follow from the network, and must not be typed")
        places = [(one.data, one.split, one.views) for one in self.results]
        if len(set(places)) < len(places):
            raise ValueError("results: two on the same pictures and views")
        return self

    def result(self, data: Data, split: Split, views: Views) -> Result:
        return next(one for one in self.results if (one.data, one.split, one.views) == (data, split, views))


class Pair(Strict):
    """Two results on the same pictures, of which the second is subtracted; `claim` states the difference, where one does."""

    what: Words
    run: str
    less: str
    data: Data
    split: Split
    views: tuple[Views, Views]
    claim: ClaimId | None = None

    @property
    def name(self) -> str:
        names = (self.run, self.less)
        if self.run == self.less:
            names = tuple(f"{self.run}, {views}" for views in self.views)
        return " − ".join(names)


@cache
def runs() -> dict[str, Run]:
    """Every run by its name in the release."""
    return {one.run: one for one in entries(FILE, Run, "run")}


@cache
def pairs() -> list[Pair]:
    """The differences that the paper states, and those that it could have, from run_pairs_2012.yaml."""
    return entries(FILE.with_name("run_pairs_2012.yaml"), Pair, "what")


def difference(pair: Pair) -> tuple[float, float]:
    """Top-1 and top-5 error of the first less those of the second, in points."""
    one = runs()[pair.run].result(pair.data, pair.split, pair.views[0])
    other = runs()[pair.less].result(pair.data, pair.split, pair.views[1])
    return tuple(round(one.percent(top) - other.percent(top), DIGITS) for top in get_args(Top))


def view_gains(top: Top) -> list[float]:
    """By how many points ten views are better than the centre view, for every run on ILSVRC-2012 that has both."""
    found = []
    for run in runs().values():
        errors = {one.views: one.percent(top) for one in run.results if one.data == "ILSVRC-2012"}
        if "centre" in errors and "ten" in errors:
            found.append(errors["centre"] - errors["ten"])
    return found
