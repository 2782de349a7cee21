import json

import numpy as np
import pytest

from replicate import files
from replicate.errors import UserError
from replicate.pictures import pca, sources, store
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


@pytest.mark.parametrize("seed", range(5))
def test_pictures_in_grey_give_the_same_vectors_on_every_machine(seed):
    """Two of their eigenvalues are zero, and any vectors across grey belong to them: what a machine finds is in its last bits."""
    values = np.random.default_rng(1).integers(0, 256, 500)
    grey = pca.from_sums("made up", *sums_of(np.repeat(values[:, None], 3, axis=1)))
    assert grey.eigenvalues[1:] == grey.standard_deviations[1:] == [0, 0]
    thirds = [[3**-0.5, (2 / 3) ** 0.5, 0], [3**-0.5, -(6**-0.5), 2**-0.5], [3**-0.5, -(6**-0.5), -(2**-0.5)]]
    assert grey.eigenvectors == [[pca._round(value) for value in row] for row in thirds]
    noise = np.random.default_rng(seed).normal(0, 1e-12, (3, 3))
    found = pca._eigenpairs(np.array(grey.covariance) + noise + noise.T)
    assert [[pca._round(value) for value in row] for row in found[1]] == grey.eigenvectors and found[0][1:] == [0, 0]


def test_pictures_of_one_colour_and_of_equal_spread_have_the_axes_as_vectors():
    same = pca.from_sums("made up", *sums_of(np.full((9, 3), 7)))
    assert (same.eigenvalues, same.eigenvectors) == ([0] * 3, np.eye(3).tolist())
    cube = np.stack(np.meshgrid([0, 255], [0, 255], [0, 255]), -1).reshape(-1, 3)
    assert pca.from_sums("made up", *sums_of(cube)).eigenvectors == np.eye(3).tolist()


def test_an_altered_shard_is_noticed_while_it_is_summed(profile, monkeypatch):
    """In the same reading: no file of the store is hashed beforehand."""
    ours = profile(DRAWN)
    sources.provide(ours)
    prepare(ours, workers=1)
    monkeypatch.setattr(store, "PART_BYTES", 10_000)  # several parts a shard
    hashed, sha256 = [], files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: hashed.append(path.name) or sha256(path))
    pca.compute(ours)
    assert hashed == ["manifest.json"]
    ours.pca.unlink()
    shard = ours.store / "train-00000.npy"
    whole = shard.read_bytes()
    for at in (20, 9000, -1):  # the header, a pixel, the last
        altered = bytearray(whole)
        altered[at] ^= 1
        shard.write_bytes(altered)
        with pytest.raises(UserError, match="train-00000.npy is altered"):
            pca.compute(ours)
        assert not ours.pca.exists()


class Blocks:
    """What `sums` asks of a split."""

    def __init__(self, *blocks):
        self._blocks = blocks
        self.shards = len(blocks)

    def __len__(self):
        return sum(map(len, self._blocks))

    def parts(self, shard):
        yield from np.array_split(self._blocks[shard], 2)


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
