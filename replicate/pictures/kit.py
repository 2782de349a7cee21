"""The development kit of a contest: what its class numbers mean, and the labels of its validation pictures.

`meta.mat` has one table `synsets` of the classes and of all that is above them; the classes are those without children.
They are numbered from 1; networks number them from 0 in the order of their WordNet IDs.
"""

import codecs
import hashlib
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from replicate.errors import UserError
from replicate.pictures.archives import members, opened

LARGEST = 64 * 2**20  # bytes of a file of the kit, as it is and decompressed
COMPRESSED = 15  # type of a compressed element in MATLAB's files


@dataclass(frozen=True)
class Kit:
    wnids: dict[int, str]  # the contest's number of a class: its WordNet ID
    train_pictures: dict[int, int]  # of each class, by its number
    truth: list[int]  # numbers of the classes of the validation pictures, in the order of their names
    sha256: dict[str, str]  # of the two files, by their names

    @property
    def classes(self) -> list[str]:
        return sorted(self.wnids.values())


def read(archive: Path, folder: str, year: int) -> Kit:
    """The kit in a tar.gz whose files lie in `folder`; nothing is unpacked. UserError if it is no such kit."""
    meta, truth = f"{folder}/data/meta.mat", f"{folder}/data/ILSVRC{year}_validation_ground_truth.txt"
    found = {}
    with opened(archive) as file:
        for name, offset, size in members(file, str(archive)):
            if name in (meta, truth):
                if size > LARGEST:
                    raise UserError(f"{archive}: {name} has {size:,} bytes; this is not the official kit")
                file.seek(offset)
                found[name] = file.read(size)
    for name in (meta, truth):
        if name not in found:
            raise UserError(f"{archive}: holds no {name}; give the archive as it was downloaded")
    wnids, train_pictures = _classes(f"{archive}: {meta}", found[meta], f"ILSVRC{year}_ID")
    sha256 = {Path(name).name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    return Kit(wnids, train_pictures, labels(f"{archive}: {truth}", found[truth], wnids), sha256)


def labels(where: str, text: bytes, wnids: dict[int, str]) -> list[int]:
    """A class number a picture, in the order of the pictures' names."""
    words = text.removeprefix(codecs.BOM_UTF8).split()  # Windows' editors put it there
    if not words or not all(word.isdigit() and len(word) < 10 and int(word) in wnids for word in words):
        raise UserError(f"{where}: must hold one number from 1 to {len(wnids)} a picture")
    return [int(word) for word in words]


def _classes(where: str, meta: bytes, number: str) -> tuple[dict[int, str], dict[int, int]]:
    """(number → WordNet ID, number → training pictures) of the synsets without children."""
    from scipy.io import loadmat

    try:
        _refuse_bomb(meta)
        synsets = loadmat(io.BytesIO(meta), simplify_cells=True, variable_names=["synsets"])["synsets"]
        leaves = [one for one in synsets if int(one["num_children"]) == 0]
        wnids = {int(one[number]): str(one["WNID"]).strip() for one in leaves}
        train_pictures = {int(one[number]): int(one["num_train_images"]) for one in leaves}
    except Exception as error:  # whatever the parser of a foreign format trips over
        raise UserError(f"{where} is no table of synsets ({type(error).__name__}: {error})") from None
    if sorted(wnids) != list(range(1, len(leaves) + 1)) or len(set(wnids.values())) < len(leaves):
        raise UserError(f"{where}: the classes are not numbered from 1, or two have the same WordNet ID")
    if len(leaves) < 2 or not all(re.fullmatch(r"n[0-9]{8}", wnid) for wnid in wnids.values()):
        raise UserError(f"{where}: fewer than two classes, or one whose WordNet ID is none")
    return wnids, train_pictures


def _refuse_bomb(meta: bytes) -> None:
    """A few bytes can be compressed gigabytes, which MATLAB's format hides in its elements."""
    offset = 128
    while offset + 8 <= len(meta):
        order = "little" if meta[126:128] == b"IM" else "big"
        kind, size = (int.from_bytes(meta[at : at + 4], order) for at in (offset, offset + 4))
        if kind == COMPRESSED:
            decompressor = zlib.decompressobj()
            decompressor.decompress(meta[offset + 8 : offset + 8 + size], LARGEST)
            if decompressor.unconsumed_tail:
                raise ValueError(f"larger than {LARGEST:,} bytes")
        offset += 8 + size
