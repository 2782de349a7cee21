"""The update rule of section 5: v ← m·v - d·ε·w - ε·∂L/∂w,  w ← w + v.

The rate ε stands inside the velocity. `torch.optim.SGD` keeps it outside, which is the same as long as ε is constant
and differs for some steps after each change.
"""

from collections.abc import Iterable

import numba
import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim import Optimizer

from replicate.errors import UserError
from replicate.settings import Recipe
from replicate.training import schedule


@numba.njit(parallel=True, error_model="numpy", cache=True)
def _step(w, v, g, momentum, decay, rate):
    """The rule on vectors, in one pass over memory instead of torch's four. `decay` is d·ε."""
    for i in numba.prange(w.size):
        velocity = momentum * v[i] - decay * w[i] - rate * g[i]
        v[i] = velocity
        w[i] += velocity


class PaperSGD(Optimizer):
    """`lr` ε, `momentum` m and `weight_decay` d as in section 5, each of a group's own if it says so.

    As in `torch.optim`, with one difference: a group of rate 0 is skipped altogether, so that its velocity waits (the
    2012 code freezes a layer like this). The velocity is there from the start: `state[p]["velocity"]`, in p's memory format.
    """

    def __init__(self, params, lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
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

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None and group["lr"] != 0]
            constants = group["momentum"], group["weight_decay"] * group["lr"], group["lr"]
            at_once = []
            for p in weights:
                views = _flat(p, self.state[p]["velocity"], p.grad)
                if views is None:
                    at_once.append(p)
                else:
                    _step(*views, *map(views[0].dtype.type, constants))
                    increment_version([p, self.state[p]["velocity"]])
            if at_once:
                _foreach(at_once, [self.state[p]["velocity"] for p in at_once], [p.grad for p in at_once], *constants)
        return loss


def _foreach(weights: list[Tensor], velocities: list[Tensor], gradients: list[Tensor], momentum: float, decay: float, rate: float) -> None:
    """The rule in torch's words: on a GPU, for tensors that lie in memory in different orders, and the tests' reference."""
    torch._foreach_mul_(velocities, momentum)
    torch._foreach_add_(velocities, weights, alpha=-decay)
    torch._foreach_add_(velocities, gradients, alpha=-rate)
    torch._foreach_add_(weights, velocities)


def _flat(*tensors: Tensor) -> list | None:
    """The tensors as NumPy vectors on their own memory; None unless they are floats of one kind and order, on the CPU."""
    if any(t.device.type != "cpu" or t.dtype != tensors[0].dtype or t.dtype not in (torch.float32, torch.float64) for t in tensors):
        return None
    for order in (torch.contiguous_format, torch.channels_last):
        if all(t.is_contiguous(memory_format=order) for t in tensors):
            return [t.detach().as_strided((t.numel(),), (1,)).numpy() for t in tensors]
    return None
