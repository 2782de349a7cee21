"""A few steps of a training, of its checks and of its evaluation, in a process of its own like a real one: what `plan` reckons with."""

import hashlib
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numba.core.dispatcher import Dispatcher

from replicate.errors import UserError
from replicate.evaluation.predict import PICTURES_AT_ONCE, probabilities
from replicate.measure.stages import seconds
from replicate.modules import Net, build, initialise, weights
from replicate.modules.cpu import prepare_cpu, set_threads
from replicate.pictures import pca as components
from replicate.pictures.crops import Reading
from replicate.pictures.store import open_store
from replicate.pictures.sums import moments
from replicate.randomness import generator
from replicate.settings import Profile, Recipe
from replicate.training import augment
from replicate.training.checkpoint import Keeper
from replicate.training.feed import Feed
from replicate.training.loop import update
from replicate.training.update import PaperSGD

FEWEST, SECONDS = 4, 1.5  # steps that are timed: so many, or for so long
BATCHES = 4  # of random pictures, where there is no store
HASHED = 2**26  # bytes whose hash is timed


class InMemory:
    """What a feed reads, without a store: random pictures, which are as good as any to time."""

    def __init__(self, recipe: Recipe, side: int):
        learning = BATCHES * recipe.batch_size
        pictures = learning + 2 + 2 * round(learning * recipe.held_out / (1 - recipe.held_out))
        self.pictures = generator(0, "pictures").integers(0, 256, (pictures, side, side, 3), dtype=np.uint8)
        self.labels = np.arange(pictures) % 2
        self.mean = self.pictures.mean(0, dtype=np.float64).astype(np.float32)
        self.pca = components.from_sums("random", self.pictures.size // 3, *moments(self.pictures))

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: np.ndarray) -> np.ndarray:
        return self.pictures[indices]


@dataclass(frozen=True)
class Trial:
    """What one process measured, in seconds:

    set_up      the network, its first weights, the feed
    first       by how much the first update took longer than the later ones
    steps       each later update, from asking for its batch on
    draw        to draw an epoch's crops, reflections and colours
    held_out    a held-out picture
    checkpoint  to write one; weights: to write the weights
    evaluate    a picture, ten views
    sha256, md5 a byte
    """

    set_up: float
    first: float
    steps: list[float]
    draw: float
    held_out: float
    checkpoint: float
    weights: float
    evaluate: float
    sha256: float
    md5: float
    memory: int  # bytes: the most that the process had in training, a checkpoint's copy included
    gpu_memory: int  # bytes: the most that its tensors took on a GPU
    compiled: bool  # kernels, which later processes find on the disk
    device: str
    threads: int
    pictures: str  # those of the store, or random ones

    @property
    def step(self) -> float:
        return mean(self.steps)


def tried(profile: Profile, training: str, pictures: int, classes: int) -> Trial:
    """A trial of `training` in a process of its own. `pictures`: of the training set; 0 if nobody knows how many."""
    context = get_context("forkserver")  # which imports everything once; what a real process takes for that is timed elsewhere
    context.set_forkserver_preload([__name__])
    for _ in range(2):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found = pool.submit(trial, profile, training, pictures, classes).result()
        if not found.compiled:
            break
    return found


