"""The update rule of section 5: v ← m·v - d·ε·w - ε·∂L/∂w,  w ← w + v.

The rate ε stands inside the velocity. `torch.optim.SGD` keeps it outside, which is the same as long as ε is constant
and differs for some steps after each change.
"""

from collections.abc import Iterable

import numba
import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version
from torch.optim import Optimizer

from replicate.compiling import njit
from replicate.errors import UserError
from replicate.modules.layers import GroupedLinear
from replicate.modules.positions import rounded, widened
from replicate.settings import Recipe
from replicate.training import schedule


@njit(parallel=True)
def _step(w, v, g, momentum, decay, rate):
    """The rule on vectors, in one pass over memory instead of torch's four. `decay` is d·ε."""
    for i in numba.prange(w.size):
        velocity = momentum * v[i] - decay * w[i] - rate * g[i]
        v[i] = velocity
        w[i] += velocity


@njit(parallel=True)
def _step_rounded(w, v, g, half, momentum, decay, rate):
    """The same from a bfloat16 gradient; `half` is w rounded to bfloat16."""
    for i in numba.prange(w.size):
        velocity = momentum * v[i] - decay * w[i] - rate * widened(g[i])
        v[i] = velocity
        w[i] += velocity
        half[i] = rounded(w[i], half)


class PaperSGD(Optimizer):
    """`lr` ε, `momentum` m and `weight_decay` d as in section 5, each of a group's own if it says so.

    As in `torch.optim`, with one difference: a group of rate 0 is skipped altogether, so that its velocity waits (the
    2012 code freezes a layer like this). The velocity is there from the start: `state[p]["velocity"]`, in p's memory format.
    """

    def __init__(self, params, lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
        self._halves: dict[Tensor, tuple[Tensor, int]] = {}  # what `halves` gave, and which version of the weights it is
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @classmethod
    def of(cls, recipe: Recipe, parameters: Iterable[tuple[str, Tensor]]) -> "PaperSGD":
        """For a network's named parameters: a group for each set of them that has its rates and its decay in common.

        Each group says `param_names`; `schedule.rate` of any of these is the rate of all. UserError for an own rate of nothing.
        """
        groups: dict[tuple, list[tuple[str, Tensor]]] = {}
        for name, parameter in parameters:
            decay = 0.0 if recipe.decays == "weights" and name.endswith(".bias") else recipe.weight_decay
            own = tuple(one.names(name) for one in recipe.own_rates)
            groups.setdefault((decay, own), []).append((name, parameter))
        for i, one in enumerate(recipe.own_rates):
            if not any(own[i] for _, own in groups):
                raise UserError(f"recipe.own_rates: the network has no parameter that {one.of!r} names")
        return cls(
            [
                {"params": members, "weight_decay": decay, "lr": schedule.rate(recipe, [], members[0][0])}
                for (decay, _), members in groups.items()
            ],
            recipe.learning_rate,
            recipe.momentum,
        )

    def add_param_group(self, param_group: dict) -> None:
        for key in ("lr", "momentum", "weight_decay"):
            if not (value := param_group.get(key, self.defaults[key])) >= 0:
                raise ValueError(f"Invalid {key} value: {value}")
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            self.state[p]["velocity"] = torch.zeros_like(p)

    def __setstate__(self, state: dict) -> None:  # a copy, or a state that was loaded, makes its own
        super().__setstate__(state)
        self._halves = {}

    def halves(self, net: nn.Module) -> dict[str, Tensor]:
        """Of `net`'s convolutions and linear layers the weights and biases, which autocast would round to bfloat16 at every
        step, rounded, by name: for `functional_call`.

        Their gradients are bfloat16 too, and `step` takes them for those of the weights, whose own stay None. It keeps the
        copies up while it has the weights at hand, which spares the casts four passes over memory; no bit is another. Other
        changes of the weights are seen, unless made through `.data`. On the CPU only.
        """
        found = {}
        for name, module in net.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear | GroupedLinear):
                for kind, p in module.named_parameters(recurse=False):
                    if p.device.type == "cpu" and p.dtype == torch.float32:
                        half, version = self._halves.get(p, (None, None))
                        if version != p._version:
                            half = p.detach().bfloat16().requires_grad_()
                            self._halves[p] = half, p._version
                        found[f"{name}.{kind}"] = half
        return found

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        for half, _ in self._halves.values():
            half.grad = None

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            constants = group["momentum"], group["weight_decay"] * group["lr"], group["lr"]
            at_once = []
            for p in group["params"] if group["lr"] != 0 else ():
                half, _ = self._halves.get(p, (None, None))
                halved = half is not None and half.grad is not None
                velocity, g = self.state[p]["velocity"], half.grad if halved else p.grad
                if g is None:
                    continue
                if views := _flat(p, velocity, g, *([half] if halved else [])):
                    (_step_rounded if halved else _step)(*views, *map(views[0].dtype.type, constants))
                    increment_version([p, velocity])
                    if halved:
                        self._halves[p] = half, p._version
                else:
                    at_once.append((p, velocity, g.float() if halved else g))
            if at_once:
                _foreach(*map(list, zip(*at_once, strict=True)), *constants)
        return loss


def _foreach(weights: list[Tensor], velocities: list[Tensor], gradients: list[Tensor], momentum: float, decay: float, rate: float) -> None:
    """The rule in torch's words: on a GPU, for tensors that lie in memory in different orders, and the tests' reference."""
    torch._foreach_mul_(velocities, momentum)
    torch._foreach_add_(velocities, weights, alpha=-decay)
    torch._foreach_add_(velocities, gradients, alpha=-rate)
    torch._foreach_add_(weights, velocities)


def _flat(*tensors: Tensor) -> list | None:
    """The tensors as NumPy vectors on their own memory, bfloat16 as uint16; None unless they are on the CPU, the weights and
    velocities float32 or float64, the gradients like them or bfloat16, and all in one order."""
    (w, v, g), kinds = tensors[:3], (torch.float32, torch.float64)
    fits = w.dtype in kinds and v.dtype == w.dtype and (g.dtype == w.dtype if len(tensors) == 3 else g.dtype == torch.bfloat16)
    if not fits or any(t.device.type != "cpu" for t in tensors):
        return None
    for order in (torch.contiguous_format, torch.channels_last):
        if all(t.is_contiguous(memory_format=order) for t in tensors):
            vectors = (t.detach().as_strided((t.numel(),), (1,)) for t in tensors)
            return [(t.view(torch.uint16) if t.dtype == torch.bfloat16 else t).numpy() for t in vectors]
    return None
