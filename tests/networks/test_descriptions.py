"""The YAML files: complete, strict, and ablations that differ from their base in the stated fields only."""

import pytest
import yaml

from replicate.errors import UserError
from replicate.files import parse
from replicate.networks import Network, count, load, names
from replicate.networks.description import FOLDER


def differences(a: dict, b: dict) -> set[str]:
    """Paths in which two descriptions differ; layers are found by name, a missing one is its own path."""
    found = {key for key in ("towers", "input", "classes", "rounding") if a[key] != b[key]}
    ours, theirs = ({layer["name"]: layer for layer in net["layers"]} for net in (a, b))
    for name in ours.keys() | theirs.keys():
        if name not in ours or name not in theirs:
            found.add(f"layers.{name}")
        else:
            keys = ours[name].keys() | theirs[name].keys()
            found |= {f"layers.{name}.{key}" for key in keys if ours[name].get(key) != theirs[name].get(key)}
    return found


@pytest.mark.parametrize("name", [name for name in names() if load(name).base])
def test_an_ablation_differs_in_the_stated_fields_only(name):
    network = load(name)
    assert differences(network.model_dump(), load(network.base).model_dump()) == set(network.changes)


@pytest.mark.parametrize("name", [name for name in names() if load(name).base])
def test_an_ablation_keeps_the_order_of_layers(name):
    network, base = load(name), load(load(name).base)
    kept = [layer.name for layer in network.layers if layer.name in {b.name for b in base.layers}]
    assert kept == [layer.name for layer in base.layers if layer.name in kept]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "blue"}, "colour: unknown key"),
        ({"towers": 0}, "towers"),
        ({"towers": 7}, "lrn1"),
        ({"classes": 1}, "classes"),
        ({"layers": []}, "layers"),
    ],
)
def test_a_fault_is_named(change, said):
    data = yaml.safe_load((FOLDER / "paper.yaml").read_text()) | change
    with pytest.raises(UserError, match=f"networks/paper.yaml: .*{said}"):
        parse(Network, data, "networks/paper.yaml")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'paper'"):
        load("papre")


def test_a_side_too_small_is_one_line():
    with pytest.raises(UserError, match="larger input side"):
        count(load("paper"), side=20)


@pytest.mark.parametrize("side", [96, 120, 128, 160, 192, 224])
def test_non_overlapping_pooling_keeps_fc6(side):
    fc6 = [next(row for row in count(load(name), side=side) if row.name == "fc6") for name in ("paper", "non-overlapping")]
    assert fc6[0].input[1:] == fc6[1].input[1:]


@pytest.mark.parametrize("side", [104, 112, 144])
def test_other_sides_do_not(side):
    fc6 = [next(row for row in count(load(name), side=side) if row.name == "fc6") for name in ("paper", "non-overlapping")]
    assert fc6[0].input != fc6[1].input
