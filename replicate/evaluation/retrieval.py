"""Which pictures lie near a picture: in the last hidden layer, in pixels, by short codes of either (Figure 4). NumPy only.

The first `QUERIES` pictures ask and all others answer: the order of a store is random, so they are a sample of all classes.
"""

from collections.abc import Callable

import numpy as np

from replicate.randomness import generator

QUERIES = 1000
NEIGHBOURS = 16  # at most
CODE_BITS = 256
BLOCK = 256  # pictures at once

Take = Callable[[np.ndarray], np.ndarray]  # indices (n,) -> what is known of these pictures (n, ...)


def retrieval(features: Take, pixels: Take, labels: np.ndarray) -> dict[str, int | list[float] | dict[str, list[float]]]:
    """What the 1, 2, … nearest pictures are, by Euclidean distance; all but `queries` in percent:

    precision   share of neighbours of the query's class, by `features`, by `pixels`, by `feature_codes` and `pixel_codes`
    pixel_rank  share of the other pictures that lie nearer in pixels than a neighbour by features; the median
    """
    queries, most = min(QUERIES, len(labels)), min(NEIGHBOURS, len(labels) - 1)
    by_features, by_feature_codes = distances(features, len(labels), queries)
    by_pixels, by_pixel_codes = distances(pixels, len(labels), queries)
    ways = {"features": by_features, "pixels": by_pixels, "feature_codes": by_feature_codes, "pixel_codes": by_pixel_codes}
    found = {way: nearest(one, most) for way, one in ways.items()}
    return {
        "queries": queries,
        "precision": {way: precision(near, labels) for way, near in found.items()},
        "pixel_rank": ranks(by_pixels, found["features"]),
    }


def distances(take: Take, pictures: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """(queries, pictures) float32, twice: squared Euclidean distances, and how many bits the pictures' codes differ in.

    A code is the signs of random projections, the queries' mean taken as the origin.
    """
    asking = _flat(take(np.arange(queries)))
    mean = asking.mean(0)
    asking -= mean
    projection = generator(0, "codes", len(mean)).standard_normal((len(mean), CODE_BITS), dtype=np.float32)
    apart, codes = np.empty((queries, pictures), np.float32), np.empty((pictures, CODE_BITS), np.float32)
    for start in range(0, pictures, BLOCK):
        which = np.arange(start, min(start + BLOCK, pictures))
        block = _flat(take(which)) - mean
        apart[:, which] = (asking**2).sum(1)[:, None] + (block**2).sum(1) - 2 * asking @ block.T
        codes[which] = np.where(block @ projection > 0, 1, -1)
    return apart, (CODE_BITS - codes[:queries] @ codes.T) / 2


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).astype(np.float32)


def nearest(apart: np.ndarray, most: int) -> np.ndarray:
    """(queries, pictures) -> (queries, most): the nearest first, of equally near ones the first; no query is its own."""
    apart = apart.copy()
    np.fill_diagonal(apart, np.inf)
    return np.argsort(apart, axis=1, kind="stable")[:, :most]


def precision(near: np.ndarray, labels: np.ndarray) -> list[float]:
    """Percent of the 1, 2, … nearest that are of the query's class, over all queries."""
    same = labels[near] == labels[: len(near), None]
    return [100 * float(same[:, :k].mean()) for k in range(1, same.shape[1] + 1)]


def ranks(apart: np.ndarray, near: np.ndarray) -> list[float]:
    """Percent of the other pictures that lie nearer by `apart` than the 1, 2, … pictures `near`; the median over all."""
    apart = apart.copy()
    np.fill_diagonal(apart, np.inf)
    nearer = np.stack([(apart < apart[np.arange(len(near)), one][:, None]).sum(1) for one in near.T], 1)
    return [100 * float(np.median(nearer[:, :k])) / max(1, apart.shape[1] - 2) for k in range(1, near.shape[1] + 1)]
