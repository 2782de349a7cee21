"""Models beside networks: what differs is listed and nothing else, the nearest is named, a file of weights says what it can."""

import json

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from replicate import networks
from replicate.errors import UserError
from replicate.modules import build
from replicate.modules.build import Net
from replicate.modules.tell import words
from replicate.modules.tell.ask import ask, parsed
from replicate.modules.tell.compare import compare
from replicate.modules.tell.weights_file import look_at_file, look_at_shapes
from replicate.networks import load

SIDE = 96  # small enough to try its layers quickly; the paper's net has the same sides in proportion


def altered(name, **changes):
    """A module of the network `name` with fields of single layers changed: layer={field: value}, None to leave it out."""
    network = load(name)
    layers = []
    for layer in network.layers:
        change = changes.get(layer.name, {})
        if change is not None:
            layers.append(layer.model_copy(update=change))
    return lambda: Net(network.model_copy(update={"layers": layers}), 10, SIDE)


def differences(model, name="paper", **options):
    _, (comparison,) = ask(model, name, (3, SIDE, SIDE), **{"classes": 10, **options})
    return {(d.layer, d.what) for d in comparison.differences}


@pytest.mark.parametrize(
    ("layer", "change", "what"),
    [
        ("conv1", {"kernel_size": 9}, {"kernel_size"}),
        ("conv1", {"stride": 5}, {"stride"}),
        ("conv2", {"padding": 3, "kernel_size": 7}, {"kernel_size", "zeros"}),
        ("conv4", {"groups": 1}, {"groups"}),
        ("conv5", {"bias": False}, {"bias"}),
        ("lrn1", {"alpha": 2e-4}, {"alpha"}),
        ("lrn1", {"k": 1.0}, {"k"}),
        ("lrn2", {"beta": 0.5}, {"beta"}),
        ("lrn2", {"size": 7}, {"size"}),
        ("lrn1", {"scope": "layer"}, {"towers"}),
        ("lrn1", {"over": "mean"}, {"alpha"}),
        ("relu3", {"kind": "tanh"}, {"kind"}),
        ("pool1", {"kernel_size": 2}, {"kernel_size"}),
        ("pool2", {"stride": 3}, {"stride"}),
        ("pool5", {"kind": "avg_pool"}, {"kind"}),
        ("fc7", {"out": 100}, {"out"}),
        ("dropout6", {"p": 0.25}, {"p"}),
        ("dropout7", {"rescale": "train"}, {"rescale"}),
        ("dropout7", None, {"layer"}),
        ("relu7", None, {"layer"}),
    ],
)
def test_one_altered_constant_is_the_one_difference(layer, change, what):
    found = differences(altered("paper", **{layer: change}))
    assert {(name, w) for name, w in found if w != "inputs"} == {(layer, w) for w in what}


def test_the_mean_of_squares_is_the_sum_with_another_constant():
    """α on the mean of five squares and α/5 on their sum are one layer."""
    lrn = load("paper").layer("lrn1")
    same = {"over": "mean", "alpha": lrn.alpha * lrn.size}
    assert differences(altered("paper", lrn1=same, lrn2=same)) == set()


def test_order():
    caffe, caffenet = (build(name, classes=10, side=SIDE) for name in ("caffe", "caffenet"))
    found = differences(caffenet, "caffe")
    assert {what for _, what in found} == {"order"} and len(found) == 2
    assert differences(caffe, "caffe") == set()


def test_relu_after_max_pooling_or_dropout_is_a_note_and_no_difference():
    def net(late):
        relu, pool, drop = nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout()
        middle = [nn.Flatten(), nn.LazyLinear(20)]
        return nn.Sequential(
            nn.Conv2d(3, 8, 5), *([pool, relu] if late else [relu, pool]), *middle, *([drop, relu] if late else [relu, drop])
        )

    ours, theirs = (ask(net(late), shape=(3, SIDE, SIDE))[0] for late in (True, False))
    assert compare(ours, "paper").differences == compare(theirs, "paper").differences
    assert sum("the same function" in note for note in compare(ours, "paper").notes) == 2
    assert not compare(theirs, "paper").notes


def test_relu_after_average_pooling_is_another_function():
    network = load("cifar-18")
    pool = next(layer.name for layer in network.layers if layer.kind == "avg_pool")
    place = [layer.name for layer in network.layers].index(pool)
    before, after = network.layers[place - 1 : place + 1]
    swapped = [*network.layers[: place - 1], after, before, *network.layers[place + 1 :]]
    model = Net(network.model_copy(update={"layers": swapped}), 10, network.input.side)
    _, (comparison,) = ask(model, "cifar-18")
    assert [d.what for d in comparison.differences] == ["order"]


