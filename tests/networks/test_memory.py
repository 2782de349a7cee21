"""Memory of a training step: it adds up to what the arithmetic counts, and grows with the batch as it should."""

import pytest

from replicate.networks import count, load, names, totals
from replicate.networks.memory import COPIES, NUMBER, held, of_one_tower


@pytest.mark.parametrize("name", names())
def test_it_holds_every_parameter_and_every_output_of_a_layer_with_weights(name):
    network = load(name)
    layers, rows = held(network), count(network)
    sums = totals(rows)
    assert sum(one.parameters for one in layers) == sums.parameters
    learned = {row.name for row in rows if row.learned}
    assert sum(one.activations for one in layers if one.name in learned) == sums.neurons
    assert all(one.gradients == one.activations for one in layers[1:]) and layers[0].gradients == 0


def test_the_batch_multiplies_what_belongs_to_pictures_and_nothing_else():
    for one in held(load("paper")):
        per_picture = one.bytes(1) - one.bytes(0)
        assert one.bytes(128) == one.bytes(0) + 128 * per_picture
        assert one.bytes(0) == NUMBER * COPIES * one.parameters


def test_marks_are_those_of_normalisation_and_dropout():
    marked = {one.name for one in held(load("paper")) if one.marks}
    assert marked == {"lrn1", "lrn2", "dropout6", "dropout7"}
    assert {one.name for one in held(load("no-lrn")) if one.marks} == {"dropout6", "dropout7"}


def test_one_tower_of_one_is_the_whole():
    for name in ("one-gpu", "torchvision"):
        whole = held(load(name))
        assert of_one_tower(load(name)).bytes(7) == sum(one.bytes(7) for one in whole)


def test_a_tower_gets_copies_of_what_it_reads_of_the_other():
    network = load("paper")
    layers = {one.name: one for one in held(network)}
    crossing = ("pool2", "pool5", "fc6", "fc7")  # read by conv3, fc6, fc7, fc8: section 3.5
    copies = sum(layers[name].activations for name in crossing) // 2
    own = sum(one.activations for one in list(layers.values())[1:]) // 2
    tower = of_one_tower(network)
    assert tower.activations == layers["pictures"].activations + own + copies
    assert tower.parameters == totals(count(network)).parameters // 2


def test_towers_that_do_not_talk_get_fewer_copies():
    talking, silent = (of_one_tower(load(name)) for name in ("code145", "code150"))
    wide, narrow = (sum(one.activations for one in held(load(name))[1:]) // 2 for name in ("code145", "code150"))
    assert talking.activations - wide > silent.activations - narrow
