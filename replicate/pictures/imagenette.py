"""Imagenette, from a folder or its three archives, to `data/<profile>/pictures`. `recode` makes it where there is internet."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.pictures.archives import Member, members, opened
from replicate.pictures.folders import new_folder
from replicate.pictures.listing import SPLITS, Listing, escaped, scan
from replicate.settings import Profile

ENVIRONMENT = "REPLICATE_DATA"
FOLDER = "imagenette2"
ARCHIVES = tuple(f"{FOLDER}-{part}.tar.xz" for part in ("train-1", "train-2", "val"))
LARGEST = 2**28  # bytes of a picture


def is_set(folder: Path) -> bool:
    return all((folder / split).is_dir() for split in SPLITS)


def find(profile: Profile) -> Path | list[Path]:
    """The folder with train/ and val/, or the three archives. UserError that says what to put where."""
    named = os.environ.get(ENVIRONMENT)
    places = [profile.source] if profile.source.exists() else [Path(named)] if named else []
    for place in places:
        for folder in (place / FOLDER, place):
            if is_set(folder):
                return folder
        archives = [place / name for name in ARCHIVES]
        missing = [archive.name for archive in archives if not archive.is_file()]
        if not missing:
            return archives
        if len(missing) < len(archives):
            raise UserError(f"{place}: {' and '.join(missing)} is missing beside the other archives")
    looked = f"{places[0]} holds no {FOLDER}/ with train/ and val/, nor its archives" if places else "none found"
    raise UserError(
        f"no pictures for profile {profile.name!r} ({looked}): put a folder or a link with {FOLDER}/ at "
        f"{profile.source.relative_to(profile.root)}, or set {ENVIRONMENT} to such a folder, or run: replicate fetch imagenette"
    )


def provide(profile: Profile) -> str:
    """Copies or unpacks the pictures, whole or not at all; returns which, as a verb."""
    try:
        found = find(profile)
    except UserError:
        if is_set(profile.pictures):  # provided before, and the source has gone since
            return "Kept"
        raise
    with new_folder(profile.pictures, replace=True) as temporary:
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
            f"in {profile.params_file.relative_to(profile.root)}, or run: replicate fetch imagenette"
        )


def copy(source: Path, folder: Path) -> None:
    """Copies the pictures of `source` (no links to them: DVC may change the mode of what it keeps)."""
    for name in each(source, folder, "copy"):
        shutil.copyfile(source / name, folder / name)


def each(source: Path, folder: Path, what: str) -> Iterator[str]:
    """The name of every picture of `source`, with a bar, for a copy in `folder`, where the folders for them are made."""
    listing = scan(source)
    found = [(name, size) for split in SPLITS for name, _, size in listing.pictures[split]]
    if missing := [name for name, size in found if size < 0]:
        raise UserError(f"{escaped(source / missing[0])}: no file that can be read; repair or remove it")
    names = [name for name, _ in found]
    for parent in sorted({Path(name).parent for name in names}):
        (folder / parent).mkdir(parents=True, exist_ok=True)
    yield from tqdm(names, desc=what, unit=" pictures", disable=None)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks `imagenette2/{train,val}/<class>/<picture>` as `folder/{train,val}/…`; any other member is refused."""
    with opened(archive) as file:
        for _ in tqdm(unpacked(file, archive, folder), desc=archive.name, unit=" files", disable=None):
            pass


def unpacked(file: BinaryIO, archive: Path, folder: Path) -> Iterator[Path]:
    """The files of an archive that is open, each as it has been written."""
    for member in members(file, str(archive)):
        path = folder / _checked(archive, member)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.seek(member.offset)
        path.write_bytes(file.read(member.size))
        yield path


def _checked(archive: Path, member: Member) -> str:
    top, _, name = member.name.partition("/")
    parts = name.split("/")
    if top != FOLDER or len(parts) != 3 or parts[0] not in SPLITS or member.size > LARGEST:
        raise UserError(f"{archive}: unexpected member {member.name!r} of {member.size:,} bytes; nothing was unpacked")
    return name
