"""Folders that appear whole or not at all, where they are or where a link in their place leads; and files that are files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from replicate.errors import UserError


@contextmanager
def new_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder beside `folder`, which becomes `folder` only when the block ends well.

    A folder that holds something already is a UserError, unless `replace` says that it is ours to replace. What a link
    leads to is never ours, so that must be empty or not there yet.
    """
    place = followed(folder)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        if folder.is_symlink():
            raise UserError(f"{folder}: leads to {place}, which is not an empty folder; empty it, or remove the link")
        if not replace:
            raise UserError(f"{folder}: already there and not an empty folder; remove it or name another one")
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    temporary.chmod(0o755)
    try:
        yield temporary
        swap(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def followed(folder: Path) -> Path:
    """Where a folder is or will be: what the user put on another disk by a link stays there.

    UserError where it cannot be replaced by another one at once.
    """
    place = folder
    if folder.is_symlink():
        with suppress(OSError, RuntimeError):  # what a link to itself raises depends on Python's version
            place = folder.resolve()
        if place.is_symlink():
            raise UserError(f"{folder}: a link that leads to itself; remove it")
        if not place.parent.is_dir():
            raise UserError(f"{folder}: leads to {place}, and there is no {place.parent}; mount its disk, or make that folder")
        if not os.access(place.parent, os.W_OK):
            raise UserError(f"{folder}: leads to {place}, and nothing can be written in {place.parent}; let it lead elsewhere")
    if place.is_mount():
        raise UserError(f"{folder}: {place} is where a disk is mounted; let it be a link to a folder on that disk")
    return place


def swap(new: Path, folder: Path) -> None:
    """Puts `new` in the place of `folder`, which is no link (`followed`)."""
    remove(old(folder))
    if folder.exists():
        folder.rename(old(folder))
    new.rename(folder)
    remove(old(folder))


def old(folder: Path) -> Path:
    """Where `swap` puts the former one for a moment, and leaves it if it is killed then."""
    return folder.parent / f".{folder.name}.old"


def remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def check_regular(path: Path) -> None:
    """UserError for a pipe, a device or a folder in the place of a file: reading the first would wait for ever."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: no regular file; put the file itself there, or a link to it")
