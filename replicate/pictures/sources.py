"""Where a profile's pictures come from, and the layout `{train,val}/<class>/<picture>` that all sources have."""

import csv
import lzma
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.pictures import folders
from replicate.settings import Drawn, Profile

SPLITS = ("train", "val")
ENVIRONMENT = "REPLICATE_DATA"
IMAGENETTE = "imagenette2"
ARCHIVES = tuple(f"{IMAGENETTE}-{part}.tar.xz" for part in ("train-1", "train-2", "val"))
SUFFIXES = frozenset(
    (".jpeg", ".jpg", ".jpe", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder: `classes` sorted by name; per split, sorted (name, class index, bytes).

    Names are relative to the folder (`train/tench/a.JPEG`); bytes are -1 for a link that leads nowhere. `ignored`
    counts the files that are no pictures by their suffix.
    """

    classes: list[str]
    pictures: dict[str, list[tuple[str, int, int]]]
    ignored: int

    def counts(self, split: str) -> list[int]:
        """Pictures per class."""
        counts = [0] * len(self.classes)
        for _, label, _ in self.pictures[split]:
            counts[label] += 1
        return counts


def picture_folder(profile: Profile) -> Path:
    """The folder that holds `{train,val}/<class>/*`: the user's own for `folder`, else what `provide` wrote."""
    return profile.source if profile.settings.source.kind == "folder" else profile.pictures


def scan(folder: Path) -> Listing:
    """Lists the pictures below `folder` without opening them.

    Hidden files and folders (name begins with a dot) are passed over; files whose suffix is none of SUFFIXES (a
    README, a list of boxes) are passed over and counted. A folder inside a class's folder is refused, since the
    pictures in it would be missed silently. UserError too for a missing or empty folder, a class without pictures,
    fewer than two classes, and classes that are in one split only.
    """
    found = {split: _scan_split(folder, split) for split in SPLITS}
    names = {split: set(classes) for split, (classes, _) in found.items()}
    for split, other in (("train", "val"), ("val", "train")):
        alone = sorted(names[split] - names[other])
        if alone:
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            raise UserError(f"{folder}: class {alone[0]!r}{more} is in {split}/ and not in {other}/")
    classes = sorted(names["train"])
    if len(classes) < 2:
        raise UserError(f"{folder}: only one class ({classes[0]!r}); at least two are needed")
    index = {name: i for i, name in enumerate(classes)}
    pictures = {
        split: sorted((name, index[label], size) for label, files in by_class.items() for name, size in files)
        for split, (by_class, _) in found.items()
    }
    return Listing(classes, pictures, sum(ignored for _, ignored in found.values()))


def scan_classes(folder: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """Classes by name, and (picture, class index) in order of name, of a folder `<class>/<picture>`."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; one with a folder for each class is expected")
    folder = folder.resolve()
    by_class, _ = _scan_split(folder.parent, folder.name)
    classes = sorted(by_class)
    return classes, [(folder.parent / name, i) for i, label in enumerate(classes) for name, _ in sorted(by_class[label])]


def _scan_split(folder: Path, split: str) -> tuple[dict[str, list[tuple[str, int]]], int]:
    where = folder / split
    if not where.is_dir():
        raise UserError(f"{folder}: no folder {split}/ in it; pictures are expected as {{train,val}}/<class>/<picture>")
    classes: dict[str, list[tuple[str, int]]] = {}
    ignored = 0
    for entry in os.scandir(where):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        files = []
        for file in os.scandir(entry.path):
            if file.name.startswith("."):
                continue
            if file.is_dir():
                raise UserError(f"{file.path}: a folder inside a class's folder; pictures lie directly in the latter")
            if os.path.splitext(file.name)[1].lower() not in SUFFIXES:
                ignored += 1
                continue
            files.append((f"{split}/{_text(entry.name, where)}/{_text(file.name, where)}", _size(file)))
        if not files:
            raise UserError(f"{entry.path}: class {entry.name!r} has no pictures")
        classes[entry.name] = files
    if not classes:
        raise UserError(f"{where}: empty; a folder for each class with its pictures is expected")
    return classes, ignored


def _text(name: str, where: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: the name {name!r} is not valid UTF-8; rename it") from None
    return name


def _size(file: "os.DirEntry[str]") -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


def check_presence(profile: Profile) -> None:
    """Whether there is something that `provide` can use; quick. UserError that says what to do."""
    kind = profile.settings.source.kind
    if kind == "folder":
        missing = [split for split in SPLITS if not (profile.source / split).is_dir()]
        if missing:
            raise UserError(
                f"no pictures for profile {profile.name!r}: put a folder, or a link to one, with "
                f"{{train,val}}/<class>/<picture> at {_shown(profile, profile.source)}"
            )
    elif kind == "imagenette" and not _is_set(profile.pictures):
        _find_imagenette(profile)


def provide(profile: Profile) -> str:
    """Draws, unpacks, copies or checks the pictures of a profile. Returns what it did, in a line.

    What is written goes to `data/<profile>/pictures`, whole or not at all; the user's source is only read.
    """
    source = profile.settings.source
    if isinstance(source, Drawn):
        from replicate.pictures import draw

        with folders.new_folder(profile.pictures, replace=True) as temporary:
            draw.draw(temporary, source.seed, source.train_per_class, source.val_per_class)
        done = "Drew"
    elif source.kind == "imagenette":
        done = _provide_imagenette(profile)
    else:
        check_presence(profile)
        listing = scan(profile.source)
        with folders.new_folder(profile.pictures, replace=True) as temporary:
            _write_classes(temporary / "classes.csv", listing)
        done = "Found"
    listing = scan(picture_folder(profile))
    train, val = (len(listing.pictures[split]) for split in SPLITS)
    where = _shown(profile, picture_folder(profile))
    return f"{done} {train} training and {val} validation pictures of {len(listing.classes)} classes: {where}"


def _write_classes(path: Path, listing: Listing) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("class", "train", "val"))
        writer.writerows(zip(listing.classes, listing.counts("train"), listing.counts("val"), strict=True))


def _is_set(folder: Path) -> bool:
    return all((folder / split).is_dir() for split in SPLITS)


def _shown(profile: Profile, path: Path) -> Path:
    return path.relative_to(profile.root)


def _find_imagenette(profile: Profile) -> Path | list[Path]:
    """The folder with train/ and val/, or the three archives."""
    named = os.environ.get(ENVIRONMENT)
    places = [profile.source] if profile.source.exists() else [Path(named)] if named else []
    for place in places:
        for folder in (place / IMAGENETTE, place):
            if _is_set(folder):
                return folder
        archives = [place / name for name in ARCHIVES]
        missing = [archive.name for archive in archives if not archive.is_file()]
        if not missing:
            return archives
        if len(missing) < len(archives):
            raise UserError(f"{place}: {' and '.join(missing)} is missing beside the other archives")
    looked = f"{places[0]} holds no {IMAGENETTE}/ with train/ and val/, nor its archives" if places else "none found"
    raise UserError(
        f"no pictures for profile {profile.name!r} ({looked}): put a folder or a link with {IMAGENETTE}/ at "
        f"{_shown(profile, profile.source)}, or set {ENVIRONMENT} to such a folder, or run: replicate fetch imagenette"
    )


def _provide_imagenette(profile: Profile) -> str:
    try:
        found = _find_imagenette(profile)
    except UserError:
        if _is_set(profile.pictures):  # provided before, and the source has gone since
            return "Kept"
        raise
    with folders.new_folder(profile.pictures, replace=True) as temporary:
        if isinstance(found, Path):
            copy(found, temporary)
        else:
            for archive in found:
                unpack(archive, temporary)
        _check_content(profile, scan(temporary))
    return "Copied" if isinstance(found, Path) else "Unpacked"


def content(listing: Listing) -> str:
    """A hash of all names and sizes in bytes."""
    return files.identity([[name, size] for split in SPLITS for name, _, size in sorted(listing.pictures[split])])


def _check_content(profile: Profile, listing: Listing) -> None:
    """A source is named by its content: records must not call other pictures by the name of known ones."""
    name = profile.settings.source.name
    known = files.read_yaml(Path(__file__).with_name("known.yaml"))
    if name in known and content(listing) != known[name]:
        raise UserError(
            f"these pictures are not {name!r} (files, names or sizes differ); give them another source.name "
            f"in {_shown(profile, profile.params_file)}, or run: replicate fetch imagenette"
        )


def copy(source: Path, folder: Path) -> None:
    """Copies the pictures of `source` (no links to them: DVC may change the mode of what it keeps)."""
    listing = scan(source)
    names = [name for split in SPLITS for name, _, _ in listing.pictures[split]]
    for parent in sorted({Path(name).parent for name in names}):
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for name in tqdm(names, desc="copy", unit=" pictures", disable=None):
        shutil.copyfile(source / name, folder / name)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks `imagenette2/{train,val}/<class>/<picture>` as `folder/{train,val}/…`; any other member is refused."""
    try:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tqdm(tar, desc=archive.name, unit=" files", disable=None):
                parts = Path(member.name).parts
                expected = parts[:1] == (IMAGENETTE,) and parts[1:2] in ((), ("train",), ("val",)) and ".." not in parts
                if not expected or not (member.isfile() and len(parts) == 4 or member.isdir() and len(parts) < 4):
                    raise UserError(f"{archive}: unexpected member {member.name!r}; not unpacked")
                if member.isfile():
                    member.name = str(Path(*parts[1:]))
                    tar.extract(member, folder, filter="data")
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise UserError(f"{archive}: cannot be unpacked ({error})") from None
