"""One run of one strategy on one task of a suite, as rows of the tidy table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from automl.final import final_seed
from automl.study import Study, Told
from automl.tuner import Tuner, training_seed
from benchmarks.opponents import make
from benchmarks.replay import ReplayExecutor
from benchmarks.suites.base import SimulatedTask
from strategies.encoding import Encoding

N_FRESH = 3  # trainings of the chosen config and of the default, scored on the test set


@dataclass(frozen=True)
class Run:
    """What identifies a run. ``n_trials``: the budget in full trainings."""

    suite: str
    task: str
    strategy: str
    seed: int
    n_trials: int
    n_workers: int = 1
    seconds: float | None = None  # of the search, in place of ``n_trials``, which is then out of reach


def simulate(run: Run, task: SimulatedTask, strategy_seconds: Callable[[int], float] | None) -> list[dict[str, Any]]:
    """The rows of a run: one an outcome, in the order of the (virtual) time.

    ``strategy_seconds``: what a step of the strategy costs, by the number of steps before; None: as measured.
    """
    study = Study(task.space, task.max_epochs)
    strategy = make(
        run.strategy, task.space, seed=run.seed, n_trials=run.n_trials, max_epochs=task.max_epochs,
        n_workers=run.n_workers, resumable=task.resumable, fidelity=task.fidelity, seconds=run.seconds,
    )  # fmt: skip
    executor = ReplayExecutor(task, run.n_workers, strategy_seconds, run.seconds)
    Tuner(task, strategy, study, executor, n_trials=run.n_trials, seed=run.seed, time_limit=run.seconds).run()
    rows = rows_of(run, task, study)
    if run.seconds is not None and not rows:
        return [crashed(run, task, f"no training ended within {run.seconds:g} s")]
    return rows


def rows_of(run: Run, task: SimulatedTask, study: Study) -> list[dict[str, Any]]:
    """See ``benchmarks.regret`` for the columns.

    Where nobody knows what a config is worth, its own training's loss on the test set stands for it, which no strategy
    saw; and where there is no test set, the loss that was observed.
    """
    rows = []
    epochs: dict[int, int] = {}
    default = Encoding(task.space).default
    retrained = _retrained(run, task, study)
    for entry in study.log:
        if not isinstance(entry, Told):
            continue
        outcome = entry.outcome
        number, config = outcome.proposal.trial, outcome.proposal.config
        # What the budget is charged: a failed trial its whole proposal, and a training of its own length one proposal.
        epochs[number] = len(outcome.losses) if outcome.stopped else outcome.proposal.epochs
        is_whole = (outcome.proposal.schedule or task.max_epochs) == task.max_epochs
        test = task.test_loss(config, training_seed(run.seed, number), len(outcome.losses)) if is_whole else None
        worth = task.worth(config)
        if worth is None:
            worth = outcome.loss if test is None else test
        rows.append(
            {
                **asdict(run),
                **_facts(task),
                "trial": number,
                "repeats": study.trials[number].repeats,
                "is_default": config == default,
                "loss": outcome.loss,
                "worth": worth,
                "test": test,
                "retrained": retrained.get(number),
                "config": json.dumps(config) if number in retrained else None,
                "epochs": epochs[number],
                "max_epochs": task.max_epochs,
                "at_epochs": sum(epochs.values()),
                "at_seconds": entry.at,
                "failed": outcome.loss is None,
                "error": outcome.error,
                "crash": None,
                "strategy_seconds": study.trials[number].strategy_seconds,
            }
        )
    return rows


def _facts(task: SimulatedTask) -> dict[str, str]:
    return {"kind": task.kind, "unit": task.unit, "split": task.split}


def _retrained(run: Run, task: SimulatedTask, study: Study) -> dict[int, float | None]:
    """By trial, for the chosen config and the default: the mean test loss of trainings on fresh seeds."""
    if study.best is None:
        return {}
    first = training_seed(run.seed, study.best.number)
    if task.test_loss(study.best.config, first, len(study.best.losses)) is None:
        return {}  # there is no test set
    fresh = [final_seed(run.seed, i) for i in range(N_FRESH)]
    default = Encoding(task.space).default
    trials = [trial for trial in study.trials.values() if trial is study.best or trial.config == default]
    return {trial.number: task.retrained(trial.config, fresh) for trial in trials}


def crashed(run: Run, task: SimulatedTask, error: str) -> dict[str, Any]:
    """The one row of a run that ended by an error of the strategy or the suite, or by the death of its process."""
    return {
        **asdict(run),
        **_facts(task),
        "trial": -1,
        "is_default": False,
        **dict.fromkeys(("repeats", "loss", "worth", "test", "retrained", "config")),
        **dict.fromkeys(("epochs", "at_epochs"), 0),
        "at_seconds": 0.0,
        "max_epochs": task.max_epochs,
        "failed": True,
        "error": error,
        "crash": error,
        "strategy_seconds": 0.0,
    }
