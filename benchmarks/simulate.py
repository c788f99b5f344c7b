"""One run of one strategy on one simulated task, as rows of the tidy table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from automl.study import Study, Told
from automl.tuner import Tuner
from benchmarks.replay import ReplayExecutor
from benchmarks.suites import load_suite
from benchmarks.suites.base import SimulatedTask
from strategies import make_strategy


@dataclass(frozen=True)
class Run:
    """What identifies a run."""

    suite: str
    task: str
    strategy: str
    seed: int
    n_trials: int
    n_workers: int = 1


def simulate(run: Run, strategy_seconds: Callable[[int], float] | None) -> list[dict[str, Any]]:
    """The rows of a run: one an outcome, in the order of the (virtual) time."""
    task = next(task for task in load_suite(run.suite) if task.name == run.task)
    study = Study(task.space, task.max_epochs)
    strategy = make_strategy(run.strategy, task.space, seed=run.seed, n_trials=run.n_trials, max_epochs=task.max_epochs)
    executor = ReplayExecutor(task, run.n_workers, strategy_seconds)
    Tuner(task, strategy, study, executor, n_trials=run.n_trials, seed=run.seed).run()
    return rows_of(run, task, study)


def rows_of(run: Run, task: SimulatedTask, study: Study) -> list[dict[str, Any]]:
    """See ``benchmarks.regret`` for the columns."""
    rows = []
    epochs: dict[int, int] = {}
    for entry in study.log:
        if not isinstance(entry, Told):
            continue
        outcome = entry.outcome
        number, config = outcome.proposal.trial, outcome.proposal.config
        epochs[number] = len(outcome.losses)
        rows.append(
            {
                "suite": task.suite,
                "task": run.task,
                "strategy": run.strategy,
                "seed": run.seed,
                "n_workers": run.n_workers,
                "trial": number,
                "loss": outcome.loss,
                "worth": task.worth(config),
                "epochs": epochs[number],
                "max_epochs": task.max_epochs,
                "at_epochs": sum(epochs.values()),
                "at_seconds": entry.at,
                "failed": outcome.loss is None,
                "strategy_seconds": study.trials[number].strategy_seconds,
            }
        )
    return rows
