"""What a network's description says, item by item, in few words: cells of the table that sets networks side by side."""

from collections import Counter
from collections.abc import Callable

from replicate.errors import unknown
from replicate.evidence.shown import shown
from replicate.networks import Network, count, load, receptive, totals
from replicate.networks.description import LRN, Activation, Dropout, Gaussian, Init, Pool, Scheme, Weighted
from replicate.paper.claims import claims
from replicate.paper.comparison import COLUMNS, Cell, Item
from replicate.paper.runs import runs

NONE = "none"
WORDS = {
    "conv": "conv", "local": "local", "linear": "fc", "relu": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid", "lrn": "LRN",
    "batch_norm": "batch norm", "max_pool": "pool", "avg_pool": "mean pool", "global_pool": "mean", "dropout": "dropout",
}  # fmt: skip


def cells(item: Item) -> dict[str, str | None]:
    """What each of the compared networks does about an item: read from its description, or as typed; None where unknown."""
    if item.read is not None:
        [(name, arguments)] = item.read.items()
        if name not in READERS:
            raise unknown("reader of a description", name, READERS)
        return {column: READERS[name](load(column), **arguments) for column in COLUMNS}
    return {column: _said(item.values.get(column)) for column in COLUMNS}


def _said(cell: Cell | None) -> str | None:
    if cell is None:
        return None
    if cell.claim:
        claim = claims()[cell.claim]
        return cell.words or shown(claim.value, claim.unit)
    if cell.stopped:
        return ", ".join(f"{runs()[run].stopped} (run {run})" for run in cell.stopped)
    return cell.typed


def _weighted(network: Network) -> list:
    return [layer for layer in network.layers if isinstance(layer, Weighted)]


def _listed(values: list) -> str:
    return ", ".join(map(str, values))


def _most(named: list[tuple[str, str]]) -> str:
    """`(layer, value)` pairs as the commonest value and the layers that have another: `0.01; 0.03 in conv3, conv4`."""
    common = Counter(value for _, value in named).most_common(1)[0][0]
    others = {value: [name for name, v in named if v == value] for _, value in named if value != common}
    return "; ".join([common, *(f"{value} in {', '.join(names)}" for value, names in others.items())])


def input_side(network: Network) -> str:
    """The side, and rows of zeros that the first layer reads before and after the picture."""
    first, side = receptive.fields(network)[0], network.input.side
    before, after = max(0, -first.first), max(0, first.end - side)
    return f"{side}, zeros {before} + {after}" if before or after else f"{side}"


def rounding(network: Network) -> str:
    both = network.rounding
    return both.conv if both.conv == both.pool else f"conv {both.conv}, pool {both.pool}"


def kernels(network: Network) -> str:
    """Kernels of the layers that read maps, from the first on."""
    return _listed([row.output[0] for row in count(network) if row.kind in ("conv", "local")])


def groups(network: Network) -> str:
    return _listed([row.groups for row in count(network) if row.kind == "conv"])


def towers(network: Network) -> str:
    return str(network.towers)


def sides(network: Network) -> str:
    """Sides of the maps after the first layer and after each pooling."""
    rows = count(network)
    return _listed([row.output[1] for row in rows if row is rows[0] or row.kind in ("max_pool", "avg_pool")])


def order(network: Network, layer: int) -> str:
    """The kinds of layers from one with weights to the next, dropout apart."""
    number, found = 0, []
    for one in network.layers:
        number += isinstance(one, Weighted)
        if number == layer and not isinstance(one, Dropout):
            spatial = isinstance(one, LRN) and one.neighbours == "space"
            found.append(f"{'spatial ' if spatial else ''}{WORDS[one.kind]}")
    return ", ".join(found)


def lrn(network: Network, key: str) -> str:
    """A constant of the normalisation across maps; `alpha` with what it multiplies, `scope` in words."""
    found = [_lrn_word(one, key) for one in network.layers if isinstance(one, LRN) and one.neighbours == "maps"]
    return "; ".join(dict.fromkeys(found)) or NONE


def _lrn_word(layer: LRN, key: str) -> str:
    if key == "alpha":
        on_sum = f", so {layer.alpha_on_sum:g} on the sum" if layer.over == "mean" else ""
        return f"{layer.alpha:g} on the {layer.over}{on_sum}"
    if key == "scope":
        return {"tower": "inside a tower", "layer": "all maps"}[layer.scope]
    return f"{getattr(layer, key):g}"


def spatial_lrn(network: Network) -> str:
    """A normalisation over neighbouring positions of one map."""
    found = [layer for layer in network.layers if isinstance(layer, LRN) and layer.neighbours == "space"]
    return "; ".join(f"{one.size}×{one.size}, k {one.k:g}, {one.alpha_on_sum:g} on the sum" for one in found) or NONE


def pooling(network: Network) -> str:
    found = [f"{p.kernel_size}×{p.kernel_size}, stride {p.stride}" for p in network.layers if isinstance(p, Pool)]
    return "; ".join(dict.fromkeys(found)) or NONE


def init(network: Network) -> str:
    """S.d. of the initial weights, or the rule that gives their spread."""
    return _most([(layer.name, _spread(layer.init)) for layer in _weighted(network)])


def _spread(init: Init) -> str:
    if isinstance(init, Gaussian):
        return f"{init.std:g}{' cut at 2 s.d.' if init.truncated else ''}"
    return init.scheme.replace("_", " ") if isinstance(init, Scheme) else "±1/√(fan in)"


def biases(network: Network) -> str:
    """Initial biases that are not zero."""
    learned = _weighted(network)
    if not all(isinstance(layer.init, Gaussian | Scheme) for layer in learned):
        return "±1/√(fan in)"
    found: dict[float, list[str]] = {}
    for layer in learned:
        if layer.init.bias:
            found.setdefault(layer.init.bias, []).append(layer.name)
    return "; ".join(f"{value:g} in {', '.join(names)}" for value, names in found.items()) or "0"


def dropout(network: Network) -> str:
    """The layers whose outputs are dropped; nonlinearities do not count."""
    last, found = "", []
    for layer in network.layers:
        if isinstance(layer, Dropout):
            found.append(last)
        elif not isinstance(layer, Activation):
            last = layer.name
    return ", ".join(found) or NONE


def dropout_scaling(network: Network) -> str:
    words = {"test": "at test", "train": "in training"}
    return "; ".join(dict.fromkeys(words[one.rescale] for one in network.layers if isinstance(one, Dropout))) or NONE


def pixels(network: Network) -> str:
    """Order of the channels, what is subtracted, what divides."""
    reads = network.input
    mean = {"image": "mean image", "image-centre": "centre of the mean image"}[reads.mean] if reads.reads_mean_image else "mean colour"
    scale = "" if reads.scale == 1 else f", ×{reads.scale:.3g}"
    return f"{reads.channels} − {mean}{scale}{', / s.d.' if reads.std else ''}"


def total(network: Network, of: str) -> str:
    """Parameters, MACs a view or neurons."""
    return f"{getattr(totals(count(network)), of):,}"


READERS: dict[str, Callable[..., str]] = {
    reader.__name__: reader
    for reader in (
        input_side, rounding, kernels, groups, towers, sides, order, lrn, spatial_lrn, pooling, init, biases, dropout,
        dropout_scaling, pixels, total,
    )
}  # fmt: skip
