"""What a model calls, as layers: others' ways to write a network, towers, handmade layers, and what cannot be told."""

import numpy as np
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
from replicate.modules.tell.subject import Subject, opened

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
    assert comparison.differences == [] and comparison.notes == [] and seen.notes == []
    assert seen.parameters == comparison.parameters


# Handmade layers: each is told by what it does.


def lrn_by_avg_pool(m, x):
    return x.div(F.avg_pool3d(x.pow(2).unsqueeze(1), (5, 1, 1), 1, (2, 0, 0)).squeeze(1).mul(1e-4).add(2).pow(0.75))


def lrn_by_a_convolution_with_a_buffer(m, x):
    return x / (2 + 2e-5 * F.conv3d(x.square().unsqueeze(1), m.ones, padding=(2, 0, 0)).squeeze(1)) ** 0.75


def lrn_map_by_map(m, x):
    out = torch.zeros_like(x)
    for i in range(x.shape[1]):
        out[:, i] = x[:, i] * (2 + 1e-4 / 5 * (x[:, max(0, i - 2) : i + 3] ** 2).sum(1)) ** -0.75
    return out


def lrn_by_a_running_sum(m, x):
    sums = F.pad(x * x, (0, 0, 0, 0, 3, 2)).cumsum(1)
    return x * (2 + 2e-5 * (sums[:, 5:] - sums[:, :-5])).pow(-0.75)


@pytest.mark.parametrize("handmade", [lrn_by_avg_pool, lrn_by_a_convolution_with_a_buffer, lrn_map_by_map, lrn_by_a_running_sum])
def test_handmade_normalisation_is_told_with_its_constants(handmade):
    ((kind, settings),) = inside(handmade)
    ((_, library),) = inside(lambda m, x: F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2))
    assert kind == "lrn" and settings.pop("neighbours") == library.pop("neighbours")
    assert settings == pytest.approx(library, rel=1e-4)


def test_a_window_inside_each_tower_is_seen_however_it_is_written():
    def parts(function, m, x):
        return torch.cat([function(m, part) for part in x.chunk(2, 1)], 1)

    handmade = inside(lambda m, x: parts(lrn_by_avg_pool, m, x))
    library = inside(lambda m, x: parts(lambda m, x: F.local_response_norm(x, 5, k=2), m, x))
    assert [settings["towers"] for _, settings in handmade + library] == [2, 2]


def test_a_window_in_space_is_told_from_one_over_maps():
    ((kind, settings),) = inside(lambda m, x: x * F.avg_pool2d(x.pow(2), 3, 1, 1).mul(0.009).add(1).pow(-0.75))
    assert (kind, settings["neighbours"], settings["size"]) == ("lrn", "space", 3)
    assert settings["alpha"] == pytest.approx(0.001)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: x - x.mean((2, 3), keepdim=True),
        lambda m, x: x / torch.norm(x, 2, 1, keepdim=True),
        lambda m, x: x / (1 + F.avg_pool3d(x.pow(2).unsqueeze(1), (5, 1, 1), 1, (2, 0, 0), count_include_pad=False).squeeze(1)),
        lambda m, x: x * m.scale,
    ],
    ids=["minus its mean", "unit length", "LRN divided by the neighbours present", "learned factors"],
)
def test_what_fits_nothing_gets_no_name(function):
    assert [kind for kind, _ in inside(function)] == ["unrecognised"]


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda m, x: x.clamp(min=0), ["relu"]),
        (lambda m, x: torch.where(x > 0, x, torch.zeros_like(x)), ["relu"]),
        (lambda m, x: x * (x > 0), ["relu"]),
        (lambda m, x: torch.maximum(x, torch.tensor(0.0)), ["relu"]),
        (lambda m, x: 2 / (1 + torch.exp(-2 * x)) - 1, ["tanh"]),
        (lambda m, x: 1.7159 * torch.tanh(x), ["tanh", "scale"]),
        (lambda m, x: lrn_by_avg_pool(m, x.clamp(min=0)), ["relu", "lrn"]),
        (lambda m, x: x.contiguous().clone() * 1.0, []),
        (lambda m, x: x.mean(3).mean(2), ["global_pool"]),
    ],
)
def test_handmade_functions_are_told(function, kinds):
    assert [kind for kind, _ in inside(function)] == kinds


@pytest.mark.parametrize(
    ("function", "p", "rescale"),
    [
        (lambda m, x: x * (torch.rand_like(x) >= 0.3) if m.training else x * 0.7, 0.3, "test"),
        (lambda m, x: x * (torch.rand(x.shape) < 0.8) / 0.8 if m.training else x, 0.2, "train"),
        (lambda m, x: x * torch.empty_like(x).bernoulli_(0.5) if m.training else x / 2, 0.5, "test"),
        (lambda m, x: F.dropout(x, 0.4, m.training), 0.4, "train"),
    ],
)
def test_dropout_is_seen_with_its_rescaling(function, p, rescale):
    assert inside(function) == [("dropout", {"p": pytest.approx(p, abs=1e-3), "rescale": rescale})]


@pytest.mark.parametrize("function", [lambda m, x: F.dropout(x), lambda m, x: x * (torch.rand_like(x) < 0.5)])
def test_dropout_that_forgets_to_stop_at_test_is_noticed(function):
    ((kind, settings),) = inside(function)
    assert kind == "dropout" and settings["p"] == 0.5 and "at test too" in settings["rescale"]


