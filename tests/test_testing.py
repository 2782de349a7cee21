"""What other projects' tests import."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from replicate.errors import UserError
from replicate.modules import build
from replicate.modules.build import Net
from replicate.networks import load
from replicate.testing import assert_network


def test_the_named_network_passes_however_the_model_is_given(tmp_path):
    demo = build("demo", classes=10)
    assert_network(demo, "demo")
    assert_network(lambda: build("demo", classes=10), "demo")
    assert_network("torchvision.models:alexnet", "torchvision")
    save_file(dict(demo.state_dict()), tmp_path / "w.safetensors")
    assert_network(tmp_path / "w.safetensors", "demo")
    assert_network(str(tmp_path / "w.safetensors"), "demo")


def test_a_model_in_training_stays_in_training():
    model = build("demo", classes=10).train()
    assert_network(model, "demo")
    assert model.training and all(module.training for module in model.modules())


def test_another_network_fails_with_every_difference_on_a_line():
    with pytest.raises(AssertionError) as error:
        assert_network(torchvision.models.alexnet, "paper")
    first, *lines = str(error.value).splitlines()
    assert first.startswith("alexnet differs from paper in ")
    assert first.split(" in ")[1].startswith(f"{len(lines)} points")
    assert any("conv1" in line and "64 maps rather than 96" in line for line in lines)


def test_one_constant_of_the_network_is_noticed():
    network = load("demo")
    layers = [layer.model_copy(update={"k": 1.0}) if layer.name == "lrn2" else layer for layer in network.layers]
    model = Net(network.model_copy(update={"layers": layers}), 10, network.input.side)
    with pytest.raises(AssertionError, match="lrn2: k 1 rather than 2"):
        assert_network(model, "demo")


def test_noise_in_training_fails():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.alexnet()

        def forward(self, x):
            return self.net(x + torch.randn_like(x) if self.training else x)

    with pytest.raises(AssertionError, match="in training than in evaluation: .*randn_like"):
        assert_network(Noisy(), "torchvision")


def test_classes_and_input_of_one_s_own():
    def model():
        return build("torchvision", classes=37, side=112)

    assert_network(model, "torchvision", input=(3, 112, 112), classes=37)
    with pytest.raises(AssertionError, match="37 classes rather than 1,000"):
        assert_network(model, "torchvision", input=(3, 112, 112))


def test_what_cannot_be_looked_at_is_no_failed_assertion():
    with pytest.raises(UserError, match="does not run"):
        assert_network(nn.Linear(3, 2), "paper")
    with pytest.raises(UserError, match="did you mean 'paper'"):
        assert_network(nn.Linear(3, 2), "papr")
    with pytest.raises(UserError, match="no such file"):
        assert_network(Path("missing.safetensors"), "paper")
