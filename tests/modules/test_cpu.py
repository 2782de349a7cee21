"""How many threads a process works with."""

import os
import subprocess
import sys

CODE = """
import torch
from replicate.modules.lrn import LRN
from replicate.modules.cpu import set_threads
torch.get_num_threads()  # as any operation of torch asks
set_threads(1)
LRN(5, 1e-4, 0.75, 2, 1)(torch.ones(2, 8, 3, 3))
print(torch.get_num_threads())
"""


def test_a_kernel_leaves_torch_its_threads():
    """Numba, when it starts its threads, gives OpenMP as many in a process where nothing has asked it before."""
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"
