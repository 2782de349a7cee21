"""One claim as a page of plain text: what the paper says, what follows or was measured, step by step, and the verdict."""

import textwrap
from collections.abc import Iterable

from replicate.errors import unknown
from replicate.evidence.measures import DERIVED, family
from replicate.evidence.measures_public import PUBLIC
from replicate.evidence.measures_records import FOLDER, origin, recorded
from replicate.evidence.measures_results import groups_needed
from replicate.evidence.measures_settings import NETWORK, Setup
from replicate.evidence.pipelines import needed
from replicate.evidence.results import Group, Sample, Verdict
from replicate.evidence.shown import accepted, said, shown
from replicate.evidence.verdicts import SMALL
from replicate.networks import load
from replicate.paper import Claim, claims
from replicate.report import data
from replicate.settings import Profile

WIDTH = 100


def explain(name: str, profile: Profile) -> str:
    """The page of the claim `name`, as it stands in a profile; an unknown name is an error with the nearest known one."""
    if name not in claims():
        raise unknown("claim", name, claims())
    claim = claims()[name]
    verdict = next(one for one in data.verdicts(profile) if one.id == name)
    parts = [
        [f"{claim.id} ({_place(claim.place)}; {claim.kind})", "", *_text(claim.says)],
        _head(claim),
        _evidence(claim, verdict, profile),
        [f"Verdict: {verdict.verdict}", *_text(_why(claim, verdict))],
        _second(claim),
        [f"Typed in replicate/paper/claims.yaml; judged in profile {profile.name}."],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _text(words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _listed(lines: Iterable[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, initial_indent="  - ", subsequent_indent="    ")]


def _head_line(words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, subsequent_indent="  ")


def _place(place: str) -> str:
    """`1; fig. 2` as `section 1; fig. 2`."""
    return "; ".join(f"section {part}" if part[:1].isdigit() else part for part in place.split("; "))


def _head(claim: Claim) -> list[str]:
    lines = _head_line(f"In figures: {said(claim)}") if said(claim) else []
    if counts := accepted(claim):
        lines += _head_line(f"What would agree: {counts}{f' ({claim.reason})' if claim.reason else ''}")
    return [*lines, f"Needs: {needed(claim, SMALL)}"]


def _evidence(claim: Claim, verdict: Verdict, profile: Profile) -> list[str]:
    if claim.measure is None:
        return []
    kind = family(claim.measure_name)
    if kind == "derived":
        return _derivation(claim, verdict)
    if kind == "public":
        public = PUBLIC[claim.measure_name](**claim.measure_arguments)
        return ["On public record:", *_listed(public.steps), *_head_line(f"That is: {shown(public.value, claim.unit)}")]
    if kind == "record":
        return _record(claim, verdict, profile)
    if kind == "setting" or (kind == "protocol" and verdict.measured):
        return _setting(claim, verdict, profile)
    return _trainings(claim, verdict, profile)


def _derivation(claim: Claim, verdict: Verdict) -> list[str]:
    found = DERIVED[claim.measure_name](**claim.measure_arguments)
    network = claim.measure_arguments.get("network")
    source = f", from replicate/networks/{network}.yaml" if network else ""
    least = "at least " if found.at_least else ""
    head = _head_line(f"Derivation{source}: {claim.derivation}")
    derived = _head_line(f"Derived: {least}{shown(found.value, claim.unit)}") if verdict.measured else []
    return [*head, *_listed(found.steps), *derived]


def _record(claim: Claim, verdict: Verdict, profile: Profile) -> list[str]:
    source = origin(claim.measure_name)
    record = recorded(profile.root).get(source.record)
    if record is None or not verdict.measured:
        return []
    made = record.provenance
    hashes = [f"sha256 of {name}: {digest}" for name, digest in record.values.get("sha256", {}).items()]
    lines = [f"{FOLDER}/{source.record}.json, by `{made.command}` at {made.started}, commit {made.commit}", *hashes]
    return ["Evidence:", *_listed(lines), f"Counted: {verdict.measured}" if hashes else f"Measured: {verdict.measured}"]


def _setting(claim: Claim, verdict: Verdict, profile: Profile) -> list[str]:
    """What the network `paper` has, where a network alone tells, and where this profile's own is to be found."""
    lines = []
    if claim.measure_name in NETWORK:
        ours = NETWORK[claim.measure_name](load("paper"), **claim.measure_arguments)
        lines.append(f"the network `paper` (replicate/networks/paper.yaml): {shown(ours, claim.unit)}")
    network = Setup.of(profile.settings).network.name
    params = profile.params_file.relative_to(profile.root)
    found = f": {verdict.measured}" if verdict.measured else ""
    lines.append(f"profile {profile.name}, with network {network!r} and the recipe in {params}, which the verdict is about{found}")
    if claim.departure:
        lines.append(f"left knowingly: {claim.departure}")
    return ["Where it is set:", *_listed(lines)]


def _trainings(claim: Claim, verdict: Verdict, profile: Profile) -> list[str]:
    """The numbers over seeds, and the errors of each training that they come from."""
    numbers = {name: one for name, one in verdict.values.items() if isinstance(one, dict) and "seeds" in one}
    lines = [_sample(name, Sample.model_validate(one)) for name, one in numbers.items()]
    if verdict.measured and not lines:
        lines.append(verdict.measured)
    if lines and data.has_results(profile):
        for group in data.results(profile).groups.values():
            if (group.run, group.network) in groups_needed(claim):
                lines += [_errors(group, key) for key in group.errors if key.startswith(claim.measure_arguments.get("views", ""))]
        lines.append(f"reports/{profile.name}/results.json, and the records beside it")
    return ["Evidence:", *_listed(lines)] if lines else []


def _errors(group: Group, key: str) -> str:
    found, (view, error) = group.errors[key], key.split(".")
    spread = "" if found.sd is None else f"; s.d. {found.sd:.2f} points"
    values = ", ".join(f"{value:.2f}" for value in found.values)
    views = "centre view" if view == "centre" else f"{view} views"
    return f"{', '.join(group.trainings)}: {shown({error: ''}).strip()} error, {views}: {values} %{spread}"


def _sample(name: str, one: Sample) -> str:
    spread = f", s.d. {' and '.join(f'{sd:.2f}' for sd in one.sds)}" if one.sds else ""
    interval = "" if one.low is None else f", 95 % interval {one.low:.2f} to {one.high:.2f}{spread}"
    chance = "" if one.chance_alone is None else f"; chance of the pictures alone: s.e. {one.chance_alone:.2f}"
    return f"{shown({name: ''}).strip()}: {one.mean:.2f} {one.unit}{interval}, {one.seeds}{chance}"


def _why(claim: Claim, verdict: Verdict) -> str:
    """The reason; of what was derived, where the derivation is the reason, what follows beside what would agree."""
    if not (claim.derivation and verdict.reason.startswith(claim.derivation)):
        return verdict.reason
    if verdict.verdict == "undecided":
        return "what follows is a lower bound, and below the paper's figure"
    beside = "within" if verdict.verdict == "agrees" else "not within"
    return f"{verdict.measured} is what follows, and that is {beside} what would agree"


def _second(claim: Claim) -> list[str]:
    if not claim.code_2012:
        return []
    status = f" ({claim.status_2012})" if claim.status_2012 else ""
    return [f"The 2012 code, its log and the public record{status}:", *_text(claim.code_2012)]
