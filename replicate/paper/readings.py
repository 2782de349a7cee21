"""How the first layer has been read, so that 224 or 227 pixels do or do not give the maps of Figure 2."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from replicate.errors import UserError
from replicate.files import parse, read_yaml
from replicate.settings import Strict

FILE = Path(__file__).with_name("conv1_readings.yaml")


class Reading(Strict):
    """One reading; `zeros` are rows and columns (before, after) the picture, `where` says who reads it so."""

    id: str
    side: PositiveInt
    zeros: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
    conv_rounding: Literal["up", "down"]
    pool_rounding: Literal["up", "down"]
    where: str


@cache
def readings() -> list[Reading]:
    found = [parse(Reading, entry, f"{FILE.name}: entry {n}") for n, entry in enumerate(read_yaml(FILE), 1)]
    ids = [reading.id for reading in found]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise UserError(f"{FILE.name}: id {sorted(twice)[0]!r} twice")
    return found
