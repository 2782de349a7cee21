"""The registry of claims: every number of the paper and what would count as agreement with it, from claims.yaml."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from replicate.errors import UserError
from replicate.files import parse, read_yaml
from replicate.settings import Strict

FILE = Path(__file__).with_name("claims.yaml")

Scalar = bool | int | float | str
Value = Scalar | list[Scalar] | dict[str, Scalar | list[Scalar]]

FULL_SCALE = ("cifar10", "ilsvrc2010", "ilsvrc2012", "fall2009", "fall2011")  # data on which a number can be judged
GONE = ("gtx580", "past", "judgement", "unsaid")  # hardware, the year 2012, what the authors saw, and what they leave out

Need = Literal[
    "nothing", "gpu", "cifar10", "imagenette", "ilsvrc2010", "ilsvrc2012", "fall2009", "fall2011", "gtx580", "past",
    "judgement", "unsaid",
]  # fmt: skip

Status2012 = Literal["log agrees", "record agrees", "code agrees", "log differs", "record differs", "code differs"]


class Tolerance(Strict):
    """Exactly one of these. `rel` is a share of the value; `abs`, `range` and `bound` are in its unit.

    `range` is inclusive, and `null` leaves a side open. `sign` asks for an effect in the claimed direction only.
    """

    exact: Literal[True] | None = None
    rel: PositiveFloat | None = None
    abs: PositiveFloat | dict[str, PositiveFloat] | None = None
    range: tuple[float | None, float | None] | None = None
    sign: Literal["positive"] | None = None
    bound: Literal["at most", "more than"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"exact": True} if value == "exact" else value

    @model_validator(mode="after")
    def _one(self) -> "Tolerance":
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of exact, rel, abs, range, sign, bound")
        if (
            self.range is not None
            and self.range[0] is not None
            and self.range[1] is not None
            and self.range[0] > self.range[1]
        ):
            raise ValueError("range: the first end is above the second")
        return self


class Claim(Strict):
    """One statement of the paper. The fields are described at the head of claims.yaml."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    place: Annotated[str, Field(min_length=1)]
    says: Annotated[str, Field(min_length=1)]
    value: Value | None = None
    unit: str = ""
    kind: Literal["exact", "arithmetic", "timing", "statistical", "qualitative", "cited"]
    needs: Annotated[list[Need], Field(min_length=1)]
    tolerance: Tolerance
    reason: str | None = None
    measure: dict[str, dict[str, Any]] | None = None
    held_by: Annotated[str, Field(pattern=r"^tests/[a-z0-9_/]+\.py::test_[a-z0-9_]+$")] | None = None
    derivation: str | None = None
    choice: str | None = None
    open: str | None = None
    departure: str | None = None
    code_2012: str | None = None
    status_2012: Status2012 | None = None

    @field_validator("value")
    @classmethod
    def _finite(cls, value: Value | None) -> Value | None:
        if isinstance(value, float) and value != value:
            raise ValueError("is not a number")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Claim":
        if not self.tolerance.exact and not self.reason:
            raise ValueError("reason: a tolerance other than exact needs one")
        if self.measure is not None and len(self.measure) != 1:
            raise ValueError("measure: give one name with its arguments")
        if self.measure and self.held_by:
            raise ValueError("held_by: there is a measure, which decides it")
        if not (self.measure or self.held_by or self.kind == "cited" or set(self.needs) & set(GONE)):
            raise ValueError("measure: nothing decides it")
        if self.status_2012 and not self.code_2012:
            raise ValueError("status_2012: code_2012 must say what it is about")
        if "nothing" in self.needs and len(self.needs) > 1:
            raise ValueError("needs: nothing and something")
        by_value = self.tolerance.exact or self.tolerance.rel or self.tolerance.abs or self.tolerance.bound
        if self.measure is not None and self.value is None and by_value:
            raise ValueError("value: the tolerance is about a value, and there is none")
        return self

    @property
    def places(self) -> list[str]:
        """Where it stands, one by one: sections, figures, tables, footnotes."""
        return re.split(r"; | against | (?=footnote)", self.place)

    def stands_in(self, section: str) -> bool:
        """`3` is section 3 with all its parts; figures and tables are called as in `place`: `fig. 2`."""
        return any(place == section or place.startswith(f"{section}.") for place in self.places)

    @property
    def measure_name(self) -> str | None:
        return next(iter(self.measure)) if self.measure else None

    @property
    def measure_arguments(self) -> dict[str, Any]:
        return dict(next(iter(self.measure.values()))) if self.measure else {}

    @property
    def full_scale(self) -> list[str]:
        """The sources on which its numbers can be judged."""
        return [need for need in self.needs if need in FULL_SCALE]


def load(file: Path) -> dict[str, Claim]:
    """The claims of a file by id, in its order; a fault is one line with file, claim and reason."""
    entries = read_yaml(file)
    if not isinstance(entries, list):
        raise UserError(f"{file.name}: must be a list of claims")
    found: dict[str, Claim] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("id") if isinstance(entry, dict) else None
        claim = parse(Claim, entry, f"{file.name}: {name or f'entry {number}'}")
        if claim.id in found:
            raise UserError(f"{file.name}: id {claim.id!r} twice")
        found[claim.id] = claim
    return found


@cache
def claims() -> dict[str, Claim]:
    """Every claim of the paper by id, in the order of the paper."""
    return load(FILE)
