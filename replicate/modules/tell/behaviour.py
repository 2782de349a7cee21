"""What a stretch of a model does, told by trying it: its calls are replayed on numbers on the CPU, and what comes out is
compared with what known layers would give. What fits nothing is not given a name.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from replicate.modules.tell.trace import Call, Ref, Stay, Tape, replace

Function = Callable[[Tensor], Tensor]
Told = tuple[str, dict[str, Any]]  # a layer's kind and settings

RANDOM = ("rand", "rand_like", "bernoulli", "uniform", "random", "randint", "randn", "randn_like", "normal")
ELEMENTWISE: dict[str, Function] = {
    "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu6": F.relu6, "elu": F.elu, "gelu": F.gelu, "silu": F.silu,
    "softplus": F.softplus, "softsign": F.softsign, "abs": torch.abs,
}  # fmt: skip
TIGHT = 1e-6  # relative, in float64
LARGE = 1e6  # an activity beside which 1 is nothing, and whose square is far from the largest float64


class Replay:
    """Runs parts of a tape on real numbers. `real` gives the model with values, for the tensors that it holds itself."""

    def __init__(self, tape: Tape, real: Callable[[], Any]):
        self.tape, self.real = tape, real

    def function(self, entry: int, end: int) -> Function:
        """What lies between two calls, as a function of a tensor of the entry's shape."""
        return lambda x: self.value(end, {entry: x})

    def value(self, end: int, known: dict[int, Tensor]) -> Tensor:
        """The result of call `end`, given those of the calls in `known`; whatever else it needs is computed in order."""
        needed, todo = set(), [end]
        while todo:
            index = todo.pop()
            if index not in known and index not in needed:
                needed.add(index)
                todo += self.tape.calls[index].refs
        values = {index: tensor.clone() for index, tensor in known.items()}
        with Stay():
            for index in sorted(needed):
                values[index] = self._run(self.tape.calls[index], values)
        return values[end]

    def _run(self, call: Call, values: dict[int, Tensor]) -> Tensor:
        """Random numbers come out evenly spread, so that shares can be counted."""

        def filled(value: Any) -> Any:
            if isinstance(value, Ref):
                return values[value.index]
            return self._held(value) if isinstance(value, Tensor) else value

        args, kwargs = replace(call.arguments[0], filled), replace(call.arguments[1], filled)
        result = call.function(*args, **kwargs)
        if call.name in ("rand", "rand_like", "uniform", "bernoulli"):
            result.copy_(_even(call.name, result, args, kwargs))
        if call.pick is not None:
            result = result[call.pick]
        return args[0] if result is None else result  # x[...] = value gives nothing and changes x

    def _held(self, tensor: Tensor) -> Tensor:
        """A tensor of the model with its values."""
        if tensor.is_meta:
            name, model = self.tape.tensors.get(id(tensor)), self.real()
            if name is None or not isinstance(model, nn.Module):
                raise RuntimeError("a constant whose values are not known")
            for part in name.split("."):
                model = getattr(model, part)
            tensor = model
        return tensor.detach().double() if tensor.is_floating_point() else tensor.detach()

    def is_random(self, entry: int, end: int) -> bool:
        seen, todo = {entry}, [end]
        while todo:
            index = todo.pop()
            if index not in seen:
                seen.add(index)
                if self.tape.calls[index].name in RANDOM:
                    return True
                todo += self.tape.calls[index].refs
        return False


def _even(name: str, drawn: Tensor, args: tuple, kwargs: dict[str, Any]) -> Tensor:
    """Values that fill the range of a random call in equal steps; for bernoulli ones and zeros in its proportion."""
    steps = ((torch.arange(drawn.numel()) + 0.5) / drawn.numel()).reshape(drawn.shape)
    if name == "bernoulli":
        given = [*args[1:2], *([kwargs["p"]] if "p" in kwargs else [])]
        return steps < (given[0] if given else 0.5 if drawn is args[0] else args[0])
    low, high = args[1:3] if name == "uniform" and len(args) > 2 else (0, 1)
    return low + steps * (high - low)


def told(function: Function, shape: tuple[int, ...], is_random: bool) -> Told | None:
    """The kind and settings of the layer that `function` of a `shape` tensor is; None if it is none that is known here."""
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _dropout(function, shape) if is_random else _told(function, shape)
    except Exception:  # whatever the model's own calls raise on our numbers
        return None


def _told(function: Function, shape: tuple[int, ...]) -> Told | None:
    x = _draw(shape)
    y = function(x)
    if y.shape != x.shape:
        flat = x.ndim == 4 and y.shape[:2] == x.shape[:2] and y.numel() == x.shape[0] * x.shape[1]
        return ("global_pool", {}) if flat and _close(y.flatten(), x.mean((2, 3)).flatten()) else None
    if _close(y, x):
        return "identity", {}
    for kind, known in ELEMENTWISE.items():
        if _close(y, known(x)):
            return kind, {}
    if _close(y, y.flatten()[0] / x.flatten()[0] * x):
        return "scale", {"factor": _rounded((y.flatten()[0] / x.flatten()[0]).item())}
    slope = (y[x < 0] / x[x < 0]).flatten()
    if len(slope) and _close(y, F.leaky_relu(x, slope[0].item())):
        return "leaky_relu", {"slope": _rounded(slope[0].item())}
    return _affine(function, x, y) or (_lrn(function, x, y) if x.ndim == 4 else None)


