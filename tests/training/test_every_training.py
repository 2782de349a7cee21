"""What every training does, whatever its parameters say: it starts from random weights, and has one rate for all layers."""

import pytest
import torch

from replicate.modules import build, initialise
from replicate.training import loop


class Started(Exception):
    """Raised where the first update would come."""


@pytest.fixture
def started(small_profile, monkeypatch):
    """The network and the optimizer of a training, as they are before its first update."""
    found = {}

    def stop(name, recipe, feed, net, optimizer, *rest):
        found.update(net=net, optimizer=optimizer)
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
