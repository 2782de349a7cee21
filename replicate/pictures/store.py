"""The store: decoded pictures in a fixed shuffled order, memory-mapped, with labels, mean image and manifest.

    train-00000.npy …   uint8 (n, side, side, 3), RGB, at most 1024 pictures a shard; val-00000.npy …
    train.csv, val.csv  file,class: one line a picture, in the order of the shards; the class as an index
    mean.npy            float32 (side, side, 3): the mean of the training pictures (section 2)
    manifest.json       what is in it, with hashes; no versions, times or paths: the same on every machine

The order is that of the hashes of the names, so that any run of pictures is a random sample of all classes.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.settings import Strict

FORMAT = 1
SHARD_PICTURES = 1024
HEADER_BYTES = 128  # of the .npy files that NumPy writes for these shapes
FILE = re.compile(r"(train|val)(-[0-9]{5}\.npy|\.csv)|mean\.npy|manifest\.json|\.DS_Store")  # the last is macOS's
PART_BYTES = 2**22  # of a shard that is read at once: what is done with them finds them in the processor's cache

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LeftOut(Strict):
    """A picture that could not be read, and why."""

    file: str
    reason: str


class Shard(Strict):
    """A shard, and what its pictures were before they became side×side×3 (counts)."""

    file: Annotated[str, Field(pattern=r"^(train|val)-[0-9]{5}\.npy$")]
    pictures: Annotated[int, Field(ge=0, le=SHARD_PICTURES)]
    sha256: Hash
    greyscale: int
    cmyk: int
    not_jpeg: int
    exif_rotated: int
    left_out: list[LeftOut]


class SplitManifest(Strict):
    list_sha256: Hash
    shards: list[Shard]

    @property
    def pictures(self) -> int:
        return sum(shard.pictures for shard in self.shards)

    @property
    def greyscale(self) -> int:
        return sum(shard.greyscale for shard in self.shards)

    @property
    def cmyk(self) -> int:
        return sum(shard.cmyk for shard in self.shards)

    @property
    def not_jpeg(self) -> int:
        return sum(shard.not_jpeg for shard in self.shards)

    @property
    def exif_rotated(self) -> int:
        return sum(shard.exif_rotated for shard in self.shards)

    @property
    def left_out(self) -> list[LeftOut]:
        return [picture for shard in self.shards for picture in shard.left_out]


class Manifest(Strict):
    """`built_from` is a hash of the parameters and of the names and sizes of all files that were given."""

    format: Literal[1]
    source: str
    side: int
    filter: Literal["bilinear", "bicubic"]
    skip_broken: bool
    built_from: Hash
    classes: list[str]
    train: SplitManifest
    val: SplitManifest
    mean_sha256: Hash

    def split(self, name: str) -> SplitManifest:
        return self.train if name == "train" else self.val


class Split:
    """The pictures of one split, in the store's order. Its list and its shards are read when they are asked for.

    Names are many megabytes, and training does not need them: whoever asks for labels does not get them in memory too.
    """

    def __init__(self, folder: Path, name: str, manifest: Manifest):
        self._list = folder / f"{name}.csv"
        self._classes = len(manifest.classes)
        self._side = manifest.side
        shards = [shard for shard in manifest.split(name).shards if shard.pictures]
        self._paths = [folder / shard.file for shard in shards]
        self._hashes = [shard.sha256 for shard in shards]
        self._starts = np.concatenate(([0], np.cumsum([shard.pictures for shard in shards], dtype=np.int64)))
        self._maps: list[np.ndarray | None] = [None] * len(shards)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def names(self) -> list[str]:
        names = [name for name, _ in read_list(self._list)]
        if len(names) != len(self):
            raise damaged(self._list, "is altered")
        return names

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 (n,): indices of classes."""
        known = range(self._classes)
        labels = np.fromiter((label if label in known else -1 for _, label in read_list(self._list)), np.int64)
        if len(labels) != len(self) or (labels < 0).any():
            raise damaged(self._list, "is altered")
        return labels

    def take(self, indices: "np.ndarray | list[int]") -> np.ndarray:
        """The pictures at `indices` (any order, repeats allowed) as uint8 (n, side, side, 3). IndexError outside."""
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and not (0 <= wanted.min() and wanted.max() < len(self)):
            raise IndexError(f"picture {wanted.min()} or {wanted.max()} is outside 0..{len(self) - 1}")
        pictures = np.empty((len(wanted), self._side, self._side, 3), dtype=np.uint8)
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            pictures[here] = self._map(int(shard))[wanted[here] - self._starts[shard]]
        return pictures

    @property
    def shards(self) -> int:
        return len(self._paths)

    def parts(self, shard: int) -> Iterator[np.ndarray]:
        """The pictures of a shard in order, uint8 (n, side, side, 3), some megabytes at a time.

        UserError after the last if the shard's file is not as its hash says: one reading serves the check and the work.
        """
        path, pictures = self._paths[shard], self._map(shard)
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read(HEADER_BYTES))
        step = max(1, PART_BYTES // (self._side**2 * 3))
        for first in range(0, len(pictures), step):
            part = pictures[first : first + step]
            digest.update(part)
            yield part
        if digest.hexdigest() != self._hashes[shard]:
            raise damaged(path, "is altered")

    def _map(self, shard: int) -> np.ndarray:
        mapped = self._maps[shard]
        if mapped is None:
            mapped = np.asarray(load_array(self._paths[shard], mapped=True))
            self._maps[shard] = mapped
        return mapped


class Store:
    """A store that was opened: `identity` is the hash of its manifest, and so of every byte in it."""

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder = folder
        self.manifest = manifest
        self.identity = files.sha256(folder / "manifest.json")
        self.classes = manifest.classes
        self.side = manifest.side
        self.mean: np.ndarray = load_array(folder / "mean.npy")
        self.train = Split(folder, "train", manifest)
        self.val = Split(folder, "val", manifest)


def open_store(folder: Path) -> Store:
    """Opens a store; checks that every file is there with its right size, which is quick (`verify` reads them all).

    UserError that names the file that is missing, short or not ours, and says how to rebuild it.
    """
    manifest = read_manifest(folder)
    for file, (size, _) in expected(manifest).items():
        path = folder / file
        if not path.is_file():
            raise damaged(path, "is missing")
        if size is not None and path.stat().st_size != size:
            raise damaged(path, f"has {path.stat().st_size} bytes instead of {size}")
    _allow_open_files(len(manifest.train.shards) + len(manifest.val.shards))
    return Store(folder, manifest)


def read_manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError(f"{folder}: no store there; run `replicate prepare --profile {folder.absolute().parent.name}`")
    return files.parse(Manifest, files.read_json(path), str(path))


def expected(manifest: Manifest, splits: tuple[str, ...] = ("train", "val")) -> dict[str, tuple[int | None, str]]:
    """File → (bytes, SHA-256) of these splits and of the mean; the manifest does not say how long the lists are."""
    found: dict[str, tuple[int | None, str]] = {}
    for name in splits:
        split = manifest.split(name)
        found[f"{name}.csv"] = None, split.list_sha256
        found |= {s.file: (HEADER_BYTES + s.pictures * manifest.side**2 * 3, s.sha256) for s in split.shards}
    return found | {"mean.npy": (HEADER_BYTES + manifest.side**2 * 12, manifest.mean_sha256)}


def verify(store: Store, splits: tuple[str, ...] = ("train", "val")) -> None:
    """Reads every file of these splits, and the mean, and compares hashes; UserError names the first altered one."""
    wanted = expected(store.manifest, splits)
    for file, (_, sha256) in tqdm(wanted.items(), desc="check the store", unit=" files", leave=False, disable=None):
        path = store.folder / file
        if not path.is_file():
            raise damaged(path, "is missing")
        if files.sha256(path) != sha256:
            raise damaged(path, "is altered")


def damaged(path: Path, how: str) -> UserError:
    """The error for a file of the store `data/<profile>/store`."""
    command = f"replicate prepare --profile {path.parent.absolute().parent.name}"
    return UserError(f"{path} {how}; run `{command}`, which rebuilds just that file")


def load_array(path: Path, mapped: bool = False) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TokenError):  # a header that is none raises what Python's reader of it does
        raise damaged(path, "is altered") from None
    return array


def read_list(path: Path) -> Iterator[tuple[str, int]]:
    """Name and class index of every line of a split's CSV."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            if next(rows, None) != ["file", "class"]:
                raise ValueError
            for name, label in rows:
                yield name, int(label)
    except (ValueError, csv.Error):
        raise damaged(path, "is altered") from None


def list_text(rows: list[tuple[str, int]]) -> str:
    """The CSV of a split."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "class"))
    writer.writerows(rows)
    return text.getvalue()


def _allow_open_files(count: int) -> None:
    """A memory-mapped file stays open, and ImageNet has some 1,300 shards, more than many systems' soft limit."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
