"""The rule: from a claim and what was measured to a verdict. One place, the words of `results.VERDICTS`.

- cited: another's result; hardware or times that are gone: cannot be checked.
- Derived from the paper's own statements: agrees within the tolerance, else paper is off; a lower bound that falls short
  of the statement leaves it undecided.
- What the public record says otherwise: differs. Counted in the contest's own files: agrees or differs.
- A setting that the profile's baseline follows, or that a test holds in every training: built as stated, which is no
  evidence. One that the baseline does not follow: not run.
- A number over seeds, on data at full scale and with the paper's settings: the 95 % interval inside the tolerance
  agrees, outside differs, else undecided. With other settings an effect is undecided, an error rate not run. On
  smaller real data that the claim allows, the direction only. Undecided with fewer than 3 seeds a side, or where the
  interval of an effect covers the value that means none.
- What every run is said to show: agrees where all of at least 3 do, differs where one does not.
- An ensemble's error is one number without a spread, and where something else than what is meant was measured (`open`)
  the number is of that: undecided, with the number.
- Drawn pictures never decide about a number. Without data: not run, with what would give it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from replicate.evidence.departures import Departure, departure, departures, follows
from replicate.evidence.measures import COUNTS, DERIVED, RUNS, SINGLES, family, sampled
from replicate.evidence.measures_protocol import PROTOCOLS
from replicate.evidence.measures_public import PUBLIC
from replicate.evidence.measures_records import measured, origin, recorded
from replicate.evidence.measures_results import groups_needed
from replicate.evidence.measures_settings import NETWORK, Setup, read
from replicate.evidence.pipelines import how_to_get, pipelines
from replicate.evidence.results import Results, Sample, Verdict
from replicate.evidence.samples import Missing, Unclear
from replicate.evidence.shown import said, shown
from replicate.evidence.statistics import ENOUGH_SEEDS
from replicate.evidence.tolerance import band, within
from replicate.networks import load
from replicate.paper import Claim, claims
from replicate.paper.claims import GONE
from replicate.records import Record
from replicate.settings import Profile, Settings

PAPER = "paper"  # the network that follows the text
SMALL = "imagenette"  # sources whose name begins so show the direction of an effect, where the claim allows it
ELSEWHERE = "cifar10"  # of its experiments there the paper gives no settings
WHY_GONE = {
    "gtx580": "the graphics cards are gone",
    "past": "a matter of the year 2012",
    "judgement": "a judgement by eye on chosen pictures, which the paper does not name",
    "unsaid": "the text does not say what network is left without it",
}


@dataclass(frozen=True)
class Case:
    """What there is to judge from."""

    settings: Settings
    profile: str
    results: Results | None
    others: Mapping[str, Profile]
    recorded: Mapping[str, Record]

    @property
    def source(self) -> str:
        return self.settings.source.name

    @cached_property
    def classes(self) -> int | None:
        return self.results.groups[self.results.baseline].classes if self.results else None

    @cached_property
    def departures(self) -> list[Departure]:
        """Where this profile departs from the paper, other than where every profile does."""
        if self.source == ELSEWHERE:
            return []
        return [one for one in departures(self.settings, self.classes) if one.why is None]

    @cached_property
    def slips(self) -> list[str]:
        """Statements that our own network should follow and does not: what is derived from it then says nothing of the paper."""
        return [claim.id for claim in claims().values() if _slip(claim)]

    def small(self, claim: Claim) -> bool:
        """Do the pictures show the direction only?"""
        return SMALL in claim.needs and self.source.startswith(SMALL)


def _slip(claim: Claim) -> bool:
    """Is it a setting of the network, or follows from one that we chose, and the network `paper` does otherwise?"""
    if claim.measure_name in NETWORK and claim.departure is None:
        here = NETWORK[claim.measure_name](load(PAPER), **claim.measure_arguments)
    elif claim.choice and claim.measure_arguments.get("network") == PAPER:
        here = DERIVED[claim.measure_name](**claim.measure_arguments).value
    else:
        return False
    return not within(claim.tolerance, claim.value, here)


def judge(
    settings: Settings,
    profile: str,
    results: Results | None,
    others: Mapping[str, Profile] | None = None,
    root: Path | None = None,
) -> list[Verdict]:
    """A verdict on every claim, in the order of the paper; without results, what can be said without trainings.

    `others` are the profiles that the advice "run COMMAND" chooses from, `root` the clone whose records of no profile
    count (default for both: the clone that the working directory is in).
    """
    case = Case(settings, profile, results, pipelines(root) if others is None else others, recorded(root))
    return [judge_claim(claim, case) for claim in claims().values()]


def judge_claim(claim: Claim, case: Case) -> Verdict:
    if claim.kind == "cited" and claim.measure is None:
        return _verdict(claim, "cited", reason="published by others, not measured here")
    if gone := [need for need in claim.needs if need in GONE]:
        return _verdict(claim, "cannot be checked", reason=WHY_GONE[gone[0]])
    if claim.held_by:
        return _verdict(claim, "built as stated", reason=f"every training does so, held by {claim.held_by}; that is no evidence")
    rules = {
        "derived": _derived, "public": _public, "setting": _setting, "protocol": _protocol, "record": _record, "count": _count,
        "sample": _sample, "runs": _runs, "single": _single,
    }  # fmt: skip
    return rules[family(claim.measure_name)](claim, case)


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


def _derived(claim: Claim, case: Case) -> Verdict:
    found = DERIVED[claim.measure_name](**claim.measure_arguments)
    measured, agrees = shown(found.value, claim.unit), within(claim.tolerance, claim.value, found.value)
    if claim.choice and agrees:
        return _verdict(claim, "built as stated", measured, f"{claim.choice}; that is no evidence")
    if slips := [name for name in case.slips if claim.measure_arguments.get("network") == PAPER]:
        return _verdict(claim, "not run", measured, f"our network {PAPER!r} departs from what is stated: {', '.join(slips)}")
    word, reason = "agrees" if agrees else "paper is off", claim.derivation or ""
    if not agrees and (found.at_least or claim.open):
        word, reason = "undecided", claim.open or reason
    if found.at_least:
        reason += "; it is at least that much"
    return _verdict(claim, word, measured, reason, values={"measured": found.value})


def _public(claim: Claim, case: Case) -> Verdict:
    """What others have published counts against a statement; where it goes with it, that is no evidence of ours."""
    public = PUBLIC[claim.measure_name](**claim.measure_arguments)
    word = "cited" if within(claim.tolerance, claim.value, public.value) else "differs"
    return _verdict(claim, word, shown(public.value, claim.unit), f"on public record: {public.steps[0]}")


def _record(claim: Claim, case: Case) -> Verdict:
    source = origin(claim.measure_name)
    record = case.recorded.get(source.record)
    found = measured(claim.measure_name, record, **claim.measure_arguments) if record else None
    if found is None:
        return _verdict(claim, "not run", reason=f"needs {source.needs}, run `{source.command}`")
    word = "agrees" if within(claim.tolerance, claim.value, found) else "differs"
    return _verdict(claim, word, shown(found, claim.unit), f"from `{record.provenance.command}`", values={"measured": found})


def _setting(claim: Claim, case: Case) -> Verdict:
    name, arguments = claim.measure_name, claim.measure_arguments
    here = read(name, Setup.of(case.settings, case.classes), **arguments)
    if here is None:
        return _verdict(claim, "not run", reason="known once the pictures are prepared and a training is evaluated")
    if name in NETWORK and claim.departure is None:
        ours = NETWORK[name](load(PAPER), **arguments)  # a slip there would make every profile's claim to it hollow
        if not within(claim.tolerance, claim.value, ours):
            return _verdict(claim, "not run", reason=f"our network {PAPER!r} departs: {shown(ours, claim.unit)}")
    if gone := departure(claim, case.settings, case.classes):
        why = f"; {gone.why}" if gone.why else ""
        run = next((f", run `{other.repro}`" for other in case.others.values() if follows(claim, other.settings)), "")
        return _verdict(claim, "not run", reason=f"this profile departs: {gone.here}{why}; needs the paper's setting{run}")
    if isinstance(claim.value, dict):
        here = {key: here[key] for key in claim.value}
    return _verdict(claim, "built as stated", shown(here, claim.unit), "a setting that is followed is no evidence")


def _protocol(claim: Claim, case: Case) -> Verdict:
    here = PROTOCOLS[claim.measure_name](case.settings, **claim.measure_arguments)
    if here is None:
        return _without_data(claim, case)
    if not within(claim.tolerance, claim.value, here):
        return _verdict(claim, "not run", reason=f"this profile departs: {shown(here)}; needs the paper's setting")
    return _verdict(claim, "built as stated", shown(here), "a setting that is followed is no evidence")


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


def _of_trainings(claim: Claim, case: Case, measure: Callable[[Results], dict[str, Any]]) -> dict[str, Any] | Verdict:
    """What a measure of trained networks gives, or the verdict where it cannot give anything."""
    if case.settings.source.kind == "drawn":
        return _without_data(claim, case, "drawn pictures say nothing about it; ")
    if case.results is None or not (case.small(claim) or case.source in claim.full_scale):
        return _without_data(claim, case)
    try:
        found = measure(case.results)
    except Missing as missing:
        return _without_data(claim, case, f"{missing}; ")
    except Unclear as unclear:
        return _verdict(claim, "undecided", reason=str(unclear))
    return found or _without_data(claim, case, "the pictures have too few classes; ")


def _sample(claim: Claim, case: Case) -> Verdict:
    samples = _of_trainings(claim, case, lambda results: sampled(claim, results))
    if isinstance(samples, Verdict):
        return samples
    if claim.open:
        return _number(claim, "undecided", samples, claim.open)
    if case.small(claim):
        return _direction(claim, samples, f"on {case.source}, its size says nothing")
    if case.departures:
        if any(sample.no_effect is None for sample in samples.values()):
            return _verdict(claim, "not run", reason=f"{_departs(case)}, so its numbers are not the paper's")
        return _number(claim, "undecided", samples, f"{_departs(case)}, so the size says nothing")
    return _size(claim, samples)


def _departs(case: Case) -> str:
    return f"this profile departs from the paper in {len(case.departures)} settings ({case.departures[0].claim} first)"


def _runs(claim: Claim, case: Case) -> Verdict:
    """What every training is said to show: one that does not is enough against it, three that do are enough for it."""
    found = _of_trainings(claim, case, lambda results: RUNS[claim.measure_name](results, **claim.measure_arguments))
    if isinstance(found, Verdict):
        return found
    n, without = len(found), [name for name, one in found.items() if not one.yes]
    measured = f"{n - len(without)} of {n} trainings: {'; '.join(one.found for one in found.values())}"
    if n < ENOUGH_SEEDS:
        word, reason = "undecided", f"{n} trainings; a verdict needs {ENOUGH_SEEDS}"
    elif case.small(claim):
        word = "undecided" if without else "same direction at smaller scale"
        reason = f"on {case.source}, which may be too little to show it" if without else f"every training on {case.source}"
    elif case.departures:
        word, reason = "undecided", _departs(case)
    else:
        word, reason = ("differs", f"not {', '.join(without)}") if without else ("agrees", "every training")
    return _verdict(claim, word, measured, reason, n, {name: one.yes for name, one in found.items()})


def _single(claim: Claim, case: Case) -> Verdict:
    found = _of_trainings(claim, case, lambda results: SINGLES[claim.measure_name](results, **claim.measure_arguments))
    if isinstance(found, Verdict):
        return found
    if case.departures:
        return _verdict(claim, "not run", reason=f"{_departs(case)}, so its numbers are not the paper's")
    said_of = {name: claim.value[name] for name in found}
    unseen = [name for name in claim.value if name not in found]
    side = "inside" if within(claim.tolerance, said_of, found) else "outside"
    reason = f"{side} the tolerance, but one number without a spread" + (f"; no labels for {shown(unseen)}" if unseen else "")
    return _verdict(claim, "undecided", shown(found, claim.unit), reason, 1, {"measured": found})


def _direction(claim: Claim, samples: dict[str, Sample], why: str) -> Verdict:
    """The sign of the first number: top-1, with ten classes top-5 is another quantity; or the weakest of several effects."""
    sample = next(iter(samples.values()))
    if doubt := _doubt(sample):
        return _number(claim, "undecided", samples, doubt)
    verdict = "same direction at smaller scale" if sample.mean > (sample.no_effect or 0) else "opposite direction"
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
    if sample.no_effect is not None and sample.low <= sample.no_effect <= sample.high:
        return f"the interval covers {f'{sample.no_effect:g}' if sample.no_effect else 'zero'}"
    return None


def _number(claim: Claim, verdict: str, samples: dict[str, Sample], reason: str) -> Verdict:
    parts = []
    for name, sample in samples.items():
        spread = f"; s.d. {' and '.join(f'{sd:.2f}' for sd in sample.sds)}" if sample.sds else ""
        interval = "" if sample.low is None else f" ({sample.low:.2f} to {sample.high:.2f}{spread})"
        parts.append(f"{shown({name: ''}).strip()} {sample.mean:.2f} {sample.unit}{interval}")
    first = next(iter(samples.values()))
    measured = f"{', '.join(parts)}; {first.seeds}"
    values = {name: sample.model_dump() for name, sample in samples.items()}
    return _verdict(claim, verdict, measured, reason, first.n, values)
