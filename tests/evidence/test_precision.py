"""Trainings in another precision, paired by seed with the baseline's: which they are, what they show, what that decides."""

import json

import numpy as np
import pytest
from scipy.stats import ttest_rel

from replicate.evidence.compare import compare
from replicate.evidence.precision import ENOUGH_PAIRS, MARGIN, default, departing, pairs, within
from replicate.evidence.results import Paired, Precision, Results
from replicate.evidence.statistics import difference, least_effect, paired
from replicate.settings import Profile, Settings, Training
from tests.evidence.test_compare import evaluate

ALIKE = [40.0, 42.0, 44.0, 46.0, 48.0]  # seeds differ by far more than the precision makes


@pytest.fixture
def settings(settings_on):
    """The paper's, with some trainings of two seeds each: {group: (overrides of the recipe, network)}."""

    def make(groups: dict[str, tuple[dict, str]], source: str = "imagenette-256q60", **recipe) -> Settings:
        made = settings_on(source, **recipe)
        groups = {"base": ({}, "paper")} | groups
        trainings = {f"{name}-{seed}": {"run": name, "network": net, "seed": seed} for name, (_, net) in groups.items() for seed in (1, 2)}
        runs = {name: overrides for name, (overrides, _) in groups.items()}
        return Settings.model_validate(made.model_dump() | {"runs": runs, "trainings": trainings, "baseline": "base"})

    return make


def test_they_are_found_by_what_their_recipe_has_and_not_by_name(settings):
    made = settings({
        "narrow": ({"precision": "bfloat16"}, "paper"),
        "narrow-again": ({"precision": "bfloat16", "batch_size": settings({}).recipe.batch_size}, "paper"),
        "bfloat16": ({"precision": "float32"}, "paper"),
        "and-slower": ({"precision": "bfloat16", "learning_rate": 0.003}, "paper"),
        "and-noise": ({"precision": "bfloat16", "colour_noise": {"std": 0.2}}, "paper"),
        "other-net": ({"precision": "bfloat16"}, "no-lrn"),
        "net-only": ({}, "no-lrn"),
    })  # fmt: skip
    assert departing(made) == {"narrow": "bfloat16", "narrow-again": "bfloat16"}


def test_a_baseline_in_bfloat16_is_departed_from_in_float32(settings):
    made = settings({"wide": ({"precision": "float32"}, "paper")}, precision="bfloat16")
    assert departing(made) == {"wide": "float32"}


@pytest.fixture
def groups(results_of):
    """Groups from errors of both views, seed by seed; `seeds` other than 1, 2, … by name."""

    def make(seeds: dict[str, list[int]] | None = None, **errors: list[float]) -> dict:
        by_name = {("base", "paper") if name == "base" else (name, "paper"): values for name, values in errors.items()}
        both = {pair: {"ten.top1": values, "centre.top1": [v + 1 for v in values]} for pair, values in by_name.items()}
        made = {one.run: one for one in results_of("imagenette-256q60", both).groups.values()}
        return {name: one.model_copy(update={"seeds": (seeds or {}).get(name, one.seeds)}) for name, one in made.items()}

    return make


NARROW = {"narrow": ({"precision": "bfloat16"}, "paper")}


def test_pairs_are_those_of_one_seed(settings, groups):
    made = groups({"base": [1, 2, 3], "narrow": [5, 3, 2]}, base=[10, 20, 30], narrow=[99, 31, 22])
    found = pairs(settings(NARROW), made)["narrow"]
    assert (found.precision, found.baseline, found.seeds) == ("bfloat16", "float32", [3, 2])
    assert found.differences["ten.top1"].values == [1, 2] and found.differences["ten.top1"].mean == 1.5
    assert set(found.differences) == {"ten.top1", "centre.top1"}


def test_trainings_that_share_no_seed_are_no_pairs(settings, groups):
    assert pairs(settings(NARROW), groups({"narrow": [8, 9]}, base=[10, 20], narrow=[10, 20])) == {}


