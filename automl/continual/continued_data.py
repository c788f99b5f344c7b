"""A task that fine-tunes a trained network on merged old and new data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.models import NETWORKS
from automl.tasks.user_data import OwnData

if TYPE_CHECKING:
    import torch

    from automl.training.base import Training

EPOCH_RATIO = 4  # epochs of a full training per epoch of fine-tuning


@dataclass(frozen=True)
class ContinuedData(OwnData):
    """Merged data (see `unite`), for a network that was trained on the old data."""

    start: str = ""  # the folder of its model
    n_old: int = 0  # old training examples, which come first
    replay: float = 1.0  # old examples per epoch, in multiples of the new ones

    def begin(self, config: Mapping[str, Any], seed: int, device: torch.device) -> Training:
        from automl.continual.fine_tuning import ContinuedTraining

        return ContinuedTraining(self, config, seed, device)


def continued(task: OwnData, model: Path, n_old: int, replay: float = 1.0) -> ContinuedData:
    """A task that fine-tunes the network in a folder."""
    options = {field.name: getattr(task, field.name) for field in fields(OwnData)}
    options |= {"max_epochs": max(1, task.max_epochs // EPOCH_RATIO)}
    return ContinuedData(**options, start=str(model), n_old=n_old, replay=replay)


def can_continue(family: str) -> bool:
    """Whether models of the family can be fine-tuned."""
    return family in NETWORKS


def epoch_cost(task: ContinuedData, n_train: int) -> float:
    """The cost of an epoch, in epochs over all n_train examples."""
    n_new = n_train - task.n_old
    return (n_new + min(task.n_old, round(task.replay * n_new))) / n_train
