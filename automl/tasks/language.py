"""The next character of the King James Bible: 3.7 million training, 209,000 validation, 201,000 test characters.

The baseline is a 5-gram model of the whole training text: 1.675 bits per character (automl.tasks.baselines.language).
By default an epoch is 250,000 characters, so that a training takes minutes on one core; it then has seen less than the
text once, and is worse than the 5-grams. For a GPU there are `--epochs` and the larger widths and contexts of the
space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from automl.errors import UserError
from automl.space.parse import load_space
from automl.tasks.built_in import BuiltIn

if TYPE_CHECKING:
    import torch

    from automl.training.base import Training

LEAST = 1_000  # smallest training text, in characters: several times the longest context


@dataclass(frozen=True)
class LanguageModelling(BuiltIn):
    """A causal Transformer on one long text; train_size counts characters."""

    epoch_size: int = 250_000  # characters per epoch
    valid_size: int = 50_000  # characters of the validation set that are used
    test_size: int | None = None  # characters of the test set that are used; None: all

    def prepared(self, train_size: int | None) -> Self:
        if train_size is not None and train_size < LEAST:
            raise UserError(f"{self.name} needs {LEAST:,} characters or more to train on, got {train_size:,}")
        return super().prepared(train_size)

    def examples_per_epoch(self, config: Mapping[str, Any]) -> int:
        return self.epoch_size // int(config["context"])

    def prepare(self) -> None:
        from automl.training.language_model import text_of

        for part in ("train", "valid"):
            text_of(self.data, self.train_size, part)

    def begin(self, config: Mapping[str, Any], seed: int, device: "torch.device") -> "Training":
        from automl.training.language_model import LanguageTraining

        return LanguageTraining(self, config, seed, device)

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        from automl.training.language_model import evaluate_language_model

        return evaluate_language_model(self, checkpoint, device)

    def export(self, checkpoint: Path, out: Path) -> None:
        from automl.training.language_model import trained_language_model

        trained_language_model(self, checkpoint).save(out)


kjv_transformer = LanguageModelling(
    name="kjv-transformer",
    data="kjv",
    model="transformer",
    metric="bits_per_character",
    max_epochs=10,
    space=load_space(
        {
            "lr": {"float": [3e-4, 3e-2], "log": True, "default": 3e-3},
            "optimizer": {"constant": "adamw"},
            "weight_decay": {"float": [1e-6, 1.0], "log": True, "default": 1e-2},
            "batch_size": {"ordinal": [8, 16, 32, 64], "default": 16},
            "schedule": {"choice": ["constant", "cosine", "one-cycle"], "default": "one-cycle"},
            "warmup": {"float": [0.0, 0.3], "default": 0.0, "when": {"schedule": ["constant", "cosine"]}},
            "clip_norm": {"float": [0.1, 10.0], "log": True, "default": 1.0},
            "dropout": {"float": [0.0, 0.3], "default": 0.0},
            "context": {"ordinal": [32, 64, 128], "default": 64},
            "width": {"ordinal": [64, 96, 128], "default": 96},
            "layers": {"int": [1, 4], "default": 3},
            "heads": {"ordinal": [2, 4, 8], "default": 4},
        }
    ),
)
