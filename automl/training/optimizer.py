"""Optimizer steps over random batches with a learning-rate schedule, and their state for checkpoints."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from automl.data.batches import shuffled
from automl.models.tensor_models import weights_in


class _Eager(torch.optim.Optimizer):
    """An optimizer without torch's compiler, whose slow import the methods of torch's optimizers make in order not to
    be compiled."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class AdamW(_Eager, torch.optim.AdamW):
    """``torch.optim.AdamW``."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class SGD(_Eager, torch.optim.SGD):
    """``torch.optim.SGD``."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class Batch(NamedTuple):
    """The examples of a batch, as indices, (batch,)."""

    chosen: Tensor  # on the device
    on_host: Tensor  # the same on the CPU, where using them does not wait for the device

    def on(self, device: torch.device) -> Tensor:
        """The indices for data on a device: this one or the CPU."""
        return self.on_host if device.type == "cpu" else self.chosen


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
        loss_of: Callable[[Batch], Tensor],
        *,
        epoch: int,
        max_epochs: int,
        lengths: Tensor | None = None,
    ) -> tuple[float, int]:
        """Train once over the examples in ``order``; returns the mean loss, and the number of examples used.

        ``epoch`` counts from 0. The incomplete last batch is dropped. ``lengths`` of all examples: given for sequences
        that are padded to the longest of their batch, which are then batched by similar length.
        """
        config, batch = self.config, min(self.config["batch_size"], len(order))
        if lengths is not None:
            order = shuffled(order, lengths, batch)
        n_steps, on_host = len(order) // batch, order.cpu()
        total = torch.zeros((), device=order.device)
        self.module.train()
        for step in range(n_steps):
            progress = (epoch + (step + 0.5) / n_steps) / max_epochs
            for group in self.optimizer.param_groups:
                group["lr"].fill_(config["lr"] * schedule(config, progress))
            part = slice(step * batch, (step + 1) * batch)
            loss = loss_of(Batch(order[part], on_host[part]))
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


def make_optimizer(module: nn.Module, config: Mapping[str, Any]) -> torch.optim.Optimizer:
    """SGD or AdamW; weight decay is not applied to biases, norms and other vectors, as is customary."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    # A captured graph would keep a number, and reads a tensor anew. CUDA's kernels take float32; float64 is exact.
    device = next(module.parameters()).device
    rate = torch.tensor(config["lr"], dtype=torch.float32 if device.type == "cuda" else torch.float64, device=device)
    if config["optimizer"] == "adamw":
        return AdamW(groups, lr=rate, fused=True)
    momentum = config["momentum"]
    nesterov = config.get("nesterov", False) and momentum > 0  # torch rejects it without momentum
    return SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=True)


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
