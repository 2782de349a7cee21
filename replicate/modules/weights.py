"""One file format for a network's weights: safetensors, with what they are said in its header."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from replicate.errors import UserError
from replicate.files import atomic
from replicate.modules.build import Net


def save(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    """Writes atomically. `header` is anything that JSON can hold."""
    with atomic(path) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, {"replicate": json.dumps(header)})


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and header of a file that `save` wrote; anything else is a UserError of one line. Executes nothing."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("replicate", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); delete it and run its stage again") from None
    if not isinstance(header, dict):
        raise UserError(f"{path}: not written by this suite (its header says nothing of it)")
    return tensors, header


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
