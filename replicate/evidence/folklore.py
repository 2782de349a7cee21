"""What shows that a popular account is right or wrong: each function computes it anew and says it in a few words.

The paper's numbers come from its claims, those of its runs from the 2012 ledger, counts from the networks' descriptions.
"""

import re
from collections import Counter
from collections.abc import Callable
from itertools import product
from math import exp, prod, sqrt
from typing import Any

from replicate.errors import unknown
from replicate.evidence import side_by_side
from replicate.evidence.shown import shown
from replicate.networks import count, load, receptive, totals
from replicate.networks.description import LRN, Dropout
from replicate.networks.normalisation import normalise, window
from replicate.paper import claims
from replicate.paper.colours import WHITE, axes
from replicate.paper.comparison import TEXT, items
from replicate.paper.ensembles import Ensemble, ensembles
from replicate.paper.runs import difference, pairs, view_gains


def citation(source: str) -> str:
    """Who says otherwise, where there is nothing to compute."""
    return source


def statement(claim: str) -> str:
    """What the paper says, and where."""
    found = claims()[claim]
    return f"the paper, {found.place}: {found.says}"


def logbook(claim: str) -> str:
    """What the 2012 code, its notes and the contest's record show of a statement."""
    return f"2012 code and record: {claims()[claim].code_2012}"


def figures(of: list[str]) -> str:
    """Which figures the paper gives on these statements, if any."""
    return "; ".join(f"{name}: {shown(claims()[name].value, claims()[name].unit) or 'no figure'}" for name in of)


def parameters(networks: list[str]) -> str:
    return ", ".join(f"{name} {totals(count(load(name))).parameters:,}" for name in networks) + " parameters"


def parameter_share(network: str, layers: list[str]) -> str:
    rows = count(load(network))
    share = 100 * sum(row.parameters for row in rows if row.name in layers) / totals(rows).parameters
    return f"{' and '.join(layers)} hold {share:.1f} % of {network}'s parameters"


def over_convolutions(networks: list[str], layer: str) -> str:
    """Parameters of a layer over those of all convolutions."""
    found = []
    for name in networks:
        rows = count(load(name))
        ratio = next(row.parameters for row in rows if row.name == layer) / totals(rows).conv_parameters
        found.append(f"{ratio:.1f} times in {name}")
    return f"{layer} over all convolutions: {', '.join(found)}"


def kinds(network: str) -> str:
    """How many layers of each kind."""
    found = Counter(side_by_side.WORDS[layer.kind] for layer in load(network).layers)
    return f"layers of {network}: {', '.join(f'{n} {kind}' for kind, n in found.items())}"


def order(networks: list[str], layer: int) -> str:
    return f"layer {layer}: " + "; ".join(f"{name} {side_by_side.order(load(name), layer)}" for name in networks)


def dropout(networks: list[str]) -> str:
    """Whose outputs are dropped."""
    return "dropout on the outputs of: " + "; ".join(f"{name} {side_by_side.dropout(load(name))}" for name in networks)


def dropped(network: str) -> str:
    """How many of the neurons dropout is applied to."""
    layers, rows = load(network).layers, count(load(network))
    units = sum(prod(row.output) for layer, row in zip(layers, rows, strict=True) if isinstance(layer, Dropout))
    neurons = totals(rows).neurons
    return f"{units:,} of {neurons:,} neurons ({100 * units / neurons:.1f} %)"


def windows(networks: list[str]) -> str:
    """Where the windows of the first layer lie along a side of the picture."""
    found = []
    for name in networks:
        first, side = receptive.fields(load(name))[0], load(name).input.side
        reach = f"pixels {first.first} to {first.end - 1} of a picture of 0 to {side - 1}"
        found.append(f"{name}: {first.output[1]} windows over {reach}")
    return "; ".join(found)


def depth(network: str, layer: str) -> str:
    """What a kernel of a layer reads."""
    row = next(row for row in count(load(network)) if row.name == layer)
    reads = f"{row.input[0]} maps in {row.groups} groups, {row.input[0] // row.groups} a kernel"
    return f"{layer} of {network}: {reads}; one picture of {load(network).input.maps} channels"


