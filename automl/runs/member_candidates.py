"""The trials that an ensemble is chosen from, and the fits to all rows that they still need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.task import CheckpointDamaged
from automl.training.fold_files import MODEL, places_to_fit, read_predictions, read_record
from automl.training.fold_learners import learner_class

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder
    from automl.study.trial import Trial
    from automl.tasks.cross_validated import CrossValidated

MAX_CANDIDATES = 30  # trials that the weights are chosen from: the best, and the best of each family
VALID_SHARE = 0.34  # size of the validation set relative to the training set
MAX_MESSAGES = 3  # about single trials that are left out


@dataclass(frozen=True)
class MemberCandidate:
    """A trial that predicted all folds."""

    trial: Trial
    folder: Path
    family: str
    predictions: NDArray[Any]  # out of fold, for the rows that are in a fold
    refit_seconds: float  # expected, of a fit to all rows, or of refits of the damaged fold models
    damage: tuple[str, ...] = ()  # messages about damaged models, naming the files; these are refitted

    @property
    def loss(self) -> float:
        """The out-of-fold loss, by the task's metric."""
        assert self.trial.loss is not None
        return self.trial.loss


def candidates(
    task: CrossValidated, trials: Sequence[Trial], folder: RunFolder, say: Callable[[str], None]
) -> list[MemberCandidate]:
    """The complete trials that weights are chosen from, the best first.

    ``say``: called with a line about those that are left out because their files are damaged or missing.
    """
    known = task.folds() >= 0
    complete = sorted((t for t in trials if t.state == "complete" and t.loss is not None), key=lambda t: t.loss or 0.0)
    best_of: dict[str, Trial] = {}
    for trial in complete:
        best_of.setdefault(task.family(trial.config), trial)
    wanted = {trial.number for trial in [*complete[:MAX_CANDIDATES], *best_of.values()]}
    found, left_out = [], []
    for trial in complete:
        if trial.number in wanted:
            try:
                found.append(_candidate(task, trial, folder.trials / f"{trial.number:04d}", known))
            except CheckpointDamaged as error:
                left_out.append(f"ensemble: trial {trial.number} is left out, {error}")
    for line in left_out[:MAX_MESSAGES]:
        say(line)
    if len(left_out) > MAX_MESSAGES:
        n = len(left_out) - MAX_MESSAGES
        more = "trial is left out, as its" if n == 1 else "trials are left out, as their"
        say(f"ensemble: {n} more {more} files are damaged too")
    return found


def _candidate(task: CrossValidated, trial: Trial, place: Path, known: NDArray[np.bool_]) -> MemberCandidate:
    predictions = read_predictions(place, known)[known].astype(np.float64)
    return with_current_damage(task, MemberCandidate(trial, place, task.family(trial.config), predictions, 0.0))


def with_current_damage(task: CrossValidated, candidate: MemberCandidate) -> MemberCandidate:
    """The candidate with its current refit time and damage. CheckpointDamaged if its record cannot be read."""
    family, folder = candidate.family, candidate.folder
    record = read_record(folder)["seconds"]
    to_fit = places_to_fit(folder, learner_class(family), task.max_epochs)
    seconds = sum(
        refit_seconds(task, family, record) if place.name == MODEL else record[int(place.name.removeprefix("fold-"))]
        for place in to_fit
    )
    damage = tuple(line for place, line in to_fit.items() if place.name != MODEL or place.exists())
    return replace(candidate, refit_seconds=seconds, damage=damage)


def refit_seconds(task: CrossValidated, family: str, seconds: Sequence[float]) -> float:
    """Expected seconds of a fit to all rows, from those of the folds."""
    n = task.max_epochs
    if n == 1:  # a validation set, to be trained on too
        return (1 + VALID_SHARE) * sum(seconds)
    if task.uses_out_of_bag(family):
        return sum(seconds)
    return float(np.median(seconds)) * n / max(1, n - 1)  # the first fold may have waited for imports
