"""ReLU, normalisation and pooling in one pass against torch's modules one after the other, forward and backward."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from replicate.modules import build, fused, initialise
from replicate.modules.lrn import LRN, normalise_plain


def plain(part, x):
    """The modules in torch's own operations."""
    for module in part:
        plainly = isinstance(module, LRN)
        x = normalise_plain(x, module.size, module.alpha, module.beta, module.k, module.towers) if plainly else module(x)
    return x


def part(lrn=(5, 1e-3, 0.75, 2.0, 2), kernel_size=3, stride=2, padding=0, ceil_mode=True):
    pool = nn.MaxPool2d(kernel_size, stride, padding, ceil_mode=ceil_mode)
    return [nn.ReLU(), LRN(*lrn), pool] if lrn else [nn.ReLU(), pool]


def both(layer, x, g=None):
    """Output and gradient of the one pass, and of torch's modules in float64."""
    x, exact = x.requires_grad_(), x.detach().double().requires_grad_()
    ours, theirs = fused.run(layer, x), plain(layer, exact)
    assert "RectifyNormalisePool" in type(ours.grad_fn).__name__
    g = torch.randn(theirs.shape, dtype=torch.float64).to(x.dtype) if g is None else g
    (dx,) = torch.autograd.grad(ours, x, g)
    (expected,) = torch.autograd.grad(theirs, exact, g.double())
    return ours, theirs, dx, expected


POOLS = [
    dict(),
    dict(ceil_mode=False),
    dict(kernel_size=2),
    dict(kernel_size=3, stride=3),
    dict(kernel_size=3, stride=2, padding=1),
    dict(kernel_size=3, stride=2, padding=1, ceil_mode=False),
    dict(kernel_size=5, stride=1, padding=2),
    dict(kernel_size=2, stride=3),
    dict(kernel_size=1, stride=1),
    dict(kernel_size=16, stride=8, padding=8),
]
NORMALISATIONS = [None, (5, 1e-3, 0.75, 2.0, 1), (5, 1e-3, 0.5, 1.0, 2), (9, 1e-2, 0.75, 1.0, 3), (1, 1e-2, 1.0, 2.0, 2), (4, 1e-2, 0.75, 2.0, 1)]