def neurons(network: str, printed: list[str]) -> str:
    """What a list printed in the paper adds up to, and what the network has."""
    sums = totals(count(load(network)))
    listed = sum(claims()[name].value for name in printed)
    return (
        f"the printed list adds up to {listed:,}; {network} has {sums.neurons:,}, in the convolutions {sums.conv_neurons:,}"
    )


def variants(network: str, stored: str) -> str:
    """Different crops and reflections of a stored picture, of a side that a statement gives."""
    positions = claims()[stored].value - load(network).input.side + 1
    return f"{positions} × {positions} positions × 2 = {2 * positions**2:,}"


def lrn_window(network: str, map_number: int) -> str:
    """Which maps one map is normalised with."""
    net = load(network)
    layer = next(layer for layer in net.layers if isinstance(layer, LRN))
    maps = next(row.input[0] for row in count(net) if row.name == layer.name)
    reads = window(map_number, maps, layer.size, net.towers)
    return (
        f"{network}, n = {layer.size}: map {map_number} is normalised with maps {reads[0]} to {reads[-1]}, itself among them"
    )


def lrn_reads(networks: list[str]) -> str:
    """How many maps and positions the sums of each normalisation take in."""
    found = []
    for name in networks:
        sums = [
            f"{layer.size} maps at 1 position" if layer.neighbours == "maps" else f"1 map at {layer.size**2} positions"
            for layer in load(name).layers
            if isinstance(layer, LRN)
        ]
        found.append(f"{name}: {', '.join(sums)}")
    return "; ".join(found)


def lrn_orders(network: str, activities: list[float]) -> str:
    """The first normalisation of a network after the ReLU and before it, on the activities of neighbouring maps."""
    layer = next(layer for layer in load(network).layers if isinstance(layer, LRN))
    after = normalise([max(0.0, a) for a in activities], layer, 1)
    before = [max(0.0, b) for b in normalise(activities, layer, 1)]
    said = [", ".join(f"{value:.4g}" for value in values) for values in (activities, after, before)]
    return f"activities {said[0]}: normalised after the ReLU {said[1]}, before it {said[2]}"


def sigmoid(at: list[float]) -> str:
    """The formula as told, and the logistic function."""
    told = ", ".join(f"{1 / (1 - exp(-x)):.3f}" for x in at)
    logistic = ", ".join(f"{1 / (1 + exp(-x)):.3f}" for x in at)
    return f"at {', '.join(f'{x:g}' for x in at)}: 1/(1 − e^−x) is {told}, 1/(1 + e^−x) is {logistic}"


def dropout_penalty(inputs: list[float], weights: list[list[float]], target: float) -> str:
    """What dropping half the inputs adds to the squared error of one unit, over all masks, without and with a ReLU."""
    found = []
    for name, unit in (("a linear unit", lambda x: x), ("a ReLU", lambda x: max(0.0, x))):
        for row in weights:
            terms = [w * x for w, x in zip(row, inputs, strict=True)]
            masks = product((0, 1), repeat=len(terms))
            outputs = [unit(sum(t * kept for t, kept in zip(terms, mask, strict=True))) for mask in masks]
            added = sum((out - target) ** 2 for out in outputs) / len(outputs) - (unit(sum(terms) / 2) - target) ** 2
            found.append(f"{added:+.2f} for {name} with weights {', '.join(f'{w:g}' for w in row)}")
    return f"inputs {', '.join(f'{x:g}' for x in inputs)}, target {target:g}; dropout adds " + "; ".join(found)


