"""How fast pictures are read, summed and fed here, side by side with the obvious ways: `replicate bench data`."""

import tarfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

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
from replicate.pictures import shards
from replicate.pictures.crops import Reading
from replicate.pictures.decode import BrokenPicture, decode, read_header
from replicate.pictures.listing import SUFFIXES, Place
from replicate.pictures.shards import Job
from replicate.pictures.sums import moments, sum_of_pictures
from replicate.randomness import generator
from replicate.settings import Pictures, Profile, Settings
from replicate.training.update import PaperSGD

Decoder = Callable[[bytes], np.ndarray]


@dataclass(frozen=True)
class Line:
    """`ratio`: how many times as fast as `against` `what` is, or how many times its time it takes, as `of` says; the median
    over rounds of ratios within a round, `low` and `high` the extremes. `met`: whether all rounds reach the `target`, none,
    or some (then it lies within the spread). `rate` is of `what`, in `unit` a second."""

    what: str
    against: str
    of: str
    ratio: float
    low: float
    high: float
    target: str
    met: str
    rate: float
    unit: str


def bench(profile: Profile, pictures: Path, most: int, rounds: int) -> tuple[list[Line], dict[str, float]]:
    """All lines, and by how many grey levels our pictures differ from Pillow's (`mean` of all, `worst` picture, `most` of a
    pixel). Sides, filter, batch and network are those of the profile's baseline."""
    found, made = _photographs(pictures, most), profile.settings.pictures
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ours = partial(decode, side=made.side, filter=made.filter)
    theirs = partial(_by_torchvision, _standard(made))
    stored = np.stack([ours(one) for one in found])
    lines = [
        *_decoding(found, ours, theirs, rounds), *_processes(found, made, rounds), *_preparing(found, made, stored, rounds),
        *_sums(stored, rounds),
    ]  # fmt: skip
    torch.set_num_threads(threads)
    each = [np.abs(theirs(one).astype(int) - picture) for one, picture in zip(found, stored, strict=True)]
    off = {"mean": float(np.mean(each)), "worst": max(float(e.mean()) for e in each), "most": float(max(e.max() for e in each))}
    return lines + _feeding(profile.settings, stored, rounds), off


def _standard(made: Pictures) -> transforms.Compose:
    mode = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}[made.filter]
    return transforms.Compose([transforms.Resize(made.side, mode), transforms.CenterCrop(made.side)])


def _by_torchvision(standard: transforms.Compose, data: bytes) -> np.ndarray:
    return np.asarray(standard(Image.open(BytesIO(data)).convert("RGB")))


def _photographs(path: Path, most: int) -> list[bytes]:
    """Up to `most` JPEGs of a folder or a tar, in order of name; no greyscale or CMYK ones, which other ways read otherwise,
    and none that cannot be read."""
    if path.is_dir():
        files = (file.read_bytes() for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file())
    else:
        try:
            with tarfile.open(path) as archive:
                members = sorted((m for m in archive if m.isfile() and Path(m.name).suffix.lower() in SUFFIXES), key=lambda m: m.name)
                files = iter([archive.extractfile(member).read() for member in members])
        except tarfile.TarError as error:
            raise UserError(f"{path}: neither a folder nor a tar of pictures ({error})") from None

    def colour(data: bytes) -> bool:
        try:
            header = read_header(data)
            decode(data, 16, "bilinear")
        except BrokenPicture:
            return False
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


def _line(
    seconds: dict[str, list[float]], what: str, against: str, count: float, unit: str, *, least: float = 0, most: float = 0
) -> Line:
    """With the target `least`, of how many times as fast, or `most`, of how many times the time."""
    pairs = list(zip(seconds[what], seconds[against], strict=True))
    if most:
        ratios, of, target = [a / b for a, b in pairs], "time", f"at most {most:g}"
        reached = [ratio <= most for ratio in ratios]
    else:
        ratios, of, target = [b / a for a, b in pairs], "speed", f"at least {least:g}"
        reached = [ratio >= least for ratio in ratios]
    met = "yes" if all(reached) else "within its spread" if any(reached) else "no"
    return Line(what, against, of, median(ratios), min(ratios), max(ratios), target, met, count / median(seconds[what]), unit)


def _decoding(found: list[bytes], ours: Decoder, theirs: Decoder, rounds: int) -> list[Line]:
    """Processor seconds of one process with one thread."""
    ways = {
        "decode, resize, crop": partial(_each, ours, found),
        "torchvision's Resize and CenterCrop on Pillow": partial(_each, theirs, found),
        "libjpeg-turbo's decoding alone": partial(_each, partial(simplejpeg.decode_jpeg, colorspace="RGB"), found),
    }
    seconds = _timed(ways, rounds, time.process_time, "decoding")
    what, torchvision, decoding = ways
    return [
        _line(seconds, what, torchvision, len(found), "pictures", least=1.85),
        _line(seconds, what, decoding, len(found), "pictures", least=0.7),
    ]


def _each(decoder: Decoder, found: list[bytes]) -> None:
    """Drops each picture at once, as a shard's builder does: kept ones would add to the time the faults of their fresh memory,
    most of it to the way whose pictures are the largest."""
    deque(map(decoder, found), maxlen=0)