# Towers.


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


# Ways of writing.


def test_zeros_are_those_that_are_read_whoever_puts_them_there():
    def zeros(*modules):
        return layers(lambda: nn.Sequential(*modules, nn.Flatten(), nn.LazyLinear(2)))[0].settings["zeros"]

    assert zeros(nn.Conv2d(3, 4, 5, 3, padding=2)) == zeros(nn.ZeroPad2d(2), nn.Conv2d(3, 4, 5, 3)) == (2, 1)
    assert zeros(nn.Conv2d(3, 4, 5, padding="same")) == (2, 2)
    assert zeros(nn.ZeroPad2d((0, 3, 0, 3)), nn.Conv2d(3, 4, 11, 4)) == (0, 3)
    assert zeros(nn.MaxPool2d(3, 2, ceil_mode=True)) == (0, 1)


def test_padding_that_is_no_zeros_is_a_layer():
    kinds = [
        x.kind
        for x in layers(
            lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.LazyLinear(2))
        )
    ]
    assert kinds == ["pad", "conv", "linear"]


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


def test_towers_that_share_their_weights_are_not_two():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            return torch.cat([self.conv2(part) for part in self.conv1(x).chunk(2, 1)], 1)

    one, two = layers(Shared)
    assert "weights" not in one.settings and two.settings["weights"] == "shared by 2 calls"


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


def test_a_model_for_devices_that_are_not_here():
    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3).to("cuda:0"), nn.Conv2d(4, 4, 3).cuda(1)

        def forward(self, x):
            y = self.a(x.to("cuda:0"))
            return self.b(y.to(torch.device("cuda", 1))) + torch.zeros(1, device="cuda:1")

    assert [x.kind for x in layers(lambda: nn.DataParallel(Placed().cuda()))][:2] == ["conv", "conv"]


def test_a_model_that_the_meta_device_cannot_make_is_made_on_the_cpu():
    class Concrete(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1200, 2)
            self.largest = float(np.abs(self.fc.weight.detach().numpy()).max())

        def forward(self, x):
            return self.fc(x.flatten(1))

    seen = look(Subject(Concrete, "m"), [SHAPE])
    assert [x.kind for x in seen.layers] == ["linear"] and "made on the CPU" in seen.notes[0]


def test_a_model_that_runs_on_the_cpu_only():
    class Sized(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("shape", torch.tensor([-1, 1200]))
            self.fc = nn.Linear(1200, 2)

        def forward(self, x):
            return self.fc(x.reshape(self.shape.tolist()))

    assert [x.kind for x in layers(Sized)] == ["linear"]


def test_a_module_that_is_given_stays_as_it_was():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(2))
    assert [x.kind for x in layers(model)] == ["conv", "batch_norm", "dropout", "linear"]
    assert model.training and model[0].training and isinstance(model[0], nn.LazyConv2d)
    assert nn.parameter.is_lazy(model[4].weight) and not model[1].weight.is_meta and model[1].num_batches_tracked == 0
    assert not model[1]._forward_hooks


# What cannot be told.


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


class Deaf(nn.Module):
    def forward(self, x):
        return torch.zeros(1, 10)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Residual, "add"), (Inception, "not towers of one network: one (conv), three (conv), max_pool2d"), (Chooses, "reads the values"),
        (Aliased, "in place"), (Deaf, "not computed from its input"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_layers_is_said(model, said):
    assert said in refused(model)


def test_a_model_that_does_not_run_is_quoted():
    model = nn.Sequential(nn.Conv2d(1, 4, 3))
    with pytest.raises(UserError, match=r"at 3×224×224: .*1 channels.*at 3×227×227: .*--input CxHxW"):
        ask(model)
    assert "cannot be made: ZeroDivisionError" in refused(lambda: nn.Linear(1 // 0, 2))


@pytest.mark.parametrize("last", [lambda: nn.Linear(2 * 55 * 55, 10), lambda: nn.Sequential(nn.LazyLinear(10), OnlyAt227())])
def test_without_an_input_the_second_side_is_tried(last):
    look = ask(lambda: nn.Sequential(KeepsSide(), nn.Conv2d(3, 2, 11, 4), nn.Flatten(), last()))[0]
    assert look.input == (3, 227, 227) and look.layers[-1].units == 2 * 55 * 55


class KeepsSide(nn.Module):
    def forward(self, x):
        KeepsSide.side = x.shape[-1]
        return x


class OnlyAt227(nn.Module):
    """Fails after the layers before it have taken their sizes."""

    def forward(self, x):
        assert KeepsSide.side == 227
        return x


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("torchvision.models:alexnt", "did you mean 'alexnet'"),
        ("torchvision.modles:alexnet", "cannot be imported: ModuleNotFoundError"),
        ("torchvision.models", "package.module:factory"),
        ("missing.py:factory", "missing.py: no such file"),
        ("math:pi", "neither a torch module nor something that makes one"),
        ("torch.nn:Linear", "needs arguments; give a function without any"),
        ("os:getcwd", "gives str, no torch module"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(where, said):
    with pytest.raises(UserError) as error:
        look(opened(where), [SHAPE])
    assert said in str(error.value)
