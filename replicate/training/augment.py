"""Crops, reflections and colour noise of an epoch (section 4.1), for all pictures at once as arrays over their index."""

from dataclasses import dataclass

import numpy as np

from replicate.pictures.pca import Pca
from replicate.randomness import generator
from replicate.settings import Recipe


@dataclass(frozen=True)
class Augmentation:
    """For each picture of the training store: where its crop lies, whether it is mirrored, its colour shift (RGB).

    `divisor`: what all of them are divided by in the end.
    """

    rows: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray
    shift: np.ndarray
    divisor: float


def draw(recipe: Recipe, pca: Pca, pictures: int, side: int, seed: int, epoch: int, order: np.ndarray | None = None) -> Augmentation:
    """What happens to each of `pictures` pictures in this epoch (from 0): a function of (seed, epoch, picture, purpose).

    Where consecutive pictures share a crop, it is one of (seed, epoch, place in `order`, purpose): the pictures as the
    epoch shows them.
    """
    which = _crop_of(recipe, pictures, order)
    draws = which.max(initial=-1) + 1
    offsets = side - recipe.crop + 1  # every position that fits
    if recipe.crops == "random":
        rows = generator(seed, "crop rows", epoch).integers(0, offsets, draws)[which]
        columns = generator(seed, "crop columns", epoch).integers(0, offsets, draws)[which]
    else:
        rows = columns = np.full(pictures, (side - recipe.crop) // 2)
    if recipe.reflections:
        mirrored = generator(seed, "reflections", epoch).integers(0, 2, draws).astype(bool)[which]
    else:
        mirrored = np.zeros(pictures, bool)
    noise = recipe.colour_noise
    if noise.until_epoch is not None and epoch >= noise.until_epoch:
        return Augmentation(rows, columns, mirrored, np.zeros((pictures, 3)), 1.0)
    alphas = noise.std * generator(seed, "colour", epoch).standard_normal((pictures, 3))
    return Augmentation(rows, columns, mirrored, alphas @ colour_axes(recipe, pca).T, noise.divisor)


def _crop_of(recipe: Recipe, pictures: int, order: np.ndarray | None) -> np.ndarray:
    """Which of the epoch's crops each picture gets: its own by its index, or that of its block of consecutive pictures."""
    which = np.arange(pictures)
    if recipe.crops_shared_by > 1:
        order = which if order is None else order
        which = np.zeros(pictures, int)  # of pictures that the epoch does not show, any
        which[order] = np.arange(len(order)) // recipe.crops_shared_by
    return which


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
