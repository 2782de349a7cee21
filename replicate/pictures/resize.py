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
from llvmlite import ir
from numba.core.cgutils import alloca_once_value, for_range
from numba.extending import intrinsic

from replicate.compiling import njit

Filter = Literal["bilinear", "bicubic"]

ROW_BITS, COLUMN_BITS = 15, 12  # of the weights
FINE = 3  # bits below a grey level that the rows' result keeps
OVERSHOOT = 1.4  # more than the sum of the weights' magnitudes, which bicubic has above 1
STEP = 3  # weights that are added at once; up to 1.5 times the size it is made, a picture has no more (bilinear)
TOGETHER = 4  # rows whose columns are summed side by side, so that weights and places are read once for all
COMPILED = {"nogil": True, "fastmath": True}


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
    _resize(np.ascontiguousarray(pixels).reshape(height, -1), *rows, *columns, out.reshape(side, -1))
    return out


@lru_cache(1024)
def weights(size: int, new: int, first: int, count: int, filter: Filter, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """From `size` pixels to `new`, of which `count` from `first` on: (weights, index of the first pixel read).

    Whole numbers as float32 (count, taps), the sum of each line 2^bits; at least STEP taps, the last may be zero.
    """
    scale = size / new
    wide = max(scale, 1.0)
    reach, shape_of = _KERNELS[filter]
    centre = (np.arange(first, first + count) + 0.5) * scale
    start = np.maximum((centre - reach * wide + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + reach * wide + 0.5).astype(np.int64), size)
    taps = max(int((stop - start).max()), STEP)
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


@njit(**COMPILED)
def _resize(pixels, row_weights, row_start, column_weights, column_start, out):
    """(height, 3 · width) → (side, 3 · side): rows first, for as many columns as are needed, then columns.

    `float32` holds every sum exactly. The loops are functions of their own, or they would lack registers.
    """
    side, taps = column_weights.shape
    left, end = 3 * column_start[0], 3 * (column_start[side - 1] + taps)
    values = min(pixels.shape[1], end) - left
    rows = np.zeros((TOGETHER, values + 3 * taps + 1), np.float32)  # and what pixels at the right edge read without weight
    lines = np.empty((TOGETHER, 3 * side + 1), np.float32)
    for top in range(0, side, TOGETHER):
        for j in range(TOGETHER):
            y = min(top + j, side - 1)  # where fewer are left, the last is summed again
            _sum_rows(pixels, row_weights[y], row_start[y], left, rows[j, :values])
        _sum_columns(rows, column_weights, column_start, lines)
        for j in range(min(TOGETHER, side - top)):
            _round(lines[j], out[top + j])


@njit(**COMPILED)
def _sum_rows(pixels, weights, start, left, row):
    """row[i] = Σₖ weights[k] · pixels[start + k, left + i], in whole numbers of FINE bits below a grey level."""
    last, taps = pixels.shape[0] - 1, len(weights)
    for k in range(0, taps - STEP + 1, STEP):
        a = pixels[min(start + k, last), left:]  # a row beyond the last has no weight
        b = pixels[min(start + k + 1, last), left:]
        c = pixels[min(start + k + 2, last), left:]
        wa, wb, wc = weights[k], weights[k + 1], weights[k + 2]
        if k == 0:
            for i in range(len(row)):
                row[i] = wa * np.float32(a[i]) + wb * np.float32(b[i]) + wc * np.float32(c[i])
        else:
            for i in range(len(row)):
                row[i] += wa * np.float32(a[i]) + wb * np.float32(b[i]) + wc * np.float32(c[i])
    for k in range(taps - taps % STEP, taps):  # one or two that are left
        a, wa = pixels[min(start + k, last), left:], weights[k]
        for i in range(len(row)):
            row[i] += wa * np.float32(a[i])
    fine, half = np.float32(2.0 ** (FINE - ROW_BITS)), np.float32(0.5)
    for i in range(len(row)):
        row[i] = np.float32(np.int32(row[i] * fine + half))  # np.floor would be no vector code


@njit(**COMPILED)
def _sum_columns(rows, weights, start, lines):
    """lines[j, 3 x + c] = Σₖ weights[x, k] · rows[j, 3 (start[x] - start[0] + k) + c]."""
    for x in range(len(weights)):
        _sum_pixels(rows, 3 * (start[x] - start[0]), weights, x, lines, 3 * x)


@intrinsic
def _sum_pixels(typing, rows, at, weights, x, lines, to):
    """lines[j, to : to + 4] = Σₖ weights[x, k] · rows[j, at + 3 k : at + 3 k + 4] for all rows j: the three channels of a
    pixel, and a fourth number, which the next pixel writes over.

    Written for LLVM, because Numba has no vector of four: a loop over channels becomes one operation for each of them, and
    takes twice the time. LLVM makes what it can of the vector on any CPU; no bounds are checked.
    """

    def write(context, builder, signature, values):
        rows, weights, lines = (context.make_array(signature.args[n])(context, builder, values[n]) for n in (0, 2, 4))
        at, x, to = values[1], values[3], values[5]
        number, four, lane = at.type, ir.VectorType(ir.FloatType(), 4), ir.IntType(32)
        taps = builder.extract_value(weights.shape, 1)

        def place(array, row, column):
            return builder.gep(array.data, [builder.add(builder.mul(row, builder.extract_value(array.shape, 1)), column)])

        def four_at(array, j, column):
            return builder.bitcast(place(array, number(j), column), four.as_pointer())

        def add(totals, k):
            one = builder.insert_element(four(ir.Undefined), builder.load(place(weights, x, k)), lane(0))
            weight = builder.shuffle_vector(one, one, ir.VectorType(lane, 4)(None))  # in all four lanes
            column = builder.add(at, builder.mul(k, number(3)))
            for j, total in enumerate(totals):
                product = builder.fmul(weight, builder.load(four_at(rows, j, column), align=4), flags=("fast",))
                builder.store(builder.fadd(builder.load(total), product, flags=("fast",)), total)

        totals = [alloca_once_value(builder, four(None)) for _ in range(TOGETHER)]  # LLVM holds them in registers
        for k in range(STEP):
            add(totals, number(k))
        with for_range(builder, taps, start=number(STEP)) as more:
            add(totals, more.index)
        for j, total in enumerate(totals):
            builder.store(builder.load(total), four_at(lines, j, to), align=4)
        return context.get_dummy_value()

    return numba.void(rows, numba.intp, weights, numba.intp, lines, numba.intp), write


@njit(**COMPILED)
def _round(line, to):
    """To grey levels; the cut to 0 to 255 is one of integers, of which LLVM makes less work."""
    back, half = np.float32(2.0 ** -(FINE + COLUMN_BITS)), np.float32(0.5)
    low, most = np.int32(0), np.int32(255)
    for i in range(len(to)):
        to[i] = np.uint8(min(max(np.int32(line[i] * back + half), low), most))
