"""A comparison in words, and as plain data for JSON."""

from math import inf
from typing import Any

from replicate.modules.tell.compare import Comparison, Difference, Row
from replicate.modules.tell.look import Look
from replicate.modules.tell.phrases import inside, layer_words, value_words
from replicate.modules.tell.seen import LEARNED, NEVER, NORMS, Layer, side_by_side

UNSEEN = "Initial weights, learning rates and the mean taken from pixels do not show in a model."
FILE_ONLY = "A file of weights shows kernels, groups and counts only: no strides, pooling, activations, LRN or dropout."
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


def words(difference: Difference, network: str) -> str:
    """`stride 2 rather than 4`: one difference, from the model to the network."""
    here, there = (
        value_words(difference.what, USUAL.get(difference.what) if v is None else v) for v in (difference.here, difference.there)
    )
    match difference.what:
        case "layer":
            return f"{layer_words(difference.of)}: not in {network}" if difference.of else f"missing: {there}"
        case "training":
            return here
        case "channel order":
            return f"the order of the channels is changed inside: {here}"
        case "rescale" if difference.here == NEVER:
            return "dropout never at work"
        case "order":
            return f"stands {here}, in {network} {there}"
        case "kind":
            return f"{here} in place of {there}"
        case "towers":
            return f"window {inside(difference.here)} rather than {inside(difference.there)}"
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
    """What a difference is one of: `classes`, `input`, `normalisation`, `weights`, `dropout`, `training`, `other`."""
    if difference.what in ("classes", "side", "channels", "channel order"):
        return "classes" if difference.what == "classes" else "input"
    kinds = {**dict.fromkeys(LEARNED, "weights"), **dict.fromkeys(NORMS, "normalisation")}
    kinds |= {kind: kind for kind in ("dropout", "training")}
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
    found = []
    for d in comparison.beside:
        here, there = ("–" if d.there is None else value_words(d.what, value) for value in (d.here, d.there))
        found.append(_cells(d.layer, here, None, there, words(d, name)))
    for row in comparison.rows:
        here, there = (layer_words(layer) if layer else "–" for layer in (row.here, row.there))
        count = row.here.parameters or None if row.here else None
        said = [f"not in {name}" if d.of else words(d, name) for d in row.differences]  # what it is stands beside
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
