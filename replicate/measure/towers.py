"""Two towers on two devices against one process: what crosses, counted while it does, and what it costs (section 3.2)."""

import time
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from tqdm import tqdm

from replicate import records
from replicate.modules import Net, towers
from replicate.modules.cpu import prepare_cpu, set_threads
from replicate.networks import load
from replicate.randomness import generator
from replicate.records import Received, Record, Towers
from replicate.settings import Profile, Recipe
from replicate.training.devices import Devices, joined
from replicate.training.loop import start, update
from replicate.training.update import PaperSGD

RECORD = Path("reports", "paper", "records", "towers.json")
WARM = 2  # steps that fill caches, not counted


def time_towers(profile: Profile, command: str, batch: int | None, side: int | None, rounds: int) -> Record | None:
    """Writes the record `towers`: in one of the processes that `replicate.training.launch` starts; process 0 returns it.

    Each round is a step of all devices, a thread for every tower, and one of process 0 alone with as many threads, while
    the others wait. On random pictures, in float32.
    """
    started = records.now()
    training = profile.settings.trainings[profile.settings.groups()[profile.settings.baseline][0]]
    recipe, network = profile.settings.recipe_of(training.run), load(training.network)
    recipe = recipe.model_copy(update={"batch_size": batch or recipe.batch_size, "crop": side or recipe.crop})
    with joined(network) as devices:
        count = dist.get_world_size() if devices.mesh else 1
        net = start(training, network.classes, recipe.crop, devices)
        alone = start(training, network.classes, recipe.crop, Devices(devices.device)) if devices.rank == 0 else None
        prepare_cpu(net, recipe.batch_size)
        together, one = Steps(net, recipe, devices), Steps(alone, recipe, Devices(devices.device)) if alone else None
        seconds: tuple[list[float], list[float]] = [], []
        for _ in tqdm(range(WARM + rounds), disable=None if devices.rank == 0 else True, unit=" rounds"):
            set_threads(1)
            dist.barrier()
            seconds[0].append(together.step())
            set_threads(count)
            if one:
                seconds[1].append(one.step())
        set_threads(1)
        received = {layer: dict(vars(exchange.traffic)) for layer, exchange in towers.exchanges(net)}  # before the timed steps below
        exchanging = _exchanging(together, rounds)
        everywhere: list = [None] * count
        dist.all_gather_object(everywhere, (received, exchanging))
        if devices.rank:
            return None
        values = Towers(
            network=network.name, side=recipe.crop, classes=network.classes, batch_size=recipe.batch_size, dtype="float32",
            devices=count, steps=WARM + rounds,
            rows=_rows([found for found, _ in everywhere], (WARM + rounds) * recipe.batch_size),
            one_process_seconds=[round(s, 4) for s in seconds[1][WARM:]],
            two_rank_seconds=[round(s, 4) for s in seconds[0][WARM:]],
            exchange_share=round(median(max(parts) for parts in zip(*(spent for _, (spent, _) in everywhere), strict=True)) / median(seconds[0][WARM:]), 5),
            bytes_per_second=round(exchanging[1]),
        ).model_dump()  # fmt: skip
        provenance = records.provenance(command, profile.root, profile.settings.method, started, devices.name, 1)
        record = Record(kind="towers", profile=profile.name, source="random", values=values, provenance=provenance)
        records.write(profile.root / RECORD, record)
        return record


class Steps:
    """Training steps of one network on one batch of random pictures."""

    def __init__(self, net: Net, recipe: Recipe, devices: Devices):
        self.net, self.devices, self.count = net.train(), devices, 0
        shape = (recipe.batch_size, net.description.input.maps, net.side, net.side)
        pixels = 60 * generator(0, "pictures").standard_normal(shape, dtype="float32")  # about as spread as photographs
        self.pictures = torch.from_numpy(pixels).to(devices.device, memory_format=torch.channels_last)
        self.labels = torch.arange(recipe.batch_size, device=devices.device) % net.classes
        self.optimizer = PaperSGD.of(recipe, net.named_parameters())

    def step(self) -> float:
        """Seconds of one update."""
        self.count += 1
        self.net.set_dropout_key(0, self.count)
        begun = time.perf_counter()
        update(self.net, self.optimizer, self.pictures, self.labels, devices=self.devices)
        return time.perf_counter() - begun


def _exchanging(steps: Steps, rounds: int) -> tuple[list[float], float]:
    """Seconds that the exchanges of each step take once all towers are ready, copies included, and the bytes a second received.

    A barrier before each exchange takes the waiting for the slower tower out of what is timed.
    """
    spent: list[float] = []

    def timed(work):
        def run(x, exchange):
            _ready(steps.devices, barrier=True)
            begun = time.perf_counter()
            result = work(x, exchange)
            _ready(steps.devices)
            spent[-1] += time.perf_counter() - begun
            return result

        return run

    untimed, before = (towers.gather, towers.add), _received(steps.net)
    towers.gather, towers.add = map(timed, untimed)
    try:
        for _ in range(rounds):
            spent.append(0.0)
            steps.step()
    finally:
        towers.gather, towers.add = untimed
    return spent, (_received(steps.net) - before) / sum(spent)


def _ready(devices: Devices, barrier: bool = False) -> None:
    """Returns when this device, or all (`barrier`), have done what they were given."""
    if devices.device.type == "cuda":
        torch.cuda.synchronize()
    if barrier:
        dist.barrier()


def _received(net: Net) -> int:
    return sum(exchange.traffic.forward + exchange.traffic.backward for _, exchange in towers.exchanges(net))


def _rows(found: list[dict[str, dict[str, int]]], pictures: int) -> list[Received]:
    """Numbers a picture, of the device that received most before each layer."""
    rows = []
    for layer in found[0]:
        most = {way: max(tower[layer][way] for tower in found) // (4 * pictures) for way in ("forward", "backward")}
        rows.append(Received(layer=layer, forward_values=most["forward"], backward_values=most["backward"]))
    return rows
