"""What shows popular accounts right or wrong is computed: it follows the networks, claims and runs it names."""

from collections import Counter

import pytest

from replicate.errors import UserError
from replicate.evidence import folklore
from replicate.evidence.folklore import SHOWN_BY, evidence
from replicate.networks import count, load, totals
from replicate.paper import claims
from replicate.paper.colours import Axes
from replicate.paper.folklore import tales

TALES = {tale.says: tale for tale in tales()}


@pytest.mark.parametrize("says", TALES)
def test_every_account_is_answered_with_something(says):
    said = evidence(TALES[says].shown_by)
    assert len(said) > 15 and "None" not in said and "no such" not in said


def test_every_function_is_used_and_citations_stand_alone():
    used = Counter(name for tale in tales() for name in tale.shown_by)
    assert set(used) == set(SHOWN_BY)
    assert all(len(tale.shown_by) == 1 for tale in tales() if "citation" in tale.shown_by)
    assert used["citation"] < len(TALES) / 5  # the rest is computed or quoted from the claims


def test_an_unknown_function_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'parameters'"):
        evidence({"parameter": {}})


def altered(monkeypatch, name, layer, **update):
    """`load(name)` in the module gives the network with one layer changed."""
    network = load(name)
    layers = [one.model_copy(update=update) if one.name == layer else one for one in network.layers]
    changed = network.model_copy(update={"layers": layers})
    monkeypatch.setattr(folklore, "load", lambda asked: changed if asked == name else load(asked))
    return changed


def test_counts_follow_the_networks(monkeypatch):
    assert f"{totals(count(load('ungrouped'))).parameters:,}" in SHOWN_BY["parameters"](["paper", "ungrouped"])
    changed = altered(monkeypatch, "ungrouped", "conv2", groups=2)
    assert f"ungrouped {totals(count(changed)).parameters:,}" in SHOWN_BY["parameters"](["paper", "ungrouped"])


def test_the_window_of_the_normalisation_follows_the_network(monkeypatch):
    assert "maps 8 to 12" in SHOWN_BY["lrn_window"]("paper", 10)
    altered(monkeypatch, "paper", "lrn1", size=9)
    assert "n = 9" in SHOWN_BY["lrn_window"]("paper", 10) and "maps 6 to 14" in SHOWN_BY["lrn_window"]("paper", 10)


def test_normalising_before_or_after_the_relu_differs_where_something_is_negative():
    after, before = SHOWN_BY["lrn_orders"]("paper", [-200, 150, 80]).split("after the ReLU ")[1].split(", before it ")
    assert after != before
    after, before = SHOWN_BY["lrn_orders"]("paper", [200, 150, 80]).split("after the ReLU ")[1].split(", before it ")
    assert after == before


def test_dropping_inputs_of_a_linear_unit_adds_the_weighted_squares():
    weights, inputs = [3.0, -2.0], [1.0, 5.0]
    quarter = sum((w * x) ** 2 for w, x in zip(weights, inputs, strict=True)) / 4  # p(1-p) of p = 1/2
    assert f"{quarter:+.2f} for a linear unit" in SHOWN_BY["dropout_penalty"](inputs, [weights], 7.0)


def test_the_logistic_function_stays_between_0_and_1():
    told, logistic = SHOWN_BY["sigmoid"]([-2, 2]).split("1/(1 − e^−x) is ")[1].split(", 1/(1 + e^−x) is ")
    assert all(0 < float(value) < 1 for value in logistic.split(", "))
    assert not any(0 < float(value) < 1 for value in told.split(", "))


def test_colour_noise_along_one_axis_is_the_draw_times_its_deviation(monkeypatch):
    std = claims()["colour-std"].value
    one = Axes(name="one", source="made up", meaning="made up", vectors=[[1, 0, 0], [0, 1, 0], [0, 0, 1]], deviations=[50, 1e-9, 1e-9])
    monkeypatch.setattr(folklore, "axes", lambda: {"one": one})
    said = SHOWN_BY["colour_noise"]("one", "colour-std")
    assert f"√eigenvalue {50 * std:.1f}, 0.0, 0.0" in said and f"eigenvalue on 0..255 {2500 * std:.1f}" in said


def test_crops_are_counted_from_the_sides():
    positions = claims()["resize-crop-256"].value - load("paper").input.side + 1
    assert f"{2 * positions**2:,}" in SHOWN_BY["variants"]("paper", "resize-crop-256")


def test_a_minus_sign_is_one_and_a_name_keeps_its_hyphen():
    said = evidence({"sigmoid": {"at": [-1]}, "citation": {"source": "ILSVRC-2012."}})
    assert "−0.582" in said and said.endswith("ILSVRC-2012")
