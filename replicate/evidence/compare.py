"""The stage `compare`: records and predictions of a profile's trainings -> results, verdicts and metrics."""

from collections import Counter
from pathlib import Path
from typing import Any

from replicate import files, records
from replicate.errors import UserError
from replicate.evaluation.scores import Predictions, error_rates, read_predictions
from replicate.evidence.ensembles import asked_for
from replicate.evidence.groups import compared, gather
from replicate.evidence.measures import all_sampled
from replicate.evidence.precision import pairs
from replicate.evidence.results import VERDICTS, Results, Verdict, Verdicts
from replicate.evidence.statistics import chance
from replicate.evidence.verdicts import judge
from replicate.records import Evaluation
from replicate.settings import Profile

VIEWS = {"centre": "centre view", "ten": "ten views"}
ERRORS = {"top1": "top-1 error %", "top5": "top-5 error %"}


def compare(profile: Profile, command: str) -> tuple[Results, Verdicts]:
    """Judges exactly the trainings in the parameters; writes `results.json`, `verdicts.json` and `metrics.json`.

    Records of trainings that are no longer in the parameters are left alone.
    """
    started = records.now()
    evaluations = {name: _evaluation(profile, name) for name in profile.settings.trainings}
    _same_store(profile, evaluations)
    _check_predictions(profile, evaluations)
    members = profile.settings.groups().items()
    groups = {name: gather(profile, {one: evaluations[one] for one in trainings}) for name, trainings in members}
    base = groups[profile.settings.baseline]
    groups = {name: one if one is base else compared(one, base) for name, one in groups.items()}

    shared: dict[str, Any] = {"profile": profile.name, "source": profile.settings.source.name}
    provenance = records.provenance(command, profile.root, profile.settings.method, started)
    results = Results(
        **shared,
        baseline=profile.settings.baseline,
        groups=groups,
        ensembles=asked_for(profile, groups),
        precision=pairs(profile.settings, groups),
        provenance=provenance,
    )
    results = results.model_copy(update={"measured": all_sampled(results)})
    judged = judge(profile.settings, profile.name, results, root=profile.root)
    verdicts = Verdicts(**shared, verdicts=judged, provenance=provenance)
    files.write_json(profile.reports / "results.json", results.model_dump())
    files.write_json(profile.reports / "verdicts.json", verdicts.model_dump())
    files.write_json(profile.reports / "metrics.json", metrics(results, verdicts.verdicts))
    return results, verdicts


def metrics(results: Results, verdicts: list[Verdict]) -> dict[str, Any]:
    """What `dvc metrics show` prints: mean errors over seeds in percent, and how many claims got which verdict.

    Top-5 error carries what guessing would give, since with few classes it is low without any learning.
    """
    shown: dict[str, Any] = {}
    for name, group in results.groups.items():
        shown[name] = {}
        for view, view_words in VIEWS.items():
            found = {words: group.errors.get(f"{view}.{error}") for error, words in _named(group.classes).items()}
            shown[name][view_words] = {
                words: round(value.mean, 2) for words, value in found.items() if value is not None
            }
    return shown | {"claims": tally(verdicts)}


def _named(classes: int) -> dict[str, str]:
    guessing = chance(classes, 5)
    return ERRORS if guessing is None else ERRORS | {"top5": f"{ERRORS['top5']} (chance {guessing:g})"}


def tally(verdicts: list[Verdict]) -> dict[str, int]:
    """How many claims got which verdict, in the order of `VERDICTS`."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return {word: counts[word] for word in VERDICTS if counts[word]}


def _again(profile: Profile, training: str) -> str:
    return f"run `{profile.repro}`, or `replicate evaluate {training} --profile {profile.name}`"


def _short(profile: Profile, path: Path) -> Path:
    return path.relative_to(profile.root) if path.is_relative_to(profile.root) else path


def _evaluation(profile: Profile, name: str) -> Evaluation:
    """The evaluation record of a training; one that is missing, or of another training, is one line."""
    path = profile.record(name)
    where = _short(profile, path)
    if not path.is_file():
        raise UserError(f"{where}: no record of {name!r}; {_again(profile, name)}")
    record = records.read(path)
    wanted = ("evaluation", profile.name, profile.settings.source.name, name)
    found = (record.kind, record.profile, record.source, record.training)
    if found != wanted:
        raise UserError(
            f"{where}: is the record of {'/'.join(map(str, found))}, expected {'/'.join(wanted)}; {_again(profile, name)}"
        )
    evaluation = files.parse(Evaluation, record.values, str(where))
    training = profile.settings.trainings[name]
    for key in ("run", "network", "seed"):
        ours, its = getattr(training, key), getattr(evaluation, key)
        if ours != its:
            raise UserError(f"{where}: {key} is {its!r}, the parameters say {ours!r}; run `{profile.repro}`")
    return evaluation


def _same_store(profile: Profile, evaluations: dict[str, Evaluation]) -> None:
    first, *others = evaluations
    for name in others:
        if evaluations[name].store_identity != evaluations[first].store_identity:
            raise UserError(f"{first} and {name} were evaluated on different stores of pictures; run `{profile.repro}`")


def _check_predictions(profile: Profile, evaluations: dict[str, Evaluation]) -> None:
    """Every training's predictions are those of its record, and all are about the same pictures with the same labels."""
    first: Predictions | None = None
    for name, evaluation in evaluations.items():
        found = _predictions(profile, name, evaluation)
        first = first or found
        for what in ("labels", "names", "classes"):
            ours, its = getattr(first, what), getattr(found, what)
            if ours.shape != its.shape or (ours != its).any():
                raise UserError(
                    f"predictions of {first.training} and {name} differ in their {what}; {_again(profile, name)}"
                )


def _predictions(profile: Profile, name: str, evaluation: Evaluation) -> Predictions:
    """The predictions of a training, which must be those that its record was made from."""
    path = profile.predictions(name)
    if not path.is_file():
        raise UserError(f"{_short(profile, path)}: no predictions of {name!r}; {_again(profile, name)}")
    found = read_predictions(path)
    errors = {view: error_rates(getattr(found, view), found.labels) for view in VIEWS}
    recorded = {view: evaluation.errors[view].model_dump() for view in VIEWS if view in evaluation.errors}
    if (found.training, found.network) != (name, evaluation.network) or not _close(errors, recorded):
        raise UserError(
            f"{_short(profile, path)}: not the predictions that {name}'s record was made from; {_again(profile, name)}"
        )
    return found


def _close(a: dict[str, dict[str, float | None]], b: dict[str, dict[str, float | None]]) -> bool:
    """The same errors, up to the rounding of a sum."""
    pairs = [(a[view][key], b.get(view, {}).get(key)) for view in a for key in a[view]]
    return all(x is y if x is None or y is None else abs(x - y) < 1e-6 for x, y in pairs)
