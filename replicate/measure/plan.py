"""What a pipeline will take, from a few steps of each of its networks and a small part of every other stage: `replicate plan`.

All are estimates. A stage takes what its process takes to begin, its own work, and what DVC takes for it (the hashes of what
the stage writes with it). `compare` sets beside them what the stages then took.
"""

import os
from datetime import datetime
from pathlib import Path
from statistics import median

from tqdm import tqdm

from replicate import files, records
from replicate.errors import UserError
from replicate.evaluation.predict import PICTURES_AT_ONCE
from replicate.measure import stages
from replicate.measure.exchange import CrossingBytes, exchange
from replicate.measure.stages import Counts, Dvc
from replicate.measure.trial import Trial, tried
from replicate.networks import count, load, totals
from replicate.networks.memory import NUMBER
from replicate.records import Record
from replicate.settings import Fixed, Profile, Recipe, Strict
from replicate.training import schedule
from replicate.training.checkpoint import SECONDS, SHARE

CHECKPOINTS = 3  # files while one is being written


class Speed(Strict):
    """A network's training: pictures a second in the steps that were timed, and the most bytes that its process had, and its
    tensors on a GPU."""

    network: str
    crop: int
    batch_size: int
    precision: str
    steps: int
    median: float
    lowest: float
    highest: float
    memory: int
    gpu_memory: int
    threads: int
    pictures: str


class Stage(Strict):
    """One stage, a training by its own name. Bytes: `disk` of what it leaves, `passing` of what it removes in the end.
    `bound`: the seconds are a lower bound, not an estimate of the whole."""

    stage: str
    seconds: float | None
    disk: int
    passing: int
    follows: str
    bound: bool = False


class Plan(Strict):
    """The values of a record of kind `plan`. `busy`: the system's load average before anything was measured. `speeds` and, on
    more than one device, `exchanges` by group of trainings; `took` by stage: what it then took in seconds."""

    train_pictures: int
    val_pictures: int
    classes: int
    counted: str
    device: str
    dvc_start: float | None
    stages: list[Stage]
    speeds: dict[str, Speed]
    busy: float | None
    devices: int
    exchanges: dict[str, CrossingBytes]
    took: dict[str, float] = {}


def path(profile: Profile) -> Path:
    """In a folder that no stage depends on: a plan changes no result."""
    return profile.root / "reports" / "plans" / f"{profile.name}.json"


def plan(profile: Profile, devices: int, command: str) -> Record:
    """Measures on one device, and writes the record; what crosses between `devices` is computed."""
    started, found, settings = records.now(), stages.counts(profile), profile.settings
    groups = {group: settings.trainings[names[0]] for group, names in settings.groups().items()}
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    recipes = {group: settings.recipe_of(training.run) for group, training in groups.items()}
    crossing = {}
    if devices > 1:
        for group, recipe in recipes.items():
            crossing[group] = exchange(load(groups[group].network), recipe, devices, found.classes)
    kinds = {group: _kind(groups[group].network, recipe) for group, recipe in recipes.items()}
    trials: dict[tuple, Trial] = {}
    with tqdm(total=len(set(kinds.values())) + len(stages.BEGINS) + 1, desc="plan", leave=False, disable=None) as bar:
        for group, kind in kinds.items():
            if kind not in trials:
                bar.set_postfix_str(group)
                trials[kind] = tried(profile, settings.groups()[group][0], found.train, found.classes)
                bar.update()
        begins = {}
        for stage in stages.BEGINS:
            bar.set_postfix_str(stage)
            begins[stage] = stages.begin(profile, stage)
            bar.update()
        bar.set_postfix_str("DVC")
        dvc = stages.dvc(profile)
        bar.update()
    any_trial = next(iter(trials.values()))
    left, size = stages.left_to_prepare(profile, found)
    own = _before(profile, found, size, begins, any_trial)
    own += _trainings(profile, found, begins, kinds, trials) + _after(profile, found, begins)
    if dvc:
        own = _with_dvc(own, dvc, any_trial.md5, left)
    values = Plan(
        train_pictures=found.train, val_pictures=found.val, classes=found.classes, counted=found.known,
        device=any_trial.device, dvc_start=dvc and dvc.start, stages=own,
        speeds={group: _speed(groups[group].network, recipes[group], trials[kind]) for group, kind in kinds.items()},
        busy=busy, devices=devices, exchanges=crossing,
    )  # fmt: skip
    provenance = records.provenance(command, profile.root, settings.method, started, any_trial.device, any_trial.threads)
    shared = {"profile": profile.name, "source": settings.source.name}
    record = Record(kind="plan", **shared, values=values.model_dump(), provenance=provenance)
    records.write(path(profile), record)
    return record


