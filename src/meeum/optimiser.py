"""One optimiser: Muon (Jordan 2024) for convolutions between features, Adam (Kingma 2015) for all other weights."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.99)
MOMENTUM = 0.95
LEAST = 8  # channels in and out from which a weight is treated as a matrix
DECAY = 0.1  # of a weight, per unit of learning rate: without it, weights wander off in long trainings, see docs/log.md
GAIN = 0.4  # size of an orthogonal step against one of Adam; found on BSD68, see docs/log.md
ITERATION = (3.4445, -4.7750, 2.0315)  # Jordan 2024: takes singular values to about 1 in five rounds


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal, so that every direction of a weight moves alike; Adam where there are few channels."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the gradients at hand."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                weight.mul_(1 - DECAY * group["lr"])  # apart from the step (Loshchilov 2019)
                if weight.ndim >= 2 and min(weight.shape[:2]) >= LEAST:
                    sides = len(weight), weight[0].numel()
                    alike[min(sides), max(sides)].append(weight)
                else:
                    self._adam(weight, group["lr"])
            for weights in alike.values():
                self._orthogonal(weights, group["lr"])

    def _adam(self, weight: Tensor, rate: float) -> None:
        state, grad = self.state[weight], weight.grad
        assert grad is not None
        if not state:
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(weight), exp_avg_sq=torch.zeros_like(weight))
        state["step"] += 1
        first, second = (1 - beta ** float(state["step"]) for beta in BETAS)
        state["exp_avg"].lerp_(grad, 1 - BETAS[0])
        state["exp_avg_sq"].mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        spread = (state["exp_avg_sq"] / second).sqrt_().add_(1e-8)
        weight.addcdiv_(state["exp_avg"], spread, value=-rate / first)

    def _orthogonal(self, weights: list[Tensor], rate: float) -> None:
        """Weights whose matrices have the same two sides take their step together."""
        steps = orthogonal(torch.stack([_flat(self._momentum(weight), weight) for weight in weights]))
        size = GAIN * math.sqrt(steps.shape[-1])  # such steps have the root mean square GAIN
        for weight, step in zip(weights, steps, strict=True):
            matrix = step if len(weight) <= weight[0].numel() else step.T
            weight.sub_(matrix.reshape(weight.shape), alpha=rate * size)

    def _momentum(self, weight: Tensor) -> Tensor:
        state, grad = self.state[weight], weight.grad
        assert grad is not None
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(grad, 1 - MOMENTUM)
        return grad.lerp(state["momentum"], MOMENTUM)  # looks ahead (Nesterov 1983)


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, short, long) matrices with their singular values brought to between about 0.7 and 1.2."""
    cubic, fifth = ITERATION[1:]
    x: Tensor = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    for _ in range(5):
        square = x @ x.mT
        x = ITERATION[0] * x + (cubic * square + fifth * (square @ square)) @ x
    return x


def _flat(values: Tensor, weight: Tensor) -> Tensor:
    """A weight's values as a matrix with no more rows than columns."""
    matrix = values.reshape(len(weight), -1)
    return matrix if len(matrix) <= matrix.shape[1] else matrix.T
