"""Antialiased resizing of the central square alone, in numbers that every machine computes alike.

The kernel is that of Pillow's `resize` and of torch's antialiased `interpolate`: bilinear or bicubic, widened by the factor
of reduction, so that every pixel of the picture counts. Rows and columns that the square does not need are not touched.
All weights are whole multiples of a power of two, and all sums stay below 2^24, where float32 holds whole numbers
exactly: neither the order of additions nor fused operations of a CPU change a byte.
"""

from functools import lru_cache
from math import fsum
from typing import Literal

import numba
import numpy as np

Filter = Literal["bilinear", "bicubic"]

ROW_BITS, COLUMN_BITS = 15, 12  # of the weights
FINE = 3  # bits below a grey level that the rows' result keeps
OVERSHOOT = 1.4  # more than the sum of the weights' magnitudes, which bicubic has above 1
STEP = 3  # weights that a loop takes at once; nearly all of ImageNet's pictures need no more
ONE, TWO = np.uintp(3), np.uintp(6)  # numbers of a row between a pixel and the next, and the next but one


def central_square(pixels: np.ndarray, side: int, filter: Filter) -> np.ndarray:
    """uint8 (height, width, 3) → (side, side, 3): the shorter side resized to `side`, then the central square (section 2)."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    tall, wide = side * height // short, side * width // short
    top, left = int(round((tall - side) / 2)), int(round((wide - side) / 2))
    if short == side:
        return pixels[top : top + side, left : left + side].copy()
    out = np.empty((side, side, 3), np.uint8)
    rows = weights(height, tall, top, side, filter, ROW_BITS)
    columns = weights(width, wide, left, side, filter, COLUMN_BITS)
    _resize(np.ascontiguousarray(pixels), *rows, *columns, out)
    return out


@lru_cache(1024)
def weights(size: int, new: int, first: int, count: int, filter: Filter, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """From `size` pixels to `new`, of which `count` from `first` on: (weights, index of the first pixel read).

    Whole numbers as float32 (count, taps), the sum of each line 2^bits; taps are a multiple of STEP, the last may be zero.
    """
    scale = size / new
    wide = max(scale, 1.0)
    reach, shape_of = _KERNELS[filter]
    centre = (np.arange(first, first + count) + 0.5) * scale
    start = np.maximum((centre - reach * wide + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + reach * wide + 0.5).astype(np.int64), size)
    taps = -(-int((stop - start).max()) // STEP) * STEP
    at = start[:, None] + np.arange(taps)
    shape = np.where(at < stop[:, None], shape_of(np.abs((at + 0.5 - centre[:, None]) / wide)), 0)
    total = np.array([fsum(line) for line in shape.tolist()])  # NumPy's sum differs in the last bit between CPUs
    whole = np.rint(shape / total[:, None] * 2**bits)
    whole[np.arange(count), whole.argmax(1)] += 2**bits - whole.sum(1)  # what rounding left over, where it is felt least
    return whole.astype(np.float32), start


def _bilinear(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - x, 0)


def _bicubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2, as Pillow has it."""
    a = -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


_KERNELS = {"bilinear": (1, _bilinear), "bicubic": (2, _bicubic)}


@numba.njit(nogil=True, error_model="numpy", fastmath=True, cache=True)
def _resize(pixels, row_weights, row_start, column_weights, column_start, out):
    """Rows first, for as many columns as are needed, then columns; `float32` holds every sum exactly."""
    last, width = pixels.shape[0] - 1, pixels.shape[1]
    side, taps = column_weights.shape
    left = column_start[0]
    values = (min(width, column_start[side - 1] + taps) - left) * 3
    row = np.zeros(values + 3 * taps, np.float32)
    line = np.empty(side * 3, np.float32)
    fine, back = np.float32(2.0 ** (FINE - ROW_BITS)), np.float32(2.0 ** -(FINE + COLUMN_BITS))
    half, low, most = np.float32(0.5), np.float32(0), np.float32(255)
    for y in range(side):
        for k in range(0, row_weights.shape[1], STEP):
            at = row_start[y] + k
            a = pixels[min(at, last), left:].reshape(-1)  # a row beyond the last has no weight
            b = pixels[min(at + 1, last), left:].reshape(-1)
            c = pixels[min(at + 2, last), left:].reshape(-1)
            wa, wb, wc = row_weights[y, k], row_weights[y, k + 1], row_weights[y, k + 2]
            if k == 0:
                for i in range(values):
                    row[i] = wa * np.float32(a[i]) + wb * np.float32(b[i]) + wc * np.float32(c[i])
            else:
                for i in range(values):
                    row[i] += wa * np.float32(a[i]) + wb * np.float32(b[i]) + wc * np.float32(c[i])
        for i in range(values):
            row[i] = np.float32(np.int32(row[i] * fine + half))  # np.floor would be no vector code
        for k in range(0, taps, STEP):
            for x in range(side):
                wa, wb, wc = column_weights[x, k], column_weights[x, k + 1], column_weights[x, k + 2]
                for c in range(3):  # an index without a sign: of others Numba asks each time whether they count from the end
                    at = np.uintp((column_start[x] + k - left) * 3 + c)
                    value = wa * row[at] + wb * row[at + ONE] + wc * row[at + TWO]
                    if k > 0:
                        value += line[3 * x + c]
                    line[3 * x + c] = value
        to = out[y].reshape(-1)
        for i in range(side * 3):
            to[i] = np.uint8(min(max(line[i] * back + half, low), most))