def _affine(function: Function, x: Tensor, y: Tensor) -> Told | None:
    """y = factor·x + shift, one pair a channel, whatever x is."""
    if x.ndim < 2:
        return None
    u, v, other, answer = (t.transpose(0, 1).flatten(1) for t in (x, y, 3 * x.flip(-1) + 1, function(3 * x.flip(-1) + 1)))
    if u.shape[1] < 3:
        u, v, other, answer = (t.reshape(1, -1) for t in (u, v, other, answer))
    centred = u - u.mean(1, keepdim=True)
    factor = (centred * v).sum(1) / centred.square().sum(1)
    shift = v.mean(1) - factor * u.mean(1)
    if not all(_close(b, factor[:, None] * a + shift[:, None]) for a, b in ((u, v), (other, answer))):
        return None
    return "affine", {"factor": [_rounded(n) for n in factor.tolist()], "shift": [round(n, 6) for n in shift.tolist()]}


def _lrn(function: Function, x: Tensor, y: Tensor) -> Told | None:
    """x·(k + α·S)^-β: each constant from activities that leave no other one visible, then all tried together on `x`."""
    maps, rows, columns = x.shape[1:]
    middle = maps // 2, rows // 2, columns // 2

    # What single activities of four sizes, far from one another, are multiplied by.
    alone = torch.zeros_like(x)
    sizes = {(0, 0): 1 / LARGE, (0, -1): LARGE, (-1, 0): LARGE * 1e3, (-1, -1): LARGE * 1e4}
    for place, activity in sizes.items():
        alone[0, middle[0], place[0], place[1]] = activity
    seen = function(alone)[0, middle[0]]
    small, large, larger, largest = (seen[place].item() / activity for place, activity in sizes.items())
    beta = (math.log(larger) - math.log(largest)) / (2 * math.log(10))
    k = small ** (-1 / beta)
    alpha = (large ** (-1 / beta) - k) / LARGE**2

    def weights(places: list[tuple[int, int, int]]) -> Tensor:
        """How much large activities weigh in the sums of all the others, which are too small to weigh themselves."""
        field = torch.full_like(x[0], 1 / LARGE)
        for place in places:
            field[place] = LARGE
        return (((function(field[None])[0] / field) ** (-1 / beta) - k) / (alpha * LARGE**2)).round(decimals=3)

    near = weights([middle]).nonzero()
    extent = (near.max(0).values - near.min(0).values + 1).tolist()
    if extent[0] == 1 and extent[1] == extent[2] > 1:
        size, towers, neighbours = extent[1], 1, "space"
    elif extent[1:] == [1, 1]:
        size, towers = _window(weights, maps, rows, columns)
        neighbours = "maps"
    else:
        return None
    settings = {
        "size": size,
        "alpha": _rounded(alpha),
        "beta": _rounded(beta),
        "k": _rounded(k),
        "towers": towers,
        "neighbours": neighbours,
    }
    fits = all(_close(function(x * scale), lrn(x * scale, **settings), 1e-4) for scale in (1, 100))
    return ("lrn", settings) if fits else None


def _window(weights: Callable, maps: int, rows: int, columns: int) -> tuple[int, int]:
    """The most maps that are summed, and into how many equal parts the maps fall that see nothing of one another."""
    borders = {maps // towers * part: towers for towers in (4, 3, 2) if maps % towers == 0 for part in range(1, towers)}
    tried = sorted({0, maps // 8, *borders, maps - 1})
    if len(tried) > rows * columns:
        raise ValueError("too few positions to try every map at one of its own")
    places = [(m, i // columns, i % columns) for i, m in enumerate(tried)]
    seen = weights(places)
    sums = {m: seen[:, row, column] for m, row, column in places}
    size = max(int((column != 0).sum()) for column in sums.values())
    for towers in (4, 3, 2):
        if (
            size > 1
            and maps % towers == 0
            and all(sums[maps // towers * part][maps // towers * part - 1] == 0 for part in range(1, towers))
        ):
            return size, towers
    return size, 1


def lrn(x: Tensor, size: int, alpha: float, beta: float, k: float, towers: int, neighbours: str) -> Tensor:
    """The layer in plain torch, with α on the sum; see `replicate.networks.description.LRN`."""
    n, c, h, w = x.shape
    before, after = size // 2, (size - 1) // 2
    if neighbours == "space":
        window = F.avg_pool2d(F.pad(x.square(), (before, after) * 2), size, 1, divisor_override=1)
    else:
        squares = F.pad(x.square().reshape(n, towers, c // towers, h, w), (0, 0, 0, 0, before, after))
        window = sum(squares.narrow(2, j, c // towers) for j in range(size)).reshape(x.shape)
    return x * (k + alpha * window) ** -beta


def _dropout(function: Function, shape: tuple[int, ...]) -> Told | None:
    """A share of zeros and one factor for the rest: what dropout does in training, whoever wrote it."""
    ones = torch.ones(shape, dtype=torch.float64)
    draws = function(ones).flatten()
    kept = draws[draws != 0]
    if not len(kept) or len(kept) == len(draws) or not _close(kept, kept[:1].expand_as(kept)):
        return None
    return "dropped", {"p": round(1 - len(kept) / len(draws), 3), "factor": _rounded(kept[0].item())}


def _draw(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _close(a: Tensor, b: Tensor, rtol: float = TIGHT) -> bool:
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=rtol, atol=rtol * 1e-3)


def _rounded(number: float) -> float:
    """To six digits: what a fit in float64 is good for, and a float32 constant."""
    return float(f"{number:.6g}")
