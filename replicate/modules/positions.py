"""What the CPU's kernels do with the maps at one position of one picture, which lie side by side in channels-last memory.

Every loop runs over whole slices and writes to few arrays, or the compiler finds no vector code for it. bfloat16 is a
kernel's uint16, computed with in float32. `COMPILED` lets the compiler reorder sums and estimate square roots, so two
machines may differ in the last bit; it does not let it assume that there are no NaNs.
"""

import numba
import numpy as np
import torch
from numba.extending import overload
from torch import Tensor

COMPILED = {
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
    "error_model": "numpy",  # Python's check for division by zero is no vector code
    "cache": True,
}
INLINE = COMPILED | {"inline": "always"}


def takes(x: Tensor) -> bool:
    """Whether `x` is what the kernels work on: memory of this machine, and no stand-in for a tensor that is being traced."""
    known = x.dtype in (torch.float32, torch.float64, torch.bfloat16)
    return known and type(x) is Tensor and x.device.type == "cpu" and not torch.compiler.is_compiling()


def last(x: Tensor) -> Tensor:
    """(N, C, H, W) in channels-last memory, copied if it was not."""
    return x.detach().contiguous(memory_format=torch.channels_last)


def array(x: Tensor) -> np.ndarray:
    """The memory of a channels-last (N, C, H, W) as (N, H, W, C)."""
    x = x.detach().permute(0, 2, 3, 1)
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def constants(x: Tensor, *values: float) -> np.ndarray:
    """In the type that the kernels compute `x` in, or they would work in float64."""
    return np.array(values, np.float64 if x.dtype == torch.float64 else np.float32)


def _widened(value):
    """A stored number as the one to compute with."""


@overload(_widened, inline="always")
def _(value):
    if value == numba.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


def _rounded(value, stored):
    """`value` as an element of the array `stored`: to nearest, ties to even (a NaN stays one: its lower half is zero)."""


@overload(_rounded, inline="always")
def _(value, stored):
    if stored.dtype != numba.uint16:
        return lambda value, stored: value

    def half(value, stored):
        bits = np.float32(value).view(np.uint32)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    return half


@numba.njit(**INLINE)
def load(x, a):
    for c in range(a.size):
        a[c] = _widened(x[c])


@numba.njit(**INLINE)
def load_rectified(x, a):
    """a = max(x, 0); a NaN stays one."""
    zero = a.dtype.type(0)
    for c in range(a.size):
        value = _widened(x[c])
        a[c] = zero if value <= zero else value


@numba.njit(**INLINE)
def store(a, x):
    for c in range(a.size):
        x[c] = _rounded(a[c], x)


@numba.njit(**INLINE)
def power(s, beta, p):
    """p = s^-β; the paper's β of 3/4 is two square roots and a division."""
    if beta == 0.75:
        one = s.dtype.type(1)
        for c in range(s.size):
            r = one / np.sqrt(s[c])
            p[c] = r * np.sqrt(r)
    else:
        for c in range(s.size):
            p[c] = s[c] ** -beta


@numba.njit(**INLINE)
def window(padded, total):
    """total_i = Σ_j padded_j around i, where `padded` has as many zeros at either end as a window has neighbours there."""
    maps = total.size
    half = (padded.size - maps) // 2
    total[:] = padded[half : half + maps]
    for j in range(1, half + 1):
        before, after = padded[half - j : half - j + maps], padded[half + j : half + j + maps]
        for c in range(maps):
            total[c] += before[c] + after[c]


@numba.njit(**INLINE)
def normalise(a, b, padded, s, p, k, alpha, beta):
    """b_i = a_i s_i^-β with s_i = k + α Σ_j a_j² (section 3.3); leaves s and p = s^-β behind for the gradient."""
    maps = a.size
    half = (padded.size - maps) // 2
    squares = padded[half : half + maps]
    for c in range(maps):
        squares[c] = a[c] * a[c]
    window(padded, s)
    for c in range(maps):
        s[c] = k + alpha * s[c]
    power(s, beta, p)
    for c in range(maps):
        b[c] = a[c] * p[c]


@numba.njit(**INLINE)
def normalise_back(a, g, d, padded, s, p, factor):
    """d_i = g_i s_i^-β - 2αβ a_i Σ_j g_j a_j s_j^(-β-1), from the s and p that `normalise` left; factor = 2αβ."""
    maps = a.size
    half = (padded.size - maps) // 2
    inner = padded[half : half + maps]
    for c in range(maps):
        inner[c] = g[c] * a[c] * p[c] / s[c]
    window(padded, s)
    for c in range(maps):
        d[c] = g[c] * p[c] - factor * a[c] * s[c]
