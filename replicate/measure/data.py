"""How fast pictures are read, summed and fed here, side by side with the obvious ways: `replicate bench data`."""

import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import transforms
from tqdm import tqdm

from replicate.errors import UserError
from replicate.modules import build, initialise
from replicate.modules.cpu import prepare_cpu
from replicate.pictures.crops import Reading
from replicate.pictures.decode import decode, read_header
from replicate.pictures.shards import one_thread
from replicate.pictures.listing import SUFFIXES
from replicate.pictures.sums import moments, sum_of_pictures
from replicate.randomness import generator
from replicate.training.update import PaperSGD

SIDE, FILTER, BATCH, NETWORK = 256, "bilinear", 128, "paper"


@dataclass(frozen=True)
class Line:
    """`ratio` is how many times as fast as `against` `what` is: the median over rounds of ratios within a round; `low` and
    `high` the extremes. `rate` is of `what`, in `unit` a second."""

    what: str
    against: str
    ratio: float
    low: float
    high: float
    rate: float
    unit: str


def bench(pictures: Path, most: int, rounds: int) -> tuple[list[Line], dict[str, float]]:
    """All lines, and by how many grey levels our pictures differ from Pillow's (`mean` of all, `worst` picture, `most` of a pixel)."""
    found = _photographs(pictures, most)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    stored = np.stack([decode(one, SIDE, FILTER) for one in found])
    lines = _decoding(found, rounds) + _processes(found, rounds) + _sums(stored, rounds)
    torch.set_num_threads(threads)
    return lines + _feeding(stored, rounds), _differences(found, stored)


def _photographs(path: Path, most: int) -> list[bytes]:
    """Up to `most` JPEGs of a folder or a tar, in order of name; no greyscale or CMYK ones, which other ways read otherwise."""
    if path.is_dir():
        files = (file.read_bytes() for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES)
    else:
        try:
            with tarfile.open(path) as archive:
                members = sorted((m for m in archive if m.isfile() and Path(m.name).suffix.lower() in SUFFIXES), key=lambda m: m.name)
                files = iter([archive.extractfile(member).read() for member in members])
        except tarfile.TarError as error:
            raise UserError(f"{path}: neither a folder nor a tar of pictures ({error})") from None

    def colour(data: bytes) -> bool:
        header = read_header(data)
        return header.jpeg and not header.grey and not header.cmyk

    found = list(islice(filter(colour, files), most))
    if len(found) < 10:
        raise UserError(f"{path}: {len(found)} colour JPEGs in it; at least 10 are needed to time anything")
    return found


def _timed(ways: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float], what: str) -> dict[str, list[float]]:
    """Seconds of each way in each round; rounds are interleaved, so that what else the machine does hits all alike."""
    for way in ways.values():
        way()  # compiles, and fills caches
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds), desc=what, unit=" rounds", leave=False, disable=None):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name].append(clock() - start)
    return seconds


def _line(seconds: dict[str, list[float]], what: str, against: str, count: float, unit: str) -> Line:
    ratios = [b / a for a, b in zip(seconds[what], seconds[against], strict=True)]
    return Line(what, against, median(ratios), min(ratios), max(ratios), count / median(seconds[what]), unit)


def _decoding(found: list[bytes], rounds: int) -> list[Line]:
    """Processor seconds of one process with one thread."""
    ours, theirs, bare = "decode, resize, crop", "torchvision's Resize and CenterCrop on Pillow", "libjpeg-turbo's decoding alone"
    standard = transforms.Compose([transforms.Resize(SIDE), transforms.CenterCrop(SIDE)])
    ways = {
        ours: lambda: [decode(one, SIDE, FILTER) for one in found],
        theirs: lambda: [np.asarray(standard(Image.open(BytesIO(one)).convert("RGB"))) for one in found],
        bare: lambda: [simplejpeg.decode_jpeg(one, "RGB") for one in found],
    }
    seconds = _timed(ways, rounds, time.process_time, "decoding")
    return [_line(seconds, ours, other, len(found), "pictures") for other in (theirs, bare)]


