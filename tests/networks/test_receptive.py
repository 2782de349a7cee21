"""Receptive fields: against a walk back from the unit to the pixels, and against published values."""

import pytest

from replicate.networks import count, load, names, receptive

FOLDED = [name for name in names() if load(name).layers[0].kind in ("conv", "local")]


def seen(network, layer, unit):
    """First and last pixel that unit number `unit` of a row of the layer's output can see, walking back through the windows."""
    rows = {row.name: row for row in count(network)}
    first = last = unit
    for one in reversed(network.layers[: network.layers.index(network.layer(layer)) + 1]):
        row = rows[one.name]
        if row.kernel_size:
            first = first * row.stride - row.padding
            last = last * row.stride - row.padding + row.kernel_size - 1
        elif one.kind == "lrn" and one.neighbours == "space":
            first, last = first - one.size // 2, last + one.size // 2
    return first, last


@pytest.mark.parametrize("name", FOLDED)
def test_fields_are_what_a_walk_back_finds(name):
    network = load(name)
    for field in receptive.fields(network):
        if field.size is None:
            continue
        units = field.output[1]
        first, last = seen(network, field.name, 0)
        assert (field.first, field.size) == (first, last - first + 1), field.name
        assert field.end == seen(network, field.name, units - 1)[1] + 1, field.name
        if units > 1:
            assert field.stride == seen(network, field.name, 1)[0] - first, field.name


def test_the_paper_s_net_has_the_published_fields():
    fields = {field.name: (field.size, field.stride) for field in receptive.fields(load("paper"))}
    assert {name: fields[name] for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")} == {
        "conv1": (11, 4), "pool1": (19, 8), "conv2": (51, 8), "pool2": (67, 16), "conv3": (99, 16), "conv4": (131, 16),
        "conv5": (163, 16), "pool5": (195, 32),
    }  # fmt: skip


def test_a_spatial_normalisation_widens_the_field_and_one_across_maps_does_not():
    fields = {field.name: field for field in receptive.fields(load("code145"))}
    assert "lrn1" not in fields and "lrn2" not in fields
    assert fields["spatial2"].size > fields["conv2"].size and fields["spatial2"].stride == fields["conv2"].stride


def test_what_comes_after_a_mean_of_whole_maps_sees_everything():
    for name in ("paper", "global-pool"):
        fields = receptive.fields(load(name))
        whole = [field.size is None for field in fields]
        assert whole == sorted(whole) and whole[-1], name


def test_the_side_can_be_chosen():
    narrow, wide = receptive.fields(load("paper"), side=160)[0], receptive.fields(load("paper"))[0]
    assert narrow.size == wide.size and narrow.end < wide.end
