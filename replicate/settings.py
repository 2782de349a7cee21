"""params.yaml as types, and where a profile's files lie. The meaning of each key is said in the file itself."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from replicate.errors import UserError, unknown
from replicate.files import parse, read_yaml, reason


class Strict(BaseModel):
    """Unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SourceName = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]


class Drawn(Strict):
    kind: Literal["drawn"]
    name: Literal["drawn"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    train_per_class: Annotated[int, Field(ge=2, le=10_000)]
    val_per_class: Annotated[int, Field(ge=1, le=10_000)]


class Found(Strict):
    """Pictures of the user's: `imagenette` may be unpacked or fetched, others are read where they are."""

    kind: Literal["imagenette", "folder", "ilsvrc2012", "kaggle", "cifar10"]
    name: SourceName


class Ilsvrc2010(Strict):
    """Its test pictures have labels, unlike those of 2012, and the paper's table 1 is on them (section 6)."""

    kind: Literal["ilsvrc2010"]
    name: SourceName
    evaluate: Literal["val", "test"]


class Pictures(Strict):
    side: Annotated[int, Field(ge=16, le=1024)]
    filter: Literal["bilinear", "bicubic"]
    skip_broken: bool


class ColourNoise(Strict):
    reading: Literal["sqrt", "literal", "none"]
    std: Annotated[float, Field(ge=0, le=1)]
    divisor: Annotated[float, Field(ge=1, le=10)]
    until_epoch: PositiveInt | None


class Plateau(Strict):
    rule: Literal["plateau"]
    patience: PositiveInt
    threshold: Annotated[float, Field(ge=0, le=100)]
    drops: Annotated[int, Field(ge=0, le=10)]
    max_epochs: PositiveInt


class Fixed(Strict):
    rule: Literal["fixed"]
    drop_after: list[PositiveInt]
    epochs: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> "Fixed":
        if self.drop_after != sorted(set(self.drop_after)) or any(e >= self.epochs for e in self.drop_after):
            raise ValueError("drop_after must be rising epochs before the last")
        return self


class OwnRate(Strict):
    """From the end of epoch `after` on (0: from the start) what `of` names has this rate, whatever the schedule does.

    `of`: `biases`, a layer (`conv1`) or a parameter (`conv1.weight`).
    """

    of: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.(weight|bias))?$")]
    after: Annotated[int, Field(ge=0)]
    rate: Annotated[float, Field(ge=0, le=10)]

    def names(self, parameter: str) -> bool:
        return parameter.endswith(".bias") if self.of == "biases" else f"{parameter}.".startswith(f"{self.of}.")


