"""The user's own pairs of texts as a task: encoder-decoders on prepared pairs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from automl.data.splits import check_train_size
from automl.tasks.sequence_to_sequence import OF_FAMILY, TRAINING, Translation

# Minimum number of pairs, epochs of a full training: with fewer pairs, more epochs for the same number of steps.
SCALES = ((100_000, 5), (20_000, 10), (5_000, 20), (0, 40))
VALID_SIZE = 1_000  # decoding is slower than training


@dataclass(frozen=True)
class OwnPairs(Translation):
    """Pairs in a folder."""

    n_train: int = 0  # pairs of the training set

    def examples_per_epoch(self, config: Mapping[str, Any]) -> int:
        return self.train_size or self.n_train

    def prepared(self, train_size: int | None) -> Self:
        if train_size is not None:
            check_train_size(train_size, 0, len(self.pairs().train_source))
        return replace(self, train_size=train_size)

    def export(self, checkpoint: Path, out: Path) -> None:
        super().export(checkpoint, out)
        shutil.copytree(Path(self.data) / "encoder", out, dirs_exist_ok=True)


def own_pairs(
    folder: Path, families: tuple[str, ...], name: str, n_train: int, max_length: int, metric: str
) -> OwnPairs:
    """The task on n_train pairs in a folder, with at most max_length tokens per text."""
    from automl.space.parse import load_space

    return OwnPairs(
        name,
        str(folder),
        None,
        load_space(space_of_translators(families)),
        next(epochs for least, epochs in SCALES if n_train >= least),
        metric,
        max_length=max_length,
        valid_size=VALID_SIZE,
        n_train=n_train,
    )


def space_of_translators(families: tuple[str, ...]) -> dict[str, Any]:
    """One conditional space, in the short form: `model`, and the hyperparameters of each family conditional on it."""
    form: dict[str, Any] = {"model": {"choice": list(families), "default": families[0]}, **TRAINING}
    for family in families:
        form |= {f"{family}_{name}": {**entry, "when": {"model": family}} for name, entry in OF_FAMILY[family].items()}
    return form
