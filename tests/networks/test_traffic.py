"""What crosses between towers, against what each of their units reads, unit by unit."""

from math import prod

import numpy as np
import pytest

from replicate.errors import UserError
from replicate.networks import Network, count, load, names
from replicate.networks.description import LRN
from replicate.networks.memory import held, of_one_tower
from replicate.networks.traffic import LOSS, must_divide, parts, spans, traffic
from replicate.paper import claims

DIVIDED = [name for name in names() if load(name).towers > 1]


def changed(name: str, layers: dict[str, dict] | None = None, **fields) -> Network:
    """A network with some fields of it and of its layers otherwise."""
    network = load(name)
    altered = [one.model_copy(update=(layers or {}).get(one.name, {})) for one in network.layers]
    return network.model_copy(update={"layers": altered} | fields)


def lacking(network: Network) -> dict[str, int]:
    """How many units of its input each layer with weights reads in tower 0 that tower 0 does not hold; the picture it has."""
    found = {}
    for row in [row for row in count(network) if row.learned][1:]:
        reads, writes, groups = prod(row.input), prod(row.output), row.groups or 1
        own = np.array_split(np.arange(writes), network.towers)[0]
        read = np.isin(np.arange(reads) * groups // reads, own * groups // writes)
        read[np.array_split(np.arange(reads), network.towers)[0]] = False
        found[row.name] = int(read.sum())
    return {name: missing for name, missing in found.items() if missing}


def test_towers_of_the_paper_talk_where_it_says():
    found = traffic(load("paper"))
    assert [one.layer for one in found] == [*claims()["gpu-communication"].value, LOSS]
    shapes = {row.name: row.input for row in count(load("paper"))}
    assert all(one.reads == shapes[one.layer] and one.forward == one.backward == prod(one.reads) / 2 for one in found[:-1])


@pytest.mark.parametrize("name", DIVIDED)
def test_what_crosses_is_what_a_tower_reads_and_does_not_hold(name):
    found = {one.layer: one.forward for one in traffic(load(name))}
    assert found.pop(LOSS) == load(name).classes - load(name).classes // 2
    assert found == lacking(load(name))


@pytest.mark.parametrize(("groups", "talks"), [(1, True), (4, False), (8, False)])
def test_four_towers_get_three_quarters_unless_each_has_groups_of_its_own(groups, talks):
    layers = {name: {"groups": groups} for name in ("conv2", "conv3", "conv4", "conv5")}
    network = changed("paper", layers, towers=4)
    found = {one.layer: one for one in traffic(network)}
    assert {name: one.forward for name, one in found.items() if name != LOSS} == lacking(network)
    assert ("conv2" in found) == talks
    assert found["fc7"].forward == found["fc7"].backward == 3 * network.layer("fc6").out // 4
    assert (found[LOSS].forward, found[LOSS].backward) == (3 * network.classes // 4, 0)


def test_towers_that_read_their_own_only_meet_at_the_scores():
    assert [one.layer for one in traffic(load("no-communication"))] == ["fc8", LOSS]


def test_less_crosses_of_smaller_pictures_and_the_units_are_as_many():
    small, own = ({one.layer: one for one in traffic(load("paper"), side)} for side in (96, None))
    assert small["conv3"].forward < own["conv3"].forward
    assert small["fc7"] == own["fc7"]


@pytest.mark.parametrize(("classes", "towers"), [(10, 2), (11, 2), (10, 4), (3, 2), (1000, 3)])
def test_classes_are_shared_out_as_numpy_does(classes, towers):
    assert parts(classes, towers) == [len(part) for part in np.array_split(np.arange(classes), towers)]


def test_of_uneven_classes_the_device_with_fewer_receives_more():
    loss = traffic(load("paper"), classes=11)[-1]
    assert (loss.layer, loss.reads, loss.forward, loss.backward) == (LOSS, (11,), 6, 0)


@pytest.mark.parametrize("name", DIVIDED)
def test_copies_in_memory_are_what_crosses(name):
    layers = held(load(name))
    own = layers[0].activations + sum(one.activations for one in layers[1:]) // 2
    assert of_one_tower(load(name)).activations - own == sum(one.forward for one in traffic(load(name)) if one.layer != LOSS)


def test_one_tower_has_nobody_to_talk_to():
    assert traffic(load("one-gpu")) == traffic(load("torchvision")) == []


def test_a_normalisation_across_towers_forbids_to_divide_them():
    across = changed("paper", {"lrn2": {"scope": "layer"}})
    assert spans(across) == "lrn2"
    for refuse in (must_divide, traffic):
        with pytest.raises(UserError, match=r"'paper' cannot be divided .*: lrn2 normalises across the towers") as error:
            refuse(across)
    assert "\n" not in str(error.value)


def test_normalisation_in_space_over_the_picture_or_in_one_tower_does_not():
    assert load("code145").layer("spatial2").scope == "layer" and spans(load("code145")) is None
    assert load("ungrouped").layer("lrn1").scope == "layer" and spans(load("ungrouped")) is None
    paper = load("paper")
    of_pixels = LRN.model_validate(paper.layer("lrn1").model_dump() | {"name": "lrn0", "scope": "layer"})
    assert spans(paper.model_copy(update={"layers": [of_pixels, *paper.layers]})) is None


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (changed("paper", towers=3), r"conv2 has \d+ maps or units, which do not go into 3 towers"),
        (changed("paper", {"fc7": {"out": 33}}), "fc7 has 33 maps or units, which do not go into 2 towers"),
        (changed("paper", towers=4), "conv2 reads 2 groups of maps, and there are 4 towers"),
    ],
)
def test_what_does_not_go_evenly_is_refused(network, reason):
    with pytest.raises(UserError, match=reason):
        traffic(network)


@pytest.mark.parametrize("name", names())
def test_every_network_that_we_have_can_be_divided(name):
    must_divide(load(name))
