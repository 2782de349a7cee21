"""Where a profile departs from what the paper says of network and training: rows of the table `departures`."""

from dataclasses import dataclass
from typing import Any

from replicate.evidence.measures import family
from replicate.evidence.measures_settings import Setup, read
from replicate.evidence.shown import shown
from replicate.evidence.tolerance import within
from replicate.paper import Claim, claims
from replicate.settings import Settings


@dataclass(frozen=True)
class Departure:
    """`paper` and `here` are printed as they stand. `why`: the reason, where every profile departs knowingly."""

    claim: str
    place: str
    what: str
    paper: str
    here: str
    why: str | None


def departures(settings: Settings, classes: int | None = None) -> list[Departure]:
    """Every claim about a setting that the profile's baseline does not follow, in the order of the paper.

    `classes` is what was counted, where results are there; without it the number of classes of a folder is unknown.
    """
    found = [departure(claim, settings, classes) for claim in claims().values() if is_setting(claim)]
    return [one for one in found if one is not None]


def is_setting(claim: Claim) -> bool:
    return claim.measure_name is not None and family(claim.measure_name) == "setting"


def departure(claim: Claim, settings: Settings, classes: int | None = None) -> Departure | None:
    """How the profile's baseline departs from one setting; None where it follows it, or where nobody can tell yet."""
    here = read(claim.measure_name, Setup.of(settings, classes), **claim.measure_arguments)
    if here is None or within(claim.tolerance, claim.value, here):
        return None
    says, does = _parting(claim, claim.value, here)
    return Departure(
        claim.id, claim.place, claim.says, shown(says, claim.unit), shown(does, claim.unit), claim.departure
    )


def follows(claim: Claim, settings: Settings) -> bool:
    """Does a profile's baseline have a setting for sure? False where only its pictures could tell."""
    here = read(claim.measure_name, Setup.of(settings), **claim.measure_arguments)
    return here is not None and within(claim.tolerance, claim.value, here)


def _parting(claim: Claim, says: Any, does: Any) -> tuple[Any, Any]:
    """Of two mappings what differs, else both whole. A missing key shows as none."""
    if not (isinstance(says, dict) and isinstance(does, dict)):
        return says, does
    keys = [key for key in says if key not in does or not within(claim.tolerance, says[key], does[key])]
    return {key: says[key] for key in keys}, {key: does.get(key, "none") for key in keys}
