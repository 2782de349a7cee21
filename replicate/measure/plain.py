"""The same network as somebody would write it who has read the paper and torch's documentation: what ours is measured against."""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from replicate.networks import Network, count
from replicate.networks import description as d


class Halves(nn.Module):
    """`norm` of each of `towers` equal parts of the maps, (N, C, H, W); in contiguous memory nothing is copied for it."""

    def __init__(self, norm: nn.LocalResponseNorm, towers: int):
        super().__init__()
        self.norm, self.towers = norm, towers

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.unflatten(1, (self.towers, -1)).flatten(0, 1)).view_as(x)


def plain(network: Network, classes: int, side: int) -> nn.Sequential:
    """(N, 3, side, side) -> (N, classes): the function that `network` describes, of torch's own modules in float32.

    Weights have the names of ours. Dropout is torch's, which divides in training where the paper halves at test.
    """
    modules: list[tuple[str, nn.Module]] = []
    for layer, row in zip(network.layers, count(network, side, classes), strict=True):
        reads, out = row.input[0], row.output[0]
        match layer:
            case d.Conv():
                if row.excess:
                    modules.append((f"{layer.name}_zeros", nn.ZeroPad2d((0, row.excess, 0, row.excess))))
                made = nn.Conv2d(reads, out, layer.kernel_size, layer.stride, layer.padding, groups=layer.groups, bias=layer.bias)
            case d.LRN(neighbours="maps"):
                alpha = layer.alpha_on_sum * layer.size  # torch's is on the mean
                made = nn.LocalResponseNorm(layer.size, alpha, layer.beta, layer.k)
                if layer.scope == "tower" and network.towers > 1:
                    made = Halves(made, network.towers)
            case d.Pool(kind="max_pool"):
                made = nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=network.rounding.pool == "up")
            case d.Linear(groups=1):
                if len(row.input) == 3:
                    modules.append(("flatten", nn.Flatten()))
                made = nn.Linear(prod(row.input), out)
            case d.Dropout():
                made = nn.Dropout(layer.p)
            case d.Activation(kind="relu"):
                made = nn.ReLU()
            case _:
                raise NotImplementedError(f"no plain module for layer {layer.name!r} of {network.name!r}")
        modules.append((layer.name, made))
    return nn.Sequential(OrderedDict(modules))
