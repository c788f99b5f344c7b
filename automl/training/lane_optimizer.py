"""AdamW and SGD for the weights of all lanes at once, each with its own hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from automl.models.lanes import Lanes

BETAS, EPS = (0.9, 0.999), 1e-8  # of AdamW, torch's defaults


class LaneOptimizer:
    """The steps of `automl.training.optimizer.make_optimizer` on (lanes, n_weights).

    The state comes from an optimizer per lane, and is written back there.
    """

    def __init__(
        self, lanes: Lanes, optimizers: Sequence[torch.optim.Optimizer], configs: Sequence[Mapping[str, Any]]
    ) -> None:
        self.lanes, self.optimizers = lanes, optimizers
        self.rules: list[_AdamW | _SGD] = []
        self.limits = column(lanes, [config.get("clip_norm", torch.inf) for config in configs])
        self.clips = any("clip_norm" in config for config in configs)
        for name, rule in (("adamw", _AdamW), ("sgd", _SGD)):
            chosen = [lane for lane, config in enumerate(configs) if config["optimizer"] == name]
            if chosen:
                self.rules.append(rule(lanes, chosen, optimizers, configs))

    @torch.no_grad()
    def step(self, gradients: Tensor, rates: Tensor) -> None:
        """A step along gradients (lanes, n_weights) at learning rates (lanes,)."""
        if self.clips:
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            gradients.mul_((self.limits / (norms + 1e-6)).clamp(max=1.0))
        for rule in self.rules:
            rule.step(gradients, rates[:, None])

    def write_back(self) -> None:
        for rule in self.rules:
            rule.write_back()


class _Rule:
    """An update rule for some of the lanes; `state` holds tensors (chosen lanes, n_weights)."""

    names: tuple[str, ...]

    def __init__(
        self,
        lanes: Lanes,
        chosen: Sequence[int],
        optimizers: Sequence[torch.optim.Optimizer],
        configs: Sequence[Mapping[str, Any]],
    ) -> None:
        self.lanes, self.chosen, self.optimizers = lanes, chosen, [optimizers[lane] for lane in chosen]
        self.configs = [configs[lane] for lane in chosen]
        # If only some lanes are chosen, copies of their weights are updated and copied back.
        self.all = len(chosen) == len(configs)
        self.rows = torch.tensor(chosen, device=lanes.weights.device)
        self.decay = column(lanes, [config["weight_decay"] for config in self.configs]) * lanes.is_matrix
        self.state = {
            name: torch.stack([self._row(optimizer, name) for optimizer in self.optimizers]) for name in self.names
        }

    def _parameters(self, optimizer: torch.optim.Optimizer) -> list[Tensor]:
        """In the order of the module's."""
        place = self.optimizers.index(optimizer)
        return list(self.lanes.modules[self.chosen[place]].parameters())

    def _row(self, optimizer: torch.optim.Optimizer, name: str) -> Tensor:
        found = [
            optimizer.state[parameter].get(name, torch.zeros_like(parameter)).detach().flatten()
            for parameter in self._parameters(optimizer)
        ]
        return torch.cat(found)

    def step(self, gradients: Tensor, rates: Tensor) -> None:
        weights = self.lanes.weights
        if self.all:
            self.update(weights, gradients, rates)
            return
        own = weights[self.rows]
        self.update(own, gradients[self.rows], rates[self.rows])
        weights[self.rows] = own

    def update(self, weights: Tensor, gradients: Tensor, rates: Tensor) -> None:
        """Change weights (chosen lanes, n_weights) in place."""
        raise NotImplementedError

    def write_back(self) -> None:
        for lane, optimizer in enumerate(self.optimizers):
            place = 0
            for parameter in self._parameters(optimizer):
                part = slice(place, place + parameter.numel())
                for name, values in self.state.items():
                    optimizer.state[parameter][name] = values[lane, part].reshape(parameter.shape).clone()
                place = part.stop


class _AdamW(_Rule):
    """Loshchilov & Hutter 2019, as torch has it."""

    names = ("exp_avg", "exp_avg_sq")

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        steps = [float(o.state[self._parameters(o)[0]].get("step", torch.zeros(()))) for o in self.optimizers]
        self.steps = torch.tensor(steps, dtype=torch.double, device=self.lanes.weights.device)[:, None]

    def update(self, weights: Tensor, gradients: Tensor, rates: Tensor) -> None:
        mean, square = self.state["exp_avg"], self.state["exp_avg_sq"]
        self.steps += 1
        of_mean, of_square = (1 - beta**self.steps for beta in BETAS)
        weights.mul_(1 - rates * self.decay)
        mean.lerp_(gradients, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradients, gradients, value=1 - BETAS[1])
        scale = square.sqrt().div_(of_square.sqrt().to(square.dtype)).add_(EPS)
        weights.addcdiv_(mean * (-rates / of_mean).to(mean.dtype), scale)

    def write_back(self) -> None:
        super().write_back()
        for lane, optimizer in enumerate(self.optimizers):
            for parameter in self._parameters(optimizer):
                optimizer.state[parameter]["step"] = self.steps[lane, 0].float().clone()


class _SGD(_Rule):
    """With momentum, Nesterov's where it is asked for."""

    names = ("momentum_buffer",)

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.momentum = column(self.lanes, [config["momentum"] for config in self.configs])
        self.ahead = [bool(config.get("nesterov", False)) for config in self.configs]
        self.looks_ahead = torch.tensor(self.ahead, device=self.lanes.weights.device)[:, None]

    def update(self, weights: Tensor, gradients: Tensor, rates: Tensor) -> None:
        buffer = self.state["momentum_buffer"]
        step = torch.addcmul(gradients, self.decay, weights)
        buffer.mul_(self.momentum).add_(step)
        if any(self.ahead):
            step = torch.where(self.looks_ahead, torch.addcmul(step, self.momentum, buffer), buffer)
        else:
            step = buffer
        weights.sub_(rates * step)


def column(lanes: Lanes, values: Sequence[float]) -> Tensor:
    """A value for each lane, (lanes, 1)."""
    return torch.tensor(values, dtype=lanes.weights.dtype, device=lanes.weights.device)[:, None]