def test_a_convolution_over_all_there_is_is_a_linear_layer():
    model = altered("paper")()
    convolutional = nn.Sequential(
        *[
            m
            for n, m in model.named_children()
            if n not in ("flatten", "fc6", "relu6", "dropout6", "fc7", "relu7", "dropout7", "fc8")
        ]
    )
    convolutional.extend(
        [nn.Conv2d(256, 4096, 2), model.relu6, model.dropout6, nn.Conv2d(4096, 4096, 1), model.relu7, model.dropout7]
    )
    convolutional.extend([nn.Conv2d(4096, 10, 1), nn.AvgPool2d(1), nn.Flatten()])
    assert differences(convolutional) == set()


def test_batch_normalisation_in_place_of_lrn_is_listed_as_normalisation():
    model = altered("paper")()
    model.lrn1, model.lrn2 = nn.BatchNorm2d(96), nn.BatchNorm2d(256, affine=False)
    look, (comparison,) = ask(model, "paper", (3, SIDE, SIDE), classes=10)
    assert [(d.layer, d.what, words.about(d)) for d in comparison.differences] == [
        (f"lrn{i}", "kind", "normalisation") for i in (1, 2)
    ]
    assert "batch_norm in place of lrn" in words.lines(comparison)[0]


def test_adaptive_pooling_counts_where_it_changes_something():
    def net(side):
        return nn.Sequential(nn.Conv2d(3, 8, 5), nn.MaxPool2d(8), nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.LazyLinear(10))

    shape = (3, 52, 52)
    assert [x.kind for x in ask(net(6), shape=shape)[0].layers] == ["conv", "max_pool", "linear"]
    assert "changes nothing" in " ".join(ask(net(6), shape=shape)[0].notes)
    assert [x.kind for x in ask(net(4), shape=shape)[0].layers] == ["conv", "max_pool", "adaptive_avg_pool", "linear"]
    assert [x.kind for x in ask(net(1), shape=shape)[0].layers] == ["conv", "max_pool", "global_pool", "linear"]


# torchvision's, at its own size.


def test_torchvision_s_model_is_the_network_of_that_name():
    look, (comparison,) = ask(torchvision.models.alexnet, "torchvision")
    assert comparison.differences == [] and look.input == (3, 224, 224)
    found = ask("torchvision.models:alexnet")[1]
    assert "torchvision" in [c.network.name for c in found] and not any(c.differences for c in found)


def test_torchvision_s_model_differs_from_the_paper_s_where_the_descriptions_do():
    look, (comparison,) = ask(torchvision.models.alexnet, "paper")
    found = {(d.layer, d.what): (d.here, d.there) for d in comparison.differences}
    paper, other = load("paper"), load("torchvision")
    for name in ("conv1", "conv2", "conv4"):
        assert found[name, "out"] == (other.layer(name).out, paper.layer(name).out)
    assert {layer for layer, what in found if what == "groups"} == {"conv2", "conv4", "conv5"}
    assert {layer for layer, what in found if what == "layer"} == {"lrn1", "lrn2", "classifier.0", "dropout7"}
    assert found["conv1", "zeros"] == ((2, 1), (0, 3))
    assert words.verdict(look, [comparison], asked=True).startswith("alexnet differs from paper in ")


def test_the_number_of_classes_is_listed_as_such_unless_it_is_asked_for():
    def model():
        return torchvision.models.alexnet(num_classes=7)

    _, (comparison,) = ask(model, "torchvision")
    assert [(d.what, d.here, words.about(d)) for d in comparison.differences] == [("classes", 7, "classes")]
    assert not ask(model, "torchvision", classes=7)[1][0].differences
    assert "torchvision" in [c.network.name for c in ask(model)[1]]


def test_another_input_side_is_listed_unless_it_is_asked_for():
    def model():
        return build("ungrouped", side=227)

    _, (comparison,) = ask(model, "ungrouped")
    assert [(d.layer, d.what, d.here, d.there) for d in comparison.differences] == [("input", "side", 227, 224)]
    assert not ask(model, "ungrouped", (3, 227, 227))[1][0].differences


def test_an_input_side_that_is_asked_for_is_said_beside_the_network_s_own():
    side = load("ungrouped").input.side + 35
    look, (comparison,) = ask(build("ungrouped", side=side), "ungrouped", (3, side, side))
    assert comparison.differences == []
    said = f"ungrouped reads {load('ungrouped').input.side} pixels a side; its counts here are those for {side}"
    assert said in " ".join(words.notes(look, comparison))
    assert comparison.parameters == look.parameters


def test_an_answer_that_is_only_a_part_counts_by_its_classes():
    class Part(nn.Module):
        def __init__(self, outputs, classes):
            super().__init__()
            self.net, self.classes = torchvision.models.alexnet(num_classes=outputs), classes

        def forward(self, x):
            return self.net(x)[:, : self.classes]

    assert words.lines(ask(lambda: Part(1000, 7), "torchvision")[1][0]) == ["answer: 7 classes rather than 1,000"]
    assert words.lines(ask(lambda: Part(12, 7), "torchvision", classes=12)[1][0]) == ["answer: 7 classes rather than 12"]
    look, (comparison,) = ask(lambda: Part(1001, 1000), "torchvision")
    assert words.lines(comparison) == ["fc8: 1,001 classes rather than 1,000"]
    assert "its answer is 1,000 of the 1,001" in " ".join(words.notes(look, comparison))


