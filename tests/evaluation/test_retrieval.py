"""Neighbours against a loop over all pairs, and what they say of pictures made for it."""

import numpy as np
import pytest

from replicate.evaluation import retrieval as module
from replicate.evaluation.retrieval import distances, nearest, precision, ranks, retrieval

RANDOM = np.random.default_rng(3)


def by_a_loop(values: np.ndarray, queries: int, most: int) -> list[list[int]]:
    flat = values.reshape(len(values), -1).astype(np.float64)
    found = []
    for i in range(queries):
        others = sorted((float(((flat[i] - flat[j]) ** 2).sum()), j) for j in range(len(flat)) if j != i)
        found.append([j for _, j in others[:most]])
    return found


@pytest.mark.parametrize("values", [RANDOM.normal(size=(40, 12)), RANDOM.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)])
def test_nearest_is_what_a_loop_finds_whatever_the_blocks(values, monkeypatch):
    whole, codes = distances(values.__getitem__, len(values), 25)
    assert nearest(whole, 7).tolist() == by_a_loop(values, 25, 7)
    monkeypatch.setattr(module, "BLOCK", 7)
    in_blocks, codes_in_blocks = distances(values.__getitem__, len(values), 25)
    np.testing.assert_allclose(in_blocks, whole, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(codes_in_blocks, codes)


def test_codes_differ_the_more_the_wider_the_angle():
    around = np.linspace(0, np.pi, 9)
    vectors = np.stack([np.cos(around), np.sin(around)], 1).astype(np.float32)
    values = np.concatenate([vectors, -vectors])  # so that their mean is the origin
    _, codes = distances(values.__getitem__, len(values), len(values))
    assert (np.diag(codes) == 0).all()
    assert codes[0, :9] / module.CODE_BITS == pytest.approx(around / np.pi, abs=0.12)  # the share of planes between them
    assert (codes == codes.round()).all()


def test_of_equally_near_pictures_the_first_comes_first_and_none_is_its_own():
    assert nearest(np.zeros((2, 5)), 3).tolist() == [[1, 2, 3], [0, 2, 3]]


def test_precision_counts_the_nearest_one_by_one():
    labels = np.array([0, 1, 0, 0, 1])
    near = np.array([[2, 1, 3], [4, 0, 2]])
    assert precision(near, labels) == pytest.approx([100, 50, 50])


def test_ranks_are_shares_of_the_other_pictures():
    apart = np.array([[0.0, 1, 2, 3, 4, 5]])
    assert ranks(apart, np.array([[1, 3]])) == pytest.approx([0, 25])  # none nearer, two of four; their median
    assert ranks(apart, np.array([[5]])) == [100]


def test_features_of_classes_find_classes_where_pixels_do_not(monkeypatch):
    monkeypatch.setattr(module, "QUERIES", 60)
    labels = RANDOM.integers(0, 4, 200)
    features = np.eye(4, 32, dtype=np.float32)[labels] * 10 + RANDOM.random((200, 32), dtype=np.float32)
    pixels = RANDOM.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    found = retrieval(features.__getitem__, pixels.__getitem__, labels)
    assert found["queries"] == 60
    assert set(map(len, found["precision"].values())) == {module.NEIGHBOURS}
    assert found["precision"]["features"] == [100] * module.NEIGHBOURS
    assert found["precision"]["feature_codes"][5] > 90
    assert found["precision"]["pixels"][5] < 50 and found["precision"]["pixel_codes"][5] < 50
    assert 35 < found["pixel_rank"][5] < 65  # pixels know nothing of the features here
    same = retrieval(pixels.__getitem__, pixels.__getitem__, labels)
    assert same["pixel_rank"][0] == 0 and same["precision"]["features"] == same["precision"]["pixels"]


def test_few_pictures_have_few_neighbours():
    values = RANDOM.normal(size=(5, 3))
    found = retrieval(values.__getitem__, values.__getitem__, np.array([0, 0, 1, 1, 1]))
    assert len(found["pixel_rank"]) == 4 and found["queries"] == 5