def _with_dvc(own: list[Stage], dvc: Dvc, md5: float, pictures: int) -> list[Stage]:
    """The times with DVC's own part: what it does for any stage, for the files of the `pictures`, and the hash of what the
    stage before has left, since a stage counts from the end of that one."""
    took = {"prepare": pictures * dvc.before, "pca": pictures * dvc.after}
    hashed = [0.0, *(md5 * stage.disk for stage in own[:-1])]
    whole = []
    for stage, before in zip(own, hashed, strict=True):
        more = dvc.each + took.get(stage.stage, 0.0) + before
        whole.append(stage if stage.seconds is None else stage.model_copy(update={"seconds": round(stage.seconds + more, 2)}))
    return whole


def _kind(network: str, recipe: Recipe) -> tuple:
    """Trainings of one kind have steps of one length."""
    return network, recipe.crop, recipe.batch_size, recipe.precision


def _speed(network: str, recipe: Recipe, trial: Trial) -> Speed:
    rates = [recipe.batch_size / seconds for seconds in trial.steps]
    return Speed(
        network=network, crop=recipe.crop, batch_size=recipe.batch_size, precision=recipe.precision, steps=len(rates),
        median=round(median(rates), 2), lowest=round(min(rates), 2), highest=round(max(rates), 2),
        memory=trial.memory, gpu_memory=trial.gpu_memory, threads=trial.threads, pictures=trial.pictures,
    )  # fmt: skip


def _before(profile: Profile, found: Counts, left: int, begins: dict[str, float], trial: Trial) -> list[Stage]:
    """The stages before training. `left`: bytes of the pictures that the first of them make ready."""
    pictures, side = found.train + found.val, profile.settings.pictures.side
    check = Stage(stage="check", seconds=begins["check"], disk=0, passing=0, follows="its start")
    ready, how = stages.source(profile, pictures, trial.md5)
    source = Stage(stage="source", seconds=_sum(begins["source"], ready), disk=left, passing=0, follows=how)
    made, how = stages.prepare(profile, found)
    prepared = _sum(begins["prepare"], made)
    prepare = Stage(stage="prepare", seconds=prepared, disk=pictures * side**2 * 3, passing=0, follows=how)
    summed = _sum(begins["pca"], found.train and stages.pca(side) * found.train)
    return [check, source, prepare, Stage(stage="pca", seconds=summed, disk=0, passing=0, follows="random pixels on all cores")]


