"""A worked example of local response normalisation (section 3.3): the same activities in each reading."""

from replicate.networks import Network, load
from replicate.networks.description import LRN, Conv
from replicate.networks.normalisation import normalise
from replicate.report.table import Column, Row, Table

# Outputs of a first layer at one position, before the ReLU: our choice, large enough for the readings to part.
ACTIVITIES = [40.0, -60.0, 120.0, 90.0, 150.0, 30.0, -80.0, 10.0]
NETWORKS = ["paper", "ungrouped", "code145", "caffe", "torchvision"]  # a reading each


def lrn_example() -> Table:
    """Activities of neighbouring maps before and after the first layer's ReLU and normalisation, reading by reading."""
    nets = [load(name) for name in NETWORKS]
    towers = load(NETWORKS[0]).towers
    after = {net.name: respond(net, ACTIVITIES) for net in nets}
    rows: list[Row] = [
        {"map": i + 1, "tower": i * towers // len(ACTIVITIES) + 1, "before": a, **{name: after[name][i] for name in after}}
        for i, a in enumerate(ACTIVITIES)
    ]
    return Table(
        name="lrn-example",
        caption=(
            f"Local response normalisation of {len(ACTIVITIES)} neighbouring maps at one position, {towers} towers of "
            f"{len(ACTIVITIES) // towers}: before, and after ReLU and normalisation as each network has them."
        ),
        columns=[
            Column("map", "map", format="d"),
            Column("tower", "tower", format="d"),
            Column("before", "before", format=".1f"),
            *(Column(net.name, net.name, format=".3f") for net in nets),
        ],
        rows=rows,
        note=f"{'; '.join(f'{net.name}: {reading(net)}' for net in nets)}. Derived from the descriptions; the activities are made up.",
    )


def respond(network: Network, activities: list[float]) -> list[float]:
    """What ReLU and normalisation of the first layer make of its outputs, in the network's own order."""
    for layer in _first(network):
        if isinstance(layer, LRN):
            activities = normalise(activities, layer, network.towers)
        elif layer.kind == "relu":
            activities = [max(0.0, a) for a in activities]
    return activities


def reading(network: Network) -> str:
    """The first layer's normalisation in words."""
    kinds = [layer.kind for layer in _first(network)]
    lrn = next((layer for layer in _first(network) if isinstance(layer, LRN)), None)
    if lrn is None:
        return "ReLU only"
    parted = network.towers > 1 and lrn.scope == "tower"
    order = "before" if kinds.index("lrn") < kinds.index("relu") else "after"
    over = f"the {lrn.over} of {lrn.size} squares"
    return f"k = {lrn.k:g}, alpha {lrn.alpha:g} on {over}, {'inside a tower' if parted else 'across all maps'}, {order} the ReLU"


def _first(network: Network) -> list:
    """The layers between the first convolution and the next one."""
    learned = [i for i, layer in enumerate(network.layers) if isinstance(layer, Conv)]
    return network.layers[learned[0] + 1 : learned[1]]
