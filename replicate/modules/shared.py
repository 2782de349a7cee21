"""Towers of one machine hand each other maps through memory that all of them map, without messages over loopback."""

import os
import uuid
from contextlib import suppress

import torch
import torch.distributed as dist
from torch import Size, Tensor

from replicate.modules.towers import Tower, talking

PAGE = 4096  # bytes; pieces begin on pages of their own, and so are aligned for every dtype


class Board:
    """Memory of a group of towers, with a place for what each hands to each other one, on two sides that take turns.

    One barrier an exchange is enough: who writes on a side again has passed the barrier of the exchange on the other side,
    which no tower reaches before it has read this one. Therefore what `swap` returns is to be read before the next swap, and
    no view of it kept.
    """

    def __init__(self):
        self.places = torch.empty(2, 0, 0, 0, dtype=torch.uint8)  # side, from tower, to tower, bytes
        self.refused, self.side = False, 0

    def holds(self, size: int, tower: Tower) -> bool:
        """Whether there is place for pieces of up to `size` bytes, found out by all towers together when it has to grow."""
        if (size > self.places.shape[-1] or not self.places.numel()) and not self.refused:
            piece = max(1, -(-size // PAGE)) * PAGE
            memory = mapped(2 * tower.of**2 * piece, tower)
            self.refused = memory is None
            self.places = self.places if memory is None else memory.view(2, tower.of, tower.of, piece)
        return not self.refused

    def swap(self, sent: list[Tensor], shapes: list[Size], tower: Tower) -> list[Tensor]:
        """What every tower hands to this one, of `shapes`; all must send, in their turns, what the others expect."""
        places, others = self.places[self.side], [t for t in range(tower.of) if t != tower.index]
        self.side = 1 - self.side
        for t in others:
            _as(places[tower.index, t], sent[t].shape, sent[t].dtype).copy_(sent[t])
        with talking():
            dist.barrier(tower.group)
        own = sent[tower.index]
        return [own if t == tower.index else _as(places[t, tower.index], shape, own.dtype) for t, shape in enumerate(shapes)]


def _as(place: Tensor, shape: Size, dtype: torch.dtype) -> Tensor:
    return place[: shape.numel() * dtype.itemsize].view(dtype).view(shape)


def mapped(size: int, tower: Tower) -> Tensor | None:
    """`size` bytes that all towers map, or in all of them None: on several machines, in containers apart, not on Linux.

    A file in memory, since /dev/shm is small in a container, and it kills who writes beyond. Its random name tells it from
    what another machine may have at the same path; it has no other path, and is gone with the last process that maps it.
    """
    told, file, memory = ["", ""], None, None
    if tower.index == 0 and hasattr(os, "memfd_create"):
        with suppress(OSError):
            told[0] = f"replicate-{uuid.uuid4().hex}"
            file = os.memfd_create(told[0])
            os.ftruncate(file, size)
            told[1] = f"/proc/{os.getpid()}/fd/{file}"
    with talking():
        dist.broadcast_object_list(told, group=tower.group, group_src=0)
    with suppress(OSError, RuntimeError):
        if told[0] in os.readlink(told[1]):
            memory = torch.from_file(told[1], shared=True, size=size, dtype=torch.uint8)
    everywhere = [False] * tower.of
    with talking():
        dist.all_gather_object(everywhere, memory is not None, group=tower.group)
    if file is not None:
        os.close(file)  # the mappings keep the memory
    return memory if all(everywhere) else None
