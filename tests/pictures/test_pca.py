import json

import numpy as np
import pytest

from replicate.errors import UserError
from replicate.pictures import pca, sources
from replicate.pictures.prepare import prepare
from replicate.pictures.store import open_store

DRAWN = {"kind": "drawn", "name": "drawn", "seed": 3, "train_per_class": 3, "val_per_class": 1}


def sums_of(pixels):
    pixels = pixels.astype(np.int64)
    return len(pixels), pixels.sum(axis=0), pixels.T @ pixels


def test_against_a_naive_computation(profile):
    ours = profile(DRAWN)
    sources.provide(ours)
    prepare(ours, workers=1)
    found = pca.compute(ours)
    pixels = open_store(ours.store).train.take(range(30)).reshape(-1, 3).astype(np.int64)
    assert found.store == open_store(ours.store).identity
    assert found.pixels == 30 * 32 * 32
    assert found.sum == pixels.sum(axis=0).tolist()
    assert found.sum_of_products == (pixels.T @ pixels).tolist()
    assert found.covariance == pytest.approx(np.cov(pixels.T, bias=True), rel=1e-9)
    vectors, values = np.array(found.eigenvectors), np.array(found.eigenvalues)
    assert (np.diff(values) < 0).all()
    assert vectors.T @ vectors == pytest.approx(np.eye(3), abs=1e-9)
    assert vectors @ np.diag(values) @ vectors.T == pytest.approx(np.array(found.covariance), rel=1e-8)
    assert (vectors[np.abs(vectors).argmax(axis=0), range(3)] > 0).all()
    assert found.standard_deviations == pytest.approx(np.sqrt(values))
    assert found.eigenvalues_unit == pytest.approx(values / 255**2)
    assert pca.read(ours.pca) == found
    assert json.loads(ours.pca.read_text()) == json.loads(ours.record("pca").read_text())


def test_column_i_of_the_eigenvectors_is_the_direction_of_eigenvalue_i():
    """Pixels that vary by 40 along grey, by 10 between red and blue: the noise must go along these."""
    draws = np.random.default_rng(1)
    grey, colour = draws.normal(0, 40, (20_000, 1)), draws.normal(0, 10, (20_000, 1))
    pixels = (128 + grey * np.array([1, 1, 1]) / 3**0.5 + colour * np.array([1, 0, -1]) / 2**0.5).round().clip(0, 255)
    found = pca.from_sums("made up", *sums_of(pixels))
    vectors = np.array(found.eigenvectors)
    assert vectors[:, 0] == pytest.approx([3**-0.5] * 3, abs=0.01)
    assert abs(vectors[:, 1] @ np.array([1, 0, -1]) / 2**0.5) == pytest.approx(1, abs=0.01)
    assert found.standard_deviations[:2] == pytest.approx([40, 10], rel=0.05)
    projected = (pixels - np.array(found.mean)) @ vectors
    assert projected.var(axis=0) == pytest.approx(found.eigenvalues, rel=1e-6)


class Blocks:
    """What `sums` asks of a split."""

    def __init__(self, *blocks):
        self._blocks = blocks

    def __len__(self):
        return sum(map(len, self._blocks))

    def blocks(self):
        yield from self._blocks


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_sums_do_not_depend_on_workers_or_order(workers):
    draws = np.random.default_rng(1)
    blocks = [draws.integers(0, 256, (n, 7, 7, 3), dtype=np.uint8) for n in (5, 1, 8, 3)]
    everything = sums_of(np.concatenate(blocks).reshape(-1, 3))
    for order in (blocks, blocks[::-1]):
        for found, expected in zip(pca.sums(Blocks(*order), workers), everything, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_numbers_have_ten_digits():
    assert pca._round(1234.56789012345) == 1234.56789
    assert pca._round(0.000123456789012345) == 0.0001234567890
    assert pca._round(-2 / 3) == -0.6666666667


def test_a_file_that_is_missing_or_not_ours(tmp_path):
    path = tmp_path / "test" / "pca.json"
    with pytest.raises(UserError, match="replicate pca --profile test"):
        pca.read(path)
    path.parent.mkdir()
    path.write_text('{"pixels": 1}')
    with pytest.raises(UserError, match="missing"):
        pca.read(path)
