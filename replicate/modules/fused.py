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

from replicate.compiling import njit
from replicate.modules.lrn import LRN
from replicate.modules.positions import COMPILED, INLINE, array, fetch, last, load, normalise, rounded, takes, undo, widened
from replicate.networks.arithmetic import output_side


@njit(parallel=True, **COMPILED)
def _forward(x, y, winner, kernel_size, stride, padding, normalised, near, constants):
    for i in numba.prange(len(x)):
        _forward_one(x[i], y[i], winner[i], kernel_size, stride, padding, normalised, near, constants)


@njit(**INLINE)
def _forward_one(x, y, winner, kernel_size, stride, padding, normalised, near, constants):
    """One picture: all its normalised maps, then all windows. What is next to be read or written is fetched before it is needed."""
    (taps, stretch), size, channels = near.shape, x.size, x.shape[2]
    layer = np.empty(x.shape, near.dtype)
    values, written = x.reshape(size), layer.reshape(size)
    squares, buffer = np.zeros(stretch + taps - 1, near.dtype), np.empty(stretch, near.dtype)
    for first in range(0, size, stretch):
        n = min(stretch, size - first)
        given, b = values[first : first + n], written[first : first + n]
        a = buffer[:n] if normalised else b
        fetch(given, n)
        load(given, True, a, squares[taps // 2 :])
        if normalised:
            normalise(a, squares, near, constants, b)
    for row in range(y.shape[0]):
        for column in range(y.shape[1]):
            fetch(y[row, column], channels)
            fetch(winner[row, column], channels)
            _pool(layer, row * stride - padding, column * stride - padding, kernel_size, y[row, column], winner[row, column], buffer)


@njit(**INLINE)
def _pool(layer, top, left, kernel_size, y, winner, best):
    """The largest values of one window, and which of its kernel_size² places they came from: the first of equal ones."""
    height, width, channels = layer.shape
    best[:channels] = -np.inf
    for down in range(max(0, -top), min(kernel_size, height - top)):
        for right in range(max(0, -left), min(kernel_size, width - left)):
            place = np.uint8(down * kernel_size + right)
            for c in range(channels):
                value = layer[top + down, left + right, c]
                if value > best[c] or value != value:  # a NaN wins and stays
                    best[c] = value
                    winner[c] = place
    for c in range(channels):
        y[c] = rounded(best[c], y)


@njit(parallel=True, **COMPILED)
def _backward(x, g, winner, dx, rows, columns, kernel_size, stride, padding, normalised, near, constants):
    for i in numba.prange(len(x)):
        _backward_one(x[i], g[i], winner[i], dx[i], rows, columns, kernel_size, stride, padding, normalised, near, constants)


@njit(**INLINE)
def _backward_one(x, g, winner, dx, rows, columns, kernel_size, stride, padding, normalised, near, constants):
    """One picture, stretch by stretch: the gradient of its normalised maps, then that of `x`."""
    (_, width, channels), (taps, stretch) = x.shape, near.shape
    size, zero = x.size, near.dtype.type(0)
    values, out_values = x.reshape(size), dx.reshape(size)
    squares, terms = np.zeros(stretch + taps - 1, near.dtype), np.zeros(stretch + taps - 1, near.dtype)
    buffers = np.empty((2, stretch), near.dtype)
    for first in range(0, size, stretch):
        n = min(stretch, size - first)
        given, a, d, out = values[first : first + n], buffers[0, :n], buffers[1, :n], out_values[first : first + n]
        fetch(given, n)
        fetch(out, 0)
        row, column = divmod(first // channels, width)
        for at in range(0, n, channels):
            _gather(g, winner, row + padding, column + padding, rows[row], columns[column], kernel_size, stride, d[at:])
            row, column = (row, column + 1) if column + 1 < width else (row + 1, 0)
        load(given, True, a, squares[taps // 2 :])
        if normalised:
            undo(a, d, squares, terms, near, constants, True, out)
        else:
            for c in range(n):
                out[c] = rounded(zero if a[c] <= zero else d[c], out)


@njit(**INLINE)
def _gather(g, winner, down, right, rows, columns, kernel_size, stride, d):
    """The gradient of one position's values: the sum over those windows that each of them won."""
    channels, zero = g.shape[2], d.dtype.type(0)
    covered = False
    for row in range(rows[0], rows[1]):
        for column in range(columns[0], columns[1]):
            place = np.uint8((down - row * stride) * kernel_size + right - column * stride)
            if covered:
                for c in range(channels):
                    d[c] += widened(g[row, column, c]) if winner[row, column, c] == place else zero
            else:  # no need to fill d with zeros first
                for c in range(channels):
                    d[c] = widened(g[row, column, c]) if winner[row, column, c] == place else zero
                covered = True
    if not covered:
        d[:channels] = zero


def _covering(side: int, windows: int, kernel_size: int, stride: int, padding: int) -> np.ndarray:
    """(side, 2): of each row (or column) the first of the windows that hold it, and the one after the last.

    Found once: to divide at every position would take longer than its sums.
    """
    at = np.arange(side) + padding
    return np.stack([np.maximum(0, (at - kernel_size + stride) // stride), np.minimum(windows, at // stride + 1)], 1)


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
        rows, columns = (_covering(side, windows, *ctx.settings[:3]) for side, windows in zip(x.shape[2:], g.shape[2:], strict=True))
        _backward(array(x), array(last(g)), array(winner), array(dx), rows, columns, *ctx.settings)
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
