"""One training from first to last update: the stage `train`, on one device or several."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F
from tqdm import tqdm

from replicate import files, records
from replicate.errors import UserError
from replicate.evaluation.scores import top_k_errors
from replicate.modules import Net, build, initialise, weights
from replicate.modules.build import shapes
from replicate.modules.cpu import prepare_cpu
from replicate.modules.towers import take
from replicate.networks import load
from replicate.pictures import pca as pca_file
from replicate.pictures.crops import Reading
from replicate.pictures.store import Store, open_store, verify
from replicate.settings import Profile, Training
from replicate.training import schedule
from replicate.training.checkpoint import Keeper
from replicate.training.devices import Devices, first_here, joined
from replicate.training.feed import Feed
from replicate.training.signals import stops_politely
from replicate.training.update import PaperSGD


ALONE = Devices(torch.device("cpu"))  # any device will do: alone there is nothing to tell others


@dataclass
class Progress:
    """Where a training is: finished epochs, updates done in the next one, and the sums of its running figures.

    `started`, `spent` (seconds) and `devices` (names, in turn) cover all processes that worked on it.
    """

    started: str = field(default_factory=records.now)
    spent: float = 0.0
    devices: list[str] = field(default_factory=list)
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    errors: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Work:
    """A training under way. `keeper` is that of process 0; the other devices' processes have none."""

    name: str
    feed: Feed
    net: Net
    optimizer: PaperSGD
    progress: Progress
    devices: Devices
    keeper: Keeper | None
    stopped: Callable[[], bool]  # whether this process was asked to stop
    folder: Path  # where checkpoints lie
    since: float  # by the clock that counts this process's share of `progress.spent`

    @property
    def updates(self) -> int:
        return self.progress.epoch * self.feed.batches + self.progress.batch

    def tensors(self) -> dict[str, Tensor]:
        """All that a training has learned and that its next update needs; this device's part."""
        velocity = {f"velocity/{name}": self.optimizer.state[p]["velocity"] for name, p in self.net.named_parameters()}
        return {f"weight/{name}": value for name, value in self.net.state_dict().items()} | velocity

    def shapes(self) -> dict[str, torch.Size]:
        """Of the same for the whole network."""
        whole = shapes(self.net)
        return {name: whole[name.partition("/")[2]] for name in self.tensors()}

    def keep(self, wait: bool = False) -> None:
        """A checkpoint. The numbers in it are finite, so that a training can always go on from the last one."""
        tensors = self.tensors()
        (broken,) = self.devices.any(not all(bool(t.sum().isfinite()) for t in tensors.values()))
        if broken:
            raise self.diverged("a weight is")
        now = time.monotonic()
        self.progress.spent, self.since = self.progress.spent + now - self.since, now
        whole = self.devices.collect(tensors, self.shapes())
        if self.keeper:
            self.keeper.save(whole, asdict(self.progress), wait)
        if wait:  # nobody leaves before process 0 has written
            self.devices.any(False)

    def diverged(self, what: str) -> UserError:
        return UserError(
            f"{self.name}: {what} not a finite number after update {self.updates}; the last checkpoint before it is kept, if there was one; "
            f"a smaller recipe.learning_rate may help, which starts anew: rm -r {self.folder}"
        )


def train(profile: Profile, name: str, command: str) -> Path | None:
    """Trains `name`, or goes on where it was stopped; process 0 writes its weights and its log, and returns the weights' path."""
    training = profile.training(name)
    folder = profile.state / "checkpoints" / profile.name / name
    if first_here():  # once a machine, and before others wait for it
        verify(open_store(profile.store), ("train",))
    with joined(load(training.network)) as devices, ExitStack() as held:
        if devices.rank == 0:
            held.enter_context(files.lock(folder / "lock", f"training {name!r} of profile {profile.name!r}"))
            weights.remove_unfinished(profile.weights(name))
        return _train(profile, name, training, command, folder, devices)


