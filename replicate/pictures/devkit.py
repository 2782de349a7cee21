"""Counts the pictures of ILSVRC-2010 from the contest's own files: its development kit and the labels of its test pictures."""

import io
import tarfile
from collections import Counter
from pathlib import Path
from statistics import fmean, median

from replicate import files, records
from replicate.errors import UserError
from replicate.records import Contest, PerClass, Record

META = "devkit-1.0/data/meta.mat"
LABELS = "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt"
LARGEST = 64 * 2**20  # bytes of a member or file that is read at all
RECORD = Path("reports", "paper", "records", "devkit.json")


def count(archive: Path, test_labels: Path | None, root: Path, command: str) -> Record:
    """Writes the record `devkit` of the clone at `root`; nothing is unpacked, and no paths are kept.

    `archive`: ILSVRC2010_devkit-1.0.tar.gz; `test_labels`: ILSVRC2010_test_ground_truth.txt, without which the number of
    test pictures stays unknown. Both hold one number from 1 to the number of classes a picture.
    """
    started = records.now()
    found = _members(archive)
    trained = _training(archive, found[META])
    validation = _labels(f"{archive.name}: {LABELS}", found[LABELS], len(trained))
    tests = None
    if test_labels:
        if not test_labels.is_file() or test_labels.stat().st_size > LARGEST:
            raise UserError(f"{test_labels}: no file of labels; give ILSVRC2010_test_ground_truth.txt")
        tests = _labels(test_labels.name, test_labels.read_bytes(), len(trained))
    contest = Contest(
        classes=len(trained),
        train_pictures=sum(trained),
        train_per_class=_spread(trained),
        val_pictures=sum(validation),
        val_per_class=_spread(validation),
        test_pictures=sum(tests) if tests else None,
        sha256={file.name: files.sha256(file) for file in (archive, test_labels) if file},
    )
    record = Record(
        kind="devkit", profile="none", source="ilsvrc2010", values=contest.model_dump(),
        provenance=records.provenance(command, root, 1, started),
    )  # fmt: skip
    records.write(root / RECORD, record)
    return record


def _spread(counts: list[int]) -> PerClass:
    return PerClass(least=min(counts), median=median(counts), mean=fmean(counts), most=max(counts))


def _members(archive: Path) -> dict[str, bytes]:
    """The two data files of the kit, read where they are. Other members, links and devices are passed over."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name not in (META, LABELS) or not member.isreg():
                    continue
                if name in found or member.size > LARGEST:
                    raise UserError(f"{archive}: {name} is there twice, or larger than any such file; not an official kit")
                found[name] = tar.extractfile(member).read()
    except FileNotFoundError:
        raise UserError(f"{archive}: no such file; the kit is called ILSVRC2010_devkit-1.0.tar.gz") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{archive}: not readable as a tar archive ({error}); download it again") from None
    if missing := {META, LABELS} - set(found):
        raise UserError(f"{archive}: holds no {sorted(missing)[0]}; give ILSVRC2010_devkit-1.0.tar.gz as it was downloaded")
    return found


def _training(archive: Path, meta: bytes) -> list[int]:
    """Training pictures of each class, in the order of the kit's numbers 1, 2, …: its synsets without children."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(io.BytesIO(meta), simplify_cells=True, variable_names=["synsets"])["synsets"]
        leaves = {int(one["ILSVRC2010_ID"]): int(one["num_train_images"]) for one in synsets if int(one["num_children"]) == 0}
    except Exception as error:  # whatever the parser of a foreign format trips over
        raise UserError(f"{archive}: {META} is no table of synsets ({type(error).__name__}: {error})") from None
    if sorted(leaves) != list(range(1, len(leaves) + 1)) or min(leaves.values(), default=0) < 1:
        raise UserError(f"{archive}: {META}: the classes are not numbered from 1, or one has no pictures")
    return [leaves[number] for number in sorted(leaves)]


def _labels(where: str, text: bytes, classes: int) -> list[int]:
    """Pictures of each class."""
    try:
        labels = Counter(map(int, text.split()))
    except ValueError:
        labels = Counter()
    if not labels or min(labels) < 1 or max(labels) > classes:
        raise UserError(f"{where}: must hold one number from 1 to {classes} a picture")
    return [labels[number] for number in range(1, classes + 1)]
