"""Building one shard of the store: decode its pictures, or keep the file if it is what it should be."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from replicate import files
from replicate.pictures.decode import BrokenPicture, Filter, Header, decode, read_header
from replicate.pictures.store import HEADER_BYTES, LeftOut, Shard
from replicate.pictures.sums import sum_of_pictures


class Job(NamedTuple):
    """One shard to build: which pictures, and what is known of it from a run before."""

    split: str
    path: Path
    source: Path
    names: list[str]
    side: int
    filter: Filter
    known: Shard | None


class Built(NamedTuple):
    """A shard, and the exact sum of its pictures: int64 (side, side, 3)."""

    job: Job
    shard: Shard
    sums: np.ndarray


def one_thread() -> None:
    """For processes of which there is one per core."""
    torch.set_num_threads(1)


def build(job: Job, tick: Callable[[int], object] = lambda pictures: None) -> Built:
    """Writes the shard (atomically) unless the file has the known hash; `tick` is told of pictures done.

    A shard that left pictures out is made again: they may have been repaired.
    """
    if job.known and not job.known.left_out and job.path.is_file() and files.sha256(job.path) == job.known.sha256:
        tick(len(job.names))
        return Built(job, job.known, sum_of_pictures(np.load(job.path, allow_pickle=False)))
    pictures = np.empty((len(job.names), job.side, job.side, 3), dtype=np.uint8)
    headers: list[Header] = []
    left_out = []
    for name in job.names:
        try:
            data = _read(job.source / name)
            header = read_header(data)
            pictures[len(headers)] = decode(data, job.side, job.filter)
            headers.append(header)
        except BrokenPicture as broken:
            left_out.append(LeftOut(file=name, reason=str(broken)))
        tick(1)
    pictures = pictures[: len(headers)]
    with files.atomic(job.path) as temporary:
        np.save(temporary, pictures)
        assert temporary.stat().st_size == HEADER_BYTES + pictures.nbytes
        sha256 = files.sha256(temporary)
    shard = Shard(
        file=job.path.name,
        pictures=len(headers),
        sha256=sha256,
        greyscale=sum(header.grey for header in headers),
        cmyk=sum(header.cmyk for header in headers),
        not_jpeg=sum(not header.jpeg for header in headers),
        exif_rotated=sum(header.rotated for header in headers),
        left_out=left_out,
    )
    return Built(job, shard, sum_of_pictures(pictures))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenPicture(f"cannot be opened: {error.strerror}") from None
