"""A comparison in words, and as plain data for JSON."""

from math import inf
from typing import Any

from replicate.modules.tell.compare import Comparison, Difference, Row
from replicate.modules.tell.look import Look
from replicate.modules.tell.seen import LEARNED, NORMS, Layer, side_by_side

UNSEEN = "Initial weights, learning rates and the mean taken from pixels do not show in a model."
FILE_ONLY = "A file of weights shows kernels, groups and counts only: no strides, pooling, activations, LRN or dropout."
RESCALE = {"test": "times 1-p at test", "train": "divided by 1-p in training"}
USUAL = {
    "part": "all of them",
    "weights": "as they are stored",
    "dilation": 1,
    "divides": "by what the edge leaves of the window",
}
LABELS = {
    "kernel_size": "kernel", "zeros": "zeros before and beyond", "alpha": "α on the sum", "beta": "β", "size": "n",
    "neighbours": "window over", "rescale": "outputs", "part": "acts on",
}  # fmt: skip


def layer_words(layer: Layer) -> str:
    """`conv 96 of 11×11, stride 4, zeros 0+3`: kind and settings of one layer."""
    s = layer.settings
    match layer.kind:
        case "conv" | "local":
            said = [f"{layer.kind} {layer.output[0]} of {_size(s['kernel_size'])}"]
            said += [f"{key} {_value(key, s[key])}" for key in ("stride", "zeros") if s.get(key) not in (None, (0, 0))]
            said += _groups(s)
        case "linear":
            said = [f"linear {layer.output[0]}", *_groups(s)]
        case "max_pool" | "avg_pool":
            said = [f"{layer.kind} {_size(s['kernel_size'])}, stride {s['stride']}"]
            said += [f"zeros {_value('zeros', s['zeros'])}"] if s["zeros"] != (0, 0) else []
        case "lrn":
            constants = ", ".join(f"{sign} {_value('', s[key])}" for sign, key in (("β", "beta"), ("k", "k")))
            said = [f"lrn n {s['size']}, α {_value('', s['alpha'])} on the sum, {constants}"]
            if s["neighbours"] == "space":
                said.append("in space")
            else:
                said.append(_inside(s["towers"]))
        case "dropout":
            said = [f"dropout {_value('', s['p'])}", RESCALE.get(s["rescale"], s["rescale"])]
        case "unrecognised":
            said = [f"unrecognised: {s['calls']}"]
        case _:
            said = [layer.kind]
    said += ["no bias"] if s.get("bias") is False else []
    said += [
        f"{key} {_value(key, s[key])}"
        for key in ("dilation", "slope", "factor", "shift", "divides", "part", "pad", "weights")
        if key in s
    ]
    if layer.kind.startswith("adaptive"):
        said.append(f"to {side_by_side(layer.output[1:])}")
    return ", ".join(said)


def words(difference: Difference, network: str) -> str:
    """`stride 2 rather than 4`: one difference, from the model to the network."""
    here, there = (
        _value(difference.what, USUAL.get(difference.what) if v is None else v) for v in (difference.here, difference.there)
    )
    match difference.what:
        case "layer":
            return f"missing: {there}" if difference.here is None else f"{here}: not in {network}"
        case "order":
            return f"stands {here}, in {network} {there}"
        case "kind":
            return f"{here} in place of {there}"
        case "towers":
            return f"window {_inside(difference.here)} rather than {_inside(difference.there)}"
        case "bias":
            return "without a bias" if not difference.here else "with a bias"
        case "out":
            return f"{here} {'units' if difference.kind == 'linear' else 'maps'} rather than {there}"
        case "inputs":
            return f"reads {here} {'values' if difference.kind == 'linear' else 'maps'} rather than {there}"
        case "classes" | "side" | "channels":
            return f"{here} {difference.what if difference.what != 'side' else 'pixels a side'} rather than {there}"
    return f"{LABELS.get(difference.what, difference.what)} {here} rather than {there}"


def about(difference: Difference) -> str:
    """What a difference is one of: `classes`, `input`, `normalisation`, `weights`, `dropout`, `other`."""
    if difference.what in ("classes", "side", "channels"):
        return "classes" if difference.what == "classes" else "input"
    kinds = {**dict.fromkeys(LEARNED, "weights"), **dict.fromkeys(NORMS, "normalisation"), "dropout": "dropout"}
    return kinds.get(difference.kind, "other")


def verdict(look: Look, comparisons: list[Comparison], asked: bool) -> str:
    """The first line: what network the model is, or from which it differs. `comparisons`: one, or all that are equally near."""
    first, *others = comparisons
    called = [f"also called {', '.join(alias.name for alias in first.network.aliases)}"] if first.network.aliases else []
    if others:
        called.append(f"{'as near' if first.differences else 'the same layers'}: {', '.join(c.network.name for c in others)}")
    name = first.network.name + (f" ({'; '.join(called)})" if called else "")
    if not first.differences:
        return f"{look.name} is the network {name}" if look.complete else f"{look.name}: what it shows agrees with {name}"
    if asked:
        return f"{look.name} differs from {name} in {_points(first)}"
    equal, every = agreeing(first)
    near = f"nearest known network: {name}, in {_points(first)}"
    return f"{look.name}: {near}; {equal} of {every} layers with weights are the same"


