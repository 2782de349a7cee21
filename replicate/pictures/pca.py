"""The stage `pca`: principal components of the RGB values of all training pixels (section 4.1, colour noise)."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from replicate import files
from replicate.errors import UserError
from replicate.pictures.store import Split, open_store, verify
from replicate.settings import Profile, Strict

BLOCK_PIXELS = 32_768  # fits the cache
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

    `eigenvectors[channel][i]` belongs to `eigenvalues[i]`.
    """

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


def compute(profile: Profile) -> Pca:
    """The PCA of every pixel of the training store; writes `data/<profile>/pca.json` and the record that git keeps."""
    store = open_store(profile.store)
    verify(store, ("train",))
    pca = from_sums(*sums(store.train))
    for path in (profile.pca, profile.record("pca")):
        files.write_json(path, pca.model_dump())
    return pca


def read(path: Path) -> Pca:
    if not path.is_file():
        raise UserError(f"{path}: not there; run `replicate pca --profile {path.absolute().parent.name}`")
    return files.parse(Pca, files.read_json(path), str(path))


def sums(split: Split) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of pixels, their sum (3,) and the sum of their products (3, 3), both int64.

    The products are added up in float64 by a matrix product, which is exact in any order: every partial sum of a
    block is an integer below 32,768 · 255² < 2^53. Blocks are added as int64, which holds 10^14 pixels.
    """
    pixels = 0
    total = np.zeros(3, dtype=np.int64)
    products = np.zeros((3, 3), dtype=np.int64)
    ones = np.ones(BLOCK_PIXELS)
    for pictures in split.blocks():
        flat = pictures.reshape(-1, 3)
        for start in range(0, len(flat), BLOCK_PIXELS):
            block = flat[start : start + BLOCK_PIXELS].astype(np.float64)
            pixels += len(block)
            total += (ones[: len(block)] @ block).astype(np.int64)
            products += (block.T @ block).astype(np.int64)
    return pixels, total, products


def from_sums(pixels: int, total: np.ndarray, products: np.ndarray) -> Pca:
    """Mean, covariance (divided by the number of pixels) and its eigenpairs from exact sums."""
    s = [int(value) for value in total]
    p = [[int(value) for value in row] for row in products]
    covariance = [[float(Fraction(pixels * p[i][j] - s[i] * s[j], pixels**2)) for j in range(3)] for i in range(3)]
    ascending, vectors = np.linalg.eigh(np.array(covariance))
    values = [max(0.0, float(value)) for value in ascending[::-1]]
    vectors = vectors[:, ::-1]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), range(3)])
    return Pca(
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
