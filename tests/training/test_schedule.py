"""Rates, and when training ends, from held-out errors alone."""

import pytest
from pydantic import ValidationError

from replicate.settings import Fixed, OwnRate, Plateau, Recipe, load_from
from replicate.training.schedule import Stand, most_epochs, rate, stand
from tests.conftest import ROOT

PLATEAU = Plateau(rule="plateau", patience=2, threshold=0.1, drops=2, max_epochs=50)


def test_a_falling_error_keeps_the_rate():
    assert stand(PLATEAU, [90, 80, 70, 60, 50]) == Stand(0, False)


def test_a_fall_below_the_threshold_is_no_fall():
    assert stand(PLATEAU, [50, 49.95, 49.92]).drops == 1
    assert stand(PLATEAU, [50, 49.95, 49.9]).drops == 0


def test_a_fall_of_just_the_threshold_counts_whatever_the_binary_fractions_say():
    assert all(stand(PLATEAU, [tenths / 10, 99, (tenths - 1) / 10]).drops == 0 for tenths in range(10, 900))


def test_the_best_so_far_counts_not_the_last():
    assert stand(PLATEAU, [50, 60, 55]).drops == 1


def test_each_drop_starts_its_own_patience_and_then_training_ends():
    flat = [50.0] * 7
    assert [stand(PLATEAU, flat[:n]) for n in (2, 3, 5, 6, 7)] == [
        Stand(0, False), Stand(1, False), Stand(2, False), Stand(2, False), Stand(2, True),
    ]  # fmt: skip


def test_at_most_so_many_epochs():
    assert stand(PLATEAU, [100 - i for i in range(50)]) == Stand(0, True)
    assert most_epochs(PLATEAU) == 50


def test_fixed_epochs():
    fixed = Fixed(rule="fixed", drop_after=[3, 5], epochs=6)
    assert [stand(fixed, [0.0] * n) for n in (0, 2, 3, 4, 5, 6)] == [
        Stand(0, False), Stand(0, False), Stand(1, False), Stand(1, False), Stand(2, False), Stand(2, True),
    ]  # fmt: skip


CODE145 = load_from(ROOT, "imagenet").settings.recipe_of("code145")


def code145(parameter: str) -> list[float]:
    """The rate of a parameter in each epoch of the run."""
    return [rate(CODE145, [50.0] * done, parameter) for done in range(most_epochs(CODE145.schedule))]


def changes(rates: list[float]) -> list[tuple[int, float]]:
    """(epochs done, rate) at the start and wherever it changes."""
    return [(i, pytest.approx(r)) for i, r in enumerate(rates) if i == 0 or r != rates[i - 1]]


def test_without_own_rates_all_have_the_one_of_the_schedule():
    recipe = load_from(ROOT, "imagenet").settings.recipe
    for errors in ([], [50.0] * 6, [50.0] * 11):
        common = recipe.learning_rate / recipe.rate_divisor ** stand(recipe.schedule, errors).drops
        assert rate(recipe, errors) == rate(recipe, errors, "conv1.weight") == rate(recipe, errors, "fc8.bias") == common


def test_who_has_a_rate_of_its_own_leaves_the_schedule():
    own = [OwnRate(of="conv1.weight", after=2, rate=0.5), OwnRate(of="conv1", after=4, rate=0), OwnRate(of="conv1.bias", after=5, rate=7)]
    schedule = Fixed(rule="fixed", drop_after=[1, 3], epochs=7)
    recipe = CODE145.model_copy(update={"own_rates": own, "schedule": schedule, "learning_rate": 1.0, "rate_divisor": 10})
    assert [rate(recipe, [0.0] * n, "conv1.weight") for n in range(7)] == [1, 0.1, 0.5, 0.5, 0, 0, 0]
    assert [rate(recipe, [0.0] * n, "conv1.bias") for n in range(7)] == [1, 0.1, 0.1, 0.01, 0, 7, 7]
    assert [rate(recipe, [0.0] * n, "conv10.weight") for n in range(7)] == [1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01]
    assert [rate(recipe, [0.0] * n) for n in range(7)] == [1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01]


def test_the_run_of_the_2012_code():
    """Three drops; biases on their own; layer 1 slowed, then frozen for good, also when the others drop once more."""
    start = CODE145.learning_rate
    first, second, third = CODE145.schedule.drop_after
    assert changes(code145("fc8.weight")) == [(0, start), (first, start / 10), (second, start / 100), (third, start / 1000)]
    biases = changes(code145("fc8.bias"))
    assert [at for at, _ in biases] == [0, second] and code145("fc8.bias")[0] == 2 * start
    slowed, frozen = (own.after for own in CODE145.own_rates if own.of.startswith("conv1"))
    conv1 = code145("conv1.weight")
    assert [at for at, _ in changes(conv1)] == [0, first, second, slowed, frozen]
    assert conv1[slowed] == pytest.approx(conv1[slowed - 1] / 10) and not any(conv1[frozen:])
    assert not any(code145("conv1.bias")[frozen:]) and code145("conv1.bias")[frozen - 1]
    assert slowed == CODE145.colour_noise.until_epoch < frozen < third


def test_own_rates_read_in_the_order_of_time():
    own = [{"of": "conv1", "after": 4, "rate": 0}, {"of": "biases", "after": 0, "rate": 0.02}]
    with pytest.raises(ValidationError, match="in the order of their epochs"):
        Recipe.model_validate(CODE145.model_dump() | {"own_rates": own})
