"""Measures that need no data: derived from the networks, or from other statements of the paper. No number is typed here."""

from math import log2, prod

from replicate.networks import Network, Row, count, load, totals
from replicate.networks.description import LRN, Pool, Rounding
from replicate.paper import claims

TWO_GPU, ONE_GPU = "paper", "one-gpu"  # the networks that section 3.2 compares


def _rows(network: str) -> dict[str, Row]:
    return {row.name: row for row in count(load(network))}


def parameters(network: str) -> int:
    """Weights and biases of all layers."""
    return totals(list(_rows(network).values())).parameters


def neurons(network: str) -> int:
    """Outputs of all layers with weights."""
    return totals(list(_rows(network).values())).neurons


def layer_neurons(network: str, layer: str) -> int:
    return _rows(network)[layer].neurons


def input_size(network: str) -> int:
    """Numbers that the first layer reads."""
    return prod(next(iter(_rows(network).values())).input)


def map_side(network: str, layer: str) -> int:
    """Side of a layer's maps, in units."""
    return _rows(network)[layer].output[1]


def linear_widths(network: str) -> dict[str, int]:
    """Outputs of each fully connected layer."""
    return {row.name: row.output[0] for row in _rows(network).values() if row.kind == "linear"}


def conv_shares(network: str) -> dict[str, float]:
    """Parameters of each convolutional layer, in percent of the network's."""
    return {name: parameter_share(network, name) for name, row in _rows(network).items() if row.kind == "conv"}


def parameter_share(network: str, layer: str) -> float:
    """Parameters of a layer, in percent of the network's."""
    return 100 * _rows(network)[layer].parameters / parameters(network)


def dense_to_shared(network: str) -> float:
    """Weights of a dense layer over those of a convolution of the same sizes; the smallest of all layers."""
    return min(
        prod(row.input) * prod(row.output) / row.weights for row in _rows(network).values() if row.kind == "conv"
    )


def one_gpu_parameters() -> float:
    """Parameters of the one-GPU net over those of the two-GPU net."""
    return parameters(ONE_GPU) / parameters(TWO_GPU)


def one_gpu_work() -> float:
    """MACs of the one-GPU net over what each of two GPUs computes of the two-GPU net."""
    one, two = (totals(list(_rows(name).values())).macs for name in (ONE_GPU, TWO_GPU))
    return one / (two / load(TWO_GPU).towers)


def maps_normalised_across(network: str) -> int:
    """Maps whose window, taken over the whole layer, reaches into another tower; all normalisation layers."""
    net, rows = load(network), _rows(network)
    found = 0
    for layer in net.layers:
        if isinstance(layer, LRN):
            maps = rows[layer.name].input[0]
            tower = maps // net.towers
            for i in range(maps):
                window = range(max(0, i - layer.size // 2), min(maps - 1, i + layer.size // 2) + 1)
                found += any(j // tower != i // tower for j in window)
    return found


def pool_difference(network: str, window: int) -> dict[str, int]:
    """Rows by which the maps after pooling differ at most, pooling windows of `window` against the network's own."""
    net = load(network)
    other = net.model_copy(
        update={
            "layers": [
                layer.model_copy(update={"kernel_size": window}) if isinstance(layer, Pool) else layer
                for layer in net.layers
            ]
        }
    )
    return {
        f"rounded {rounding}": max(
            abs(a - b) for a, b in zip(_pooled(net, rounding), _pooled(other, rounding), strict=True)
        )
        for rounding in ("down", "up")
    }


def _pooled(network: Network, rounding: str) -> list[int]:
    rounded = network.model_copy(update={"rounding": Rounding(conv=network.rounding.conv, pool=rounding)})
    return [row.output[1] for row in count(rounded) if row.kind == "max_pool"]


def bits_per_label(network: str) -> float:
    """What one label tells, in bits."""
    return log2(load(network).classes)


def crops_and_reflections(network: str, stored: str) -> int:
    """Different patches of the network's input side in a picture of the side that the claim `stored` gives, and mirrored."""
    positions = claims()[stored].value - load(network).input.side + 1
    return positions**2 * 2


def printed_sum(of: list[str]) -> float:
    """Values of other claims, added up: the paper held against itself."""
    return sum(claims()[name].value for name in of)


def printed_gap(of: list[str], first: str, second: str) -> float:
    """Largest difference between two values that each of several claims gives."""
    return max(abs(claims()[name].value[first] - claims()[name].value[second]) for name in of)


ARITHMETIC = {
    measure.__name__: measure
    for measure in (
        parameters, neurons, layer_neurons, input_size, map_side, linear_widths, conv_shares, parameter_share,
        dense_to_shared, one_gpu_parameters, one_gpu_work, maps_normalised_across, pool_difference, bits_per_label,
        crops_and_reflections, printed_sum, printed_gap,
    )
}  # fmt: skip