def _train(profile: Profile, name: str, training: Training, command: str, folder: Path, devices: Devices) -> Path | None:
    since = time.monotonic()
    recipe = profile.settings.recipe_of(training.run)
    store = open_store(profile.store)
    pca = pca_file.read(profile.pca)
    if pca.store != store.identity:
        raise UserError(f"{profile.pca}: of other pictures than the store; run `replicate pca --profile {profile.name}`")
    net = start(training, len(store.classes), recipe.crop, devices)
    prepare_cpu(net, recipe.batch_size)
    identity = files.identity(
        {
            "method": profile.settings.method,
            "network": net.description.model_dump(mode="json", include={"towers", "input", "rounding", "layers"}, exclude_defaults=True),
            "recipe": recipe.model_dump(),
            "seed": training.seed,
            "store": store.identity,
            "pca": pca.model_dump(mode="json"),
        }
    )
    devices.same("settings, network or pictures", identity)
    reading = Reading.of(net.description.input, store.mean)
    feed = Feed(recipe, net, store.train, reading, pca, training.seed, devices.replica, devices.replicas)
    with ExitStack() as held:
        stopped = held.enter_context(stops_politely(f"{name}: stopped; what was learned is kept, and the same command goes on from there"))
        keeper = held.enter_context(closing(Keeper(folder, identity, name))) if devices.rank == 0 else None
        work = Work(name, feed, net, PaperSGD.of(recipe, net.named_parameters()), Progress(), devices, keeper, stopped, folder, since)
        _restore(work)
        if work.progress.devices[-1:] != [devices.name]:
            work.progress.devices.append(devices.name)
        _epochs(work)
        whole = devices.collect(net.state_dict(), shapes(net))
        if keeper:
            _write(profile, work, whole, training, command, identity, store)
            keeper.finished()
    return profile.weights(name) if keeper else None


def start(training: Training, classes: int, side: int, devices: Devices) -> Net:
    """The network, or this device's tower of it, with the weights that it starts from."""
    whole = initialise(build(training.network, classes, side), training.seed)
    net = whole
    if devices.tower:
        net = build(training.network, classes, side, devices.tower)
        take(net.state_dict(), whole.state_dict(), devices.tower)
    return net.to(devices.device, memory_format=torch.channels_last)


def _restore(work: Work) -> None:
    """Goes on from the last checkpoint, if there is one: process 0 reads it, whatever devices wrote it."""
    kept = work.keeper.restore() if work.keeper else None
    if progress := work.devices.from_first(kept[1] if kept else None):
        work.devices.spread(kept[0] if kept else None, work.tensors(), work.shapes())
        work.progress = Progress(**progress)
        if work.devices.rank == 0:
            print(f"{work.name}: goes on after epoch {work.progress.epoch}, update {work.updates}", flush=True)


def _epochs(work: Work) -> None:
    """Epoch after epoch until the schedule says that training is over."""
    recipe, feed, progress, first = work.feed.recipe, work.feed, work.progress, work.devices.rank == 0
    most, images = schedule.most_epochs(recipe.schedule), feed.batches * recipe.batch_size
    with tqdm(total=most * images, initial=work.updates * recipe.batch_size, unit=" images", disable=None if first else True) as bar:
        while not schedule.stand(recipe.schedule, errors := [row["held_out_error"] for row in progress.log]).over:
            for group in work.optimizer.param_groups:
                group["lr"] = schedule.rate(recipe, errors, group["param_names"][0])
            bar.set_description(f"{work.name}: epoch {progress.epoch + 1} of at most {most}")
            _epoch(work, bar)
            _finish_epoch(work, schedule.rate(recipe, errors))
            _keep_if_due(work, epoch_ended=True)
            row = progress.log[-1]
            if first:
                bar.write(
                    f"{work.name}: epoch {progress.epoch}: loss {row['train_loss']:.3f}, error {row['train_error']:.1f} % in training, "
                    f"{row['held_out_error']:.1f} % on {len(feed.held_out)} held out, {row['images_per_second']:.0f} images/s"
                )
                sys.stdout.flush()


