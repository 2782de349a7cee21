"""What makes a processor fast at this: memory that stays in the process, and no more threads than the work is worth."""

import ctypes
import sys

import numba
import torch

from replicate.modules.build import Net
from replicate.networks import count, totals

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


SMALL = 1e9  # MACs of a batch below which handing work from thread to thread costs more than it saves


def prepare_cpu(net: Net, batch: int) -> None:
    """Call before the first batch. Changes no result but the order of float additions."""
    _keep_freed_memory()
    small = totals(count(net.description, net.side, net.classes)).macs * batch < SMALL
    set_threads(1 if small else torch.get_num_threads())


def set_threads(threads: int) -> None:
    """For torch's operations and for our kernels, which torch knows nothing of. Numba first: the first time, it starts its
    threads, and gives OpenMP, and with it torch, as many as there are cores."""
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """glibc only: without it every step maps and faults in its big tensors anew, which doubles the time of a step."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another libc: nothing to set
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
    mallopt(M_TOP_PAD, 64 << 20)
