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

from replicate.modules.positions import COMPILED, array, constants, last, load, rounded, scales, sums, takes


def normalise_plain(x: Tensor, size: int, alpha: float, beta: float, k: float, towers: int) -> Tensor:
    """`x` (N, C, H, W), normalised; `alpha` multiplies the plain sum; windows stop at the edges of `towers` equal parts."""
    n, c, h, w = x.shape
    half = size // 2
    squares = F.pad(x.reshape(n, towers, c // towers, h, w).square(), (0, 0, 0, 0, half, half))
    window = sum(squares.narrow(2, j, c // towers) for j in range(2 * half + 1))
    return x * (k + alpha * window).pow(-beta).reshape(n, c, h, w)


@numba.njit(parallel=True, **COMPILED)
def _forward(x, y, towers, half, constants):
    pictures, height, width, channels = x.shape
    maps = channels // towers
    for i in numba.prange(pictures):
        a, s, p = np.empty((3, maps), constants.dtype)
        padded = np.zeros(maps + 2 * half, constants.dtype)
        for row in range(height):
            for column in range(width):
                for first in range(0, channels, maps):
                    out = y[i, row, column, first : first + maps]
                    load(x[i, row, column, first : first + maps], a)
                    scales(a, padded, constants, s, p)
                    for c in range(maps):
                        out[c] = rounded(a[c] * p[c], out)


@numba.njit(parallel=True, **COMPILED)
def _backward(x, g, dx, towers, half, constants):
    pictures, height, width, channels = x.shape
    maps = channels // towers
    for i in numba.prange(pictures):
        a, b, s, p = np.empty((4, maps), constants.dtype)
        padded = np.zeros(maps + 2 * half, constants.dtype)
        for row in range(height):
            for column in range(width):
                for first in range(0, channels, maps):
                    out = dx[i, row, column, first : first + maps]
                    load(x[i, row, column, first : first + maps], a)
                    load(g[i, row, column, first : first + maps], b)
                    scales(a, padded, constants, s, p)
                    sums(a, b, padded, constants, s, p)
                    for c in range(maps):
                        out[c] = rounded(p[c] * b[c] - a[c] * s[c], out)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, lrn: "LRN") -> Tensor:
        x = last(x)
        y = torch.empty_like(x)
        _forward(array(x), array(y), *lrn.settings(x))
        ctx.save_for_backward(x)
        ctx.lrn = lrn
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor):
        (x,) = ctx.saved_tensors
        dx = torch.empty_like(x)
        _backward(array(x), array(last(g)), array(dx), *ctx.lrn.settings(x))
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

    def settings(self, x: Tensor) -> tuple[int, int, np.ndarray]:
        """What the kernels for `x` need to know: towers, neighbours on either side, and (k, α, β, 2αβ)."""
        return self.towers, self.size // 2, constants(x, self.k, self.alpha, self.beta, 2 * self.alpha * self.beta)

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