@pytest.mark.parametrize("settings", [*POOLS, *(dict(lrn=lrn) for lrn in NORMALISATIONS)], ids=str)
@pytest.mark.parametrize("sides", [(13, 10), (8, 9)])
def test_one_pass_is_the_modules_one_after_the_other(settings, sides):
    x = torch.randn(3, 12, *sides, dtype=torch.float64) * 30
    ours, theirs, dx, expected = both(part(**settings), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(dx, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lrn", [None, (5, 0.3, 0.75, 2.0, 2)])
def test_gradients(lrn):
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64).requires_grad_()
    layer = part(lrn)
    assert torch.autograd.gradcheck(lambda x: fused.run(layer, x), (x,))


def test_float32():
    ours, theirs, dx, expected = both(part((5, 1e-4, 0.75, 2.0, 2)), torch.randn(2, 96, 9, 9, generator=torch.Generator().manual_seed(1)) * 50)
    assert (ours - theirs).abs().max() < 1e-6 * theirs.abs().max()
    assert (dx - expected).abs().max() < 1e-6 * expected.abs().max()


@pytest.mark.parametrize("lrn", [None, (5, 1e-4, 0.75, 2.0, 2)])
def test_bfloat16_is_rounded_once_on_the_way_out(lrn):
    """Half a unit in the last of its eight digits, and what float32 adds to it."""
    x = (torch.randn(2, 96, 9, 9, generator=torch.Generator().manual_seed(1)) * 50).bfloat16()
    ours, theirs, dx, expected = both(part(lrn), x)
    assert ours.dtype == dx.dtype == torch.bfloat16
    torch.testing.assert_close(ours.double(), theirs, rtol=2**-8 * 1.001, atol=0)
    torch.testing.assert_close(dx.double(), expected, rtol=2**-8 * 1.01, atol=1e-6)


def test_bfloat16_rounds_as_torch_does():
    """Sums of two gradients: ties to even, both signs, far and near."""
    g = torch.randn(1, 64, 1, 2, generator=torch.Generator().manual_seed(1)).bfloat16()
    g[0, :8, 0, 0], g[0, :8, 0, 1] = 1.0, torch.tensor([1, 3, 5, -3, 2, 0, 1e-3, -7]).bfloat16() / 256
    x = torch.ones(1, 64, 1, 3).bfloat16()
    x[..., 1] = 2  # wins both windows
    _, _, dx, _ = both(part(None, kernel_size=2, stride=1, ceil_mode=False), x.expand(1, 64, 2, 3).clone(), g)
    won = dx.float().sum(2)[0, :, 1]
    assert torch.equal(won, (g.float()[0, :, 0, 0] + g.float()[0, :, 0, 1]).bfloat16().float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("lrn", [None, (5, 1e-4, 0.75, 2.0, 1)])
@pytest.mark.parametrize("place", [(0, 0), (1, 1), (2, 2), (2, 0)])
def test_a_nan_reaches_the_output(dtype, lrn, place):
    x = torch.randn(1, 8, 3, 3, dtype=torch.float64).to(dtype)
    x[0, 2, *place] = float("nan")
    y = fused.run(part(lrn), x)
    expected = range(5) if lrn else [2]
    assert y.isnan().flatten().nonzero().flatten().tolist() == list(expected)


def test_the_relu_s_derivative_at_zero_is_zero_and_the_first_of_equals_wins():
    x = torch.tensor([0.0, -0.0, -1.0, 3.0, 3.0, 0.0]).double().reshape(1, 1, 1, 6).repeat(1, 4, 2, 1)
    _, _, dx, expected = both(part(None, kernel_size=2, stride=2), x)
    torch.testing.assert_close(dx, expected, rtol=0, atol=0)
    assert dx[..., :3].eq(0).all() and dx[0, :, 0, 3].ne(0).all()


def test_layouts_do_not_matter():
    x = torch.randn(2, 10, 6, 7, dtype=torch.float64)
    for other in (x.contiguous(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3), x[:1].expand(2, -1, -1, -1)):
        ours, theirs, dx, expected = both(part(), other.detach())
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(dx, expected, rtol=1e-12, atol=1e-12)


def test_which_layers_of_a_network_are_one_pass():
    net = build("paper", classes=10, side=96)
    together = [[name for name, module in net.named_children() if module in part] for part in fused.parts(net) if len(part) > 1]
    assert together == [["relu1", "lrn1", "pool1"], ["relu2", "lrn2", "pool2"], ["relu5", "pool5"]]
    assert [module for part in fused.parts(net) for module in part] == list(net)


@pytest.mark.parametrize("name", ["demo", "demo-no-lrn", "demo-tanh", "code145-half"])
def test_a_network_computes_what_its_modules_do(name):
    net = initialise(build(name, classes=10, side=64 if "145" in name else None), seed=1).double()
    for module in net:  # weights at which values do not vanish on the way, as the paper's small ones let them
        if hasattr(module, "weight"):
            nn.init.kaiming_normal_(module.weight, generator=torch.Generator().manual_seed(1))
    net.set_dropout_key(1, 1)
    x = torch.randn(4, net.description.input.maps, net.side, net.side, dtype=torch.float64) * 50
    ours, theirs = net(x), plain(net, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)
    g = torch.randn_like(ours)
    for a, b in zip(torch.autograd.grad(ours, net.parameters(), g), torch.autograd.grad(theirs, net.parameters(), g), strict=True):
        assert (a - b).norm() <= 1e-11 * b.norm()


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"])
def test_who_watches_a_module_sees_it_run(kind):
    net, seen = build("demo", classes=10), []
    getattr(net.lrn1, f"register_{kind}")(lambda *_: seen.append(kind))
    net(torch.randn(2, 3, net.side, net.side)).sum().backward()
    assert seen == [kind]


def test_pictures_of_a_training_in_bfloat16():
    """Under autocast all between the first convolution and the last layer is bfloat16, and gradients are the weights' float32."""
    net = initialise(build("demo", classes=10), seed=1)
    net.set_dropout_key(1, 1)
    x = torch.randn(4, 3, net.side, net.side) * 50
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    F.cross_entropy(y.float(), torch.arange(4)).backward()
    assert y.dtype == torch.bfloat16
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters())
    assert net.conv1.weight.grad.norm() > 0
