"""The rule: from a claim and what was measured to a verdict. One place, the words of `results.VERDICTS`.

- cited: another's result; hardware or times that are gone: cannot be checked.
- Arithmetic from the paper's own definitions: agrees within the tolerance, else paper is off.
- A setting that the profile's baseline follows: built as stated, which is no evidence. One that it does not: not run.
- A number over seeds, on data at full scale and with the paper's settings: the 95 % interval inside the tolerance
  agrees, outside differs, else undecided. With other settings an effect is undecided, an error rate not run. On
  smaller real data that the claim allows, the direction only. Undecided with fewer than 3 seeds a side, or where the
  interval of an effect covers zero.
- Drawn pictures never decide about a number. Without data: not run, with what would give it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from replicate.evidence.departures import Departure, departure, departures, follows
from replicate.evidence.measures import family
from replicate.evidence.measures_arithmetic import ARITHMETIC
from replicate.evidence.measures_results import COUNTS, SAMPLES, Missing, Sample, groups_needed
from replicate.evidence.measures_settings import NETWORK, Setup, read
from replicate.evidence.pipelines import how_to_get, needed, pipelines
from replicate.evidence.results import Results, Verdict
from replicate.evidence.shown import said, shown
from replicate.evidence.statistics import ENOUGH_SEEDS
from replicate.evidence.tolerance import band, within
from replicate.networks import load
from replicate.paper import Claim, claims
from replicate.paper.claims import GONE
from replicate.settings import Profile, Settings

SMALL = "imagenette"  # sources whose name begins so show the direction of an effect, where the claim allows it


@dataclass(frozen=True)
class Case:
    """What there is to judge from."""

    settings: Settings
    profile: str
    results: Results | None
    others: Mapping[str, Profile]

    @property
    def source(self) -> str:
        return self.settings.source.name

    @cached_property
    def classes(self) -> int | None:
        return self.results.groups[self.results.baseline].classes if self.results else None

    @cached_property
    def departures(self) -> list[Departure]:
        """Where this profile departs from the paper, other than where every profile does."""
        return [one for one in departures(self.settings, self.classes) if one.why is None]


def judge(
    settings: Settings, profile: str, results: Results | None, others: Mapping[str, Profile] | None = None
) -> list[Verdict]:
    """A verdict on every claim, in the order of the paper; without results, what can be said without trainings.

    `others` are the profiles that the advice "run COMMAND" chooses from (default: those of the clone).
    """
    case = Case(settings, profile, results, pipelines() if others is None else others)
    return [judge_claim(claim, case) for claim in claims().values()]


def judge_claim(claim: Claim, case: Case) -> Verdict:
    if claim.kind == "cited":
        return _verdict(claim, "cited", reason="published by others, not measured here")
    if gone := [need for need in claim.needs if need in GONE]:
        what = {"gtx580": "the graphics cards are gone", "past": "a matter of the year 2012"}[gone[0]]
        return _verdict(claim, "cannot be checked", reason=what)
    if claim.measure_name is None:
        data = "" if claim.needs == ["nothing"] else f"{needed(claim, SMALL)}, and "
        return _verdict(claim, "not run", reason=f"needs {data}a measure that this version does not have")
    rule = {"arithmetic": _arithmetic, "setting": _setting, "count": _count, "sample": _sample}
    return rule[family(claim.measure_name)](claim, case)


def _verdict(
    claim: Claim,
    verdict: str,
    measured: str = "",
    reason: str = "",
    n: int | None = None,
    values: dict[str, Any] | None = None,
) -> Verdict:
    return Verdict(
        id=claim.id, verdict=verdict, said=said(claim), measured=measured, reason=reason, n=n, values=values or {}
    )


def _arithmetic(claim: Claim, case: Case) -> Verdict:
    measured = ARITHMETIC[claim.measure_name](**claim.measure_arguments)
    agrees = within(claim.tolerance, claim.value, measured)
    return _verdict(
        claim,
        "agrees" if agrees else "paper is off",
        shown(measured, claim.unit),
        claim.derivation or "",
        values={"measured": measured},
    )


def _setting(claim: Claim, case: Case) -> Verdict:
    name, arguments = claim.measure_name, claim.measure_arguments
    here = read(name, Setup.of(case.settings, case.classes), **arguments)
    if here is None:
        return _verdict(claim, "not run", reason="known once the pictures are prepared and a training is evaluated")
    if name in NETWORK and claim.departure is None:
        ours = NETWORK[name](load("paper"), **arguments)  # a slip there would make every profile's claim to it hollow
        if not within(claim.tolerance, claim.value, ours):
            return _verdict(claim, "not run", reason=f"our network 'paper' departs: {shown(ours, claim.unit)}")
    if gone := departure(claim, case.settings, case.classes):
        why = f"; {gone.why}" if gone.why else ""
        run = next((f", run `{other.repro}`" for other in case.others.values() if follows(claim, other.settings)), "")
        return _verdict(claim, "not run", reason=f"this profile departs: {gone.here}{why}; needs the paper's setting{run}")
    if isinstance(claim.value, dict):
        here = {key: here[key] for key in claim.value}
    return _verdict(claim, "built as stated", shown(here, claim.unit), "a setting that is followed is no evidence")


def _without_data(claim: Claim, case: Case, why: str = "") -> Verdict:
    return _verdict(claim, "not run", reason=why + how_to_get(claim, groups_needed(claim), case.others, SMALL))


def _count(claim: Claim, case: Case) -> Verdict:
    if case.results is None or case.source not in claim.full_scale:
        return _without_data(claim, case)
    measured = COUNTS[claim.measure_name](case.results, **claim.measure_arguments)
    agrees = within(claim.tolerance, claim.value, measured)
    return _verdict(
        claim, "agrees" if agrees else "differs", shown(measured, claim.unit), "counted", values={"measured": measured}
    )


def _sample(claim: Claim, case: Case) -> Verdict:
    if case.settings.source.kind == "drawn":
        return _without_data(claim, case, "drawn pictures say nothing about it; ")
    small = SMALL in claim.needs and case.source.startswith(SMALL)
    if case.results is None or not (small or case.source in claim.full_scale):
        return _without_data(claim, case)
    try:
        samples = SAMPLES[claim.measure_name](case.results, **claim.measure_arguments)
    except Missing as missing:
        lacking = " and ".join(f"network {network!r} with run {run!r}" for run, network in missing.groups)
        return _without_data(claim, case, f"this profile trains no {lacking}; ")
    if not samples:
        return _without_data(claim, case, "the pictures have too few classes; ")
    if small:
        return _direction(claim, samples, f"on {case.source}, its size says nothing")
    if case.departures:
        why = (
            f"this profile departs from the paper in {len(case.departures)} settings ({case.departures[0].claim} first)"
        )
        if not all(sample.effect for sample in samples.values()):
            return _verdict(claim, "not run", reason=f"{why}, so its numbers are not the paper's")
        return _number(claim, "undecided", samples, f"{why}, so the size says nothing")
    return _size(claim, samples)


def _direction(claim: Claim, samples: dict[str, Sample], why: str) -> Verdict:
    """The sign of the first error (top-1), which the others follow; with ten classes top-5 is another quantity."""
    sample = next(iter(samples.values()))
    if doubt := _doubt(sample):
        return _number(claim, "undecided", samples, doubt)
    verdict = "same direction at smaller scale" if sample.mean > 0 else "opposite direction"
    return _number(claim, verdict, samples, why)


def _size(claim: Claim, samples: dict[str, Sample]) -> Verdict:
    """Every interval inside the tolerance agrees, one outside differs, anything else is undecided."""
    words = []
    for name, sample in samples.items():
        if doubt := _doubt(sample):
            return _number(claim, "undecided", samples, doubt)
        value = claim.value.get(name) if isinstance(claim.value, dict) else claim.value
        low, high = band(claim.tolerance, value, name)
        inside = low <= sample.low and sample.high <= high
        outside = sample.high < low or high < sample.low
        words.append("agrees" if inside else "differs" if outside else "")
    if "differs" in words:
        return _number(claim, "differs", samples, "the interval lies outside the tolerance")
    if all(words):
        return _number(claim, "agrees", samples, "the interval lies inside the tolerance")
    return _number(claim, "undecided", samples, "the interval reaches across the edge of the tolerance")


def _doubt(sample: Sample) -> str | None:
    """Why nothing can be said, if so."""
    if sample.n < ENOUGH_SEEDS:
        return f"{sample.seeds}; a verdict needs {ENOUGH_SEEDS} a side"
    if sample.low is None:
        return "the seeds do not differ at all, so the spread is unknown"
    if sample.effect and sample.low <= 0 <= sample.high:
        return "the interval covers zero"
    return None


def _number(claim: Claim, verdict: str, samples: dict[str, Sample], reason: str) -> Verdict:
    parts = []
    for name, sample in samples.items():
        unit = "points" if sample.effect else "%"
        interval = "" if sample.low is None else f" ({sample.low:.2f} to {sample.high:.2f})"
        parts.append(f"{shown({name: ''}).strip()} {sample.mean:.2f} {unit}{interval}")
    first = next(iter(samples.values()))
    measured = f"{', '.join(parts)}; {first.seeds}"
    values = {name: vars(sample) for name, sample in samples.items()}
    return _verdict(claim, verdict, measured, reason, first.n, values)
