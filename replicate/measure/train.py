"""How fast a network is trained here, side by side with the obvious ways, and what takes the time: `replicate bench train`."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import alexnet
from tqdm import tqdm

from replicate import machine
from replicate.measure.plain import plain
from replicate.measure.shares import feeding, shares
from replicate.measure.trial import InMemory, endless
from replicate.modules import Net, build, initialise
from replicate.modules.cpu import prepare_cpu
from replicate.networks import Network, count, load
from replicate.pictures.crops import Reading
from replicate.settings import Profile, Recipe
from replicate.training.feed import Feed
from replicate.training.loop import update
from replicate.training.update import PaperSGD

RATE = 1e-6  # learning rate: steps on random pictures are timed, not learned from, so the weights stay where they are
SETTLING = 10  # steps of each precision before its parts are timed: many of the first ask the system for memory
PROFILED = 9  # steps of each precision whose parts are timed
LARGEST = 4096  # side of the matrices whose product is timed

OURS, PLAIN, NEWCOMER = "ours", "plain", "plain, as a newcomer starts it"
THEIRS, COMPILED, FEED, PRODUCT = "torchvision's alexnet", "torchvision's alexnet, compiled", "data alone", "one product of matrices"
Way = tuple[str, str]  # what, in which precision


@dataclass(frozen=True)
class Case:
    """What is trained. `margin`: by how many pixels a stored picture is larger than the crops of `recipe.crop`."""

    network: Network
    recipe: Recipe
    classes: int
    margin: int

    @classmethod
    def of(cls, profile: Profile, batch: int | None, side: int | None, classes: int | None) -> "Case":
        """The profile's baseline, with what is given in place of its own."""
        training = profile.settings.trainings[profile.settings.groups()[profile.settings.baseline][0]]
        recipe, network = profile.settings.recipe_of(training.run), load(training.network)
        margin = profile.settings.pictures.side - recipe.crop
        own = {"crop": side or recipe.crop, "batch_size": batch or recipe.batch_size, "learning_rate": RATE}
        return cls(network, recipe.model_copy(update=own), classes or network.classes, margin)

    @property
    def batch(self) -> int:
        return self.recipe.batch_size

    @property
    def flops(self) -> int:
        """Useful work of a step: forward, gradients of weights and of inputs; the first layer's input needs none."""
        macs = [row.macs for row in count(self.network, self.recipe.crop, self.classes) if row.learned]
        return 2 * self.batch * (3 * sum(macs) - macs[0])


