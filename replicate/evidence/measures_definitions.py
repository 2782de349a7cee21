"""Measures that need no data: what the paper's formulas do with numbers. Of the constants, those of our networks and of its
other statements are put in, so that an altered one shows.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from math import exp, log, log2, log10, prod, tanh
from random import Random
from statistics import pvariance

from replicate.evidence.derived import Derived, number, times, whole
from replicate.networks import count, load
from replicate.networks.description import LRN, Conv, Dropout, Linear, Local
from replicate.networks.normalisation import normalise, window
from replicate.paper import claims

FAR = (1.0, 10.0, 1000.0)  # inputs of a nonlinearity, on the way to infinity
ACTIVITIES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # of units before the normalisation; pixels reach 255
SMALL, CLASSES, NETS = 4, 3, 12  # hidden units, classes and number of the nets whose dropout masks are all tried
Mask = tuple[float, ...]  # what each hidden unit's output is multiplied by


def logistic(x: float) -> float:
    return 1 / (1 + exp(-x))


def relu(x: float) -> float:
    return max(0.0, x)


SLOPES = {
    "tanh": lambda x: 1 - tanh(x) ** 2,
    "logistic": lambda x: logistic(x) * (1 - logistic(x)),
    "ReLU": lambda x: float(x > 0),
}


def slopes_far_out() -> Derived:
    """The slope of each nonlinearity of section 3.1 where its input is large: 0 is saturated."""
    steps = [f"{name}: slope {', '.join(f'{slope(x):.3g} at {x:g}' for x in FAR)}" for name, slope in SLOPES.items()]
    return Derived({name: whole(slope(FAR[-1])) for name, slope in SLOPES.items()}, steps)


def learning_in_a_relu() -> Derived:
    """Share of a unit's slope that is left on inputs a thousand times larger; whether examples of either sign move its weight."""
    left = {f"slope kept by {name}": whole(SLOPES[name](FAR[-1]) / SLOPES[name](FAR[0])) for name in ("ReLU", "tanh")}
    examples = {"one of three positive": (-2.0, -1.0, 3.0), "none": (-2.0, -1.0, -3.0)}
    gradients = {name: sum(x * SLOPES["ReLU"](x) for x in inputs) for name, inputs in examples.items()}
    steps = [f"{name}: the slope at {FAR[-1]:g} over that at {FAR[0]:g} is {share:.3g}" for name, share in left.items()]
    steps += [
        f"weight 1, inputs {', '.join(f'{x:g}' for x in examples[name])}: the sum of max(0, wx) has the gradient {gradient:g}"
        for name, gradient in gradients.items()
    ]
    return Derived(left | {f"learns with {name}": gradient != 0 for name, gradient in gradients.items()}, steps)


def relu_before_softmax(network: str) -> Derived:
    """Numbers of the layers that can have a ReLU: not the one whose outputs are the scores of a multinomial logistic regression,
    which are linear in the features (section 3.5)."""
    layers = [layer for layer in load(network).layers if isinstance(layer, Conv | Local | Linear)]
    middle, ends = relu(0.0), (relu(-1.0) + relu(1.0)) / 2
    able = [i for i, layer in enumerate(layers, 1) if layer.out != "classes" or middle == ends]
    steps = [
        "multinomial logistic regression: log p = score of the label - log Σ exp(scores), with scores linear in the features",
        "linear means: half way between two inputs the half-way score; "
        f"max(0, x) half way between -1 and 1 is {middle:g}, not {ends:g}",
        f"{layers[-1].name} gives the scores, so of {len(layers)} layers those before it can have a ReLU: {len(able)}",
    ]
    return Derived(able, steps)


def likelihood_gap() -> Derived:
    """Multinomial log-likelihood an example, less the mean log-probability of the right class, on made-up scores."""
    scores, labels = [(2.0, -1.0, 0.5), (0.0, 3.0, 1.0), (-1.0, -2.0, 0.0)], (0, 2, 2)
    found = [softmax(row) for row in scores]
    of_labels = [p[label] for p, label in zip(found, labels, strict=True)]
    # the likelihood of 1-of-K targets: each probability to the power of its target
    likelihood = prod(q ** (label == c) for p, label in zip(found, labels, strict=True) for c, q in enumerate(p))
    a, b = log(likelihood) / len(labels), sum(map(log, of_labels)) / len(labels)
    steps = [
        f"probabilities of the right classes: {', '.join(f'{p:.4f}' for p in of_labels)}",
        f"likelihood of the three labels: {likelihood:.6f}; its logarithm / 3 = {a:.6f}",
        f"mean of the three logarithms: {b:.6f}",
    ]
    return Derived(whole(a - b), steps)


