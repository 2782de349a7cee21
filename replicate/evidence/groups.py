"""From records, predictions and logs of trainings that differ in the seed only to a `Group` of the results."""

import csv
from pathlib import Path

from replicate.errors import UserError
from replicate.evaluation import kernels
from replicate.evaluation.scores import read_predictions
from replicate.evidence import ensembles
from replicate.evidence.results import Difference, Estimate, Group, Neighbours
from replicate.evidence.statistics import difference, estimate
from replicate.networks import load
from replicate.records import Evaluation
from replicate.settings import Profile

ERRORS = ("top1", "top5")
CURVES = ("train_loss", "train_error", "held_out_error")  # columns of a log: mean loss in nats, errors in percent
ONE_VALUE = ("classes", "pictures", "parameters", "macs", "input_side")  # the same for all seeds of a group


def gather(profile: Profile, evaluations: dict[str, Evaluation]) -> Group:
    """Of these trainings, by name; without differences from a baseline. UserError where one is not like the others."""
    names, own = list(evaluations), list(evaluations.values())
    for key in ONE_VALUE:
        if len(values := {getattr(one, key) for one in own}) > 1:
            raise UserError(
                f"{', '.join(names)}: {key} differs between seeds ({sorted(values)}); run `{profile.repro}`"
            )
    predictions = [profile.predictions(name) for name in names]
    return Group(
        run=own[0].run,
        network=own[0].network,
        seeds=[one.seed for one in own],
        trainings=names,
        epochs=[one.epochs for one in own],
        errors=_errors(own),
        ensemble=ensembles.errors(predictions) if len(names) > 1 else {},
        view_gain=_view_gain(own),
        differences={},
        curves=_curves(profile, evaluations),
        kernels=_kernels(predictions, own[0].network),
        retrieval=_retrieval(own),
        **{key: getattr(own[0], key) for key in ONE_VALUE},
    )


def compared(one: Group, base: Group) -> Group:
    """With its differences from the baseline, in points."""
    found: dict[str, Difference] = {
        key: difference(one.errors[key].values, base.errors[key].values) for key in one.errors if key in base.errors
    }
    return one.model_copy(update={"differences": found})


def _errors(own: list[Evaluation]) -> dict[str, Estimate]:
    found = {}
    for view in ensembles.VIEWS:
        by_error = {f"{view}.{key}": [getattr(one.errors[view], key) for one in own] for key in ERRORS}
        found |= {key: estimate(values) for key, values in by_error.items() if None not in values}
    return found


def _view_gain(own: list[Evaluation]) -> dict[str, Estimate]:
    pairs = {key: [(getattr(one.errors["centre"], key), getattr(one.errors["ten"], key)) for one in own] for key in ERRORS}
    return {key: estimate([c - t for c, t in both]) for key, both in pairs.items() if (None, None) not in both}


def _curves(profile: Profile, evaluations: dict[str, Evaluation]) -> dict[str, list[list[float]]]:
    logs = [_log(profile, name, one.epochs) for name, one in evaluations.items()]
    return {column: [log[column] for log in logs] for column in CURVES}


def _log(profile: Profile, training: str, epochs: int) -> dict[str, list[float]]:
    """The columns `CURVES` of a training's log; one that is missing, cut short or of another format is one line."""
    path = profile.log(training)
    where = path.relative_to(profile.root) if path.is_relative_to(profile.root) else path
    again = f"run `{profile.repro}`, or `replicate train {training} --profile {profile.name}`"
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = {column: [float(row[column]) for row in rows] for column in CURVES}
    except FileNotFoundError:
        raise UserError(f"{where}: no log of {training!r}; {again}") from None
    except (KeyError, TypeError, ValueError, csv.Error):
        raise UserError(f"{where}: not the log of a training; {again}") from None
    if len(rows) != epochs:
        raise UserError(f"{where}: {len(rows)} epochs, but the record of {training!r} tells of {epochs}; {again}")
    return found


def _kernels(predictions: list[Path], network: str) -> dict[str, Estimate]:
    """Empty for a network that reads no colours."""
    towers, reads = load(network).towers, load(network).input.maps
    if reads != 3:
        return {}
    found = [kernels.describe(read_predictions(path).conv1, towers) for path in predictions]
    return {key: estimate([one[key] for one in found]) for key in found[0]}


def _retrieval(own: list[Evaluation]) -> Neighbours | None:
    """None where a record is of a version that did not measure it."""
    found = [one.retrieval for one in own if one.retrieval is not None]
    if len(found) < len(own):
        return None
    return Neighbours(
        precision={
            way: [estimate(values) for values in zip(*(one.precision[way] for one in found), strict=True)]
            for way in found[0].precision
        },
        pixel_rank=[estimate(values) for values in zip(*(one.pixel_rank for one in found), strict=True)],
    )
