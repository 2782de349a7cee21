"""Measures read from records that belong to no profile: the contest's own files counted, timings of this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicate import settings
from replicate.errors import UserError
from replicate.files import parse
from replicate.records import Augmentation, Contest, Record, read

FOLDER = Path("reports", "paper", "records")


@dataclass(frozen=True)
class Origin:
    """Which record a measure reads and as what, the command that makes it, and what that needs."""

    record: str
    values: type[Contest] | type[Augmentation]
    command: str
    needs: str


COUNT = "replicate count-devkit ILSVRC2010_devkit-1.0.tar.gz"
KIT = Origin("devkit", Contest, COUNT, "the development kit of ILSVRC-2010")
TESTS = Origin(
    "devkit",
    Contest,
    f"{COUNT} --test-labels ILSVRC2010_test_ground_truth.txt",
    "the labels of ILSVRC-2010's test pictures, which its development kit does not hold",
)
TIMING = Origin("augmentation", Augmentation, "replicate bench augmentation", "a machine with a GPU")


def training_pictures(kit: Contest) -> dict[str, int]:
    return {"images": kit.train_pictures, "classes": kit.classes}


def training_pictures_a_class(kit: Contest) -> dict[str, float]:
    """Of the smallest class, on average, of the largest class."""
    return {"least": kit.train_per_class.least, "mean": kit.train_per_class.mean, "most": kit.train_per_class.most}


def validation_pictures(kit: Contest) -> int:
    return kit.val_pictures


def test_pictures(kit: Contest) -> int | None:
    """None where the record was made without their labels."""
    return kit.test_pictures


def augmentation_share(timing: Augmentation) -> float:
    """The slowest batch's crops, reflections and colours over the fastest training step."""
    return max(timing.augmentation_seconds) / min(timing.step_seconds)


ORIGINS = {
    training_pictures: KIT,
    training_pictures_a_class: KIT,
    validation_pictures: KIT,
    test_pictures: TESTS,
    augmentation_share: TIMING,
}
RECORDED: dict[str, Callable[..., Any]] = {measure.__name__: measure for measure in ORIGINS}


def origin(measure: str) -> Origin:
    return ORIGINS[RECORDED[measure]]


def measured(measure: str, record: Record, **arguments: Any) -> Any:
    """What a measure reads in its record; a record with other keys is one line."""
    source = origin(measure)
    return RECORDED[measure](parse(source.values, record.values, f"{FOLDER}/{source.record}.json"), **arguments)


def recorded(root: Path | None = None) -> Mapping[str, Record]:
    """Such records of the clone at `root` (default: the one that the working directory is in; none outside a clone)."""
    try:
        folder = (root or settings.clone_root()) / FOLDER
    except UserError:
        return {}
    return {path.stem: read(path) for path in sorted(folder.glob("*.json"))}
