"""Measures: every one is used and every claim's exists; what is derived follows the networks, step by step."""

import ast
import inspect
import re

import pytest

from replicate.errors import UserError
from replicate.evidence import measures, measures_arithmetic, measures_definitions, verdicts
from replicate.evidence.measures import DERIVED
from replicate.evidence.measures_settings import NETWORK
from replicate.evidence.tolerance import band, within
from replicate.evidence.verdicts import Case, judge_claim
from replicate.networks import load
from replicate.networks.readings import derive
from replicate.paper import Tolerance, claims, readings
from replicate.paper.claims import GONE
from tests.conftest import ROOT

MEASURED = [claim for claim in claims().values() if claim.measure_name]


@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: claim.id)
def test_a_claims_measure_exists_and_takes_its_arguments(claim):
    family = measures.family(claim.measure_name)
    function = measures.FAMILIES[family][claim.measure_name]
    before = [] if family in ("derived", "public") else [None]  # the setup, the settings, a record's values or the results
    inspect.signature(function).bind(*before, **claim.measure_arguments)


def test_every_measure_decides_some_claim():
    assert set(measures.names()) == {claim.measure_name for claim in MEASURED}
    assert len(measures.names()) == len(set(measures.names()))


def test_an_unknown_measure_is_an_error_with_the_nearest():
    with pytest.raises(UserError, match="'parameters'"):
        measures.family("parmeters")


@pytest.mark.parametrize("claim", claims().values(), ids=lambda claim: claim.id)
def test_something_decides_every_claim(claim):
    gone = set(claim.needs) & set(GONE)
    assert claim.measure or claim.held_by or claim.kind == "cited" or gone


@pytest.mark.parametrize("claim", [c for c in claims().values() if c.held_by], ids=lambda claim: claim.id)
def test_what_a_test_holds_is_held_by_one_that_is_there(claim):
    file, name = claim.held_by.split("::")
    assert name in {node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)}


def test_arithmetic_claims_need_nothing_and_are_derived():
    for claim in claims().values():
        if claim.kind == "arithmetic":
            assert claim.measure_name in DERIVED and claim.needs == ["nothing"] and claim.derivation, claim.id


def verdict(claim: str) -> str:
    return judge_claim(claims()[claim], Case(None, "none", None, {}, {})).verdict


OFF = {
    "neurons-650k",
    "each-conv-at-most-1pct",
    "fc-4096",
    "relu-every-layer",
    "fig2-neurons-1",
    "fig2-sum",
    "augmentation-2048",
    "lrn-over-all-kernels",
    "colour-pca-formula",
}


@pytest.mark.parametrize("claim", [c for c in claims().values() if c.kind == "arithmetic"], ids=lambda claim: claim.id)
def test_where_the_paper_is_off(claim):
    word = "undecided" if claim.open or claim.id == "gpu-3gb" else "built as stated" if claim.choice else "agrees"
    assert verdict(claim.id) == ("paper is off" if claim.id in OFF else word)


@pytest.mark.parametrize("claim", [c for c in MEASURED if c.measure_name in DERIVED], ids=lambda claim: claim.id)
def test_a_derivation_shows_its_steps(claim):
    """With numbers filled in, and without those of Python: the value is among them where it is a count."""
    found = DERIVED[claim.measure_name](**claim.measure_arguments)
    assert found.steps and all("{" not in step and "e+" not in step for step in found.steps)
    if isinstance(found.value, int):
        assert any(f"{found.value:,}" in step for step in found.steps), found


def test_sums_in_the_steps_are_right():
    """`a + b = c` and `a×b = c` wherever they stand, evaluated."""
    checked = 0
    for claim in MEASURED:
        if claim.measure_name in DERIVED:
            for step in DERIVED[claim.measure_name](**claim.measure_arguments).steps:
                plain = step.replace(" weights", "").replace(" biases", "")
                for left, right in re.findall(r"([\d,]+(?:(?:×| \+ | - )[\d,]+)+) = ([\d,]+)(?![\d.])", plain):
                    assert eval(left.replace(",", "").replace("×", "*")) == int(right.replace(",", "")), step
                    checked += 1
    assert checked > 40


def altered(layer: str, **update):
    """`load` with one constant of the network `paper` altered."""

    def altered_load(name):
        network = load(name)
        if name != "paper":
            return network
        layers = [one.model_copy(update=update) if one.name == layer else one for one in network.layers]
        return network.model_copy(update={"layers": layers})

    return altered_load


@pytest.mark.parametrize(
    ("layer", "update", "claim"),
    [
        ("conv1", {"stride": 5}, "conv1-55"),
        ("conv2", {"out": 192}, "fig2-neurons-2"),
        ("fc6", {"out": 2000}, "parameters-60m"),
        ("fc6", {"out": 128}, "most-params-in-fc6"),
        ("conv5", {"padding": 0}, "fig2-neurons-5"),
        ("conv1", {"out": 48}, "gpu-slightly-faster"),
        ("pool1", {"kernel_size": 2}, "pool-overlap"),
        ("lrn2", {"size": 4}, "lrn-window"),
        ("lrn1", {"size": 1}, "lrn-competition"),
        ("dropout6", {"p": 0.4}, "dropout-geometric-mean"),
    ],
)
def test_one_altered_constant_of_the_network_turns_a_verdict(monkeypatch, layer, update, claim):
    assert verdict(claim) == ("built as stated" if claims()[claim].choice else "agrees")
    for module in (measures_arithmetic, measures_definitions):
        monkeypatch.setattr(module, "load", altered(layer, **update))
    assert verdict(claim) in ("paper is off", "not run")


