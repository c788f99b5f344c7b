"""What is to be run: every strategy on every task with the same seeds, the slow ones on less of it."""

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

SLOW_SECONDS = 0.2  # a strategy that takes longer for a suggestion at 50 observations is run on less:
N_SLOW_TASKS, N_SLOW_SEEDS, N_SLOW_TRIALS = 15, 10, 50  # fewer tasks cannot tell 15 strategies apart
OUT_OF_REACH = 100_000  # full trainings, where the seconds are the budget
NEED_CURVES = (  # without curves these are others
    "one-epoch",
    "raw-dehb",
    "raw-neps",
    "raw-optuna-hyperband",
    "raw-smac-hyperband",
    "raw-syne-tune",
)


@dataclass(frozen=True)
class TaskSource:
    """Where the tasks of a comparison come from: a suite, or the user's own task. It travels to other processes."""

    suite: str  # "own" for the user's
    split: str = "development"
    only: tuple[str, ...] = ()  # names of its tasks; empty: all
    own: str | None = None  # the settings of the user's task, as JSON
    kept: str = ""  # the folder of its trainings

    def tasks(self) -> tuple[SimulatedTask, ...]:
        """UserError where they cannot be had."""
        return _tasks(self)

    def task(self, name: str) -> SimulatedTask:
        """The one of this name."""
        return next(task for task in self.tasks() if task.name == name)


@functools.cache
def _tasks(source: TaskSource) -> tuple[SimulatedTask, ...]:
    if source.own is None:
        tasks = load_suite(source.suite)
        found = tuple(task for task in tasks if task.split == source.split)
        if not found:
            known = ", ".join(sorted({task.split for task in tasks}))
            raise UserError(f"the suite {source.suite!r} has no tasks of the split {source.split!r}; it has: {known}")
        names = [task.name for task in found]
        for name in source.only:
            if name not in names:
                raise UserError(f"{source.suite}, {source.split}, has no task {name!r}; it has: {', '.join(names)}")
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
    """The runs in the order in which they are best done.

    ``seconds``: the budget of a search in place of ``n_trials``, as by ``--time-limit``. Random search gets twice the
    budget, the yardstick for the worth of a budget. A slow strategy is run on a fixed part
    of the simulated tasks; real trainings take longer than any strategy. ``unknown_is_slow``: one whose costs were not
    measured is slow; else it is a UserError.
    """
    runs = []
    for name in strategies:
        factor = 2 if name == "random" else 1
        trials, seeds, chosen = factor * n_trials if seconds is None else OUT_OF_REACH, n_seeds, list(tasks)
        limit = None if seconds is None else factor * seconds
        if tasks[0].looked_up and is_slow(name, unknown_is_slow):
            chosen = [tasks[i] for i in slow_places(len(tasks))]
            trials, seeds = min(trials, N_SLOW_TRIALS), min(seeds, N_SLOW_SEEDS)
        if name in NEED_CURVES:
            chosen = [task for task in chosen if task.max_epochs > 1]
        runs += [Run(t.suite, t.name, name, seed, trials, n_workers, limit) for seed in range(seeds) for t in chosen]
    place = {task.name: i for i, task in enumerate(tasks)}
    if isinstance(tasks[0], LiveTask):
        # A task after the other, since each needs its own training process; and neighbours with different seeds, which
        # would else wait for each other's trainings.
        return sorted(runs, key=lambda run: place[run.task])
    return sorted(runs, key=lambda run: (run.seed, place[run.task]))


def is_slow(strategy: str, unknown: bool = False) -> bool:
    """Whether a suggestion at 50 observations takes longer than SLOW_SECONDS, by the table of costs."""
    try:
        seconds = strategy_seconds(strategy, 8)
    except UserError:
        if unknown:
            return True
        raise
    return 2 * seconds(2 * 50) > SLOW_SECONDS


def slow_places(n_tasks: int) -> list[int]:
    """The places of the tasks for slow strategies: as many, evenly spread over the list."""
    return sorted({round(x) for x in np.linspace(0, n_tasks - 1, min(n_tasks, N_SLOW_TASKS))})