class Recipe(Strict):
    crop: Annotated[int, Field(ge=8, le=1024)]
    crops: Literal["random", "centre"]
    crops_shared_by: Annotated[int, Field(ge=1, le=4096)]
    reflections: bool
    colour_noise: ColourNoise
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    precision: Literal["float32", "bfloat16"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    decays: Literal["all", "weights"]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    own_rates: list[OwnRate]
    rate_divisor: Annotated[float, Field(gt=1, le=1000)]
    held_out: Annotated[float, Field(gt=0, le=0.5)]
    schedule: Annotated[Plateau | Fixed, Field(discriminator="rule")]

    @model_validator(mode="after")
    def _in_order(self) -> "Recipe":
        """The last that is in force counts, so the list must read in the order of time."""
        if sorted(after := [own.after for own in self.own_rates]) != after:
            raise ValueError("own_rates must be in the order of their epochs")
        return self


class Training(Strict):
    run: str
    network: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class Settings(Strict):
    method: PositiveInt
    note: str
    source: Annotated[Drawn | Found | Ilsvrc2010, Field(discriminator="kind")]
    pictures: Pictures
    recipe: Recipe
    runs: dict[str, dict[str, Any]]
    baseline: str
    trainings: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]+-[0-9]+$")], Training]

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if "base" not in self.runs or self.runs["base"]:
            raise ValueError("runs: 'base' must be there and empty: it is the recipe as it stands")
        if self.source.kind == "cifar10" and self.pictures.side != 32:
            raise ValueError("pictures.side: CIFAR-10's pictures are 32x32 and are stored as they are; set 32")
        groups: dict[str, tuple[str, str]] = {}
        for name, training in self.trainings.items():
            group, seed = name.rsplit("-", 1)
            if int(seed) != training.seed:
                raise ValueError(f"trainings.{name}: a training's name ends in its seed, which is {training.seed}")
            if training.run not in self.runs:
                raise ValueError(f"trainings.{name}: no run {training.run!r} in runs")
            if groups.setdefault(group, (training.run, training.network)) != (training.run, training.network):
                raise ValueError(f"trainings.{name}: {group}-* must all have the same run and network")
        if self.baseline not in groups:
            raise ValueError(f"baseline: no training is called {self.baseline}-SEED")
        for run in self.runs:
            try:
                crop = self.recipe_of(run).crop
            except ValidationError as error:
                first = error.errors()[0]
                raise ValueError(f"runs.{run}.{'.'.join(map(str, first['loc']))}: {reason(first)}") from None
            if crop > self.pictures.side:
                raise ValueError(f"runs.{run}: crop {crop} is larger than pictures.side {self.pictures.side}")
        return self

    def recipe_of(self, run: str) -> Recipe:
        """The recipe with a run's overrides put in, key by key."""
        return Recipe.model_validate(_merged(self.recipe.model_dump(), self.runs[run]))

    def groups(self) -> dict[str, list[str]]:
        """Trainings that differ in nothing but the seed: `{lrn-off: [lrn-off-1, lrn-off-2]}`."""
        groups: dict[str, list[str]] = {}
        for name in self.trainings:
            groups.setdefault(name.rsplit("-", 1)[0], []).append(name)
        return groups


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    if "rule" in over:  # another rule has other keys
        return over
    return base | {k: _merged(base[k], v) if isinstance(v, dict) and k in base else v for k, v in over.items()}


class Profile:
    """One pipeline: its settings and where its files lie (all paths are relative to the clone's root)."""

    def __init__(self, name: str, root: Path, settings: Settings):
        self.name, self.root, self.settings = name, root, settings
        self.source = root / "data" / name / "source"
        self.pictures = root / "data" / name / "pictures"
        self.store = root / "data" / name / "store"
        self.pca = root / "data" / name / "pca.json"
        self.reports = root / "reports" / name
        self.state = root / ".replicate"

    @property
    def params_file(self) -> Path:
        return params_file(self.root, self.name)

    @property
    def pipeline(self) -> str:
        """What to hand to `dvc repro`."""
        return "dvc.yaml" if self.name == "demo" else f"pipelines/{self.name}/dvc.yaml"

    @property
    def repro(self) -> str:
        return "dvc repro" if self.name == "demo" else f"dvc repro {self.pipeline}"

    def weights(self, training: str) -> Path:
        return self.root / "models" / self.name / training / "weights.safetensors"

    def predictions(self, training: str) -> Path:
        return self.root / "models" / self.name / training / "predictions.npz"

    def log(self, training: str) -> Path:
        return self.reports / "logs" / f"{training}.csv"

    def record(self, name: str) -> Path:
        return self.reports / "records" / f"{name}.json"

    def training(self, name: str) -> Training:
        if name not in self.settings.trainings:
            raise unknown(f"training of profile {self.name!r}", name, self.settings.trainings)
        return self.settings.trainings[name]


def params_file(root: Path, profile: str) -> Path:
    return root / "params.yaml" if profile == "demo" else root / "pipelines" / profile / "params.yaml"


def clone_root() -> Path:
    """The clone that the working directory is in."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "pipelines").is_dir():
            return folder
    raise UserError(f"{here} is not inside a clone of the suite (no params.yaml and pipelines/); change into one")


def profiles(root: Path) -> list[str]:
    return ["demo", *sorted(path.parent.name for path in root.glob("pipelines/*/params.yaml"))]


def load(profile: str = "demo") -> Profile:
    """Reads and checks the whole params.yaml of a profile; a fault is one line with file, key and reason."""
    return load_from(clone_root(), profile)


def load_from(root: Path, profile: str) -> Profile:
    """As `load`, for the clone at `root`."""
    if profile not in profiles(root):
        raise unknown("profile", profile, profiles(root))
    path = params_file(root, profile)
    return Profile(profile, root, parse(Settings, read_yaml(path), str(path.relative_to(root))))
