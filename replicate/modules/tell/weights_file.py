"""What a file of weights shows of a network: the shapes of its tensors. Only the file's header is read; nothing is executed."""

import re
from collections import defaultdict
from math import isqrt, prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from replicate.errors import UserError
from replicate.modules.tell.look import Look
from replicate.modules.tell.seen import Layer, Shape
from replicate.modules.weights import natural

MAPS_FIRST = "kernels are (maps, maps of the layer before, rows, columns) in PyTorch's order"


def look_at_file(path: Path) -> Look:
    """The layers with weights, in the order that their names and shapes give."""
    if path.suffix != ".safetensors":
        raise UserError(
            f"{path}: only safetensors files are read, since a pickle (.pt, .pth, .bin) can run code when it is opened; "
            "convert it once: safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'weights.safetensors')"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None
    return look_at_shapes(str(path), shapes)


def look_at_shapes(name: str, shapes: dict[str, Shape]) -> Look:
    by_name = sorted(shapes, key=natural)
    kernels = [n for n in by_name if len(shapes[n]) in (3, 4) and not n.endswith("bias")]
    matrices = [n for n in by_name if len(shapes[n]) == 2]
    for n in kernels:
        if len(shapes[n]) == 4 and shapes[n][2] != shapes[n][3] and shapes[n][0] == shapes[n][1]:
            raise UserError(f"{name}: {n} is {shapes[n]}: {MAPS_FIRST}; transpose the file's")
    if not kernels and not matrices:
        raise UserError(f"{name}: holds no weights of convolutions or linear layers")
    twins = _twins([*kernels, *matrices], shapes) if _two_read_pictures(kernels, shapes) else {}
    notes = ["layers in the order of their names, as far as their shapes fit"]
    if twins:
        notes.append("two towers, by the names and shapes of their weights")
    channels = _channels(kernels, shapes)
    layers = _Order(shapes, twins).of(kernels, matrices, channels)
    notes += [f"{layer.name} does not fit the outputs before it" for layer in layers if layer.settings.get("groups", 1) is None]
    layers = _with_norms(layers, by_name, shapes)
    counted = sum(layer.parameters for layer in layers)
    buffers = sum(
        prod(shapes[n]) for n in by_name if n.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")
    )
    rest = sum(map(prod, shapes.values())) - counted - buffers
    if rest:
        notes.append(f"{rest:,} numbers in other tensors")
    return Look(name, layers, (channels,) if kernels else (), notes, complete=False)


class _Order:
    """Finds an order in which every layer can read the one before: that of the names, or the nearest to it."""

    TRIES = 5000

    def __init__(self, shapes: dict[str, Shape], twins: dict[str, str]):
        self.shapes, self.twins, self.tries = shapes, twins, 0

    def of(self, kernels: list[str], matrices: list[str], channels: int) -> list[Layer]:
        rows = [[n for n in names if n not in self.twins.values()] for names in (kernels, matrices)]
        found = self._fitting(rows, channels, None)
        return self._in_turn(rows, channels) if found is None else found

    def _fitting(self, rows: list[list[str]], units: int, places: int | None) -> list[Layer] | None:
        rows = [row for row in rows if row]
        if not rows:
            return []
        for n in rows[0]:
            self.tries += 1
            if self.tries > self.TRIES:
                return None
            layer, after = self._layer(n, units, places)
            if layer.settings.get("groups", 1) is not None:
                rest = self._fitting([[m for m in row if m != n] for row in rows], layer.output[0], after)
                if rest is not None:
                    return [layer, *rest]
        return None

    def _in_turn(self, rows: list[list[str]], units: int) -> list[Layer]:
        layers, places = [], None
        for n in [n for row in rows for n in row]:
            layer, places = self._layer(n, units, places)
            layers.append(layer)
            units = layer.output[0]
        return layers

    def _layer(self, n: str, units: int, places: int | None) -> tuple[Layer, int | None]:
        return _layer(n, self.shapes, units, places, 1 + (n in self.twins))


def _layer(n: str, shapes: dict[str, Shape], units: int, places: int | None, towers: int) -> tuple[Layer, int | None]:
    """One layer and how many positions each of its maps is known to have; `groups` is None where the shapes do not fit."""
    shape = shapes[n]
    out, reads = shape[0] * towers, shape[1]
    bias = shapes.get(re.sub(r"weight$", "bias", n), (0,)) if n.endswith("weight") else (0,)
    weights, biases = prod(shape) * towers, prod(bias) * towers
    name = n.removesuffix(".weight")
    if len(shape) == 3:  # unshared weights: (positions, maps, values read)
        kernel = isqrt(shape[2] // units) if units else 0
        return Layer("local", name, (units,), (shape[1],), {"kernel_size": kernel}, weights, biases), shape[0]
    if len(shape) == 4:
        settings = {
            "kernel_size": shape[2] if shape[2] == shape[3] else shape[2:],
            "groups": _groups(units, reads, out),
            "bias": biases > 0,
        }
        return Layer("conv", name, (units,), (out,), settings, weights, biases), None
    every = [groups for groups in (1, 2, 3, 4) if _fits(reads * groups, units, places)]
    settings = {"groups": every[0] if every else None, "bias": biases > 0}
    return Layer("linear", name, (reads * (every[0] if every else 1),), (out,), settings, weights, biases), 1


def _fits(inputs: int, units: int, places: int | None) -> bool:
    """Whether a linear layer with so many inputs can read `units` units, or maps of `places` positions (None: some square)."""
    if not units or inputs % units:
        return not units
    each = inputs // units
    return each == places if places else isqrt(each) ** 2 == each


def _groups(units: int, reads: int, out: int) -> int | None:
    return units // reads if reads and units % reads == 0 and out % (units // reads) == 0 else None


def _channels(kernels: list[str], shapes: dict[str, Shape]) -> int:
    first = shapes[kernels[0]] if kernels else ()
    return first[1] if len(first) == 4 else 0


def _two_read_pictures(kernels: list[str], shapes: dict[str, Shape]) -> bool:
    return bool(kernels) and shapes[kernels[0]][1] <= 3 and any(shapes[n] == shapes[kernels[0]] for n in kernels[1:])


def _twins(names: list[str], shapes: dict[str, Shape]) -> dict[str, str]:
    """Weights of two towers: equal in shape, with names that differ in one word; the two words that most pairs share win."""
    pairs: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for one in names:
        for other in names:
            ours, theirs = _words(one), _words(other)
            differ = [(a, b) for a, b in zip(ours, theirs, strict=False) if a != b]
            if shapes[one] == shapes[other] and len(ours) == len(theirs) and len(differ) == 1 and ours < theirs:
                pairs[differ[0]][one] = other
    found: dict[str, str] = {}
    for pair in sorted(pairs.values(), key=len, reverse=True):
        used = {*found, *found.values()}
        if any(len(shapes[n]) == 4 for n in pair):
            found |= {one: other for one, other in pair.items() if not {one, other} & used}
    return found


def _with_norms(layers: list[Layer], by_name: list[str], shapes: dict[str, Shape]) -> list[Layer]:
    """Batch normalisations, each behind the first layer with as many outputs that has none yet."""
    row = list(layers)
    for n in by_name:
        if n.rpartition(".")[2] != "running_mean":
            continue
        name, units = n.rpartition(".")[0], prod(shapes[n])
        weights, biases = (prod(shapes.get(f"{name}.{part}", (0,))) for part in ("weight", "bias"))
        norm = Layer("batch_norm", name, (units,), (units,), {}, weights, biases)
        behind = [i for i, layer in enumerate(row) if layer.kind != "batch_norm" and layer.output[0] == units]
        free = [i for i in behind if i + 1 == len(row) or row[i + 1].kind != "batch_norm"]
        row.insert(free[0] + 1 if free else len(row), norm)
    return row


def _words(name: str) -> list[str]:
    return re.findall(r"[A-Za-z]+|\d+", name)
