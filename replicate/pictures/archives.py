"""Tar archives read in place: which files are in one, and where the bytes of each lie. Nothing is unpacked here.

Python's own reader takes a damaged header for the end of an archive, remembers every member, and follows what an archive
says of itself without limits. Here only regular files and folders pass; links, devices, names that lead out of the
archive or come twice, sizes beyond its end and an end without its mark are refused in one line.
"""

import gzip
import lzma
import math
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from replicate.errors import UserError
from replicate.pictures.folders import check_regular

BLOCK = tarfile.BLOCKSIZE
LARGEST_HEADER = 65536  # bytes of an extended header; a name and a time need a hundred
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
EXTENSIONS = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
COMPRESSED = (".gz", ".xz")
PACKED = {b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\0": "xz", b"BZh91AY&": "bzip2", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd"}
REFUSED = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class Member(NamedTuple):
    """A regular file of an archive: `size` bytes from `offset` on. Its name has no `./` in front."""

    name: str
    offset: int
    size: int


def check(path: Path) -> None:
    """UserError for what is no regular file, and for one that is compressed though its suffix does not say so."""
    check_regular(path)
    try:
        with open(path, "rb") as file:
            first = file.read(8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    kind = next((kind for start, kind in PACKED.items() if first.startswith(start)), None)
    if kind and path.suffix not in COMPRESSED:
        raise UserError(f"{path}: compressed by {kind}, which its name does not say: decompress it, or download it again")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of an archive, decompressed as its suffix says. What cannot be read becomes a UserError."""
    check(path)
    try:
        if path.suffix == ".gz":
            file: BinaryIO = gzip.open(path, "rb")
        else:
            file = lzma.open(path, "rb") if path.suffix == ".xz" else open(path, "rb")
        with file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: damaged or cut off ({error}); download it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read or unpacked ({error})") from None


def members(file: BinaryIO, where: str, start: int = 0, end: float = math.inf) -> Iterator[Member]:
    """The regular files of the tar archive that lies at `start` … `end` of `file`, in its order; `where` names it in errors.

    Reads headers only, and only forwards, so that between two members the caller may read the bytes of the first.
    """
    offset = start
    seen: set[str] = set()
    extended: dict[str, str] = {}
    while True:
        block = _read(file, where, offset, BLOCK, end)
        if block == bytes(BLOCK):
            return _nothing_follows(file, where, offset + BLOCK, end)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            size = header.size
            if "size" in extended and header.type not in EXTENSIONS:
                size = _decimal(extended["size"])
        except (tarfile.HeaderError, ValueError) as error:
            raise UserError(f"{where}: damaged at byte {offset:,} ({error}); download it again") from None
        offset += BLOCK
        if size < 0 or offset + size > end:
            raise UserError(f"{where}: member {header.name!r} has {size:,} bytes, beyond the end; it is damaged or cut off")
        if header.type in EXTENSIONS:
            if size > LARGEST_HEADER:
                raise UserError(f"{where}: damaged at byte {offset:,} (a header of {size:,} bytes); download it again")
            extended |= _extension(header.type, _read(file, where, offset, size, end), where)
            offset += _padded(size)
            continue
        name = extended.get("path", header.name)
        _refuse_odd(where, name, header.type, extended)
        name = "/".join(part for part in name.split("/") if part not in ("", "."))
        if header.type in FILES:
            if name in seen:
                raise UserError(f"{where}: member {name!r} is there twice; this is not the official archive")
            seen.add(name)
            yield Member(name, offset, size)
            offset += _padded(size)
        extended = {}


def _read(file: BinaryIO, where: str, offset: int, size: int, end: float) -> bytes:
    data = b""
    if offset + size <= end:
        file.seek(offset)
        data = file.read(size)
    if len(data) < size:
        at = offset + len(data)
        raise UserError(f"{where}: ends at byte {at:,} without the mark of its end; it is cut off, download it again")
    return data


def _nothing_follows(file: BinaryIO, where: str, offset: float, end: float) -> None:
    """An archive ends in zeros only: a header that was lost to zeros would otherwise hide all members behind it."""
    file.seek(offset)
    while offset < end and (data := file.read(min(2**20, int(min(end, 2**62) - offset)))):
        if data.count(0) < len(data):
            raise UserError(f"{where}: more follows the mark of its end at byte {offset - BLOCK:,}; it is damaged, download it again")
        offset += len(data)


def _decimal(text: str) -> int:
    """A size as the standard has it, digits only; Python's `int` takes signs, spaces and underlines too."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"a size of {text[:20]!r}")
    return int(text)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _refuse_odd(where: str, name: str, type: bytes, extended: dict[str, str]) -> None:
    """Refuses all but files and folders, and names that could mean a place outside of the archive."""
    if type in REFUSED:
        odd = REFUSED[type]
    elif (type not in FILES and type != tarfile.DIRTYPE) or any(key.startswith("GNU.sparse") for key in extended):
        odd = "of an unusual kind"
    elif name.startswith("/") or ".." in name.split("/"):
        odd = "a path out of the archive"
    elif not name.isprintable():
        odd = "a name that cannot be printed"
    else:
        return
    raise UserError(f"{where}: unexpected member {name!r} ({odd}); refused, nothing was read from it")


def _extension(type: bytes, data: bytes, where: str) -> dict[str, str]:
    """What an extended header says of the next member: its name and size, if they did not fit or are given anew."""
    if type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        text = data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return {"path" if type == tarfile.GNUTYPE_LONGNAME else "linkpath": text}
    found = {}
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or len(length) > 5 or not len(length) + 1 < int(length) <= len(data):
            raise UserError(f"{where}: damaged (an extended header that is none); download it again")
        key, _, value = rest[: int(length) - len(length) - 1].removesuffix(b"\n").partition(b"=")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    if type == tarfile.XGLTYPE and found.keys() & {"path", "size", "linkpath"}:
        raise UserError(f"{where}: a name or size for all members at once; this is not the official archive")
    return {} if type == tarfile.XGLTYPE else found
