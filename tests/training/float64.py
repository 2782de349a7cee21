"""`replicate` with networks in float64, alone or as one process of those that torchrun starts: python float64.py train …

Devices add the same numbers in another order. In float32 that rounding sooner or later decides which of two places a pooling
window takes, from where on two trainings part; in float64 they stay equal as long as they compute the same.
"""

import runpy

from replicate.training import loop

start = loop.start
loop.start = lambda *given: start(*given).double()
runpy.run_module("replicate", run_name="__main__", alter_sys=True)
