"""What is read once of a large file and remembered in `.replicate/archives`: its MD5 sum, and where its pictures lie.

A file counts as the same while its name, size, number on its disk and the times of writing and of change are: the last is
the system's, and shows a file that was replaced and given the time of the former. Wherever it lies: a link or a disk that
is mounted elsewhere changes nothing.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.pictures.archives import Member, check
from replicate.settings import Profile

VERSION = 1  # of what is remembered; raised when the rules of an index change
CHUNK = 2**22
OFFICIAL = Path(__file__).with_name("md5.yaml")


def verify(profile: Profile, file: Path) -> None:
    """Compares a file of an official source with the published MD5 sum; UserError where it differs.

    A source is named by its content, so the sum is asked of a source that bears the official name. Pictures in the form
    of an official source, but under another name, have none to compare with.
    """
    name = profile.settings.source.name
    published = files.read_yaml(OFFICIAL).get(name, {}).get(file.name)
    if published is None:
        return
    check(file)
    try:
        found = _md5(file, profile.state)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
    if found != published:
        raise UserError(
            f"{file}: its MD5 sum is {found}, and {published} is published: download it again, or give these pictures "
            f"another source.name than {name!r} in {profile.params_file.relative_to(profile.root)}"
        )


def _md5(file: Path, state: Path) -> str:
    memory = _memory(file, state, ".md5")
    if memory.is_file():
        return memory.read_text().strip()
    digest = hashlib.md5(usedforsecurity=False)
    with open(file, "rb") as opened, bar(file, "verify") as progress:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
            progress.update(len(chunk))
    _check_unchanged(file, state, memory)
    files.write_text(memory, digest.hexdigest() + "\n")
    return digest.hexdigest()


def index(file: Path, state: Path, read: Iterable[Member]) -> Iterator[Member]:
    """The pictures in an archive, as `read` lists them; `read` is gone through once, whole, and never again."""
    memory = _memory(file, state, ".tsv")
    if not memory.is_file():
        with files.atomic(memory) as temporary, open(temporary, "w", encoding="utf-8") as lines:
            lines.writelines(f"{name}\t{offset}\t{size}\n" for name, offset, size in read)
            _check_unchanged(file, state, memory)
    with open(memory, encoding="utf-8") as lines:
        for line in lines:
            name, offset, size = line.split("\t")
            yield Member(name, int(offset), int(size))


def bar(file: Path, what: str) -> tqdm:
    """A progress bar over the bytes of a file."""
    return tqdm(total=file.stat().st_size, desc=f"{what} {file.name}", unit="B", unit_scale=True, disable=None)


def _memory(file: Path, state: Path, suffix: str) -> Path:
    status = file.stat()
    same = files.identity([VERSION, file.name, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns])
    return state / "archives" / f"{same[:32]}{suffix}"


def _check_unchanged(file: Path, state: Path, memory: Path) -> None:
    if memory != _memory(file, state, memory.suffix):
        raise UserError(f"{file}: was changed while it was read; run it again when it is whole")
