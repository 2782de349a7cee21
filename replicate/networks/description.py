"""What a network's YAML file may say. Channel counts are those of the whole layer (384, not 192 + 192)."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from replicate.errors import UserError, unknown
from replicate.files import parse, read_yaml
from replicate.settings import Strict

FOLDER = Path(__file__).parent


class Gaussian(Strict):
    """Weights from N(0, std²), all biases `bias` (section 5)."""

    std: PositiveFloat
    bias: float


class Uniform(Strict):
    """Weights and biases from U(-b, b), b = 1/√fan_in: PyTorch's default."""

    uniform: Literal["fan_in"]


Init = Gaussian | Uniform


class Layer(Strict):
    name: str


class Conv(Layer):
    """`groups` 2 in a net of two towers means: reads the maps of its own tower only (Figure 2)."""

    kind: Literal["conv"]
    out: PositiveInt
    kernel_size: PositiveInt
    stride: PositiveInt
    padding: Annotated[int, Field(ge=0)]
    groups: PositiveInt
    init: Init


class Linear(Layer):
    kind: Literal["linear"]
    out: PositiveInt | Literal["classes"]
    init: Init


class Activation(Layer):
    kind: Literal["relu", "tanh"]


class LRN(Layer):
    """Local response normalisation: x·(k + α·S)^-β, S the sum or mean of squares over `size` neighbouring maps.

    `scope` says whether the window stops at a tower's edge or runs across the whole layer.
    """

    kind: Literal["lrn"]
    size: PositiveInt
    alpha: PositiveFloat
    beta: PositiveFloat
    k: PositiveFloat
    over: Literal["sum", "mean"]
    scope: Literal["tower", "layer"]


class MaxPool(Layer):
    kind: Literal["max_pool"]
    kernel_size: PositiveInt
    stride: PositiveInt


class Dropout(Layer):
    """`rescale: test` multiplies by 1-p at test (section 4.2); `train` divides by it in training (libraries)."""

    kind: Literal["dropout"]
    p: Annotated[float, Field(gt=0, lt=1)]
    rescale: Literal["test", "train"]


AnyLayer = Annotated[Conv | Linear | Activation | LRN | MaxPool | Dropout, Field(discriminator="kind")]


class Input(Strict):
    """What the net reads. `scale` multiplies the pixels 0..255 after the mean is subtracted and before `std` divides."""

    side: PositiveInt
    channels: Literal["RGB", "BGR"]
    scale: PositiveFloat
    mean: Literal["image"] | list[float]
    std: list[PositiveFloat] | None


class Rounding(Strict):
    """How an output side that is no whole number is rounded; `up` reads zeros (conv) or clips windows (pool)."""

    conv: Literal["up", "down"]
    pool: Literal["up", "down"]


class PublishedLayer(Strict):
    output: list[PositiveInt]
    parameters: PositiveInt
    macs: PositiveInt | None = None


class Published(Strict):
    """Counts that others have published; `replicate check shapes` holds the description against them."""

    source: str
    parameters: PositiveInt | None = None
    macs: PositiveInt | None = None
    layers: dict[str, PublishedLayer] = {}


class Network(Strict):
    """`base` and `changes` say of an ablation from which net it differs, and in which fields only."""

    name: str
    title: str
    source: str
    base: str | None = None
    changes: list[str] = []
    towers: PositiveInt
    input: Input
    classes: Annotated[int, Field(ge=2)]
    rounding: Rounding
    layers: Annotated[list[AnyLayer], Field(min_length=1)]
    published: Published | None = None
    notes: list[str] = []

    @model_validator(mode="after")
    def _consistent(self) -> "Network":
        names = [layer.name for layer in self.layers]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"layers: two are called {sorted(twice)[0]}")
        channels = len(self.input.channels)
        flat = False
        for layer in self.layers:
            if isinstance(layer, Conv | Linear):
                out = self.classes if layer.out == "classes" else layer.out
                flat = flat or isinstance(layer, Linear)
                if isinstance(layer, Conv) and flat:
                    raise ValueError(f"layers: {layer.name} is a convolution after a linear layer")
                if isinstance(layer, Conv) and (out % layer.groups or channels % layer.groups):
                    raise ValueError(f"layers: {layer.name}: {channels} -> {out} channels do not split into {layer.groups}")
                channels = out
            elif isinstance(layer, LRN | MaxPool) and flat:
                raise ValueError(f"layers: {layer.name} comes after a linear layer")
            if isinstance(layer, LRN) and layer.scope == "tower" and channels % self.towers:
                raise ValueError(f"layers: {layer.name}: {channels} maps do not split into {self.towers} towers")
        last = self.layers[-1]
        if not (isinstance(last, Linear) and last.out == "classes"):
            raise ValueError("layers: the last must be linear with `out: classes`")
        return self

    def layer(self, name: str) -> AnyLayer:
        return next(layer for layer in self.layers if layer.name == name)


def names() -> list[str]:
    """Every network that has a file."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path(name: str) -> Path:
    if name not in names():
        raise unknown("network", name, names())
    return FOLDER / f"{name}.yaml"


@cache
def load(name: str) -> Network:
    """The network `name`; an unknown name is an error with the nearest known one."""
    file = path(name)
    network = parse(Network, read_yaml(file), f"networks/{file.name}")
    if network.name != name:
        raise UserError(f"networks/{file.name}: name: is {network.name!r}, must be the file's")
    return network
