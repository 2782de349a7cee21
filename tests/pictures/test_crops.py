"""Crops as the network reads them, against plain NumPy, picture by picture."""

import numpy as np
import pytest

from replicate.networks import load
from replicate.paper import claims
from replicate.pictures.crops import Reading, ten_views


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 20, 20, 3), dtype=np.uint8)


@pytest.fixture
def mean(pictures):
    return pictures.mean(0, dtype=np.float64).astype(np.float32)


def test_crop_mirror_and_mean_where_the_picture_is(pictures, mean):
    rows, columns = np.array([0, 4, 2, 1, 3]), np.array([4, 0, 1, 3, 2])
    mirrored = np.array([False, True, True, False, True])
    shift = np.random.default_rng(1).normal(0, 8, (5, 3)).astype(np.float32)
    cut = Reading.of(load("paper").input, mean).cut(pictures, rows, columns, mirrored, 16, shift)
    for i in range(5):
        box = np.s_[rows[i] : rows[i] + 16, columns[i] : columns[i] + 16]
        expected = pictures[i][box].astype(np.float32) - mean[box] + shift[i]
        np.testing.assert_allclose(cut[i], expected[:, ::-1] if mirrored[i] else expected, atol=1e-4)


def test_the_centre(pictures, mean):
    cut = Reading.of(load("paper").input, mean).centre(pictures, 16)
    np.testing.assert_allclose(cut, (pictures - mean)[:, 2:18, 2:18], atol=1e-4)


def test_a_network_s_own_mean_scale_and_channel_order(pictures, mean):
    description = load("torchvision").input
    cut = Reading.of(description, mean).centre(pictures, 20)
    np.testing.assert_allclose(cut, (pictures - np.array(description.mean)) / description.std, atol=1e-4)
    blue_first = description.model_copy(update={"channels": "BGR", "mean": [1.0, 2.0, 3.0], "std": None, "scale": 0.5})
    cut = Reading.of(blue_first, mean).centre(pictures, 20)
    np.testing.assert_allclose(cut, (pictures[..., ::-1] - np.array([1.0, 2.0, 3.0])) * 0.5, atol=1e-4)


def test_ten_views_are_corners_centre_and_their_reflections():
    views = ten_views(20, 14)
    assert {v[:2] for v in views} == {(0, 0), (0, 6), (3, 3), (6, 0), (6, 6)}
    assert sum(mirrored for *_, mirrored in views) == 5
    assert len(set(views)) == claims()["ten-views"].value


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, 9), (9, 0)])
def test_a_crop_outside_its_picture_is_refused(row, column):
    reading = Reading.of(load("demo").input, np.zeros((40, 40, 3), np.float32))
    with pytest.raises(ValueError, match="outside its picture"):
        reading.cut(np.zeros((1, 40, 40, 3), np.uint8), [row], [column], [False], 32)
