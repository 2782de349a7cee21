"""Local response normalisation (section 3.3): b_i = a_i · (k + α · Σ_j a_j²)^-β over neighbouring maps at one position.

Two forms of one function: `normalise_plain` in torch, which is the reference and what a GPU runs, and a Numba
kernel for the CPU, several times faster, which reads like the equation.
"""

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from replicate.modules.positions import COMPILED, array, computed_in, last, load, neighbours, rounded, scales, store_product, sums, takes


def normalise_plain(x: Tensor, size: int, alpha: float, beta: float, k: float, towers: int) -> Tensor:
    """`x` (N, C, H, W), normalised; `alpha` multiplies the plain sum; windows stop at the edges of `towers` equal parts."""
    n, c, h, w = x.shape
    half = size // 2
    squares = F.pad(x.reshape(n, towers, c // towers, h, w).square(), (0, 0, 0, 0, half, half))
    window = sum(squares.narrow(2, j, c // towers) for j in range(2 * half + 1))
    return x * (k + alpha * window).pow(-beta).reshape(n, c, h, w)


@numba.njit(parallel=True, **COMPILED)
def _forward(x, y, near, constants):
    pictures, size = x.shape
    stretch = near.shape[1]
    for i in numba.prange(pictures):
        padded = np.zeros(stretch + near.shape[0] - 1, near.dtype)
        buffers = np.empty((3, stretch), near.dtype)
        for first in range(0, size, stretch):
            n = min(stretch, size - first)
            a, s, p, out = buffers[0, :n], buffers[1, :n], buffers[2, :n], y[i, first : first + n]
            load(x[i, first : first + n], a)
            scales(a, padded, near, constants, s, p)
            store_product(a, p, out)


@numba.njit(parallel=True, **COMPILED)
def _backward(x, g, dx, near, constants):
    pictures, size = x.shape
    stretch, factor = near.shape[1], constants[3]
    for i in numba.prange(pictures):
        padded = np.zeros(stretch + near.shape[0] - 1, near.dtype)
        buffers = np.empty((4, stretch), near.dtype)
        for first in range(0, size, stretch):
            n = min(stretch, size - first)
            a, d, s, p, out = buffers[0, :n], buffers[1, :n], buffers[2, :n], buffers[3, :n], dx[i, first : first + n]
            load(x[i, first : first + n], a)
            load(g[i, first : first + n], d)
            scales(a, padded, near, constants, s, p)
            sums(a, d, padded, near, s)
            for c in range(n):
                out[c] = rounded(p[c] * d[c] - factor * a[c] * s[c], out)


def _pictures(x: Tensor) -> np.ndarray:
    """(N, values of a picture)"""
    return array(x).reshape(len(x), -1)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, lrn: "LRN") -> Tensor:
        x = last(x)
        y = torch.empty_like(x)
        _forward(_pictures(x), _pictures(y), *lrn.settings(x))
        ctx.save_for_backward(x)
        ctx.lrn = lrn
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor):
        (x,) = ctx.saved_tensors
        dx = torch.empty_like(x)
        _backward(_pictures(x), _pictures(last(g)), _pictures(dx), *ctx.lrn.settings(x))
        return dx, None


class LRN(nn.Module):
    """Section 3.3 on (N, C, H, W). `alpha` multiplies the plain sum, whatever convention the description has."""

    def __init__(self, size: int, alpha: float, beta: float, k: float, towers: int):
        super().__init__()
        self.size, self.alpha, self.beta, self.k, self.towers = size, alpha, beta, k, towers

    def forward(self, x: Tensor) -> Tensor:
        if takes(x):
            return _Normalise.apply(x, self)
        return normalise_plain(x, self.size, self.alpha, self.beta, self.k, self.towers)

    def settings(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """What the kernels for `x` need to know: `neighbours`, and (k, α, β, 2αβ) in the type they compute in."""
        constants = np.array([self.k, self.alpha, self.beta, 2 * self.alpha * self.beta], computed_in(x))
        return neighbours(x, self.towers, self.size // 2), constants

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
