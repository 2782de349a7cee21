"""Cells read from descriptions: every reader is used, and altering a network alters its cell."""

import pytest

from replicate.errors import UserError
from replicate.evidence import side_by_side
from replicate.evidence.side_by_side import READERS, cells
from replicate.networks import load
from replicate.paper import claims
from replicate.paper.comparison import COLUMNS, Item, items

READ = {item.item: item for item in items() if item.read}


def test_every_reader_is_used():
    assert {name for item in READ.values() for name in item.read} == set(READERS)


@pytest.mark.parametrize("item", READ)
def test_every_network_has_a_cell(item):
    found = cells(READ[item])
    assert tuple(found) == COLUMNS and all(found.values())


def test_an_unknown_reader_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'kernels'"):
        cells(Item(item="a", read={"kernel": {}}, evidence="b"))


@pytest.mark.parametrize(
    ("item", "layer", "update"),
    [
        ("LRN, k", "lrn1", {"k": 3.0}),
        ("LRN, n", "lrn2", {"size": 9}),
        ("LRN, α", "lrn1", {"over": "sum"}),
        ("LRN, β", "lrn2", {"beta": 0.5}),
        ("LRN, window", "lrn1", {"scope": "layer"}),
        ("spatial LRN", "spatial2", {"size": 3}),
        ("kernels", "conv3", {"out": 400}),
        ("groups", "conv2", {"groups": 1}),
        ("sides of conv1 and the pools", "conv1", {"stride": 2}),
        ("input, pixels", "conv1", {"padding": 1}),
        ("pooling", "pool5", {"kernel_size": 2}),
        ("dropout is made up for", "dropout6", {"rescale": "train"}),
        ("parameters", "fc7", {"out": 2000}),
        ("MACs a view", "conv1", {"stride": 8}),
        ("neurons", "fc7", {"out": 2000}),
    ],
)
def test_altering_one_constant_changes_that_cell_and_no_other(monkeypatch, item, layer, update):
    before = cells(READ[item])
    network = load("code145")
    layers = [one.model_copy(update=update) if one.name == layer else one for one in network.layers]
    changed = network.model_copy(update={"layers": layers})
    monkeypatch.setattr(side_by_side, "load", lambda name: changed if name == "code145" else load(name))
    after = cells(READ[item])
    assert {name for name in COLUMNS if after[name] != before[name]} == {"code145"}


def test_initial_values_name_the_layers_that_have_others():
    conv4 = load("code145").layer("conv4")
    assert f"{conv4.init.std:g} in conv3, conv4, conv5" in cells(READ["initial weights, s.d."])["code145"]
    assert cells(READ["initial biases"])["caffe"].startswith(f"{load('caffe').layer('fc6').init.bias:g} in conv2")


def test_dropout_before_a_layer_is_not_dropout_after_it():
    found = cells(READ["dropout on the outputs of"])
    assert found["paper"] == "fc6, fc7" and found["torchvision"] == "pool5, fc6"


def test_the_paper_s_training_is_its_claims():
    for item in items():
        cell = item.values.get("paper")
        if cell and cell.claim and not cell.words:
            assert f"{claims()[cell.claim].value:g}" in cells(item)["paper"]


def test_what_is_not_known_stays_open():
    partly = next(item for item in items() if item.values and len(item.values) < len(COLUMNS))
    assert None in cells(partly).values()
