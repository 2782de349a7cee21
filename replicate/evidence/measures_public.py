"""Measures that read what others have published: the contest's results page, ImageNet's own counts. Values with their source."""

from typing import Any

from replicate.evidence.derived import Derived
from replicate.paper.ensembles import Ensemble, ensembles

PAGE = "the contest's results page (image-net.org/challenges/LSVRC/2012/results.html)"


def published(value: Any, source: str) -> Derived:
    """A figure that the claim itself quotes."""
    return Derived(value, [source])


def _entry(claim: str) -> Ensemble:
    return next(one for one in ensembles() if one.claim == claim)


def contest_errors(of: dict[str, str]) -> Derived:
    """Top-5 errors on the test pictures of 2012, in percent, of the entries behind rows of table 2."""
    found = {name: _entry(claim) for name, claim in of.items()}
    steps = [PAGE, *(f"{entry.file}: {entry.test_top5}" for entry in found.values())]
    return Derived({name: 100 * entry.test_top5 for name, entry in found.items()}, steps)


def contest_members(of: str, beside: str) -> Derived:
    """Which nets the entry behind a row of table 2 averages, by its file's name: those of another row, and the others by what
    they were trained on before."""
    entry, other = _entry(of), _entry(beside)
    shared = {member.run for member in other.members}
    found = {"as in the row above": sum(member.run in shared for member in entry.members)}
    for member in entry.members:
        if member.run not in shared:
            key = f"pre-trained on {member.pretrained}"
            found[key] = found.get(key, 0) + 1
    return Derived(found, [f"{PAGE}, names of files", entry.file, other.file])


PUBLIC = {measure.__name__: measure for measure in (published, contest_errors, contest_members)}
