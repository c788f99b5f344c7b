"""The facts of a search, as in summary.json, from its study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from automl.study.trial import Trial, incumbent
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from automl.study.study import Study
    from automl.task import Task

RUNNING = "running"  # in place of the reason why a search has ended
GONE = "its process is gone"


@dataclass(frozen=True)
class Objective:
    """What a search optimises, as its study records it."""

    name: str  # of the task
    metric: str
    maximize: bool

    @classmethod
    def of(cls, task: Task) -> Self:
        return cls(task.name, task.metric, task.maximize)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def facts_of_search(
    study: Study, objective: Objective, *, strategy: str, seed: int, stop_reason: str, seconds: float
) -> dict[str, Any]:
    """The part of summary.json that follows from the study. ``seconds``: on the run's clock."""
    trials = sorted(study.trials.values(), key=lambda trial: trial.number)
    default = Encoding(study.space).default
    default_trial = incumbent(trial for trial in trials if trial.config == default)
    return {
        "task": objective.name,
        "strategy": strategy,
        "seed": seed,
        "metric": objective.metric,
        "maximize": objective.maximize,
        "stop_reason": stop_reason,
        "n_trials": study.n_ended,
        "n_unfinished": study.counts["running"],
        **{f"n_{state}": study.counts[state] for state in ("complete", "paused", "stopped", "failed")},
        "n_too_slow": study.n_too_slow,  # of those that failed
        "max_epochs": study.max_epochs,
        "best": None if study.best is None else of_trial(study.best),
        "default": None if default_trial is None else of_trial(default_trial),
        "final": None,
        "epochs_trained": sum(trial.epochs for trial in trials),
        "seconds": round(seconds, 3),
        "training_seconds": round(sum(trial.seconds for trial in trials), 3),
        "strategy_seconds": round(sum(trial.strategy_seconds for trial in trials), 3),
    }


def of_trial(trial: Trial) -> dict[str, Any]:
    """A trial as in summary.json, with means if its config was trained more than once."""
    metrics = {name: trial.mean(name) for name, values in trial.metrics.items() if values}
    return {
        "trial": trial.number,
        "config": trial.config,
        "loss": trial.mean(),
        "metrics": metrics,
        "epochs": trial.epochs,
        "complete": trial.state == "complete",
        "trainings": len(trial.trainings),
    }
