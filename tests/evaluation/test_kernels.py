"""What kernels hold, on kernels made for it, and on published ones (where REPLICATE_DATA names a folder with them)."""

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from replicate.evaluation.kernels import colour_share, describe, spectrum, tower_split

REFERENCE = Path(os.environ.get("REPLICATE_DATA", "nowhere")) / "reference"
GREY, RED_GREEN = np.array([1.0, 1, 1]), np.array([1.0, -1, 0])
SIDE = 11
Y, X = np.mgrid[:SIDE, :SIDE] - SIDE // 2


def grating(angle: float, cycles: float, colour=GREY) -> np.ndarray:
    wave = np.cos(2 * np.pi * cycles / SIDE * (X * np.cos(angle) + Y * np.sin(angle)) + 1)
    return colour[:, None, None] * wave * np.exp(-(X**2 + Y**2) / 18)


def edge(angle: float, colour=GREY) -> np.ndarray:
    return colour[:, None, None] * np.sign(X * np.cos(angle) + Y * np.sin(angle) + 0.3)


def spot(colour=GREY, at=(0, 0)) -> np.ndarray:
    return colour[:, None, None] * np.exp(-((X - at[0]) ** 2 + (Y - at[1]) ** 2) / 8)


def noise(n: int, side: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3, side, side))


def test_the_share_of_colour():
    kernels = np.stack([spot(), spot(RED_GREEN), spot(GREY + RED_GREEN), np.zeros((3, SIDE, SIDE))])
    assert colour_share(kernels) == pytest.approx([0, 100, 40, 0])  # 2 of the 2 + 3 parts of the energy
    assert colour_share(noise(500)).mean() == pytest.approx(200 / 3, abs=0.5)
    assert colour_share(kernels[:, ::-1] * 7) == pytest.approx(colour_share(kernels))  # BGR, any size


@pytest.mark.parametrize("angle", [0, 0.4, 1.2, np.pi / 2, 2.5])
def test_gratings_and_edges_have_an_orientation_and_spots_have_none(angle):
    waves = np.stack([grating(angle, 1.5), grating(angle, 3), grating(angle, 4.5), edge(angle)])
    assert (spectrum(waves)[1] > 50).all()
    spots = np.stack([spot(RED_GREEN, at=(x, y)) for x in (-4, 0, 2) for y in (-3, 0, 4)])
    assert (spectrum(spots)[1] < 30).all()


def test_a_grating_near_the_highest_frequency_is_as_concentrated_as_another():
    slow, fast = spectrum(np.stack([grating(0, 2), grating(0, 5.4)]))[0]
    assert fast == pytest.approx(slow, abs=5)


def test_kernels_of_each_kind_are_counted():
    waves = [grating(angle, cycles, colour) for angle in (0, 1, 2) for cycles in (1.5, 3) for colour in (GREY, RED_GREEN)]
    coloured = [spot(RED_GREEN, at) for at in ((0, 0), (2, 2), (-3, 1))]
    grey = [spot(at=at) for at in ((0, 0), (2, 2))]
    found = describe(np.stack([*waves, *coloured, *grey, *noise(40)]), towers=1)
    assert (found["selective"], found["blobs"]) == (len(waves), len(coloured))
    assert set(found) == {"colour", "selective", "blobs"}  # one tower has nothing to be told from


@pytest.mark.parametrize("side", [5, 11])
def test_noise_is_of_no_kind(side):
    found = describe(noise(96, side, seed=7), towers=2)
    assert found["selective"] + found["blobs"] <= 1 and found["tower_p"] > 0.01


def test_towers_that_share_the_work_by_colour_are_told_from_a_random_split():
    grey, coloured = [spot(at=(i, 0)) for i in range(-3, 3)], [spot(RED_GREEN, at=(i, 0)) for i in range(-3, 3)]
    apart = describe(np.stack(grey + coloured), towers=2)
    assert apart["tower_difference"] == pytest.approx(100) and apart["tower_p"] < 0.01
    turned = describe(np.stack(coloured + grey), towers=2)  # which tower is which says nothing
    assert turned["tower_difference"] == pytest.approx(100) and turned["tower_p"] < 0.01
    mixed = describe(np.stack(grey[:3] + coloured[:3] + grey[3:] + coloured[3:]), towers=2)
    assert mixed["tower_difference"] == pytest.approx(0, abs=1e-9) and mixed["tower_p"] == 1


def test_the_permutation_test_is_what_trying_all_splits_gives():
    values = np.array([1.0, 4, 2, 9, 3, 7, 8, 5])
    own = abs(values[:4].mean() - values[4:].mean())
    every = [abs(values[list(half)].mean() - np.delete(values, half).mean()) for half in combinations(range(8), 4)]
    difference, chance, p = tower_split(values, 2)
    assert difference == pytest.approx(own)
    assert chance == pytest.approx(np.mean(every), abs=0.05)
    assert p == pytest.approx(np.mean([one >= own - 1e-9 for one in every]), abs=0.02)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="needs REPLICATE_DATA with reference/")
def test_published_towers_share_the_work_by_colour_and_published_kernels_without_towers_do_not():
    """CaffeNet's layer 2 reads its kernels in two groups; torchvision's net has none, so its halves are a control."""
    with np.load(REFERENCE / "caffenet_conv12.npz") as file:
        caffenet = describe(file["conv1_w"], towers=2)
    with np.load(REFERENCE / "torchvision_alexnet_conv1.npz") as file:
        control = describe(file["conv1_w"], towers=2)
    assert caffenet["tower_p"] < 0.001 and caffenet["tower_difference"] > 5 * caffenet["tower_chance"]
    assert control["tower_p"] > 0.05
    for one in (caffenet, control):
        assert one["selective"] > 20 and one["blobs"] > 5