def test_the_interval_is_that_of_the_paired_t_test():
    other = [40.3, 41.8, 44.4, 46.5, 48.2]
    found, known = paired(other, ALIKE), ttest_rel(other, ALIKE).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))
    assert found.sd == pytest.approx(np.std(np.subtract(other, ALIKE), ddof=1))
    independent = difference(other, ALIKE)
    assert found.mean == pytest.approx(independent.mean)
    assert found.high - found.low < (independent.high - independent.low) / 5  # what seeds have in common falls out


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_smallest_effect_is_found_four_times_in_five(n):
    """By trying: t tests on many drawn experiments."""
    effect = least_effect(1.5, n)
    drawn = np.random.default_rng(n).normal(effect, 1.5, (100_000, n))
    t = drawn.mean(1) / (drawn.std(1, ddof=1) / np.sqrt(n))
    nothing = drawn - effect
    edge = np.quantile(nothing.mean(1) / (nothing.std(1, ddof=1) / np.sqrt(n)), 0.975)
    assert np.mean(t > edge) == pytest.approx(0.8, abs=0.01)


def test_more_pairs_see_less():
    assert least_effect(1, 3) > least_effect(1, 5) > least_effect(1, 50)
    assert least_effect(2, 5) == pytest.approx(2 * least_effect(1, 5))


@pytest.mark.parametrize("values", [[41.0], [41.0, 43.0]])
def test_without_a_spread_there_is_no_interval(values):
    found = paired(values, ALIKE[: len(values)])
    assert (found.mean, found.sd, found.low, found.high, found.least) == (1, None, None, None, None)
    assert within(found) is None


def precision(ten: tuple[float | None, float | None], centre=(-0.5, 0.5), n=ENOUGH_PAIRS, **fields) -> Precision:
    differences = {
        key: Paired(values=[0.0] * n, mean=0, sd=None, low=low, high=high, least=None)
        for key, (low, high) in {"ten.top1": ten, "centre.top1": centre}.items()
    }
    return Precision(**{"precision": "bfloat16", "baseline": "float32", "seeds": list(range(n)), "differences": differences} | fields)


@pytest.mark.parametrize(
    ("found", "drawn", "expected", "why"),
    [
        (precision((-1.9, 1.9)), False, "bfloat16", "every interval lies within"),
        (precision((-MARGIN, MARGIN)), False, "bfloat16", "every interval lies within"),
        (precision((0.1, 1.9)), False, "bfloat16", "every interval lies within"),  # an effect, and a small one
        (precision((-2.1, 1)), False, "float32", "1 of 2 intervals"),
        (precision((-1, 2.1)), False, "float32", "1 of 2 intervals"),
        (precision((-1, 1), (3, 4)), False, "float32", "1 of 2 intervals"),
        (precision((-1, 1), n=ENOUGH_PAIRS - 1), False, "float32", "pairs of trainings"),
        (precision((None, None)), False, "float32", "spread is unknown"),
        (precision((-1, 1)), True, "float32", "drawn pictures"),
        (precision((-1, 1), precision="float32", baseline="bfloat16"), False, "bfloat16", "every interval"),
        (precision((-1, 3), precision="float32", baseline="bfloat16"), False, "float32", "1 of 2"),
    ],
)
def test_float32_stays_unless_every_interval_lies_within_the_margin(found, drawn, expected, why):
    choice = default(found, drawn)
    assert choice.precision == expected and why in choice.why


def test_compare_writes_them_to_the_results(settings, tmp_path):
    made = Profile("made-up", tmp_path, settings(NARROW, source="drawn"))
    for name in made.settings.trainings:
        evaluate(made, name)
    results, _ = compare(made, "replicate compare")
    assert Results.model_validate(json.loads((made.reports / "results.json").read_text())) == results
    own, base = results.groups["narrow"].errors["ten.top1"].values, results.groups["base"].errors["ten.top1"].values
    assert results.precision["narrow"].differences["ten.top1"] == paired(own, base)


def test_a_profile_without_such_trainings_has_none(settings, tmp_path):
    made = Profile("made-up", tmp_path, settings({}, source="drawn"))
    one = {"base-1": Training(run="base", network="paper", seed=1)}
    made.settings = made.settings.model_copy(update={"trainings": one})
    evaluate(made, "base-1")
    assert compare(made, "replicate compare")[0].precision == {}
