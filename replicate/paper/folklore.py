"""What popular accounts say of the paper, whether it is right, and what shows it, from folklore.yaml."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from replicate.paper.entries import Words, entries
from replicate.settings import Strict

FILE = Path(__file__).with_name("folklore.yaml")


class Tale(Strict):
    """`shown_by`: functions of replicate/evidence/folklore.py by name with their arguments; `citation` where none can show it."""

    says: Words
    verdict: Literal["right", "half right", "wrong", "cannot be told"]
    right: Words
    shown_by: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]


@cache
def tales() -> list[Tale]:
    return entries(FILE, Tale, "says")
