"""Encoder-decoders on pairs of texts: their training, and the trained one, which writes texts and has three files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from automl.data.batches import by_length
from automl.data.pairs import Pairs, Rows, rows
from automl.data.tokens import FILLING
from automl.data.vocabularies import Vocabulary, vocabulary_from_json
from automl.metrics import METRICS, measure, names_of
from automl.models import own_config
from automl.models.decoding import beam_search, greedy
from automl.models.seq2seq import EncoderDecoder, build_seq2seq
from automl.training.base import Training
from automl.training.checkpoint import read_checkpoint
from automl.training.device import autocast, find_device, isolated
from automl.training.optimizer import Descent, weights_in

if TYPE_CHECKING:
    from automl.tasks.translation import Translation

BEAM, LENGTH_PENALTY = 4, 1.0
AT_ONCE = 250  # texts that are written together


@dataclass(frozen=True)
class Translator:
    """Texts in, texts out."""

    module: EncoderDecoder
    config: Mapping[str, Any]
    family: str  # rnn or transformer
    source: Vocabulary
    target: Vocabulary
    max_length: int  # tokens of a sequence, with those that begin and end it

    def __call__(self, texts: Sequence[str], *, beam: int = BEAM) -> list[str]:
        """The texts that a beam search finds; a beam of 1 is greedy."""
        return self.write(rows(self.source, texts, self.max_length), beam=beam)

    def write(self, source: Rows, *, beam: int) -> list[str]:
        """For sources (n, length) as automl.data.pairs makes them."""
        device = next(self.module.parameters()).device
        self.module.eval()
        tokens, longest = torch.from_numpy(source), self.max_length - 1
        said = [""] * len(tokens)
        for places in by_length(lengths(tokens), AT_ONCE) if len(tokens) else ():
            given = filled_only(tokens[places].to(device))
            with autocast(device):
                found = (
                    greedy(self.module, given, longest)
                    if beam == 1
                    else beam_search(self.module, given, longest, width=beam, length_penalty=LENGTH_PENALTY)
                )
            for place, numbers in zip(places.tolist(), found.tolist(), strict=True):
                said[place] = self.target.decode(numbers)
        return said

    def save(self, folder: Path) -> None:
        """Writes model.safetensors, config.json and preprocessing.json."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.module.state_dict(), folder / "model.safetensors")
        rules = {
            "model": f"seq2seq-{self.family}",
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "max_length": self.max_length,
        }
        for name, content in (("config", dict(self.config)), ("preprocessing", rules)):
            (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def build_translator(
    family: str, config: Mapping[str, Any], source: Vocabulary, target: Vocabulary, max_length: int
) -> Translator:
    """With random weights."""
    module = build_seq2seq(family, own_config(family, config), len(source), len(target), max_length)
    return Translator(module, config, family, source, target, max_length)


def load_translator(folder: Path) -> Translator:
    """The translator, on the CPU, that its save left in the folder."""
    config, rules = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "preprocessing")
    )
    source, target = (vocabulary_from_json(rules[side]) for side in ("source", "target"))
    with torch.random.fork_rng([]):  # the first weights are drawn, then overwritten: the caller's generator stays
        translator = build_translator(
            rules["model"].removeprefix("seq2seq-"), config, source, target, rules["max_length"]
        )
    translator.module.load_state_dict(load_file(folder / "model.safetensors"))
    return translator


class TranslationTraining(Training):
    """Teacher forcing with cross-entropy; validation writes greedily, which is several times faster than a beam."""

    task: "Translation"

    def __init__(self, task: "Translation", config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        self.pairs = task.pairs()
        self.source, self.target = (
            torch.from_numpy(side).to(device) for side in (self.pairs.train_source, self.pairs.train_target)
        )
        self.lengths = lengths(self.source) + lengths(self.target)
        with isolated(device, seed, 0):
            self.translator = translator_for(task, config, self.pairs)
            self.translator.module.to(device)
        self.descent = Descent(self.translator.module, config)

    def train_epoch(self) -> dict[str, float]:
        order = torch.randperm(len(self.source), device=self.device)[: self.task.epoch_size]
        loss, _ = self.descent.epoch(
            order, self.loss_of, epoch=self.epoch, max_epochs=self.task.max_epochs, lengths=self.lengths
        )
        return {"train_cross_entropy": loss}

    def loss_of(self, chosen: Tensor) -> Tensor:
        source, target = filled_only(self.source[chosen]), filled_only(self.target[chosen])
        with autocast(self.device):
            logits = self.translator.module(source, target[:, :-1])
            return F.cross_entropy(
                logits.flatten(0, 1),
                target[:, 1:].flatten(),
                ignore_index=FILLING,
                label_smoothing=self.config["label_smoothing"],
            )

    def validate(self) -> dict[str, float]:
        size = self.task.valid_size
        said = self.translator.write(self.pairs.valid_source[:size], beam=1)
        return {self.task.metric: measure(self.task.metric, self.pairs.valid_wanted[:size], said)}

    def preprocessing(self) -> dict[str, Any]:
        return {"n_source": len(self.pairs.source), "n_target": len(self.pairs.target)}

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)


def translator_for(task: "Translation", config: Mapping[str, Any], pairs: Pairs) -> Translator:
    return build_translator(task.family(config), config, pairs.source, pairs.target, task.max_length)


def trained_translator(task: "Translation", checkpoint: Path) -> Translator:
    """The translator of the training in a checkpoint folder, on the CPU."""
    tensors, record = read_checkpoint(checkpoint)
    with torch.random.fork_rng([]):
        translator = translator_for(task, record["config"], task.pairs())
    translator.module.load_state_dict(weights_in(tensors))
    return translator


def evaluate_translator(task: "Translation", checkpoint: Path, device: str) -> dict[str, float]:
    """All metrics of what a beam search writes for the test set."""
    where, pairs = find_device(device), task.pairs()
    translator = trained_translator(task, checkpoint)
    translator.module.to(where)
    with isolated(where):
        said = translator.write(pairs.test_source[: task.test_size], beam=BEAM)
    return {
        name: measure(name, pairs.test_wanted[: task.test_size], said) for name in names_of(METRICS[task.metric].kind)
    }


def filled_only(tokens: Tensor) -> Tensor:
    """Without the columns behind the longest sequence."""
    return tokens[:, : max(1, int(lengths(tokens).max()))]


def lengths(tokens: Tensor) -> Tensor:
    """(n,) of sequences (n, length), without what they are filled up with."""
    return (tokens != FILLING).sum(1)
