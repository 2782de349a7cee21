"""Numba, set up alike for all our kernels: compiled once, kept on the disk, and with the widest vectors that the CPU has."""

from collections.abc import Callable

import numba
from numba.core.codegen import get_host_cpu_features

if numba.config.CPU_FEATURES is None and "+avx512f" in get_host_cpu_features():
    # LLVM avoids vectors of 512 bits, since some CPUs slow down for them; torch's convolutions use them anyway. This holds for
    # the whole process, unless it compiled something before.
    numba.config.CPU_FEATURES = get_host_cpu_features() + ",-prefer-256-bit"


def njit(**options) -> Callable:
    """`numba.njit` with our options; without Python's check for division by zero, which is no vector code."""
    return numba.njit(error_model="numpy", cache=True, **options)
