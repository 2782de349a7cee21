"""From a description to a torch module. Parameters are called as in the description: `conv1.weight`, `fc8.bias`."""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from replicate.modules.layers import Conv2d, Dropout
from replicate.modules.lrn import LRN
from replicate.networks import Network, Row, count, load
from replicate.networks import description as d


class Net(nn.Sequential):
    """(N, 3, side, side) float pixels as `description.input` states them -> (N, classes) logits."""

    def __init__(self, network: Network, classes: int, side: int):
        rows = count(network, side=side, classes=classes)
        super().__init__(OrderedDict(_named(network, rows)))
        self.description, self.classes, self.side = network, classes, side

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != (3, self.side, self.side):
            raise ValueError(f"network {self.description.name!r} was built for 3x{self.side}x{self.side}, got {tuple(x.shape[1:])}")
        return super().forward(x)

    def set_dropout_key(self, seed: int, step: int) -> None:
        """Makes this step's dropout masks a function of (seed, step, layer)."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.key = (seed, step)


def build(name: str, classes: int = 1000, side: int | None = None) -> Net:
    """The network `name` for `classes` classes and `side`-pixel input (default: the net's own); weights not yet the paper's.

    Raises UserError for an unknown name or a side too small for the net. `initialise(net, seed)` draws the weights.
    """
    network = load(name)
    return Net(network, classes, side or network.input.side)


def _named(network: Network, rows: list[Row]) -> list[tuple[str, nn.Module]]:
    modules: list[tuple[str, nn.Module]] = []
    flat = False
    for layer, row in zip(network.layers, rows, strict=True):
        if isinstance(layer, d.Linear) and not flat:
            modules.append(("flatten", nn.Flatten()))
            flat = True
        modules.append((layer.name, _module(network, layer, row)))
    return modules


def _module(network: Network, layer: d.AnyLayer, row: Row) -> nn.Module:
    match layer:
        case d.Conv():
            return Conv2d(
                row.input[0], layer.out, layer.kernel_size, layer.stride, layer.padding, groups=layer.groups, excess=row.excess
            )
        case d.Linear():
            return nn.Linear(prod(row.input), row.output[0])
        case d.MaxPool():
            return nn.MaxPool2d(layer.kernel_size, layer.stride, ceil_mode=network.rounding.pool == "up")
        case d.LRN():
            alpha = layer.alpha / layer.size if layer.over == "mean" else layer.alpha
            return LRN(layer.size, alpha, layer.beta, layer.k, network.towers if layer.scope == "tower" else 1)
        case d.Dropout():
            return Dropout(layer.name, layer.p, layer.rescale)
        case d.Activation():
            return {"relu": nn.ReLU, "tanh": nn.Tanh}[layer.kind]()
    raise NotImplementedError(f"no module for layer {layer.name!r} of {network.name!r}")
