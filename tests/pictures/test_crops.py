"""Crops as the network reads them, against plain NumPy, picture by picture."""

import numpy as np
import pytest
import torch

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


def test_the_2012_code_subtracts_the_centre_of_the_mean_wherever_the_crop_lies(pictures, mean):
    """The window itself, also from a mirrored crop, and in every view of a test."""
    rows, columns = np.array([0, 4, 2, 1, 3]), np.array([4, 0, 1, 3, 2])
    mirrored = np.array([False, True, True, False, True])
    reading = Reading.of(load("code145").input, mean)
    cut = reading.cut(pictures, rows, columns, mirrored, 16)
    for i in range(5):
        crop = pictures[i, rows[i] : rows[i] + 16, columns[i] : columns[i] + 16].astype(np.float32)
        np.testing.assert_allclose(cut[i], (crop[:, ::-1] if mirrored[i] else crop) - mean[2:18, 2:18], atol=1e-4)
    of_paper = Reading.of(load("paper").input, mean)
    np.testing.assert_array_equal(reading.centre(pictures, 16), of_paper.centre(pictures, 16))
    assert not np.allclose(cut, of_paper.cut(pictures, rows, columns, mirrored, 16))


def test_the_divisor_divides_all(pictures, mean):
    reading = Reading.of(load("torchvision").input, mean)
    places = [2] * 5, [3] * 5, [False] * 5, 16, np.full((5, 3), 7.0)
    np.testing.assert_allclose(reading.cut(pictures, *places, 1.1), reading.cut(pictures, *places) / 1.1, rtol=1e-6)


@pytest.mark.parametrize("network", ["paper", "code145", "torchvision", "caffe"])
def test_torch_s_form_cuts_the_same(network, pictures, mean):
    """What runs on a GPU, on the processor."""
    rows, columns = np.array([0, 4, 2, 1, 3]), np.array([4, 0, 1, 3, 2])
    mirrored, shift = np.array([False, True, True, False, True]), np.random.default_rng(1).normal(0, 8, (5, 3))
    reading = Reading.of(load(network).input, mean)
    expected = reading.cut(pictures, rows, columns, mirrored, 16, shift, 1.1)
    cut = reading.cut_tensor(torch.from_numpy(pictures), rows, columns, mirrored, 16, shift, 1.1)
    assert cut.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(cut.permute(0, 2, 3, 1).numpy(), expected)
    with pytest.raises(ValueError, match="outside its picture"):
        reading.cut_tensor(torch.from_numpy(pictures), rows + 1, columns, mirrored, 16, shift)


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
