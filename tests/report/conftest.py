"""A fake clone with two profiles' parameters, and results, records, logs and predictions for one of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from replicate import settings
from replicate.networks import count, load, totals
from replicate.records import Evaluation, Provenance, Record
from replicate.settings import Profile

CLONE = Path(__file__).parents[2]
NETWORKS = {"base": "demo", "lrn-off": "demo-no-lrn", "no-conv3": "demo-no-conv3", "no-crops": "demo"}
SEEDS = {"base": [1, 2, 3], "lrn-off": [1, 2, 3], "no-conv3": [1], "no-crops": [1]}


def provenance(command: str, method: int = 1) -> dict:
    return Provenance(
        command=command, commit="0123456789abcdef+changes", method=method, started="2026-01-02T03:04:05+00:00", seconds=12.5,
        machine="a <machine> of two cores", device="cpu", threads=2, versions={"python": "3.11.7"},
    ).model_dump()  # fmt: skip


def spread(values: list[float]) -> dict:
    mean = sum(values) / len(values)
    several = len(values) > 1
    return {"mean": mean, "sd": 1.5 if several else None, "low": mean - 4 if several else None,
            "high": mean + 4 if several else None, "values": values}  # fmt: skip


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def make_clone(folder: Path) -> Path:
    """A clone without any results; its profiles are demo and photos."""
    params = yaml.safe_load((CLONE / "params.yaml").read_text())
    params["trainings"] = {
        f"{group}-{seed}": {"run": "no-crops" if group == "no-crops" else "base", "network": NETWORKS[group], "seed": seed}
        for group, seeds in SEEDS.items()
        for seed in seeds
    }
    write(folder / "params.yaml", yaml.safe_dump(params))
    write(folder / "pipelines" / "photos" / "params.yaml", yaml.safe_dump(params))
    return folder


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a clone without any results."""
    monkeypatch.chdir(make_clone(tmp_path))
    return tmp_path


@pytest.fixture
def profile(clone: Path) -> Profile:
    """The demo of the clone, as it is after its pipeline ran, with ten classes."""
    return run(settings.load("demo"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Such a profile, made once: for tests that only read it."""
    root = make_clone(tmp_path_factory.mktemp("finished"))
    params = settings.Settings.model_validate(yaml.safe_load((root / "params.yaml").read_text()))
    return run(Profile("demo", root, params))


@pytest.fixture(scope="session")
def built(finished: Profile) -> Path:
    """Its page."""
    from replicate.report.page import build

    return build(finished)


def run(profile: Profile, classes: int = 10, method: int = 1) -> Profile:
    """Writes what the stages before `report` leave, with made-up numbers."""
    groups = {}
    for group, trainings in profile.settings.groups().items():
        network = load(NETWORKS[group])
        sums = totals(count(network))
        seeds = SEEDS[group]
        values = {"centre.top1": [20.25 + len(group) + seed for seed in seeds], "ten.top1": [18.5 + len(group) + seed for seed in seeds]}
        if classes > 5:
            values |= {"centre.top5": [4.25 + seed for seed in seeds], "ten.top5": [3.75 + seed for seed in seeds]}
        several = len(seeds) > 1
        groups[group] = {
            "run": "no-crops" if group == "no-crops" else "base", "network": network.name, "seeds": seeds,
            "trainings": trainings, "classes": classes, "pictures": 600, "parameters": sums.parameters, "macs": sums.macs,
            "input_side": 48, "epochs": [8] * len(seeds), "errors": {key: spread(v) for key, v in values.items()},
            "ensemble": {key: min(v) - 1 for key, v in values.items()},
            "view_gain": {error: spread([1.75] * len(seeds)) for error in ("top1", "top5") if f"ten.{error}" in values},
            "differences": {} if group == "base" else {
                key: {"mean": v[0] - 20, "low": -1.25 if several else None, "high": 9.75 if several else None,
                      "n": len(seeds), "n_baseline": 3} for key, v in values.items()
            },
        }  # fmt: skip
        for index, training in enumerate(trainings):
            one = {views: {"top1": values[f"{views}.top1"][index], "top5": values.get(f"{views}.top5", [None] * 3)[index]}
                   for views in ("centre", "ten")}  # fmt: skip
            evaluation = Evaluation(
                run=groups[group]["run"], network=network.name, seed=seeds[index], classes=classes, pictures=600,
                train_pictures=2280, held_out_pictures=120, epochs=8, updates=568, parameters=sums.parameters, macs=sums.macs,
                input_side=48, errors=one, weights_sha256="a" * 64, store_identity="b" * 64,
                trained=provenance(f"replicate train {training}", method),
            ).model_dump()  # fmt: skip
            record = Record(kind="evaluation", profile=profile.name, source="drawn", training=training, values=evaluation,
                            provenance=provenance(f"replicate evaluate {training}"))  # fmt: skip
            write(profile.record(training), record.model_dump())
            head = "epoch,updates,learning_rate,train_loss,train_error,held_out_loss,held_out_error,images_per_second,seconds\n"
            rows = [f"{e},{71 * e},0.01,{2.3 / e},{90 / e},{2.3 / e},{95 / e},900,{3 * e}\n" for e in range(1, 9)]
            write(profile.log(training), head + "".join(rows))
            profile.predictions(training).parent.mkdir(parents=True, exist_ok=True)
            kernels = np.random.default_rng(index).normal(size=(16, 3, 5, 5)).astype(np.float32)
            np.savez(profile.predictions(training), conv1=kernels)
    split = {"pictures": 2400, "per_class": {f"c{i}": 240 for i in range(classes)}, "greyscale": 7, "cmyk": 1, "not_jpeg": 2,
             "exif_rotated": 3, "left_out": [{"file": "train/c0/x.jpg", "reason": "truncated"}]}  # fmt: skip
    write(profile.record("store"), {"kind": "store", "source": "drawn", "side": 56, "filter": "bilinear", "skip_broken": False,
          "identity": "b" * 64, "classes": classes, "mean_colour": [1, 2, 3], "train": split, "val": split | {"pictures": 600}})  # fmt: skip
    write(profile.record("pca"), {"pixels": 7526400, "mean": [120.5, 118.0, 104.0], "eigenvalues": [14830.5, 1376.0, 388.9],
          "eigenvalues_unit": [0.22807, 0.02116, 0.00598], "standard_deviations": [121.78, 37.09, 19.72],
          "eigenvectors": [[0.56, -0.58, -0.59], [0.71, -0.02, 0.70], [0.42, 0.82, -0.40]]})  # fmt: skip
    results = {"profile": profile.name, "source": "drawn", "baseline": "base", "groups": groups, "provenance": provenance("replicate compare")}
    write(profile.reports / "results.json", results)
    return profile

