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

from replicate.compiling import njit
from replicate.modules.positions import COMPILED, array, computed_in, fetch, last, load, neighbours, normalise, takes, undo, widened


def normalise_plain(x: Tensor, size: int, alpha: float, beta: float, k: float, towers: int) -> Tensor:
    """`x` (N, C, H, W), normalised; `alpha` multiplies the plain sum; windows stop at the edges of `towers` equal parts."""
    n, c, h, w = x.shape
    half = size // 2
    wide = x.to(computed_in(x))
    squares = F.pad(wide.reshape(n, towers, c // towers, h, w).square(), (0, 0, 0, 0, half, half))
    window = sum(squares.narrow(2, j, c // towers) for j in range(2 * half + 1))
    return (wide * (k + alpha * window).pow(-beta).reshape(n, c, h, w)).to(x.dtype)


@njit(parallel=True, **COMPILED)
def _forward(x, y, near, constants):
    (pictures, size), (taps, stretch) = x.shape, near.shape
    for i in numba.prange(pictures):
        squares, buffer = np.zeros(stretch + taps - 1, near.dtype), np.empty(stretch, near.dtype)
        for first in range(0, size, stretch):
            n = min(stretch, size - first)
            given, a = x[i, first : first + n], buffer[:n]
            fetch(given, n)
            load(given, False, a, squares[taps // 2 :])
            normalise(a, squares, near, constants, y[i, first : first + n])


@njit(parallel=True, **COMPILED)
def _backward(x, g, dx, near, constants):
    (pictures, size), (taps, stretch) = x.shape, near.shape
    for i in numba.prange(pictures):
        squares, terms = np.zeros(stretch + taps - 1, near.dtype), np.zeros(stretch + taps - 1, near.dtype)
        buffers = np.empty((2, stretch), near.dtype)
        for first in range(0, size, stretch):
            n = min(stretch, size - first)
            given, due, out = x[i, first : first + n], g[i, first : first + n], dx[i, first : first + n]
            a, d = buffers[0, :n], buffers[1, :n]
            fetch(given, n)
            fetch(due, n)
            fetch(out, 0)
            load(given, False, a, squares[taps // 2 :])
            for c in range(n):
                d[c] = widened(due[c])
            undo(a, d, squares, terms, near, constants, False, out)


def _pictures(x: Tensor) -> np.ndarray:
    """(N, values of a picture)"""
    return array(x).reshape(len(x), x.shape[1:].numel())


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
        constants = torch.tensor([self.k, self.alpha, self.beta, 2 * self.alpha * self.beta], dtype=computed_in(x), device=x.device)
        return neighbours(x, self.towers, self.size // 2), constants.numpy()

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha:g} (on the sum), beta={self.beta}, k={self.k}, towers={self.towers}"


class SpatialLRN(nn.Module):
    """The same with a window of `size`×`size` positions in one map, clipped at its edges (2012 code, layer 2: `rnorm`)."""

    def __init__(self, size: int, alpha: float, beta: float, k: float):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        half, wide = self.size // 2, x.to(computed_in(x))
        window = F.avg_pool2d(wide.square(), 2 * half + 1, 1, half, divisor_override=1)  # the plain sum
        return (wide * (self.k + self.alpha * window).pow(-self.beta)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"size={self.size}x{self.size}, alpha={self.alpha:g} (on the sum), beta={self.beta}, k={self.k}"
