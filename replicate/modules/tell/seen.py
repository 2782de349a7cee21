"""A layer as it can be seen from outside: the common form of what a model does and of what a description says.

Two forms of the same function have the same layer: zeros are those that a layer reads, whoever puts them there; α
multiplies the plain sum; a convolution that covers its whole input is a linear layer.
"""

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from replicate.errors import UserError
from replicate.networks import Network, Row, count
from replicate.networks import description as d
from replicate.networks.arithmetic import output_side

Shape = tuple[int, ...]
LEARNED = ("conv", "local", "linear")
NORMS = ("lrn", "batch_norm", "layer_norm", "group_norm", "instance_norm")
ACTIVATIONS = ("relu", "tanh", "sigmoid")
OTHER_ACTIVATIONS = (
    "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "relu6", "hardtanh", "hardswish", "hardsigmoid",
    "softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "logsigmoid", "abs",
)  # fmt: skip
NEVER = "never at work"  # dropout that is called, and in training too does nothing
OTHER_DROPOUT = ("alpha_dropout", "feature_alpha_dropout", "feature_dropout", "dropout1d", "dropout2d", "dropout3d")


@dataclass(frozen=True)
class Layer:
    """`input` and `output` are (channels, height, width) or (units,). `settings` are what can differ, `name` where it stands.

    `zeros` in the settings: how many rows (columns, if both are given) a window reads before the first and beyond the
    last; pooling is clipped by as many. `rounding` is a description's, from which zeros beyond the last follow.
    """

    kind: str
    name: str
    input: Shape
    output: Shape
    settings: dict[str, Any] = field(default_factory=dict)
    weights: int = 0
    biases: int = 0
    rounding: str | None = None
    is_last: bool = False  # a description's layer that gives the classes
    note: str = ""  # what is to be said of it that is no difference
    moved: str = ""  # where it stood before `canonical` put it elsewhere without changing the function

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def units(self) -> int:
        return prod(self.input)


@dataclass(frozen=True)
class Aside:
    """What of a model outside its layers is held against a network. `what`: `channels` (`here`: their order inside),
    `classes` (how many it answers, of more that its last layer gives), `training` (what it does otherwise then, in words).
    """

    what: str
    here: Any


def zeros(side: int, kernel_size: int, stride: int, padding: int, output: int) -> tuple[int, int]:
    """Rows that windows read before the first and beyond the last row of the input."""
    return padding, max(0, (output - 1) * stride + kernel_size - side - padding)


def described(network: Network, side: int, classes: int | None = None) -> list[Layer]:
    """What a network's description says, on inputs of `side` pixels; UserError where they are too small for it."""
    rows = count(network, side=side, classes=classes)
    return [_described(network, layer, row) for layer, row in zip(network.layers, rows, strict=True)]


def _described(network: Network, layer: d.AnyLayer, row: Row) -> Layer:
    settings: dict[str, Any] = {}
    rounding = None
    match layer:
        case d.Conv() | d.Local() | d.Pool():
            rounding = network.rounding.pool if isinstance(layer, d.Pool) else network.rounding.conv
            edge = zeros(row.input[1], layer.kernel_size, layer.stride, layer.padding, row.output[1])
            settings = {"kernel_size": layer.kernel_size, "stride": layer.stride, "zeros": edge}
            if isinstance(layer, d.Conv):
                settings |= {"groups": layer.groups, "bias": layer.bias}
        case d.Linear():
            settings = {"groups": layer.groups, "bias": True}
        case d.LRN():
            in_towers = layer.scope == "tower" and layer.neighbours == "maps"
            settings = {"size": layer.size, "alpha": layer.alpha_on_sum, "beta": layer.beta, "k": layer.k}
            settings |= {"towers": network.towers if in_towers else 1, "neighbours": layer.neighbours}
        case d.BatchNorm():
            settings = {"eps": layer.eps, "momentum": layer.momentum}
        case d.Dropout():
            settings = {"p": layer.p, "rescale": layer.rescale}
    is_last = getattr(layer, "out", None) == "classes"
    return Layer(layer.kind, layer.name, row.input, row.output, settings, row.weights, row.biases, rounding, is_last)


def zeros_at(layer: Layer, side: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """The zeros of a described layer on maps of `side`, were its kernel and stride these: they follow from its rounding."""
    padding = layer.settings["zeros"][0]
    return zeros(side, kernel_size, stride, padding, output_side(side, kernel_size, stride, padding, layer.rounding))


def canonical(layers: list[Layer]) -> list[Layer]:
    """The same function in one form: see the module's docstring; ReLU before max-pooling and before dropout."""
    row = [_plain(layer) for layer in layers]
    while row and row[-1].kind in ("softmax", "log_softmax"):
        row.pop()
    row = [layer for layer in row if layer.kind != "identity"]
    for _ in row:  # as many rounds as a layer can have places to move
        for i in range(1, len(row)):
            before, layer = row[i - 1], row[i]
            commutes = (
                before.kind == "max_pool" and layer.kind in ACTIVATIONS or before.kind == "dropout" and layer.kind == "relu"
            )
            if commutes:
                moved = replace(layer, input=before.input, output=before.input, moved=layer.moved or f"after {before.name}")
                row[i - 1 : i + 1] = [moved, before]
    return row


def _plain(layer: Layer) -> Layer:
    s = layer.settings
    if (
        layer.kind == "conv"
        and layer.output[1:] == (1, 1)
        and s["kernel_size"] == layer.input[1] == layer.input[2]
        and s["zeros"] == (0, 0)
    ):
        return replace(
            layer, kind="linear", output=layer.output[:1], settings={"groups": s["groups"], "bias": s["bias"]}, rounding=None
        )
    if layer.kind == "avg_pool" and s["kernel_size"] == layer.input[1] == layer.input[2] and s["zeros"] == (0, 0):
        layer = replace(layer, kind="global_pool", settings={}, rounding=None)
    if layer.kind == "global_pool" and layer.input[1:] in ((), (1, 1)):
        return replace(layer, kind="identity")
    return layer


def side_by_side(shape: Shape) -> str:
    return "×".join(map(str, shape))


def square(shape: Shape) -> int:
    """The side of a square input (channels, side, side)."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise UserError(f"the networks here read square pictures, not {side_by_side(shape)}")
    return shape[1]
