"""Whoever alters a constant of the network `paper` turns the verdict of a claim: every field of every layer, one by one."""

import pytest

from replicate.evidence import measures_arithmetic, measures_definitions, measures_settings
from replicate.evidence import verdicts as rule
from replicate.evidence.measures import family
from replicate.evidence.verdicts import Case, judge_claim
from replicate.networks import Network, load
from replicate.paper import claims
from replicate.settings import load_from
from tests.conftest import ROOT

# Three colours do not make two groups; a padding of 1 leaves the side that the figure gives (and is altered to 2 below).
IN_VAIN = {("conv1", "groups"), ("conv1", "padding")}
OTHERWISE = {  # what each field of a layer is altered to
    "out": lambda out: out if out == "classes" else out // 2,
    "kernel_size": lambda size: size - 1,
    "size": lambda size: size + 2,
    "stride": lambda stride: stride + 1,
    "padding": lambda padding: padding + 1,
    "groups": lambda groups: 3 - groups,
    "bias": lambda bias: not bias,
    "p": lambda p: p / 2,
    "alpha": lambda alpha: alpha / 5,
    "beta": lambda beta: beta / 2,
    "k": lambda k: k - 1,
    "over": lambda over: "mean",
    "neighbours": lambda neighbours: "space",
    "rescale": lambda rescale: "train",
    "init": lambda init: init | {"std": 2 * init["std"]},
    "kind": lambda kind: {"relu": "tanh", "max_pool": "avg_pool"}.get(kind, kind),
}
OF_THE_NET = {
    "input.side": lambda net: net["input"].update(side=227),
    "input.channels": lambda net: net["input"].update(channels="BGR"),
    "input.scale": lambda net: net["input"].update(scale=0.5),
    "input.mean": lambda net: net["input"].update(mean=[1.0, 2.0, 3.0]),
    "input.std": lambda net: net["input"].update(std=[1.0, 2.0, 3.0]),
    "rounding.conv": lambda net: net["rounding"].update(conv="down"),
    "towers": lambda net: net.update(towers=1),
    "classes": lambda net: net.update(classes=999),
    "a bias of 1": lambda net: net["layers"][0]["init"].update(bias=1.0),
    "a truncated Gaussian": lambda net: net["layers"][0]["init"].update(truncated=True),
    "scope": lambda net: [layer.update(scope="layer") for layer in net["layers"] if layer["kind"] == "lrn"],
    "padding of the first layer": lambda net: net["layers"][0].update(padding=2),
    "a layer less": lambda net: net["layers"].pop(-2),
}
# Names are ours, and so is the scope of a single normalisation: the text's is another. The rounding of the pooling does
# nothing at this side, where all divide evenly.
NO_CONSTANT = {"name", "scope"}


def alterations():
    """Every field of every layer of `paper`, and those of the whole net: (name, description)."""
    for name, change in OF_THE_NET.items():
        description = load("paper").model_dump()
        change(description)
        yield name, description
    for i, layer in enumerate(load("paper").model_dump()["layers"]):
        for field in layer.keys() - NO_CONSTANT:
            description = load("paper").model_dump()
            description["layers"][i][field] = OTHERWISE[field](layer[field])
            if description["layers"][i] != layer and (layer["name"], field) not in IN_VAIN:
                yield f"{layer['name']}.{field}", description


ALTERATIONS = dict(sorted(alterations()))


def judged(case: Case) -> dict[str, str]:
    """Verdicts on what is derived and what is set: trainings aside."""
    of_networks = [c for c in claims().values() if c.measure_name and family(c.measure_name) in ("derived", "setting")]
    return {claim.id: judge_claim(claim, case).verdict for claim in of_networks}


@pytest.fixture(scope="module")
def case():
    return Case(load_from(ROOT, "imagenet").settings, "imagenet", None, {}, {})


@pytest.fixture(scope="module")
def before(case):
    return judged(case)


@pytest.mark.parametrize("altered", ALTERATIONS)
def test_every_constant_of_the_network_decides_some_claim(altered, case, before, monkeypatch):
    network = Network.model_validate(ALTERATIONS[altered])
    for module in (measures_arithmetic, measures_definitions, measures_settings, rule):
        monkeypatch.setattr(module, "load", lambda name: network if name == "paper" else load(name))
    assert judged(case) != before
