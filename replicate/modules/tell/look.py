"""One look at a model: its layers, the input on which it ran, and what else is to be said of it."""

from dataclasses import dataclass, replace

from replicate.errors import UserError
from replicate.modules.tell.chain import layers_of, unused
from replicate.modules.tell.seen import Layer, Shape
from replicate.modules.tell.subject import Subject, first_line
from replicate.modules.tell.trace import Untraceable


@dataclass(frozen=True)
class Look:
    """`parameters` counts every parameter of the layers; `notes` are sentences. `complete`: seen at work, not in a file only."""

    name: str
    layers: list[Layer]
    input: Shape
    notes: list[str]
    complete: bool = True

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)


def look(subject: Subject, shapes: list[Shape]) -> Look:
    """The model in evaluation, on the first of `shapes` on which it runs; a second look in training finds handmade dropout."""
    tape, shape = subject.run(shapes)
    known: dict = {}
    try:
        seen = layers_of(tape, subject.real, known)
    except Untraceable as error:
        raise UserError(f"{subject.name}: cannot be told from its trace: {error}") from None
    layers = [_at_test(layer) for layer in seen if layer.kind != "identity"]
    notes = [*subject.notes, *tape.notes]
    try:
        trained = layers_of(subject.trained(shape), subject.real, known)
        layers = _with_dropout(layers, [layer for layer in trained if layer.kind != "identity"])
    except Exception as error:  # whatever a model of others does in training
        notes.append(f"not seen in training ({first_line(error)}): dropout written by hand would not show")
    while layers and layers[0].kind in ("affine", "scale"):
        first, *layers = layers
        notes.append("its input is prepared inside: " + ", ".join(f"{key} {value}" for key, value in first.settings.items()))
    for layer in seen:
        if layer.kind == "identity" and "note" in layer.settings:
            notes.append(f"{layer.name}: {layer.settings['note']}")
    if layers and "softmax" in layers[-1].kind:
        notes.append(f"{layers[-1].name}: {layers[-1].kind} at the end: the same classes in the same order")
    rest = unused(tape)
    if rest:
        names = ", ".join(list(rest)[:4]) + (" …" if len(rest) > 4 else "")
        notes.append(f"{sum(rest.values()):,} parameters bear on no answer ({names})")
    return Look(subject.name, layers, shape, notes)


ALWAYS = "at test too"


def _at_test(layer: Layer) -> Layer:
    """A layer seen in evaluation: dropout that is still at work there says so."""
    p, on = layer.settings.get("p"), layer.settings.get("on")
    if layer.kind == "dropped":
        rescale = f"times {layer.settings['factor']:g}, {ALWAYS}"
    elif layer.kind == "dropout":
        rescale = f"divided by 1-p, {ALWAYS}" if on else layer.settings["rescale"]
    else:
        return layer
    return replace(layer, kind="dropout", settings={"p": p, "rescale": rescale})


def _with_dropout(layers: list[Layer], trained: list[Layer]) -> list[Layer]:
    """`layers` with the dropout that only training shows: a share of zeros then, and a factor or nothing in evaluation."""
    found = list(layers)
    for place, layer in enumerate(trained):
        here = found[place] if place < len(found) else None
        is_always = here is not None and here.kind == "dropout" and ALWAYS in here.settings["rescale"]
        if layer.kind != "dropped" or is_always:
            if here is None or (here.kind != layer.kind and not is_always):
                raise Untraceable(f"{layer.name}: {layer.kind}, in evaluation {here.kind if here else 'nothing'}")
        else:
            at_test = here.settings["factor"] if here is not None and here.kind == "scale" else None
            settings = {"p": layer.settings["p"], "rescale": _rescale(layer.settings, at_test or 1.0)}
            found[place : place + (at_test is not None)] = [replace(layer, kind="dropout", settings=settings)]
    return found


def _rescale(dropped: dict[str, float], at_test: float) -> str:
    """`test` or `train` as in a description; in words where it is neither."""
    p, factor = dropped["p"], dropped["factor"]
    if _same(at_test, 1 - p) and _same(factor, 1):
        return "test"
    if _same(at_test, 1) and _same(factor, 1 / (1 - p)):
        return "train"
    return f"times {factor:g} in training and {at_test:g} at test"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 2e-3 * abs(b)
