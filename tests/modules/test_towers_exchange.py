"""What towers on devices of their own exchange, by messages and through shared memory, however many and uneven they are."""

import os
import time
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from replicate.modules.shared import PAGE, Board
from replicate.modules.towers import Exchange, LostRank, Tower
from replicate.networks.traffic import parts

TOWERS, MAPS = 3, 7  # 7 maps: not the same number for each
NEEDS_MEMFD = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="shared memory as Linux has it")
pytestmark = pytest.mark.slow


def in_each_process(check, folder):
    mp.spawn(_joined, (check, str(folder)), nprocs=TOWERS)


def _joined(index, check, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=index, world_size=TOWERS, timeout=timedelta(seconds=20))
    check(index)
    dist.destroy_process_group()


def tower(index, board=None):
    return Tower(index, TOWERS, dist.group.WORLD, board)


def exchanged(own, shape, dtype=torch.float32, seed=1):
    """Both ways through one exchange, which are to be those of one process; the result and the gradient."""
    random = torch.Generator().manual_seed(seed)
    whole = torch.randn(shape, generator=random).to(dtype)
    gradients = torch.randn(TOWERS, *shape, generator=random).to(dtype)  # that each tower finds
    x, exchange = whole[:, own.part(MAPS)].detach().requires_grad_(), Exchange(own, MAPS)
    found = exchange(x)
    found.backward(gradients[own.index])
    parted = gradients[:, :, own.part(MAPS)]
    assert torch.equal(found, whole)
    assert torch.equal(x.grad, parted[0] + parted[1] + parted[2])
    others = MAPS - parts(MAPS, TOWERS)[own.index]
    assert exchange.traffic.forward == whole[:, :others].nbytes
    assert exchange.traffic.backward == (TOWERS - 1) * x.nbytes
    return found.detach(), x.grad


def both_ways(index):
    by_messages, shared = tower(index), tower(index, Board())
    for shape in ((2, MAPS), (2, MAPS, 3, 5), (1, MAPS), (4, MAPS, 6, 6)):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            for one, other in zip(exchanged(by_messages, shape, dtype), exchanged(shared, shape, dtype), strict=True):
                assert torch.equal(one, other) and one.stride() == other.stride()
    assert (shared.board.places.numel() > 0) == hasattr(os, "memfd_create")


def test_uneven_towers_exchange_what_one_process_has_either_way(tmp_path):
    in_each_process(both_ways, tmp_path)


def growing(index):
    own = tower(index, Board())
    sizes = []
    for shape in ((1, MAPS), (2, MAPS), (32, MAPS, 16, 16), (8, MAPS, 16, 16)):
        exchanged(own, shape)
        sizes.append(own.board.places.shape[-1])
    largest = 4 * 32 * 16 * 16 * max(parts(MAPS, TOWERS))
    assert sizes == [PAGE, PAGE, largest, largest]


@NEEDS_MEMFD
def test_shared_memory_grows_to_the_largest_piece(tmp_path):
    in_each_process(growing, tmp_path)


def slow_reader(index):
    """Tower 1 reads late what the others handed to it: they go on meanwhile, and must not write over it."""
    own = tower(index, Board())
    assert own.board.holds(PAGE, own)
    for turn in range(40):
        found = own.board.swap([torch.full((9,), 100.0 * turn + 10 * index + t) for t in range(TOWERS)], [torch.Size([9])] * TOWERS, own)
        if index == 1:
            time.sleep(0.005)
        assert [one.tolist() for one in found] == [[100.0 * turn + 10 * t + index] * 9 for t in range(TOWERS)]


@NEEDS_MEMFD
def test_no_tower_writes_over_what_a_slower_one_still_reads(tmp_path):
    in_each_process(slow_reader, tmp_path)


def refusals(index):
    for refuses, what, does in (
        (0, "memfd_create", None),
        (0, "ftruncate", out_of_memory),
        (2, "readlink", lambda path: "/memfd:of another machine (deleted)"),
    ):
        for shared_before in (False, True):  # from the start, and when the memory has to grow
            own = tower(index, Board())
            if shared_before:
                exchanged(own, (2, MAPS))
                assert not own.board.refused
            with pytest.MonkeyPatch.context() as patch:
                if index == refuses:
                    patch.setattr(os, what, does) if does else patch.delattr(os, what)
                exchanged(own, (32, MAPS, 16, 16))
            exchanged(own, (2, MAPS))
            assert own.board.refused


def out_of_memory(file, size):
    raise OSError


@NEEDS_MEMFD
def test_where_one_tower_cannot_share_memory_all_send_messages(tmp_path):
    in_each_process(refusals, tmp_path)


def death(index):
    own = tower(index, Board())
    exchanged(own, (2, MAPS))
    if index == 1:
        os._exit(0)
    with pytest.raises(LostRank) as lost:
        exchanged(own, (2, MAPS))
    assert str(lost.value).startswith(f"process {index}: lost another") and "\n" not in str(lost.value)
    os._exit(0)  # the group cannot be left in order any more


def test_a_tower_that_dies_is_one_line_in_the_others(tmp_path):
    in_each_process(death, tmp_path)
