"""A causal Transformer on one long text as a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from automl.errors import UserError
from automl.tasks.built_in import BuiltIn

if TYPE_CHECKING:
    import torch

    from automl.training.base import Training

MIN_CHARACTERS = 1_000  # of the training text: several times the longest context


@dataclass(frozen=True)
class LanguageModelling(BuiltIn):
    """A causal Transformer on one long text; train_size counts characters."""

    epoch_size: int = 250_000  # characters per epoch
    valid_size: int = 50_000  # characters of the validation set that are used
    test_size: int | None = None  # characters of the test set that are used; None: all

    def prepared(self, train_size: int | None) -> Self:
        if train_size is not None and train_size < MIN_CHARACTERS:
            raise UserError(f"{self.name} needs {MIN_CHARACTERS:,} characters or more to train on, got {train_size:,}")
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
