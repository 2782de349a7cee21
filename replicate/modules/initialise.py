"""Initial weights (section 5), each parameter from (seed, its name): towers, devices and other layers do not change it."""

from math import prod, sqrt

import torch
from torch import Tensor

from replicate.modules.build import Net
from replicate.networks import description as d
from replicate.randomness import generator


@torch.no_grad()
def initialise(net: Net, seed: int) -> Net:
    """Fills every weight and bias as the description says. Returns the same net."""
    for layer in net.description.layers:
        if isinstance(layer, d.Conv | d.Linear):
            module = net.get_submodule(layer.name)
            bound = 1 / sqrt(prod(module.weight.shape[1:]))  # 1/√fan_in
            for kind, parameter in (("weight", module.weight), ("bias", module.bias)):
                _fill(parameter, layer.init, kind, generator(seed, "weights", f"{layer.name}.{kind}"), bound)
    return net


def _fill(parameter: Tensor, init: d.Init, kind: str, random, bound: float) -> None:
    if isinstance(init, d.Uniform):
        values = random.uniform(-bound, bound, parameter.shape)
    elif kind == "weight":
        values = init.std * random.standard_normal(parameter.shape)
    else:
        parameter.fill_(init.bias)
        return
    parameter.copy_(torch.from_numpy(values))
