"""Optimizer steps over random batches with a learning-rate schedule, and their state for checkpoints."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.batches import shuffled


class Descent:
    """A module and its optimizer.

    ``config``: lr, optimizer, weight_decay, batch_size, schedule, warmup; optionally momentum, nesterov and clip_norm.
    """

    def __init__(self, module: nn.Module, config: Mapping[str, Any]) -> None:
        self.module, self.config = module, config
        self.optimizer = make_optimizer(module, config)

    def epoch(
        self,
        order: Tensor,
        loss_of: Callable[[Tensor], Tensor],
        *,
        epoch: int,
        max_epochs: int,
        lengths: Tensor | None = None,
    ) -> tuple[float, int]:
        """Train once over the examples in ``order``; returns the mean loss, and the number of examples used.

        ``loss_of`` computes the loss of a batch from its examples' indices. ``epoch`` counts from 0. The incomplete
        last batch is dropped. ``lengths`` of all examples: given for sequences that are padded to the longest of their
        batch, which are then batched by similar length.
        """
        config, batch = self.config, min(self.config["batch_size"], len(order))
        if lengths is not None:
            order = shuffled(order, lengths, batch)
        n_steps = len(order) // batch
        total = torch.zeros((), device=order.device)
        self.module.train()
        for step in range(n_steps):
            progress = (epoch + (step + 0.5) / n_steps) / max_epochs
            for group in self.optimizer.param_groups:
                group["lr"] = config["lr"] * schedule(config, progress)
            loss = loss_of(order[step * batch : (step + 1) * batch])
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if "clip_norm" in config:
                nn.utils.clip_grad_norm_(self.module.parameters(), config["clip_norm"])
            self.optimizer.step()
            total += loss.detach()
        return total.item() / n_steps, n_steps * batch

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that `load` needs to continue."""
        tensors = {f"model.{name}": tensor for name, tensor in self.module.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items() if tensor is not None}
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        state = dict[int, dict[str, Tensor]]()
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, part = name.split(".")
                state.setdefault(int(index), {})[part] = tensor
        self.module.load_state_dict(weights_in(tensors))
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def weights_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The module's weights among the tensors of a checkpoint."""
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}


def make_optimizer(module: nn.Module, config: Mapping[str, Any]) -> torch.optim.Optimizer:
    """SGD or AdamW; weight decay is not applied to biases, norms and other vectors, as is customary."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    if config["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, lr=config["lr"], fused=True)
    momentum = config["momentum"]
    nesterov = config.get("nesterov", False) and momentum > 0  # torch rejects it without momentum
    return torch.optim.SGD(groups, lr=config["lr"], momentum=momentum, nesterov=nesterov, fused=True)


def schedule(config: Mapping[str, Any], progress: float) -> float:
    """The learning rate's factor after the fraction `progress` of max_epochs.

    One-cycle rises over the first 30% and falls linearly to 0 (Smith & Topin 2018, with torch's default fraction);
    the others rise over the first `warmup`.
    """
    name = config["schedule"]
    warmup: float = 0.3 if name == "one-cycle" else config["warmup"]
    if progress < warmup:
        return progress / warmup
    rest = (1 - progress) / (1 - warmup)
    return {"constant": 1.0, "cosine": 0.5 - 0.5 * math.cos(math.pi * rest), "one-cycle": rest}[name]