def colour_noise(whose: str, std: str) -> str:
    """S.d. of the noise a channel in grey levels, by three readings; `std` is the statement with the draw's s.d."""
    draw, deviations, vectors = claims()[std].value, axes()[whose].in_grey_levels, axes()[whose].vectors
    readings = {
        "√eigenvalue": deviations,
        "eigenvalue on 0..255": [s**2 for s in deviations],
        "eigenvalue on 0..1": [s**2 / WHITE for s in deviations],
    }
    found = []
    for name, sizes in readings.items():
        levels = [draw * sqrt(sum((v * s) ** 2 for v, s in zip(row, sizes, strict=True))) for row in vectors]
        found.append(f"{name} {', '.join(f'{level:.1f}' for level in levels)}")
    return "noise of R, G, B in grey levels: " + "; ".join(found)


def scale(networks: list[str]) -> str:
    """By what the pixels are divided."""
    found = []
    for name in networks:
        std = load(name).input.std
        divided = f"divided by {', '.join(f'{s:.1f}' for s in std)}" if std else "as they are"
        found.append(f"{name} reads pixels less the mean, {divided}")
    return "; ".join(found)


def differs(network: str) -> str:
    """In which items that descriptions tell a network is otherwise than the paper's."""
    found = [item.item for item in items() if item.read and (cells := side_by_side.cells(item))[network] != cells[TEXT]]
    return f"{network} differs in {len(found)} of {sum(item.read is not None for item in items())} items: {'; '.join(found)}"


def log_differences(of: list[str]) -> str:
    """Differences between two runs of the 2012 log, and the figures that the paper prints for them."""
    found = []
    for pair in (pair for pair in pairs() if pair.what in of):
        top1, top5 = difference(pair)
        printed = f"printed: {shown(claims()[pair.claim].value, claims()[pair.claim].unit)}" if pair.claim else "not printed"
        found.append(f"{pair.what}: 2012 log, {pair.name}: {top1:.2f} and {top5:.2f} points; {printed}")
    return "; ".join(found)


def ten_views() -> str:
    gains = view_gains("top1")
    return (
        f"ten views gain {min(gains):.1f} to {max(gains):.1f} points of top-1 over the centre view in {len(gains)} runs of "
        "the 2012 log on ILSVRC-2012"
    )


def table2() -> str:
    """Top-5 errors of our rows of Table 2, single nets and averages."""
    return "top-5, validation: " + ", ".join(f"{one.name} {_top5(one)}" for one in ensembles() if one.members)


def _top5(one: Ensemble) -> float:
    value = claims()[one.claim].value
    return value.get("top5_val", value.get("top5"))


def margin(first: str, second: str) -> str:
    """How far one entry of the contest is ahead of another, by the record and by the printed figures."""
    entry = {one.name: one for one in ensembles()}
    ahead, behind = entry[first].test_percent, entry[second].test_percent
    printed = claims()[entry[second].claim].value - claims()[entry[first].claim].value["top5_test"]
    return f"record: {behind:.3f} − {ahead:.3f} = {behind - ahead:.3f} points; printed: {printed:.1f}"


def members(of: str) -> str:
    """How many parameters the members of an average have; weights of different nets cannot be averaged."""
    one = next(one for one in ensembles() if one.name == of)
    runs = [(member.run, member.ledger) for member in one.members]
    sizes = {name: totals(count(load(run.network))).parameters if run.network else run.parameters for name, run in runs}
    return f"{of}, parameters: " + ", ".join(f"run {name} {size:,}" for name, size in sizes.items())


SHOWN_BY: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        citation, statement, logbook, figures, parameters, parameter_share, over_convolutions, kinds, order, dropout, dropped,
        windows, depth, neurons, variants, lrn_window, lrn_reads, lrn_orders, sigmoid, dropout_penalty, colour_noise, scale,
        differs, log_differences, ten_views, table2, margin, members,
    )
}  # fmt: skip


def evidence(shown_by: dict[str, dict[str, Any]]) -> str:
    """What the functions of a tale's `shown_by` say, one after the other, with a proper minus sign."""
    parts = []
    for name, arguments in shown_by.items():
        if name not in SHOWN_BY:
            raise unknown("function that shows an account", name, SHOWN_BY)
        parts.append(SHOWN_BY[name](**arguments).rstrip("."))
    return re.sub(r"(?<![\w-])-(?=\d)", "−", "; ".join(parts))
