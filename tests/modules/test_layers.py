"""Layers that torch lacks, against loops and against torch's own where it has them."""

from math import sqrt

import pytest
import torch
from torch.nn import functional as F

from replicate.modules import initialise
from replicate.modules.build import Net
from replicate.modules.layers import Conv2d, GroupedLinear, Local2d
from replicate.networks import load
from replicate.networks.description import BatchNorm, GlobalPool, Linear, Local, Pool, Scheme


def with_layers(name, **changes):
    """The network `name` with some of its layers replaced, by name."""
    network = load(name)
    return network.model_copy(update={"layers": [changes.get(layer.name, layer) for layer in network.layers]})


@pytest.mark.parametrize(("side", "kernel", "stride", "padding", "excess"), [(5, 3, 1, 1, 0), (6, 3, 2, 0, 1)])
def test_local_is_a_convolution_with_weights_of_its_own_at_every_position(side, kernel, stride, padding, excess):
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    wide = F.pad(x, (padding, padding + excess) * 2)
    n = (wide.shape[-1] - kernel) // stride + 1
    local = Local2d(3, 4, kernel, stride, padding, n, excess).double()
    torch.nn.init.normal_(local.weight)
    torch.nn.init.normal_(local.bias)
    y = local(x)
    for row in range(n):
        for column in range(n):
            window = wide[:, :, row * stride : row * stride + kernel, column * stride : column * stride + kernel]
            expected = window.reshape(2, -1) @ local.weight[row * n + column].T + local.bias[:, row, column]
            torch.testing.assert_close(y[:, :, row, column], expected)


def test_a_grouped_linear_layer_reads_its_own_part():
    layer = GroupedLinear(6, 4, 2)
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(3, 6)
    other = torch.cat([x[:, :3], torch.randn(3, 3)], 1)
    assert torch.equal(layer(x)[:, :2], layer(other)[:, :2]) and not torch.equal(layer(x)[:, 2:], layer(other)[:, 2:])
    torch.testing.assert_close(layer(x)[:, :2], x[:, :3] @ layer.weight[:2].T)


def test_average_pooling_divides_by_what_the_edge_leaves():
    pool = Pool(name="pool1", kind="avg_pool", kernel_size=3, stride=2)
    net = Net(with_layers("demo", pool1=pool), 10, 32)
    x = torch.ones(1, 16, 14, 14)
    assert net.pool1(x).shape[-1] == 7 and torch.equal(net.pool1(x), torch.ones(1, 16, 7, 7))


def test_a_net_may_end_in_maps_averaged():
    demo = load("demo")
    layers = [layer for layer in demo.layers if layer.name not in ("fc6", "relu6", "dropout6", "fc7", "relu7", "dropout7", "fc8", "pool5")]
    layers = [layer.model_copy(update={"out": "classes"}) if layer.name == "conv5" else layer for layer in layers]
    layers = [layer.model_copy(update={"groups": 1}) if layer.name == "conv5" else layer for layer in layers]
    net = Net(demo.model_copy(update={"layers": [*layers, GlobalPool(name="pool", kind="global_pool")]}), 7, 32)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_batch_norm_follows_maps_or_units():
    norm1, norm6 = (BatchNorm(name=n, kind="batch_norm", eps=1e-3, momentum=0.1) for n in ("lrn1", "dropout6"))
    net = Net(with_layers("demo", lrn1=norm1, dropout6=norm6), 10, 32)
    assert isinstance(net.lrn1, torch.nn.BatchNorm2d) and isinstance(net.dropout6, torch.nn.BatchNorm1d)
    assert (net.lrn1.eps, net.lrn1.momentum) == (1e-3, 0.1)


@pytest.mark.parametrize("scheme", ["glorot_uniform", "glorot_normal", "he_normal", "lecun_normal"])
def test_schemes_are_torch_s(scheme):
    fc7 = load("demo").layer("fc7").model_copy(update={"init": Scheme(scheme=scheme, bias=0.5)})
    ours = initialise(Net(with_layers("demo", fc7=fc7), 10, 32), seed=1).fc7
    theirs = torch.empty_like(ours.weight)
    {
        "glorot_uniform": torch.nn.init.xavier_uniform_,
        "glorot_normal": torch.nn.init.xavier_normal_,
        "he_normal": torch.nn.init.kaiming_normal_,
        "lecun_normal": lambda w: torch.nn.init.normal_(w, std=1 / sqrt(w.shape[1])),
    }[scheme](theirs)
    assert ours.weight.std().item() == pytest.approx(theirs.std().item(), rel=0.02)
    assert ours.weight.max().item() == pytest.approx(theirs.max().item(), rel=0.02 if "uniform" in scheme else 0.3)
    assert ours.bias.unique().tolist() == [0.5]


def test_a_truncated_normal_ends_at_two_standard_deviations():
    fc7 = load("demo").layer("fc7")
    fc7 = fc7.model_copy(update={"init": fc7.init.model_copy(update={"std": 0.1, "truncated": True})})
    weight = initialise(Net(with_layers("demo", fc7=fc7), 10, 32), seed=1).fc7.weight
    assert 0.19 < weight.abs().max().item() <= 0.2
    assert weight.std().item() == pytest.approx(0.088, rel=0.02)  # of a normal cut at two s.d.


def test_local_weights_are_drawn_as_the_description_says():
    conv5 = Local(name="conv5", kind="local", out=8, kernel_size=3, stride=1, padding=1, init={"std": 0.04, "bias": 1})
    net = initialise(Net(with_layers("demo", conv5=conv5), 10, 32), seed=1)
    assert net.conv5.weight.std().item() == pytest.approx(0.04, rel=0.02) and net.conv5.bias.unique().tolist() == [1.0]


def test_a_grouped_linear_layer_comes_from_its_description():
    fc7 = Linear(name="fc7", kind="linear", out=256, groups=2, init={"std": 0.08, "bias": 1})
    net = Net(with_layers("demo", fc7=fc7), 10, 32)
    assert net.fc7.weight.shape == (256, 128) and net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("kernel_size", [2, 3, 7, 11])
@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize(("padding", "excess"), [(0, 0), (2, 0), (1, 1), (0, 3)])
def test_what_a_first_layer_learns_is_what_torch_s_convolution_does(kernel_size, stride, padding, excess):
    """Whatever pixels the stride leaves unread at the edges."""
    layer = Conv2d(3, 4, kernel_size, stride, padding, excess=excess).double()
    parameters = layer.weight, layer.bias
    for sides in ((23, 30), (24, 25)):
        x = torch.randn(2, 3, *sides, dtype=torch.float64)
        ours, theirs = layer(x), F.conv2d(F.pad(x, (0, excess, 0, excess)), *parameters, stride, padding)
        assert torch.equal(ours, theirs) and "OfPixels" in type(ours.grad_fn).__name__
        g = torch.randn_like(ours)
        for one, other in zip(torch.autograd.grad(ours, parameters, g), torch.autograd.grad(theirs, parameters, g), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_other_convolutions_are_torch_s():
    """Whose input has a gradient or many channels, without a stride, in bfloat16; and the first layer where nothing is learned."""
    first, x = Conv2d(3, 4, 3, 2), torch.randn(2, 3, 9, 9)

    def ours(layer, x):
        return "OfPixels" in type(layer(x).grad_fn).__name__

    assert ours(first, x) and not ours(first, x.clone().requires_grad_())
    assert not ours(Conv2d(8, 4, 3, 2), torch.randn(2, 8, 9, 9)) and not ours(Conv2d(3, 4, 3, 1), x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not ours(first, x)
    with torch.no_grad():
        assert first(x).grad_fn is None
