"""Training and evaluation of causal Transformers on one long text."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.data.datasets.registry import load_parts
from automl.data.vocabularies import Symbols
from automl.metrics import measure
from automl.models.causal_transformer import CausalTransformer
from automl.models.device import autocast, find_device, isolated
from automl.models.tensor_models import weights_in
from automl.models.trained_language import TrainedLanguageModel
from automl.training.base import Training
from automl.training.checkpoint import read_checkpoint
from automl.training.device import Part, home_of
from automl.training.optimizer import Batch, Descent
from automl.training.spec import LanguageTask


class LanguageTraining(Training):
    """Minimises the cross-entropy over windows of the context length, at random positions of the training text."""

    task: LanguageTask

    def __init__(self, task: LanguageTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        text = text_of(task.data, task.train_size, "train")
        self.text = text.to(home_of(text, device))
        self.valid = text_of(task.data, task.train_size, "valid")[: task.valid_size].to(device)
        characters = characters_of(task.data, task.train_size)
        with isolated(device, seed, 0):
            module = CausalTransformer(config, len(characters)).to(device)
        self.model = TrainedLanguageModel(module, self.config, characters)
        self.descent = Descent(module, config)

    def train_epoch(self) -> dict[str, float]:
        context = self.config["context"]
        n_windows = self.task.epoch_size // context
        places = torch.randint(len(self.text) - context, (n_windows,), device=self.device)
        loss, _ = self.descent.epoch(places, self.loss_of, epoch=self.epoch, max_epochs=self.task.max_epochs)
        return {"train_cross_entropy": loss}

    def loss_of(self, batch: Batch) -> Tensor:
        steps = torch.arange(self.config["context"] + 1, device=self.text.device)
        windows = self.text[batch.on(self.text.device)[:, None] + steps].to(self.device)
        with autocast(self.device):
            logits = self.model.module(windows[:, :-1])
            return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    def validate(self) -> dict[str, float]:
        return {self.task.metric: measure(self.task.metric, self.valid, self.model.log2_probabilities(self.valid))}

    def preprocessing(self) -> dict[str, Any]:
        return self.model.characters.to_json()

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)


@functools.lru_cache(maxsize=2)
def characters_of(data: str, train_size: int | None) -> Symbols:
    """The characters of the training text."""
    return Symbols.fitted([load_parts(data, train_size).train], "")


@functools.lru_cache(maxsize=6)
def text_of(data: str, train_size: int | None, part: Part) -> Tensor:
    """A text as character ids, on the CPU."""
    return torch.tensor(characters_of(data, train_size).encode(getattr(load_parts(data, train_size), part)))


def trained_language_model(task: LanguageTask, checkpoint: Path) -> TrainedLanguageModel:
    """The model of the training in a checkpoint folder, on the CPU."""
    tensors, record = read_checkpoint(checkpoint)
    characters = characters_of(task.data, task.train_size)
    with torch.random.fork_rng([]):
        module = CausalTransformer(record["config"], len(characters))
    module.load_state_dict(weights_in(tensors))
    return TrainedLanguageModel(module, record["config"], characters)


def evaluate_language_model(task: LanguageTask, checkpoint: Path, device: str) -> dict[str, float]:
    """Bits per character on the test text."""
    where = find_device(device)
    model = trained_language_model(task, checkpoint)
    model.module.to(where)
    text = text_of(task.data, task.train_size, "test")[: task.test_size].to(where)
    with isolated(where):
        return {task.metric: measure(task.metric, text, model.log2_probabilities(text))}
