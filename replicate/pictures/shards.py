"""Building one shard of the store: decode its pictures, or keep the file if it is what it should be."""

import dataclasses
import multiprocessing
import os
import stat
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from replicate import files
from replicate.pictures import cifar
from replicate.pictures.decode import BrokenPicture, Filter, Header, decode, read_header
from replicate.pictures.listing import Place
from replicate.pictures.store import HEADER_BYTES, LeftOut, Shard
from replicate.pictures.sums import sum_of_pictures

GZIP = b"\x1f\x8b"  # n02487347_1956.JPEG of ILSVRC-2010 is a JPEG compressed once more
LARGEST = 2**30  # bytes of a picture's file; uncompressed ones of the most pixels that are decoded have half of it


class Job(NamedTuple):
    """One shard to build: which pictures, where below `folder` they are, and what is known of it from a run before."""

    split: str
    path: Path
    folder: Path
    names: list[str]
    places: list[Place]
    raw: bool
    side: int
    filter: Filter
    known: Shard | None


class Built(NamedTuple):
    """A shard, and the exact sum of its pictures: int64 (side, side, 3)."""

    job: Job
    shard: Shard
    sums: np.ndarray


def begin_worker() -> None:
    """In a process of the pool: an end with its parent, which cannot tell it to go when it was killed."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def build(job: Job, tick: Callable[[int], object] = lambda pictures: None, threads: int = 1) -> Built:
    """Writes the shard (atomically) unless the file has the known hash; `tick` is told of pictures done.

    A shard that left pictures out is made again: they may have been repaired. Its bytes are the same for any number of
    threads.
    """
    if job.known and not job.known.left_out and job.path.is_file() and files.sha256(job.path) == job.known.sha256:
        tick(len(job.names))
        return Built(job, job.known, sum_of_pictures(np.load(job.path, allow_pickle=False)))
    pictures = np.empty((len(job.names), job.side, job.side, 3), dtype=np.uint8)
    headers: list[Header] = []
    left_out = []
    with _mapped(threads) as each:
        for name, found in zip(job.names, each(partial(_decoded, job), job.places), strict=True):
            if isinstance(found, BrokenPicture):
                left_out.append(LeftOut(file=name, reason=str(found)))
            else:
                pictures[len(headers)], header = found
                headers.append(header)
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


def read(folder: Path, place: Place) -> bytes:
    """The bytes of one picture, of a file or of a part of one. Raises BrokenPicture."""
    path = folder / place.file
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise BrokenPicture("no regular file")
        with open(path, "rb") as file:
            size = status.st_size if place.offset is None else place.size
            if size > LARGEST:
                raise BrokenPicture(f"too large: more than {LARGEST} bytes")
            file.seek(place.offset or 0)
            data = file.read(size)
    except OSError as error:
        raise BrokenPicture(f"cannot be opened: {error.strerror}") from None
    if len(data) < size:
        raise BrokenPicture("cut off by the end of its archive")
    return data


@contextmanager
def _mapped(threads: int) -> Iterator[Callable]:
    """`map`, by some threads: what decodes and resizes holds no lock of Python's. Results come in order."""
    if threads == 1:
        yield map
        return
    pool = ThreadPoolExecutor(threads)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the decoder silences Pillow a picture at a time, and that is not one thread's own
            yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded(job: Job, place: Place) -> tuple[np.ndarray, Header] | BrokenPicture:
    try:
        return _picture(job, read(job.folder, place))
    except BrokenPicture as broken:
        return broken


def _picture(job: Job, data: bytes) -> tuple[np.ndarray, Header]:
    if job.raw:
        return cifar.pixels(data), Header(jpeg=False, width=cifar.SIDE, height=cifar.SIDE, grey=False, cmyk=False, rotated=False)
    compressed = data.startswith(GZIP)
    if compressed:
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, LARGEST)
        except zlib.error:
            raise BrokenPicture("damaged") from None
    header = read_header(data)
    return decode(data, job.side, job.filter), dataclasses.replace(header, jpeg=header.jpeg and not compressed)
