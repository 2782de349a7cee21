"""Which parts of a training step take how much of its time, from torch's own profiler.

A forward operation belongs to the layer that called it, a backward one to the layer whose forward it undoes: autograd
gives both the same number. Casts between types and copies between layouts are counted apart, wherever they happen.
"""

import inspect
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from replicate.modules import Net, fused, layers, lrn

CONVOLUTION, NORMAL, LINEAR, DROPOUT = "convolution", "ReLU, LRN and pooling", "fully connected layers", "dropout"
LOSS, OPTIMIZER, DATA, COPIES, REST = "loss", "optimizer", "data", "casts and copies", "the rest"
PARTS = (CONVOLUTION, NORMAL, LINEAR, DROPOUT, LOSS, OPTIMIZER, DATA, COPIES, REST)
MODULES = {
    CONVOLUTION: (nn.Conv2d, layers.Local2d),
    NORMAL: (nn.ReLU, lrn.LRN, lrn.SpatialLRN, nn.MaxPool2d, nn.AvgPool2d),
    LINEAR: (nn.Linear, layers.GroupedLinear),
    DROPOUT: (nn.Dropout, layers.Dropout),
}
KERNELS = [  # ours for the CPU; autograd calls them by the names of their classes
    name
    for name, kind in (vars(fused) | vars(lrn)).items()
    if inspect.isclass(kind) and issubclass(kind, torch.autograd.Function)
]
NAMES = dict.fromkeys((*KERNELS, "aten::relu", "aten::max_pool2d", "aten::avg_pool2d"), NORMAL) | {"aten::cross_entropy_loss": LOSS}
COPYING = ("aten::_to_copy", "aten::copy_", "aten::clone")
BACKWARD = 1  # the profiler's scope of what autograd calls
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler prints when it begins, when it ends, and that there is no GPU


def shares(net: Net, step: Callable[[], object], steps: int) -> dict[str, float]:
    """Percent of the time of a call of `step` that each of PARTS takes: medians of `steps` calls, scaled to 100 together.

    `step` trains `net`, and gets its batch inside `feeding()`. On a GPU it is the time of its kernels; the rest is idle.
    Medians, since now and then one part of a step has to wait for memory from the system.
    """
    each = [_shares(net, step) for _ in range(steps)]
    middle = {part: median(one[part] for one in each) for part in PARTS}
    return {part: 100 * value / sum(middle.values()) for part, value in middle.items()}


def _shares(net: Net, step: Callable[[], object]) -> dict[str, float]:
    """Those of one call."""
    gpu = next(net.parameters()).is_cuda
    with _marked(net, gpu), profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as seen:
        start = time.perf_counter()
        step()
        if gpu:
            torch.cuda.synchronize()
        whole = 1e6 * (time.perf_counter() - start)
    taken: Counter[str] = Counter()
    numbered: dict[int, str] = {}
    roots = (event for event in seen.events() if event.cpu_parent is None and event.device_type == torch.autograd.DeviceType.CPU)
    for event in sorted(roots, key=lambda event: event.time_range.start):
        _count(event, REST, taken, numbered, "self_device_time_total" if gpu else "self_cpu_time_total")
    taken[REST] = whole - sum(value for part, value in taken.items() if part != REST)
    return {part: taken[part] / whole for part in PARTS}


def feeding():
    """Around what a step does to get its batch."""
    return record_function(DATA)


@contextmanager
def _marked(net: Net, gpu: bool) -> Iterator[None]:
    """Every layer's forward under the name of its part, in the profile; those that one kernel does together are left alone."""
    open_marks: list[record_function] = []

    def begin(part: str) -> None:
        open_marks.append(record_function(part))
        open_marks[-1].__enter__()

    hooks = []
    alone = [modules[0] for modules in fused.parts(net) if len(modules) == 1]
    for module in net if gpu else alone:
        part = next((part for part, kinds in MODULES.items() if isinstance(module, kinds)), None)
        if part:
            hooks.append(module.register_forward_pre_hook(lambda _module, _read, part=part: begin(part)))
            hooks.append(module.register_forward_hook(lambda *_: open_marks.pop().__exit__(None, None, None)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _count(event: FunctionEvent, part: str, taken: Counter[str], numbered: dict[int, str], clock: str) -> None:
    """Adds the event's own time, and that of all below it, to their parts; `part` is that of what called it."""
    if event.name in PARTS:
        part = event.name
    elif event.name.startswith("Optimizer."):
        part = OPTIMIZER
    elif event.name.startswith("autograd::engine::") or event.scope == BACKWARD:
        part = numbered.get(event.sequence_nr, part)
    else:
        part = NAMES.get(event.name, part)
        if event.sequence_nr >= 0:
            numbered[event.sequence_nr] = part
        if event.name in COPYING and part not in (OPTIMIZER, DATA):
            part = COPIES
    taken[part] += getattr(event, clock)
    for child in event.cpu_children:
        _count(child, part, taken, numbered, clock)
