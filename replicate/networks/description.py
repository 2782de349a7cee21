"""What a network's YAML file may say. Channel counts are those of the whole layer (384, not 192 + 192)."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, ValidationError, WrapValidator, model_validator

from replicate.errors import UserError, unknown
from replicate.files import by_name, parse, read_yaml
from replicate.settings import Strict

FOLDER = Path(__file__).parent


def said(allowed: str) -> WrapValidator:
    """For a field of two types: one error, in these words, in place of one for each type."""

    def validate(value: Any, of_either: Any) -> Any:
        try:
            return of_either(value)
        except ValidationError:
            raise ValueError(f"must be {allowed}") from None

    return WrapValidator(validate)


Width = Annotated[PositiveInt | Literal["classes"], said("a whole number above 0 or 'classes'")]


class Gaussian(Strict):
    """Weights from N(0, std²), all biases `bias` (section 5); `truncated`: drawn anew beyond two s.d."""

    std: PositiveFloat
    bias: float
    truncated: bool = False


class Scheme(Strict):
    """Weights whose spread follows from the layer's fan in and fan out, by the name that libraries give it."""

    scheme: Literal["glorot_uniform", "glorot_normal", "he_normal", "lecun_normal"]
    bias: float


class Uniform(Strict):
    """Weights and biases from U(-b, b), b = 1/√fan_in: PyTorch's default."""

    uniform: Literal["fan_in"]


def _which(init: Any) -> str:
    """Which of the three, by the key that it alone has, so that errors are about that one only."""
    for kind, key in (("Scheme", "scheme"), ("Uniform", "uniform")):
        if key in init if isinstance(init, dict) else hasattr(init, key):
            return kind
    return "Gaussian"


Init = Gaussian | Scheme | Uniform
AnyInit = Annotated[
    Annotated[Gaussian, Tag("Gaussian")] | Annotated[Scheme, Tag("Scheme")] | Annotated[Uniform, Tag("Uniform")],
    Discriminator(_which),
]


class Layer(Strict):
    name: str


class Conv(Layer):
    """`groups` 2 in a net of two towers means: reads the maps of its own tower only (Figure 2)."""

    kind: Literal["conv"]
    out: Width
    kernel_size: PositiveInt
    stride: PositiveInt
    padding: Annotated[int, Field(ge=0)]
    groups: PositiveInt
    init: AnyInit
    bias: bool = True


class Local(Layer):
    """Locally connected: a convolution whose weights and biases are not shared between positions (the 2012 CIFAR-10 nets)."""

    kind: Literal["local"]
    out: PositiveInt
    kernel_size: PositiveInt
    stride: PositiveInt
    padding: Annotated[int, Field(ge=0)]
    init: AnyInit


class Linear(Layer):
    """`groups` 2 in a net of two towers means: reads the units of its own tower only."""

    kind: Literal["linear"]
    out: Width
    groups: PositiveInt = 1
    init: AnyInit


class Activation(Layer):
    kind: Literal["relu", "tanh", "sigmoid"]


class LRN(Layer):
    """Local response normalisation: x·(k + α·S)^-β, S the sum or mean of squares over `size` neighbouring maps.

    `scope` says whether the window stops at a tower's edge or runs across the whole layer, which is the same in a net of
    one tower. With `neighbours: space` the window is `size`×`size` positions of one map instead (layer 2 of the 2012 code),
    and scope says nothing.
    """

    kind: Literal["lrn"]
    size: PositiveInt
    alpha: PositiveFloat
    beta: PositiveFloat
    k: PositiveFloat
    over: Literal["sum", "mean"]
    scope: Literal["tower", "layer"]
    neighbours: Literal["maps", "space"] = "maps"

    @property
    def alpha_on_sum(self) -> float:
        """α as it multiplies the plain sum of squares, whichever of the two readings the file has."""
        window = self.size if self.neighbours == "maps" else self.size**2
        return self.alpha / window if self.over == "mean" else self.alpha


class BatchNorm(Layer):
    """(x - mean)/√(variance + eps) over the batch, then a weight and a bias a map or unit; at test the running statistics,
    of which each batch renews the share `momentum`."""

    kind: Literal["batch_norm"]
    eps: PositiveFloat
    momentum: Annotated[float, Field(gt=0, le=1)]


class Pool(Layer):
    """The largest value or the mean of each window; a window that the edge clips takes what is left of it."""

    kind: Literal["max_pool", "avg_pool"]
    kernel_size: PositiveInt
    stride: PositiveInt
    padding: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _narrow(self) -> "Pool":
        if 2 * self.padding > self.kernel_size:
            raise ValueError(f"padding {self.padding} is more than half of the window")
        return self


class GlobalPool(Layer):
    """The mean of each map."""

    kind: Literal["global_pool"]


