"""What the kernels of the first layer hold (Figure 3): colour, waves of one orientation, towers that differ. NumPy only."""

from functools import cache

import numpy as np

from replicate.randomness import generator

NOISE = 1000  # kernels of noise; a kernel whose energy is more concentrated than that of all of them is no noise
SPLITS = 10_000  # random splits of the kernels, against which the split into towers is held
ORIENTED = 40  # percent: spots off the middle have up to 30, edges across the whole kernel from 50 on
COLOURED = 50  # percent


def describe(kernels: np.ndarray, towers: int) -> dict[str, float]:
    """(K, 3, k, k) weights, tower after tower -> what Figure 3 shows, in numbers.

    colour            mean share of a kernel's energy that is colour, in percent
    selective, blobs  how many kernels are waves or edges of one orientation; how many are spots that are mostly colour
    tower_difference, tower_chance, tower_p   of `tower_split`, if there are towers
    """
    colour = colour_share(kernels)
    concentration, orientation = spectrum(kernels)
    no_noise = concentration > _noise(kernels.shape[1:])
    found = {
        "colour": float(colour.mean()),
        "selective": float((no_noise & (orientation > ORIENTED)).sum()),
        "blobs": float((no_noise & (orientation <= ORIENTED) & (colour > COLOURED)).sum()),
    }
    if towers == 1:
        return found
    return found | dict(zip(("tower_difference", "tower_chance", "tower_p"), tower_split(colour, towers), strict=True))


def colour_share(kernels: np.ndarray) -> np.ndarray:
    """(K, 3, k, k) -> (K,): percent of each kernel's energy that is off the grey axis; 0 for a kernel of zeros.

    0 where the three channels are equal; kernels of noise have two thirds.
    """
    energy = (kernels.astype(np.float64) ** 2).sum((1, 2, 3))
    grey = 3 * (kernels.mean(1, dtype=np.float64) ** 2).sum((1, 2))
    return _percent(energy - grey, energy)


def spectrum(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3, k, k) -> (concentration, orientation), each (K,), in percent, from the 2-D spectrum of all channels together.

    Concentration: the energy within one cycle across the kernel of the strongest wave. Orientation: the length of the
    mean of all waves but the constant, each a unit vector at twice its angle, weighted with its energy: 100 for a
    grating without end, 0 for a round spot.
    """
    side = kernels.shape[-1]
    padded = 4 * side
    energy = (np.abs(np.fft.fft2(kernels.astype(np.float64), s=(padded, padded))) ** 2).sum(1).reshape(len(kernels), -1)
    cycles = np.fft.fftfreq(padded) * side
    y, x = (axis.ravel() for axis in np.meshgrid(cycles, cycles, indexing="ij"))

    at = energy.argmax(1)[:, None]
    away = [np.hypot(_wrapped(y - sign * y[at], side), _wrapped(x - sign * x[at], side)) for sign in (1, -1)]
    near = (energy * (np.minimum(*away) <= 1)).sum(1)
    waves = energy * ((y != 0) | (x != 0))
    mean = np.abs((waves * np.exp(2j * np.arctan2(y, x))).sum(1))
    return _percent(near, energy.sum(1)), _percent(mean, waves.sum(1))


def _wrapped(cycles: np.ndarray, side: int) -> np.ndarray:
    """Frequencies repeat after as many cycles as the kernel has pixels."""
    return (cycles + side / 2) % side - side / 2


def _percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return 100 * np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


@cache
def _noise(shape: tuple[int, ...]) -> float:
    """The highest concentration among `NOISE` kernels of Gaussian noise of this shape."""
    kernels = generator(0, "kernels of noise", *shape).standard_normal((NOISE, *shape))
    return max(float(spectrum(some)[0].max()) for some in np.array_split(kernels, 10))


def tower_split(values: np.ndarray, towers: int) -> tuple[float, float, float]:
    """(difference, chance, p) of a number a kernel, tower after tower: how far the towers' means lie apart, the mean of
    that over random splits, and the share of random splits that lie at least as far apart (a permutation test)."""

    def apart(split: np.ndarray) -> np.ndarray:
        return np.ptp(split.reshape(*split.shape[:-1], towers, -1).mean(-1), axis=-1)

    own = float(apart(values))
    chance = apart(generator(0, "splits of kernels").permuted(np.tile(values, (SPLITS, 1)), axis=1))
    as_far = int((chance >= own - 1e-9 * np.abs(values).max()).sum())  # sums in another order differ in the last bit
    return own, float(chance.mean()), (1 + as_far) / (1 + SPLITS)
