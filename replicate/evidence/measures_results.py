"""Measures that need trained networks: errors and their differences over seeds, in percent and points."""

from collections.abc import Callable
from dataclasses import dataclass

from replicate.evidence.results import Difference, Estimate, Group, Results
from replicate.evidence.statistics import binomial_se
from replicate.evidence.statistics import difference as welch
from replicate.paper import Claim

BASE = ("base", "paper")  # run and network of the paper's own net: what the ablations are compared with


class Missing(Exception):
    """Results hold no trainings of these (run, network)."""

    def __init__(self, groups: list[tuple[str, str]]):
        self.groups = groups


@dataclass(frozen=True)
class Sample:
    """One number over seeds with its 95 % interval. `n` counts the seeds of the smaller side.

    `effect` says that zero means no effect; `seeds` is n in words.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    seeds: str
    effect: bool
    chance_alone: float | None = None


def _group(results: Results, run: str, network: str) -> Group:
    found = [group for group in results.groups.values() if (group.run, group.network) == (run, network)]
    if not found:
        raise Missing([(run, network)])
    return found[0]


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"


def _sample(found: Estimate, effect: bool, chance_alone: float | None = None) -> Sample:
    n = len(found.values)
    known = found.sd is not None and found.sd > 0  # seeds that do not differ at all tell nothing of the spread
    return Sample(
        found.mean, found.low if known else None, found.high if known else None, n, _seeds(n), effect, chance_alone
    )


def errors(results: Results, run: str, network: str, views: str, errors: list[str]) -> dict[str, Sample]:
    """Error rates of one training's seeds, in percent."""
    group = _group(results, run, network)
    found = {name: group.errors[f"{views}.{name}"] for name in errors if f"{views}.{name}" in group.errors}
    return {name: _sample(value, False, binomial_se(value.mean, group.pictures)) for name, value in found.items()}


def difference(results: Results, run: str, network: str, views: str, errors: list[str]) -> dict[str, Sample]:
    """Error of an ablation less that of the paper's net, in points: positive where the ablation is worse."""
    group, base = _group(results, run, network), _group(results, *BASE)
    keys = {name: f"{views}.{name}" for name in errors}
    keys = {name: key for name, key in keys.items() if key in group.errors and key in base.errors}
    if results.groups[results.baseline] is base:
        found: dict[str, Difference] = {name: group.differences[key] for name, key in keys.items()}
    else:  # a profile may compare its trainings with another net than the paper's
        found = {name: welch(group.errors[key].values, base.errors[key].values) for name, key in keys.items()}
    return {
        name: Sample(d.mean, d.low, d.high, min(d.n, d.n_baseline), f"{_seeds(d.n)} against {d.n_baseline}", True)
        for name, d in found.items()
    }


def view_gain(results: Results, run: str, network: str, errors: list[str]) -> dict[str, Sample]:
    """Error of the centre view less that of the ten views, seed by seed, in points."""
    group = _group(results, run, network)
    return {name: _sample(group.view_gain[name], True) for name in errors if name in group.view_gain}


def validation_pictures(results: Results) -> int:
    """Pictures on which the baseline's errors were measured."""
    return results.groups[results.baseline].pictures


def groups_needed(claim: Claim) -> list[tuple[str, str]]:
    """The (run, network) whose trainings a claim's measure reads."""
    arguments = claim.measure_arguments
    if "network" not in arguments:
        return []
    own = (arguments["run"], arguments["network"])
    return [own, BASE] if claim.measure_name == "difference" and own != BASE else [own]


SAMPLES: dict[str, Callable[..., dict[str, Sample]]] = {f.__name__: f for f in (errors, difference, view_gain)}
COUNTS: dict[str, Callable[..., int]] = {f.__name__: f for f in (validation_pictures,)}
