"""Measures of how trainings went, epoch by epoch: from the logs of the stage `train`, over seeds.

Training errors are those of the pictures as they were shown: cropped, recoloured, with dropout, before each update.
"""

from collections.abc import Callable
from statistics import fmean

from replicate.evidence.results import Group, Results, Sample
from replicate.evidence.samples import POINTS, TIMES, Missing, Trainings, Unclear, against, group, key, of_two
from replicate.evidence.statistics import difference, ratio

Curve = list[float]


def crossing(curve: Curve, level: float) -> float | None:
    """Epochs until a falling curve first comes down to `level`, with straight lines between epochs; 1 where the first
    epoch is there already, None where none is."""
    for epoch, value in enumerate(curve):
        if value <= level:
            above = curve[epoch - 1] if epoch else value
            return epoch + 1 - ((level - value) / (above - value) if above > value else 0.0)
    return None


def at(curve: Curve, epoch: float) -> float:
    """The value of a curve after so many epochs (from 1 on), with straight lines between epochs."""
    before = min(int(epoch), len(curve) - 1)
    share = epoch - before
    return curve[before - 1] * (1 - share) + curve[before] * share


def _curves(of: Group, name: str) -> list[Curve]:
    return key(of.curves, name, of)


def _times(epochs: Callable[[Group], list[float]], results: Results, ours: Trainings, other: Trainings) -> dict[str, Sample]:
    sides = [group(results, **side) for side in (ours, other)]  # both must be there before either is said to be unclear
    return {"epochs": of_two(ratio(*map(epochs, sides)), unit=TIMES, no_effect=1)}


def epochs_ratio(results: Results, run: str, network: str, than: Trainings, train_error: float) -> dict[str, Sample]:
    """Epochs until the training error is down to `train_error` percent, over those that the trainings `than` take."""

    def epochs(of: Group) -> list[float]:
        found = [crossing(curve, train_error) for curve in _curves(of, "train_error")]
        if late := found.count(None):
            raise Unclear(f"{late} of {len(found)} trainings of {of.network!r} never reach {train_error:g} % training error")
        return [epoch for epoch in found if epoch is not None]

    return _times(epochs, results, Trainings(run=run, network=network), than)


def convergence_ratio(results: Results, run: str, network: str, than: Trainings, share: float) -> dict[str, Sample]:
    """Epochs until the training loss has fallen all but `share` of its whole fall, over those that `than` take.

    A training whose last epoch alone makes more than that share, or whose loss rose, had not settled and tells nothing.
    """

    def epochs(of: Group) -> list[float]:
        found: list[float] = []
        for curve in _curves(of, "train_loss"):
            epoch = crossing(curve, curve[-1] + share * (curve[0] - curve[-1]))
            if epoch is None or epoch > len(curve) - 1 or curve[-1] >= curve[0]:
                raise Unclear(f"the loss of {of.network!r} with run {of.run!r} had not settled when training ended")
            found.append(epoch)
        return found

    return _times(epochs, results, Trainings(run=run, network=network), than)


def overfitting(results: Results, run: str, network: str, than: Trainings) -> dict[str, Sample]:
    """Error on held-out pictures, less that of `than`, in points, when both have the same training error: the lowest
    that all trainings of both reach."""
    sides = [group(results, run, network), group(results, **than)]
    level = max(min(curve) for side in sides for curve in _curves(side, "train_error"))
    errors = []
    for side in sides:
        when = [crossing(curve, level) for curve in _curves(side, "train_error")]
        errors.append([at(curve, epoch) for curve, epoch in zip(_curves(side, "held_out_error"), when, strict=True) if epoch])
    return {"held-out error": of_two(difference(*errors), unit=POINTS, no_effect=0)}


def not_less_overfitting(results: Results, run: str, network: str, than: Trainings) -> dict[str, Sample]:
    """As `overfitting`, where the claim is that there is no less of it: zero is what is claimed."""
    found = overfitting(results, run, network, than)
    return {name: sample.model_copy(update={"no_effect": None}) for name, sample in found.items()}


def training_error(results: Results, run: str, network: str, than: Trainings) -> dict[str, Sample]:
    """Training error of the last epoch, less that of `than`, in points."""
    ours = Trainings(run=run, network=network)
    return {"training error": _against("train_error", lambda curve: curve[-1], results, ours, than)}


def early_loss(results: Results, run: str, network: str, than: Trainings, epochs: int) -> dict[str, Sample]:
    """Mean training loss of the first `epochs` epochs, less that of `than`."""

    def first(curve: Curve) -> float:
        if len(curve) < epochs:
            raise Missing(f"trainings of {len(curve)} epochs are shorter than the {epochs} that the claim is about")
        return fmean(curve[:epochs])

    found = _against("train_loss", first, results, Trainings(run=run, network=network), than)
    return {"loss": found.model_copy(update={"unit": "nats"})}


def _against(name: str, number: Callable[[Curve], float], results: Results, ours: Trainings, other: Trainings) -> Sample:
    return against(lambda of: [number(curve) for curve in _curves(of, name)], results, ours, other)


CURVES: dict[str, Callable[..., dict[str, Sample]]] = {
    f.__name__: f for f in (epochs_ratio, convergence_ratio, overfitting, not_less_overfitting, training_error, early_loss)
}
