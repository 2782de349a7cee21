"""The devices of one training: its towers times the parts of each batch (section 3.2; `torch.distributed`).

`torchrun` or `replicate train --devices N` starts one process a device. Of N devices, neighbours hold the towers of one
network, and N / towers such networks each take their part of every batch.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from replicate.errors import UserError
from replicate.machine import cores
from replicate.modules.cpu import set_threads
from replicate.modules.shared import Board
from replicate.modules.towers import Tower, collect, take, talking
from replicate.networks import Network
from replicate.networks.traffic import must_divide
from replicate.training import LAUNCHED, launched, processes

MEETING = 30  # seconds to reach the torchrun that started this process; torch tries twice


@dataclass(frozen=True)
class Devices:
    """This process among those of its training. On one device there is no `mesh`, and every method is trivial."""

    device: torch.device
    mesh: DeviceMesh | None = None
    tower: Tower | None = None  # which tower this process holds; None: the whole network

    @property
    def rank(self) -> int:
        return dist.get_rank() if self.mesh else 0

    @property
    def replicas(self) -> int:
        """Into how many parts each batch is divided."""
        return self.mesh["data"].size() if self.mesh else 1

    @property
    def replica(self) -> int:
        return self.mesh["data"].get_local_rank() if self.mesh else 0

    @property
    def name(self) -> str:
        """For a record: `cpu`, or `4 x cpu (towers 2, parts of the batch 2)`."""
        if not self.mesh:
            return str(self.device.type)
        return f"{dist.get_world_size()} x {self.device.type} (towers {self.mesh['tower'].size()}, parts of the batch {self.replicas})"

    def total(self, *numbers: float) -> list[float]:
        """Each number summed over the parts of the batch; the towers of one part hold equal numbers."""
        if not self.mesh:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        with talking():
            dist.all_reduce(sums)
        return (sums / self.mesh["tower"].size()).tolist()

    def any(self, *flags: bool) -> list[bool]:
        """Of each flag whether any process has it set: all act on it together."""
        if not self.mesh:
            return list(flags)
        most = torch.tensor(flags, dtype=torch.int32, device=self.device)
        with talking():
            dist.all_reduce(most, dist.ReduceOp.MAX)
        return most.bool().tolist()

    def average_gradients(self, net: nn.Module) -> None:
        """Of the parts of the batch: after it, all hold the gradient of the whole batch's mean loss."""
        if self.replicas == 1:
            return
        group = self.mesh["data"].get_group()
        with talking():
            sent = [dist.all_reduce(p.grad, group=group, async_op=True) for p in net.parameters() if p.grad is not None]
            for work in sent:
                work.wait()
        for p in net.parameters():
            if p.grad is not None:
                p.grad /= self.replicas

    def same(self, what: str, value: str) -> None:
        """UserError unless all processes have the same `value` of `what`."""
        if self.mesh:
            values: list[str] = [""] * dist.get_world_size()
            with talking():
                dist.all_gather_object(values, value)
            if other := [rank for rank, v in enumerate(values) if v != values[0]]:
                raise UserError(f"process {other[0]} has {what} other than process 0; all machines need the same")

    def from_first(self, value):
        """Process 0's `value` (anything small that can be pickled between our own processes), in all of them."""
        if not self.mesh:
            return value
        box = [value]
        with talking():
            dist.broadcast_object_list(box, 0)
        return box[0]

    def spread(self, whole: dict[str, Tensor] | None, own: dict[str, Tensor], shapes: dict[str, torch.Size]) -> None:
        """Fills every process's `own` tensors from process 0's `whole` ones, of these shapes."""
        for name in sorted(own):
            if self.mesh:
                value = whole[name].to(self.device) if whole else own[name].new_empty(shapes[name])
                with talking():
                    dist.broadcast(value, 0)
            else:
                value = whole[name]
            take({name: own[name]}, {name: value}, self.tower)

    def collect(self, own: dict[str, Tensor], shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
        """The whole network's tensors in process 0, of `shapes`; what the other processes return is of no use."""
        return collect(own, shapes, self.tower) if self.replica == 0 else own


def first_here() -> bool:
    """Whether this is the first of the training's processes on its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


@contextmanager
def joined(network: Network) -> Iterator[Devices]:
    """This process in its place among those that `torchrun` started; alone if it was not started so.

    UserError where `network` cannot be divided so, or two processes would share a GPU.
    """
    if (world := processes()) == 1:
        yield Devices(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        return
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    check(network, world, here)
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    set_threads(max(1, cores() // here))  # torchrun alone would give each process one
    with talking():
        _meet("nccl" if device.type == "cuda" else "gloo")
    try:
        mesh = init_device_mesh(device.type, (world // network.towers, network.towers), mesh_dim_names=("data", "tower"))
        across = mesh["tower"]
        board = Board() if device.type == "cpu" else None
        tower = Tower(across.get_local_rank(), across.size(), across.get_group(), board) if across.size() > 1 else None
        yield Devices(device, mesh, tower)
    finally:
        dist.destroy_process_group()


def _meet(backend: str) -> None:
    """Joins the group of all processes. Torch would wait half an hour for a starter that is gone by now."""
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise UserError(f"WORLD_SIZE says {processes()} processes, but {missing[0]} is not set: start them by torchrun, or unset WORLD_SIZE")
    if LAUNCHED in os.environ and not launched():
        raise UserError(f"process {os.environ['RANK']}: the one that started it is gone; run the same command again")
    if dist.is_torchelastic_launched():  # torchrun, which has opened the store by which they meet, before it started this one
        store, rank, world = next(dist.rendezvous("env://", timeout=timedelta(seconds=MEETING)))
        store.set_timeout(dist.default_pg_timeout)
        dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    else:
        dist.init_process_group(backend)


def check(network: Network, devices: int, here: int) -> None:
    """UserError where `network` cannot be trained on so many devices, or where of those `here`, on this machine, two would share a GPU."""
    towers = network.towers
    if devices % towers:
        raise UserError(f"network {network.name!r} has {towers} towers, each on a device: give 1 or a multiple of {towers} devices, not {devices}")
    must_divide(network)
    norms = [layer.name for layer in network.layers if layer.kind == "batch_norm"]
    if devices > towers and norms:
        raise UserError(
            f"network {network.name!r}: {norms[0]} takes its statistics over the whole batch, which several devices would "
            f"divide; give --devices {towers}"
        )
    if torch.cuda.is_available() and here > torch.cuda.device_count():
        raise UserError(
            f"{here} processes on this machine and {torch.cuda.device_count()} GPU: each needs one of its own; "
            "give fewer --devices, or set CUDA_VISIBLE_DEVICES= to train on the processor"
        )
