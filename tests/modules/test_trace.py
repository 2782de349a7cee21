"""What a model calls, as layers: every network's own module, others' ways to write one, and what is no row of layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from replicate import networks
from replicate.errors import UserError
from replicate.modules import build
from replicate.modules.tell.ask import ask
from replicate.modules.tell.look import look
from replicate.modules.tell.phrases import layer_words
from replicate.modules.tell.subject import Subject
from tests.modules.told import SHAPE, Between, inside, layers, refused


def small_side(network):
    """A side at which a network is quick to look at and has all its layers."""
    try:
        networks.count(network, side=96)
    except UserError:
        return network.input.side
    return min(network.input.side, 96)


@pytest.mark.parametrize("name", networks.names())
def test_every_network_s_module_is_seen_as_its_description(name):
    network = networks.load(name)
    side = small_side(network)
    seen, (comparison,) = ask(lambda: build(name, classes=network.classes, side=side), name, (network.input.maps, side, side))
    assert comparison.differences == [] and seen.notes == []
    assert [str(side) in note for note in comparison.notes] == [True] * (side != network.input.side)
    assert seen.parameters == comparison.parameters


# Ways of writing.


def test_zeros_are_those_that_are_read_whoever_puts_them_there():
    def zeros(*modules):
        return layers(lambda: nn.Sequential(*modules, nn.Flatten(), nn.LazyLinear(2)))[0].settings["zeros"]

    assert zeros(nn.Conv2d(3, 4, 5, 3, padding=2)) == zeros(nn.ZeroPad2d(2), nn.Conv2d(3, 4, 5, 3)) == (2, 1)
    assert zeros(nn.Conv2d(3, 4, 5, padding="same")) == (2, 2)
    assert zeros(nn.ZeroPad2d((0, 3, 0, 3)), nn.Conv2d(3, 4, 11, 4)) == (0, 3)
    assert zeros(nn.MaxPool2d(3, 2, ceil_mode=True)) == (0, 1)


def test_padding_that_is_no_zeros_is_a_layer_with_its_mode():
    pad, conv, _ = layers(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.LazyLinear(2))
    )
    assert (pad.kind, conv.kind) == ("pad", "conv") and layer_words(pad) == "pad 1 1 1 1, reflect"


def test_relu6_is_no_hardtanh():
    assert [kind for kind, _ in inside(lambda m, x: nn.ReLU6()(x))] == ["relu6"]
    assert [kind for kind, _ in inside(lambda m, x: nn.Hardtanh()(x))] == ["hardtanh"]


@pytest.mark.parametrize(("adaptive", "plain"), [(F.adaptive_max_pool2d, F.max_pool2d), (F.adaptive_avg_pool2d, F.avg_pool2d)])
def test_adaptive_pooling_in_equal_windows_is_pooling(adaptive, plain):
    def net(pool):  # on 13 x 13 maps
        return look(Subject(lambda: Between(lambda m, x: pool(x[:, :, :13, :13])), "m"), [(3, 15, 15)])

    ours, theirs, uneven = net(lambda x: adaptive(x, 6)), net(lambda x: plain(x, 3, 2)), net(lambda x: adaptive(x, 5))
    assert ours.layers[1].settings == theirs.layers[1].settings and ours.layers[1].kind == theirs.layers[1].kind
    assert "windows of 3 every 2" in " ".join(ours.notes) and "windows" not in " ".join(theirs.notes)
    assert uneven.layers[1].kind.startswith("adaptive")


def test_channels_in_another_order_are_held_against_a_network_and_maps_inside_are_not():
    class Reversed(nn.Module):
        def __init__(self, late):
            super().__init__()
            self.late, self.one, self.two = late, nn.Conv2d(3, 3, 3), nn.Conv2d(3, 2, 18)

        def forward(self, x):
            x = x if self.late else x.flip(1)
            x = self.one(x)
            return self.two(x.flip(1) if self.late else x).flatten(1)

    early, late = (look(Subject(lambda late=late: Reversed(late), "m"), [SHAPE]).asides for late in (False, True))
    assert [(aside.what, aside.here) for aside in early] == [("channels", "2 1 0")] and late == []


def test_parameters_without_modules():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel, self.matrix, self.shift = (nn.Parameter(torch.zeros(*s)) for s in ((6, 3, 5, 5), (6 * 8 * 8, 4), (4,)))

        def forward(self, x):
            x = torch.max_pool2d(torch.relu_(torch.conv2d(x, self.kernel)), 2)
            return torch.log_softmax(x.view(-1, 6 * 8 * 8) @ self.matrix + self.shift, 1)

    seen = look(Subject(Functional, "model"), [SHAPE])
    assert [(x.kind, x.parameters) for x in seen.layers if x.parameters] == [("conv", 450), ("linear", 384 * 4 + 4)]
    assert seen.layers[0].settings["bias"] is False
    assert "log_softmax at the end" in seen.notes[-1]


def test_weights_that_are_computed_from_others_are_not_taken_for_plain_ones():
    class Signs(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight.sign(), self.bias)

    class Turned(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight.transpose(2, 3), self.bias)

    (signs,), (normed,), (turned,) = (
        layers(lambda make=make: make(3, 4, 3))
        for make in (Signs, lambda *s: parametrizations.weight_norm(nn.Conv2d(*s)), Turned)
    )
    assert signs.settings["weights"] == "computed by sign" and "weight_norm" in normed.settings["weights"]
    assert "weights" not in turned.settings


def test_a_function_of_pictures_is_a_model():
    kernel = torch.zeros(6, 3, 5, 5)
    assert [x.kind for x in layers(lambda x: F.conv2d(x, kernel).relu())] == ["conv", "relu"]


def test_the_first_tensor_or_the_logits_of_an_answer_are_looked_at():
    class Several(nn.Module):
        def __init__(self, give):
            super().__init__()
            self.conv, self.fc, self.give = nn.Conv2d(3, 4, 3), nn.LazyLinear(2), give

        def forward(self, x):
            maps = self.conv(x)
            return self.give(maps, self.fc(maps.flatten(1)))

    for give in (lambda m, y: {"maps": m, "logits": y}, lambda m, y: (y, m)):
        seen = look(Subject(lambda give=give: Several(give), "model"), [SHAPE])
        assert [x.kind for x in seen.layers] == ["conv", "linear"] and "2 tensors" in seen.notes[0]


def test_what_bears_on_no_answer_is_said():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.never, self.lost = nn.LazyLinear(2), nn.Linear(7, 7), nn.Linear(2, 3)

        def forward(self, x):
            y = self.fc(x.flatten(1))
            self.lost(y)
            return y

    assert any(
        note.startswith("65 parameters bear on no answer (never.weight") for note in look(Subject(Idle, "m"), [SHAPE]).notes
    )


def test_input_prepared_inside_is_a_note():
    class Prepared(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1))
            self.conv = nn.Conv2d(3, 4, 20)

        def forward(self, x):
            return self.conv((x - self.mean) / 0.5).flatten(1)

    seen = look(Subject(Prepared, "m"), [SHAPE])
    assert [x.kind for x in seen.layers] == ["conv"]
    assert "factor [2.0, 2.0, 2.0], shift [-0.2, -0.4, -0.6]" in seen.notes[0]


# What is no row of layers.


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.conv(x))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.three = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), F.max_pool2d(x, 3, 1, 1)], 1)


class Chooses(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x) if x.mean() > 0 else self.conv(-x)


class Aliased(nn.Module):
    def forward(self, x):
        y = F.relu(x)
        y[:, :1].mul_(2)
        return y


class NoLayers(nn.Module):
    def forward(self, x):
        return x


class Deaf(nn.Module):
    def forward(self, x):
        return torch.zeros(1, 10)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Residual, "add"), (Inception, "not towers of one network: one (conv), three (conv), max_pool2d"), (Chooses, "reads the values"),
        (Aliased, "in place"), (Deaf, "not computed from its input"),
        (NoLayers, "no convolution and no linear layer"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_layers_is_said(model, said):
    assert said in refused(model)
