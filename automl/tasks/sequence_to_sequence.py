"""Encoder-decoders on pairs of texts as a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.tasks.built_in import BuiltIn

if TYPE_CHECKING:
    import torch

    from automl.data.pairs import Pairs
    from automl.training.base import Training

TRAINING = {
    "lr": {"float": [1e-4, 1e-2], "log": True, "default": 3e-3},
    "optimizer": {"constant": "adamw"},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True, "default": 1e-2},
    "batch_size": {"ordinal": [32, 64, 128], "default": 64},
    "schedule": {"choice": ["constant", "cosine", "one-cycle"], "default": "one-cycle"},
    "warmup": {"float": [0.0, 0.3], "default": 0.0, "when": {"schedule": ["constant", "cosine"]}},
    "clip_norm": {"float": [0.1, 10.0], "log": True, "default": 1.0},
    "dropout": {"float": [0.0, 0.5], "default": 0.1},
    "label_smoothing": {"float": [0.0, 0.2], "default": 0.0},
}
OF_FAMILY: dict[str, dict[str, Any]] = {
    "transformer": {
        "width": {"ordinal": [32, 64, 96, 128], "default": 64},
        "layers": {"int": [1, 3], "default": 2},
        "heads": {"ordinal": [2, 4, 8], "default": 4},
    },
    "rnn": {
        "cell": {"choice": ["gru", "lstm"], "default": "gru"},
        "embedding": {"ordinal": [16, 32, 64], "default": 32},
        "width": {"ordinal": [64, 128, 192], "default": 128},
        "layers": {"int": [1, 2], "default": 1},
    },
}


@dataclass(frozen=True)
class Translation(BuiltIn):
    """An encoder-decoder on pairs of texts; ``model``: rnn or transformer."""

    subwords: int = 0  # vocabulary per side; 0: letters of the source, symbols separated by spaces of the target
    max_length: int = 32  # tokens of a sequence
    epoch_size: int | None = None  # pairs per epoch; None: all
    valid_size: int | None = None  # sequences decoded in validation; None: all
    test_size: int | None = None  # sequences decoded in the test; None: all

    def pairs(self) -> "Pairs":
        from automl.data.datasets.registry import load_pairs

        return load_pairs(self.data, self.subwords, self.max_length, self.train_size)

    def examples_per_epoch(self, config: Mapping[str, Any]) -> int:
        return self.epoch_size or super().examples_per_epoch(config)

    def prepare(self) -> None:
        from automl.training.seq2seq import TranslationTraining  # noqa: F401

        self.pairs()

    def begin(self, config: Mapping[str, Any], seed: int, device: "torch.device") -> "Training":
        from automl.training.seq2seq import TranslationTraining

        return TranslationTraining(self, config, seed, device)

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        from automl.training.seq2seq import evaluate_translator

        return evaluate_translator(self, checkpoint, device)

    def export(self, checkpoint: Path, out: Path) -> None:
        from automl.training.seq2seq import trained_translator

        trained_translator(self, checkpoint).save(out)
