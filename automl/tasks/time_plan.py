"""What fits in the time limit of a run on own data: folds, seconds of a configuration, and the plan in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl.data.datasets.registry import load_data
from automl.tasks import field_plans
from automl.tasks.families import FAMILIES, families_of

if TYPE_CHECKING:
    from automl.tasks.cross_validated import CrossValidated

SECONDS_OF_A_FOLD = 0.5  # of LightGBM on few rows; more of them take so many seconds a number in the table and class:
SECONDS_A_NUMBER = 4e-6
SHARE_OF_A_TRIAL = 0.5  # of the time limit, at most, for a configuration, but never less than
LEAST_SECONDS = 10.0  # since a limit that no configuration keeps would leave no model
SHARE_OF_A_MODEL = 0.4  # of the budget, at most, for all folds of one
OVERHEAD = 8.0  # seconds of a command in which nothing is trained: start, reading, processes, files
SHORT = 20.0  # seconds of a run that begins with the cheapest family
LEAST_LIMIT = 10.0  # seconds of a run that has time for more than one model
CHEAPEST = "linear"


def described_plan(task: CrossValidated, seconds: float | None, *, has_test: bool) -> str:
    """One line on what a run does, before it starts."""
    families = families_of(task.space)
    if seconds is not None and seconds < LEAST_LIMIT:
        return (
            f"plan: one model, {families[0]}, scored by the validation set; {seconds:g} seconds will be exceeded, as "
            f"starting, reading and writing take about {OVERHEAD:g}: give {LEAST_LIMIT:g} or more"
        )
    scored = f"{task.max_epochs}-fold cross-validation" if task.max_epochs > 1 else "the validation set"
    hows = {"time": ", forward in time", "group": ", groups kept together", "duplicates": ", duplicates kept together"}
    how = hows.get(task.folds_how, "") if task.max_epochs > 1 else ""
    within = "" if seconds is None else f", all within {seconds:g} seconds"
    return (
        f"plan: presets of {', '.join(families)}, scored by {scored}{how}; then a search in each family; "
        f"then an ensemble of the best, fitted to all rows{' but the test set' * has_test}{within}"
    )


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
