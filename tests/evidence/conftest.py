"""Settings and results made up for the rule: no training, no picture."""

from pathlib import Path

import pytest

from replicate.evidence.results import Group, Results
from replicate.evidence.statistics import difference, estimate
from replicate.files import read_yaml
from replicate.records import Provenance
from replicate.settings import Profile, Settings

ROOT = Path(__file__).parents[2]
PROVENANCE = Provenance(
    command="none", commit="none", method=1, started="2026-01-01T00:00:00+00:00", seconds=0, machine="", device="cpu",
    threads=1, versions={},
)  # fmt: skip
SOURCES = {
    "drawn": {"kind": "drawn", "name": "drawn", "seed": 1, "train_per_class": 2, "val_per_class": 1},
    "imagenette-256q60": {"kind": "imagenette", "name": "imagenette-256q60"},
    "ilsvrc2010": {"kind": "folder", "name": "ilsvrc2010"},
    "ilsvrc2012": {"kind": "folder", "name": "ilsvrc2012"},
}


@pytest.fixture
def settings_on():
    """The paper's settings on a source, with overrides of the recipe."""

    def make(source: str, **recipe) -> Settings:
        values = read_yaml(ROOT / "pipelines" / "imagenet" / "params.yaml")
        values["source"] = SOURCES[source]
        values["recipe"] |= recipe
        return Settings.model_validate(values)

    return make


@pytest.fixture
def results_of():
    """Results on a source; errors as {(run, network): {"ten.top1": [a value a seed]}}."""

    def make(source: str, errors: dict, classes: int = 1000, pictures: int = 9000) -> Results:
        groups = {}
        of_base = errors.get(("base", "paper"), {})
        for (run, network), by_error in errors.items():
            n = len(next(iter(by_error.values())))
            name = "base" if (run, network) == ("base", "paper") else f"{run}-{network}"
            groups[name] = Group(
                run=run, network=network, seeds=list(range(1, n + 1)), trainings=[f"{name}-{i + 1}" for i in range(n)],
                classes=classes, pictures=pictures, parameters=1, macs=1, input_side=224, epochs=[1] * n,
                errors={key: estimate(values) for key, values in by_error.items()}, ensemble={},
                view_gain={
                    key: estimate([c - t for c, t in zip(by_error[f"centre.{key}"], by_error[f"ten.{key}"], strict=True)])
                    for key in ("top1", "top5") if {f"centre.{key}", f"ten.{key}"} <= set(by_error)
                },
                differences={} if name == "base" else {
                    key: difference(values, of_base[key]) for key, values in by_error.items() if key in of_base
                },
            )  # fmt: skip
        return Results(profile="made-up", source=source, baseline="base", groups=groups, provenance=PROVENANCE)

    return make


@pytest.fixture
def profiles(settings_on):
    """What the advice to run something can choose from."""
    small = settings_on("imagenette-256q60")
    few = {name: one for name, one in small.trainings.items() if name.startswith(("base", "lrn-off"))}
    return {
        "demo": Profile("demo", ROOT, settings_on("drawn")),
        "imagenette": Profile("imagenette", ROOT, small.model_copy(update={"trainings": few})),
        "imagenet": Profile("imagenet", ROOT, settings_on("ilsvrc2012")),
    }
