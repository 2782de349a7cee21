"""Measures that need no data: counted from the networks, or from other statements of the paper. No number is typed here."""

from math import log2, prod

from replicate.evidence.derived import Derived, number, parameters_of, plus, side_of, times, units_of
from replicate.evidence.shown import shown
from replicate.networks import Network, Row, count, load, memory, totals
from replicate.networks.description import LRN, Pool, Rounding
from replicate.networks.normalisation import window
from replicate.paper import claims

TWO_GPU, ONE_GPU = "paper", "one-gpu"  # the networks that section 3.2 compares
GIGABYTE = 2**30  # as memory is sold
FLOPS, PASSES = 2, 3  # a MAC is two; forward, back to the inputs, back to the weights


def _rows(network: str) -> dict[str, Row]:
    return {row.name: row for row in count(load(network))}


def _sides(network: str, last: str) -> list[str]:
    """How the side of the maps comes about, layer by layer, up to the layer `last`."""
    net, steps = load(network), []
    for row in count(net):
        if row.kernel_size:
            steps.append(side_of(row, net))
        if row.name == last:
            return steps
    raise KeyError(last)


def parameters(network: str) -> Derived:
    """Weights and biases of all layers."""
    rows = [row for row in _rows(network).values() if row.parameters]
    found = totals(rows).parameters
    return Derived(found, [*map(parameters_of, rows), f"all: {plus([row.parameters for row in rows])} = {found:,}"])


def neurons(network: str) -> Derived:
    """Outputs of all layers with weights."""
    rows = [row for row in _rows(network).values() if row.learned]
    sums = totals(rows)
    steps = [f"all {len(rows)}: {plus([row.neurons for row in rows])} = {sums.neurons:,}"]
    return Derived(sums.neurons, [*map(units_of, rows), *steps, f"the convolutional layers alone: {sums.conv_neurons:,}"])


def layer_neurons(network: str, layer: str) -> Derived:
    row = _rows(network)[layer]
    steps = _sides(network, layer) if len(row.output) > 1 else []
    return Derived(row.neurons, [*steps, units_of(row)])


def input_size(network: str) -> Derived:
    """Numbers that the first layer reads."""
    channels, *sides = next(iter(_rows(network).values())).input
    return Derived(channels * prod(sides), [f"{times(*sides, channels)} = {channels * prod(sides):,}"])


def map_side(network: str, layer: str) -> Derived:
    """Side of a layer's maps, in units."""
    return Derived(_rows(network)[layer].output[1], _sides(network, layer))


def map_sides(network: str, layers: list[str]) -> Derived:
    """Sides of several layers' maps, in units."""
    rows = _rows(network)
    return Derived({name: rows[name].output[1] for name in layers}, _sides(network, layers[-1]))


def learned_layers(network: str) -> Derived:
    """Layers with weights."""
    names = [row.name for row in _rows(network).values() if row.learned]
    return Derived(len(names), [", ".join(names)])


def linear_widths(network: str) -> Derived:
    """Outputs of each fully connected layer."""
    net, found = load(network), {r.name: r.output[0] for r in _rows(network).values() if r.kind == "linear"}
    last = [name for name in found if net.layer(name).out == "classes"]
    return Derived(found, [f"{name}: {n:,}{', one a class' if name in last else ''}" for name, n in found.items()])


def conv_shares(network: str) -> Derived:
    """Parameters of each convolutional layer, in percent of the network's."""
    rows, all_of = [row for row in _rows(network).values() if row.kind == "conv"], parameters(network).value
    shares = {row.name: 100 * row.parameters / all_of for row in rows}
    steps = [f"{parameters_of(row)}, of {all_of:,}: {shares[row.name]:.3f} %" for row in rows]
    return Derived(shares, [*steps, f"all of them together: {sum(shares.values()):.2f} %"])


def parameter_share(network: str, layer: str) -> Derived:
    """Parameters of a layer, in percent of the network's."""
    row, all_of = _rows(network)[layer], parameters(network).value
    share = 100 * row.parameters / all_of
    return Derived(share, [parameters_of(row), f"{row.parameters:,} of {all_of:,} are {share:.1f} %"])


def dense_to_shared(network: str) -> Derived:
    """Weights of a dense layer over those of a convolution of the same sizes, layer by layer."""
    ratios, steps = {}, []
    for row in _rows(network).values():
        if row.kind == "conv":
            dense = prod(row.input) * prod(row.output)
            ratios[row.name] = dense / row.weights
            steps.append(
                f"{row.name}: {times(prod(row.input), prod(row.output))} = {dense:,} weights if dense, {row.weights:,} "
                f"shared: {number(ratios[row.name])} to 1"
            )
    return Derived(min(ratios.values()), [*steps, f"the smallest: {number(min(ratios.values()))}"])


