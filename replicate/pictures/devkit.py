"""Counts the pictures of ILSVRC-2010 from the contest's own files: its development kit and the labels of its test pictures."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, median

from replicate import records
from replicate.errors import UserError
from replicate.pictures import kit
from replicate.records import Contest, PerClass, Record

FOLDER, YEAR = "devkit-1.0", 2010
RECORD = Path("reports", "paper", "records", "devkit.json")


def count(archive: Path, test_labels: Path | None, root: Path, command: str) -> Record:
    """Writes the record `devkit` of the clone at `root`; nothing is unpacked, and no paths are kept.

    `archive`: ILSVRC2010_devkit-1.0.tar.gz; `test_labels`: ILSVRC2010_test_ground_truth.txt, without which the number of
    test pictures stays unknown.
    """
    started = records.now()
    if not archive.is_file():
        raise UserError(f"{archive}: no such file; the kit is called ILSVRC2010_devkit-1.0.tar.gz")
    found = kit.read(archive, FOLDER, YEAR)
    tests, hashes = None, found.sha256
    if test_labels:
        if not test_labels.is_file() or test_labels.stat().st_size > kit.LARGEST:
            raise UserError(f"{test_labels}: no file of labels; give ILSVRC2010_test_ground_truth.txt")
        text = test_labels.read_bytes()
        tests = len(kit.labels(str(test_labels), text, found.wnids))
        hashes = hashes | {test_labels.name: hashlib.sha256(text).hexdigest()}
    validation = Counter(found.truth)
    contest = Contest(
        classes=len(found.wnids),
        train_pictures=sum(found.train_pictures.values()),
        train_per_class=_spread(found.train_pictures.values()),
        val_pictures=len(found.truth),
        val_per_class=_spread(validation[number] for number in found.wnids),
        test_pictures=tests,
        sha256=hashes,
    )
    record = Record(
        kind="devkit", profile="none", source="ilsvrc2010", values=contest.model_dump(),
        provenance=records.provenance(command, root, 1, started),
    )  # fmt: skip
    records.write(root / RECORD, record)
    return record


def _spread(counts: Iterable[int]) -> PerClass:
    each = list(counts)
    return PerClass(least=min(each), median=median(each), mean=fmean(each), most=max(each))
