"""The arithmetic: against published counts, and against the torch modules built from the same description."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from replicate.modules import build, weights
from replicate.networks import count, load, names, totals
from replicate.networks.arithmetic import faults, output_side

FULL = [name for name in names() if load(name).input.side == 224]


def test_both_families_are_walked():
    assert "paper" in FULL and "demo" in set(names()) - set(FULL)


@pytest.mark.parametrize("name", names())
def test_published_counts_hold(name):
    assert faults(load(name)) == []


@pytest.mark.parametrize("name", ["paper", "ungrouped", "one-gpu", "torchvision"])
def test_published_totals_are_stated(name):
    published = load(name).published
    assert published.parameters and published.macs


def test_a_wrong_published_count_names_its_layer():
    network = load("paper")
    conv4 = network.published.layers["conv4"].model_copy(update={"parameters": 1})
    wrong = network.model_copy(
        update={"published": network.published.model_copy(update={"layers": network.published.layers | {"conv4": conv4}})}
    )
    assert [fault.split(":")[0] for fault in faults(wrong)] == ["conv4"]


@pytest.mark.parametrize("name", names())
def test_torch_has_the_same_shapes_and_counts(name):
    network = load(name)
    with torch.device("meta"):
        net = build(name, classes=network.classes)
        x = torch.empty(1, network.input.maps, net.side, net.side)
    rows = {row.name: row for row in count(network)}
    seen = {}
    for part, module in net.named_children():
        module.register_forward_hook(lambda m, i, out, part=part: seen.__setitem__(part, tuple(out.shape[1:])))
    with FlopCounterMode(display=False) as counter:
        net.eval()(x)
    assert {k: v for k, v in seen.items() if k != "flatten"} == {row.name: row.output for row in rows.values()}
    for part, module in net.named_children():
        if part in rows:
            assert sum(p.numel() for p in module.parameters()) == rows[part].parameters, part
    assert counter.get_total_flops() == 2 * totals(list(rows.values())).macs


def test_torchvision_s_weights_load_into_ours_and_give_equal_outputs():
    ours, theirs = build("torchvision"), torchvision.models.alexnet()
    weights.adopt(ours, theirs.state_dict(), Path("alexnet.safetensors"))
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (11, 4), (5, 1)])
@pytest.mark.parametrize("side", range(11, 40))
def test_pool_sides_are_torch_s(side, kernel, stride):
    x = torch.empty(1, 1, side, side)
    for rounding in ("up", "down"):
        theirs = torch.nn.functional.max_pool2d(x, kernel, stride, ceil_mode=rounding == "up").shape[-1]
        assert output_side(side, kernel, stride, 0, rounding) == theirs
