"""What came of a run, as objects and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.study.study import Study
from automl.study.trial import Trial
from strategies.types import Config

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """What came of a run."""

    study: Study
    stop_reason: str
    seconds: float  # of the run's clock

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return sorted(self.study.trials.values(), key=lambda trial: trial.number)

    @property
    def best(self) -> Trial:
        """The incumbent. ValueError where no trial has succeeded."""
        if self.study.best is None:
            errors = {trial.error for trial in self.trials if trial.error}
            raise ValueError(f"no trial has succeeded ({'; '.join(sorted(errors)) or 'none was finished'})")
        return self.study.best

    @property
    def best_config(self) -> Config:
        """The incumbent's config."""
        return self.best.config

    @property
    def best_loss(self) -> float:
        """The incumbent's loss, or the mean of its config's trainings; under ``maximize``, with the sign turned."""
        loss = self.best.mean()
        assert loss is not None
        return loss

    def to_frame(self) -> pd.DataFrame:
        """One row a trial: number, state, loss, epochs, seconds, error, arm, metrics, and the hyperparameters."""
        import pandas as pd

        return pd.DataFrame([trial_row(trial) for trial in self.trials])


def trial_row(trial: Trial) -> dict[str, Any]:
    """A trial as one flat row."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "loss": trial.loss,
        "epochs": trial.epochs,
        "seconds": round(trial.seconds, 3),
        "strategy_seconds": round(trial.strategy_seconds, 4),
        "at": None if trial.at is None else round(trial.at, 3),
        "error": trial.error,
        "arm": trial.arm,
        "repeats": trial.repeats,
        **{f"metric.{name}": values[-1] for name, values in trial.metrics.items() if values},
        **{f"config.{name}": value for name, value in trial.config.items()},
    }
