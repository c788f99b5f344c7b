"""The time that a search leaves for fits of the ensemble's members to all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl.data.datasets.registry import load_data
from automl.data.targets import levels_of
from automl.deployment.ensemble import greedy_ensemble
from automl.metrics import seen_by_rows
from automl.runs.member_candidates import MAX_CANDIDATES, refit_seconds
from automl.runs.selection import MAX_MEMBERS, losses_by_row
from automl.task import CheckpointDamaged
from automl.training.fold_files import read_predictions

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder
    from automl.study.trial import Trial
    from automl.tasks.cross_validated import CrossValidated
    from automl.tuning.tuner import Tuner

MAX_ROWS = 1_000  # of the sample


class LikelyMembers:
    """The members of an ensemble of the complete trials so far, by greedy weights on a sample of the rows."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._shown: dict[int, NDArray[np.float64] | None] = {}  # by trial: see ``seen_by_rows``; None: unreadable
        self._seconds: tuple[list[int], float] = ([], 0.0)  # the last candidates, and the result for them

    def seconds(self, tuner: Tuner) -> float:
        """Expected seconds to fit them to all rows, with the workers of the search."""
        task: CrossValidated = tuner.task  # type: ignore[assignment]
        trials = [
            trial for trial in tuner.study.trials.values() if trial.state == "complete" and trial.loss is not None
        ]
        best = sorted(trials, key=lambda trial: trial.loss or 0.0)[:MAX_CANDIDATES]
        if [trial.number for trial in best] != self._seconds[0]:
            each = [_refit_seconds(task, trial) for trial in self._members(task, best)]
            total = max(sum(each) / max(1, tuner.executor.n_workers), max(each, default=0.0))
            self._seconds = [trial.number for trial in best], total
        return self._seconds[1]

    def _members(self, task: CrossValidated, trials: list[Trial]) -> list[Trial]:
        splits, known = load_data(task.data_of(""), None, True), np.flatnonzero(task.folds() >= 0)
        if len(known) > MAX_ROWS:
            known = np.sort(np.random.default_rng(0).choice(known, MAX_ROWS, replace=False))
        y = np.asarray(splits.y_train)[known]
        for trial in trials:
            if trial.number not in self._shown:
                try:
                    predicted = read_predictions(self._folder.trials / f"{trial.number:04d}")[known]
                    self._shown[trial.number] = seen_by_rows(task.metric, y, predicted.astype(np.float64))
                except CheckpointDamaged:
                    self._shown[trial.number] = None
        trials = [trial for trial in trials if self._shown[trial.number] is not None]
        shown = [each for trial in trials if (each := self._shown[trial.number]) is not None]
        if not trials:
            return []
        by_row = losses_by_row(task, y, None, levels_of(splits.target))
        weights = greedy_ensemble(shown, lambda predicted: float(by_row(predicted).mean()), MAX_MEMBERS)
        return [trials[place] for place in weights]


def _refit_seconds(task: CrossValidated, trial: Trial) -> float:
    family, n = task.family(trial.config), task.max_epochs
    return 0.0 if task.is_bagged(family) else refit_seconds(task, family, [trial.seconds / n] * n)
