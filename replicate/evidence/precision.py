"""Does another precision change results? Trainings that differ from the baseline's in nothing else, paired by seed.

Both of a pair start from the same weights, see the same pictures and drop the same units, so that pairs need fewer seeds
than two independent groups to show a difference.
"""

from collections.abc import Mapping
from typing import NamedTuple

from replicate.evidence.results import Group, Paired, Precision
from replicate.evidence.statistics import paired
from replicate.settings import Settings

REFERENCE = "float32"
ERRORS = ("ten.top1", "centre.top1")
MARGIN = 2.0  # points of top-1 error that count as no change
ENOUGH_PAIRS = 5


class Default(NamedTuple):
    """The precision of runs that are judged, and why."""

    precision: str
    why: str


def departing(settings: Settings) -> dict[str, str]:
    """The groups that depart from the baseline in the recipe's precision and in nothing else: {group: its precision}."""
    setups = {name: _setup(settings, trainings[0]) for name, trainings in settings.groups().items()}
    base = setups[settings.baseline]
    return {
        name: setup["precision"]
        for name, setup in setups.items()
        if [key for key in setup if setup[key] != base[key]] == ["precision"]
    }


def _setup(settings: Settings, training: str) -> dict:
    """All that defines a training but its seed, by key."""
    one = settings.trainings[training]
    return settings.recipe_of(one.run).model_dump() | {"network": one.network}


def pairs(settings: Settings, groups: Mapping[str, Group]) -> dict[str, Precision]:
    """Such groups against the baseline, on the seeds that both have; one that shares no seed is left out."""
    base, found = groups[settings.baseline], {}
    for name, precision in departing(settings).items():
        seeds = [seed for seed in groups[name].seeds if seed in base.seeds]
        if seeds:
            sides = {key: [errors_of(one, key, seeds) for one in (groups[name], base)] for key in ERRORS}
            found[name] = Precision(
                precision=precision,
                baseline=_setup(settings, base.trainings[0])["precision"],
                seeds=seeds,
                differences={key: paired(*both) for key, both in sides.items()},
            )
    return found


def errors_of(group: Group, key: str, seeds: list[int]) -> list[float]:
    """In percent, seed by seed."""
    by_seed = dict(zip(group.seeds, group.errors[key].values, strict=True))
    return [by_seed[seed] for seed in seeds]


def within(one: Paired) -> bool | None:
    """Does the whole interval lie within the margin about zero? None where there is no interval."""
    return None if one.low is None else -MARGIN <= one.low and one.high <= MARGIN


def default(found: Precision, drawn: bool) -> Default:
    """`drawn`: the pictures were drawn, which decides about no number."""
    other = found.precision if found.precision != REFERENCE else found.baseline
    outside = [key for key, one in found.differences.items() if within(one) is False]
    if drawn:
        return Default(REFERENCE, "drawn pictures decide nothing")
    if len(found.seeds) < ENOUGH_PAIRS:
        return Default(REFERENCE, f"{len(found.seeds)} pairs of trainings, and {ENOUGH_PAIRS} are needed")
    if any(within(one) is None for one in found.differences.values()):
        return Default(REFERENCE, "all pairs differ by the same amount, so that the spread is unknown")
    if outside:
        return Default(REFERENCE, f"{len(outside)} of {len(found.differences)} intervals reach beyond ±{MARGIN:g} points")
    return Default(other, f"every interval lies within ±{MARGIN:g} points")
