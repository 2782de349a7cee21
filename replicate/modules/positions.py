"""What the CPU's kernels do with a stretch of a picture's channels-last memory: the maps of some positions, one after the other.

All loops run over a whole stretch, whatever a position has of maps: long enough to be fast, short enough for the nearest
cache. bfloat16 is a kernel's uint16, computed with in float32. `COMPILED` lets the compiler reorder sums and estimate
square roots, so two machines may differ in the last bit; it does not let it assume that there are no NaNs.
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
INLINE = COMPILED | {"forceinline": True}
STRETCH = 768  # values, or the maps of one position where they are more


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


def computed_in(x: Tensor) -> type:
    """In float32, unless `x` is more."""
    return np.float64 if x.dtype == torch.float64 else np.float32


def neighbours(x: Tensor, towers: int, half: int) -> np.ndarray:
    """(2·half + 1, values in a stretch): 1 where the value j - half places on is a map of the same tower, else 0."""
    channels = x.shape[1]
    maps = channels // towers
    here = np.arange(max(1, STRETCH // channels) * channels) % maps
    there = here + np.arange(-half, half + 1)[:, None]
    return ((there >= 0) & (there < maps)).astype(computed_in(x))


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


@numba.njit(**INLINE)
def load(x, a):
    for c in range(a.size):
        a[c] = widened(x[c])


@numba.njit(**INLINE)
def load_rectified(x, a):
    """a = max(x, 0); a NaN stays one."""
    zero = a.dtype.type(0)
    for c in range(a.size):
        value = widened(x[c])
        a[c] = zero if value <= zero else value


@numba.njit(**INLINE)
def store_product(a, p, x):
    for c in range(a.size):
        x[c] = rounded(a[c] * p[c], x)


@numba.njit(**INLINE)
def window(padded, near, total):
    """total_i = Σ_j near_ji padded_(i+j); `padded` has room for a window at either end."""
    n = total.size
    if near.shape[0] == 5:  # the paper's n, in one pass
        for i in range(n):
            before = near[0, i] * padded[i] + near[1, i] * padded[i + 1]
            after = near[3, i] * padded[i + 3] + near[4, i] * padded[i + 4]
            total[i] = before + padded[i + 2] + after
    else:
        total[:] = 0
        for j in range(near.shape[0]):
            for i in range(n):
                total[i] += near[j, i] * padded[i + j]


@numba.njit(**INLINE)
def powers(s, k, alpha, beta, p):
    """p = (k + α s)^-β and s = (k + α s)^(-β-1); the paper's β of 3/4 is two square roots and a division."""
    if beta == 0.75:
        one = s.dtype.type(1)
        for c in range(s.size):
            r = one / np.sqrt(k + alpha * s[c])
            power = r * np.sqrt(r)
            p[c], s[c] = power, power * r * r
    else:
        for c in range(s.size):
            base = k + alpha * s[c]
            p[c] = base**-beta
            s[c] = p[c] / base


@numba.njit(**INLINE)
def scales(a, padded, near, constants, s, p):
    """p_i = (k + α Σ_j a_j²)^-β, by which section 3.3 multiplies a_i, and s_i = (k + α Σ_j a_j²)^(-β-1) for `sums`."""
    k, alpha, beta = constants[0], constants[1], constants[2]
    squares = padded[near.shape[0] // 2 :]
    for c in range(a.size):
        squares[c] = a[c] * a[c]
    window(padded, near, s)
    powers(s, k, alpha, beta, p)


@numba.njit(**INLINE)
def sums(a, g, padded, near, s):
    """s_i = Σ_j g_j a_j s_j: where g is the gradient of b = a p, that of a_i is p_i g_i - 2αβ a_i s_i."""
    terms = padded[near.shape[0] // 2 :]
    for c in range(a.size):
        terms[c] = g[c] * a[c] * s[c]
    window(padded, near, s)
