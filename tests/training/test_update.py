"""The printed update rule, by hand, across a drop of the rate; and where torch.optim.SGD differs from it."""

import pytest
import torch

from replicate.paper import claims
from replicate.training.update import PaperSGD

MOMENTUM, DECAY = claims()["momentum"].value, claims()["weight-decay"].value
GRADIENTS = [0.3, -0.2, 0.5, 0.1, 0.4, -0.6]
RATES = [0.01, 0.01, 0.01, 0.001, 0.001, 0.001]


def by_hand(w):
    v, seen = 0.0, []
    for g, lr in zip(GRADIENTS, RATES, strict=True):
        v = MOMENTUM * v - DECAY * lr * w - lr * g
        w = w + v
        seen.append(w)
    return seen


def run(optimizer_class, w):
    p = torch.nn.Parameter(torch.tensor([w], dtype=torch.float64))
    optimizer = optimizer_class([p], lr=RATES[0], momentum=MOMENTUM, weight_decay=DECAY)
    seen = []
    for g, lr in zip(GRADIENTS, RATES, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        p.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        seen.append(p.item())
    return seen


def test_the_rule_is_the_paper_s():
    assert run(PaperSGD, 2.0) == pytest.approx(by_hand(2.0), abs=1e-15)


def test_torch_s_sgd_is_the_same_until_the_rate_drops_and_not_after():
    ours, theirs = run(PaperSGD, 2.0), run(torch.optim.SGD, 2.0)
    assert ours[:3] == pytest.approx(theirs[:3], abs=1e-15)
    assert abs(ours[3] - theirs[3]) > 1e-3
