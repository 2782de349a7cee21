"""ReLU, normalisation and max pooling of one layer as a single pass over memory, for the CPU.

Between a convolution's output and the pooled maps nothing is written but a picture's normalised maps, which stay in the
cache. The gradient needs the convolution's output again, and of every pooling window which of its values won.
"""

from collections.abc import Iterable, Iterator

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.module import _has_any_global_hook

from replicate.modules.lrn import LRN
from replicate.modules.positions import COMPILED, INLINE, array, last, load_rectified, rounded, scales, store, sums, takes, widened
from replicate.networks.arithmetic import output_side


@numba.njit(parallel=True, **COMPILED)
def _forward(x, y, winner, kernel_size, stride, padding, normalised, towers, half, constants):
    pictures, height, width, channels = x.shape
    maps = channels // towers
    for i in numba.prange(pictures):
        layer = np.empty((height, width, channels), constants.dtype)
        a, s, p = np.empty((3, maps), constants.dtype)
        padded = np.zeros(maps + 2 * half, constants.dtype)
        for row in range(height):
            for column in range(width):
                for first in range(0, channels, maps):
                    b = layer[row, column, first : first + maps]
                    if normalised:
                        load_rectified(x[i, row, column, first : first + maps], a)
                        scales(a, padded, constants, s, p)
                        for c in range(maps):
                            b[c] = a[c] * p[c]
                    else:
                        load_rectified(x[i, row, column, first : first + maps], b)
        _pool(layer, y[i], winner[i], kernel_size, stride, padding)


@numba.njit(**INLINE)
def _pool(layer, y, winner, kernel_size, stride, padding):
    """The largest value of every window, and which of its kernel_size² places it came from: the first of equal ones."""
    height, width, channels = layer.shape
    best = np.empty(channels, layer.dtype)
    for row in range(y.shape[0]):
        for column in range(y.shape[1]):
            top, left = row * stride - padding, column * stride - padding
            won = winner[row, column]
            best[:] = -np.inf
            for down in range(max(0, -top), min(kernel_size, height - top)):
                for right in range(max(0, -left), min(kernel_size, width - left)):
                    place = np.uint8(down * kernel_size + right)
                    values = layer[top + down, left + right]
                    for c in range(channels):
                        if values[c] > best[c] or values[c] != values[c]:  # a NaN wins and stays
                            best[c] = values[c]
                            won[c] = place
            store(best, y[row, column])


@numba.njit(parallel=True, **COMPILED)
def _backward(x, g, winner, dx, kernel_size, stride, padding, normalised, towers, half, constants):
    pictures, height, width, channels = x.shape
    maps = channels // towers
    zero = constants.dtype.type(0)
    for i in numba.prange(pictures):
        gathered = np.empty(channels, constants.dtype)
        a, s, p = np.empty((3, maps), constants.dtype)
        padded = np.zeros(maps + 2 * half, constants.dtype)
        for row in range(height):
            for column in range(width):
                _won(g[i], winner[i], row, column, kernel_size, stride, padding, gathered)
                for first in range(0, channels, maps):
                    d, out = gathered[first : first + maps], dx[i, row, column, first : first + maps]
                    load_rectified(x[i, row, column, first : first + maps], a)
                    if normalised:
                        scales(a, padded, constants, s, p)
                        sums(a, d, padded, constants, s, p)
                        for c in range(maps):
                            out[c] = rounded(zero if a[c] <= zero else p[c] * d[c] - a[c] * s[c], out)
                    else:
                        for c in range(maps):
                            out[c] = rounded(zero if a[c] <= zero else d[c], out)


@numba.njit(**INLINE)
def _won(g, winner, row, column, kernel_size, stride, padding, gathered):
    """The gradient of one position's values: the sum over those windows that each of them won."""
    zero = gathered.dtype.type(0)
    gathered[:] = zero
    down, right = row + padding, column + padding
    for r in range(max(0, (down - kernel_size + stride) // stride), min(g.shape[0], down // stride + 1)):
        for q in range(max(0, (right - kernel_size + stride) // stride), min(g.shape[1], right // stride + 1)):
            place = np.uint8((down - r * stride) * kernel_size + right - q * stride)
            won, part = winner[r, q], g[r, q]
            for c in range(gathered.size):
                gathered[c] += widened(part[c]) if won[c] == place else zero


class _RectifyNormalisePool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, lrn: LRN | None, pool: nn.MaxPool2d) -> Tensor:
        x = last(x)
        n, channels, *sides = x.shape
        rounding = "up" if pool.ceil_mode else "down"
        shape = n, channels, *(output_side(side, pool.kernel_size, pool.stride, pool.padding, rounding) for side in sides)
        y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        winner = torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last)
        ctx.settings = pool.kernel_size, pool.stride, pool.padding, lrn is not None, *(lrn or OFF).settings(x)
        _forward(array(x), array(y), array(winner), *ctx.settings)
        ctx.save_for_backward(x, winner)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor):
        x, winner = ctx.saved_tensors
        dx = torch.empty_like(x)
        _backward(array(x), array(last(g)), array(winner), array(dx), *ctx.settings)
        return dx, None, None


OFF = LRN(size=1, alpha=0, beta=0.75, k=1, towers=1)  # what the kernels are told of where there is no normalisation

PASSES = ([nn.ReLU, LRN, nn.MaxPool2d], [nn.ReLU, nn.MaxPool2d])


def parts(modules: Iterable[nn.Module]) -> Iterator[list[nn.Module]]:
    """The modules in order, those together that one pass can do."""
    left = list(modules)
    while left:
        size = next((len(kinds) for kinds in PASSES if [type(module) for module in left[: len(kinds)]] == kinds), 1)
        yield left[:size]
        left = left[size:]


def run(part: list[nn.Module], x: Tensor) -> Tensor:
    """What the modules of one of `parts` make of `x`, one after the other or in one pass."""
    if len(part) > 1 and takes(x) and not any(_watched(module) for module in part) and _fits(part[-1]):
        return _RectifyNormalisePool.apply(x, part[1] if len(part) == 3 else None, part[-1])
    for module in part:
        x = module(x)
    return x


def _fits(pool: nn.MaxPool2d) -> bool:
    """Whether the kernels do all that the module asks for, and a window's places fit into a byte."""
    return isinstance(pool.kernel_size, int) and pool.kernel_size <= 16 and pool.dilation == 1 and not pool.return_indices


def _watched(module: nn.Module) -> bool:
    """Whether somebody has put a hook on it, who is to see what goes in and comes out."""
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks
    return any(hooks) or _has_any_global_hook()
