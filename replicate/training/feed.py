"""What a training reads: batches of augmented pictures, and those held out that the schedule watches (sections 4.1, 5)."""

from collections.abc import Iterator

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


class Feed:
    """Batches of one training: the pictures that learn, those held out, and how the network reads them."""

    def __init__(self, recipe: Recipe, net: Net, split: Split, reading: Reading, pca: pca_file.Pca, seed: int):
        self.recipe, self.net, self.split, self.reading, self.pca, self.seed = recipe, net, split, reading, pca, seed
        self.held_out, self.learning = hold_out(split.labels, recipe.held_out)
        self.batches = len(self.learning) // recipe.batch_size
        if not self.batches:
            raise UserError(
                f"recipe.batch_size {recipe.batch_size} is larger than the {len(self.learning)} pictures to learn from"
            )

    def epoch(self, epoch: int, first: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """(number, pictures, labels) of each batch from `first` on; the last incomplete batch is left out."""
        side = self.reading.mean.shape[0]
        drawn = augment.draw(self.recipe, self.pca, len(self.split), side, self.seed, epoch)
        order = self.learning[generator(self.seed, "order", epoch).permutation(len(self.learning))]
        for batch in range(first, self.batches):
            which = order[batch * self.recipe.batch_size : (batch + 1) * self.recipe.batch_size]
            cut = self.reading.cut(
                self.split.take(which), drawn.rows[which], drawn.columns[which], drawn.mirrored[which],
                self.recipe.crop, drawn.shift[which],
            )  # fmt: skip
            yield batch, self._tensor(cut), torch.from_numpy(self.split.labels[which])

    def centre(self, which: np.ndarray) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The central crops of these pictures, a batch at a time."""
        for start in range(0, len(which), self.recipe.batch_size):
            part = which[start : start + self.recipe.batch_size]
            yield self._tensor(self.reading.centre(self.split.take(part), self.recipe.crop)), torch.from_numpy(self.split.labels[part])

    def _tensor(self, cut: np.ndarray) -> torch.Tensor:
        parameter = next(self.net.parameters())
        return torch.from_numpy(cut).permute(0, 3, 1, 2).to(parameter.device, parameter.dtype)


def hold_out(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(held out, learning): of each class one picture in round(1/share) by index; at least one, if it has two."""
    every = max(2, round(1 / share))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        which = np.flatnonzero(labels == label)
        if len(which) > 1:
            held[which[min(every, len(which)) - 1 :: every]] = True
    return np.flatnonzero(held), np.flatnonzero(~held)
