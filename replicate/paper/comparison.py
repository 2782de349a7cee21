"""The items in which text, code and libraries are compared, from text_vs_code.yaml."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from replicate.paper.entries import ClaimId, Words, entries
from replicate.paper.runs import runs
from replicate.settings import Strict

FILE = Path(__file__).with_name("text_vs_code.yaml")

Column = Literal["paper", "code145", "caffe", "caffenet", "torchvision", "cuda-convnet2"]
COLUMNS: tuple[Column, ...] = ("paper", "code145", "caffe", "caffenet", "torchvision", "cuda-convnet2")  # networks by name
TEXT, CODE = COLUMNS[:2]


class Cell(Strict):
    """What a column says: as typed, or what a statement of the paper says, or the epochs after which runs stopped.

    `words` stand for a statement that has no value, or are shorter.
    """

    typed: Words | None = None
    claim: ClaimId | None = None
    words: Words | None = None
    stopped: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return {"typed": value} if isinstance(value, str) else value

    @field_validator("stopped")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if lost := [run for run in value if run not in runs() or runs()[run].stopped is None]:
            raise ValueError(f"runs_2012.yaml does not say when run {lost[0]!r} stopped")
        return value

    @model_validator(mode="after")
    def _one(self) -> "Cell":
        if sum(one is not None for one in (self.typed, self.claim, self.stopped)) != 1 or (self.words and not self.claim):
            raise ValueError("give text, or a claim (with words), or stopped")
        if self.words and any(character.isdigit() for character in self.words):
            raise ValueError("words: the claim has the number")
        return self


class Item(Strict):
    """Either `read`, one reader of the networks' descriptions with its arguments, or `values`, a column each."""

    item: Words
    read: Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)] | None = None
    values: dict[Column, Cell] = {}
    effect: str = ""
    evidence: Words

    @model_validator(mode="after")
    def _one_of_two(self) -> "Item":
        if (self.read is None) == (not self.values):
            raise ValueError("give either read or values")
        paper = self.values.get("paper")
        if paper and paper.typed and any(character.isdigit() for character in paper.typed):
            raise ValueError("values.paper: a number of the paper is a claim's; name the claim")
        return self


@cache
def items() -> list[Item]:
    return entries(FILE, Item, "item")
