"""What fits in the time limit of a run on own data."""

from __future__ import annotations

from pathlib import Path

from automl.data.datasets.registry import load_data
from automl.tasks import field_plans
from automl.tasks.families import FAMILIES

SECONDS_OF_A_FOLD = 0.5  # of LightGBM on few rows; more of them take so many seconds a number in the table and class:
SECONDS_A_NUMBER = 4e-6
SHARE_OF_A_TRIAL = 0.5  # of the time limit, at most, for a configuration, but never less than
LEAST_SECONDS = 10.0  # since a limit that no configuration keeps would leave no model
SHARE_OF_A_MODEL = 0.4  # of the budget, at most, for all folds of one
OVERHEAD = 8.0  # seconds of a command in which nothing is trained: start, reading, processes, files
SHORT = 20.0  # seconds of a run that begins with the cheapest family
LEAST_LIMIT = 10.0  # seconds of a run that has time for more than one model
CHEAPEST = "linear"


def seconds_of_a_trial(time_limit: float) -> float:
    """The seconds of a configuration, at most, in a run of ``time_limit`` seconds."""
    return max(LEAST_SECONDS, SHARE_OF_A_TRIAL * time_limit)


def n_folds_within(folder: Path, time_limit: float, n_workers: int) -> int:
    """The number of folds for the prepared data in a folder: 8, 4, or 1, which is the validation set.

    ``time_limit``: of the command, in seconds.
    """
    from automl.data.ingest.folds import N_FOLDS
    from automl.data.ingest.prepare import Facts

    facts, seconds = Facts.read(folder), max(0.0, time_limit - OVERHEAD) * n_workers
    splits = load_data(str(folder / facts.views[FAMILIES[facts.kind][0]]), None)
    n_trees = splits.n_classes if splits.n_classes > 2 else 1  # a round
    if facts.kind in field_plans.FAMILIES:
        of_a_fold = field_plans.slowness() * field_plans.seconds_of_a_fold(facts.kind, splits, seconds)
    else:
        of_a_fold = SECONDS_OF_A_FOLD + SECONDS_A_NUMBER * splits.x_train.size * n_trees
    if not facts.folds:
        return 1
    return next((n for n in (N_FOLDS, N_FOLDS // 2) if n * of_a_fold <= SHARE_OF_A_MODEL * seconds), 1)