class Dropout(Layer):
    """`rescale: test` multiplies by 1-p at test (section 4.2); `train` divides by it in training (libraries)."""

    kind: Literal["dropout"]
    p: Annotated[float, Field(gt=0, lt=1)]
    rescale: Literal["test", "train"]


AnyLayer = Annotated[
    Conv | Local | Linear | Activation | LRN | BatchNorm | Pool | GlobalPool | Dropout, Field(discriminator="kind")
]
Weighted = Conv | Local | Linear  # the layers that the paper counts
Spatial = Conv | Local | LRN | Pool | GlobalPool  # those that need maps


class Input(Strict):
    """What the net reads. `scale` multiplies the pixels 0..255 after the mean is subtracted and before `std` divides.

    `mean`: of each channel; or `image`, each pixel's own; or `image-centre`, the central window of the mean image from
    every crop, wherever it was taken and mirrored or not (the 2012 code, in training and at test).
    """

    side: PositiveInt
    channels: Literal["RGB", "BGR", "grey"]
    scale: PositiveFloat
    mean: Annotated[Literal["image", "image-centre"] | list[float], said("'image', 'image-centre' or a list of numbers")]
    std: list[PositiveFloat] | None

    @property
    def maps(self) -> int:
        return 1 if self.channels == "grey" else len(self.channels)

    @property
    def reads_mean_image(self) -> bool:
        return isinstance(self.mean, str)

    @model_validator(mode="after")
    def _a_number_a_channel(self) -> "Input":
        for key in ("mean", "std"):
            values = getattr(self, key)
            if isinstance(values, list) and len(values) != self.maps:
                raise ValueError(f"{key}: {len(values)} numbers for {self.maps} channels")
        return self


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


class Alias(Strict):
    """Another name of the very same net: nothing that a description can say is different."""

    name: str
    source: str
    note: str = ""


class Network(Strict):
    """`base` and `changes` say of an ablation from which net it differs, and in which fields only."""

    name: str
    title: str
    source: str
    aliases: list[Alias] = []
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
        if self.changes and not self.base:
            raise ValueError("changes: of which network? Name it as base")
        self._fits()
        return self

    def _fits(self) -> None:
        """Follows channels through the layers; a ValueError names the first that cannot be."""
        channels, flat = self.input.maps, False
        for layer in self.layers:
            if isinstance(layer, Spatial) and flat:
                raise ValueError(f"layers: {layer.name} needs maps, and comes after a linear layer")
            if isinstance(layer, LRN) and layer.scope == "tower" and channels % self.towers:
                raise ValueError(f"layers: {layer.name}: {channels} maps do not split into {self.towers} towers")
            if isinstance(layer, Weighted):
                out = self.classes if layer.out == "classes" else layer.out
                groups = 1 if isinstance(layer, Local) else layer.groups
                if out % groups or (channels % groups and not flat):
                    raise ValueError(f"layers: {layer.name}: {channels} -> {out} channels do not split into {groups} groups")
                channels, flat = out, isinstance(layer, Linear)
        learned = [layer for layer in self.layers if isinstance(layer, Weighted)]
        if [layer for layer in learned if layer.out == "classes"] != learned[-1:]:
            raise ValueError("layers: the last layer with weights, and no other, must have `out: classes`")
        if not flat and not isinstance(self.layers[-1], GlobalPool):
            raise ValueError("layers: the net must end in a linear layer or a global_pool")

    def layer(self, name: str) -> AnyLayer:
        return next(layer for layer in self.layers if layer.name == name)


def names() -> list[str]:
    """Every network that has a file."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path(name: str) -> Path:
    if name not in names():
        raise unknown("network", name, [*names(), *aliases()])
    return FOLDER / f"{name}.yaml"


@cache
def aliases() -> dict[str, str]:
    """Other names of networks: {alias: the network's name}."""
    found: dict[str, str] = {}
    for name in names():
        for alias in load(name).aliases:
            if alias.name in found:
                raise UserError(f"networks/{name}.yaml: aliases: {alias.name!r} is another name of {found[alias.name]!r} already")
            found[alias.name] = name
    return found


@cache
def load(name: str) -> Network:
    """The network `name`, or the one that has this alias; an unknown name is an error with the nearest known one."""
    if name not in names() and name in aliases():
        return load(aliases()[name])
    file, known = path(name), names()
    network = parse(Network, read_yaml(file), f"networks/{file.name}", by_name)
    if network.name != name:
        raise UserError(f"networks/{file.name}: name: is {network.name!r}, must be the file's")
    taken = [alias.name for alias in network.aliases if alias.name in known]
    if taken:
        raise UserError(f"networks/{file.name}: aliases: {taken[0]!r} is the name of another network")
    if network.base is not None and network.base not in known:
        raise UserError(f"networks/{file.name}: base: {unknown('network', network.base, known)}")
    return network