def trial(profile: Profile, name: str, pictures: int, classes: int) -> Trial:
    """What this process measures. Follows `training.loop` and `evaluation.predict`."""
    training = profile.training(name)
    recipe = profile.settings.recipe_of(training.run)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = torch.get_num_threads()
    split, mean_image, pca, whose = _pictures(profile, recipe)

    start = time.perf_counter()
    net = initialise(build(training.network, classes, recipe.crop), training.seed).to(device, memory_format=torch.channels_last)
    prepare_cpu(net, recipe.batch_size)
    reading = Reading.of(net.description.input, mean_image)
    feed = Feed(recipe, net, split, reading, pca, training.seed)
    optimizer = PaperSGD.of(recipe, net.named_parameters())
    set_up = time.perf_counter() - start

    first, *steps = _steps(feed, net, optimizer)
    draw = seconds(lambda: augment.draw(recipe, pca, pictures, mean_image.shape[0], training.seed, 0))
    some = np.arange(2 * recipe.batch_size) % len(split)
    held_out = seconds(lambda: _check(feed, net, some)) / len(some)
    checkpoint, written = _writing(profile.state, net, optimizer)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu_memory, used = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0, torch.get_num_threads()

    set_threads(threads)
    prepare_cpu(net, PICTURES_AT_ONCE)
    seen = split.take(np.arange(PICTURES_AT_ONCE) % len(split))
    evaluate = seconds(lambda: probabilities(net, reading, seen)) / len(seen)
    sha256, md5 = (seconds(lambda kind=kind: hashlib.new(kind, bytes(HASHED))) / HASHED for kind in ("sha256", "md5"))
    return Trial(
        set_up=set_up, first=max(0.0, first - mean(steps)), steps=steps, draw=draw, held_out=held_out, checkpoint=checkpoint,
        weights=written, evaluate=evaluate, sha256=sha256, md5=md5, memory=memory, gpu_memory=gpu_memory, compiled=_compiled(),
        device=str(device), threads=used, pictures=whose,
    )  # fmt: skip


def _compiled() -> bool:
    """Whether this process had to compile one of our kernels."""
    ours = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("replicate.")]
    return any(one.stats.cache_misses for names in ours for one in names.values() if isinstance(one, Dispatcher))


def _pictures(profile: Profile, recipe: Recipe) -> tuple:
    """The store's training pictures, their mean and PCA, or random ones of the same size; and which of the two."""
    side = profile.settings.pictures.side
    try:
        store, pca = open_store(profile.store), components.read(profile.pca)
    except UserError:
        store = None
    if store is None or store.side != side or len(store.train) < 2 * recipe.batch_size:
        random = InMemory(recipe, side)
        return random, random.mean, random.pca, "random pictures in memory"
    return store.train, store.mean, pca, "pictures of the store"


def _steps(feed: Feed, net: Net, optimizer: PaperSGD) -> list[float]:
    """Seconds of each update, the first included: at least FEWEST after it, or as many as go into SECONDS."""
    took: list[float] = []
    net.train()
    clock = time.perf_counter()
    for number, pictures, labels in endless(feed):
        net.set_dropout_key(feed.seed, number)
        update(net, optimizer, pictures, labels, feed.recipe.precision)
        now = time.perf_counter()
        took.append(now - clock)
        clock = now
        if len(took) > FEWEST and sum(took[1:]) > SECONDS:
            return took
    raise AssertionError("the feed has no end")


def endless(feed: Feed) -> Iterator[tuple]:
    """Batches as a training gets them, epoch after epoch."""
    epoch = 0
    while True:
        yield from feed.epoch(epoch, 0)
        epoch += 1


@torch.no_grad()
def _check(feed: Feed, net: Net, which: np.ndarray) -> None:
    net.eval()
    for pictures, _ in feed.centre(which):
        net(pictures).double().cpu()


def _writing(where: Path, net: Net, optimizer: PaperSGD) -> tuple[float, float]:
    """Seconds to write a checkpoint (not the first, which takes memory for its copy) and the weights, on the disk of `where`."""
    tensors = {f"weight/{key}": value for key, value in net.state_dict().items()}
    tensors |= {f"velocity/{key}": optimizer.state[p]["velocity"] for key, p in net.named_parameters()}
    where.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=where, prefix="plan-") as folder:
        keeper = Keeper(Path(folder), "", "plan")
        keeper.save(tensors, {}, wait=True)
        checkpoint = seconds(lambda: keeper.save(tensors, {}, wait=True))
        keeper.finished()
        return checkpoint, seconds(lambda: weights.save(Path(folder, "weights.safetensors"), net.state_dict(), {}))
