"""One layer in words."""

from typing import Any

from replicate.modules.tell.seen import Layer, side_by_side

RESCALE = {"test": "times 1-p at test", "train": "divided by 1-p in training"}


def layer_words(layer: Layer) -> str:
    """`conv 96 of 11×11, stride 4, zeros 0+3`: kind and settings of one layer."""
    s = layer.settings
    match layer.kind:
        case "conv" | "local":
            said = [f"{layer.kind} {layer.output[0]} of {_size(s['kernel_size'])}"]
            said += [f"{key} {value_words(key, s[key])}" for key in ("stride", "zeros") if s.get(key) not in (None, (0, 0))]
            said += _groups(s)
        case "linear":
            said = [f"linear {layer.output[0]}", *_groups(s)]
        case "max_pool" | "avg_pool":
            said = [f"{layer.kind} {_size(s['kernel_size'])}, stride {s['stride']}"]
            said += [f"zeros {value_words('zeros', s['zeros'])}"] if s["zeros"] != (0, 0) else []
        case "lrn":
            constants = ", ".join(f"{sign} {value_words('', s[key])}" for sign, key in (("β", "beta"), ("k", "k")))
            said = [f"lrn n {s['size']}, α {value_words('', s['alpha'])} on the sum, {constants}"]
            if s["neighbours"] == "space":
                said.append("in space")
            else:
                said.append(inside(s["towers"]))
        case "dropout":
            said = [f"dropout {value_words('', s['p'])}", RESCALE.get(s["rescale"], s["rescale"])]
        case "pad":
            filled = s["value"] if isinstance(s["value"], str) else f"with {s['value']:g}"
            return f"pad {' '.join(map(str, s['pad']))}, {filled}"
        case "unrecognised":
            said = [f"unrecognised: {s['calls']}"]
        case _:
            said = [layer.kind]
    said += ["no bias"] if s.get("bias") is False else []
    said += [
        f"{key} {value_words(key, s[key])}"
        for key in ("dilation", "slope", "factor", "shift", "divides", "part", "weights")
        if key in s
    ]
    if layer.kind.startswith("adaptive"):
        said.append(f"to {side_by_side(layer.output[1:])}")
    return ", ".join(said)


def named(layer: Layer) -> str:
    """`linear 10 (head.fc)`: what a layer is, and where it stands if it is more than a call."""
    said = layer_words(layer)
    return said if layer.name in said else f"{said} ({layer.name})"


def _groups(settings: dict[str, Any]) -> list[str]:
    groups = settings.get("groups", 1)
    return [] if groups == 1 else ["groups unclear"] if groups is None else [f"{groups} groups"]


def inside(towers: Any) -> str:
    return "across all maps" if towers == 1 else f"inside each of {towers} towers"


def _size(kernel: Any) -> str:
    return f"{kernel}×{kernel}" if isinstance(kernel, int) else side_by_side(kernel) if isinstance(kernel, tuple) else str(kernel)


def value_words(what: str, value: Any) -> str:
    """A setting's value, as it is printed."""
    if value is None:
        return "unclear" if what == "groups" else "none"
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
