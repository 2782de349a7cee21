"""The layers that torch lacks in the form that the descriptions need: rounding up, unshared weights, groups, dropout halved at test."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from replicate.modules.towers import Tower
from replicate.randomness import generator


class Conv2d(nn.Conv2d):
    """A convolution that reads `excess` rows and columns of zeros beyond the right and lower edge.

    That is how an output side that is no whole number is rounded up (the 2012 code, layer.py; `Row.excess` counts them).
    """

    def __init__(
        self, channels: int, out: int, kernel_size: int, stride: int, padding: int = 0, groups: int = 1, bias: bool = True, excess: int = 0
    ):
        super().__init__(channels, out, kernel_size, stride, padding, groups=groups, bias=bias)
        self.excess = excess

    def forward(self, x: Tensor) -> Tensor:
        if self.excess:
            if x.is_cpu and x.dtype == torch.float32 and torch.is_autocast_enabled("cpu"):  # what the convolution would do, but before the copy, which is then half
                x = x.to(torch.get_autocast_dtype("cpu"))
            x = F.pad(x, (0, self.excess, 0, self.excess))
        if self._learns_from_pixels(x):
            return _OfPixels.apply(x, self.weight, self.bias, self.stride[0], self.padding[0])
        return super().forward(x)

    def _learns_from_pixels(self, x: Tensor) -> bool:
        """Whether this is a first layer's training step on the CPU, in full precision: there `_OfPixels` is faster."""
        first = x.shape[1] < 8 and self.groups == 1 and self.stride[0] > 1 and not x.requires_grad
        learns = torch.is_grad_enabled() and self.weight.requires_grad and not torch.compiler.is_compiling()
        full = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
        return first and learns and full and type(x) is Tensor and x.is_cpu

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", excess={self.excess}" if self.excess else "")


class _OfPixels(torch.autograd.Function):
    """A convolution with a stride s of pixels, which need no gradient; forward it is torch's.

    The weights' gradient is taken as that of a convolution with stride 1, whose pixels are squares of s×s of these and whose
    kernel is filled up to a multiple of s: the same sums, for which libraries need less time, since the s² times as many
    channels fill their vectors.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings = stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor):
        (x, weight), (s, padding) = ctx.saved_tensors, ctx.settings
        (n, channels, *sides), (out, _, *kernel) = x.shape, weight.shape
        squares = [-(-size // s) for size in kernel]  # in a kernel
        across = [size + count - 1 for size, count in zip(g.shape[2:], squares, strict=True)]  # in what is read
        (above, left), (below, right) = (padding, padding), (s * count - size - padding for count, size in zip(across, sides, strict=True))
        x = F.pad(x, (left, right, above, below))  # less where the stride leaves pixels unread
        x = x.reshape(n, channels, across[0], s, across[1], s).permute(0, 2, 4, 3, 5, 1).reshape(n, *across, s * s * channels)
        like = weight.new_empty(1).expand(out, s * s * channels, *squares)  # of which only the shape is looked at
        _, d, d_bias = torch.ops.aten.convolution_backward(
            g, x.permute(0, 3, 1, 2), like, [out], (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (False, True, ctx.needs_input_grad[2])
        )
        d = d.reshape(out, s, s, channels, *squares).permute(0, 3, 4, 1, 5, 2).reshape(out, channels, *(s * count for count in squares))
        return None, d[..., : kernel[0], : kernel[1]].contiguous(memory_format=torch.channels_last), d_bias, None, None


class Local2d(nn.Module):
    """A convolution with weights and biases of its own at every position: (N, C, H, W) -> (N, out, side, side).

    weight: (side², out, C·kernel²), bias: (out, side, side). Source: the 2012 code's `local` layers.
    """

    def __init__(self, channels: int, out: int, kernel_size: int, stride: int, padding: int, side: int, excess: int = 0):
        super().__init__()
        self.kernel_size, self.stride, self.side = kernel_size, stride, side
        self.zeros = (padding, padding + excess) * 2
        self.weight = nn.Parameter(torch.zeros(side * side, out, channels * kernel_size**2))
        self.bias = nn.Parameter(torch.zeros(out, side, side))

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(F.pad(x, self.zeros), self.kernel_size, stride=self.stride)  # (N, C·kernel², side²)
        y = torch.bmm(self.weight, windows.permute(2, 1, 0))  # (side², out, N)
        return y.permute(2, 1, 0).reshape(len(x), -1, self.side, self.side) + self.bias

    def extra_repr(self) -> str:
        positions, out, reads = self.weight.shape
        return f"{reads} values -> {out} maps at each of {positions} positions"


class GroupedLinear(nn.Module):
    """`groups` linear layers side by side, each of its own part of the units: (N, inputs) -> (N, out)."""

    def __init__(self, inputs: int, out: int, groups: int):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(out, inputs // groups))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(x.chunk(self.groups, 1), self.weight.chunk(self.groups), self.bias.chunk(self.groups), strict=True)
        return torch.cat([F.linear(part, weight, bias) for part, weight, bias in parts], 1)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1] * self.groups} -> {self.weight.shape[0]}, groups={self.groups}"


class Dropout(nn.Module):
    """Section 4.2: in training each unit is set to zero with probability `p`; at test outputs are multiplied by 1-p.

    `rescale="train"` is the form of today's libraries: divided by 1-p in training, untouched at test. `key` (seed,
    step), when set, makes the mask of the whole batch and layer a function of it and of the layer's name; part `replica` of
    the batch and the `tower` take theirs of it.
    """

    def __init__(self, name: str, p: float, rescale: str, tower: Tower | None = None):
        super().__init__()
        self.name, self.p, self.rescale, self.tower = name, p, rescale, tower
        self.key: tuple[int, int] | None = None
        self.replica, self.replicas = 0, 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * (1 - self.p) if self.rescale == "test" else x
        if self.key is None:
            kept = torch.rand(x.shape, device=x.device) >= self.p
        else:
            kept = torch.from_numpy(self._draws(*self.key, tuple(x.shape)) >= self.p).to(x.device)
        return x * kept if self.rescale == "test" else x * kept / (1 - self.p)

    def _draws(self, seed: int, step: int, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform numbers for this process's part of the whole batch (N, units, …)."""
        n, units = shape[0] * self.replicas, shape[1] * (self.tower.of if self.tower else 1)
        draws = generator(seed, "dropout", self.name, step).random((n, units, *shape[2:]), dtype="float32")
        mine = draws[self.replica * shape[0] : (self.replica + 1) * shape[0]]
        return mine[:, self.tower.part(units)] if self.tower else mine

    def extra_repr(self) -> str:
        return f"p={self.p}, rescale={self.rescale}"
