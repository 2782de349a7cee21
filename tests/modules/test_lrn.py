"""LRN against a loop that reads like the equation, forward and backward, at window edges and tower borders."""

import pytest
import torch

from replicate.modules import build
from replicate.modules.build import Net
from replicate.modules.lrn import LRN, SpatialLRN, normalise_plain
from replicate.networks import load


def loop(a, n, alpha, beta, k, towers):
    """Section 3.3, one map at a time; j runs from max(0, i-n/2) to min(N-1, i+n/2) inside the map's tower."""
    b, maps = torch.empty_like(a), a.shape[1] // towers
    for i in range(a.shape[1]):
        first = i // maps * maps
        near = range(max(first, i - n // 2), min(first + maps - 1, i + n // 2) + 1)
        b[:, i] = a[:, i] / (k + alpha * sum(a[:, j] ** 2 for j in near)) ** beta
    return b


@pytest.mark.parametrize("towers", [1, 2])
@pytest.mark.parametrize(("n", "beta", "k"), [(5, 0.75, 2.0), (5, 0.5, 1.0), (9, 0.75, 1.0), (1, 0.75, 2.0)])
def test_both_forms_are_the_equation(n, beta, k, towers):
    a = torch.randn(2, 12, 3, 4, dtype=torch.float64) * 30
    expected = loop(a, n, 1e-2, beta, k, towers)
    torch.testing.assert_close(normalise_plain(a, n, 1e-2, beta, k, towers), expected)
    torch.testing.assert_close(LRN(n, 1e-2, beta, k, towers)(a), expected)


@pytest.mark.parametrize("towers", [1, 2])
@pytest.mark.parametrize("maps", [4, 12])
def test_gradients(towers, maps):
    a = torch.randn(2, maps, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LRN(5, 0.3, 0.75, 2.0, towers), (a,))


def test_float32_gradient_is_the_plain_form_s():
    a = (torch.randn(4, 96, 9, 9) * 50).requires_grad_()
    g = torch.randn(4, 96, 9, 9)
    (ours,) = torch.autograd.grad(LRN(5, 1e-4, 0.75, 2.0, 2)(a), a, g)
    (plain,) = torch.autograd.grad(normalise_plain(a, 5, 1e-4, 0.75, 2.0, 2), a, g)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def test_bfloat16_is_computed_with_in_float32_and_rounded_once():
    """To within half a unit in the last of its eight digits; the kernel, the plain form and the one in space."""
    a = (torch.randn(2, 96, 9, 9) * 50).bfloat16()
    for norm in (LRN(5, 1e-4, 0.75, 2.0, 2), lambda a: normalise_plain(a, 5, 1e-4, 0.75, 2.0, 2), SpatialLRN(5, 1e-4, 0.75, 1.0)):
        ours, theirs = a.clone().requires_grad_(), a.double().requires_grad_()
        b, expected = norm(ours), norm(theirs)
        assert b.dtype == torch.bfloat16
        torch.testing.assert_close(b.double(), expected, rtol=2**-8 * 1.001, atol=0)
        g = torch.randn(a.shape).bfloat16()
        (da,), (expected,) = torch.autograd.grad(b, ours, g), torch.autograd.grad(expected, theirs, g.double())
        assert (da - expected).norm() < 2**-8 * expected.norm()


@pytest.mark.parametrize("shape", [(2, 96, 9, 9), (2, 900, 2, 2), (1, 1000, 1, 1), (2, 6, 40, 30)])
def test_how_much_the_kernel_takes_at_once_does_not_matter(shape):
    a = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    ours, plain = LRN(5, 0.1, 0.75, 2.0, 2)(a), normalise_plain(a, 5, 0.1, 0.75, 2.0, 2)
    torch.testing.assert_close(ours, plain)
    g = torch.randn_like(a)
    torch.testing.assert_close(torch.autograd.grad(ours, a, g), torch.autograd.grad(plain, a, g))


def test_a_window_does_not_cross_a_tower():
    a = torch.zeros(1, 8, 1, 1, dtype=torch.float64)
    a[0, 3], a[0, 4] = 1.0, 100.0  # on either side of the border
    apart, across = (LRN(5, 0.1, 0.75, 2.0, towers)(a)[0, 3].item() for towers in (2, 1))
    assert across < apart == pytest.approx((2 + 0.1) ** -0.75)


def test_layouts_do_not_matter():
    a = torch.randn(3, 10, 5, 6, dtype=torch.float64)
    last = a.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(LRN(5, 0.1, 0.75, 2.0, 2)(a), LRN(5, 0.1, 0.75, 2.0, 2)(last))


def test_torch_divides_alpha_by_n_and_the_paper_does_not():
    a = torch.randn(1, 10, 2, 2, dtype=torch.float64) * 100
    theirs = torch.nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)(a)
    torch.testing.assert_close(LRN(5, 1e-4, 0.75, 2.0, 1)(a), theirs)


def test_the_paper_s_stops_at_its_towers():
    net = build("paper")
    assert (net.lrn1.towers, net.lrn1.alpha) == (2, 1e-4)
    assert build("ungrouped").lrn1.towers == 1


def loop_in_space(a, n, alpha, beta, k):
    """The same with a window of n x n positions in one map, clipped at the edges."""
    b, (height, width), half = torch.empty_like(a), a.shape[2:], n // 2
    for y in range(height):
        for x in range(width):
            near = a[:, :, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            b[:, :, y, x] = a[:, :, y, x] / (k + alpha * (near**2).sum((2, 3))) ** beta
    return b


@pytest.mark.parametrize(("n", "k"), [(5, 1.0), (3, 2.0)])
def test_the_spatial_form_is_its_equation(n, k):
    a = torch.randn(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    norm = SpatialLRN(n, 0.3, 0.75, k)
    torch.testing.assert_close(norm(a), loop_in_space(a, n, 0.3, 0.75, k))
    assert torch.autograd.gradcheck(norm, (a,))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"over": "sum"}, {"alpha": 0.3, "k": 2.0, "towers": 2}),
        ({"over": "mean"}, {"alpha": 0.3 / 5, "k": 2.0, "towers": 2}),
        ({"over": "mean", "k": 1.0}, {"alpha": 0.3 / 5, "k": 1.0, "towers": 2}),
        ({"over": "sum", "scope": "layer"}, {"alpha": 0.3, "k": 2.0, "towers": 1}),
    ],
    ids=["the equation", "the 2012 code and torch", "Caffe", "across the towers"],
)
def test_each_reading_of_a_description_is_what_its_loop_says(fields, expected):
    demo = load("demo")
    lrn1 = demo.layer("lrn1").model_copy(update={"alpha": 0.3} | fields)
    net = Net(demo.model_copy(update={"layers": [lrn1 if layer.name == "lrn1" else layer for layer in demo.layers]}), 10, 32)
    a = torch.randn(2, 16, 3, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(net.lrn1(a), loop(a, 5, beta=0.75, **expected))
    assert torch.autograd.gradcheck(net.lrn1, (a[:1, :, :2, :2].detach().requires_grad_(),))


def test_a_window_of_even_size_takes_one_map_more_as_the_equation_does():
    a = torch.randn(1, 9, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(LRN(4, 0.3, 0.75, 2.0, 1)(a), LRN(5, 0.3, 0.75, 2.0, 1)(a))
