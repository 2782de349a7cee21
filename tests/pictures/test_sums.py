"""The exact sums: against NumPy's in 64 bits, and at the bounds where the small integers would overflow."""

import numpy as np
import pytest

from replicate.pictures import sums


def expected(pixels):
    wide = pixels.reshape(-1, 3).astype(np.int64)
    return wide.sum(axis=0), wide.T @ wide


@pytest.mark.parametrize("pixels", [1, 2, 63, 64, 65, 66, 128, 129, 1000])
def test_moments_of_any_length(pixels):
    x = np.random.default_rng(pixels).integers(0, 256, (pixels, 3), dtype=np.uint8)
    for found, right in zip(sums.moments(x), expected(x), strict=True):
        np.testing.assert_array_equal(found, right)


def test_moments_of_pictures_in_another_order_of_memory():
    x = np.random.default_rng(1).integers(0, 256, (3, 5, 4, 2), dtype=np.uint8).transpose(3, 1, 2, 0)
    np.testing.assert_array_equal(sums.moments(x)[1], expected(np.ascontiguousarray(x))[1])


def test_moments_at_the_bound_of_32_bits():
    assert sums.STEPS * 255**2 < 2**31 <= (sums.STEPS + 2) * 255**2
    bright = np.full(((sums.STEPS + 2) * sums.LANES // 3, 3), 255, dtype=np.uint8)  # one flush, and more
    total, products = sums.moments(bright)
    assert total.tolist() == [len(bright) * 255] * 3
    assert products.tolist() == [[len(bright) * 255**2] * 3] * 3


def test_pictures_at_the_bound_of_16_bits():
    assert sums.PICTURES * 255 < 2**16 <= (sums.PICTURES + 1) * 255
    bright = np.full((sums.PICTURES + 2, 2, 2, 3), 255, dtype=np.uint8)
    assert (sums.sum_of_pictures(bright) == len(bright) * 255).all()


def test_the_sum_of_no_pictures_is_zero():
    assert sums.sum_of_pictures(np.empty((0, 2, 2, 3), np.uint8)).tolist() == np.zeros((2, 2, 3)).tolist()
