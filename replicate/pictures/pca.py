"""The stage `pca`: principal components of the RGB values of all training pixels (section 4.1, colour noise)."""

import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.pictures.store import Split, open_store, verify
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
    """The PCA of every pixel of the training store; writes `data/<profile>/pca.json` and the record that git keeps."""
    store = open_store(profile.store)
    verify(store, ("train",))
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

    `workers` threads (None: one per core) take a shard each.
    """
    from replicate.pictures.sums import moments  # imports Numba, which reading a PCA does not need

    pixels, total, products = 0, np.zeros(3, dtype=np.int64), np.zeros((3, 3), dtype=np.int64)
    with (
        ThreadPoolExecutor(workers or os.cpu_count()) as pool,
        tqdm(total=len(split), unit=" images", desc="pca", leave=False, disable=None) as bar,
    ):
        for block, (one, two) in zip(split.blocks(), pool.map(moments, split.blocks()), strict=True):
            pixels += block.size // 3
            total += one
            products += two
            bar.update(len(block))
    return pixels, total, products


def from_sums(store: str, pixels: int, total: np.ndarray, products: np.ndarray) -> Pca:
    """Mean, covariance (divided by the number of pixels) and its eigenpairs from exact sums."""
    s = [int(value) for value in total]
    p = [[int(value) for value in row] for row in products]
    covariance = [[float(Fraction(pixels * p[i][j] - s[i] * s[j], pixels**2)) for j in range(3)] for i in range(3)]
    ascending, vectors = np.linalg.eigh(np.array(covariance))
    values = [max(0.0, float(value)) for value in ascending[::-1]]
    vectors = vectors[:, ::-1]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), range(3)])
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


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
