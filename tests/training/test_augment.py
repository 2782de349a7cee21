"""Crops, reflections and colour noise of section 4.1, as arrays over the pictures."""

import numpy as np
import pytest

from replicate.evidence.measures import DERIVED
from replicate.networks import load
from replicate.paper import claims
from replicate.pictures.crops import Reading
from replicate.pictures.pca import read as read_pca
from replicate.settings import load_from
from replicate.training.augment import colour_axes, draw
from tests.conftest import ROOT


@pytest.fixture
def recipe(small_profile):
    return small_profile.settings.recipe


@pytest.fixture
def pca(small_profile):
    return read_pca(small_profile.pca)


def test_every_position_that_fits_is_drawn(recipe, pca):
    """As many different crops as the paper's sizes give."""
    crop, side = load("paper").input.side, claims()["resize-crop-256"].value
    drawn = draw(recipe.model_copy(update={"crop": crop}), pca, 20_000, side, seed=1, epoch=0)
    assert set(drawn.rows) == set(drawn.columns) == set(range(side - crop + 1))
    different = set(zip(drawn.rows, drawn.columns, drawn.mirrored, strict=True))
    assert len(different) == DERIVED["crops_and_reflections"]("paper", "resize-crop-256").value
    assert drawn.mirrored.mean() == pytest.approx(0.5, abs=0.02)


def test_one_colour_shift_a_picture_until_it_is_shown_again(recipe, pca):
    """Three numbers a picture, added to all its pixels alike; another three in the next epoch."""
    first, again = (draw(recipe, pca, 50, 36, seed=1, epoch=epoch).shift for epoch in (0, 1))
    assert first.shape == (50, 3) and len(np.unique(np.concatenate([first, again]), axis=0)) == 100
    grey = np.full((50, 36, 36, 3), 128, np.uint8)
    reading = Reading.of(load("paper").input, np.zeros((36, 36, 3)))
    added = reading.cut(grey, *np.zeros((2, 50), int), np.zeros(50, bool), 20, first) - 128.0
    np.testing.assert_allclose(added, np.broadcast_to(first[:, None, None], added.shape), atol=1e-4)


def test_a_function_of_seed_epoch_and_picture(recipe, pca):
    def all_of(*args):
        d = draw(recipe, pca, *args)
        return np.column_stack([d.rows, d.columns, d.mirrored, d.shift])

    first = all_of(100, 36, 1, 3)
    assert np.array_equal(first, all_of(100, 36, 1, 3))
    assert np.array_equal(first, all_of(150, 36, 1, 3)[:100])
    for other in (all_of(100, 36, 2, 3), all_of(100, 36, 1, 4)):
        assert not np.array_equal(first, other)


def test_colour_noise_lies_along_the_eigenvectors_with_their_size(recipe, pca):
    shift = draw(recipe, pca, 200_000, 36, seed=1, epoch=0).shift
    along = shift @ np.array(pca.eigenvectors)
    assert along.std(0) == pytest.approx(0.1 * np.sqrt(pca.eigenvalues), rel=0.02)
    assert np.corrcoef(along.T) == pytest.approx(np.eye(3), abs=0.02)


def test_the_printed_formula_depends_on_the_unit(recipe, pca):
    literal = colour_axes(recipe.model_copy(update={"colour_noise": recipe.colour_noise.model_copy(update={"reading": "literal"})}), pca)
    root = colour_axes(recipe, pca)
    assert np.linalg.norm(literal, axis=0) == pytest.approx(np.array(pca.eigenvalues) / 255)
    assert np.linalg.norm(root, axis=0) == pytest.approx(np.sqrt(pca.eigenvalues))


def test_switched_off(recipe, pca):
    off = recipe.model_copy(update={"crops": "centre", "reflections": False, "colour_noise": recipe.colour_noise.model_copy(update={"reading": "none"})})
    drawn = draw(off, pca, 50, 36, seed=1, epoch=0)
    assert set(drawn.rows) == set(drawn.columns) == {2}
    assert not drawn.mirrored.any() and not drawn.shift.any()


def test_consecutive_pictures_share_their_crop_and_reflection(recipe, pca):
    """In the order in which the epoch shows them; their colours stay their own."""
    shared = recipe.model_copy(update={"crops_shared_by": 32})
    order = np.random.default_rng(0).permutation(np.arange(10, 110))  # of 120 pictures the epoch shows 100
    drawn = draw(shared, pca, 120, 36, 1, 3, order)
    crops = np.column_stack([drawn.rows, drawn.columns, drawn.mirrored])[order]
    blocks = [crops[start : start + 32] for start in range(0, 100, 32)]
    assert all((block == block[0]).all() for block in blocks)
    assert len({tuple(block[0]) for block in blocks}) == len(blocks)
    assert len(np.unique(drawn.shift, axis=0)) == 120
    again = draw(shared, pca, 120, 36, 1, 3, order)
    assert np.array_equal(again.rows, drawn.rows) and np.array_equal(again.mirrored, drawn.mirrored)


def test_each_picture_has_its_own_crop_whatever_the_order(recipe, pca):
    order = np.random.default_rng(0).permutation(120)
    one, other = draw(recipe, pca, 120, 36, 1, 3), draw(recipe, pca, 120, 36, 1, 3, order)
    assert np.array_equal(one.rows, other.rows) and np.array_equal(one.mirrored, other.mirrored)


def test_noise_and_division_end_together_after_their_last_epoch(recipe, pca):
    noise = recipe.colour_noise.model_copy(update={"divisor": 1.1, "until_epoch": 2})
    drawn = [draw(recipe.model_copy(update={"colour_noise": noise}), pca, 50, 36, 1, epoch) for epoch in range(4)]
    assert [one.shift.any() for one in drawn] == [True, True, False, False]
    assert [one.divisor for one in drawn] == [1.1, 1.1, 1, 1]
    assert np.array_equal(drawn[1].shift, draw(recipe, pca, 50, 36, 1, 1).shift)


def test_the_2012_code_divides_by_one_more_than_the_deviation():
    """In the runs that follow it, on every profile that has one."""
    profiles = [load_from(ROOT, name).settings for name in ("imagenet", "imagenette")]
    for noise in (settings.recipe_of("code145").colour_noise for settings in profiles):
        assert noise.divisor == pytest.approx(1 + noise.std)
