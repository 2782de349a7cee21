"""Local response normalisation (section 3.3): b_i = a_i · (k + α · Σ_j a_j²)^-β over neighbouring maps at one position.

Two forms of one function: `normalise_plain` in torch, which is the reference and what a GPU runs, and a Numba
kernel for the CPU, several times faster, which reads like the equation. Both are float32 or float64. The kernel's
`fastmath` lets the compiler reorder sums, so two machines may differ in the last bit.
"""

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = 256  # positions a thread takes at once: enough to pay for its buffers


def normalise_plain(x: Tensor, size: int, alpha: float, beta: float, k: float, towers: int) -> Tensor:
    """`x` (N, C, H, W), normalised; `alpha` multiplies the plain sum; windows stop at the edges of `towers` equal parts."""
    n, c, h, w = x.shape
    half = size // 2
    squares = F.pad(x.reshape(n, towers, c // towers, h, w).square(), (0, 0, 0, 0, half, half))
    window = sum(squares.narrow(2, j, c // towers) for j in range(2 * half + 1))
    return x * (k + alpha * window).pow(-beta).reshape(n, c, h, w)


COMPILED = {"fastmath": True, "error_model": "numpy", "cache": True}  # Python's check for division by zero is no vector code


@numba.njit(inline="always", **COMPILED)
def _power(s, beta, out):
    """out = s^-β; the paper's β of 3/4 is two square roots and a division."""
    one = s.dtype.type(1)
    if beta == 0.75:
        for c in range(s.size):
            r = one / np.sqrt(s[c])
            out[c] = r * np.sqrt(r)
    else:
        for c in range(s.size):
            out[c] = s[c] ** -beta


@numba.njit(inline="always", **COMPILED)
def _window(padded, out):
    """out[c] = padded[c] + … + padded[c + size - 1]: one pass over the maps for each neighbour."""
    out[:] = 0
    for j in range(padded.size - out.size + 1):
        for c in range(out.size):
            out[c] += padded[c + j]


@numba.njit(parallel=True, **COMPILED)
def _forward(x, y, half, alpha, beta, k, maps):
    positions, channels = x.shape
    for chunk in numba.prange((positions + ROWS - 1) // ROWS):
        squares = np.zeros(maps + 2 * half, x.dtype)
        s = np.empty(maps, x.dtype)
        power = np.empty(maps, x.dtype)
        for p in range(chunk * ROWS, min(positions, (chunk + 1) * ROWS)):
            for first in range(0, channels, maps):
                a, b = x[p, first : first + maps], y[p, first : first + maps]
                for c in range(maps):
                    squares[half + c] = a[c] * a[c]
                _window(squares, s)
                for c in range(maps):
                    s[c] = k + alpha * s[c]
                _power(s, beta, power)
                for c in range(maps):
                    b[c] = a[c] * power[c]


@numba.njit(parallel=True, **COMPILED)
def _backward(x, g, dx, half, alpha, beta, k, factor, maps):
    """dx_i = g_i s_i^-β - 2αβ x_i Σ_j g_j x_j s_j^(-β-1), with s = k + α Σ x² worked out again from x; factor = 2αβ."""
    positions, channels = x.shape
    for chunk in numba.prange((positions + ROWS - 1) // ROWS):
        squares = np.zeros(maps + 2 * half, x.dtype)
        inner = np.zeros(maps + 2 * half, x.dtype)
        s = np.empty(maps, x.dtype)
        power = np.empty(maps, x.dtype)
        for p in range(chunk * ROWS, min(positions, (chunk + 1) * ROWS)):
            for first in range(0, channels, maps):
                a, b, out = x[p, first : first + maps], g[p, first : first + maps], dx[p, first : first + maps]
                for c in range(maps):
                    squares[half + c] = a[c] * a[c]
                _window(squares, s)
                for c in range(maps):
                    s[c] = k + alpha * s[c]
                _power(s, beta, power)
                for c in range(maps):
                    inner[half + c] = b[c] * a[c] * power[c] / s[c]
                _window(inner, s)
                for c in range(maps):
                    out[c] = b[c] * power[c] - factor * a[c] * s[c]


def _rows(x: Tensor) -> tuple[Tensor, np.ndarray]:
    """`x` in channels-last memory and the same memory as (positions, channels)."""
    x = x.contiguous(memory_format=torch.channels_last)
    return x, x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, half: int, alpha: float, beta: float, k: float, towers: int) -> Tensor:
        x, rows = _rows(x)
        y = torch.empty_like(x)
        kind = rows.dtype.type
        constants = half, kind(alpha), kind(beta), kind(k)  # of the tensor's type, or the kernel works in float64
        maps = x.shape[1] // towers
        _forward(rows, _rows(y)[1], *constants, maps)
        ctx.save_for_backward(x)
        ctx.constants = *constants, kind(2 * alpha * beta), maps
        return y

    @staticmethod
    def backward(ctx, g: Tensor):
        (x,) = ctx.saved_tensors
        dx = torch.empty_like(x)
        _backward(_rows(x)[1], _rows(g)[1], _rows(dx)[1], *ctx.constants)
        return dx, None, None, None, None, None


class LRN(nn.Module):
    """Section 3.3 on (N, C, H, W). `alpha` multiplies the plain sum, whatever convention the description has."""

    def __init__(self, size: int, alpha: float, beta: float, k: float, towers: int):
        super().__init__()
        self.size, self.alpha, self.beta, self.k, self.towers = size, alpha, beta, k, towers

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
            return _Normalise.apply(x, self.size // 2, self.alpha, self.beta, self.k, self.towers)
        return normalise_plain(x, self.size, self.alpha, self.beta, self.k, self.towers)

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha:g} (on the sum), beta={self.beta}, k={self.k}, towers={self.towers}"


class SpatialLRN(nn.Module):
    """The same with a window of `size`×`size` positions in one map, clipped at its edges (2012 code, layer 2: `rnorm`)."""

    def __init__(self, size: int, alpha: float, beta: float, k: float):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        half = self.size // 2
        window = F.avg_pool2d(x.square(), 2 * half + 1, 1, half, divisor_override=1)  # the plain sum
        return x * (self.k + self.alpha * window).pow(-self.beta)

    def extra_repr(self) -> str:
        return f"size={self.size}x{self.size}, alpha={self.alpha:g} (on the sum), beta={self.beta}, k={self.k}"