def agreeing(comparison: Comparison) -> tuple[int, int]:
    """Layers with weights that are the same on both sides, of all."""
    rows = [row for row in comparison.rows if (row.here or row.there).kind in LEARNED]
    return sum(not row.differences for row in rows), len(rows)


def notes(look: Look, comparison: Comparison) -> list[str]:
    ours, theirs = look.parameters, comparison.parameters
    counts = f"{ours:,} parameters" + ("" if ours == theirs else f", {comparison.network.name} has {theirs:,}")
    seen = f"Seen on {side_by_side(look.input)}." if look.complete else FILE_ONLY
    return [f"{counts}.", seen, *(f"{note}." for note in [*look.notes, *comparison.notes]), UNSEEN]


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The table's rows: what differs in the input first, then layer by layer."""
    name = comparison.network.name
    found = [_cells(d.layer, _value(d.what, d.here), None, _value(d.what, d.there), words(d, name)) for d in comparison.beside]
    for row in comparison.rows:
        here, there = (layer_words(layer) if layer else "–" for layer in (row.here, row.there))
        count = row.here.parameters or None if row.here else None
        said = [words(d, name) for d in row.differences]
        if row.here and row.there and row.here.parameters != row.there.parameters:
            said.append(f"{row.here.parameters:,} parameters rather than {row.there.parameters:,}")
        found.append(_cells(row.name, here, count, "same" if here == there and not said else there, "; ".join(said)))
    return found


def _cells(layer: str, here: str, count: int | None, there: str, difference: str) -> dict[str, Any]:
    return {"layer": layer, "here": here, "count": count, "there": there, "difference": difference}


def lines(comparison: Comparison) -> list[str]:
    """Every difference as `layer: words`."""
    return [f"{d.layer}: {words(d, comparison.network.name)}" for d in comparison.differences]


def as_data(look: Look, comparisons: list[Comparison], asked: bool) -> dict[str, Any]:
    """What `--format json` prints."""
    first = comparisons[0]
    return {
        "model": look.name,
        "verdict": verdict(look, comparisons, asked),
        "network": first.network.name,
        "equally_near": [c.network.name for c in comparisons[1:]],
        "same": not first.differences,
        "complete": look.complete,
        "input": list(look.input) if look.complete else None,
        "parameters": look.parameters,
        "network_parameters": first.parameters,
        "differences": [
            {
                "layer": d.layer,
                "about": about(d),
                "what": d.what,
                "here": d.here,
                "there": d.there,
                "words": line.partition(": ")[2],
            }
            for d, line in zip(first.differences, lines(first), strict=True)
        ],
        "layers": [_row(row) for row in first.rows],
        "notes": notes(look, first),
    }


def _row(row: Row) -> dict[str, Any]:
    def side(layer: Layer | None) -> dict[str, Any] | None:
        if layer is None:
            return None
        shapes = {"input": list(layer.input), "output": list(layer.output), "parameters": layer.parameters}
        settings = {key: value if value not in (inf, -inf) else str(value) for key, value in layer.settings.items()}
        return {"name": layer.name, "kind": layer.kind, **settings, **shapes}

    return {"layer": row.name, "here": side(row.here), "there": side(row.there), "differences": [d.what for d in row.differences]}


def _points(comparison: Comparison) -> str:
    kinds: dict[str, int] = {}
    for difference in comparison.differences:
        kinds[about(difference)] = kinds.get(about(difference), 0) + 1
    n = len(comparison.differences)
    return f"{n} point{'s' * (n > 1)} ({', '.join(f'{count} of {kind}' for kind, count in kinds.items())})"


def _groups(settings: dict[str, Any]) -> list[str]:
    groups = settings.get("groups", 1)
    return [] if groups == 1 else ["groups unclear"] if groups is None else [f"{groups} groups"]


def _inside(towers: Any) -> str:
    return "across all maps" if towers == 1 else f"inside each of {towers} towers"


def _size(kernel: Any) -> str:
    return f"{kernel}×{kernel}" if isinstance(kernel, int) else side_by_side(kernel) if isinstance(kernel, tuple) else str(kernel)


def _value(what: str, value: Any) -> str:
    if what == "zeros" and isinstance(value, tuple):
        return "+".join(side_by_side(v) if isinstance(v, tuple) else str(v) for v in value)
    if what == "rescale":
        return RESCALE.get(value, str(value))
    if what == "neighbours":
        return {"maps": "neighbouring maps", "space": "positions of one map"}.get(value, str(value))
    if what == "kernel_size":
        return _size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(f"{v:g}" for v in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else str(value)
