"""The worked example: what the torch modules of the same networks answer, in their own order."""

import pytest
import torch

from replicate.modules import build
from replicate.networks import load
from replicate.report.tables_lrn import ACTIVITIES, NETWORKS, lrn_example, reading, respond


@pytest.mark.parametrize("name", NETWORKS)
def test_the_activities_are_those_of_the_modules(name):
    network = load(name)
    maps = network.layer("conv1").out
    with torch.device("meta"):
        net = build(name)
    x = torch.zeros(1, maps, 1, 1, dtype=torch.float64)
    half = len(ACTIVITIES) // 2
    border = maps // 2  # the example's two towers meet in its middle, as the network's do
    x[0, border - half : border + half, 0, 0] = torch.tensor(ACTIVITIES, dtype=torch.float64)
    for layer in network.layers[1 : [layer.name for layer in network.layers].index("conv2")]:
        if layer.kind in ("relu", "lrn"):
            x = net.get_submodule(layer.name)(x)
    shown = [row[name] for row in lrn_example().rows]
    assert shown == pytest.approx(x[0, border - half : border + half, 0, 0].tolist(), rel=1e-12)


def test_each_constant_and_the_order_change_it():
    paper = load("paper")
    base = respond(paper, ACTIVITIES)
    lrn1 = paper.layer("lrn1")
    for change in ({"k": 1.0}, {"alpha": 2e-4}, {"beta": 0.5}, {"size": 3}, {"over": "mean"}, {"scope": "layer"}):
        changed = lrn1.model_copy(update=change)
        layers = [changed if layer.name == "lrn1" else layer for layer in paper.layers]
        assert respond(paper.model_copy(update={"layers": layers}), ACTIVITIES) != base, change
    conv, relu, lrn, *rest = paper.layers
    assert respond(paper.model_copy(update={"layers": [conv, lrn, relu, *rest]}), ACTIVITIES) != base


def test_the_note_says_each_reading():
    assert "on the sum" in reading(load("paper")) and "inside a tower" in reading(load("paper"))
    assert "before the ReLU" in reading(load("code145")) and "on the mean" in reading(load("code145"))
    assert reading(load("torchvision")) == "ReLU only"
