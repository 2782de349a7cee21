"""Lists of entries in YAML, read as one model: what runs, ensembles, reproductions, comparisons and folklore share."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from replicate.errors import UserError
from replicate.files import parse, read_yaml
from replicate.paper.claims import claims
from replicate.settings import Strict

Entry = TypeVar("Entry", bound=Strict)

Words = Annotated[str, Field(min_length=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]  # an error as a share of all pictures, which is how logs print it
Percent = Annotated[float, Field(gt=0, lt=100)]


def _a_claim(name: str) -> str:
    if name not in claims():
        raise ValueError("no claim has this id")
    return name


ClaimId = Annotated[str, AfterValidator(_a_claim)]


def entries(file: Path, model: type[Entry], key: str) -> list[Entry]:
    """The entries of a file in its order; a fault is one line with file, entry and reason, `key` given twice among them."""
    listed = read_yaml(file)
    if not isinstance(listed, list):
        raise UserError(f"{file.name}: must be a list")
    found: dict[str, Entry] = {}
    for number, entry in enumerate(listed, 1):
        name = entry.get(key) if isinstance(entry, dict) else None
        one = parse(model, entry, f"{file.name}: {name or f'entry {number}'}")
        if getattr(one, key) in found:
            raise UserError(f"{file.name}: {key} {getattr(one, key)!r} twice")
        found[getattr(one, key)] = one
    return list(found.values())