def _epoch(work: Work, bar: tqdm) -> None:
    """The updates of an epoch that are still to do."""
    work.net.train()
    progress, devices, clock = work.progress, work.devices, time.monotonic()
    for batch, pictures, labels in work.feed.epoch(progress.epoch, progress.batch):
        step = progress.epoch * work.feed.batches + batch
        work.net.set_dropout_key(work.feed.seed, step, devices.replica, devices.replicas)
        loss, wrong = update(work.net, work.optimizer, pictures, labels, work.feed.recipe.precision, devices)
        progress.batch = batch + 1
        if not np.isfinite(loss):
            raise work.diverged(f"the loss is {loss},")
        progress.loss_sum, progress.errors = progress.loss_sum + loss, progress.errors + wrong
        progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
        bar.update(work.feed.recipe.batch_size)
        _keep_if_due(work)


def update(
    net: Net, optimizer: PaperSGD, pictures: Tensor, labels: Tensor, precision: str = "float32", devices: Devices = ALONE
) -> tuple[float, int]:
    """One update; the loss before it (mean of the whole batch) and how many of the batch were wrong."""
    labels = labels.to(pictures.device)
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        halves = optimizer.halves(net) if precision == "bfloat16" and devices.replicas == 1 else {}  # averages need float32
        logits = functional_call(net, halves, (pictures,))
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    devices.average_gradients(net)
    optimizer.step()
    loss_sum, wrong = devices.total(loss.item(), int((logits.argmax(1) != labels).sum()))
    return loss_sum / devices.replicas, int(wrong)


def _keep_if_due(work: Work, epoch_ended: bool = False) -> None:
    """All processes act together on what one of them was told, and on process 0's clock."""
    due = work.keeper is not None and work.keeper.due(epoch_ended)
    stop, due = work.devices.any(work.stopped(), due)
    if stop or due:
        work.keep(wait=stop)
    if stop:
        raise KeyboardInterrupt


def _finish_epoch(work: Work, rate: float) -> None:
    feed, progress = work.feed, work.progress
    held_out_loss, held_out_error = _held_out(work)
    images = feed.batches * feed.recipe.batch_size
    progress.log.append(
        {
            "epoch": progress.epoch + 1,
            "updates": (progress.epoch + 1) * feed.batches,
            "learning_rate": rate,
            "train_loss": round(progress.loss_sum / feed.batches, 5),
            "train_error": round(100 * progress.errors / images, 3),
            "held_out_loss": round(held_out_loss, 5),
            "held_out_error": round(held_out_error, 3),
            "images_per_second": round(images / progress.seconds, 1),
            "seconds": round(progress.seconds, 2),
        }
    )
    progress.epoch, progress.batch, progress.loss_sum, progress.errors, progress.seconds = progress.epoch + 1, 0, 0.0, 0, 0.0


@torch.no_grad()
def _held_out(work: Work) -> tuple[float, float]:
    """Mean loss and top-1 error (percent) on the held-out pictures, centre view, in float32."""
    work.net.eval()
    loss, wrong = 0.0, 0
    for pictures, labels in work.feed.centre(work.feed.held_out):
        logits = work.net(pictures).double().cpu()
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        wrong += int(top_k_errors(logits.softmax(1).numpy(), labels.numpy(), 1).sum())
    loss, wrong = work.devices.total(loss, wrong)
    return loss / len(work.feed.held_out), 100 * wrong / len(work.feed.held_out)


def _write(profile: Profile, work: Work, whole: dict[str, Tensor], training: Training, command: str, identity: str, store: Store) -> None:
    """The weights, with their story in the header, and the log."""
    rows: list[dict[str, Any]] = work.progress.log
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    files.write_text(profile.log(work.name), "\n".join(lines) + "\n")
    seconds = round(work.progress.spent + time.monotonic() - work.since, 1)
    device, threads, method = ", then ".join(work.progress.devices), torch.get_num_threads(), profile.settings.method
    provenance = records.provenance(command, profile.root, method, work.progress.started, device, threads)
    header = {
        "profile": profile.name,
        "training": work.name,
        **training.model_dump(),
        "classes": list(store.classes),
        "side": work.net.side,
        "identity": identity,
        "store": store.identity,
        "train_pictures": len(work.feed.learning),
        "held_out_pictures": len(work.feed.held_out),
        "epochs": work.progress.epoch,
        "updates": work.updates,
        "trained": provenance.model_copy(update={"seconds": seconds}).model_dump(),
    }
    weights.save(profile.weights(work.name), whole, header)