def test_a_slip_of_our_network_is_not_put_down_to_the_paper(monkeypatch):
    """Layer 5 without its groups, which section 3.2 states: the count of parameters is no longer the paper's."""
    for module in (measures_arithmetic, measures_definitions, verdicts):
        monkeypatch.setattr(module, "load", altered("conv5", groups=1))
    one = judge_claim(claims()["parameters-60m"], Case(None, "none", None, {}, {}))
    assert one.verdict == "not run" and "our network 'paper' departs" in one.reason and "gpu-communication" in one.reason


def test_the_convolutional_layers_alone_come_nearer_to_the_printed_neurons():
    said = claims()["neurons-650k"].value
    all_eight = DERIVED["neurons"]("paper").value
    convolutional = sum(DERIVED["layer_neurons"]("paper", f"conv{n}").value for n in range(1, 6))
    assert abs(convolutional - said) < abs(all_eight - said)


def test_the_network_paper_has_every_setting_but_those_that_we_leave_knowingly():
    left = set()
    for claim in MEASURED:
        if claim.measure_name in NETWORK:
            ours = NETWORK[claim.measure_name](load("paper"), **claim.measure_arguments)
            if not within(claim.tolerance, claim.value, ours):
                left.add(claim.id)
    assert left == {"lrn-scope"}
    assert claims()["lrn-scope"].departure


@pytest.mark.parametrize(
    ("layer", "update", "claim"),
    [
        ("lrn2", {"alpha": 0.00002}, "lrn-constants"),
        ("lrn1", {"over": "mean"}, "lrn-formula-sum"),
        ("pool5", {"kernel_size": 2}, "pool-s2-z3"),
        ("dropout7", {"p": 0.4}, "dropout-half"),
        ("dropout6", {"rescale": "train"}, "dropout-test-halving"),
        ("conv4", {"groups": 1}, "gpu-communication"),
        ("conv4", {"groups": 1}, "conv4-shape"),
        ("fc7", {"out": 4000}, "fc-hidden"),
    ],
)
def test_one_altered_constant_leaves_a_setting(layer, update, claim):
    entry = claims()[claim]
    network = altered(layer, **update)("paper")
    here = NETWORK[entry.measure_name](network, **entry.measure_arguments)
    assert not within(entry.tolerance, entry.value, here)


READINGS = {
    "as-printed": (54, 6400),
    "pooling-up": (54, 9216),
    "rounded-up": (55, 9216),
    "side-227": (55, 9216),
    "padding-2": (55, 9216),
    "padding-1-2": (55, 9216),
    "same": (56, 9216),
}


@pytest.mark.parametrize("reading", readings(), ids=lambda reading: reading.id)
def test_what_follows_from_a_reading_of_the_first_layer(reading):
    found = derive(load("paper"), reading.side, reading.zeros, reading.conv_rounding, reading.pool_rounding)
    assert (found.conv1_side, found.fc6_inputs) == READINGS[reading.id]
    assert (found.quotient.denominator == 1) == (reading.id in {"side-227", "padding-1-2", "same"})
    assert [name for name, _ in found.sides][-1] == "pool5"
    if reading.id == "rounded-up":
        assert found.parameters == DERIVED["parameters"]("paper").value


@pytest.mark.parametrize(
    ("tolerance", "value", "measured", "inside"),
    [
        ("exact", 0.3, 0.1 + 0.2, True),
        ("exact", 500, 501, False),
        ("exact", True, 1, False),
        ("exact", "relu", "tanh", False),
        ("exact", 5, None, False),
        ("exact", [1, 2], [1, 2, 5], False),
        ("exact", {"a": 1}, {"a": 1, "b": 7}, True),
        ("exact", {"a": 1, "b": 2}, {"a": 1}, False),
        ("exact", 0.01, {"conv1": 0.01, "conv3": 0.03}, False),
        ("exact", 0.01, {}, False),
        ({"rel": 0.02}, 100, 102, True),
        ({"rel": 0.02}, 100, 97.9, False),
        ({"abs": {"top1": 1.0, "top5": 0.5}}, {"top1": 20.0, "top5": 5.0}, {"top1": 20.9, "top5": 5.6}, False),
        ({"abs": {"top1": 1.0, "top5": 0.5}}, {"top1": 20.0, "top5": 5.0}, {"top1": 20.9, "top5": 5.4}, True),
        ({"range": [1, None]}, None, 0.9, False),
        ({"range": [1, None]}, None, 1e9, True),
        ({"sign": "positive"}, None, 0.0, False),
        ({"bound": "at most"}, 0.1, 0.4 - 0.3, True),
        ({"bound": "more than"}, 50, 50, False),
    ],
)
def test_tolerances(tolerance, value, measured, inside):
    assert within(Tolerance.model_validate(tolerance), value, measured) is inside


def test_a_tolerance_about_a_value_needs_one():
    with pytest.raises(ValueError, match="needs one"):
        band(Tolerance.model_validate("exact"), None)
