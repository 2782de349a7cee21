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
from replicate.modules.positions import COMPILED, INLINE, array, last, load, normalise, rounded, takes, undo, widened
from replicate.networks.arithmetic import output_side


@numba.njit(parallel=True, **COMPILED)
def _forward(x, y, winner, kernel_size, stride, padding, normalised, near, constants):
    pictures, height, width, channels = x.shape
    size, (taps, stretch) = height * width * channels, near.shape
    values = x.reshape((pictures, size))
    for i in numba.prange(pictures):
        layer = np.empty((height, width, channels), near.dtype)
        written = layer.reshape(size)
        squares, buffer = np.zeros(stretch + taps - 1, near.dtype), np.empty(stretch, near.dtype)
        for first in range(0, size, stretch):
            n = min(stretch, size - first)
            a, b = buffer[:n] if normalised else written[first : first + n], written[first : first + n]
            load(values[i, first : first + n], True, a, squares[taps // 2 :])
            if normalised:
                normalise(a, squares, near, constants, b)
        for row in range(y.shape[1]):
            for column in range(y.shape[2]):
                _pool(layer, y, winner, i, row, column, kernel_size, stride, padding, buffer[:channels])


@numba.njit(**INLINE)
def _pool(layer, y, winner, i, row, column, kernel_size, stride, padding, best):
    """The largest values of one window, and which of its kernel_size² places they came from: the first of equal ones."""
    height, width, channels = layer.shape
    top, left = row * stride - padding, column * stride - padding
    best[:] = -np.inf
    for down in range(max(0, -top), min(kernel_size, height - top)):
        for right in range(max(0, -left), min(kernel_size, width - left)):
            place = np.uint8(down * kernel_size + right)
            for c in range(channels):
                value = layer[top + down, left + right, c]
                if value > best[c] or value != value:  # a NaN wins and stays
                    best[c] = value
                    winner[i, row, column, c] = place
    for c in range(channels):
        y[i, row, column, c] = rounded(best[c], y)


@numba.njit(parallel=True, **COMPILED)
def _backward(x, g, winner, dx, kernel_size, stride, padding, normalised, near, constants):
    pictures, height, width, channels = x.shape
    size, (taps, stretch) = height * width * channels, near.shape
    values, out_values = x.reshape((pictures, size)), dx.reshape((pictures, size))
    zero = near.dtype.type(0)
    for i in numba.prange(pictures):
        squares, terms = np.zeros(stretch + taps - 1, near.dtype), np.zeros(stretch + taps - 1, near.dtype)
        buffers = np.empty((2, stretch), near.dtype)
        for first in range(0, size, stretch):
            n = min(stretch, size - first)
            a, d, out = buffers[0, :n], buffers[1, :n], out_values[i, first : first + n]
            for position in range(n // channels):
                row, column = divmod(first // channels + position, width)
                _gather(g, winner, i, row + padding, column + padding, kernel_size, stride, d[position * channels :])
            load(values[i, first : first + n], True, a, squares[taps // 2 :])
            if normalised:
                undo(a, d, squares, terms, near, constants, True, out)
            else:
                for c in range(n):
                    out[c] = rounded(zero if a[c] <= zero else d[c], out)


@numba.njit(**INLINE)
def _gather(g, winner, i, down, right, kernel_size, stride, d):
    """The gradient of one position's values: the sum over those windows that each of them won."""
    channels, zero = g.shape[3], d.dtype.type(0)
    covered = False
    for row in range(max(0, (down - kernel_size + stride) // stride), min(g.shape[1], down // stride + 1)):
        for column in range(max(0, (right - kernel_size + stride) // stride), min(g.shape[2], right // stride + 1)):
            place = np.uint8((down - row * stride) * kernel_size + right - column * stride)
            if covered:
                for c in range(channels):
                    d[c] += widened(g[i, row, column, c]) if winner[i, row, column, c] == place else zero
            else:  # no need to fill d with zeros first
                for c in range(channels):
                    d[c] = widened(g[i, row, column, c]) if winner[i, row, column, c] == place else zero
                covered = True
    if not covered:
        d[:channels] = zero


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