def _trainings(profile: Profile, found: Counts, begins: dict, kinds: dict[str, tuple], trials: dict[tuple, Trial]) -> list[Stage]:
    """Every training, then every evaluation."""
    settings, trained, evaluated = profile.settings, [], []
    picture = settings.pictures.side**2 * 3
    near: dict[tuple, float] = {}
    for group, names in settings.groups().items():
        training, trial = settings.trainings[names[0]], trials[kinds[group]]
        recipe, network = settings.recipe_of(training.run), load(training.network)
        weights = NUMBER * totals(count(network, recipe.crop, found.classes)).parameters
        epochs, most = schedule.most_epochs(recipe.schedule), "" if isinstance(recipe.schedule, Fixed) else "at most "
        seconds = evaluation = None
        if found.train:
            set_up = trial.set_up + trial.first
            seconds = begins["train"] + trial.sha256 * found.train * picture + set_up + trial.weights
            seconds += epochs * _epoch(recipe, found.train, trial)
            width = (recipe.crop, count(network, recipe.crop)[-1].input)
            if width not in near:
                near[width] = stages.neighbours(network, recipe.crop, found.val)
            evaluation = begins["evaluate"] + set_up + trial.sha256 * (found.val * picture + weights) + near[width]
            evaluation += found.val * trial.evaluate
        passing, answers = 2 * CHECKPOINTS * weights, 2 * NUMBER * found.val * found.classes
        how, seen = f"{most}{epochs} epochs of the steps below", f"ten views of {PICTURES_AT_ONCE} pictures"
        for name in names:
            trained.append(Stage(stage=f"train {name}", seconds=seconds, disk=weights, passing=passing, follows=how))
            evaluated.append(Stage(stage=f"evaluate {name}", seconds=evaluation, disk=answers, passing=0, follows=seen))
    return trained + evaluated


def _epoch(recipe: Recipe, pictures: int, trial: Trial) -> float:
    """Seconds of an epoch with its check on the held-out pictures and its checkpoints, which take `SHARE` of the time at most."""
    held = pictures // max(2, round(1 / recipe.held_out))
    learning = trial.draw + (pictures - held) // recipe.batch_size * trial.step + held * trial.held_out
    return learning + min(SHARE * learning, max(1, learning / SECONDS) * trial.checkpoint)


def _after(profile: Profile, found: Counts, begins: dict[str, float]) -> list[Stage]:
    """The stages after evaluation, whose work on results that are not there yet is known in part only."""
    scored = 2 * len(profile.settings.trainings) * found.val * stages.score(found.classes)
    known = {"disk": 0, "passing": 0, "bound": True}
    compare = Stage(stage="compare", seconds=begins["compare"] + scored, follows="its start and counting errors: at least", **known)
    return [compare, Stage(stage="report", seconds=begins["report"], follows="its start: at least", **known)]


def _sum(begin: float, work: float | None) -> float | None:
    return begin + work if work else None


def compare(profile: Profile) -> Record:
    """Puts beside the plan what the stages have taken since; writes it into the plan's record and returns that.

    A stage took from the end of the one before it to its own, by the times of their files: true of one `dvc repro` without
    a pause. The first to end only starts the clock.
    """
    file = path(profile)
    shown = file.relative_to(profile.root)
    if not file.is_file():
        raise UserError(f"{shown}: no plan; make one before the pipeline runs: replicate plan --profile {profile.name}")
    record = records.read(file)
    planned = files.parse(Plan, record.values, str(shown))
    begun = datetime.fromisoformat(record.provenance.started).timestamp() + record.provenance.seconds
    ended = sorted((end, stage.stage) for stage in planned.stages if (end := _end(profile, stage.stage)) and end > begun)
    if len(ended) < 2:
        raise UserError(f"{shown}: no stages ended since it was made; run them: {profile.repro}")
    took = {stage: round(end - before, 2) for (before, _), (end, stage) in zip(ended, ended[1:], strict=False)}
    record = record.model_copy(update={"values": planned.model_copy(update={"took": took}).model_dump()})
    records.write(file, record)
    return record


def _end(profile: Profile, stage: str) -> float | None:
    """When the last file of a stage was written; None if it is not there."""
    kind, _, name = stage.partition(" ")
    if kind == "source":
        return max((file.stat().st_mtime for file in profile.pictures.rglob("*") if file.is_file()), default=None)
    file = {
        "check": profile.state / profile.name / "params-valid",
        "prepare": profile.record("store"),
        "pca": profile.record("pca"),
        "train": profile.log(name),
        "evaluate": profile.record(name),
        "compare": profile.reports / "results.json",
        "report": profile.reports / "report.html",
    }[kind]
    return file.stat().st_mtime if file.is_file() else None
