"""What a training reads: batches of augmented pictures, and those held out that the schedule watches (sections 4.1, 5)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from replicate.errors import UserError
from replicate.modules import Net
from replicate.pictures import pca as pca_file
from replicate.pictures.crops import Reading
from replicate.pictures.store import Split
from replicate.randomness import generator
from replicate.settings import Recipe
from replicate.training import augment

Batch = tuple[int, torch.Tensor, torch.Tensor]  # its number in the epoch, pictures, labels


class Feed:
    """Batches of one training, or each one's part for replica `replica` of `replicas`: the pictures that learn, those held
    out, and how the network reads them. Pictures and draws are the whole training's, however many share the work."""

    def __init__(
        self, recipe: Recipe, net: Net, split: Split, reading: Reading, pca: pca_file.Pca, seed: int, replica: int = 0, replicas: int = 1
    ):
        self.recipe, self.net, self.split, self.reading, self.pca, self.seed = recipe, net, split, reading, pca, seed
        self.replica, self.replicas = replica, replicas
        self.held_out, self.learning = hold_out(split.labels, recipe.held_out)
        self.batches = len(self.learning) // recipe.batch_size
        if not self.batches:
            raise UserError(
                f"recipe.batch_size {recipe.batch_size} is larger than the {len(self.learning)} pictures to learn from"
            )
        if recipe.batch_size % replicas:
            raise UserError(f"recipe.batch_size {recipe.batch_size} cannot be divided into {replicas} equal parts; use other --devices")

    def epoch(self, epoch: int, first: int) -> Iterator[Batch]:
        """(number, pictures, labels) of each batch from `first` on; the last incomplete batch is left out."""
        batches, device = self._epoch(epoch, first), next(self.net.parameters()).device
        return _ahead(batches, device) if device.type == "cuda" else batches

    def _epoch(self, epoch: int, first: int) -> Iterator[Batch]:
        side = self.reading.mean.shape[0]
        order = self.learning[generator(self.seed, "order", epoch).permutation(len(self.learning))]
        drawn = augment.draw(self.recipe, self.pca, len(self.split), side, self.seed, epoch, order)
        size = self.recipe.batch_size // self.replicas
        for batch in range(first, self.batches):
            start = batch * self.recipe.batch_size + self.replica * size
            which = order[start : start + size]
            places = drawn.rows[which], drawn.columns[which], drawn.mirrored[which]
            yield batch, self._read(which, *places, drawn.shift[which], drawn.divisor), torch.from_numpy(self.split.labels[which])

    def centre(self, which: np.ndarray) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The central crops of these pictures, a batch at a time; replica r of n gets batches r, r + n, …"""
        size = self.recipe.batch_size
        for start in range(self.replica * size, len(which), self.replicas * size):
            part = which[start : start + size]
            at = np.full(len(part), (self.reading.mean.shape[0] - self.recipe.crop) // 2)
            pictures = self._read(part, at, at, np.zeros(len(part), bool), np.zeros((len(part), 3)), 1.0)
            yield pictures, torch.from_numpy(self.split.labels[part])

    def _read(self, which: np.ndarray, rows: np.ndarray, columns: np.ndarray, mirrored: np.ndarray, shift: np.ndarray, divisor: float):
        """Crops as the network reads them, on its device. To a GPU the pictures go as bytes, and are cut there."""
        parameter, pictures = next(self.net.parameters()), self.split.take(which)
        places = rows, columns, mirrored, self.recipe.crop, shift, divisor
        if parameter.device.type == "cpu":
            cut = torch.from_numpy(self.reading.cut(pictures, *places)).permute(0, 3, 1, 2)
        else:
            cut = self.reading.cut_tensor(torch.from_numpy(pictures).to(parameter.device), *places)
        return cut.to(parameter.dtype)


def _ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches, each made while a GPU works on the one before: in a thread, and in a stream beside the training's."""
    beside = torch.cuda.Stream(device)

    def make() -> Batch | None:
        with torch.cuda.stream(beside):
            return next(batches, None)

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(make)
        while (batch := coming.result()) is not None:
            here = torch.cuda.current_stream(device)
            here.wait_stream(beside)
            batch[1].record_stream(here)  # its memory is free once the training has read it
            coming = thread.submit(make)
            yield batch


def hold_out(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(held out, learning): of each class one picture in round(1/share) by index; at least one, if it has two."""
    every = max(2, round(1 / share))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        which = np.flatnonzero(labels == label)
        if len(which) > 1:
            held[which[min(every, len(which)) - 1 :: every]] = True
    return np.flatnonzero(held), np.flatnonzero(~held)
