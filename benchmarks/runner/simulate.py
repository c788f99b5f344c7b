"""One run of one strategy on one task of a suite, as rows of the tidy table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from automl.study.contenders import best_contender, contenders, prefers_default
from automl.study.study import Study
from automl.study.trial import AskEntry
from automl.tuning.final_evaluation import final_seed
from automl.tuning.trainings import training_seed
from automl.tuning.tuner import Tuner
from benchmarks.opponents import make
from benchmarks.runner.replay import ReplayExecutor
from benchmarks.suites.base import SimulatedTask
from strategies.base import Outcome
from strategies.encoding import Encoding
from strategies.types import Config

N_FRESH = 3  # trainings of the returned and of the default config, scored on the test set
LOOKUP_BUDGETS = (10, 20, 50, 100, 200)  # budgets at which these are made if trainings are looked up
DOUBLE_BUDGET = "random"  # has twice the budget of the others, so it is also scored at half of it


@dataclass(frozen=True)
class Run:
    """Identifies a run. ``n_trials``: the budget in full trainings."""

    suite: str
    task: str
    strategy: str
    seed: int
    n_trials: int
    n_workers: int = 1
    seconds: float | None = None  # budget of the search; ``n_trials`` is then out of reach


def simulate(run: Run, task: SimulatedTask, strategy_seconds: Callable[[int], float] | None) -> list[dict[str, Any]]:
    """The rows of a run: one per outcome, in (virtual) time order.

    ``strategy_seconds``: the cost of a step of the strategy, by the number of previous steps; None: as measured.
    """
    study = Study(task.space, task.max_epochs)
    strategy = make(
        run.strategy, task.space, seed=strategy_seed(run.suite, run.task, run.seed), n_trials=run.n_trials,
        max_epochs=task.max_epochs, n_workers=run.n_workers, resumable=task.resumable, fidelity=task.fidelity,
        seconds=run.seconds,
    )  # fmt: skip
    executor = ReplayExecutor(task, run.n_workers, strategy_seconds, run.seconds)
    Tuner(task, strategy, study, executor, n_trials=run.n_trials, seed=run.seed, time_limit=run.seconds).run()
    rows = rows_of(run, task, study)
    if run.seconds is not None and not rows:
        return [crashed(run, task, f"no training ended within {run.seconds:g} s")]
    return rows


def strategy_seed(suite: str, task: str, seed: int) -> int:
    """The seed of the strategy, the same for all strategies on a task and another one on each task.

    Tasks of a suite often share a space, in which a seed means one initial design. With the same few designs on all
    tasks, their luck would look like evidence from many tasks.
    """
    return int.from_bytes(hashlib.sha256(f"{suite}/{task}/{seed}".encode()).digest()[:4], "big")


def rows_of(run: Run, task: SimulatedTask, study: Study) -> list[dict[str, Any]]:
    """The rows of a study; see ``benchmarks.scoring.regret`` for the columns.

    If the noise-free loss of a config is unknown, ``worth`` is the test loss of its own training, which no strategy
    sees, or without a test set the observed loss.
    """
    rows: list[dict[str, Any]] = []
    epochs: dict[int, int] = {}
    default = Encoding(task.space).default
    fresh = _Fresh(run, task)
    so_far = Study(task.space, task.max_epochs)
    for entry in study.log:
        if isinstance(entry, AskEntry):
            so_far.asked(entry.proposal, entry.seconds)
            continue
        if rows:
            after = sum(epochs.values()) + _charged(entry.outcome) - epochs.get(entry.outcome.proposal.trial, 0)
            ended = [n for n in _budgets(run, task) if rows[-1]["at_epochs"] <= n * task.max_epochs < after]
            if ended:
                rows[-1]["returned"] = fresh.returned(so_far)
        so_far.told(entry.outcome, entry.seconds, entry.at)
        outcome = entry.outcome
        number, config = outcome.proposal.trial, outcome.proposal.config
        epochs[number] = _charged(outcome)
        is_whole = (outcome.proposal.schedule or task.max_epochs) == task.max_epochs
        test = task.test_loss(config, training_seed(run.seed, number), len(outcome.losses)) if is_whole else None
        final_loss = task.final_loss(config)
        if final_loss is None:
            final_loss = outcome.loss if test is None else test
        rows.append(
            {
                **asdict(run),
                **_facts(task),
                "trial": number,
                "repeats": study.trials[number].repeats,
                "is_default": config == default,
                "loss": outcome.loss,
                "worth": final_loss,
                "test": test,
                "retrained": None,
                "returned": None,
                "config": json.dumps(config, separators=(",", ":")),
                "is_returned": False,
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
    if rows:
        rows[-1]["returned"] = fresh.returned(so_far)
        for row in rows:
            config = study.trials[row["trial"]].config
            row["retrained"] = fresh.tests(config) if config in (default, fresh.last) else None
            row["is_returned"] = config == fresh.last
    return rows


def _charged(outcome: Outcome) -> int:
    """Epochs charged to the budget: the proposed ones for failed trials and for trainings of custom length too."""
    return len(outcome.losses) if outcome.stopped else outcome.proposal.epochs


def _budgets(run: Run, task: SimulatedTask) -> list[float]:
    """The budgets within a run, in full trainings, at which the config it would return is scored."""
    half = [run.n_trials / 2] if run.strategy == DOUBLE_BUDGET else []
    return [n for n in sorted({*half, *(LOOKUP_BUDGETS if task.looked_up else ())}) if n < run.n_trials]


def _facts(task: SimulatedTask) -> dict[str, str]:
    return {"kind": task.kind, "unit": task.unit, "split": task.split}


class _Fresh:
    """The config that a run returns and its score, with the same fresh seeds for all configs."""

    def __init__(self, run: Run, task: SimulatedTask) -> None:
        self._run, self._task = run, task
        self._seeds = [final_seed(run.seed, i) for i in range(N_FRESH)]
        self._default = Encoding(task.space).default
        self._tests: dict[str, float | None] = {}
        self.last: Config | None = None  # the last returned config

    def returned(self, study: Study) -> float | None:
        """Mean test loss of the config returned by a run that ends here, by the rules of ``automl.study.contenders``.

        None without a test set or if there is nothing to return; infinite if all retrainings failed.
        """
        best = study.best
        if best is None:
            return None
        seed = training_seed(self._run.seed, best.number)
        is_short = (best.proposals[-1].schedule or self._task.max_epochs) < self._task.max_epochs
        seen = (self._default, self._seeds[0], self._task.max_epochs) if is_short else (best.config, seed, best.epochs)
        if self._task.test_loss(*seen) is None:  # no test set
            return None
        configs = [trial.config for trial in contenders(study, self._default)]
        scores = [self._validation(config) for config in configs]
        place = best_contender(scores, maximize=False)
        default = self._validation(self._default)
        self.last = self._default if prefers_default(scores[place], default, maximize=False) else configs[place]
        found = self.tests(self.last)
        return np.inf if found is None else found

    def tests(self, config: Config) -> float | None:
        """Mean test loss over the fresh seeds; None if all trainings failed or nothing was returned yet."""
        if self.last is None:
            return None
        key = repr(sorted(config.items()))
        if key not in self._tests:
            self._tests[key] = self._task.retrained(config, self._seeds)
        return self._tests[key]

    def _validation(self, config: Config) -> list[float | None]:
        curves = [self._task.curve(config, seed, self._task.max_epochs) for seed in self._seeds]
        return [float(curve.losses[-1]) if curve.error is None and len(curve.losses) else None for curve in curves]


def crashed(run: Run, task: SimulatedTask, error: str) -> dict[str, Any]:
    """The single row of a run that ended with an error of the strategy or the suite, or whose process died."""
    return {
        **asdict(run),
        **_facts(task),
        "trial": -1,
        "is_default": False,
        "is_returned": False,
        **dict.fromkeys(("repeats", "loss", "worth", "test", "retrained", "returned", "config")),
        **dict.fromkeys(("epochs", "at_epochs"), 0),
        "at_seconds": 0.0,
        "max_epochs": task.max_epochs,
        "failed": True,
        "error": error,
        "crash": error,
        "strategy_seconds": 0.0,
    }