@dataclass(frozen=True)
class Bench:
    """`seconds` of every way in each round; `parts`: by precision, percent of our step; `side`: of the matrices multiplied."""

    case: Case
    device: torch.device
    units: str
    threads: int
    seconds: dict[Way, list[float]]
    parts: dict[str, dict[str, float]]
    side: int

    @property
    def hardware(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name()
        return f"{machine.name()}, {torch.backends.cpu.get_cpu_capability()}, bfloat16 by {self.units or 'nothing'}"

    @property
    def products(self) -> dict[str, float]:
        """FLOP a second of one product of matrices, by precision."""
        return {precision: 2 * self.side**3 / median(self.seconds[PRODUCT, precision]) for precision in self.parts}

    def rates(self, way: Way) -> list[float]:
        """Pictures a second, round by round."""
        return [self.case.batch / seconds for seconds in self.seconds[way]]

    def times(self, way: Way, against: Way) -> list[float]:
        """How many times as fast as `against` it is, round by round."""
        return [b / a for a, b in zip(self.seconds[way], self.seconds[against], strict=True)]

    def fraction(self, what: str, precision: str) -> float:
        """The rate over a step's useful work, as a share of the rate of the product of matrices in this precision."""
        return median(self.times((what, precision), (PRODUCT, precision))) * self.case.flops / (2 * self.side**3)

    def rows(self) -> list[dict[str, str | float | None]]:
        """Every way of making steps, and the feed, which makes none and has no ratio; the useful work is that of our network."""
        found = []
        for what, precision in self.seconds:
            if what != PRODUCT:
                rates, times = self.rates((what, precision)), self.times((what, precision), (PLAIN, "float32"))
                row = {"what": what, "precision": precision, "rate": median(rates), "low": min(rates), "high": max(rates)}
                own = what in (OURS, PLAIN, NEWCOMER)
                row["times"] = median(times) if what != FEED else None
                row["fraction"] = 100 * self.fraction(what, precision) if own else None
                found.append(row)
        return found


def matrix_units(device: torch.device) -> str:
    """What multiplies bfloat16 matrices here: `AMX`, `AVX512-BF16`, `tensor cores`; empty if nothing does."""
    if device.type == "cuda":
        return "tensor cores" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "AMX" if "amx_bf16" in flags else "AVX512-BF16" if "avx512_bf16" in flags else ""


def bench(case: Case, rounds: int) -> Bench:
    """Whole steps of every way on random pictures in memory, in interleaved rounds; then the parts of ours."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = initialise(build(case.network.name, case.classes, case.recipe.crop), seed=1)
    net = net.to(device, memory_format=torch.channels_last).train()
    net.set_dropout_key(1, 0)
    units = matrix_units(device)
    precisions = ["float32", "bfloat16"] if units else ["float32"]
    learner, batches = PaperSGD.of(case.recipe, net.named_parameters()), _batches(case, net)
    with ExitStack() as held:
        if device.type == "cpu":
            newcomer = held.enter_context(_newcomer(case))
            prepare_cpu(net, case.batch)
        pictures, labels = next(batches)
        labels = labels.to(device)
        side = _side(case.flops)
        ways: dict[Way, Callable[[], object]] = {}
        for precision in precisions:
            ways[OURS, precision] = partial(update, net, learner, pictures, labels, precision)
        own = plain(case.network, case.classes, case.recipe.crop)
        own.load_state_dict(net.state_dict())
        ways[PLAIN, "float32"] = _step(own.to(device), case, pictures, labels)
        if device.type == "cpu":
            ways[NEWCOMER, "float32"] = newcomer
        theirs = alexnet(num_classes=case.classes).to(device)
        for precision in precisions:
            ways[THEIRS, precision] = _step(theirs, case, pictures, labels, precision)
            if device.type == "cuda":
                ways[COMPILED, precision] = _step(torch.compile(theirs), case, pictures, labels, precision)
        ways[FEED, "float32"] = lambda: next(batches)
        for precision in precisions:
            ways[PRODUCT, precision] = _product(side, getattr(torch, precision), device)
        seconds = _timed(ways, rounds, device)

    def step(precision: str) -> None:
        with feeding():
            pictures, labels = next(batches)
        update(net, learner, pictures, labels, precision)

    parts = {}
    for precision in precisions:
        for _ in tqdm(range(SETTLING), desc=f"{precision}: until memory has settled", leave=False, disable=None):
            step(precision)
        parts[precision] = shares(net, partial(step, precision), PROFILED)
    return Bench(case, device, units, torch.get_num_threads(), seconds, parts, side)


def _timed(ways: dict[Way, Callable[[], object]], rounds: int, device: torch.device) -> dict[Way, list[float]]:
    """Seconds of each way in each round; rounds are interleaved, so that what else the machine does hits all alike."""
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    with tqdm(total=(rounds + 1) * len(ways), desc="training steps", leave=False, disable=None) as bar:
        for number in range(rounds + 1):
            for way, call in ways.items():
                start = time.perf_counter()
                call()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                if number:  # the first compiles, and fills caches
                    seconds[way].append(time.perf_counter() - start)
                bar.update()
    return seconds


def _batches(case: Case, net: Net) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches as a training gets them, of random pictures, without end."""
    some = InMemory(case.recipe, case.recipe.crop + case.margin)
    feed = Feed(case.recipe, net, some, Reading.of(net.description.input, some.mean), some.pca, seed=1)
    return ((pictures, labels) for _, pictures, labels in endless(feed))


def _step(net: nn.Module, case: Case, pictures: Tensor, labels: Tensor, precision: str = "float32") -> Callable[[], object]:
    """A step as torch's tutorials write it, on a batch in torch's usual memory layout."""
    recipe = case.recipe
    sgd = torch.optim.SGD(net.train().parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay)
    pictures = pictures.float().contiguous()

    def step() -> float:
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(net(pictures), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        return loss.item()

    return step


def _side(flops: int) -> int:
    """Of matrices whose product takes no longer than a step: a power of two."""
    side = LARGEST
    while 2 * side**3 > flops:
        side //= 2
    return side


def _product(side: int, dtype: torch.dtype, device: torch.device) -> Callable[[], object]:
    a, b, out = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(3))
    return partial(torch.mm, a, b, out=out)


@contextmanager
def _newcomer(case: Case) -> Iterator[Callable[[], object]]:
    """A plain step in a process of its own, which has none of our settings: memory and threads are as torch finds them."""
    waits = os.environ.pop("OMP_WAIT_POLICY", None)
    try:
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin_newcomer, initargs=(case,))
        pool.submit(int).result()  # the process has begun, and has its environment
    finally:
        if waits is not None:
            os.environ["OMP_WAIT_POLICY"] = waits
    with pool:
        yield lambda: pool.submit(_newcomers_step).result()


def _begin_newcomer(case: Case) -> None:
    global _newcomers_step_here
    pictures = 50 * torch.randn(case.batch, 3, case.recipe.crop, case.recipe.crop)
    net = plain(case.network, case.classes, case.recipe.crop)
    _newcomers_step_here = _step(net, case, pictures, torch.arange(case.batch) % case.classes)


def _newcomers_step() -> None:
    _newcomers_step_here()
