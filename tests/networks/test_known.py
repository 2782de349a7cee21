"""The known networks: all there, each with its source, none twice; a file in the folder is all that a new one needs."""

from itertools import combinations

import pytest

from replicate.errors import UserError
from replicate.networks import count, load, names
from replicate.networks.description import Weighted, aliases

KNOWN = {
    "the paper and its ablations": "paper one-gpu ungrouped non-overlapping no-lrn no-dropout tanh no-conv2 no-conv3 no-conv4 no-conv5",
    "the 2012 code": "code145 code145-half code147 code148 code149 code150 code153 code166 code167 code177",
    "the 2012 code, six convolutions": "code146 code146-fall2009 code146-fall2011 sixth-layer",
    "CIFAR-10": "cifar-26 cifar-19 cifar-19-tanh cifar-18 cifar-13 cifar-12 cifar-11",
    "libraries": "caffe caffenet torchvision onnx mxnet mxnet-symbol mxnet-gluon chainer matlab paddle tf-slim tf-benchmarks",
    "One weird trick": "cuda-convnet2 owt-paper alexnetowt alexnetowtbn soumith",
    "reimplementations": "jiecaoyu kratzert theano dansuh17 mbrukman matconvnet matconvnet-bn holmesshuan d2l",
    "recommended instead": "bn global-pool 3x3-stem",
    "for comparison": "lenet5 literal-224 bias-zero cifar-19-sigmoid",
}
ABOUT = {"name", "title", "source", "aliases", "base", "changes", "published", "notes"}  # says nothing of what the net computes
FROM_2012 = [name for name in names() if load(name).source.startswith(("computerhistory/", "cuda-convnet (2012)"))]


def essence(name: str) -> dict:
    """What a description says of the net itself, whatever its layers are called."""
    said = load(name).model_dump(exclude=ABOUT)
    return said | {"layers": [{key: value for key, value in layer.items() if key != "name"} for layer in said["layers"]]}


@pytest.mark.parametrize("name", " ".join(KNOWN.values()).split())
def test_a_known_network_can_be_loaded_and_counted(name):
    assert sum(row.parameters for row in count(load(name))) > 0


@pytest.mark.parametrize("name", names())
def test_every_network_says_what_it_is_and_where_it_comes_from(name):
    network = load(name)
    assert network.title and network.source
    assert all(alias.source for alias in network.aliases)
    assert network.published is None or network.published.source


@pytest.mark.parametrize("name", FROM_2012)
def test_the_networks_of_the_2012_code_are_counted_layer_by_layer(name):
    network = load(name)
    assert set(network.published.layers) == {layer.name for layer in network.layers if isinstance(layer, Weighted)}
    assert network.published.parameters == sum(layer.parameters for layer in network.published.layers.values())


@pytest.mark.parametrize("alias", aliases())
def test_an_alias_gives_its_network(alias):
    assert load(alias) is load(aliases()[alias]) and alias not in names()


def test_no_two_files_describe_the_same_network():
    essences = {name: essence(name) for name in names()}
    assert [pair for pair in combinations(names(), 2) if essences[pair[0]] == essences[pair[1]]] == []


def test_a_file_in_the_folder_is_a_network(folder):
    text = (folder / "paper.yaml").read_text()
    (folder / "wider.yaml").write_text(text.replace("name: paper", "name: wider").replace("out: 4096", "out: 8192"))
    rows = {name: {row.name: row for row in count(load(name))} for name in names()}
    assert sorted(rows) == ["paper", "wider"]
    assert rows["wider"]["fc6"].weights == 2 * rows["paper"]["fc6"].weights


def test_an_alias_that_is_a_network_s_name_is_an_error(folder):
    text = (folder / "paper.yaml").read_text()
    (folder / "other.yaml").write_text(text.replace("name: paper", "name: other", 1) + "aliases: [{name: paper, source: nowhere}]\n")
    with pytest.raises(UserError, match="networks/other.yaml: aliases: 'paper'"):
        aliases()


def test_the_text_s_normalisation_is_the_code_s_times_the_window():
    text, code = (load(name).layer("lrn1") for name in ("paper", "code145"))
    assert text.alpha_on_sum == pytest.approx(text.size * code.alpha_on_sum)


def test_two_writings_of_caffe_s_normalisation_are_one():
    assert load("kratzert").layer("lrn1").alpha_on_sum == pytest.approx(load("caffe").layer("lrn1").alpha_on_sum)


def test_the_3x3_stem_gives_the_maps_of_conv1():
    stem, paper = ({row.name: row for row in count(load(name))} for name in ("3x3-stem", "paper"))
    assert stem["conv1c"].output == paper["conv1"].output
    assert stem["conv2"].input == paper["conv2"].input
