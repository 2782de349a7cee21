"""One file format for a network's weights: safetensors, with what they are said in its header."""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from replicate.errors import UserError
from replicate.files import atomic
from replicate.modules.build import Net

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")  # suffixes of files that can run a program when they are opened


def save(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any], previous: Path | None = None) -> None:
    """Writes atomically. `header` is anything that JSON can hold. The file that was there is lost, or becomes `previous`."""
    with atomic(path, previous) as temporary:
        try:
            save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, {"replicate": json.dumps(header)})
        except SafetensorError as error:
            if not (number := re.search(r"\(os error (\d+)\)", str(error))):
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None  # as Python says a full disk


def remove_unfinished(path: Path) -> None:
    """Removes what a `save` of `path` left that was killed: `atomic`'s file and the library's own. For the only writer there."""
    for pattern in (f".{path.name}.*", ".tmp*"):
        for left in path.parent.glob(pattern):
            left.unlink()


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and header of a file that `save` wrote; anything else is a UserError of one line. Executes nothing."""
    tensors, header = _open(path, f"delete {path.name} and run its stage again")
    if not isinstance(header, dict):
        raise UserError(f"{path}: not written by this suite (its header says nothing of it)")
    return tensors, header


def read_any(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors of any safetensors file, and its header if this suite wrote it, else {}. Pickles (.pt, .pth) are refused:
    opening one can run a program."""
    if path.suffix in PICKLES:
        raise UserError(f"{path}: may be a pickle, which can run a program when opened; convert it with safetensors.torch.save_file")
    tensors, header = _open(path, "give a file that safetensors wrote")
    return tensors, header if isinstance(header, dict) else {}


def _open(path: Path, remedy: str) -> tuple[dict[str, torch.Tensor], Any]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("replicate", "null"))
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, OSError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); {remedy}") from None


def load_into(net: Net, tensors: dict[str, torch.Tensor], where: Path) -> None:
    """Puts weights into `net`; a file of another network is one line that names the first tensor that does not fit."""
    own = net.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        ours = tuple(own[name].shape) if name in own else None
        theirs = tuple(tensors[name].shape) if name in tensors else None
        if ours != theirs:
            raise UserError(
                f"{where}: weights of another network: {name} is {theirs or 'not there'}, "
                f"{net.description.name!r} with {net.classes} classes at {net.side} pixels has {ours or 'no such tensor'}"
            )
    net.load_state_dict(tensors)


def adopt(net: Net, tensors: dict[str, torch.Tensor], where: Path) -> None:
    """As `load_into` for weights of other programs, whose layers have other names: those of one kind go in order of name."""
    own = net.state_dict()
    if own.keys() != tensors.keys():
        ours, theirs = _by_kind(own, list(own)), _by_kind(tensors, sorted(tensors, key=natural))
        renamed = {}
        for kind in ours.keys() | theirs.keys():
            mine, others = ours.get(kind, []), theirs.get(kind, [])
            if len(mine) != len(others):
                raise UserError(f"{where}: {len(others)} {kind} layers, {net.description.name!r} has {len(mine)}")
            renamed |= {f"{a}.{part}": tensors[f"{b}.{part}"] for a, b in zip(mine, others, strict=True) for part in _parts(b, tensors)}
        tensors = renamed
    load_into(net, tensors, where)


def classes(tensors: dict[str, torch.Tensor], where: Path) -> int:
    """How many classes the weights know: the outputs of the last layer, which is the linear one that comes last by name."""
    linear = [name for name in sorted(tensors, key=natural) if name.endswith(".weight") and tensors[name].ndim in (2, 4)]
    if not linear:
        raise UserError(f"{where}: no layer with weights in it")
    last = [name for name in linear if tensors[name].ndim == 2][-1:] or linear[-1:]
    return tensors[last[0]].shape[0]


KINDS = {4: "convolutional", 3: "locally connected", 2: "fully connected", 1: "normalisation"}


def _by_kind(tensors: dict[str, torch.Tensor], order: list[str]) -> dict[str, list[str]]:
    """Layers by what their weights look like, in `order`."""
    found: dict[str, list[str]] = {}
    for name in order:
        layer, _, part = name.rpartition(".")
        if part == "weight":
            found.setdefault(KINDS.get(tensors[name].ndim, "other"), []).append(layer)
    return found


def _parts(layer: str, tensors: dict[str, torch.Tensor]) -> list[str]:
    return [name.removeprefix(f"{layer}.") for name in tensors if name.rpartition(".")[0] == layer]


def natural(name: str) -> list[tuple[bool, int, str]]:
    """The key by which names of tensors sort as people count: features.2 before features.10."""
    return [(word.isdigit(), int(word) if word.isdigit() else 0, word) for word in re.findall(r"[A-Za-z]+|\d+", name)]
