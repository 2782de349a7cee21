"""From stored uint8 pictures to what a network reads: crops, reflections, colour shift, mean subtracted (sections 2, 4.1)."""

from dataclasses import dataclass

import numba
import numpy as np

from replicate.errors import UserError


@numba.njit(parallel=True, error_model="numpy", cache=True)
def _cut(pictures, rows, columns, mirrored, mean, shift, scale, order, out):
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
            at = rows[i] + y
            pixels = pictures[i, at, columns[i] : columns[i] + crop].reshape(-1)
            less = mean[at, columns[i] : columns[i] + crop].reshape(-1)
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

    mean: (side, side, 3) RGB, subtracted where the picture is (the mean of a mirrored crop is mirrored with it).
    scale: (3,) in the network's channel order.
    """

    mean: np.ndarray
    scale: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, description, mean_image: np.ndarray) -> "Reading":
        """From a network's `input` fields; `mean: image` means the store's mean image. UserError for one that reads grey."""
        if description.channels == "grey":
            raise UserError("the network reads grey pictures; those of the suite have three channels")
        channels = ["RGB".index(c) for c in description.channels]
        mean = mean_image
        if description.mean != "image":
            mean = np.empty_like(mean_image)
            mean[..., channels] = description.mean  # given in the network's channel order
        scale = np.full(3, description.scale) / (description.std or [1.0, 1.0, 1.0])
        return cls(mean.astype(np.float32), scale.astype(np.float32), np.array(channels))

    def cut(self, pictures, rows, columns, mirrored, crop: int, shift=None) -> np.ndarray:
        """(n, side, side, 3) uint8 -> (n, crop, crop, 3) float32: the crop at (rows, columns), mirrored where said.

        `shift` (n, 3): RGB grey levels added to every pixel of a picture. ValueError for a crop that leaves its picture.
        """
        n, side = len(pictures), pictures.shape[1]
        rows, columns = np.asarray(rows), np.asarray(columns)
        if n and not (0 <= min(rows.min(), columns.min()) and max(rows.max(), columns.max()) + crop <= side):
            raise ValueError(f"a crop of {crop} pixels lies outside its picture of {side}")
        out = np.empty((n, crop, crop, 3), np.float32)
        shift = np.zeros((n, 3), np.float32) if shift is None else shift.astype(np.float32)
        _cut(pictures, rows, columns, np.asarray(mirrored), self.mean, shift, self.scale, self.order, out)
        return out

    def centre(self, pictures: np.ndarray, crop: int) -> np.ndarray:
        """The central crop of every picture, not mirrored."""
        at = np.full(len(pictures), (pictures.shape[1] - crop) // 2)
        return self.cut(pictures, at, at, np.zeros(len(pictures), bool), crop)


def ten_views(side: int, crop: int) -> list[tuple[int, int, bool]]:
    """(row, column, mirrored) of the four corners and the centre, and their reflections (section 4.1)."""
    far = side - crop
    places = [(0, 0), (0, far), (far // 2, far // 2), (far, 0), (far, far)]
    return [(row, column, mirrored) for mirrored in (False, True) for row, column in places]
