"""How long a batch's crops, reflections and colours take on the processor, and a training step on the GPU (section 4.1)."""

import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from replicate import records
from replicate.errors import UserError
from replicate.modules import Net, build, initialise
from replicate.pictures import pca as components
from replicate.pictures.crops import Reading
from replicate.pictures.sums import moments
from replicate.randomness import generator
from replicate.records import Augmentation, Record
from replicate.settings import Profile, Recipe
from replicate.training import augment
from replicate.training.update import PaperSGD

RECORD = Path("reports", "paper", "records", "augmentation.json")
WARM, TIMED = 3, 20  # batches: the first ones compile and fill caches


def time_augmentation(profile: Profile, command: str, device: str = "cuda") -> Record:
    """Writes the record `augmentation`: seconds of each of 20 batches of the profile's baseline, and of as many steps.

    On random pictures of the profile's size: what they show does not matter to the time.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU here; section 4.1 compares the processor's work with a GPU's, so this needs a machine with one")
    started = records.now()
    training = profile.settings.trainings[profile.settings.groups()[profile.settings.baseline][0]]
    recipe, side = profile.settings.recipe_of(training.run), profile.settings.pictures.side
    net = initialise(build(training.network, side=recipe.crop), training.seed).to(device, memory_format=torch.channels_last)
    pictures = generator(0, "pictures").integers(0, 256, (recipe.batch_size, side, side, 3), dtype=np.uint8)
    cut, batches = _batches(recipe, net, pictures)
    record = Record(
        kind="augmentation", profile=profile.name, source="random", training=None,
        values=Augmentation(
            network=training.network, batch_size=recipe.batch_size, side=side, crop=recipe.crop,
            augmentation_seconds=batches, step_seconds=_steps(recipe, net, cut),
        ).model_dump(),
        provenance=records.provenance(command, profile.root, profile.settings.method, started, device, torch.get_num_threads()),
    )  # fmt: skip
    records.write(profile.root / RECORD, record)
    return record


def _batches(recipe: Recipe, net: Net, pictures: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The last batch as the network reads it, and the seconds that each took."""
    side = pictures.shape[1]
    reading = Reading.of(net.description.input, pictures.mean(0, dtype=np.float64).astype(np.float32))
    pca, seconds = components.from_sums("random", pictures.size // 3, *moments(pictures)), []
    for epoch in range(WARM + TIMED):
        start = time.perf_counter()
        drawn = augment.draw(recipe, pca, len(pictures), side, 0, epoch)
        cut = reading.cut(pictures, drawn.rows, drawn.columns, drawn.mirrored, recipe.crop, drawn.shift, drawn.divisor)
        seconds.append(time.perf_counter() - start)
    return cut, [round(one, 5) for one in seconds[WARM:]]


def _steps(recipe: Recipe, net: Net, cut: np.ndarray) -> list[float]:
    """Seconds of a forward and backward pass and an update."""
    device = next(net.parameters()).device
    pictures = torch.from_numpy(cut).permute(0, 3, 1, 2).to(device)
    labels = torch.arange(len(cut), device=device) % net.classes
    optimizer, seconds = PaperSGD(net.parameters(), recipe.learning_rate, recipe.momentum, recipe.weight_decay), []
    for step in range(WARM + TIMED):
        net.set_dropout_key(0, step)
        start = time.perf_counter()
        loss = F.cross_entropy(net(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the GPU
        seconds.append(time.perf_counter() - start)
    return [round(one, 5) for one in seconds[WARM:]]
