"""Initial weights (section 5), each parameter from (seed, its name): towers, devices and other layers do not change it."""

from math import prod, sqrt

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from replicate.modules.build import Net
from replicate.networks import description as d
from replicate.randomness import generator


@torch.no_grad()
def initialise(net: Net, seed: int) -> Net:
    """Fills every weight and bias as the description says. Returns the same net. Batch norms keep torch's ones and zeros."""
    for layer in net.description.layers:
        if isinstance(layer, d.Weighted):
            module = net.get_submodule(layer.name)
            fans = _fans(layer, module.weight)
            for kind, parameter in module.named_parameters():
                _fill(parameter, layer.init, kind, generator(seed, "weights", f"{layer.name}.{kind}"), fans)
    return net


def _fans(layer: d.Weighted, weight: Tensor) -> tuple[int, int]:
    """(fan in, fan out): values that an output reads, and outputs that a value goes to, as torch and Keras count them."""
    if isinstance(layer, d.Local):
        return weight.shape[2], weight.shape[1] * layer.kernel_size**2
    return prod(weight.shape[1:]), weight.shape[0] * prod(weight.shape[2:])


# Variance times fan, which fan, and the shape of the distribution.
SCHEMES = {
    "glorot_uniform": (1, "mean", "uniform"),
    "glorot_normal": (1, "mean", "normal"),
    "he_normal": (2, "in", "normal"),
    "lecun_normal": (1, "in", "normal"),
}


def _fill(parameter: Tensor, init: d.Init, kind: str, random: Generator, fans: tuple[int, int]) -> None:
    shape = tuple(parameter.shape)
    if isinstance(init, d.Uniform):
        bound = 1 / sqrt(fans[0])
        values = random.uniform(-bound, bound, shape)
    elif kind == "bias":
        parameter.fill_(init.bias)
        return
    elif isinstance(init, d.Scheme):
        times, fan, distribution = SCHEMES[init.scheme]
        std = sqrt(times / (fans[0] if fan == "in" else sum(fans) / 2))
        values = random.uniform(-sqrt(3) * std, sqrt(3) * std, shape) if distribution == "uniform" else std * random.standard_normal(shape)
    else:
        values = random.standard_normal(shape)
        while init.truncated and (beyond := np.abs(values) > 2).any():
            values[beyond] = random.standard_normal(beyond.sum())
        values *= init.std
    parameter.copy_(torch.from_numpy(values))
