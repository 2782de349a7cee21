"""A record: a measurement with its provenance, as a small JSON file. The only thing a report may quote."""

import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from replicate import machine
from replicate.files import parse, read_json, write_json
from replicate.settings import Strict


class Provenance(Strict):
    """What is needed to make the same measurement again, and to know how far it can be the same."""

    command: str
    commit: str
    method: int
    started: str
    seconds: float
    machine: str
    device: str
    threads: int
    versions: dict[str, str]


class Record(Strict):
    kind: str
    profile: str
    source: str
    training: str | None = None
    values: dict[str, Any]
    provenance: Provenance


class Errors(Strict):
    """Error rates in percent; `top5` is None where five classes or fewer make it meaningless."""

    top1: float
    top5: float | None


class Retrieval(Strict):
    """What the 1, 2, … nearest other pictures are; the fields are described in `replicate.evaluation.retrieval`."""

    queries: int
    precision: dict[Literal["features", "pixels", "feature_codes", "pixel_codes"], list[float]]
    pixel_rank: list[float]


class Evaluation(Strict):
    """The values of a record of kind `evaluation`: one trained network on the validation pictures.

    `retrieval` is None in records of versions that did not measure it.
    """

    run: str
    network: str
    seed: int
    classes: int
    pictures: int
    train_pictures: int
    held_out_pictures: int
    epochs: int
    updates: int
    parameters: int
    macs: int
    input_side: int
    errors: dict[Literal["centre", "ten"], Errors]
    retrieval: Retrieval | None = None
    weights_sha256: str
    store_identity: str
    trained: Provenance


class PerClass(Strict):
    least: int
    median: float
    mean: float
    most: int


class Contest(Strict):
    """The values of a record of kind `devkit`: pictures of ILSVRC-2010 by the contest's own data files, whose hashes are kept.

    `test_pictures` is None where the file of their labels was not there.
    """

    classes: int
    train_pictures: int
    train_per_class: PerClass
    val_pictures: int
    val_per_class: PerClass
    test_pictures: int | None
    sha256: dict[str, str]


class Augmentation(Strict):
    """The values of a record of kind `augmentation`: seconds of each timed batch, and of each timed training step."""

    network: str
    batch_size: int
    side: int
    crop: int
    augmentation_seconds: list[float]
    step_seconds: list[float]


class Received(Strict):
    """Numbers that a device received before `layer` for one picture; of the device that received most."""

    layer: str
    forward_values: Annotated[int, Field(ge=0)]
    backward_values: Annotated[int, Field(ge=0)]


class Towers(Strict):
    """The values of a record of kind `towers`: what crossed between devices that hold a tower each, counted, and its time.

    `rows`: layers as `replicate.networks.traffic` calls them; a layer that is not there received nothing. The seconds are
    those of each timed step, interleaved; `exchange_share` is the part of a step, 0 to 1, that the exchange takes beyond
    waiting for the slower process; `bytes_per_second` is what one device receives while it exchanges. None: not timed.
    """

    network: str
    side: int
    classes: int
    batch_size: int
    dtype: Literal["float32", "bfloat16"]
    devices: int
    steps: int
    rows: list[Received]
    one_process_seconds: list[float] | None = None
    two_rank_seconds: list[float] | None = None
    exchange_share: float | None = None
    bytes_per_second: float | None = None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit(root: Path) -> str:
    """The commit that is checked out; `+changes` where tracked code differs from it, `none` outside git."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "replicate", "params.yaml", "pipelines/*/params.yaml")
    return (head + ("+changes" if changed else "")) or "none"


def provenance(command: str, root: Path, method: int, started: str, device: str = "cpu", threads: int = 1) -> Provenance:
    packages = ("torch", "numpy", "numba", "scipy", "pillow", "simplejpeg", "alexnet-replication")
    elapsed = (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()
    return Provenance(
        command=command,
        commit=commit(root),
        method=method,
        started=started,
        seconds=round(elapsed, 1),
        machine=machine.name(),
        device=device,
        threads=threads,
        versions={"python": ".".join(map(str, sys.version_info[:3]))} | {name: version(name) for name in packages},
    )


def write(path: Path, record: Record) -> None:
    write_json(path, record.model_dump())


def read(path: Path) -> Record:
    return parse(Record, read_json(path), str(path))
