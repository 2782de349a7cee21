"""What the measures of trained networks share: finding trainings, and numbers over seeds with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from replicate.evidence.results import Difference, Estimate, Group, Results, Sample
from replicate.evidence.statistics import difference, estimate

POINTS, TIMES = "points", "times"


class Trainings(TypedDict):
    """Which trainings, as claims.yaml names them."""

    run: str
    network: str


class Member(Trainings):
    """The first so many seeds of some trainings, as members of an ensemble."""

    seeds: int


class Shown(NamedTuple):
    """Whether a training shows what every one is said to show, and what was found in it, in words."""

    yes: bool
    found: str


class Missing(Exception):
    """Results do not hold what a measure reads."""


class Unclear(Exception):
    """The trainings are there and still cannot tell; the text says why."""


def group(results: Results, run: str, network: str) -> Group:
    for one in results.groups.values():
        if (one.run, one.network) == (run, network):
            return one
    raise Missing(f"this profile trains no network {network!r} with run {run!r}")


def key(value: Mapping[str, Any], name: str, of: Group) -> Any:
    """`value[name]` of a field of `of`, which results of an older version lack."""
    if name not in value:
        raise not_measured(of)
    return value[name]


def not_measured(of: Group) -> Missing:
    return Missing(f"the results of network {of.network!r} with run {of.run!r} were made before this was measured")


def in_words(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"


def members(of: list[Member]) -> str:
    """An ensemble in words, which are its key in the results."""
    return " + ".join(f"{one['seeds']} x {one['network']} ({one['run']})" for one in of)


def of_seeds(found: Estimate, **more: Any) -> Sample:
    n = len(found.values)
    known = found.sd is not None and found.sd > 0  # seeds that do not differ at all tell nothing of the spread
    low, high = (found.low, found.high) if known else (None, None)
    sds = [found.sd] if known else []
    return Sample(mean=found.mean, low=low, high=high, n=n, seeds=in_words(n), sds=sds, **more)


def of_values(values: Sequence[float], **more: Any) -> Sample:
    """From one number a seed."""
    return of_seeds(estimate(values), **more)


def of_two(found: Difference, **more: Any) -> Sample:
    n = min(found.n, found.n_baseline)
    seeds = f"{in_words(found.n)} against {found.n_baseline}"
    return Sample(mean=found.mean, low=found.low, high=found.high, n=n, seeds=seeds, sds=found.sds, **more)


def against(number: Callable[[Group], Sequence[float]], results: Results, ours: Trainings, other: Trainings) -> Sample:
    """A number of each training, `ours` less `other`, in points."""
    sides = [number(group(results, **side)) for side in (ours, other)]
    return of_two(difference(*sides), unit=POINTS, no_effect=0)


def weakest_first(samples: dict[str, Sample]) -> dict[str, Sample]:
    """For claims of which every part must hold: the rule looks at the first where it looks at one."""

    def strength(sample: Sample) -> tuple[bool, float]:
        return (True, sample.low - (sample.no_effect or 0)) if sample.low is not None else (False, sample.mean)

    return dict(sorted(samples.items(), key=lambda item: strength(item[1])))
