"""The ensembles that claims ask for: errors of several trainings' averaged probabilities (section 6, table 2)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from replicate.evaluation.scores import ensemble, error_rates, read_predictions
from replicate.evidence.results import Group
from replicate.evidence.samples import Member, members
from replicate.paper import claims
from replicate.settings import Profile

VIEWS = ("centre", "ten")


def errors(predictions: list[Path]) -> dict[str, float]:
    """Errors in percent of the averaged probabilities of these trainings, by `VIEWS.ERROR`."""
    labels, found = read_predictions(predictions[0]).labels, {}
    for view in VIEWS:
        # One network's probabilities at a time: 50,000 pictures of 1000 classes are 200 MB.
        rates = error_rates(ensemble(getattr(read_predictions(path), view) for path in predictions), labels)
        found |= {f"{view}.{error}": rate for error, rate in rates.items() if rate is not None}
    return found


def asked_for(profile: Profile, groups: Mapping[str, Group]) -> dict[str, dict[str, float]]:
    """`errors` of each ensemble in claims.yaml whose members are all there, keyed by its members in words."""
    found = {}
    for claim in claims().values():
        if claim.measure_name == "ensemble":
            of: list[Member] = claim.measure_arguments["of"]
            parts = [_trainings(groups.values(), member) for member in of]
            if all(parts):
                found[members(of)] = errors([profile.predictions(name) for part in parts for name in part])
    return found


def _trainings(groups: Iterable[Group], member: Member) -> list[str]:
    """The first seeds of a member; empty where there are fewer than it names."""
    for one in groups:
        if (one.run, one.network) == (member["run"], member["network"]) and len(one.trainings) >= member["seeds"]:
            return one.trainings[: member["seeds"]]
    return []
