"""Measures that need trained networks: errors and their differences over seeds, in percent and points."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from replicate.evidence.results import Group, Results, Sample
from replicate.evidence.samples import (
    POINTS, Member, Missing, Trainings, against, group, members, of_seeds, of_two, weakest_first,
)  # fmt: skip
from replicate.evidence.statistics import binomial_se
from replicate.evidence.statistics import difference as welch
from replicate.paper import Claim

BASE = Trainings(run="base", network="paper")  # the paper's own net: what the ablations are compared with


def errors(results: Results, run: str, network: str, views: str, errors: list[str]) -> dict[str, Sample]:
    """Error rates of one training's seeds, in percent."""
    return _rates(group(results, run, network), views, errors)


def _rates(one: Group, views: str, errors: list[str]) -> dict[str, Sample]:
    found = {name: one.errors[f"{views}.{name}"] for name in errors if f"{views}.{name}" in one.errors}
    return {name: of_seeds(rate, chance_alone=binomial_se(rate.mean, one.pictures)) for name, rate in found.items()}


def errors_of(results: Results, of: dict[str, Trainings], views: str, error: str) -> dict[str, Sample]:
    """One error rate of several networks, in percent."""
    return {name: _rates(group(results, **one), views, [error])[error] for name, one in of.items()}


def difference(results: Results, run: str, network: str, views: str, errors: list[str]) -> dict[str, Sample]:
    """Error of an ablation less that of the paper's net, in points: positive where the ablation is worse."""
    one, base = group(results, run, network), group(results, **BASE)
    keys = {name: f"{views}.{name}" for name in errors}
    keys = {name: key for name, key in keys.items() if key in one.errors and key in base.errors}
    if results.groups[results.baseline] is base:
        found = {name: one.differences[key] for name, key in keys.items()}
    else:  # a profile may compare its trainings with another net than the paper's
        found = {name: welch(one.errors[key].values, base.errors[key].values) for name, key in keys.items()}
    return {name: of_two(value, unit=POINTS, no_effect=0) for name, value in found.items()}


def gains(results: Results, of: dict[str, Trainings], than: Trainings, views: str, error: str) -> dict[str, Sample]:
    """Error of each of several trainings less that of `than`, in points; the smallest first, for all must be positive."""
    return weakest_first({name: against(_values(views, error), results, one, than) for name, one in of.items()})


def order(results: Results, run: str, networks: list[str], views: str, error: str) -> dict[str, Sample]:
    """Error of each network less that of the next one, in points; the smallest first, for all must be positive."""
    trainings = {name: Trainings(run=run, network=name) for name in networks}
    steps = {f"{a} less {b}": (trainings[a], trainings[b]) for a, b in pairwise(networks)}
    return weakest_first({name: against(_values(views, error), results, *pair) for name, pair in steps.items()})


def change(results: Results, run: str, network: str, than: Trainings, views: str, errors: list[str]) -> dict[str, Sample]:
    """Error of some trainings less that of `than`, in points, where the claim is that there is none to speak of."""
    ours = Trainings(run=run, network=network)
    found = {error: against(_values(views, error), results, ours, than) for error in errors}
    return {error: sample.model_copy(update={"no_effect": None}) for error, sample in found.items()}


def _values(views: str, error: str) -> Callable[[Group], list[float]]:
    def values(one: Group) -> list[float]:
        if f"{views}.{error}" not in one.errors:
            raise Missing("the pictures have too few classes")
        return one.errors[f"{views}.{error}"].values

    return values


def view_gain(results: Results, run: str, network: str, errors: list[str]) -> dict[str, Sample]:
    """Error of the centre view less that of the ten views, seed by seed, in points."""
    one = group(results, run, network)
    return {name: of_seeds(one.view_gain[name], unit=POINTS, no_effect=0) for name in errors if name in one.view_gain}


def release_size(results: Results) -> dict[str, int]:
    """Categories and pictures of a release of which half of the pictures are for validation (Fall 2009, section 6)."""
    base = results.groups[results.baseline]
    return {"categories": base.classes, "images": 2 * base.pictures}


def ensemble(results: Results, of: list[Member], views: str, errors: dict[str, str]) -> dict[str, float]:
    """Errors of the averaged probabilities of several trainings, in percent: of the validation pictures, by the names
    that the claim gives them. One number each, without a spread."""
    for member in of:
        if len(group(results, member["run"], member["network"]).seeds) < member["seeds"]:
            raise Missing(f"an ensemble needs {members([member])}, and there are fewer")
    found = results.ensembles.get(members(of))
    if found is None:
        raise Missing("the results do not hold the ensemble")
    return {name: found[f"{views}.{error}"] for name, error in errors.items() if f"{views}.{error}" in found}


def groups_needed(claim: Claim) -> list[tuple[str, str]]:
    """The (run, network) whose trainings a claim's measure reads: all that its arguments name, and the paper's net."""
    arguments = claim.measure_arguments
    named = [{"run": arguments["run"], "network": name} for name in arguments.get("networks", [])]
    found = [(one["run"], one["network"]) for one in [*_trainings(arguments), *named]]
    if claim.measure_name == difference.__name__:
        found.append((BASE["run"], BASE["network"]))
    return list(dict.fromkeys(found))


def _trainings(value: Any) -> list[dict[str, Any]]:
    """Every mapping that names a run and a network, however deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    own = [value] if isinstance(value, dict) and {"run", "network"} <= set(value) else []
    return own + [one for part in inner for one in _trainings(part)]


ERRORS: dict[str, Callable[..., dict[str, Sample]]] = {
    f.__name__: f for f in (errors, errors_of, difference, gains, order, change, view_gain)
}
COUNTS: dict[str, Callable[..., dict[str, int]]] = {f.__name__: f for f in (release_size,)}
SINGLES: dict[str, Callable[..., dict[str, float]]] = {f.__name__: f for f in (ensemble,)}
