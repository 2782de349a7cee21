"""Every network of the folder as a module: built, trained by one step, evaluated. A new YAML file is walked too."""

import pytest
import torch
from torch.nn import functional as F

from replicate.errors import UserError
from replicate.modules import build, initialise
from replicate.networks import Network, count, load, names
from replicate.training.update import PaperSGD


def smallest_side(network: Network) -> int:
    """The same layers on few pixels: every layer keeps something to read."""
    for side in range(1, network.input.side + 1):
        try:
            count(network, side=side)
        except UserError:
            continue
        return side
    raise AssertionError(f"{network.name} fits no side up to its own")


@pytest.mark.parametrize("name", names())
def test_one_training_step(name):
    network = load(name)
    side = smallest_side(network)
    net = initialise(build(name, classes=5, side=side), seed=1).train()
    net.set_dropout_key(1, 0)
    x = torch.randn(4, network.input.maps, side, side, generator=torch.Generator().manual_seed(1)) * 50
    optimizer = PaperSGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-3)
    before = {key: p.detach().clone() for key, p in net.named_parameters()}
    loss = F.cross_entropy(net(x), torch.arange(4))
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    for key, p in net.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), key
        assert key.endswith("bias") or not torch.equal(p, before[key]), key
    assert net.eval()(x).shape == (4, 5)
