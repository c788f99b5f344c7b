"""The training of a network: batches, optimizer, learning-rate schedule."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from automl.data.targets import Classes
from automl.devices import autocast, isolated
from automl.models import build_for
from automl.models.trained import TrainedNetwork
from automl.training import Training

if TYPE_CHECKING:
    from automl.tasks.supervised import Supervised


class NetworkTraining(Training):
    """Model, optimizer and history of one config on one device."""

    model: TrainedNetwork

    def __init__(self, task: "Supervised", config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        with isolated(device, seed, 0):
            module = build_for(self.rules.inputs, self.family, self.own, self.rules.target).to(device)
        self.model = TrainedNetwork(module, self.config, self.rules)
        self.optimizer = make_optimizer(module, self.own)
        self.weights: Tensor | None = None  # of the classes
        if self.own.get("class_weight") and isinstance(self.rules.target, Classes):
            weights = self.rules.target.weights(self.splits.y_train, self.own["class_weight"])
            self.weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def train_epoch(self) -> dict[str, float]:
        """Trains once over the examples; what it tells is under dropout, augmentation and smoothing."""
        (x, y), module, config, target = self.data["train"], self.model.module, self.own, self.rules.target
        batch = min(config["batch_size"], len(y))
        n_steps = len(y) // batch  # the examples left over get their turn in another epoch's order
        order, total = torch.randperm(len(y), device=self.device), torch.zeros((), device=self.device)
        tally = torch.zeros((), dtype=torch.double, device=self.device)
        module.train()
        for step in range(n_steps):
            progress = (self.epoch + (step + 0.5) / n_steps) / self.task.max_epochs
            for group in self.optimizer.param_groups:
                group["lr"] = config["lr"] * schedule(config, progress)
            chosen = order[step * batch : (step + 1) * batch]
            wanted = y[chosen]
            with autocast(self.device):
                outputs = self.model.forward(x[chosen], wanted, config.get("augment", 0.0))
                loss = target.loss(outputs, wanted, config, self.weights)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if "clip_norm" in config:
                nn.utils.clip_grad_norm_(module.parameters(), config["clip_norm"])
            self.optimizer.step()
            total += loss.detach()
            tally += target.tally(outputs.detach(), wanted)
        return target.of_training(total.item() / n_steps, tally.item(), n_steps * batch)

    def tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.module.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items() if tensor is not None}
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        weights, state = dict[str, Tensor](), dict[int, dict[str, Tensor]]()
        for name, tensor in tensors.items():
            if name.startswith("model."):
                weights[name.removeprefix("model.")] = tensor
            else:
                _, index, part = name.split(".")
                state.setdefault(int(index), {})[part] = tensor
        self.model.module.load_state_dict(weights)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def make_optimizer(module: nn.Module, config: Mapping[str, Any]) -> torch.optim.Optimizer:
    """SGD or AdamW; biases, norms and other vectors are not decayed, as is customary."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    if config["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, lr=config["lr"], fused=True)
    momentum = config["momentum"]
    nesterov = config.get("nesterov", False) and momentum > 0  # torch refuses it without momentum
    return torch.optim.SGD(groups, lr=config["lr"], momentum=momentum, nesterov=nesterov, fused=True)


def schedule(config: Mapping[str, Any], progress: float) -> float:
    """The learning rate's factor after the share `progress` of max_epochs.

    One-cycle rises over the first 30% and falls linearly to 0 (Smith & Topin 2018, with torch's default share);
    the others rise over the first `warmup`.
    """
    name = config["schedule"]
    warmup: float = 0.3 if name == "one-cycle" else config["warmup"]
    if progress < warmup:
        return progress / warmup
    rest = (1 - progress) / (1 - warmup)
    return {"constant": 1.0, "cosine": 0.5 - 0.5 * math.cos(math.pi * rest), "one-cycle": rest}[name]
