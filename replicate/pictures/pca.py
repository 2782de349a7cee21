"""The stage `pca`: principal components of the RGB values of all training pixels (section 4.1, colour noise)."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.machine import cores
from replicate.pictures.store import Split, open_store
from replicate.settings import Profile, Strict

DIGITS = 10  # eigenpairs agree to these between CPUs, whose LAPACK kernels differ in the last bits

UNITS = {
    "sum": "grey levels (0..255), R G B",
    "sum_of_products": "grey levels squared",
    "mean": "grey levels",
    "covariance": "grey levels squared; rows and columns R G B",
    "eigenvalues": "grey levels squared, descending",
    "eigenvalues_unit": "the same for pixels in [0, 1]: divided by 255 squared",
    "standard_deviations": "grey levels: square roots of eigenvalues",
    "eigenvectors": "no unit; rows R G B, column i belongs to eigenvalue i; its component of largest magnitude is positive",
}


class Pca(Strict):
    """The file `pca.json`. Sums are exact integers; what follows from them is rounded to 10 significant digits.

    `eigenvectors[channel][i]` belongs to `eigenvalues[i]`; `store` is the identity of the store whose pixels they are.
    """

    store: str
    pixels: int
    sum: list[int]
    sum_of_products: list[list[int]]
    mean: list[float]
    covariance: list[list[float]]
    eigenvalues: list[float]
    eigenvalues_unit: list[float]
    standard_deviations: list[float]
    eigenvectors: list[list[float]]
    units: dict[str, str]


def compute(profile: Profile, workers: int | None = None) -> Pca:
    """The PCA of every pixel of the training store; writes `data/<profile>/pca.json` and the record that git keeps.

    UserError for a shard that was altered.
    """
    store = open_store(profile.store)
    pca = from_sums(store.identity, *sums(store.train, workers))
    for path in (profile.pca, profile.record("pca")):
        files.write_json(path, pca.model_dump())
    return pca


def read(path: Path) -> Pca:
    if not path.is_file():
        raise UserError(f"{path}: not there; run `replicate pca --profile {path.absolute().parent.name}`")
    return files.parse(Pca, files.read_json(path), str(path))


def sums(split: Split, workers: int | None = None) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of pixels, their sum (3,) and the sum of their products (3, 3), both int64: exact, so in any order.

    `workers` threads (None: one per core) take a shard each, and compare its hash on the way.
    """
    from replicate.pictures.sums import moments  # imports Numba, which reading a PCA does not need

    def of(shard: int) -> tuple[int, int, np.ndarray, np.ndarray]:
        pictures, pixels, total, products = 0, 0, np.zeros(3, dtype=np.int64), np.zeros((3, 3), dtype=np.int64)
        for part in split.parts(shard):
            one, two = moments(part)
            pictures, pixels, total, products = pictures + len(part), pixels + part.size // 3, total + one, products + two
        return pictures, pixels, total, products

    pixels, total, products = 0, np.zeros(3, dtype=np.int64), np.zeros((3, 3), dtype=np.int64)
    pool = ThreadPoolExecutor(workers or cores())
    try:
        with tqdm(total=len(split), unit=" images", desc="pca", leave=False, disable=None) as bar:
            for pictures, count, one, two in pool.map(of, range(split.shards)):
                pixels, total, products = pixels + count, total + one, products + two
                bar.update(pictures)
    finally:
        pool.shutdown(cancel_futures=True)  # an altered shard is told at once, not when all others were read
    return pixels, total, products


def from_sums(store: str, pixels: int, total: np.ndarray, products: np.ndarray) -> Pca:
    """Mean, covariance (divided by the number of pixels) and its eigenpairs from exact sums."""
    s = [int(value) for value in total]
    p = [[int(value) for value in row] for row in products]
    covariance = [[float(Fraction(pixels * p[i][j] - s[i] * s[j], pixels**2)) for j in range(3)] for i in range(3)]
    values, vectors = _eigenpairs(np.array(covariance))
    return Pca(
        store=store,
        pixels=pixels,
        sum=s,
        sum_of_products=p,
        mean=[_round(float(Fraction(value, pixels))) for value in s],
        covariance=[[_round(value) for value in row] for row in covariance],
        eigenvalues=[_round(value) for value in values],
        eigenvalues_unit=[_round(value / 255**2) for value in values],
        standard_deviations=[_round(value**0.5) for value in values],
        eigenvectors=[[_round(float(value)) for value in row] for row in vectors],
        units=UNITS,
    )


def _eigenpairs(covariance: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Eigenvalues, descending, and the eigenvectors as columns, with the sign that UNITS says.

    A value that lies DIGITS digits below the largest is an error of rounding, and set to 0: pictures in grey have one that
    is none. Where values are equal to as many digits, any vectors of their plane would do, and every machine would find
    others. Those are taken that lie nearest to red, then green, then blue.
    """
    ascending, vectors = np.linalg.eigh(covariance)
    values, vectors = ascending[::-1], vectors[:, ::-1]
    least = max(values[0], 0) * 10.0**-DIGITS
    first = 0
    for last in range(1, 4):
        if last == 3 or values[last - 1] - values[last] > least:
            if last - first > 1:
                vectors[:, first:last] = _basis(vectors[:, first:last])
            first = last
    largest = np.abs(vectors).round(DIGITS).argmax(axis=0)  # of equal ones the first
    vectors = vectors * np.sign(vectors[largest, range(3)])
    vectors[np.abs(vectors) < 10.0**-DIGITS] = 0  # rounding again
    return [float(value) if value > least else 0.0 for value in values], vectors


def _basis(vectors: np.ndarray) -> np.ndarray:
    """(3, n) orthonormal columns → as many that span the same space: its shadows of the axes, made orthogonal in turn."""
    projector, found = vectors @ vectors.T, []
    for axis in range(3):
        shadow = projector[:, axis] - sum((one[axis] * one for one in found), np.zeros(3))
        length = np.linalg.norm(shadow)
        if length > 1e-3 and len(found) < vectors.shape[1]:
            found.append(shadow / length)
    return np.stack(found, axis=1)


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
