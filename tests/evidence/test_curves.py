"""Measures of the training logs, on curves made for them."""

import pytest

from replicate.evidence.measures_curves import (
    at,
    convergence_ratio,
    crossing,
    early_loss,
    epochs_ratio,
    not_less_overfitting,
    overfitting,
    training_error,
)
from replicate.evidence.samples import Missing, Unclear

BASE, OTHER = {"run": "base", "network": "paper"}, {"run": "base", "network": "other"}
FALLING = [90.0, 60, 40, 30, 20]


@pytest.fixture
def trained(results_of):
    """Results with curves only: {name of the curve: a list of epochs a seed} for the paper's net and another."""

    def make(base: dict, other: dict):
        errors = {"ten.top1": [1.0]}
        results = results_of("ilsvrc2012", {("base", "paper"): errors, ("base", "other"): errors})
        groups = {
            name: one.model_copy(update={"curves": base if name == "base" else other, "trainings": ["x"] * 3})
            for name, one in results.groups.items()
        }
        return results.model_copy(update={"groups": groups})

    return make


def scaled(curve: list[float], factors: tuple[float, ...] = (0.95, 1, 1.05)) -> list[list[float]]:
    return [[factor * value for value in curve] for factor in factors]


@pytest.mark.parametrize(
    ("level", "epochs"), [(95, 1), (90, 1), (75, 1.5), (60, 2), (35, 3.5), (20, 5), (19, None)]
)
def test_a_curve_crosses_a_level_between_epochs(level, epochs):
    assert crossing(FALLING, level) == epochs


def test_the_first_crossing_counts_and_a_flat_curve_crosses_where_it_is():
    assert crossing([90, 50, 70, 40], 60) == 1.75
    assert crossing([50, 50], 50) == 1
    assert crossing([70, 50, 50], 50) == 2


@pytest.mark.parametrize("epoch", [1, 1.5, 2, 4.75, 5])
def test_the_value_at_an_epoch_undoes_the_crossing(epoch):
    assert crossing(FALLING, at(FALLING, epoch)) == pytest.approx(epoch)


def test_how_many_times_sooner(trained):
    fast = [[80.0, 40, 20, 10], [80, 38, 20, 10], [80, 42, 20, 10]]
    slow = [[value for value in curve for _ in range(6)] for curve in fast]
    found = epochs_ratio(trained({"train_error": fast}, {"train_error": slow}), **OTHER, than=BASE, train_error=20)["epochs"]
    assert found.mean == pytest.approx(13 / 3) and found.no_effect == 1  # epoch 13 of the slow ones, 3 of the fast
    assert found.low is None  # no seed differs from another at that level
    found = epochs_ratio(trained({"train_error": fast}, {"train_error": slow}), **OTHER, than=BASE, train_error=39)["epochs"]
    assert found.low < found.mean < found.high and found.n == 3


def test_a_level_that_is_not_reached_says_so(trained):
    results = trained({"train_error": scaled(FALLING)}, {"train_error": [[90.0, 70, 24], [90.0, 80, 70], [90.0, 80, 60]]})
    with pytest.raises(Unclear, match="2 of 3 trainings of 'other' never reach 25 %"):
        epochs_ratio(results, **OTHER, than=BASE, train_error=25)


def test_convergence_is_all_but_a_share_of_the_own_fall(trained):
    quick = [[10.0, 2.1, 2, 2, 2, 2], [10.0, 2.2, 2, 2, 2, 2]]
    slow = [[20.0, 12, 8, 4.1, 4, 4], [20.0, 12, 8, 4.2, 4, 4]]  # twice the loss makes no difference
    found = convergence_ratio(trained({"train_loss": slow}, {"train_loss": quick}), **BASE, than=OTHER, share=0.05)["epochs"]
    assert found.mean == pytest.approx(2, abs=0.1) and found.unit == "times"


@pytest.mark.parametrize("curve", [[10.0, 8, 6, 4, 2], [10.0, 10, 10, 11], [5.0, 5.0]])
def test_a_training_that_was_stopped_while_it_learned_has_not_converged(trained, curve):
    results = trained({"train_loss": [[10.0, 2.1, 2, 2, 2]]}, {"train_loss": [curve]})
    with pytest.raises(Unclear, match="'other' .*had not settled"):
        convergence_ratio(results, **BASE, than=OTHER, share=0.05)


def test_overfitting_is_compared_at_the_same_training_error(trained):
    base = {"train_error": scaled([80.0, 50, 30, 10]), "held_out_error": [[82.0, 60, 45, 40]] * 3}
    other = {"train_error": scaled([90.0, 60, 30]), "held_out_error": [[90.0, 70, 50], [90.0, 70, 51], [90.0, 70, 52]]}
    found = overfitting(trained(base, other), **OTHER, than=BASE)["held-out error"]
    level = 1.05 * 30  # the lowest that all six reach
    ours = [at(h, crossing(t, level)) for t, h in zip(other["train_error"], other["held_out_error"], strict=True)]
    theirs = [at(h, crossing(t, level)) for t, h in zip(base["train_error"], base["held_out_error"], strict=True)]
    assert found.mean == pytest.approx(sum(ours) / 3 - sum(theirs) / 3) and found.mean > 4
    assert found.no_effect == 0 and found.unit == "points"
    assert not_less_overfitting(trained(base, other), **OTHER, than=BASE)["held-out error"].no_effect is None


def test_training_error_is_that_of_the_last_epoch(trained):
    results = trained({"train_error": [[90.0, 20], [90, 22]]}, {"train_error": [[10.0, 30], [10, 31]]})
    assert training_error(results, **OTHER, than=BASE)["training error"].mean == pytest.approx(9.5)


def test_early_loss_is_the_mean_of_the_first_epochs(trained):
    results = trained({"train_loss": [[3.0, 2, 1], [3.2, 2, 1]]}, {"train_loss": [[4.0, 4, 0], [4.0, 4.2, 0]]})
    found = early_loss(results, **OTHER, than=BASE, epochs=2)["loss"]
    assert found.mean == pytest.approx(4.05 - 2.55) and found.unit == "nats"
    with pytest.raises(Missing, match="3 epochs are shorter than the 5"):
        early_loss(results, **OTHER, than=BASE, epochs=5)


def test_results_of_an_older_version_have_no_curves(trained):
    with pytest.raises(Missing, match="before this was measured"):
        training_error(trained({}, {}), **OTHER, than=BASE)
