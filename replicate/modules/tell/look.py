"""One look at a model: its layers, the input on which it ran, and what else is to be said of it."""

from dataclasses import dataclass, field

from replicate.errors import UserError
from replicate.modules.tell.chain import layers_of, unused
from replicate.modules.tell.phrases import named
from replicate.modules.tell.seen import LEARNED, Aside, Layer, Shape
from replicate.modules.tell.subject import Subject, first_line
from replicate.modules.tell.trace import Tape, Untraceable
from replicate.modules.tell.training import alone, together


@dataclass(frozen=True)
class Look:
    """`parameters` counts every parameter of the layers; `notes` are sentences. `complete`: seen at work, not in a file only."""

    name: str
    layers: list[Layer]
    input: Shape
    notes: list[str]
    asides: list[Aside] = field(default_factory=list)
    complete: bool = True

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)


def look(subject: Subject, shapes: list[Shape]) -> Look:
    """The model in evaluation, on the first of `shapes` on which it runs, and in training, whose differences are `asides`."""
    tape, shape = subject.run(shapes)
    known: dict = {}
    try:
        seen = layers_of(tape, subject.real, known)
    except Untraceable as error:
        raise UserError(f"{subject.name}: cannot be told from its trace: {error}") from None
    layers, training = _in_training(subject, shape, tape, seen, known)
    notes, asides = [*subject.notes, *tape.notes], [*tape.asides, *training]
    while layers and layers[0].kind in ("affine", "scale"):
        first, *layers = layers
        notes.append("its input is prepared inside: " + ", ".join(f"{key} {value}" for key, value in first.settings.items()))
    if not any(layer.kind in LEARNED or layer.parameters for layer in layers):
        raise UserError(f"{subject.name}: has no convolution and no linear layer: there is nothing to hold against a network")
    notes += [f"{layer.name}: {layer.note}" for layer in seen if layer.note]
    if "softmax" in layers[-1].kind:
        notes.append(f"{layers[-1].name}: {layers[-1].kind} at the end: the same classes in the same order")
    rest = unused(tape)
    if rest:
        names = ", ".join(list(rest)[:4]) + (" …" if len(rest) > 4 else "")
        notes.append(f"{sum(rest.values()):,} parameters bear on no answer ({names})")
    return Look(subject.name, layers, shape, notes, asides)


def _in_training(subject: Subject, shape: Shape, tape: Tape, seen: list[Layer], known: dict) -> tuple[list[Layer], list[Aside]]:
    """The layers with dropout as training shows it, and what else the model does otherwise then."""
    evaluated = [layer for layer in seen if layer.kind != "identity"]
    try:
        trained = subject.trained(shape)
        layers = [layer for layer in layers_of(trained, subject.real, known) if layer.kind != "identity"]
    except (Exception, SystemExit) as error:  # whatever a model of others does in training
        reason = str(error) if isinstance(error, Untraceable) else first_line(error)
        return [alone(layer) for layer in evaluated], [Aside("training", f"could not be followed ({reason})")]
    found, (more, less) = together(evaluated, layers)
    said = [f"{named(layer)} in training only" for layer in more] + [f"{named(layer)} in evaluation only" for layer in less]
    if trained.asides != tape.asides:
        said.append("its input or its answer in another order or number")
    return found, [Aside("training", f"does other things in training than in evaluation: {'; '.join(said)}")] if said else []
