"""The update rule of section 5: v ← m·v - d·ε·w - ε·∂L/∂w,  w ← w + v.

The rate ε stands inside the velocity. `torch.optim.SGD` keeps it outside, which is the same as long as ε is constant
and differs for some steps after each change.
"""

import torch
from torch.optim import Optimizer


class PaperSGD(Optimizer):
    """`lr` ε, `momentum` m and `weight_decay` d as in section 5; decay on everything that is handed over."""

    def __init__(self, params, lr: float, momentum: float, weight_decay: float):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["velocity"] = torch.zeros_like(p)

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            velocities = [self.state[p]["velocity"] for p in weights]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, weights, alpha=-group["weight_decay"] * group["lr"])
            torch._foreach_add_(velocities, [p.grad for p in weights], alpha=-group["lr"])
            torch._foreach_add_(weights, velocities)
        return loss
