"""From stored uint8 pictures to what a network reads: crops, reflections, colour shift, mean subtracted (sections 2, 4.1)."""

from dataclasses import dataclass

import numba
import numpy as np
import torch

from replicate.compiling import njit
from replicate.errors import UserError


@njit(parallel=True)
def _cut(pictures, rows, columns, mirrored, means, which, mean_rows, mean_columns, shift, scale, order, out):
    """A row of a crop is one flat loop over its numbers; mirrored rows and BGR are put in order afterwards."""
    crop = out.shape[1]
    for i in numba.prange(out.shape[0]):
        added, gain = np.empty(crop * 3, np.float32), np.empty(crop * 3, np.float32)
        for x in range(crop):
            for c in range(3):
                added[3 * x + order[c]] = shift[i, order[c]]
                gain[3 * x + order[c]] = scale[c]
        straight = not mirrored[i] and order[0] == 0
        line = np.empty(crop * 3, np.float32)
        for y in range(crop):
            pixels = pictures[i, rows[i] + y, columns[i] : columns[i] + crop].reshape(-1)
            less = means[which[i], mean_rows[i] + y, mean_columns[i] : mean_columns[i] + crop].reshape(-1)
            to = out[i, y].reshape(-1)
            row = to if straight else line
            for j in range(crop * 3):
                row[j] = (np.float32(pixels[j]) - less[j] + added[j]) * gain[j]
            if not straight:
                first, second, third = order[0], order[1], order[2]
                step, place = (-3, 3 * crop - 3) if mirrored[i] else (3, 0)
                for x in range(0, 3 * crop, 3):
                    to[place], to[place + 1], to[place + 2] = line[x + first], line[x + second], line[x + third]
                    place += step


@dataclass(frozen=True)
class Reading:
    """How a network reads pixels 0..255: (pixel - mean + shift)·scale, channels in its own order.

    mean: (side, side, 3) RGB, subtracted where the picture is (the mean of a mirrored crop is mirrored with it); or, if
    `centred`, its central window from every crop, after the mirroring (2012 code: convdata_jpeg.py, tests included).
    scale: (3,) in the network's channel order.
    """

    mean: np.ndarray
    scale: np.ndarray
    order: np.ndarray
    centred: bool = False

    @classmethod
    def of(cls, description, mean_image: np.ndarray) -> "Reading":
        """From a network's `input` fields; `mean_image` is the store's. UserError for one that reads grey."""
        if description.channels == "grey":
            raise UserError("the network reads grey pictures; those of the suite have three channels")
        channels = ["RGB".index(c) for c in description.channels]
        mean = mean_image
        if not description.reads_mean_image:
            mean = np.empty_like(mean_image)
            mean[..., channels] = description.mean  # given in the network's channel order
        scale = np.full(3, description.scale) / (description.std or [1.0, 1.0, 1.0])
        return cls(mean.astype(np.float32), scale.astype(np.float32), np.array(channels), description.mean == "image-centre")

    def cut(self, pictures, rows, columns, mirrored, crop: int, shift=None, divisor: float = 1.0) -> np.ndarray:
        """(n, side, side, 3) uint8 -> (n, crop, crop, 3) float32: the crop at (rows, columns), mirrored where said.

        `shift` (n, 3): RGB grey levels added to every pixel of a picture. `divisor` divides the result. ValueError for a
        crop that leaves its picture.
        """
        n = len(pictures)
        rows, columns, mirrored = np.asarray(rows), np.asarray(columns), np.asarray(mirrored)
        means = self._means(rows, columns, mirrored, crop, pictures.shape[1])
        out = np.empty((n, crop, crop, 3), np.float32)
        shift = np.zeros((n, 3), np.float32) if shift is None else shift.astype(np.float32)
        _cut(pictures, rows, columns, mirrored, *means, shift, self._gain(divisor), self.order, out)
        return out

    def cut_tensor(self, pictures: torch.Tensor, rows, columns, mirrored, crop: int, shift, divisor: float = 1.0) -> torch.Tensor:
        """As `cut`, of a uint8 tensor on any device and there: (n, 3, crop, crop) float32, channels last in memory."""
        device = pictures.device

        def there(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        def window(images: torch.Tensor, which, top, left) -> torch.Tensor:
            """(n, crop, crop, 3): of image which[i] the window at (top[i], left[i]), mirrored where said."""
            y, x = top[:, None] + steps, left[:, None] + np.where(mirrored[:, None], steps[::-1], steps)
            return images[there(which)[:, None, None], there(y)[:, :, None], there(x)[:, None, :]]

        mirrored, steps = np.asarray(mirrored), np.arange(crop)
        means, which, mean_rows, mean_columns = self._means(np.asarray(rows), np.asarray(columns), mirrored, crop, pictures.shape[1])
        pixels = window(pictures, np.arange(len(pictures)), np.asarray(rows), np.asarray(columns)).float()
        less = window(there(means), which, mean_rows, mean_columns)
        added = there(shift.astype(np.float32))[:, None, None]
        order = there(self.order)
        return ((pixels - less + added)[..., order] * there(self._gain(divisor))).permute(0, 3, 1, 2)

    def _means(self, rows: np.ndarray, columns: np.ndarray, mirrored: np.ndarray, crop: int, side: int) -> tuple[np.ndarray, ...]:
        """Images, and for each picture which of them is subtracted, from which row and column on: before the mirroring.

        ValueError for a crop that leaves its picture.
        """
        if len(rows) and not (0 <= min(rows.min(), columns.min()) and max(rows.max(), columns.max()) + crop <= side):
            raise ValueError(f"a crop of {crop} pixels lies outside its picture of {side}")
        none = np.zeros(len(rows), int)
        if not self.centred:
            return self.mean[None], none, rows, columns
        at = (side - crop) // 2
        window = self.mean[at : at + crop, at : at + crop]
        return np.stack([window, window[:, ::-1]]), mirrored.astype(int), none, none

    def _gain(self, divisor: float) -> np.ndarray:
        return (self.scale / divisor).astype(np.float32)

    def centre(self, pictures: np.ndarray, crop: int) -> np.ndarray:
        """The central crop of every picture, not mirrored."""
        at = np.full(len(pictures), (pictures.shape[1] - crop) // 2)
        return self.cut(pictures, at, at, np.zeros(len(pictures), bool), crop)


def ten_views(side: int, crop: int) -> list[tuple[int, int, bool]]:
    """(row, column, mirrored) of the four corners and the centre, and their reflections (section 4.1)."""
    far = side - crop
    places = [(0, 0), (0, far), (far // 2, far // 2), (far, 0), (far, far)]
    return [(row, column, mirrored) for mirrored in (False, True) for row, column in places]
