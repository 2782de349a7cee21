"""Calls that are a layer by themselves: torch's functions, from which module or package they may be called."""

from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

from torch import Tensor

from replicate.modules.tell.seen import ACTIVATIONS, LEARNED, OTHER_ACTIVATIONS, OTHER_DROPOUT, Layer, Shape, side_by_side, zeros
from replicate.modules.tell.trace import Call, Ref

# The arguments of torch's functions in their order, with their defaults.
POOL = {"input": None, "kernel_size": None, "stride": None, "padding": 0}
SCALED = {"weight": None, "bias": None}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "conv2d": {"input": None, **SCALED, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    "convolution": {
        "input": None,
        **SCALED,
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "transposed": False,
        "output_padding": 0,
        "groups": 1,
    },
    "linear": {"input": None, **SCALED},
    "addmm": {"bias": None, "input": None, "weight": None},
    "matmul": {"input": None, "weight": None},
    "mm": {"input": None, "weight": None},
    "local": {"module": None, "input": None},
    "max_pool2d": {**POOL, "dilation": 1, "ceil_mode": False},
    "max_pool2d_with_indices": {**POOL, "dilation": 1, "ceil_mode": False},
    "avg_pool2d": {**POOL, "ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    "adaptive_avg_pool2d": {"input": None},
    "adaptive_max_pool2d": {"input": None},
    "local_response_norm": {"input": None, "size": None, "alpha": 1e-4, "beta": 0.75, "k": 1.0},
    "batch_norm": {
        "input": None,
        "running_mean": None,
        "running_var": None,
        **SCALED,
        "training": False,
        "momentum": 0.1,
        "eps": 1e-5,
    },
    "torch.batch_norm": {
        "input": None,
        **SCALED,
        "running_mean": None,
        "running_var": None,
        "training": False,
        "momentum": 0.1,
        "eps": 1e-5,
    },
    "layer_norm": {"input": None, "normalized_shape": None, **SCALED},
    "group_norm": {"input": None, "num_groups": None, **SCALED},
    "instance_norm": {"input": None, "running_mean": None, "running_var": None, **SCALED},
    "prelu": {"input": None, "weight": None},
    "hardtanh": {"input": None, "min_val": -1, "max_val": 1},
    "dropout": {"input": None, "p": 0.5, "training": True},
    "mean": {"input": None, "dim": None},
    "pad": {"input": None, "pad": None, "mode": "constant", "value": None},
    "constant_pad_nd": {"input": None, "pad": None, "value": 0},
}
SYNONYMS = {"self": "input", "mat1": "input", "mat2": "weight", "other": "weight", "axis": "dim"}
NORMS = ("layer_norm", "group_norm", "instance_norm")
PLAIN = (*ACTIVATIONS, *OTHER_ACTIVATIONS, *OTHER_DROPOUT, *NORMS, "softmax", "log_softmax", "normalize")


def layer_of(call: Call, calls: list[Call], names: dict[int, str]) -> Layer | None:
    """The layer that `call` is, if it is one by itself. `names` are those of the model's tensors."""
    reads = [ref for ref in call.refs if calls[ref].live]
    if len(reads) != 1:
        return None
    name = call.module or next((names[id(t)].rpartition(".")[0] for t in call.tensors if id(t) in names), "") or call.name
    layer = Layer(call.name, name, calls[reads[0]].shape[1:], call.shape[1:])
    a = _bound(call)
    if call.name == "hardtanh" and (a["min_val"], a["max_val"]) == (0, 6):
        return replace(layer, kind="relu6")
    if call.name in PLAIN:
        weights, biases = (_numel((a or {}).get(key), calls) for key in SCALED)
        return replace(layer, weights=weights, biases=biases)
    if a is None or not isinstance(a.get("input"), Ref) or a["input"].index != reads[0]:
        return None
    match call.name:
        case "conv2d" | "convolution":
            return _conv(layer, a, calls)
        case "linear" | "addmm" | "matmul" | "mm":
            return _linear(layer, a, calls)
        case "local":
            m = a["module"]
            edge = zeros(layer.input[1], m.kernel_size, m.stride, m.zeros[0], m.side)
            settings = {"kernel_size": m.kernel_size, "stride": m.stride, "zeros": edge}
            return replace(layer, settings=settings, weights=m.weight.numel(), biases=m.bias.numel())
        case "max_pool2d" | "max_pool2d_with_indices" | "avg_pool2d":
            return _pool(layer, a)
        case "adaptive_avg_pool2d" | "adaptive_max_pool2d":
            return _adaptive(layer)
        case "mean":
            dims = {d % len(calls[reads[0]].shape) for d in _tuple(a["dim"])} if a["dim"] is not None else set()
            return replace(layer, kind="global_pool") if dims == {2, 3} else None
        case "local_response_norm":
            settings = {
                "size": a["size"],
                "alpha": a["alpha"] / a["size"],
                "beta": a["beta"],
                "k": a["k"],
                "towers": 1,
                "neighbours": "maps",
            }
            return replace(layer, kind="lrn", settings=settings)
        case "batch_norm":
            weights, biases = (_numel(a[key], calls) for key in ("weight", "bias"))
            return replace(layer, settings={"eps": a["eps"], "momentum": a["momentum"]}, weights=weights, biases=biases)
        case "dropout":
            return replace(
                layer, kind="dropout" if a["p"] else "identity", settings={"p": a["p"], "rescale": "train", "on": a["training"]}
            )
        case "pad" | "constant_pad_nd":
            return _pad(layer, a)
    return None


def with_zeros(layer: Layer, pad: Layer) -> Layer | None:
    """`layer` with the zeros that `pad` puts around its input counted as its own; None where it would read them otherwise."""
    left, right, top, bottom = pad.settings["pad"]
    value = pad.settings["value"]
    fits = layer.kind == "conv" and value == 0 or layer.kind == "max_pool" and value == float("-inf")
    is_square = all(isinstance(layer.settings[key], int) for key in ("kernel_size", "stride")) and pad.input[1] == pad.input[2]
    if not fits or not is_square or (left, right) != (top, bottom) or min(left, right) < 0:
        return None
    before = layer.settings["zeros"][0] + left
    edge = zeros(pad.input[1], _reach(layer.settings), layer.settings["stride"], before, layer.output[1])
    return replace(layer, input=pad.input, settings=layer.settings | {"zeros": edge})


def with_bias(layer: Layer, call: Call, calls: list[Call]) -> Layer | None:
    """`layer` with the bias that `call` adds to its output; None where what is added is no bias."""
    constants = [v for v in (*call.arguments[0], *call.arguments[1].values()) if isinstance(v, Tensor | Ref)]
    constants = [v for v in constants if isinstance(v, Tensor) or not calls[v.index].live]
    if call.name not in ("add", "iadd", "radd") or layer.kind not in LEARNED or layer.biases or len(constants) != 1:
        return None
    shape, out = shape_of(constants[0], calls), layer.output
    if prod(shape) != out[0] or shape not in (
        (out[0],),
        (1, *out),
        (out[0], *[1] * (len(out) - 1)),
        (1, out[0], *[1] * (len(out) - 1)),
    ):
        return None
    return replace(layer, settings=layer.settings | {"bias": True}, biases=out[0])


def shape_of(value: Any, calls: list[Call]) -> Shape:
    return calls[value.index].shape if isinstance(value, Ref) else tuple(value.shape)


def _conv(layer: Layer, a: dict[str, Any], calls: list[Call]) -> Layer | None:
    weight = shape_of(a["weight"], calls)
    if len(weight) != 4 or a.get("transposed"):
        return None
    kernel, stride, dilation = weight[2:], _pair(a["stride"]), _pair(a["dilation"])
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    padding = {"same": tuple((r - 1) // 2 for r in reach), "valid": (0, 0)}.get(
        a["padding"] if isinstance(a["padding"], str) else ""
    )
    settings = _windows(layer, kernel, stride, padding or _pair(a["padding"]), reach) | {
        "groups": a["groups"],
        "bias": a["bias"] is not None,
    }
    if _one(dilation) != 1:
        settings["dilation"] = _one(dilation)
    return replace(layer, kind="conv", settings=settings, weights=prod(weight), biases=_numel(a["bias"], calls))


def _linear(layer: Layer, a: dict[str, Any], calls: list[Call]) -> Layer | None:
    if not isinstance(a["weight"], Tensor | Ref) or len(shape := shape_of(a["weight"], calls)) != 2:
        return None
    inputs = shape[1] if layer.kind == "linear" else shape[0]
    if inputs != layer.units:  # the same weights at many places
        return None
    settings = {"groups": 1, "bias": a.get("bias") is not None}
    return replace(
        layer,
        kind="linear",
        output=(prod(layer.output),),
        settings=settings,
        weights=prod(shape),
        biases=_numel(a.get("bias"), calls),
    )


def _pool(layer: Layer, a: dict[str, Any]) -> Layer | None:
    kernel = _pair(a["kernel_size"])
    kind = "avg_pool" if "avg" in layer.kind else "max_pool"
    stride = _pair(a["stride"]) if a["stride"] not in (None, [], ()) else kernel
    padding = _pair(a["padding"])
    settings = _windows(layer, kernel, stride, padding, kernel)
    if kind == "avg_pool" and (a["divisor_override"] or (a["count_include_pad"] and any(padding))):
        settings["divides"] = a["divisor_override"] or "by the whole window at the edge too"
    if kind == "max_pool" and _one(_pair(a["dilation"])) != 1:
        settings["dilation"] = _one(_pair(a["dilation"]))
    return replace(layer, kind=kind, settings=settings)


def _adaptive(layer: Layer) -> Layer:
    if layer.input == layer.output:
        return replace(layer, kind="identity", note="adaptive pooling changes nothing at this size")
    if layer.kind == "adaptive_avg_pool2d" and layer.output[1:] == (1, 1):
        return replace(layer, kind="global_pool")
    windows = [_even_windows(*sides) for sides in zip(layer.input[1:], layer.output[1:], strict=True)]
    if len(windows) != 2 or windows[0] is None or windows[0] != windows[1]:
        return replace(layer, kind=layer.kind.removesuffix("2d"))
    kernel, stride = windows[0]
    kind = layer.kind.removesuffix("2d").removeprefix("adaptive_")
    note = f"adaptive pooling, on {side_by_side(layer.input[1:])} the same as windows of {kernel} every {stride}"
    return replace(layer, kind=kind, settings=_windows(layer, (kernel,) * 2, (stride,) * 2, (0, 0), (kernel,) * 2), note=note)


def _even_windows(side: int, outputs: int) -> tuple[int, int] | None:
    """Size and stride of adaptive pooling's windows, from ⌊i·side/outputs⌋ to ⌈(i+1)·side/outputs⌉; None if they vary."""
    starts = [i * side // outputs for i in range(outputs)]
    sizes = {-(-(i + 1) * side // outputs) - start for i, start in enumerate(starts)}
    strides = {b - a for a, b in pairwise(starts)}
    return (sizes.pop(), strides.pop()) if len(sizes) == len(strides) == 1 else None


def _pad(layer: Layer, a: dict[str, Any]) -> Layer | None:
    pad = tuple(a["pad"]) + (0,) * (4 - len(a["pad"]))
    if len(pad) != 4 or len(layer.input) != 3:
        return None
    value = (a["value"] or 0) if a.get("mode", "constant") == "constant" else a["mode"]
    return replace(layer, kind="pad" if any(pad) else "identity", settings={"pad": pad, "value": value})


def _windows(layer: Layer, kernel: Shape, stride: Shape, padding: Shape, reach: Shape) -> dict[str, Any]:
    edges = [zeros(*numbers) for numbers in zip(layer.input[1:], reach, stride, padding, layer.output[1:], strict=True)]
    edge = edges[0] if edges[0] == edges[1] and layer.input[1] == layer.input[2] else tuple(zip(*edges, strict=True))
    return {"kernel_size": _one(kernel), "stride": _one(stride), "zeros": edge}


def _reach(settings: dict[str, Any]) -> int:
    return settings.get("dilation", 1) * (settings["kernel_size"] - 1) + 1


def _bound(call: Call) -> dict[str, Any] | None:
    """A call's arguments by name, defaults filled in."""
    in_torch = call.name == "batch_norm" and getattr(call.function, "__module__", "") != "torch.nn.functional"
    defaults = ARGUMENTS.get("torch.batch_norm" if in_torch else call.name)
    if defaults is None:
        return None
    args, kwargs = call.arguments
    return defaults | dict(zip(defaults, args, strict=False)) | {SYNONYMS.get(key, key): value for key, value in kwargs.items()}


def _numel(value: Any, calls: list[Call]) -> int:
    return prod(shape_of(value, calls)) if isinstance(value, Tensor | Ref) else 0


def _tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _pair(value: Any) -> Shape:
    pair = _tuple(value)
    return tuple(pair) if len(pair) == 2 else (pair[0], pair[0])


def _one(pair: Shape) -> int | Shape:
    return pair[0] if pair[0] == pair[1] else tuple(pair)