def _processes(found: list[bytes], made: Pictures, rounds: int) -> list[Line]:
    """Seconds by the clock, of two processes against one."""
    two, one = "decode in 2 processes", "in 1 process"
    context = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=_take, initargs=(found, made, context.Barrier(2))) as pool:
        list(pool.map(_begin, range(2)))
        ways = {two: lambda: list(pool.map(_decode_part, (0, 1), (2, 2))), one: lambda: pool.submit(_decode_part, 0, 1).result()}
        seconds = _timed(ways, rounds, time.perf_counter, "processes")
    return [_line(seconds, two, one, len(found), "pictures", least=1.75)]


def _take(found: list[bytes], made: Pictures, barrier) -> None:
    """Gives a process its pictures beforehand."""
    global _work
    _work = found, made, barrier


def _begin(_: int) -> None:
    """Both processes, not one of them twice, decode a picture: what compiles or is read from disk comes before the timing."""
    found, made, barrier = _work
    decode(found[0], made.side, made.filter)
    barrier.wait(120)


def _decode_part(first: int, of: int) -> int:
    found, made, _ = _work
    return sum(int(decode(one, made.side, made.filter)[0, 0, 0]) for one in found[first::of])


def _preparing(found: list[bytes], made: Pictures, stored: np.ndarray, rounds: int) -> list[Line]:
    """Processor seconds of one thread: a shard made from files, with the sums that mean and PCA are computed from. Making it
    sums for the mean; what that takes is timed apart, and so are the PCA's sums."""
    with TemporaryDirectory() as folder:
        names = [f"{number}.jpeg" for number in range(len(found))]
        for name, data in zip(names, found, strict=True):
            Path(folder, name).write_bytes(data)
        places = [Place(name, None, -1) for name in names]
        job = Job("train", Path(folder, "train-00000.npy"), Path(folder), names, places, False, made.side, made.filter, None)
        ways = {"shard": partial(shards.build, job), "mean": partial(sum_of_pictures, stored), "pca": partial(moments, stored)}
        timed = _timed(ways, rounds, time.process_time, "preparing")
    what, against = "prepare with the sums for mean and PCA", "without them"
    each = list(zip(*timed.values(), strict=True))
    seconds = {what: [shard + pca for shard, _, pca in each], against: [shard - mean for shard, mean, _ in each]}
    return [_line(seconds, what, against, len(found), "pictures", most=1.15)]


def _sums(stored: np.ndarray, rounds: int) -> list[Line]:
    """Processor seconds of one thread; NumPy's sum of the same bytes is the yardstick."""
    ways = {
        "sum of the pictures": partial(sum_of_pictures, stored),
        "sums of products of channels": partial(moments, stored),
        "NumPy's sum of the bytes": partial(np.add.reduce, stored.reshape(-1), dtype=np.uint64),
    }
    seconds = _timed(ways, max(rounds, 7), time.process_time, "sums")
    mean, products, yard = ways
    return [
        _line(seconds, mean, yard, stored.nbytes / 1e9, "GB", most=0.35),
        _line(seconds, products, yard, stored.nbytes / 1e9, "GB", most=1.9),
    ]


def _feeding(settings: Settings, stored: np.ndarray, rounds: int) -> list[Line]:
    """Seconds by the clock of a batch, with all threads, against a plain loop and against the training step that it feeds."""
    training = settings.trainings[settings.groups()[settings.baseline][0]]
    recipe, side = settings.recipe_of(training.run), stored.shape[1]
    net = initialise(build(training.network, side=recipe.crop), seed=1).to(memory_format=torch.channels_last).train()
    prepare_cpu(net, recipe.batch_size)
    reading = Reading.of(net.description.input, stored.mean(0, dtype=np.float64).astype(np.float32))
    batch = stored[np.arange(recipe.batch_size) % len(stored)]
    random, offsets = generator(1, "bench"), side - net.side + 1
    rows, columns = random.integers(0, offsets, (2, len(batch)))
    mirrored, shift = random.integers(0, 2, len(batch)).astype(bool), random.normal(0, 10, (len(batch), 3)).astype(np.float32)
    optimizer = PaperSGD(net.parameters(), recipe.learning_rate, recipe.momentum, recipe.weight_decay)
    cut, labels = partial(reading.cut, batch, rows, columns, mirrored, net.side, shift), torch.arange(len(batch)) % net.classes
    x = torch.from_numpy(cut()).permute(0, 3, 1, 2)

    def loop() -> np.ndarray:
        out = np.empty((len(batch), 3, net.side, net.side), np.float32)
        for i in range(len(batch)):
            window = np.s_[rows[i] : rows[i] + net.side, columns[i] : columns[i] + net.side]
            picture = batch[i][window].astype(np.float32) - reading.mean[window] + shift[i]
            out[i] = (picture[:, ::-1] if mirrored[i] else picture).transpose(2, 0, 1)
        return out

    def step() -> None:
        loss = F.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    feed, plain, learn = f"a batch of {len(batch)} crops of {net.side}", "a NumPy loop over its pictures", "its float32 training step"
    seconds = _timed({feed: cut, plain: loop}, max(rounds, 7), time.perf_counter, "batches")
    lines = [_line(seconds, feed, plain, len(batch), "pictures", least=4)]
    seconds = _timed({feed: cut, learn: step}, rounds, time.perf_counter, "training steps")
    return [*lines, _line(seconds, feed, learn, len(batch), "pictures", least=20)]
