"""The whole question: a model, however it is given, and the network or networks that it is held against."""

from pathlib import Path
from typing import Any

from torch import nn

from replicate import networks
from replicate.errors import UserError
from replicate.modules.tell.compare import Comparison, compare, nearest
from replicate.modules.tell.look import Look, look
from replicate.modules.tell.seen import Shape
from replicate.modules.tell.subject import SIDES, Subject, opened
from replicate.modules.tell.weights_file import look_at_file
from replicate.modules.weights import PICKLES


def ask(
    model: Any, network: str | None = None, shape: Shape | None = None, classes: int | None = None
) -> tuple[Look, list[Comparison]]:
    """A look at `model` and its comparison with `network`, or without one with the nearest, or all that are equally near.

    `model`: an nn.Module, a callable that makes one, `package.module:attribute`, `file.py:attribute`, or a path of
    safetensors. `shape`: (channels, height, width) of its input; by default that of the network, then 224 and 227 pixels.
    """
    known = networks.load(network) if network else None
    if isinstance(model, Path) or (
        isinstance(model, str) and ":" not in model and Path(model).suffix in (".safetensors", *PICKLES)
    ):
        seen = look_at_file(Path(model))
    else:
        channels = known.input.maps if known else 3
        sides = dict.fromkeys([*([known.input.side] if known else []), *SIDES])
        seen = look(_subject(model), [shape] if shape else [(channels, side, side) for side in sides])
    if known:
        return seen, [compare(seen, known.name, classes, shape is not None)]
    return seen, nearest(seen, classes, shape is not None)


def _subject(model: Any) -> Subject:
    if isinstance(model, str):
        return opened(model)
    return Subject(
        model, type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)
    )


def parsed(text: str) -> Shape:
    """`3x227x227` as (3, 227, 227)."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(f"input {text!r}: write channels, height and width, such as 3x227x227")
    return tuple(map(int, parts))
