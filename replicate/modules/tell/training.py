"""A model in training beside the same model in evaluation: its dropout, whoever wrote it, and whatever else is not the same."""

from dataclasses import replace
from difflib import SequenceMatcher

from replicate.modules.tell.seen import NEVER, Layer

ALWAYS, TEST_ONLY = "at test too", "at test only"

Apart = tuple[list[Layer], list[Layer]]  # layers in training only, layers in evaluation only


def together(evaluated: list[Layer], trained: list[Layer]) -> tuple[list[Layer], Apart]:
    """The layers of evaluation with dropout as training shows it, and those that only one of the two has."""
    layers: list[Layer] = []
    apart: Apart = [], []
    keys = [_key(layer) for layer in evaluated], [_key(layer) for layer in trained]
    for same, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if same == "equal":
            layers += [_met(here, there) for here, there in zip(evaluated[a:b], trained[c:d], strict=True)]
        else:
            layers += _parted(evaluated[a:b], trained[c:d], apart)
    return layers, apart


def alone(layer: Layer) -> Layer:
    """A layer of which evaluation only was seen."""
    if layer.kind == "dropped":
        return _dropout(layer, f"times {layer.settings['factor']:g}, {ALWAYS}")
    if layer.kind == "dropout":
        return _dropout(layer, f"divided by 1-p, {ALWAYS}" if layer.settings["on"] else "train")
    return layer


def _key(layer: Layer) -> str:
    """What is the same in layers that do the same; those that learn do so with weights of their own."""
    settings = {key: value for key, value in layer.settings.items() if key != "on"}
    return repr((layer.kind, layer.parameters and layer.name, layer.parameters, layer.input, layer.output, settings))


def _met(here: Layer, there: Layer) -> Layer:
    """A layer that evaluation and training have at the same place."""
    if here.kind == "dropout":
        works = here.settings["on"], there.settings["on"]
        if works == (False, False):
            return _dropout(here, NEVER)
        if works == (True, False):
            return _dropout(here, f"divided by 1-p, {TEST_ONLY}")
    return alone(here)


def _parted(evaluated: list[Layer], trained: list[Layer], apart: Apart) -> list[Layer]:
    """What only one has between two layers of both: dropout with its factor at test, and the rest, which goes into `apart`."""
    left, found = list(evaluated), []
    for layer in trained:
        if layer.kind == "dropped" or (layer.kind == "dropout" and layer.settings["on"]):
            at_test = left.pop(0).settings["factor"] if left and left[0].kind == "scale" else 1.0
            found.append(_dropout(layer, _rescale(layer, at_test)))
        elif layer.kind != "dropout":
            apart[0].append(layer)
    for layer in left:
        if layer.kind == "dropout":
            layer = _dropout(layer, f"divided by 1-p, {TEST_ONLY}" if layer.settings["on"] else NEVER)
        elif layer.kind == "dropped":
            layer = _dropout(layer, f"times {layer.settings['factor']:g}, {TEST_ONLY}")
        else:
            apart[1].append(layer)
        found.append(layer)
    return found


def _dropout(layer: Layer, rescale: str) -> Layer:
    return replace(layer, kind="dropout", settings={"p": layer.settings["p"], "rescale": rescale})


def _rescale(layer: Layer, at_test: float) -> str:
    """`test` or `train` as in a description; in words where it is neither."""
    p = layer.settings["p"]
    factor = layer.settings["factor"] if layer.kind == "dropped" else 1 / (1 - p)
    if _same(at_test, 1 - p) and _same(factor, 1):
        return "test"
    if _same(at_test, 1) and _same(factor, 1 / (1 - p)):
        return "train"
    return f"times {factor:g} in training and {at_test:g} at test"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 2e-3 * abs(b)
