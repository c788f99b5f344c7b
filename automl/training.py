"""One resumable training of one config: epoch by epoch, from and to a checkpoint.

All randomness of an epoch follows from (seed, epoch). So a checkpoint needs no generator's state, and on a CPU a paused
and continued training equals an uninterrupted one bit for bit.
"""

import functools
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from automl.data import load_data
from automl.data.augmentation import augment
from automl.errors import UserError
from automl.models import build_model
from automl.models.trained import Preprocessing, TrainedModel
from automl.tasks.base import Epoch, TrainingFailed

if TYPE_CHECKING:
    from automl.tasks.classification import Classification

CHECKPOINT = "checkpoint.safetensors"
SCORING_BATCH = 1_000


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged or of another training."""


def train(
    task: "Classification", config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
) -> Iterator[Epoch]:
    """See `automl.tasks.base.Task.train`."""
    if not 1 <= epochs <= task.max_epochs:
        raise ValueError(f"epochs must be between 1 and the task's max_epochs = {task.max_epochs}, got {epochs}")
    where = find_device(device)
    with memory_errors(f"on {where} before the first epoch"):
        training = Training(task, config, seed, where)
    if checkpoint is not None and (checkpoint / CHECKPOINT).exists():
        training.restore(checkpoint)
    while training.epoch < epochs:
        epoch = training.next_epoch()
        if training.epoch == epochs and checkpoint is not None:
            training.save(checkpoint)  # before the last epoch is told: the consumer may not come back after it
        yield epoch


def evaluate(task: "Classification", checkpoint: Path, *, device: str) -> dict[str, float]:
    """Accuracy and cross-entropy of the training in a checkpoint folder on the task's test set."""
    where = find_device(device)
    model = trained_model(checkpoint)
    model.module.to(where)
    with isolated(where):
        return score(model, *device_data(task.data, task.train_size, where)["test"])


def export_model(checkpoint: Path, out: Path) -> None:
    """Writes the training in a checkpoint folder as a model's three files into the folder out."""
    trained_model(checkpoint).save(out)


