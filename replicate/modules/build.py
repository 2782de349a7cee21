"""From a description to a torch module. Parameters are called as in the description: `conv1.weight`, `fc8.bias`."""

from collections import OrderedDict
from dataclasses import replace
from math import prod

import torch
from torch import Tensor, nn

from replicate.modules import fused
from replicate.modules.layers import Conv2d, Dropout, GroupedLinear, Local2d
from replicate.modules.lrn import LRN, SpatialLRN
from replicate.modules.towers import EXCHANGE, Exchange, Tower
from replicate.networks import Network, Row, count, load
from replicate.networks import description as d
from replicate.networks.traffic import LOSS, traffic


class Net(nn.Sequential):
    """(N, maps, side, side) float pixels as `description.input` states them (3 maps, grey 1) -> (N, classes) logits.

    With `tower`, that tower of the network only: it holds its part of every parameter, and all towers together compute
    the same logits (`replicate.modules.towers`). UserError for a network that cannot be divided so.
    """

    def __init__(self, network: Network, classes: int, side: int, tower: Tower | None = None):
        rows = count(network, side=side, classes=classes)
        super().__init__(OrderedDict(_named(network, rows, tower)))
        self.description, self.classes, self.side, self.tower = network, classes, side, tower

    def forward(self, x: Tensor) -> Tensor:
        reads = (self.description.input.maps, self.side, self.side)
        if x.shape[1:] != reads:
            raise ValueError(f"network {self.description.name!r} was built for {'x'.join(map(str, reads))}, got {tuple(x.shape[1:])}")
        for part in fused.parts(self):
            x = fused.run(part, x)
        return x

    def set_dropout_key(self, seed: int, step: int, replica: int = 0, replicas: int = 1) -> None:
        """Makes this step's dropout masks a function of (seed, step, layer), for part `replica` of the batch."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.key, module.replica, module.replicas = (seed, step), replica, replicas


def build(name: str, classes: int | None = None, side: int | None = None, tower: Tower | None = None) -> Net:
    """The network `name` (or one tower of it) for `classes` classes and `side`-pixel input (default: the net's own); weights not yet the paper's.

    Raises UserError for an unknown name or a side too small for the net. `initialise(net, seed)` draws the weights.
    """
    network = load(name)
    return Net(network, classes or network.classes, side or network.input.side, tower)


def shapes(net: Net) -> dict[str, torch.Size]:
    """Of the whole network's parameters and buffers, by name, whichever tower `net` is."""
    with torch.device("meta"):
        return {name: value.shape for name, value in Net(net.description, net.classes, net.side).state_dict().items()}


def _named(network: Network, rows: list[Row], tower: Tower | None) -> list[tuple[str, nn.Module]]:
    """Layers by name; `flatten` before the first linear layer, or at the end; an exchange before what reads all towers."""
    asks = {crossing.layer for crossing in traffic(network, rows[0].input[1], rows[-1].output[0])} if tower else ()
    modules: list[tuple[str, nn.Module]] = []
    shape = rows[0].input
    for layer, row in zip(network.layers, rows, strict=True):
        if isinstance(layer, d.Linear) and len(shape) == 3:
            modules.append(("flatten", nn.Flatten()))
            shape = (prod(shape),)
        if layer.name in asks:
            shape = (prod(row.input),) if isinstance(layer, d.Linear) else row.input
            modules.append((layer.name + EXCHANGE, Exchange(tower, shape[0])))
        width = shape[0]
        if isinstance(layer, d.Weighted):
            width = tower.sizes(row.output[0])[tower.index] if tower else row.output[0]
        out = (width, *row.output[1:])
        modules.append((layer.name, _module(network, layer, replace(row, input=shape, output=out), tower)))
        shape = out
    if len(shape) == 3:
        modules.append(("flatten", nn.Flatten()))
    if tower:
        modules.append((LOSS + EXCHANGE, Exchange(tower, rows[-1].output[0], scores=True)))
    return modules


def _module(network: Network, layer: d.AnyLayer, row: Row, tower: Tower | None) -> nn.Module:
    """`row` has the shapes of this tower's part of the layer."""
    reads, out, towers = row.input[0], row.output[0], tower.of if tower else 1
    match layer:
        case d.Conv(kernel_size=kernel, stride=stride, padding=padding, groups=groups, bias=bias):
            return Conv2d(reads, out, kernel, stride, padding, groups=max(1, groups // towers), bias=bias, excess=row.excess)
        case d.Local(kernel_size=kernel, stride=stride, padding=padding):
            return Local2d(reads, out, kernel, stride, padding, row.output[1], row.excess)
        case d.Linear(groups=groups):
            groups = max(1, groups // towers)
            return GroupedLinear(prod(row.input), out, groups) if groups > 1 else nn.Linear(prod(row.input), out)
        case d.Pool():
            up = network.rounding.pool == "up"
            if layer.kind == "max_pool":
                return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=up)
            return nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=up, count_include_pad=False)
        case d.GlobalPool():
            return nn.AdaptiveAvgPool2d(1)
        case d.LRN(neighbours="space"):
            return SpatialLRN(layer.size, layer.alpha_on_sum, layer.beta, layer.k)
        case d.LRN():
            return LRN(layer.size, layer.alpha_on_sum, layer.beta, layer.k, network.towers // towers if layer.scope == "tower" else 1)
        case d.BatchNorm():
            kind = nn.BatchNorm2d if len(row.input) == 3 else nn.BatchNorm1d
            return kind(reads, eps=layer.eps, momentum=layer.momentum)
        case d.Dropout():
            return Dropout(layer.name, layer.p, layer.rescale, tower)
        case d.Activation():
            return {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[layer.kind]()
    raise NotImplementedError(f"no module for layer {layer.name!r} of {network.name!r}")
