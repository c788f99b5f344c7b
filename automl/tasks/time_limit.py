"""What fits within the time limit of a run on the user's data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl.data.datasets.registry import load_data
from automl.models import NETWORKS
from automl.tasks import field_plans
from automl.tasks.families import FAMILIES, chosen_families

if TYPE_CHECKING:
    from automl.data.ingest.prepare import Facts
    from automl.data.splits import Splits

SECONDS_OF_A_FOLD = 0.5  # of LightGBM on few rows, plus SECONDS_PER_NUMBER for each number in the table and class
SECONDS_PER_NUMBER = 4e-6
MAX_TRIAL_SHARE = 0.5  # of the time limit for a configuration, but at least MIN_TRIAL_SECONDS,
MIN_TRIAL_SECONDS = 10.0  # since without any finished configuration there is no model
MAX_MODEL_SHARE = 0.4  # of the budget for all folds of a model
MAX_FOLDS_SHARE = 0.8  # of a configuration's seconds for its folds, whose time is an estimate
OVERHEAD_SECONDS = 8.0  # of a command, in which nothing is trained: start, reading, processes, files
SHORT_RUN_SECONDS = 20.0  # limit below which a run begins with the cheapest family
MIN_TIME_LIMIT = 10.0  # seconds of a run that has time for more than one model
CHEAPEST = "linear"
STARTUP_SECONDS = 3.0  # until a training process has loaded its libraries
WRITE_SECONDS = 3.0  # to score the model and write the files
ABORT_FACTOR = 2.0  # multiple of its expected time after which the first configuration is aborted
REFIT_FACTOR = 1.34  # times the seconds of a fit, if the validation set is added to the training set


def seconds_of_a_trial(time_limit: float) -> float:
    """The maximum seconds of a configuration in a run of ``time_limit`` seconds."""
    return max(MIN_TRIAL_SECONDS, MAX_TRIAL_SHARE * time_limit)


def seconds_of_the_first(folder: Path, time_limit: float, n_workers: int, model: str | None = None) -> float:
    """The seconds that the first configuration on texts, images and the like is always given, so that it is not aborted
    and restarted without a limit; 0 for other data. ``model``: the families that were asked for."""
    from automl.data.ingest.prepare import Facts

    facts = Facts.read(folder)
    if facts.kind not in field_plans.FAMILIES:
        return 0.0
    family, splits = _first(facts, folder, model)
    of_training = field_plans.seconds_for_networks(max(0.0, time_limit - OVERHEAD_SECONDS), n_workers)
    has_cheaper = facts.kind == "text" or CHEAPEST in chosen_families(facts, model)
    cheaper = has_cheaper and has_no_time(facts, folder, time_limit, n_workers, model)
    first = field_plans.first_seconds(facts.kind, family, splits, of_training, cheaper=cheaper)
    return ABORT_FACTOR * field_plans.slowness() * first


def n_folds_within(folder: Path, time_limit: float, n_workers: int, model: str | None = None) -> int:
    """The number of folds for the prepared data in a folder: 8, 4, or 1, which is the validation set.

    ``time_limit``: of the command, in seconds. ``model``: the families that were asked for.
    """
    from automl.data.ingest.folds import N_FOLDS
    from automl.data.ingest.prepare import Facts

    facts, seconds = Facts.read(folder), max(0.0, time_limit - OVERHEAD_SECONDS) * n_workers
    family, splits = _first(facts, folder, model)
    n_trees = splits.n_classes if splits.n_classes > 2 else 1  # per round
    most = MAX_MODEL_SHARE * seconds
    if facts.kind in field_plans.FAMILIES:
        of_training = field_plans.seconds_for_networks(seconds / n_workers, n_workers)
        of_a_fold = field_plans.slowness() * field_plans.seconds_of_a_fold(facts.kind, family, splits, of_training)
        most = min(most, MAX_FOLDS_SHARE * seconds_of_a_trial(time_limit))  # one worker trains them one after the other
    else:
        of_a_fold = SECONDS_OF_A_FOLD + SECONDS_PER_NUMBER * splits.x_train.size * n_trees
    if not facts.folds:
        return 1
    return next((n for n in (N_FOLDS, N_FOLDS // 2) if n * of_a_fold <= most), 1)


def has_no_time(facts: Facts, folder: Path, time_limit: float, n_workers: int, model: str | None) -> bool:
    """Whether there is no time for the first preset on texts, images and the like and its fit to all rows."""
    family, splits = _first(facts, folder, model)
    of_training = field_plans.seconds_for_networks(max(0.0, time_limit - OVERHEAD_SECONDS), n_workers)
    first = field_plans.first_seconds(facts.kind, family, splits, of_training, cheaper=False)
    return OVERHEAD_SECONDS + (1 + REFIT_FACTOR) * field_plans.slowness() * first > time_limit


def min_seconds(facts: Facts, folder: Path, spent: float, first: str, *, cheaper: bool) -> float:
    """The seconds that a run on texts, images and the like needs for a first model, scored on the validation set.

    ``spent``: seconds of the command so far. ``first``: the first family. ``cheaper``: see ``field_plans.space_of``.
    """
    family, splits = _first(facts, folder, first)
    seconds = field_plans.first_seconds(facts.kind, family, splits, 0.0, cheaper=cheaper)
    return spent + STARTUP_SECONDS + field_plans.slowness() * seconds + WRITE_SECONDS


def _first(facts: Facts, folder: Path, model: str | None) -> tuple[str, Splits]:
    """The first of the families that were asked for, and the examples by which its time is estimated: a network's own,
    otherwise those of the first family for this kind of data."""
    family = chosen_families(facts, model)[0]
    view = facts.views.of(family if family in NETWORKS else FAMILIES[facts.kind][0])
    return family, load_data(str(folder / view), None)
