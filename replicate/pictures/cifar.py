"""CIFAR-10 from its binary version: six files of records, one byte for the class and 3072 for a picture of 32×32.

The pixels are as they are: red plane, green plane, blue plane, each of 32 rows; nothing is decoded or resized. The
version for Python is a pickle, which can run any program when it is opened; it is told by its name and left alone.
"""

import hashlib
from pathlib import Path

import numpy as np

from replicate.errors import UserError
from replicate.pictures import remembered
from replicate.pictures.archives import members, opened
from replicate.pictures.folders import check_regular, new_folder
from replicate.pictures.listing import Listing, Place
from replicate.settings import Profile

SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE  # bytes
ARCHIVE, FOLDER, NAMES = "cifar-10-binary.tar.gz", "cifar-10-batches-bin", "batches.meta.txt"
BATCHES = {"train": [f"data_batch_{n}.bin" for n in range(1, 6)], "val": ["test_batch.bin"]}
PICKLES = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "batches.meta")
LARGEST = 2**28  # bytes of a file; the official ones have 30,730,000


def find(profile: Profile) -> Path:
    """The folder of the six files, or the archive of it. UserError that says what to put where."""
    for place in (profile.source / FOLDER, profile.source, profile.source / ARCHIVE):
        if place.is_file() or (place / BATCHES["val"][0]).is_file():
            return place
    shown = profile.source.relative_to(profile.root)
    for pickle in PICKLES:
        if profile.source.resolve().name == pickle or (profile.source / pickle).exists():
            raise UserError(f"{shown}: {pickle} is a pickle, which is not opened; put the binary version there, {ARCHIVE}")
    raise UserError(
        f"no pictures for profile {profile.name!r}: put a folder, or a link to one, with {ARCHIVE} or {FOLDER}/ at {shown}"
    )


def provide(profile: Profile) -> None:
    """Unpacks the archive, if that is what there is, to `data/<profile>/pictures`."""
    found = find(profile)
    if found.is_dir():
        return
    remembered.verify(profile, found)
    wanted = {f"{FOLDER}/{name}": name for name in (NAMES, *BATCHES["train"], *BATCHES["val"])}
    with new_folder(profile.pictures, replace=True) as temporary, opened(found) as archive:
        (temporary / FOLDER).mkdir()
        for member in members(archive, str(found)):
            if member.name not in wanted:
                continue  # the authors' page
            if member.size > LARGEST:
                raise UserError(f"{found}: {member.name} has {member.size:,} bytes; this is not the official archive")
            archive.seek(member.offset)
            with open(temporary / FOLDER / wanted[member.name], "wb") as file:
                file.write(archive.read(member.size))
        for name in wanted.values():
            if not (temporary / FOLDER / name).is_file():
                raise UserError(f"{found}: holds no {FOLDER}/{name}; download it again")


def folder(profile: Profile) -> Path:
    """Where the six files are: the user's, or what `provide` unpacked."""
    found = find(profile)
    return found if found.is_dir() else profile.pictures / FOLDER


def listing(profile: Profile) -> Listing:
    """All records, as `{train,val}/<class>/<batch>_<number>`. UserError for a file that is cut off or has no such class."""
    where = folder(profile)
    classes = _names(where / NAMES)
    pictures: dict[str, list[tuple[str, int, int]]] = {}
    elsewhere = {}
    content = hashlib.sha256()
    for split, batches in BATCHES.items():
        rows = []
        for batch in batches:
            remembered.verify(profile, where / batch)
            data = _read(where / batch)
            content.update(data)
            for number, label in enumerate(data[::RECORD]):
                if label >= len(classes):
                    raise UserError(f"{where / batch}: damaged: record {number} has class {label}, and {NAMES} names {len(classes)}")
                name = f"{split}/{classes[label]}/{batch.removesuffix('.bin')}_{number:05d}"
                rows.append((name, label, RECORD - 1))
                elsewhere[name] = Place(batch, number * RECORD + 1, RECORD - 1)
        pictures[split] = sorted(rows)
        if missing := set(range(len(classes))) - {label for _, label, _ in rows}:
            raise UserError(f"{where}: no pictures of class {classes[min(missing)]!r} in {split}; the files are not whole")
    return Listing(where, classes, pictures, elsewhere=elsewhere, raw=True, content=content.hexdigest())


def pixels(data: bytes) -> np.ndarray:
    """A record without its class → uint8 (32, 32, 3), RGB."""
    return np.frombuffer(data, np.uint8).reshape(3, SIDE, SIDE).transpose(1, 2, 0)


def _names(path: Path) -> list[str]:
    check_regular(path)
    try:
        names = path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if len(names) < 2 or len(set(names)) < len(names) or not all(name.isalnum() and name.isascii() for name in names):
        raise UserError(f"{path}: must name the classes, one a line")
    return names


def _read(path: Path) -> bytes:
    check_regular(path)
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if not data or len(data) % RECORD:
        raise UserError(f"{path}: must hold records of {RECORD} bytes, and has {len(data):,}; it is cut off, download it again")
    return data
