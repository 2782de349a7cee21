"""Some updates of some networks, as one process of those that torchrun starts, or alone: what test_devices compares.

python ranks.py CLONE OUT NETWORK:DTYPE:UPDATES:CLASSES:ENLARGED …
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from replicate import settings
from replicate.modules.build import shapes
from replicate.networks import load
from replicate.pictures.crops import Reading
from replicate.pictures.pca import read
from replicate.pictures.store import open_store
from replicate.settings import Profile, Training
from replicate.training.devices import Devices, joined
from replicate.training.feed import Feed
from replicate.training.loop import start, update
from replicate.training.update import PaperSGD


def main(clone: str, out: str, *cases: str) -> None:
    profile = settings.load_from(Path(clone), "demo")
    with joined(load(cases[0].split(":")[0])) as devices:
        for case in cases:
            network, dtype, updates, classes, enlarged = case.split(":")
            whole = trained(profile, devices, network, dtype, int(updates), int(classes), int(enlarged))
            if devices.rank == 0:
                save_file({name: value.detach().contiguous() for name, value in whole.items()}, Path(out, case))
        assert devices.tower is None or (devices.tower.board.places.numel() > 0) == hasattr(os, "memfd_create")  # as Linux has it


def trained(
    profile: Profile, devices: Devices, network: str, dtype: str, updates: int, classes: int, enlarged: int
) -> dict[str, torch.Tensor]:
    """The whole network's weights after these updates, and the losses. Crops are `enlarged` times, for nets that need more."""
    recipe, store, training = profile.settings.recipe, open_store(profile.store), Training(run="base", network=network, seed=1)
    net = start(training, classes, enlarged * recipe.crop, devices).to(torch.float64 if dtype == "float64" else torch.float32)
    precision = "bfloat16" if dtype == "bfloat16" else "float32"
    reading, pca = Reading.of(net.description.input, store.mean), read(profile.pca)
    feed = Feed(recipe, net, store.train, reading, pca, training.seed, devices.replica, devices.replicas)
    optimizer, losses = PaperSGD.of(recipe, net.named_parameters()), []
    while len(losses) < updates:
        for _, pictures, labels in feed.epoch(len(losses) // feed.batches, len(losses) % feed.batches):
            pictures = pictures.repeat_interleave(enlarged, 2).repeat_interleave(enlarged, 3)
            net.set_dropout_key(training.seed, len(losses), devices.replica, devices.replicas)
            losses.append(update(net, optimizer, pictures, labels, precision, devices)[0])
            if len(losses) == updates:
                break
    if devices.replicas > 1:
        for p in net.parameters():
            first = p.detach().clone()
            dist.broadcast(first, group=devices.mesh["data"].get_group(), group_src=0)
            assert torch.equal(first, p), "the parts of the batch have learned different weights"
    return devices.collect(net.state_dict(), shapes(net)) | {"losses": torch.tensor(losses, dtype=torch.float64)}


if __name__ == "__main__":
    main(*sys.argv[1:])
