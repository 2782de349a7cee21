"""Every measure by name: one function a kind of evidence. claims.yaml names them, with their arguments."""

import json
from collections.abc import Callable
from typing import Any

from replicate.errors import unknown
from replicate.evidence.measures_arithmetic import ARITHMETIC
from replicate.evidence.measures_curves import CURVES
from replicate.evidence.measures_definitions import DEFINITIONS
from replicate.evidence.measures_figures import FIGURES, RUNS
from replicate.evidence.measures_protocol import PROTOCOLS
from replicate.evidence.measures_public import PUBLIC
from replicate.evidence.measures_records import RECORDED
from replicate.evidence.measures_results import COUNTS, ERRORS, SINGLES
from replicate.evidence.measures_settings import SETTINGS
from replicate.evidence.results import Results, Sample
from replicate.evidence.samples import Missing, Unclear
from replicate.paper import Claim, claims

DERIVED = ARITHMETIC | DEFINITIONS
SAMPLES = ERRORS | CURVES | FIGURES

FAMILIES: dict[str, dict[str, Callable[..., Any]]] = {
    "derived": DERIVED,  # f(**arguments): a `Derived`, from the paper's own statements; needs nothing
    "setting": SETTINGS,  # f(setup, **arguments): read from a network and a recipe
    "public": PUBLIC,  # f(**arguments): a `Derived`, its steps the sources; published by others
    "protocol": PROTOCOLS,  # f(settings, **arguments): read from a profile's runs; None where it has none such
    "record": RECORDED,  # f(values): read from a record that belongs to no profile; None where it does not tell
    "count": COUNTS,  # f(results, **arguments): counted in the pictures of a profile
    "sample": SAMPLES,  # f(results, **arguments): numbers over seeds, each a `Sample`
    "runs": RUNS,  # f(results, **arguments): of each training, whether it shows it, a `Shown`
    "single": SINGLES,  # f(results, **arguments): numbers that have no spread
}


def names() -> list[str]:
    return [name for family in FAMILIES.values() for name in family]


def family(measure: str) -> str:
    """The family that `measure` belongs to."""
    for name, members in FAMILIES.items():
        if measure in members:
            return name
    raise unknown("measure", measure, names())


def sampled(claim: Claim, results: Results) -> dict[str, Sample]:
    """What a claim's measure of the family `sample` gives: as `compare` left it in the results, since new intervals need
    scipy. Raises Missing or Unclear."""
    kept = results.measured.get(_as_key(claim))
    return SAMPLES[claim.measure_name](results, **claim.measure_arguments) if kept is None else kept


def all_sampled(results: Results) -> dict[str, dict[str, Sample]]:
    """`Results.measured`: of every claim whose measure can be taken from these results."""
    found = {}
    for claim in claims().values():
        if claim.measure_name in SAMPLES:
            try:
                found[_as_key(claim)] = SAMPLES[claim.measure_name](results, **claim.measure_arguments)
            except (Missing, Unclear):
                continue
    return found


def _as_key(claim: Claim) -> str:
    return json.dumps(claim.measure, sort_keys=True)
