"""The drawn demo: ten classes that an AlexNet can learn in seconds, for machines that can download nothing.

A class is a shape (disc, square, triangle, star, ring) with a texture (checks, stripes) and a hue around a tenth of
the colour circle. None of the three suffices: a shape has two classes, a texture five, and neighbouring hues
overlap. As in photographs, sizes and aspect ratios vary, the light has a strength and a colour (which section 4.1's
colour noise imitates), and some pictures are grey.

The same seed gives the same bytes on every machine. So everything is integers (from Philox's raw words, which do not
change with NumPy's version), Pillow's primitives, and sines and exponentials that are rounded at once.
"""

import colorsys
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from replicate.pictures.folders import new_folder

SHAPES = ("disc", "square", "triangle", "star", "ring")
TEXTURES = ("checks", "stripes")
CLASSES = tuple(f"{shape}-{texture}" for shape in SHAPES for texture in TEXTURES)
SPLITS = ("train", "val")

HUE_SPREAD = 0.05  # of the colour circle (s.d.); classes are 0.1 apart
GREY_PER_HUNDRED = 3
FINE = 2  # drawn twice as large and averaged, which smooths the edges


class Draws:
    """Random integers as a function of a key of two 64-bit words."""

    def __init__(self, seed: int, split: str, label: int, number: int):
        word = SPLITS.index(split) << 56 | label << 48 | number
        self._words = np.random.Philox(key=np.array([seed, word], dtype=np.uint64))

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included."""
        return low + int(self._words.random_raw()) % (high - low + 1)

    def bell(self, std: float) -> float:
        """Nearly normal, mean 0: the sum of twelve uniform numbers."""
        twelve = int(self.bytes(24).view("<u2").astype(np.int64).sum())
        return (twelve - 6 * 65535) / 65536 * std

    def bytes(self, n: int) -> np.ndarray:
        """(n,) uint8."""
        return self._words.random_raw(-(-n // 8)).astype("<u8").view(np.uint8)[:n]

    def colour(self, low: int, high: int) -> tuple[int, int, int]:
        return self.integer(low, high), self.integer(low, high), self.integer(low, high)


def picture(seed: int, split: str, label: int, number: int) -> Image.Image:
    """One picture of class `CLASSES[label]`, mode RGB or L. A function of its arguments alone."""
    draws = Draws(seed, split, label, number)
    short = draws.integer(56, 120)
    long = short * draws.integer(100, 180) // 100
    size = (short, long) if draws.integer(0, 1) else (long, short)
    image = _background(draws, size)
    _lines(draws, image, draws.integer(2, 4))
    _thing(draws, image, label, FINE * short)
    _lines(draws, image, draws.integer(0, 1))
    image = _noise(draws, _light(draws, image.reduce(FINE)))
    return image.convert("L") if draws.integer(1, 100) <= GREY_PER_HUNDRED else image


def draw(folder: Path, seed: int, train_per_class: int, val_per_class: int) -> None:
    """Draws the set as `folder/{train,val}/<class>/<class>_<number>.JPEG`, the layout of ILSVRC.

    The folder appears when all is drawn. UserError when it holds something already.
    """
    counts = {"train": train_per_class, "val": val_per_class}
    with (
        new_folder(folder) as temporary,
        tqdm(total=len(CLASSES) * sum(counts.values()), desc="draw", unit=" pictures", disable=None) as bar,
    ):
        for split, count in counts.items():
            for label, name in enumerate(CLASSES):
                (temporary / split / name).mkdir(parents=True)
                for number in range(count):
                    path = temporary / split / name / f"{name}_{number:05d}.JPEG"
                    picture(seed, split, label, number).save(path, "JPEG", quality=90)
                    bar.update()


def _background(draws: Draws, size: tuple[int, int]) -> Image.Image:
    """A few coloured patches, blurred into one another."""
    patches = draws.bytes(4 * 4 * 3).reshape(4, 4, 3)
    middle = draws.integer(50, 150)
    image = Image.fromarray((patches // 4 + middle).astype(np.uint8), "RGB")
    return image.resize((FINE * size[0], FINE * size[1]), Image.BICUBIC)


def _lines(draws: Draws, image: Image.Image, count: int) -> None:
    pen = ImageDraw.Draw(image)
    for _ in range(count):
        ends = [(draws.integer(0, image.width), draws.integer(0, image.height)) for _ in range(2)]
        pen.line(ends, fill=draws.colour(20, 235), width=FINE * draws.integer(1, 4))


def _thing(draws: Draws, image: Image.Image, label: int, side: int) -> None:
    """The shape, textured, near the centre; its radius is 0.3 to 0.45 of the shorter side."""
    radius = side * draws.integer(300, 450) // 1000
    x = image.width // 2 + side * draws.integer(-80, 80) // 1000
    y = image.height // 2 + side * draws.integer(-80, 80) // 1000
    mask = _shape(SHAPES[label // 2], 2 * radius, draws.integer(0, 3599))
    half_period = side * draws.integer(70, 110) // 1000
    dark = _texture(TEXTURES[label % 2], 2 * radius, half_period, draws.integer(0, 3599), draws.integer(0, 10_000))
    hue = label / len(CLASSES) + draws.bell(HUE_SPREAD)
    saturation, value = draws.integer(50, 90) / 100, draws.integer(65, 95) / 100
    shade = draws.integer(35, 55) / 100
    tones = [Image.new("RGB", mask.size, _rgb(hue, saturation, v)) for v in (value, value * shade)]
    image.paste(Image.composite(tones[1], tones[0], dark), (x - radius, y - radius), mask)


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _shape(shape: str, size: int, tenths: int) -> Image.Image:
    """A mask of size×size, turned by `tenths` of a degree."""
    mask = Image.new("L", (size, size))
    pen = ImageDraw.Draw(mask)
    if shape in ("disc", "ring"):
        pen.ellipse((0, 0, size - 1, size - 1), fill=255)
        if shape == "ring":
            hole = size // 4
            pen.ellipse((hole, hole, size - 1 - hole, size - 1 - hole), fill=0)
        return mask
    corners, inner = {"square": (4, 1.0), "triangle": (3, 1.0), "star": (5, 0.42)}[shape]
    points = []
    for k in range(2 * corners):
        angle = math.radians(tenths / 10 + 180 * k / corners)
        if shape != "star" and k % 2:
            continue
        reach = size / 2 * (inner if k % 2 else 1)
        points.append((round(size / 2 + reach * math.cos(angle)), round(size / 2 + reach * math.sin(angle))))
    pen.polygon(points, fill=255)
    return mask


def _texture(texture: str, size: int, half_period: int, tenths: int, phase: int) -> Image.Image:
    """A mask of the texture's dark half, size×size; along turned axes in units of 1/1024 pixel."""
    angle = math.radians(tenths / 10)
    cos, sin = round(1024 * math.cos(angle)), round(1024 * math.sin(angle))
    x = np.arange(size, dtype=np.int32)[None, :]
    y = np.arange(size, dtype=np.int32)[:, None]
    unit = np.int32(1024 * half_period)
    dark = (x * cos + y * sin + phase) // unit
    if texture == "checks":
        dark = dark ^ ((y * cos - x * sin + phase) // unit)
    return Image.fromarray(((dark & 1) * 255).astype(np.uint8), "L")


def _light(draws: Draws, image: Image.Image) -> Image.Image:
    """A gain for the picture (s.d. of its logarithm 0.25) and one for each channel (0.12)."""
    gain = draws.bell(0.25)
    table: list[int] = []
    for _ in range(3):
        factor = round(1024 * math.exp(gain + draws.bell(0.12)))
        table += [min(255, (value * factor + 512) >> 10) for value in range(256)]
    return image.point(table)


def _noise(draws: Draws, image: Image.Image) -> Image.Image:
    """Triangular noise of s.d. 10 grey levels, independent in every pixel and channel."""
    pixels = np.asarray(image)
    two = (draws.bytes(2 * pixels.size) % 25).reshape(2, *pixels.shape)
    noisy = pixels.astype(np.int16) + two[0] + two[1] - 24
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8), "RGB")
