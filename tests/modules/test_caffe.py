"""CaffeNet as published: with Caffe's own weights our layers give Caffe's own activations, conv1 to norm2."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from replicate.modules.build import Net
from replicate.networks import load

REFERENCE = Path(os.environ.get("REPLICATE_DATA", "nowhere")) / "reference"
FILES = [REFERENCE / "caffenet_conv12.npz", REFERENCE / "caffenet_cat_activations.npz"]
pytestmark = pytest.mark.skipif(
    not all(file.is_file() for file in FILES), reason="REPLICATE_DATA names no folder with Caffe's weights and activations (reference/)"
)
# Caffe's blob, which it computes in place, and the layer of ours whose output it is.
BLOBS = {"conv1": "relu1", "pool1": "pool1", "norm1": "lrn1", "conv2": "relu2", "pool2": "pool2", "norm2": "lrn2"}


def activations(description) -> dict[str, torch.Tensor]:
    """What the first two layers of `description` answer to Caffe's picture, with Caffe's weights, by layer."""
    weights, caffe = (np.load(file, allow_pickle=False) for file in FILES)
    first = description.layers[: [layer.name for layer in description.layers].index("conv3")]
    with torch.device("meta"):
        net = Net(description, 1000, description.input.side)
    seen, x = {}, torch.from_numpy(caffe["data"])[None]
    for layer in first:
        module = net.get_submodule(layer.name)
        if layer.kind == "conv":
            module.weight = torch.nn.Parameter(torch.from_numpy(weights[f"{layer.name}_w"]))
            module.bias = torch.nn.Parameter(torch.from_numpy(weights[f"{layer.name}_b"]))
        with torch.no_grad():
            x = seen[layer.name] = module(x)
    return seen


def parted(description) -> list[str]:
    """Blobs that differ by more than 1e-5 of Caffe's largest activation."""
    caffe, seen = np.load(FILES[1], allow_pickle=False), activations(description)
    return [
        blob for blob, layer in BLOBS.items()
        if np.abs(seen[layer][0].numpy() - caffe[blob]).max() > 1e-5 * np.abs(caffe[blob]).max()
    ]  # fmt: skip


def test_caffe_s_own_activations_come_out():
    assert parted(load("caffenet")) == []


@pytest.mark.parametrize(
    "change", [{"k": 2.0}, {"over": "sum"}, {"scope": "tower"}, {"size": 3}], ids=["k", "sum", "tower", "size"]
)
def test_any_other_reading_of_the_normalisation_does_not_give_them(change):
    network = load("caffenet")
    towers = 2 if "scope" in change else network.towers
    layers = [layer.model_copy(update=change) if layer.kind == "lrn" else layer for layer in network.layers]
    assert "norm1" in parted(network.model_copy(update={"layers": layers, "towers": towers}))
