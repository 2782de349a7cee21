"""What the CPU's kernels do with a stretch of a picture's channels-last memory: the maps of some positions, one after the other.

All loops run over a whole stretch, whatever a position has of maps: long enough to be fast, short enough for the nearest
cache. bfloat16 is a kernel's uint16, computed with in float32. `COMPILED` lets the compiler reorder sums and estimate
square roots, so two machines may differ in the last bit; it does not let it assume that there are no NaNs.
"""

import numba
import numpy as np
import torch
from llvmlite import ir
from numba.extending import intrinsic, overload
from torch import Tensor

from replicate.compiling import njit

COMPILED = {"fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"}}
INLINE = COMPILED | {"forceinline": True}
STRETCH = 768  # values, or the maps of one position where they are more
LINE = 64  # bytes that memory hands over at once


def takes(x: Tensor) -> bool:
    """Whether `x` is what the kernels work on: memory of this machine, and no stand-in for a tensor that is being traced."""
    known = x.dtype in (torch.float32, torch.float64, torch.bfloat16) and x.ndim == 4
    return known and type(x) is Tensor and x.device.type == "cpu" and not torch.compiler.is_compiling()


def last(x: Tensor) -> Tensor:
    """(N, C, H, W) in channels-last memory, copied if it was not."""
    return x.detach().contiguous(memory_format=torch.channels_last)


def array(x: Tensor) -> np.ndarray:
    """The memory of a channels-last (N, C, H, W) as (N, H, W, C)."""
    x = x.detach().permute(0, 2, 3, 1)
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def computed_in(x: Tensor) -> torch.dtype:
    """In float32 at least: a bfloat16 has eight digits, too few for a sum of squares."""
    return torch.promote_types(x.dtype, torch.float32)


def neighbours(x: Tensor, towers: int, half: int) -> np.ndarray:
    """(2·half + 1, values in a stretch): 1 where the value j - half places on is a map of the same tower, else 0."""
    channels = x.shape[1]
    maps = channels // towers
    here = torch.arange(max(1, STRETCH // channels) * channels, device=x.device) % maps
    there = here + torch.arange(-half, half + 1, device=x.device)[:, None]
    return ((there >= 0) & (there < maps)).to(computed_in(x)).numpy()  # torch's memory begins at a line, NumPy's need not


def widened(value):
    """A stored number as the one to compute with."""


@overload(widened, inline="always")
def _(value):
    if value == numba.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


def rounded(value, stored):
    """`value` as an element of the array `stored`: to nearest, ties to even (a NaN stays one: its lower half is zero)."""


@overload(rounded, inline="always")
def _(value, stored):
    if stored.dtype != numba.uint16:
        return lambda value, stored: value

    def half(value, stored):
        bits = np.float32(value).view(np.uint32)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    return half


@intrinsic
def _fetch_line(typing, values, at):
    """Ask for the line of memory that holds values[at], which may lie beyond the end; Numba has no word for it."""

    def write(context, builder, signature, arguments):
        memory = context.make_array(values)(context, builder, arguments[0]).data
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", (pointer,), ir.FunctionType(ir.VoidType(), [pointer, *[number] * 3]))
        place = builder.bitcast(builder.gep(memory, [arguments[1]]), pointer)
        builder.call(prefetch, [place, number(0), number(3), number(1)])  # to read, into all caches, as data
        return context.get_dummy_value()

    return numba.void(values, numba.intp), write


@njit(**INLINE)
def fetch(values, first):
    """Have `values.size` values from index `first` on, beyond the end too, on their way while something else is computed."""
    for at in range(first, first + values.size, LINE // values.itemsize):
        _fetch_line(values, at)


@njit(**INLINE)
def load(x, rectified, a, squares):
    """a = x, or max(x, 0) if it is to be `rectified` (a NaN stays one), and the squares of a."""
    zero = a.dtype.type(0)
    for i in range(a.size):
        value = widened(x[i])
        value = zero if rectified and value <= zero else value
        a[i], squares[i] = value, value * value


@njit(**INLINE)
def around(padded, near, i):
    """Σ_j near_ji padded_(i+j); `padded` has room for a window at either end."""
    total = near[0, i] * padded[i]
    for j in range(1, near.shape[0]):
        total += near[j, i] * padded[i + j]
    return total


@njit(**INLINE)
def around_five(padded, near, i):
    before = near[0, i] * padded[i] + near[1, i] * padded[i + 1]
    after = near[3, i] * padded[i + 3] + near[4, i] * padded[i + 4]
    return before + padded[i + 2] + after


@njit(**INLINE)
def normalise(a, squares, near, constants, b):
    """Section 3.3: b_i = a_i · (k + α · Σ_j a_j²)^-β, where `squares` holds a² with room for a window at either end.

    The paper's n of 5 and β of 3/4 have a loop of their own: r = 1/√s is estimated, and s^-3/4 is r·√r.
    """
    k, alpha, beta = constants[0], constants[1], constants[2]
    one = a.dtype.type(1)
    if near.shape[0] == 5 and beta == 0.75:
        for i in range(a.size):
            r = one / np.sqrt(k + alpha * around_five(squares, near, i))
            b[i] = rounded(a[i] * r * np.sqrt(r), b)
    else:
        for i in range(a.size):
            b[i] = rounded(a[i] * (k + alpha * around(squares, near, i)) ** -beta, b)


@njit(**INLINE)
def undo(a, d, squares, terms, near, constants, rectified, dx):
    """The gradient of x where d is that of b: d_i s_i^-β - 2αβ a_i Σ_j d_j a_j s_j^(-β-1), s the sum that b was divided by.

    Zero where `rectified` made a zero. `d` is overwritten; `terms` has room for a window at either end.
    """
    k, alpha, beta, factor = constants[0], constants[1], constants[2], constants[3]
    one, zero, half = a.dtype.type(1), a.dtype.type(0), near.shape[0] // 2
    if near.shape[0] == 5 and beta == 0.75:
        for i in range(a.size):
            r = one / np.sqrt(k + alpha * around_five(squares, near, i))
            d[i] *= r * np.sqrt(r)
            terms[i + half] = d[i] * a[i] * r * r
        for i in range(a.size):
            value = d[i] - factor * a[i] * around_five(terms, near, i)
            dx[i] = rounded(zero if rectified and a[i] <= zero else value, dx)
    else:
        for i in range(a.size):
            s = k + alpha * around(squares, near, i)
            d[i] *= s**-beta
            terms[i + half] = d[i] * a[i] / s
        for i in range(a.size):
            value = d[i] - factor * a[i] * around(terms, near, i)
            dx[i] = rounded(zero if rectified and a[i] <= zero else value, dx)
