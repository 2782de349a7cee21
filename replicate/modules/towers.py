"""One tower of a network, on a device of its own: half of every layer's maps (section 3.2, Figure 2).

A tower talks to the others only where a layer reads the maps of all of them; in `paper` these are conv3, fc6, fc7 and fc8,
and, since each tower scores its part of the classes, the softmax. Names of parameters are those of the whole network, of
which a tower holds a slice along the first dimension.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Size, Tensor, nn

from replicate.errors import UserError
from replicate.networks.traffic import parts

if TYPE_CHECKING:
    from replicate.modules.shared import Board

EXCHANGE = "_exchange"  # after the name of the layer before which it stands


class LostRank(UserError):
    """Another process of the training is gone; what it died of, it or whoever started it says."""


@contextmanager
def talking() -> Iterator[None]:
    """Around every call that waits for other processes: one that is gone becomes one line."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        why = re.sub(r"^\[\S+:\d+\] ", "", str(error).splitlines()[0])[:100]  # without the place in the library's source
        raise LostRank(
            f"process {dist.get_rank() if dist.is_initialized() else os.environ['RANK']}: lost another of this work's processes ({why}); "
            "a training goes on from its last checkpoint when the same command is given again"
        ) from None


@dataclass(frozen=True)
class Tower:
    """Tower `index` of `of`. `group` holds the processes of all towers, in their order; on processors they hand each other maps
    by a `board`, where they can share memory."""

    index: int
    of: int
    group: dist.ProcessGroup
    board: "Board | None" = None

    def sizes(self, count: int) -> list[int]:
        """How many of `count` maps, units or classes each tower holds."""
        return parts(count, self.of)

    def part(self, count: int) -> slice:
        """Which of `count` this one holds."""
        sizes = self.sizes(count)
        return slice(sum(sizes[: self.index]), sum(sizes[: self.index + 1]))


@dataclass
class Traffic:
    """Bytes that this tower has received before one layer."""

    forward: int = 0
    backward: int = 0


class Exchange(nn.Module):
    """(N, own maps or units, …) -> (N, those of all towers, …).

    Backward each tower gets the gradient of its own part: the sum of what all towers found, or, before the softmax
    (`scores`), its part of the one gradient that all of them computed.
    """

    def __init__(self, tower: Tower, count: int, scores: bool = False):
        super().__init__()
        self.tower, self.count, self.scores = tower, count, scores
        self.traffic = Traffic()

    def forward(self, x: Tensor) -> Tensor:
        return _Exchange.apply(x, self)

    def extra_repr(self) -> str:
        return f"{self.count} of {self.tower.of} towers, tower {self.tower.index}"


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, exchange: Exchange) -> Tensor:
        ctx.exchange = exchange
        return gather(x, exchange)

    @staticmethod
    def backward(ctx, g: Tensor):
        exchange = ctx.exchange
        return (g[:, exchange.tower.part(exchange.count)] if exchange.scores else add(g, exchange)), None


def gather(x: Tensor, exchange: Exchange) -> Tensor:
    """Forward. Maps lie last in memory (channels-last), so that what is sent is one piece."""
    tower, own = exchange.tower, x.movedim(1, -1)
    shapes = [Size((*own.shape[:-1], size)) for size in tower.sizes(exchange.count)]
    found = swap([own] * tower.of, shapes, tower)
    exchange.traffic.forward += sum(one.nbytes for one in found) - own.nbytes
    return torch.cat(found, -1).movedim(-1, 1)


def add(g: Tensor, exchange: Exchange) -> Tensor:
    """Backward: the gradient of what this tower holds, from all towers, added in their order."""
    tower = exchange.tower
    sent = list(g.movedim(1, -1).split(tower.sizes(exchange.count), -1))
    own = sent[tower.index]
    found = swap(sent, [own.shape] * tower.of, tower)
    exchange.traffic.backward += sum(one.nbytes for one in found) - own.nbytes
    total = found[0]
    for other in found[1:]:
        total = total + other
    return total.movedim(-1, 1)


def swap(sent: list[Tensor], shapes: list[Size], tower: Tower) -> list[Tensor]:
    """Hands `sent[t]` to tower t, for all; what they hand to this one, of `shapes`, to be read before the next swap."""
    largest = max(map(Size.numel, [*shapes, *(one.shape for one in sent)])) * sent[0].itemsize  # the same in all towers
    if tower.board and tower.board.holds(largest, tower):
        return tower.board.swap(sent, shapes, tower)
    return swap_messages(sent, shapes, tower)


def swap_messages(sent: list[Tensor], shapes: list[Size], tower: Tower) -> list[Tensor]:
    """The same by messages: between GPUs or machines, and where no memory can be shared."""
    sent = [one.contiguous() for one in sent]
    found = [sent[t] if t == tower.index else sent[t].new_empty(shape) for t, shape in enumerate(shapes)]
    operations = []
    for other in range(tower.of):
        if other != tower.index:
            operations.append(dist.P2POp(dist.isend, sent[other], group=tower.group, group_peer=other))
            operations.append(dist.P2POp(dist.irecv, found[other], group=tower.group, group_peer=other))
    with talking():
        for work in dist.batch_isend_irecv(operations):
            work.wait()
    return found


def exchanges(net: nn.Module) -> Iterator[tuple[str, Exchange]]:
    """The layers of `net` that wait for other towers, by the name of the layer that reads."""
    return ((name.removesuffix(EXCHANGE), module) for name, module in net.named_modules() if isinstance(module, Exchange))


@torch.no_grad()
def take(tensors: dict[str, Tensor], whole: dict[str, Tensor], tower: Tower | None) -> None:
    """Fills a tower's `tensors` with its slices of the `whole` network's (the same names)."""
    for name, own in tensors.items():
        own.copy_(whole[name] if tower is None or own.shape == whole[name].shape else whole[name][tower.part(len(whole[name]))])


@torch.no_grad()
def collect(tensors: dict[str, Tensor], shapes: dict[str, torch.Size], tower: Tower | None) -> dict[str, Tensor]:
    """The whole network's tensors, put together in tower 0 from all towers' slices; the other towers return their own."""
    if tower is None:
        return tensors
    whole = {}
    for name in sorted(tensors):
        own, shape = tensors[name].contiguous(), shapes[name]
        if own.shape == shape:
            whole[name] = own
        elif tower.index:
            with talking():
                dist.send(own, group=tower.group, group_dst=0)
        else:
            whole[name] = own.new_empty(shape)
            whole[name][tower.part(shape[0])] = own
            for other in range(1, tower.of):
                part = Tower(other, tower.of, tower.group).part(shape[0])
                with talking():
                    dist.recv(whole[name][part], group=tower.group, group_src=other)
    return tensors if tower.index else whole
