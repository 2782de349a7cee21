"""Folders that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replicate.errors import UserError


@contextmanager
def new_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder beside `folder`, which becomes `folder` only when the block ends well.

    A folder that holds something already is a UserError, unless `replace` says that it is ours to replace.
    """
    if not replace and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: already there and not an empty folder; remove it or name another one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    temporary.chmod(0o755)
    try:
        yield temporary
        swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def swap(new: Path, folder: Path) -> None:
    """Puts `new` in the place of `folder`. A link in that place is replaced, what it points to is left alone."""
    remove(old(folder))
    if folder.is_symlink() or folder.exists():
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
