"""What tests of other people's models share: small models, and what is seen of them."""

import pytest
import torch
from torch import nn

from replicate.errors import UserError
from replicate.modules.tell.look import look
from replicate.modules.tell.subject import Subject

SHAPE = (3, 20, 20)


class Between(nn.Module):
    """A convolution, `inside(module, x)`, a linear layer."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside
        self.conv = nn.Conv2d(3, 12, 3)
        self.register_buffer("ones", torch.ones(1, 1, 5, 1, 1))
        self.scale = nn.Parameter(torch.ones(12, 1, 1))
        self.fc = nn.LazyLinear(4)

    def forward(self, x):
        return self.fc(self.inside(self, self.conv(x)).flatten(1))


def layers(model, shape=SHAPE):
    return look(Subject(model, "model"), [shape]).layers


def inside(function):
    return [(layer.kind, layer.settings) for layer in layers(lambda: Between(function))[1:-1]]


def refused(model, shape=SHAPE):
    with pytest.raises(UserError) as error:
        look(Subject(model, "model"), [shape])
    assert "\n" not in str(error.value)
    return str(error.value)
