"""Training and evaluation of encoder-decoders on pairs of texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.data.examples import shuffled
from automl.data.pairs import Pairs
from automl.data.tokens import PADDING
from automl.metrics import METRICS, measure, names_of
from automl.models.device import autocast, find_device, isolated
from automl.models.tensor_models import weights_in
from automl.models.trained_seq2seq import BEAM, Translator, build_translator, filled_only, lengths
from automl.training.base import Training
from automl.training.checkpoint import read_checkpoint
from automl.training.device import home_of
from automl.training.optimizer import Batch, Descent
from automl.training.spec import TranslationTask


class TranslationTraining(Training):
    """Teacher forcing with cross-entropy; validation decodes greedily, several times faster than beam search."""

    task: TranslationTask

    def __init__(self, task: TranslationTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        self.pairs = task.pairs()
        sides = self.pairs.train_source, self.pairs.train_target
        self.source, self.target = (torch.from_numpy(side).to(home_of(side, device)) for side in sides)
        # Lengths of all pairs, on the CPU so that no batch waits for the device to get them.
        self.source_lengths, self.target_lengths = (lengths(torch.from_numpy(side)) for side in sides)
        self.lengths = (self.source_lengths + self.target_lengths).to(device)
        # Random ones: the first may be of few groups or of the oldest days.
        self.judged = sorted(shuffled(len(self.pairs.valid_references))[: task.valid_size])
        with isolated(device, seed, 0):
            self.translator = translator_for(task, config, self.pairs)
            self.translator.module.to(device)
        self.descent = Descent(self.translator.module, config)

    def train_epoch(self) -> dict[str, float]:
        order = torch.randperm(len(self.lengths), device=self.device)[: self.task.epoch_size]
        loss, _ = self.descent.epoch(
            order, self.loss_of, epoch=self.epoch, max_epochs=self.task.max_epochs, lengths=self.lengths
        )
        return {"train_cross_entropy": loss}

    def loss_of(self, batch: Batch) -> Tensor:
        n_source, n_target = self.source_lengths[batch.on_host], self.target_lengths[batch.on_host]
        source, target = (
            filled_only(side[batch.on(side.device)], n).to(self.device)
            for side, n in ((self.source, n_source), (self.target, n_target))
        )
        with autocast(self.device):
            logits = self.translator.module(source, target[:, :-1], n_source)
            return F.cross_entropy(
                logits.flatten(0, 1),
                target[:, 1:].flatten(),
                ignore_index=PADDING,
                label_smoothing=self.config["label_smoothing"],
            )

    def validate(self) -> dict[str, float]:
        translations = self.translator.write(self.pairs.valid_source[self.judged], beam=1)
        references = [self.pairs.valid_references[place] for place in self.judged]
        return {self.task.metric: measure(self.task.metric, references, translations)}

    def preprocessing(self) -> dict[str, Any]:
        return {"n_source": len(self.pairs.source), "n_target": len(self.pairs.target)}

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)


def translator_for(task: TranslationTask, config: Mapping[str, Any], pairs: Pairs) -> Translator:
    return build_translator(task.family(config), config, pairs.source, pairs.target, task.max_length)


def trained_translator(task: TranslationTask, checkpoint: Path) -> Translator:
    """The translator of the training in a checkpoint folder, on the CPU."""
    tensors, record = read_checkpoint(checkpoint)
    with torch.random.fork_rng([]):
        translator = translator_for(task, record["config"], task.pairs())
    translator.module.load_state_dict(weights_in(tensors))
    return translator


def evaluate_translator(task: TranslationTask, checkpoint: Path, device: str) -> dict[str, float]:
    """All metrics of beam search on the test set."""
    where, pairs = find_device(device), task.pairs()
    translator = trained_translator(task, checkpoint)
    translator.module.to(where)
    with isolated(where):
        translations = translator.write(pairs.test_source[: task.test_size], beam=BEAM)
    return {
        name: measure(name, pairs.test_references[: task.test_size], translations)
        for name in names_of(METRICS[task.metric].kind)
    }