def one_gpu_parameters() -> Derived:
    """Parameters of the one-GPU net over those of the two-GPU net."""
    one, two = (parameters(name) for name in (ONE_GPU, TWO_GPU))
    share = one.value / two.value
    ratio = f"{one.value:,} / {two.value:,}, that of network {TWO_GPU!r}, = {share:.4f}"
    return Derived(share, [f"network {ONE_GPU!r}:", *one.steps, ratio])


def one_gpu_work() -> Derived:
    """MACs of the one-GPU net over what each of two GPUs computes of the two-GPU net."""
    one, two = (totals(count(load(name))).macs for name in (ONE_GPU, TWO_GPU))
    gpus = load(TWO_GPU).towers
    ratio = one / (two / gpus)
    steps = [f"{ONE_GPU}: {one:,} MACs a picture", f"{TWO_GPU}: {two:,} MACs a picture, {two // gpus:,} on each of {gpus} GPUs"]
    return Derived(ratio, [*steps, f"{one:,} / {two // gpus:,} = {ratio:.3f}"])


def maps_normalised_across(network: str) -> Derived:
    """Maps whose window, taken over the whole layer, reaches into another tower; all normalisation layers."""
    net, rows, found, steps = load(network), _rows(network), 0, []
    for layer in net.layers:
        if isinstance(layer, LRN):
            maps = rows[layer.name].input[0]
            tower = maps // net.towers
            across = [i for i in range(maps) if any(j // tower != i // tower for j in window(i, maps, layer.size))]
            found += len(across)
            steps.append(
                f"{layer.name}: windows of {layer.size} over {maps} maps, {tower} on each of {net.towers} GPUs; maps "
                f"{', '.join(map(str, across)) or 'none'} (counted from 0) reach across: {len(across)}"
            )
    return Derived(found, steps)


def mixed_layers(network: str) -> Derived:
    """Hidden layers whose units in one tower depend on another tower, from the first that reads them all on."""
    rows = [row for row in _rows(network).values() if row.learned]
    towers = load(network).towers
    mixed, steps = 0, []
    for row in rows[1:-1]:  # the first layer reads the picture, the last is no hidden one
        reads_all = row.groups < towers
        mixed += bool(mixed or reads_all)
        own = "reads its own tower, which depends on all" if mixed else "reads its own tower only"
        steps.append(f"{row.name}: {'reads all towers' if reads_all else own}")
    return Derived(mixed, [*steps, f"{mixed} of {len(rows) - 2} depend on both towers"])


def pool_overlap(network: str) -> Derived:
    """Rows that neighbouring windows of each pooling layer share."""
    layers = [layer for layer in load(network).layers if isinstance(layer, Pool)]
    shared = {layer.name: layer.kernel_size - layer.stride for layer in layers}
    return Derived(shared, [f"{p.name}: z - s = {p.kernel_size} - {p.stride} = {shared[p.name]}" for p in layers])


def pool_difference(network: str, window: int) -> Derived:
    """Rows by which the maps after pooling differ at most, pooling windows of `window` against the network's own."""
    net = load(network)
    layers = [one.model_copy(update={"kernel_size": window}) if isinstance(one, Pool) else one for one in net.layers]
    other, found, steps = net.model_copy(update={"layers": layers}), {}, []
    for rounding in ("down", "up"):
        own, changed = (_pooled(one, rounding) for one in (net, other))
        found[f"rounded {rounding}"] = max(abs(a - b) for a, b in zip(own, changed, strict=True))
        steps.append(f"pooling rounded {rounding}: sides {own} with the network's windows, {changed} with windows of {window}")
    return Derived(found, steps)


def _pooled(network: Network, rounding: str) -> list[int]:
    rounded = network.model_copy(update={"rounding": Rounding(conv=network.rounding.conv, pool=rounding)})
    return [row.output[1] for row in count(rounded) if row.kind == "max_pool"]


def bits_per_label(network: str) -> Derived:
    """What one label tells, in bits."""
    classes = load(network).classes
    return Derived(log2(classes), [f"log2({classes:,}) = {log2(classes):.3f}"])


def crops_and_reflections(network: str, stored: str) -> Derived:
    """Different patches of the network's input side in a picture of the side that the claim `stored` gives, and mirrored."""
    positions = claims()[stored].value - load(network).input.side + 1
    steps = [f"{claims()[stored].value} - {load(network).input.side} + 1 = {positions} positions along each axis"]
    return Derived(positions**2 * 2, [*steps, f"{times(positions, positions, 2)} = {positions**2 * 2:,}"])


def different_views(network: str, stored: str) -> Derived:
    """How many of the corner and centre patches and their reflections differ, in a picture as for `crops_and_reflections`."""
    far = claims()[stored].value - load(network).input.side
    places = {(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)}
    at = ", ".join(map(str, sorted(places)))
    steps = [f"corners and centre at (row, column) {at}: {len(places)}", f"and mirrored: {2 * len(places)}"]
    return Derived(2 * len(places), steps)


def memory_of_a_step(network: str, batch: str) -> Derived:
    """What one GPU would have to hold for a step on the batch that the claim `batch` gives, in GB, without workspaces."""
    pictures = claims()[batch].value
    held = memory.held(load(network))
    total = sum(one.bytes(pictures) for one in held) / GIGABYTE
    parts = {
        "pictures, layers' outputs": sum(one.activations for one in held) * pictures,
        "their gradients": sum(one.gradients for one in held) * pictures,
        "denominators of the normalisation, masks of the dropout": sum(one.marks for one in held) * pictures,
        "parameters, their gradients and velocities": memory.COPIES * sum(one.parameters for one in held),
    }
    size = memory.NUMBER
    steps = [f"{what}: {n:,} numbers of {size} bytes = {size * n / GIGABYTE:.2f} GB" for what, n in parts.items()]
    steps.append(f"a batch of {pictures}: {total:.2f} GB of 2^30 bytes, and what the kernels of 2012 needed as workspace, which is not known")
    return Derived(total, steps, at_least=True)


def implied_rates(network: str, epochs: str, pictures: str, days: str) -> Derived:
    """Pictures and floating-point operations a second that the printed duration implies."""
    macs, seconds = totals(count(load(network))).macs, [day * 24 * 3600 for day in claims()[days].value]
    seen = claims()[epochs].value * claims()[pictures].value["images"]
    flop = PASSES * FLOPS * macs
    rates = [seen / second for second in seconds]
    steps = [
        f"{claims()[epochs].value} epochs of {claims()[pictures].value['images']:,} pictures: {seen:,}",
        *(f"in {day} days: {rate:.0f} pictures a second" for day, rate in zip(claims()[days].value, rates, strict=True)),
        f"{PASSES} passes of {macs:,} MACs, {FLOPS} operations each: {flop:,} a picture",
        f"{' to '.join(f'{rate * flop / 1e12:.2f}' for rate in rates)} TFLOP/s, on both GPUs together",
    ]
    return Derived({"pictures a second": rates}, steps)


def printed_sum(of: list[str]) -> Derived:
    """Values of other claims, added up: the paper held against itself."""
    values = [claims()[name].value for name in of]
    return Derived(sum(values), [f"{plus(values)} = {sum(values):,}"])


def printed_gap(of: list[str], first: str, second: str) -> Derived:
    """Largest difference between two values that each of several claims gives."""
    pairs = {name: (claims()[name].value[first], claims()[name].value[second]) for name in of}
    gaps = {name: abs(a - b) for name, (a, b) in pairs.items()}
    return Derived(max(gaps.values()), [f"{name}: {a} and {b}, {gaps[name]:.1f} apart" for name, (a, b) in pairs.items()])


def printed_margin(of: str, less: str) -> Derived:
    """What one claim's values exceed another's by, key by key."""
    a, b = claims()[of].value, claims()[less].value
    margins = {key: a[key] - b[key] for key in b}
    steps = [f"{shown({key: ''}).strip()}: {a[key]} ({of}) - {b[key]} ({less}) = {gap:.1f}" for key, gap in margins.items()]
    return Derived(margins, steps)


ARITHMETIC = {
    measure.__name__: measure
    for measure in (
        parameters, neurons, layer_neurons, input_size, map_side, map_sides, learned_layers, linear_widths, conv_shares,
        parameter_share, dense_to_shared, one_gpu_parameters, one_gpu_work, maps_normalised_across, mixed_layers, pool_overlap,
        pool_difference, bits_per_label, crops_and_reflections, different_views, memory_of_a_step, implied_rates, printed_sum,
        printed_gap, printed_margin,
    )
}  # fmt: skip