class Training:
    """Model, optimizer and history of one config on one device."""

    def __init__(self, task: "Classification", config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        self.task, self.config, self.seed, self.device = task, dict(config), seed, device
        self.epoch, self.losses, self.metrics = 0, list[float](), dict[str, list[float]]()
        splits = load_data(task.data, task.train_size)
        self.data = device_data(task.data, task.train_size, device)
        with isolated(device, seed, 0):
            module = build_model(task.model, config, splits.shape, splits.n_classes).to(device)
        rules = Preprocessing(task.name, task.model, splits.shape, splits.classes, splits.mean, splits.std)
        self.model = TrainedModel(module, self.config, rules)
        self.optimizer = make_optimizer(module, config)

    def next_epoch(self) -> Epoch:
        """Trains and validates once more."""
        start, number = time.perf_counter(), self.epoch + 1
        with isolated(self.device, self.seed, number), memory_errors(f"on {self.device} at epoch {number}"):
            train_loss, train_accuracy = self.train_epoch()
            metrics = score(self.model, *self.data["valid"])
        for name, value in (("training", train_loss), ("validation", metrics["cross_entropy"])):
            if not math.isfinite(value):
                raise TrainingFailed(f"diverged: {name} loss is {value} at epoch {number}")
        metrics |= {"train_cross_entropy": train_loss, "train_accuracy": train_accuracy}
        self.epoch = number
        self.losses.append(1 - metrics["accuracy"])
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append(value)
        return Epoch(number, self.losses[-1], metrics, time.perf_counter() - start)

    def train_epoch(self) -> tuple[float, float]:
        """Trains once over the examples; returns mean loss and accuracy, under dropout, augmentation and smoothing."""
        (x, y), module, config = self.data["train"], self.model.module, self.config
        batch = min(config["batch_size"], len(y))
        n_steps = len(y) // batch  # the examples left over get their turn in another epoch's order
        order, total = torch.randperm(len(y), device=self.device), torch.zeros((), device=self.device)
        n_right = torch.zeros((), dtype=torch.long, device=self.device)
        module.train()
        for step in range(n_steps):
            progress = (self.epoch + (step + 0.5) / n_steps) / self.task.max_epochs
            for group in self.optimizer.param_groups:
                group["lr"] = config["lr"] * schedule(config, progress)
            chosen = order[step * batch : (step + 1) * batch]
            inputs = augment(self.model.preprocessing(x[chosen]), config.get("augment", 0.0))
            with autocast(self.device):
                logits = module(inputs)
                loss = F.cross_entropy(logits, y[chosen], label_smoothing=config.get("label_smoothing", 0.0))
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if "clip_norm" in config:
                nn.utils.clip_grad_norm_(module.parameters(), config["clip_norm"])
            self.optimizer.step()
            total += loss.detach()
            n_right += (logits.detach().argmax(1) == y[chosen]).sum()
        return total.item() / n_steps, n_right.item() / (n_steps * batch)

    def record(self) -> dict[str, Any]:
        return {
            "task": self.task.name,
            "train_size": self.task.train_size,
            "config": self.config,
            "seed": self.seed,
            "epoch": self.epoch,
            "losses": self.losses,
            "metrics": self.metrics,
            "preprocessing": asdict(self.model.preprocessing),
        }

    def save(self, folder: Path) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.module.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items() if tensor is not None}
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f"{CHECKPOINT}.{os.getpid()}"
        # On a GPU the weights of a recurrent layer may be views of one buffer; safetensors wants each on its own.
        apart = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(apart, aside, {"training": json.dumps(self.record())})
        aside.replace(folder / CHECKPOINT)

    def restore(self, folder: Path) -> None:
        tensors, record = read_checkpoint(folder)
        own = json.loads(json.dumps(self.record()))
        for key in ("task", "train_size", "config", "seed", "preprocessing"):
            if record[key] != own[key]:
                raise CheckpointError(
                    f"the checkpoint in {folder} is of another training: its {key} is {record[key]}, "
                    f"wanted {own[key]}; use another folder"
                )
        self.model.module.load_state_dict(weights_in(tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, part = name.split(".")
                state.setdefault(int(index), {})[part] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.epoch, self.losses, self.metrics = record["epoch"], record["losses"], record["metrics"]


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


def score(model: TrainedModel, x: Tensor, y: Tensor) -> dict[str, float]:
    with autocast(x.device):
        logits = torch.cat([model(part) for part in torch.split(x, SCORING_BATCH)])
    accuracy = (logits.argmax(1) == y).double().mean().item()
    return {"accuracy": accuracy, "cross_entropy": F.cross_entropy(logits, y).item()}


# --- checkpoints ------------------------------------------------------------------------------------------------------


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    path = folder / CHECKPOINT
    try:
        with safe_open(path, "pt") as file:
            record = json.loads(file.metadata()["training"])
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint in {folder}; train there first") from None
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"the checkpoint {path} is damaged ({error}); delete it to train anew") from error


def weights_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}


def trained_model(checkpoint: Path) -> TrainedModel:
    tensors, record = read_checkpoint(checkpoint)
    return TrainedModel.rebuild(weights_in(tensors), record["config"], record["preprocessing"])


# --- device -----------------------------------------------------------------------------------------------------------


def find_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"the device must be there, got '{name}' and torch finds no GPU; use auto or cpu")
    return torch.device(name)


@functools.lru_cache(maxsize=2)
def device_data(data: str, train_size: int | None, device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
    """Examples and labels of the three parts as tensors on the device: no loader, batches are taken by index."""
    splits = load_data(data, train_size)
    parts = {
        "train": (splits.x_train, splits.y_train),
        "valid": (splits.x_valid, splits.y_valid),
        "test": (splits.x_test, splits.y_test),
    }
    return {name: (torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for name, (x, y) in parts.items()}


@contextmanager
def isolated(device: torch.device, *seed: int) -> Iterator[None]:
    """Random numbers that follow from the seed alone, one CPU thread, TF32; the caller's state comes back after it."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed:
            derived = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
            torch.default_generator.manual_seed(derived)  # torch.manual_seed would seed every GPU, used or not
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(derived)
        torch.set_num_threads(1)  # one process a trial: more threads would fight over the cores
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(precision)


@contextmanager
def memory_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # On a CPU torch raises a bare RuntimeError, to be told by its text alone.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
            raise TrainingFailed(f"out of memory {where}; a smaller batch or model would fit") from error
        raise


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
