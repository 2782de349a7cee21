"""Measures of settings: what a network and a recipe do, read from their descriptions. They are no evidence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from replicate.evidence.measures_arithmetic import ONE_GPU, TWO_GPU
from replicate.networks import Network, count, load
from replicate.networks.description import LRN, Activation, Conv, Dropout, Gaussian, Linear, Pool
from replicate.settings import Drawn, Plateau, Recipe, Settings

SIX_CONVOLUTIONS = "code146"  # section 6


@dataclass(frozen=True)
class Setup:
    """A network with the recipe that trains it on a source. `classes` is None where only the pictures can tell."""

    network: Network
    recipe: Recipe
    source: str
    stored_side: int
    classes: int | None

    @classmethod
    def of(cls, settings: Settings, classes: int | None = None) -> "Setup":
        """What a profile's baseline does; `classes` as counted, where results are there."""
        training = settings.trainings[settings.groups()[settings.baseline][0]]
        network = load(training.network)
        if classes is None and isinstance(settings.source, Drawn):
            classes = network.classes
        recipe = settings.recipe_of(training.run)
        return cls(network, recipe, settings.source.name, settings.pictures.side, classes)


def _learned(network: Network) -> list[Conv | Linear]:
    return [layer for layer in network.layers if isinstance(layer, Conv | Linear)]


def _same(values: list[Any]) -> Any:
    """The one value that all have, else all of them."""
    return values[0] if values and all(value == values[0] for value in values) else values


def _find(network: Network, name: str) -> Any:
    return next((layer for layer in network.layers if layer.name == name), None)


def census(network: Network) -> dict[str, int]:
    """Layers of each kind."""
    kinds = {"convolutional": Conv, "fully connected": Linear, "pooling": Pool, "normalisation": LRN}
    return {name: sum(isinstance(layer, kind) for layer in network.layers) for name, kind in kinds.items()}


def classes(setup: Setup) -> int | None:
    return setup.classes


def source(setup: Setup) -> str:
    """Whose pictures they are, by the source's name."""
    return setup.source


def activations(network: Network) -> list[str]:
    """The nonlinearities that occur."""
    return sorted({layer.kind for layer in network.layers if isinstance(layer, Activation)})


def layers_with(network: Network, kind: str) -> list[int]:
    """Numbers of the layers with weights that a layer of this kind follows before the next one; `lrn`: across maps."""
    number, found = 0, []
    for layer in network.layers:
        number += isinstance(layer, Conv | Linear)
        if layer.kind == kind and not (isinstance(layer, LRN) and layer.neighbours == "space"):
            found.append(number)
    return found


def conv_shape(network: Network, layer: str) -> dict[str, int]:
    """Kernels, their side and depth, and the stride; empty if there is no such layer."""
    for row in count(network):
        if row.name == layer and row.kind == "conv":
            return {
                "kernels": row.output[0],
                "size": row.kernel_size,
                "depth": row.input[0] // row.groups,
                "stride": row.stride,
            }
    return {}


def conv_after_last_pooling(network: Network) -> int | None:
    """The number of the convolution that reads the last pooling layer, in the six-layer net; the same for every profile."""
    layers = load(SIX_CONVOLUTIONS).layers
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, Pool))
    convolutions = [i for i, layer in enumerate(layers) if isinstance(layer, Conv)]
    return next((number for number, i in enumerate(convolutions, 1) if i > last), None)


def widths(network: Network, layers: list[str]) -> dict[str, int]:
    """Units of fully connected layers."""
    return {name: found.out for name in layers if (found := _find(network, name))}


def towers(network: Network) -> int:
    return network.towers


def tower_share(network: Network) -> float:
    """Share of each layer that a tower holds."""
    return 1 / network.towers


