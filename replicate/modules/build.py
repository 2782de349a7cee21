"""From a description to a torch module. Parameters are called as in the description: `conv1.weight`, `fc8.bias`."""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from replicate.modules.layers import Conv2d, Dropout, GroupedLinear, Local2d
from replicate.modules.lrn import LRN, SpatialLRN
from replicate.networks import Network, Row, count, load
from replicate.networks import description as d


class Net(nn.Sequential):
    """(N, maps, side, side) float pixels as `description.input` states them (3 maps, grey 1) -> (N, classes) logits."""

    def __init__(self, network: Network, classes: int, side: int):
        rows = count(network, side=side, classes=classes)
        super().__init__(OrderedDict(_named(network, rows)))
        self.description, self.classes, self.side = network, classes, side

    def forward(self, x: Tensor) -> Tensor:
        reads = (self.description.input.maps, self.side, self.side)
        if x.shape[1:] != reads:
            raise ValueError(f"network {self.description.name!r} was built for {'x'.join(map(str, reads))}, got {tuple(x.shape[1:])}")
        return super().forward(x)

    def set_dropout_key(self, seed: int, step: int) -> None:
        """Makes this step's dropout masks a function of (seed, step, layer)."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.key = (seed, step)


def build(name: str, classes: int | None = None, side: int | None = None) -> Net:
    """The network `name` for `classes` classes and `side`-pixel input (default: the net's own); weights not yet the paper's.

    Raises UserError for an unknown name or a side too small for the net. `initialise(net, seed)` draws the weights.
    """
    network = load(name)
    return Net(network, classes or network.classes, side or network.input.side)


def _named(network: Network, rows: list[Row]) -> list[tuple[str, nn.Module]]:
    """Layers by name; `flatten` before the first linear layer, or at the end."""
    modules: list[tuple[str, nn.Module]] = []
    for layer, row in zip(network.layers, rows, strict=True):
        if isinstance(layer, d.Linear) and len(row.input) == 3:
            modules.append(("flatten", nn.Flatten()))
        modules.append((layer.name, _module(network, layer, row)))
    if len(rows[-1].output) == 3:
        modules.append(("flatten", nn.Flatten()))
    return modules


def _module(network: Network, layer: d.AnyLayer, row: Row) -> nn.Module:
    reads, out = row.input[0], row.output[0]
    match layer:
        case d.Conv(kernel_size=kernel, stride=stride, padding=padding, groups=groups, bias=bias):
            return Conv2d(reads, out, kernel, stride, padding, groups=groups, bias=bias, excess=row.excess)
        case d.Local(kernel_size=kernel, stride=stride, padding=padding):
            return Local2d(reads, out, kernel, stride, padding, row.output[1], row.excess)
        case d.Linear(groups=groups):
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
            return LRN(layer.size, layer.alpha_on_sum, layer.beta, layer.k, network.towers if layer.scope == "tower" else 1)
        case d.BatchNorm():
            kind = nn.BatchNorm2d if len(row.input) == 3 else nn.BatchNorm1d
            return kind(reads, eps=layer.eps, momentum=layer.momentum)
        case d.Dropout():
            return Dropout(layer.name, layer.p, layer.rescale)
        case d.Activation():
            return {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[layer.kind]()
    raise NotImplementedError(f"no module for layer {layer.name!r} of {network.name!r}")
