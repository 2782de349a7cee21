"""What a source consists of: which pictures, of which classes, and where the bytes of each lie.

Every source gives its pictures official names, `{train,val}/<class>/<file>`. By them the store orders its pictures, so
that the same pictures give the same bytes whether they lie in a folder, in archives or in another layout.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from replicate.errors import UserError

SPLITS = ("train", "val")
SUFFIXES = frozenset(
    (".jpeg", ".jpg", ".jpe", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)


class Place(NamedTuple):
    """Where a picture's bytes lie: `size` of them from `offset` of a file on, or a whole file (`offset` is None)."""

    file: str  # below the listing's folder
    offset: int | None
    size: int


@dataclass(frozen=True)
class Listing:
    """The pictures of a source: `classes` by index; per split, sorted (name, class index, bytes).

    Bytes are -1 for what is no file: a link that leads nowhere, a pipe. A picture is the file of its name below `folder`, unless `elsewhere` says
    where it is. `ignored` counts the files that are no pictures by their suffix.
    """

    folder: Path
    classes: list[str]
    pictures: dict[str, list[tuple[str, int, int]]]
    ignored: int = 0
    elsewhere: dict[str, Place] = field(default_factory=dict)
    raw: bool = False  # the bytes are CIFAR-10's pixels, not an encoded picture
    content: str = ""  # a hash of all bytes, where equal names and sizes do not mean equal pictures
    remark: str = ""  # what else is to be said of it, a sentence

    def counts(self, split: str) -> list[int]:
        """Pictures per class."""
        counts = [0] * len(self.classes)
        for _, label, _ in self.pictures[split]:
            counts[label] += 1
        return counts

    def place(self, name: str) -> Place:
        return self.elsewhere.get(name) or Place(name, None, -1)

    def shown(self, name: str) -> str:
        """A picture for people: its file, or the file that it is in and its name."""
        place = self.place(name)
        return escaped(self.folder / place.file if place.offset is None else f"{self.folder / place.file}: {name}")


def scan(folder: Path) -> Listing:
    """Lists the pictures `{train,val}/<class>/<picture>` below `folder` without opening them.

    Hidden files and folders (name begins with a dot) are passed over; files whose suffix is none of SUFFIXES (a
    README, a list of boxes) are passed over and counted. A folder inside a class's folder is refused, since the
    pictures in it would be missed silently. UserError too for a missing or empty folder, a class without pictures,
    fewer than two classes, and classes that are in one split only.
    """
    found = {split: scan_split(folder, split) for split in SPLITS}
    names = {split: set(classes) for split, (classes, _) in found.items()}
    for split, other in (("train", "val"), ("val", "train")):
        alone = sorted(names[split] - names[other])
        if alone:
            raise UserError(f"{folder}: class {first_of(alone)} is in {split}/ and not in {other}/")
    classes = sorted(names["train"])
    if len(classes) < 2:
        raise UserError(f"{folder}: only one class ({classes[0]!r}); at least two are needed")
    index = {name: i for i, name in enumerate(classes)}
    pictures = {
        split: sorted((name, index[label], size) for label, files in by_class.items() for name, size in files)
        for split, (by_class, _) in found.items()
    }
    return Listing(folder, classes, pictures, sum(ignored for _, ignored in found.values()))


def scan_classes(folder: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """Classes by name, and (picture, class index) in order of name, of a folder `<class>/<picture>`."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; one with a folder for each class is expected")
    folder = folder.resolve()
    by_class, _ = scan_split(folder.parent, folder.name)
    classes = sorted(by_class)
    return classes, [(folder.parent / name, i) for i, label in enumerate(classes) for name, _ in sorted(by_class[label])]


def scan_split(folder: Path, split: str) -> tuple[dict[str, list[tuple[str, int]]], int]:
    """({class: [(name, bytes)]}, files passed over) of `folder/<split>/<class>/<picture>`, in no order."""
    where = folder / split
    if not where.is_dir():
        raise UserError(f"{folder}: no folder {split}/ in it; pictures are expected as {{train,val}}/<class>/<picture>")
    classes: dict[str, list[tuple[str, int]]] = {}
    ignored = 0
    for entry in os.scandir(where):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        files, others = scan_files(entry.path)
        ignored += others
        if not files:
            raise UserError(f"{escaped(entry.path)}: class {entry.name!r} has no pictures")
        classes[entry.name] = [(f"{split}/{_text(entry.name, where)}/{name}", size) for name, size in files]
    if not classes:
        raise UserError(f"{where}: empty; a folder for each class with its pictures is expected")
    return classes, ignored


def scan_files(folder: "str | Path") -> tuple[list[tuple[str, int]], int]:
    """([(file name, bytes)], files passed over) of the pictures that lie directly in `folder`, in no order."""
    files, ignored = [], 0
    for file in os.scandir(folder):
        if file.name.startswith("."):
            continue
        if file.is_dir():
            raise UserError(f"{escaped(file.path)}: a folder, where only pictures are expected")
        if os.path.splitext(file.name)[1].lower() not in SUFFIXES:
            ignored += 1
            continue
        files.append((_text(file.name, folder), _size(file)))
    return files, ignored


def first_of(names: list[str]) -> str:
    """The first of several names, and how many more there are."""
    return f"{names[0]!r} and {len(names) - 1} more" if len(names) > 1 else f"{names[0]!r}"


def _text(name: str, where: "str | Path") -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{escaped(where)}: the name {name!r} is not valid UTF-8; rename it") from None
    return name


def escaped(name: "str | Path") -> str:
    """A name for people: what would move the cursor, end the line or colour the terminal is written as in Python."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(name))


def _size(file: "os.DirEntry[str]") -> int:
    try:
        return file.stat().st_size if file.is_file() else -1
    except OSError:
        return -1
