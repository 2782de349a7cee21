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
def store(a, x):
    for c in range(a.size):
        x[c] = rounded(a[c], x)


@numba.njit(**INLINE)
def window(padded, offset, factor, out):
    """out_i = offset + factor · Σ_j padded_j around i; `padded` has as many zeros at either end as a window has neighbours."""
    maps = out.size
    half = (padded.size - maps) // 2
    if half == 2:  # the paper's n of 5, in one pass
        b, c, d, e = padded[1:], padded[2:], padded[3:], padded[4:]
        for i in range(maps):
            out[i] = offset + factor * (padded[i] + b[i] + c[i] + d[i] + e[i])
    else:
        out[:] = offset
        for j in range(2 * half + 1):
            neighbours = padded[j : j + maps]
            for i in range(maps):
                out[i] += factor * neighbours[i]


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
def scales(a, padded, constants, s, p):
    """s_i = k + α Σ_j a_j² and p = s^-β, by which section 3.3 multiplies a."""
    k, alpha, beta = constants[0], constants[1], constants[2]
    squares = padded[(padded.size - a.size) // 2 :]
    for c in range(a.size):
        squares[c] = a[c] * a[c]
    window(padded, k, alpha, s)
    power(s, beta, p)


@numba.njit(**INLINE)
def sums(a, g, padded, constants, s, p):
    """s_i becomes 2αβ Σ_j g_j a_j s_j^(-β-1): the gradient g of a·p is p_i g_i - a_i s_i to a."""
    zero, factor = constants.dtype.type(0), constants[3]
    terms = padded[(padded.size - a.size) // 2 :]
    for c in range(a.size):
        terms[c] = g[c] * a[c] * p[c] / s[c]
    window(padded, zero, factor, s)