def softmax(scores: Sequence[float]) -> list[float]:
    total = sum(map(exp, scores))
    return [exp(score) / total for score in scores]


def _normalised(network: str) -> dict[str, LRN]:
    """The layers that normalise across maps, those with the same constants once, by their names: `lrn1, lrn2`."""
    layers = [layer for layer in load(network).layers if isinstance(layer, LRN) and layer.neighbours == "maps"]
    alike = {str(layer.model_dump(exclude={"name"})): layer for layer in reversed(layers)}
    names = {key: ", ".join(one.name for one in layers if str(one.model_dump(exclude={"name"})) == key) for key in alike}
    return {names[key]: alike[key] for key in reversed(alike)}


def lrn_window_excess(network: str) -> Derived:
    """Maps that the printed limits of the sum take in beyond the n of the text, away from the borders; the most of all layers."""
    found, steps = [0], []
    for names, layer in _normalised(network).items():
        maps = {row.name: row.input[0] for row in count(load(network))}[layer.name]
        windows = {i: window(i, maps, layer.size) for i in (0, 1, maps // 2, maps - 1)}
        found.append(len(windows[maps // 2]) - layer.size)
        limits = ", ".join(f"for map {i} {w[0]} to {w[-1]}" for i, w in windows.items())
        inside = len(windows[maps // 2])
        steps.append(f"{names}: n = {layer.size}, and of {maps} maps {limits}; {inside} maps, fewer at the borders")
    even = {n: len(window(10, 20, n)) for n in (2, 4)}
    return Derived(max(found), [*steps, *(f"an even n would not do: n = {n} sums {maps} maps" for n, maps in even.items())])


def lrn_inhibition(network: str) -> Derived:
    """By what share a response falls when the neighbouring map's activity doubles: the least over a grid of activities."""
    falls, steps = [], []
    for names, layer in _normalised(network).items():
        for own, other in product(ACTIVITIES, ACTIVITIES):
            before, after = (normalise([own, beside], layer, 1)[0] for beside in (other, 2 * other))
            falls.append((before - after) / before)
            if own == other:
                steps.append(f"{names}: activity {own:g} beside {other:g} gives {before:.6g}, beside {2 * other:g} {after:.6g}")
    closed = "∂b_i/∂a_j = -2αβ·a_i·a_j·(k + αΣa²)^(-β-1), below 0 for activities of one sign"
    least = min(falls, default=0.0)
    return Derived(least, [closed, *steps, f"the smallest fall on the grid, as a share of the response: {least:.2g}"])


def lrn_of_equal_activities(network: str) -> Derived:
    """Response over activity where all maps are equally active: the least over a grid. Taking a mean away would leave 0."""
    shares, steps = [], []
    for names, layer in _normalised(network).items():
        for activity in ACTIVITIES:
            shares.append(normalise([activity] * layer.size, layer, 1)[layer.size // 2] / activity)
            response = number(shares[-1] * activity)
            steps.append(f"{names}: {layer.size} maps of activity {activity:g}: response {response}; less their mean it would be 0")
    return Derived(min(shares, default=0.0), steps)


def noise_power(reading: str) -> Derived:
    """The power of a pixel's unit in eigenvector × draw × eigenvalue (`eigenvalue`) or × its root (`root`): pixels are added to
    pixels, so it must be 1. Of pixels of one colour, whose covariance is their variance."""
    pixels = (10.0, 20.0, 60.0)
    size = {"eigenvalue": lambda v: v, "root": lambda v: v**0.5}
    once, doubled = (pvariance([scale * pixel for pixel in pixels]) for scale in (1, 2))
    powers = {name: log2(f(doubled) / f(once)) for name, f in size.items()}
    steps = [
        f"pixels {', '.join(f'{p:g}' for p in pixels)}: eigenvalue (their variance) {number(once)}, its root {number(once**0.5)}",
        f"the same in half the unit, all numbers doubled: eigenvalue {number(doubled)}, its root {number(doubled**0.5)}",
        *(f"{name}: {2 ** power:g} times, power {power:g} of the unit" for name, power in powers.items()),
    ]
    return Derived(whole(powers[reading]), steps)


def dropped_nets(network: str) -> Derived:
    """By what factor one more unit multiplies the number of nets that dropout chooses from."""
    net, rows = load(network), {row.name: row for row in count(load(network))}
    units = {layer.name: prod(rows[layer.name].output) for layer in net.layers if isinstance(layer, Dropout)}
    n = sum(units.values())
    if not n:
        return Derived(1, ["no layer drops anything: one net, with any number of units"])
    steps = [f"{name}: {units[name]:,} units, each in or out" for name in units]
    return Derived(2, [*steps, f"2^{n:,} nets, a number of {int(n * log10(2)) + 1:,} digits; with one unit more twice as many"])


def geometric_mean_gap(network: str, factor: str) -> Derived:
    """How far the net with all units, their outputs times the factor of the claim `factor`, is from the normalised geometric
    mean of its dropout nets, over how far one of these is: mean over small nets with one and with two layers of dropout.

    Distances are the largest difference in a class's probability. All masks are tried, each with its probability; weights
    are from U(-2, 2).
    """
    p = next((layer.p for layer in load(network).layers if isinstance(layer, Dropout)), 0.0)
    masks = {mask: (1 - p) ** sum(mask) * p ** (SMALL - sum(mask)) for mask in product((0, 1), repeat=SMALL)}
    times_ = claims()[factor].value
    random = Random(0)
    nets = [_distances(random, masks, (times_,) * SMALL) for _ in range(NETS)]
    one, two, single = (sum(column) / NETS for column in zip(*nets, strict=True))
    steps = [
        f"{NETS} nets of {SMALL} hidden units and {CLASSES} classes, all {len(masks)} masks of a layer, p = {p:g}",
        f"outputs times {times_:g}, one layer of dropout before the softmax: {one:.2g} from the geometric mean",
        f"two layers with a ReLU between, {times(len(masks), len(masks))} masks: {two:.2g} from it",
        f"one of the dropout nets: {single:.2g} from it, so the shares are {one / single:.2g} and {two / single:.2g}",
    ]
    shares = {"one layer": one / single, "two layers": two / single}
    return Derived({name: whole(round(share, 9)) for name, share in shares.items()}, steps)  # rounding would differ by machine


def _distances(random: Random, masks: Mapping[Mask, float], all_in: Mask) -> tuple[float, float, float]:
    """From the geometric mean, of one random net: `all_in` with one layer of dropout, with two, and a dropout net on average."""
    hidden = [random.uniform(0, 1) for _ in range(SMALL)]
    first, last = ([[random.uniform(-2, 2) for _ in range(SMALL)] for _ in range(n)] for n in (SMALL, CLASSES))
    inner = {mask: [relu(x) for x in _layer(first, mask, hidden)] for mask in (*masks, all_in)}
    of_one = [(share, softmax(_layer(last, mask, hidden))) for mask, share in masks.items()]
    of_two = [(masks[a] * masks[b], softmax(_layer(last, b, inner[a]))) for a, b in product(masks, masks)]
    one, two = _geometric_mean(of_one), _geometric_mean(of_two)
    return (
        _apart(one, softmax(_layer(last, all_in, hidden))),
        _apart(two, softmax(_layer(last, all_in, inner[all_in]))),
        sum(share * _apart(two, answer) for share, answer in of_two),
    )


def _layer(weights: Sequence[Sequence[float]], mask: Mask, inputs: Sequence[float]) -> list[float]:
    return [sum(w * m * x for w, m, x in zip(row, mask, inputs, strict=True)) for row in weights]


def _geometric_mean(answers: Sequence[tuple[float, list[float]]]) -> list[float]:
    """Of probabilities with their shares, normalised."""
    logs = [[share * log(q) for q in answer] for share, answer in answers]
    return softmax([sum(column) for column in zip(*logs, strict=True)])


def _apart(a: Sequence[float], b: Sequence[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


DEFINITIONS = {
    measure.__name__: measure
    for measure in (
        slopes_far_out, learning_in_a_relu, relu_before_softmax, likelihood_gap, lrn_window_excess, lrn_inhibition,
        lrn_of_equal_activities, noise_power, dropped_nets, geometric_mean_gap,
    )
}  # fmt: skip