def test_channels_that_are_reversed_inside_are_a_difference_of_the_input():
    class Reversed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.alexnet()

        def forward(self, x):
            return self.net(x[:, [2, 1, 0]])

    look, (comparison,) = ask(Reversed, "torchvision")
    assert words.lines(comparison) == ["input: the order of the channels is changed inside: 2 1 0"]
    assert [words.about(d) for d in comparison.differences] == ["input"]


def test_a_layer_that_the_network_lacks_is_said_with_its_constants():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.alexnet()

        def forward(self, x):
            return self.net.classifier(3 * self.net.features(x).flatten(1))

    assert words.lines(ask(Scaled, "torchvision")[1][0]) == ["scale: scale, factor 3: not in torchvision"]


def test_networks_that_a_model_cannot_tell_apart_are_all_named():
    _, found = ask(build("paper"))
    names = [c.network.name for c in found]
    assert names[0] == "paper" and "bias-zero" in names and not any(c.differences for c in found)
    assert words.verdict(ask(build("paper"))[0], found, asked=False).startswith("Net is the network paper (the same layers: ")


def test_an_alias_names_the_network():
    alias = load("torchvision").aliases[0].name
    assert ask(torchvision.models.alexnet, alias)[1][0].network.name == "torchvision"


@pytest.mark.parametrize("text", ["3x227", "224", "3x0x224", "axbxc"])
def test_an_input_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="such as 3x227x227"):
        parsed(text)


def test_pictures_that_are_not_square_are_refused():
    with pytest.raises(UserError, match="square pictures, not 3×224×200"):
        ask(torchvision.models.alexnet, shape=(3, 224, 200))


# Files of weights.


def shapes_of(model):
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", networks.names())
def test_the_weights_of_every_network_agree_with_it(name):
    with torch.device("meta"):
        look = look_at_shapes("w", shapes_of(build(name, classes=load(name).classes)))
    comparison = compare(look, name)
    assert comparison.differences == [] and look.parameters == comparison.parameters


def test_a_file_shows_kernels_groups_and_counts_and_says_so(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in torchvision.models.alexnet(num_classes=7).state_dict().items()}, path)
    look, (comparison,) = ask(path, "paper")
    assert {d.what for d in comparison.differences} == {"out", "inputs", "groups", "classes"}
    assert words.FILE_ONLY in words.notes(look, comparison)
    look, found = ask(str(path), classes=7)
    assert "torchvision" in [c.network.name for c in found] and not found[0].differences
    assert words.verdict(look, found, asked=False).startswith(f"{path}: what it shows agrees with ")


def test_two_towers_in_a_file_are_one_network():
    whole = shapes_of(build("soumith"))
    towers = {}
    for name, shape in whole.items():
        if name.startswith("conv"):
            towers |= {f"{side}.{name}": (shape[0] // 2, *shape[1:]) for side in ("left", "right")}
        else:
            towers[name] = shape
    look = look_at_shapes("w", towers)
    assert compare(look, "soumith").differences == []
    assert any("two towers" in note for note in look.notes)


def test_weights_that_do_not_fit_one_another_are_said_to():
    look = look_at_shapes("w", {"a.weight": (8, 3, 5, 5), "b.weight": (7, 5, 3, 3), "c.weight": (10, 100)})
    assert sum("does not fit the outputs before it" in note for note in look.notes) == 2
    lines = words.lines(compare(look, "caffe"))
    assert any("groups unclear rather than" in line for line in lines) and not any("None" in line for line in lines)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.pkl"])
def test_a_pickle_is_not_opened(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    for given in (path, str(path)):
        with pytest.raises(UserError, match="can run code when it is opened.*save_file"):
            ask(given)


def test_a_file_that_is_damaged_missing_or_of_another_layout_is_one_line(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"12345678no")
    for name, said in (("w.safetensors", "not a readable safetensors"), ("none.safetensors", "no such file")):
        with pytest.raises(UserError, match=said):
            look_at_file(tmp_path / name)
    with pytest.raises(UserError, match="transpose"):
        look_at_shapes("w", {"conv1": (11, 11, 3, 96)})
    with pytest.raises(UserError, match="no weights"):
        look_at_shapes("w", {"mean": (3,)})


def test_the_data_for_json_are_plain_and_say_the_same():
    look, found = ask(torchvision.models.alexnet, "paper")
    data = json.loads(json.dumps(words.as_data(look, found, asked=True)))
    assert data["same"] is False and len(data["differences"]) == len(found[0].differences)
    assert data["parameters"] == sum(p.numel() for p in torchvision.models.alexnet().parameters())
    assert [row["there"]["kind"] for row in data["layers"] if row["there"]] == [layer.kind for layer in load("paper").layers]
