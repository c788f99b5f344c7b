"""Training that goes on from a model's weights: on the new examples, and as many old ones, so that it keeps those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.models import FAMILIES
from automl.tasks.user_data import OwnData

if TYPE_CHECKING:
    import torch

    from automl.training.base import Training

SHARE = 4  # a full training has so many times its epochs


@dataclass(frozen=True)
class ContinuedData(OwnData):
    """United data (see `unite`), learnt by a network that knows the old ones."""

    start: str = ""  # the folder of its model
    n_old: int = 0  # examples of the training part that are old, the first ones
    replay: float = 1.0  # old examples an epoch, in multiples of the new ones

    def begin(self, config: Mapping[str, Any], seed: int, device: torch.device) -> Training:
        from automl.continual.continuation import ContinuedTraining

        return ContinuedTraining(self, config, seed, device)


def continued(task: OwnData, model: Path, n_old: int, replay: float = 1.0) -> ContinuedData:
    """The task of going on from a network in a folder."""
    fields = {name: getattr(task, name) for name in OwnData.__dataclass_fields__}
    fields |= {"max_epochs": max(1, task.max_epochs // SHARE)}
    return ContinuedData(**fields, start=str(model), n_old=n_old, replay=replay)


def can_continue(family: str) -> bool:
    """Whether models of the family have weights to go on from."""
    return family in FAMILIES


def seen_a_time(task: ContinuedData, n_train: int) -> float:
    """What an epoch costs, in epochs over all n_train examples."""
    n_new = n_train - task.n_old
    return (n_new + min(task.n_old, round(task.replay * n_new))) / n_train
