"""What an unfinished training keeps: weights, velocity, and where it is. One file, replaced atomically."""

from pathlib import Path
from typing import Any

import torch

from replicate.errors import UserError
from replicate.modules import Net, weights
from replicate.training.update import PaperSGD


def save(path: Path, net: Net, optimizer: PaperSGD, identity: str, progress: dict[str, Any]) -> None:
    """`identity` is a hash of all that defines the training; `progress` is anything that JSON can hold."""
    tensors = {f"weight/{name}": value for name, value in net.state_dict().items()}
    tensors |= {f"velocity/{name}": optimizer.state[p]["velocity"] for name, p in net.named_parameters()}
    weights.save(path, tensors, {"identity": identity, "progress": progress})


@torch.no_grad()
def restore(path: Path, net: Net, optimizer: PaperSGD, identity: str) -> dict[str, Any]:
    """Puts a checkpoint back and returns its progress; one of another training is refused."""
    tensors, header = weights.read(path)
    if header.get("identity") != identity:
        raise UserError(
            f"{path}: belongs to a training with other settings, network or pictures; "
            f"to start anew, delete it: rm -r {path.parent}"
        )
    net.load_state_dict({name: tensors[f"weight/{name}"] for name in net.state_dict()})
    for name, p in net.named_parameters():
        optimizer.state[p]["velocity"].copy_(tensors[f"velocity/{name}"])
    return header["progress"]
