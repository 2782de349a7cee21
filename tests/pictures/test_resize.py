"""The resize: exact whole numbers below 2^24, equal to the same sums in Python, within a grey level of torch's in float64."""

import numpy as np
import pytest
import torch

from replicate.pictures.resize import COLUMN_BITS, FINE, OVERSHOOT, ROW_BITS, central_square, weights

SIZES = [(375, 500), (500, 333), (256, 300), (64, 64), (40, 31), (1200, 900), (20, 500)]


def noise(height, width):
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def in_whole_numbers(pixels, side, filter):
    """The same in 64-bit integers, one number at a time."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    tall, wide = side * height // short, side * width // short
    top, left = int(round((tall - side) / 2)), int(round((wide - side) / 2))
    rows, y0 = weights(height, tall, top, side, filter, ROW_BITS)
    columns, x0 = weights(width, wide, left, side, filter, COLUMN_BITS)
    padded = np.pad(pixels.astype(np.int64), ((0, rows.shape[1]), (0, columns.shape[1]), (0, 0)))
    out = np.empty((side, side, 3), np.uint8)
    for y in range(side):
        line = sum(int(w) * padded[y0[y] + k] for k, w in enumerate(rows[y]))
        half = np.trunc(line / 2 ** (ROW_BITS - FINE) + 0.5).astype(np.int64)
        for x in range(side):
            value = sum(int(w) * half[x0[x] + k] for k, w in enumerate(columns[x]))
            out[y, x] = np.clip(value / 2 ** (FINE + COLUMN_BITS) + 0.5, 0, 255).astype(np.uint8)
    return out


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_float32_gives_the_whole_numbers_exactly(size, filter):
    pixels = noise(*size)
    np.testing.assert_array_equal(central_square(pixels, 48, filter), in_whole_numbers(pixels, 48, filter))


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("side", [1, 2, 29, 30, 31, 32, 33])
def test_any_number_of_rows_and_of_weights(side, filter):
    """Rows are summed some at a time, and weights too; none is left out where their number is no multiple of that."""
    for size in [(40, 44), (55, 50), (70, 75)]:
        pixels = noise(*size)
        np.testing.assert_array_equal(central_square(pixels, side, filter), in_whole_numbers(pixels, side, filter))


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
def test_no_sum_reaches_what_float32_cannot_hold(filter):
    for size in (48, 49, 90, 375, 3000):
        for bits in (ROW_BITS, COLUMN_BITS):
            magnitudes = np.abs(weights(size, 48, 0, 48, filter, bits)[0]).sum(1)
            assert magnitudes.max() <= OVERSHOOT * 2**bits
    assert 255 * OVERSHOOT * 2**ROW_BITS < 2**24
    assert 255 * 2**FINE * OVERSHOOT**2 * 2**COLUMN_BITS < 2**24


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_one_colour_stays_what_it_is(filter, level):
    for size in SIZES:
        assert (central_square(np.full((*size, 3), level, np.uint8), 48, filter) == level).all()


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [size for size in SIZES if min(size) != 48])
def test_it_is_torch_s_antialiased_resize(size, filter):
    pixels, side = noise(*size), 48
    tall, wide = (side * n // min(size) for n in size)
    channels = torch.from_numpy(pixels.copy())[None].permute(0, 3, 1, 2).double()
    theirs = torch.nn.functional.interpolate(channels, size=(tall, wide), mode=filter, antialias=True, align_corners=False)
    top, left = int(round((tall - side) / 2)), int(round((wide - side) / 2))
    theirs = theirs[0].permute(1, 2, 0)[top : top + side, left : left + side].clamp(0, 255).numpy()
    assert np.abs(central_square(pixels, side, filter) - theirs).max() < 1


def test_a_picture_in_another_order_of_memory():
    pixels = noise(300, 400)
    np.testing.assert_array_equal(central_square(np.asfortranarray(pixels), 64, "bilinear"), central_square(pixels, 64, "bilinear"))
