"""The layers that torch lacks in the paper's form: convolution that rounds up, dropout halved at test."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from replicate.randomness import generator


class Conv2d(nn.Conv2d):
    """A convolution that reads `excess` rows and columns of zeros beyond the right and lower edge.

    That is how an output side that is no whole number is rounded up (the 2012 code, layer.py; `Row.excess` counts them).
    """

    def __init__(self, *args, excess: int = 0, **kwargs):
        super().__init__(*args, **kwargs)
        self.excess = excess

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, self.excess, 0, self.excess)) if self.excess else x)

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", excess={self.excess}" if self.excess else "")


class Dropout(nn.Module):
    """Section 4.2: in training each unit is set to zero with probability `p`; at test outputs are multiplied by 1-p.

    `rescale="train"` is the form of today's libraries: divided by 1-p in training, untouched at test. `key` (seed,
    step), when set, makes the mask of the whole batch a function of it and of the layer's name.
    """

    def __init__(self, name: str, p: float, rescale: str):
        super().__init__()
        self.name, self.p, self.rescale = name, p, rescale
        self.key: tuple[int, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * (1 - self.p) if self.rescale == "test" else x
        if self.key is None:
            kept = torch.rand(x.shape, device=x.device) >= self.p
        else:
            seed, step = self.key
            draws = generator(seed, "dropout", self.name, step).random(x.shape, dtype="float32")
            kept = torch.from_numpy(draws >= self.p).to(x.device)
        return x * kept if self.rescale == "test" else x * kept / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}, rescale={self.rescale}"
