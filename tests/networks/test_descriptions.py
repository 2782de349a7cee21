"""The YAML files: complete, strict, and ablations that differ from their base in the stated fields only."""

import pytest
import yaml

from replicate.errors import UserError
from replicate.files import parse
from replicate.networks import Network, count, load, names
from replicate.networks.description import FOLDER, AnyLayer
from replicate.networks.normalisation import normalise
from replicate.report import tables


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


def refused(folder, name, data) -> str:
    """What is wrong with the network `name`, the file's name left out."""
    (folder / f"{name}.yaml").write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
    load.cache_clear()
    with pytest.raises(UserError) as error:
        load(name)
    line = str(error.value)
    assert line.startswith(f"networks/{name}.yaml: ") and "\n" not in line
    return line.removeprefix(f"networks/{name}.yaml: ")


def paper() -> dict:
    return yaml.safe_load((FOLDER / "paper.yaml").read_text())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "blue"}, "colour: unknown key"),
        ({"towers": 0}, "towers: must be above 0, is 0"),
        ({"towers": 7}, "layers: lrn1: 96 maps do not split into 7 towers"),
        ({"towers": None}, "towers: must be a whole number, is empty"),
        ({"classes": 1}, "classes: must be at least 2, is 1"),
        ({"layers": []}, "layers: must have at least 1"),
        ({"layers": None}, "layers: must be a list, is empty"),
        ({"layers": ["conv1"]}, "layers: number 1: must be a mapping of keys to values, is 'conv1'"),
        ({"layers": [{"kind": "relu"}]}, "layers: number 1: name: missing"),
        ({"rounding": {"conv": "up"}}, "rounding: pool: missing"),
        ({"rounding": {"conv": "up", "pool": "ceil"}}, "rounding: pool: must be 'up' or 'down', is 'ceil'"),
        ({"aliases": [{"name": "alexnet"}]}, "aliases: alexnet: source: missing"),
        ({"changes": ["towers"]}, "changes: of which network? Name it as base"),
        ({"base": "papr"}, "base: unknown network 'papr'; did you mean 'paper'?"),
    ],
)
def test_a_fault_is_named(folder, change, said):
    assert refused(folder, "paper", paper() | change) == said


@pytest.mark.parametrize(
    ("layer", "change", "said"),
    [
        ("pool1", {"kind": None}, "has no 'kind'"),
        ("pool1", {"padding": 2}, "padding 2 is more than half of the window"),
        ("conv1", {"stride": "four"}, "stride: must be a whole number, is 'four'"),
        ("conv1", {"kernel_size": 10.5}, "kernel_size: must be a whole number, is 10.5"),
        ("conv1", {"stride": None}, "stride: missing"),
        ("conv1", {"groups": 5}, "3 -> 96 channels do not split into 5 groups"),
        ("conv1", {"init": 0.01}, "init: must be a mapping of keys to values, is 0.01"),
        ("conv1", {"init": {"std": 0.01}}, "init: bias: missing"),
        ("conv1", {"init": {"std": 0.01, "bias": "one"}}, "init: bias: must be a number, is 'one'"),
        ("conv1", {"init": {"uniform": "fan_out"}}, "init: uniform: must be 'fan_in', is 'fan_out'"),
        ("conv1", {"init": {"scheme": "he_normal", "bias": 0, "std": 1}}, "init: std: unknown key"),
        ("lrn1", {"over": "avg"}, "over: must be 'sum' or 'mean', is 'avg'"),
        ("fc6", {"grups": 2}, "grups: unknown key"),
        ("fc8", {"out": "clases"}, "out: must be a whole number above 0 or 'classes', is 'clases'"),
        ("fc8", {"out": 0}, "out: must be a whole number above 0 or 'classes', is 0"),
    ],
)
def test_a_fault_of_a_layer_is_told_by_the_layer_s_name(folder, layer, change, said):
    data = paper()
    for one in data["layers"]:
        if one["name"] == layer:
            one |= change
            for key in [key for key, value in change.items() if value is None]:
                del one[key]
    assert refused(folder, "paper", data) == f"layers: {layer}: {said}"


def test_a_kind_that_there_is_not_is_told_with_those_that_there_are(folder):
    data = paper()
    data["layers"][3]["kind"] = "maxpool"
    told = refused(folder, "paper", data)
    assert told.startswith("layers: pool1: kind 'maxpool' is none of avg_pool, batch_norm, conv, ")
    assert told.endswith("; did you mean 'max_pool'?")
    kinds = [kind for member in AnyLayer.__args__[0].__args__ for kind in member.model_fields["kind"].annotation.__args__]
    assert all(kind in told for kind in kinds)


def test_the_numbers_that_input_takes(folder):
    assert refused(folder, "paper", paper() | {"input": paper()["input"] | {"mean": "img"}}) == (
        "input: mean: must be 'image', 'image-centre' or a list of numbers, is 'img'"
    )
    assert refused(folder, "paper", paper() | {"input": paper()["input"] | {"std": [1, -1, 1]}}) == (
        "input: std: number 2: must be above 0, is -1"
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_is_called_empty(folder, text):
    assert refused(folder, "other", text) == "empty"


def test_a_file_that_is_a_list_is_refused(folder):
    assert refused(folder, "other", "- conv1\n") == "must be a mapping of keys to values"


def test_a_file_and_its_name_go_together(folder):
    assert refused(folder, "other", paper()) == "name: is 'paper', must be the file's"


def test_an_alias_that_is_a_network_s_name_is_noticed_on_loading_and_in_the_table(folder):
    said = "aliases: 'paper' is the name of another network"
    assert refused(folder, "other", paper() | {"name": "other", "aliases": [{"name": "paper", "source": "nowhere"}]}) == said
    with pytest.raises(UserError, match=said):
        tables.build("networks")


def test_an_alias_of_two_networks_is_noticed_in_the_table(folder):
    for name in ("one", "other"):
        data = paper() | {"name": name, "aliases": [{"name": "alexnet", "source": "nowhere"}]}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(UserError, match=r"networks/other.yaml: aliases: 'alexnet' is another name of 'one' already"):
        tables.build("networks")


def test_in_a_net_of_one_tower_both_scopes_are_one():
    lrn, activities = load("one-gpu").layer("lrn1"), [1.0, -2.0, 30.0, 4.0]
    tower, layer = (lrn.model_copy(update={"scope": scope}) for scope in ("tower", "layer"))
    assert normalise(activities, tower, 1) == normalise(activities, layer, 1) != normalise(activities, tower, 2)


def test_other_files_are_told_in_the_same_words_with_pydantic_s_places():
    with pytest.raises(UserError, match=r"^a\.json: layers\.0: kind 'maxpool' is none of .*; did you mean 'max_pool'\?$"):
        parse(Network, paper() | {"layers": [{"name": "a", "kind": "maxpool"}]}, "a.json")


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
