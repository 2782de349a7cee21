"""Layers written by hand: each is told by what it does."""

import pytest
import torch
from torch.nn import functional as F

from tests.modules.told import inside


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
