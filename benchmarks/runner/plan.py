"""The plan of a comparison: every strategy on every task with the same seeds, slow ones on a subset."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automl.errors import UserError
from automl.runs.settings import Settings, build_task
from benchmarks.runner.costs import strategy_seconds
from benchmarks.runner.simulate import Run
from benchmarks.suites import load_suite
from benchmarks.suites.base import SimulatedTask
from benchmarks.suites.live_task import LiveTask

SLOW_SECONDS = 0.2  # strategies that take longer for a suggestion at 50 observations are run on a subset
N_SLOW_TASKS, N_SLOW_SEEDS, N_SLOW_TRIALS = 15, 10, 50  # with fewer tasks, a test of 15 strategies has no power
UNLIMITED_TRIALS = 100_000  # budget in full trainings if the budget is in seconds
NEED_CURVES = (  # without curves these are different methods
    "one-epoch",
    "raw-dehb",
    "raw-neps",
    "raw-neps-hyperband",
    "raw-optuna-hyperband",
    "raw-smac-hyperband",
    "raw-syne-tune",
)


@dataclass(frozen=True)
class TaskSource:
    """Where the tasks of a comparison come from: a suite, or the user's own task. Picklable."""

    suite: str  # YOURS for the user's
    split: str = "development"
    only: tuple[str, ...] = ()  # names of tasks; empty: all
    own: str | None = None  # the settings of the user's task, as JSON
    kept: str = ""  # folder for its trainings

    def tasks(self) -> tuple[SimulatedTask, ...]:
        """The tasks. Raises UserError if they are not available."""
        return _tasks(self)

    def task(self, name: str) -> SimulatedTask:
        """The task with this name."""
        return next(task for task in self.tasks() if task.name == name)


@functools.cache
def _tasks(source: TaskSource) -> tuple[SimulatedTask, ...]:
    if source.own is None:
        tasks = load_suite(source.suite)
        found = tuple(task for task in tasks if task.split == source.split)
        if not found:
            known = ", ".join(sorted({task.split for task in tasks}))
            raise UserError(f"the suite {source.suite!r} has no tasks in the split {source.split!r}; it has: {known}")
        names = [task.name for task in found]
        for name in source.only:
            if name not in names:
                raise UserError(f"{source.suite} ({source.split}) has no task {name!r}; it has: {', '.join(names)}")
        return tuple(task for task in found if not source.only or task.name in source.only)
    settings = Settings.from_json(json.loads(source.own))
    name = Path((settings.task or "command").rpartition(":")[2]).name
    return (LiveTask.of(source.suite, name, build_task(settings), Path(source.kept), settings.trial_seconds),)


def planned(
    tasks: Sequence[SimulatedTask],
    strategies: Sequence[str],
    n_seeds: int,
    n_trials: int,
    n_workers: int,
    *,
    seconds: float | None = None,
    unknown_is_slow: bool = False,
) -> list[Run]:
    """The runs in the order in which to execute them.

    ``seconds``: the budget of a search instead of ``n_trials``, as with ``--time-limit``. Random search gets twice the
    budget, as a reference for the value of a larger budget. A slow strategy is run on a fixed subset of the simulated
    tasks, but on all live ones, where the trainings take longer. ``unknown_is_slow``: treat a strategy whose costs were
    not measured as slow instead of raising UserError.
    """
    runs = []
    for name in strategies:
        factor = 2 if name == "random" else 1
        trials, seeds, chosen = factor * n_trials if seconds is None else UNLIMITED_TRIALS, n_seeds, list(tasks)
        limit = None if seconds is None else factor * seconds
        if tasks[0].looked_up and is_slow(name, unknown_is_slow):
            chosen = [tasks[i] for i in slow_places(len(tasks))]
            trials, seeds = min(trials, N_SLOW_TRIALS), min(seeds, N_SLOW_SEEDS)
        if name in NEED_CURVES:
            chosen = [task for task in chosen if task.max_epochs > 1]
        runs += [Run(t.suite, t.name, name, seed, trials, n_workers, limit) for seed in range(seeds) for t in chosen]
    place = {task.name: i for i, task in enumerate(tasks)}
    if isinstance(tasks[0], LiveTask):
        # One task after the other, since each needs its own training process; neighbouring runs have different seeds,
        # so that they do not wait for each other's trainings.
        return sorted(runs, key=lambda run: place[run.task])
    return sorted(runs, key=lambda run: (run.seed, place[run.task]))


def is_slow(strategy: str, unknown: bool = False) -> bool:
    """Whether a suggestion at 50 observations takes longer than SLOW_SECONDS according to the table of costs."""
    try:
        seconds = strategy_seconds(strategy, 8)
    except UserError:
        if unknown:
            return True
        raise
    return 2 * seconds(2 * 50) > SLOW_SECONDS


def slow_places(n_tasks: int) -> list[int]:
    """The indices of the N_SLOW_TASKS tasks for slow strategies, evenly spaced."""
    return sorted({round(x) for x in np.linspace(0, n_tasks - 1, min(n_tasks, N_SLOW_TASKS))})