def _processes(found: list[bytes], rounds: int) -> list[Line]:
    """Seconds by the clock, of two processes against one."""
    two, one = "decode in 2 processes", "in 1 process"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=_take, initargs=(found,)) as pool:
        ways = {two: lambda: list(pool.map(_decode_part, (0, 1), (2, 2))), one: lambda: pool.submit(_decode_part, 0, 1).result()}
        seconds = _timed(ways, rounds, time.perf_counter, "processes")
    return [_line(seconds, two, one, len(found), "pictures")]


def _take(found: list[bytes]) -> None:
    """Gives a process its pictures beforehand."""
    global _pictures
    _pictures = found
    one_thread()


def _decode_part(first: int, of: int) -> int:
    return sum(int(decode(one, SIDE, FILTER)[0, 0, 0]) for one in _pictures[first::of])


def _sums(stored: np.ndarray, rounds: int) -> list[Line]:
    """Processor seconds of one thread; NumPy's sum of the same bytes is the yardstick."""
    yard = "NumPy's sum of the bytes"
    ways = {
        "sum of the pictures": partial(sum_of_pictures, stored),
        "sums of products of channels": partial(moments, stored),
        yard: partial(np.add.reduce, stored.reshape(-1), dtype=np.uint64),
    }
    seconds = _timed(ways, max(rounds, 7), time.process_time, "sums")
    return [_line(seconds, what, yard, stored.nbytes / 1e9, "GB") for what in ways if what != yard]


def _feeding(stored: np.ndarray, rounds: int) -> list[Line]:
    """Seconds by the clock of a batch, with all threads, against a plain loop and against the training step that it feeds."""
    net = initialise(build(NETWORK), seed=1).to(memory_format=torch.channels_last).train()
    prepare_cpu(net, BATCH)
    reading = Reading.of(net.description.input, stored.mean(0, dtype=np.float64).astype(np.float32))
    batch = stored[np.arange(BATCH) % len(stored)]
    random, offsets = generator(1, "bench"), SIDE - net.side + 1
    rows, columns = random.integers(0, offsets, (2, BATCH))
    mirrored, shift = random.integers(0, 2, BATCH).astype(bool), random.normal(0, 10, (BATCH, 3)).astype(np.float32)
    optimizer, labels = PaperSGD(net.parameters(), 1e-4, 0.9, 5e-4), torch.arange(BATCH)
    cut = partial(reading.cut, batch, rows, columns, mirrored, net.side, shift)
    x = torch.from_numpy(cut()).permute(0, 3, 1, 2)

    def loop() -> np.ndarray:
        out = np.empty((BATCH, 3, net.side, net.side), np.float32)
        for i in range(BATCH):
            window = np.s_[rows[i] : rows[i] + net.side, columns[i] : columns[i] + net.side]
            picture = batch[i][window].astype(np.float32) - reading.mean[window] + shift[i]
            out[i] = (picture[:, ::-1] if mirrored[i] else picture).transpose(2, 0, 1)
        return out

    def step() -> None:
        loss = F.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    feed, plain, training = f"a batch of {BATCH} crops of {net.side}", "a NumPy loop over its pictures", "its float32 training step"
    seconds = _timed({feed: cut, plain: loop}, max(rounds, 7), time.perf_counter, "batches")
    lines = [_line(seconds, feed, plain, BATCH, "pictures")]
    seconds = _timed({feed: cut, training: step}, rounds, time.perf_counter, "training steps")
    return [*lines, _line(seconds, feed, training, BATCH, "pictures")]


def _differences(found: list[bytes], stored: np.ndarray) -> dict[str, float]:
    """Of our pictures from Pillow's own resize with the same filter, in grey levels."""
    standard = transforms.Compose([transforms.Resize(SIDE), transforms.CenterCrop(SIDE)])
    each = [
        np.abs(np.asarray(standard(Image.open(BytesIO(one)).convert("RGB"))).astype(int) - ours)
        for one, ours in zip(found, stored, strict=True)
    ]
    return {"mean": float(np.mean(each)), "worst": max(float(one.mean()) for one in each), "most": float(max(one.max() for one in each))}
