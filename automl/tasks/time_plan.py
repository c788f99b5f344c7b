"""What fits in the time limit of a run on own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl.data.datasets.registry import load_data
from automl.tasks import field_plans
from automl.tasks.families import FAMILIES

if TYPE_CHECKING:
    from automl.data.ingest.prepare import Facts

SECONDS_OF_A_FOLD = 0.5  # of LightGBM on few rows; more of them take so many seconds a number in the table and class:
SECONDS_A_NUMBER = 4e-6
SHARE_OF_A_TRIAL = 0.5  # of the time limit, at most, for a configuration, but never less than
LEAST_SECONDS = 10.0  # since a limit that no configuration keeps would leave no model
SHARE_OF_A_MODEL = 0.4  # of the budget, at most, for all folds of one
SHARE_OF_FOLDS = 0.8  # of the seconds of a configuration, at most, for all of its folds, as they are an estimate
OVERHEAD = 8.0  # seconds of a command in which nothing is trained: start, reading, processes, files
SHORT = 20.0  # seconds of a run that begins with the cheapest family
LEAST_LIMIT = 10.0  # seconds of a run that has time for more than one model
CHEAPEST = "linear"
STARTING = 3.0  # seconds until a training process has loaded its libraries
WRITING = 3.0  # seconds to score the model and write the files
FIRST = 2.0  # times what the first configuration is expected to take, for it to be cut
REFIT = 1.34  # times the seconds of a fit, if the validation set is added to the training set


def seconds_of_a_trial(time_limit: float) -> float:
    """The seconds of a configuration, at most, in a run of ``time_limit`` seconds."""
    return max(LEAST_SECONDS, SHARE_OF_A_TRIAL * time_limit)


def seconds_of_the_first(folder: Path, time_limit: float, n_workers: int) -> float:
    """What the first configuration of texts, images and the like may take in any case, lest it is cut and begun again
    without a limit; 0 for other data."""
    from automl.data.ingest.prepare import Facts

    facts = Facts.read(folder)
    if facts.kind not in field_plans.FAMILIES:
        return 0.0
    splits = load_data(str(folder / facts.views[FAMILIES[facts.kind][0]]), None)
    of_training = field_plans.seconds_for_networks(max(0.0, time_limit - OVERHEAD), n_workers)
    cheaper = has_no_time(facts, folder, time_limit, n_workers)
    first = field_plans.first_seconds(facts.kind, splits, of_training, cheaper=cheaper)
    return FIRST * field_plans.slowness() * first


def n_folds_within(folder: Path, time_limit: float, n_workers: int) -> int:
    """The number of folds for the prepared data in a folder: 8, 4, or 1, which is the validation set.

    ``time_limit``: of the command, in seconds.
    """
    from automl.data.ingest.folds import N_FOLDS
    from automl.data.ingest.prepare import Facts

    facts, seconds = Facts.read(folder), max(0.0, time_limit - OVERHEAD) * n_workers
    splits = load_data(str(folder / facts.views[FAMILIES[facts.kind][0]]), None)
    n_trees = splits.n_classes if splits.n_classes > 2 else 1  # a round
    most = SHARE_OF_A_MODEL * seconds
    if facts.kind in field_plans.FAMILIES:
        of_training = field_plans.seconds_for_networks(seconds / n_workers, n_workers)
        of_a_fold = field_plans.slowness() * field_plans.seconds_of_a_fold(facts.kind, splits, of_training)
        most = min(most, SHARE_OF_FOLDS * seconds_of_a_trial(time_limit))  # one worker trains them one after the other
    else:
        of_a_fold = SECONDS_OF_A_FOLD + SECONDS_A_NUMBER * splits.x_train.size * n_trees
    if not facts.folds:
        return 1
    return next((n for n in (N_FOLDS, N_FOLDS // 2) if n * of_a_fold <= most), 1)


def has_no_time(facts: Facts, folder: Path, time_limit: float, n_workers: int) -> bool:
    """Whether there is no time for the first preset of texts, images and the like and a fit of it to all rows."""
    splits = load_data(str(folder / facts.views[FAMILIES[facts.kind][0]]), None)
    of_training = field_plans.seconds_for_networks(max(0.0, time_limit - OVERHEAD), n_workers)
    first = field_plans.first_seconds(facts.kind, splits, of_training, cheaper=False)
    return OVERHEAD + (1 + REFIT) * field_plans.slowness() * first > time_limit


def least_seconds(facts: Facts, folder: Path, spent: float, *, cheaper: bool) -> float:
    """What a run on texts, images and the like needs for its first model, scored by the validation set.

    ``spent``: seconds of the command so far. ``cheaper``: see ``field_plans.space_of``.
    """
    splits = load_data(str(folder / facts.views[FAMILIES[facts.kind][0]]), None)
    first = field_plans.first_seconds(facts.kind, splits, 0.0, cheaper=cheaper)
    return spent + STARTING + field_plans.slowness() * first + WRITING
