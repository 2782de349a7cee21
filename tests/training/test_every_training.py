"""How every training starts and learns: from random weights, with one rate for all layers unless its recipe names some."""

import pytest
import torch

from replicate.modules import build, initialise
from replicate.settings import OwnRate
from replicate.training import loop
from replicate.training.update import PaperSGD


class Started(Exception):
    """Raised where the first update would come."""


@pytest.fixture
def started(small_profile, monkeypatch):
    """The network and the optimizer of a training, as they are before its first update."""
    found = {}

    def stop(work):
        found.update(net=work.net, optimizer=work.optimizer)
        raise Started

    monkeypatch.setattr(loop, "_epochs", stop)
    with pytest.raises(Started):
        loop.train(small_profile, "base-2", "replicate train base-2")
    return found


def test_one_rate_for_all_layers(started):
    (group,) = started["optimizer"].param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in started["net"].parameters()}


def test_training_starts_from_random_weights(started):
    """Those drawn from its seed, and nothing that was learned before."""
    drawn = initialise(build("demo", classes=started["net"].classes, side=started["net"].side), seed=2)
    for name, value in drawn.state_dict().items():
        assert torch.equal(started["net"].state_dict()[name].cpu(), value), name


def test_each_epoch_has_the_rates_of_its_recipe(small_profile, monkeypatch):
    """Seen at the updates: the schedule's for most, their own for those that have one, frozen layers included."""
    seen, step = {}, PaperSGD.step

    def looks(self, closure=None):
        (conv1,) = (p for group in self.param_groups for name, p in zip(group["param_names"], group["params"]) if name == "conv1.weight")
        before = conv1.detach().clone()
        step(self, closure)
        rates = {name: group["lr"] for group in self.param_groups for name in group["param_names"]}
        key = rates["fc8.weight"], rates["fc8.bias"], rates["conv1.weight"]
        seen.setdefault(key, set()).add(torch.equal(before, conv1))

    monkeypatch.setattr(PaperSGD, "step", looks)
    own = [OwnRate(of="biases", after=0, rate=0.02), OwnRate(of="conv1", after=1, rate=0)]
    recipe = small_profile.settings.recipe.model_copy(update={"own_rates": own})
    small_profile.settings = small_profile.settings.model_copy(update={"recipe": recipe})
    loop.train(small_profile, "base-1", "")
    assert seen == {(0.01, 0.02, 0.01): {False}, (0.001, 0.02, 0): {True}}