def units_per_tower(network: Network, layers: list[str]) -> dict[str, int]:
    """Maps or units of each layer that one tower holds."""
    return {name: found.out // network.towers for name in layers if (found := _find(network, name))}


def kernels_per_tower(network: Network, layer: str) -> dict[str, int]:
    found = _find(network, layer)
    return {"kernels": found.out, "per GPU": found.out // network.towers} if found else {}


def reads_all_towers(network: Network) -> list[str]:
    """Layers after the first that read the maps of every tower."""
    return [layer.name for layer in _learned(network)[1:] if layer.groups == 1]


def one_gpu_widths(network: Network) -> dict[str, float]:
    """Kernels or units of the one-GPU net over those of the two-GPU net, layer by layer; the same for every profile."""
    one, two = ({row.name: row.output[0] for row in count(load(name)) if row.learned} for name in (ONE_GPU, TWO_GPU))
    return {name: one[name] / two[name] for name in two if name in one}


def pooling(network: Network) -> dict[str, int] | list[dict[str, int]]:
    return _same([{"stride": p.stride, "window": p.kernel_size} for p in network.layers if isinstance(p, Pool)])


def _lrn(network: Network) -> list[LRN]:
    return [layer for layer in network.layers if isinstance(layer, LRN)]


def lrn_constants(network: Network) -> Any:
    return _same([{"k": n.k, "n": n.size, "alpha": n.alpha, "beta": n.beta} for n in _lrn(network)])


def lrn_over(network: Network) -> Any:
    """Whether alpha multiplies the sum or the mean of the squares."""
    return _same([layer.over for layer in _lrn(network)])


def lrn_scope(network: Network) -> Any:
    """Whether the window ends at a tower's edge or at the layer's."""
    return _same([layer.scope for layer in _lrn(network)])


def before_lrn(network: Network) -> Any:
    """What comes right before the normalisation."""
    layers = network.layers
    return _same([layers[i - 1].kind for i, layer in enumerate(layers) if isinstance(layer, LRN)])


def dropout(network: Network) -> dict[str, Any]:
    """Probability, and the layers whose outputs are dropped."""
    last, found, p = "", [], []
    for layer in network.layers:
        last = layer.name if isinstance(layer, Conv | Linear) else last
        if isinstance(layer, Dropout):
            found.append(last)
            p.append(layer.p)
    return {"p": _same(p), "layers": found}


def dropout_test_factor(network: Network) -> Any:
    """What outputs are multiplied by at test."""
    return _same([1 - d.p if d.rescale == "test" else 1 for d in network.layers if isinstance(d, Dropout)])


def init_std(network: Network) -> dict[str, Any]:
    """S.d. of the initial weights of each layer, where they are a plain Gaussian's."""
    plain = {layer.name: isinstance(layer.init, Gaussian) and not layer.init.truncated for layer in _learned(network)}
    return {layer.name: layer.init.std if plain[layer.name] else "no plain Gaussian" for layer in _learned(network)}


def init_biases(network: Network) -> dict[str, list[str]]:
    """Layers whose biases start at one, and at zero."""
    own = [layer for layer in _learned(network) if isinstance(layer, Linear) or layer.bias]
    biases = {layer.name: layer.init.bias for layer in own if isinstance(layer.init, Gaussian)}
    words = {"ones": 1, "zeros": 0}
    return {word: [name for name, bias in biases.items() if bias == value] for word, value in words.items()}


def input_scaling(network: Network) -> dict[str, Any]:
    """What is done to the pixels before the first layer."""
    reads = network.input
    return {"channels": reads.channels, "mean": reads.mean, "scale": reads.scale, "s.d.": reads.std or "none"}


def guesses_that_count(setup: Setup) -> int:
    """How many of the best guesses count in the top-5 error: our scoring of a picture, with each class as its label in turn."""
    import numpy as np

    from replicate.evaluation.scores import TOP, top_k_errors

    classes = 2 * TOP[1]
    probabilities = np.tile(np.arange(classes, 0.0, -1), (classes, 1))
    return int((~top_k_errors(probabilities, np.arange(classes), TOP[1])).sum())


def input_side(setup: Setup) -> int:
    return setup.recipe.crop


def stored_side(setup: Setup) -> int:
    return setup.stored_side


def augmentation(setup: Setup) -> dict[str, Any]:
    recipe = setup.recipe
    shared = f", one for {recipe.crops_shared_by} pictures in a row" if recipe.crops_shared_by > 1 else ""
    return {"crops": recipe.crops + shared, "reflections": recipe.reflections}


def colour_reading(setup: Setup) -> str:
    return setup.recipe.colour_noise.reading


def colour_std(setup: Setup) -> float | str:
    """S.d. of the draw, with what else the text does not have: the division of the picture, and an early end."""
    noise = setup.recipe.colour_noise
    if noise.reading == "none":
        return "no noise"
    divided = [f"divided by {noise.divisor:g}"] if noise.divisor != 1 else []
    ended = [f"until epoch {noise.until_epoch}"] if noise.until_epoch is not None else []
    return ", ".join([f"{noise.std:g}", *divided, *ended]) if divided or ended else noise.std


def recipe(setup: Setup, key: str) -> Any:
    """One of the recipe's numbers by its key."""
    return getattr(setup.recipe, key)


def weight_decay(setup: Setup) -> float | dict[str, float]:
    """Of everything, or of weights and biases."""
    decay = setup.recipe.weight_decay
    return decay if setup.recipe.decays == "all" else {"weights": decay, "biases": 0.0}


def own_rates(setup: Setup) -> str:
    """Layers and parameters that have another rate than the rest, with the epoch after which they do."""
    own = [f"{one.of} {one.rate:g}" + (f" after epoch {one.after}" if one.after else "") for one in setup.recipe.own_rates]
    return "; ".join(own) or "one for all"


def schedule_rule(setup: Setup) -> str:
    return setup.recipe.schedule.rule


def rate_drops(setup: Setup) -> int:
    schedule = setup.recipe.schedule
    return schedule.drops if isinstance(schedule, Plateau) else len(schedule.drop_after)


def epochs(setup: Setup) -> int:
    """Passes over the training pictures, at most."""
    schedule = setup.recipe.schedule
    return schedule.max_epochs if isinstance(schedule, Plateau) else schedule.epochs


NETWORK: dict[str, Callable[..., Any]] = {  # f(network, **arguments)
    measure.__name__: measure
    for measure in (
        census, activations, layers_with, conv_shape, conv_after_last_pooling, widths, towers, tower_share, units_per_tower,
        kernels_per_tower, reads_all_towers, one_gpu_widths, pooling, lrn_constants, lrn_over, lrn_scope, before_lrn, dropout,
        dropout_test_factor, init_std, init_biases, input_scaling,
    )
}  # fmt: skip
TRAINING: dict[str, Callable[..., Any]] = {  # f(setup, **arguments)
    measure.__name__: measure
    for measure in (
        classes, source, guesses_that_count, input_side, stored_side, augmentation, colour_reading, colour_std, recipe, weight_decay,
        own_rates, schedule_rule, rate_drops, epochs,
    )
}  # fmt: skip


def read(measure: str, setup: Setup, **arguments: Any) -> Any:
    """What `setup` does about a setting; None where only the pictures can tell."""
    if measure in NETWORK:
        return NETWORK[measure](setup.network, **arguments)
    return TRAINING[measure](setup, **arguments)


SETTINGS = NETWORK | TRAINING
