"""One training from first to last update: the stage `train`."""

import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from replicate import files, records
from replicate.errors import UserError
from replicate.evaluation.scores import top_k_errors
from replicate.modules import Net, build, initialise, weights
from replicate.modules.cpu import prepare_cpu
from replicate.pictures import pca as pca_file
from replicate.pictures.crops import Reading
from replicate.pictures.store import open_store, verify
from replicate.settings import Profile, Recipe
from replicate.training import checkpoint, schedule
from replicate.training.feed import Feed
from replicate.training.update import PaperSGD

CHECKPOINT_SECONDS = 120


@dataclass
class Progress:
    """Where a training is: finished epochs, updates done in the next one, and the sums of its running figures.

    `started` and `spent` (seconds) cover all processes that worked on it.
    """

    started: str = field(default_factory=records.now)
    spent: float = 0.0
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    errors: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


def train(profile: Profile, name: str, command: str) -> Path:
    """Trains `name`, or goes on where it was stopped; writes its weights and its log. Returns the weights' path."""
    folder = profile.state / "checkpoints" / profile.name / name
    with files.lock(folder / "lock", f"training {name!r} of profile {profile.name!r} is already running; wait for it or stop it"):
        return _train(profile, name, command, folder)


def _train(profile: Profile, name: str, command: str, folder: Path) -> Path:
    since = time.monotonic()
    training = profile.training(name)
    recipe = profile.settings.recipe_of(training.run)
    store = open_store(profile.store)
    verify(store, ("train",))
    pca = pca_file.read(profile.pca)
    if pca.store != store.identity:
        raise UserError(f"{profile.pca}: of other pictures than the store; run `replicate pca --profile {profile.name}`")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    net = initialise(build(training.network, len(store.classes), recipe.crop), training.seed)
    net = net.to(device, memory_format=torch.channels_last)
    prepare_cpu(net, recipe.batch_size)
    optimizer = PaperSGD(net.parameters(), recipe.learning_rate, recipe.momentum, recipe.weight_decay)
    feed = Feed(recipe, net, store.train, Reading.of(net.description.input, store.mean), pca, training.seed)
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

    saved = folder / "checkpoint.safetensors"
    progress = Progress(**checkpoint.restore(saved, net, optimizer, identity)) if saved.exists() else Progress()
    if saved.exists():
        print(f"{name}: goes on after epoch {progress.epoch}, update {_updates(progress, feed)}")

    def save(after: float = 0) -> None:
        """Writes a checkpoint if the last one is `after` seconds old."""
        nonlocal since
        if (now := time.monotonic()) - since >= after:
            progress.spent, since = progress.spent + now - since, now
            checkpoint.save(saved, net, optimizer, identity, asdict(progress))

    with _stops_politely(f"{name}: stopped; what was learned is kept, and the same command goes on from there") as stopped:
        _epochs(name, recipe, feed, net, optimizer, progress, save, stopped)

    _write_log(profile.log(name), progress)
    weights.save(
        profile.weights(name),
        net.state_dict(),
        {
            "profile": profile.name,
            "training": name,
            **training.model_dump(),
            "classes": list(store.classes),
            "side": recipe.crop,
            "identity": identity,
            "store": store.identity,
            "train_pictures": len(feed.learning),
            "held_out_pictures": len(feed.held_out),
            "epochs": progress.epoch,
            "updates": _updates(progress, feed),
            "trained": records.provenance(
                command, profile.root, profile.settings.method, progress.started, str(device), torch.get_num_threads()
            )
            .model_copy(update={"seconds": round(progress.spent + time.monotonic() - since, 1)})
            .model_dump(),
        },
    )
    saved.unlink(missing_ok=True)
    return profile.weights(name)


def _epochs(name: str, recipe: Recipe, feed: Feed, net: Net, optimizer: PaperSGD, progress: Progress, save, stopped) -> None:
    """Epoch after epoch until the schedule says that training is over; keeps `progress` up to date."""
    most, images = schedule.most_epochs(recipe.schedule), feed.batches * recipe.batch_size
    done = progress.epoch * images + progress.batch * recipe.batch_size
    with tqdm(total=most * images, initial=done, unit=" images", disable=None) as bar:
        while not (stand := schedule.stand(recipe.schedule, [row["held_out_error"] for row in progress.log])).over:
            rate = recipe.learning_rate / recipe.rate_divisor**stand.drops
            for group in optimizer.param_groups:
                group["lr"] = rate
            bar.set_description(f"{name}: epoch {progress.epoch + 1} of at most {most}")
            _epoch(name, feed, net, optimizer, progress, save, stopped, bar)
            _finish_epoch(feed, net, progress, rate)
            save()
            row = progress.log[-1]
            bar.write(
                f"{name}: epoch {progress.epoch}: loss {row['train_loss']:.3f}, error {row['train_error']:.1f} % in training, "
                f"{row['held_out_error']:.1f} % on {len(feed.held_out)} held out, {row['images_per_second']:.0f} images/s"
            )
            sys.stdout.flush()


def _epoch(name: str, feed: Feed, net: Net, optimizer: PaperSGD, progress: Progress, save, stopped, bar: tqdm) -> None:
    """The updates of an epoch that are still to do."""
    net.train()
    clock = time.monotonic()
    for batch, pictures, labels in feed.epoch(progress.epoch, progress.batch):
        step = progress.epoch * feed.batches + batch
        net.set_dropout_key(feed.seed, step)
        loss, wrong = _update(net, optimizer, pictures, labels)
        if not np.isfinite(loss):
            raise UserError(
                f"{name}: the loss is {loss} at update {step + 1}; the last checkpoint is kept; "
                f"a smaller recipe.learning_rate may help"
            )
        progress.batch, progress.loss_sum, progress.errors = batch + 1, progress.loss_sum + loss, progress.errors + wrong
        progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
        bar.update(len(labels))
        save(after=0 if stopped() else CHECKPOINT_SECONDS)
        if stopped():
            raise KeyboardInterrupt


def _update(net: Net, optimizer: PaperSGD, pictures: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
    """One update; the loss before it and how many of the batch were wrong."""
    labels = labels.to(pictures.device)
    logits = net(pictures)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), int((logits.argmax(1) != labels).sum())


def _finish_epoch(feed: Feed, net: Net, progress: Progress, rate: float) -> None:
    held_out_loss, held_out_error = _held_out(feed, net)
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
def _held_out(feed: Feed, net: Net) -> tuple[float, float]:
    """Mean loss and top-1 error (percent) on the held-out pictures, centre view."""
    net.eval()
    loss, wrong = 0.0, 0
    for pictures, labels in feed.centre(feed.held_out):
        logits = net(pictures).double().cpu()
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        wrong += int(top_k_errors(logits.softmax(1).numpy(), labels.numpy(), 1).sum())
    return loss / len(feed.held_out), 100 * wrong / len(feed.held_out)


def _updates(progress: Progress, feed: Feed) -> int:
    return progress.epoch * feed.batches + progress.batch


def _write_log(path: Path, progress: Progress) -> None:
    rows: list[dict[str, Any]] = progress.log
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    files.write_text(path, "\n".join(lines) + "\n")


@contextmanager
def _stops_politely(message: str):
    """Ctrl-C and SIGTERM end the update in progress, keep what was learned and say `message`."""
    asked: list[int] = []
    before = {s: signal.signal(s, lambda number, frame: asked.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    except KeyboardInterrupt:
        raise UserError(message) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
