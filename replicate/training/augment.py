"""Crops, reflections and colour noise of an epoch (section 4.1), for all pictures at once as arrays over their index."""

from dataclasses import dataclass

import numpy as np

from replicate.pictures.pca import Pca
from replicate.randomness import generator
from replicate.settings import Recipe


@dataclass(frozen=True)
class Augmentation:
    """For each picture of the training store: where its crop lies, whether it is mirrored, its colour shift (RGB)."""

    rows: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray
    shift: np.ndarray


def draw(recipe: Recipe, pca: Pca, pictures: int, side: int, seed: int, epoch: int) -> Augmentation:
    """What happens to each of `pictures` pictures in this epoch: a function of (seed, epoch, picture, purpose)."""
    offsets = side - recipe.crop + 1  # every position that fits
    if recipe.crops == "random":
        rows = generator(seed, "crop rows", epoch).integers(0, offsets, pictures)
        columns = generator(seed, "crop columns", epoch).integers(0, offsets, pictures)
    else:
        rows = columns = np.full(pictures, (side - recipe.crop) // 2)
    if recipe.reflections:
        mirrored = generator(seed, "reflections", epoch).integers(0, 2, pictures).astype(bool)
    else:
        mirrored = np.zeros(pictures, bool)
    alphas = recipe.colour_noise.std * generator(seed, "colour", epoch).standard_normal((pictures, 3))
    return Augmentation(rows, columns, mirrored, alphas @ colour_axes(recipe, pca).T)


def colour_axes(recipe: Recipe, pca: Pca) -> np.ndarray:
    """(3, 3): column i is what α_i = 1 adds to R, G, B, in grey levels 0..255.

    `sqrt`: p_i·√λ_i. `literal`: the printed p_i·λ_i, with λ of pixels in [0, 1], scaled back by 255.
    """
    vectors = np.array(pca.eigenvectors)
    match recipe.colour_noise.reading:
        case "sqrt":
            return vectors * np.sqrt(pca.eigenvalues)
        case "literal":
            return vectors * (np.array(pca.eigenvalues) / 255**2) * 255
    return np.zeros((3, 3))
