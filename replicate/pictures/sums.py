"""Exact integer sums over pictures: the same to the last bit in any order and for any number of workers.

Numba kernels that add in small integers, several at once, and flush into 64 bits before the small ones can overflow.
They hold no lock of Python's, so threads may run them side by side.
"""

import numpy as np

from replicate.compiling import njit

PICTURES = 257  # 257 · 255 is the most that 16 bits hold
LANES = 192  # bytes a step; a multiple of 3, so that a lane sees one channel only
STEPS = 33_024  # 33,024 · 255² is below 2^31


def sum_of_pictures(pictures: np.ndarray) -> np.ndarray:
    """uint8 (n, side, side, 3) → their sum, int64 (side, side, 3); section 2 subtracts the mean."""
    total = np.zeros(pictures.shape[1:], dtype=np.int64)
    _add_pictures(pictures.reshape(len(pictures), total.size), total.reshape(-1))
    return total


def moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (…, 3) → sums of the channels (3,) and of their products (3, 3), both int64; section 4.1 needs their PCA.

    Of the byte at i and its neighbours at i + 1 and i + 2 the products with itself and with them are added, one sum for
    each place in a step. Where i is red they are RR, RG, RB; where it is green GG, GB; where it is blue BB. The others
    mix two pixels and are dropped.
    """
    x = np.ascontiguousarray(pixels).reshape(-1)
    sums = np.zeros((4, LANES), dtype=np.int64)
    steps = max(0, x.size - 2) // LANES
    _add_products(x, steps, sums)
    value, same, next_, second = sums.reshape(4, -1, 3).sum(axis=1)
    rest = x[steps * LANES :].reshape(-1, 3).astype(np.int64)
    products = np.diag(same)
    for i, j, found in ((0, 1, next_[0]), (1, 2, next_[1]), (0, 2, second[0])):
        products[i, j] = products[j, i] = found
    return value + rest.sum(axis=0), products + rest.T @ rest


@njit(nogil=True)
def _add_pictures(pictures, total):
    part = np.zeros(total.size, np.uint16)
    for first in range(0, pictures.shape[0], PICTURES):
        part[:] = 0
        last = min(pictures.shape[0], first + PICTURES)
        for i in range(first, last - 1, 2):  # two at once: the sums go half as often through the cache
            one, other = pictures[i], pictures[i + 1]
            for j in range(total.size):
                part[j] += np.uint16(one[j]) + np.uint16(other[j])
        if (last - first) % 2:
            one = pictures[last - 1]
            for j in range(total.size):
                part[j] += one[j]
        for j in range(total.size):
            total[j] += part[j]


@njit(nogil=True)
def _add_products(x, steps, sums):
    value, same, next_, second = np.zeros((4, LANES), np.int32)
    for first in range(0, steps, STEPS):
        value[:], same[:], next_[:], second[:] = 0, 0, 0, 0
        for step in range(first, min(steps, first + STEPS)):
            y = x[step * LANES : (step + 1) * LANES + 2]
            for i in range(LANES):
                a = np.int32(y[i])
                value[i] += a
                same[i] += a * a
                next_[i] += a * np.int32(y[i + 1])
                second[i] += a * np.int32(y[i + 2])
        for i in range(LANES):
            sums[0, i] += value[i]
            sums[1, i] += same[i]
            sums[2, i] += next_[i]
            sums[3, i] += second[i]
