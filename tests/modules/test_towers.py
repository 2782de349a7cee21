"""Towers: the same to different maps is one layer of a network, however the parts are written."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.modules.told import inside, layers


class Towers(nn.Module):
    """The same small net in ways that others write two towers."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        if way == "groups":
            self.conv1, self.conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2)
            self.conv3, self.fc = nn.Conv2d(8, 8, 3), nn.Linear(8, 4)
            return
        self.a1, self.b1 = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.a2, self.b2 = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        if way == "sums":
            self.parts = nn.ModuleList(nn.Conv2d(4, 4, 3, bias=i < 2) for i in range(4))
            self.fa, self.fb = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        else:
            self.a3, self.b3, self.fc = nn.Conv2d(8, 4, 3), nn.Conv2d(8, 4, 3), nn.Linear(8, 4)

    def forward(self, x):
        if self.way == "groups":
            x = self.conv2(F.max_pool2d(self.conv1(x).relu(), 2)).relu()
            return self.fc(self.conv3(x).relu().mean((2, 3)))
        a, b = (F.max_pool2d(conv(x).relu(), 2) for conv in (self.a1, self.b1))
        if self.way == "chunks":
            a, b = torch.cat([a, b], 1).chunk(2, 1)
        a, b = F.relu(self.a2(a)), F.relu(self.b2(b))
        if self.way == "sums":
            a, b = self.parts[0](a) + self.parts[2](b), self.parts[1](b) + self.parts[3](a)
            a, b = a.relu().mean((2, 3)), b.relu().mean((2, 3))
            return self.fa(a) + self.fb(b)
        a, b = self.a3(torch.cat([a, b], 1)), self.b3(torch.cat([b, a], 1))
        x = torch.cat([a.relu(), b.relu()], 1).mean((2, 3))
        return self.fc(x)


@pytest.mark.parametrize("way", ["modules", "chunks", "sums"])
def test_two_towers_are_one_network(way):
    def row(way):
        return [(x.kind, x.output, x.settings, x.parameters) for x in layers(lambda: Towers(way))]

    assert row(way) == row("groups")


def test_towers_that_differ_are_said_to():
    class Unequal(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LocalResponseNorm(2), nn.MaxPool2d(3, 2))
            self.b = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2))
            self.fc = nn.LazyLinear(4)

        def forward(self, x):
            return self.fc(torch.cat([self.a(x), self.b(x)], 1).flatten(1))

    conv, lrn, pool, _ = layers(Unequal, (3, 19, 19))
    assert conv.output[0] == 8 and "50%" in lrn.settings["part"]
    assert pool.settings["kernel_size"] == "3 / 2"


def test_parts_that_are_written_in_place():
    def relu_in_place(m, x):
        a, b = x.chunk(2, 1)
        return torch.cat([F.relu_(a), b.relu_()], 1)

    assert inside(relu_in_place) == [("relu", {})]


def test_units_of_each_tower_read_by_linear_layers_of_their_own():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(600, 5), nn.Linear(600, 5)

        def forward(self, x):
            a, b = x.flatten(1).split(600, 1)
            return torch.cat([self.a(a), self.b(b)], 1)

    (fc,) = layers(Own)
    assert (fc.kind, fc.output, fc.settings["groups"]) == ("linear", (10,), 2)


def test_towers_that_share_their_weights_are_not_two():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            return torch.cat([self.conv2(part) for part in self.conv1(x).chunk(2, 1)], 1)

    one, two = layers(Shared)
    assert "weights" not in one.settings and two.settings["weights"] == "shared by 2 calls"
