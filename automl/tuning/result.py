"""The result of a run: its trials as objects, as a table, and as plots."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.analysis.formatting import duration, setting, shorten
from automl.study.facts import RUNNING, Objective, facts_of_search
from automl.study.study import Study, counts_in_words
from automl.study.trial import Trial
from automl.wording import significant
from strategies.encoding import Encoding
from strategies.types import Config

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

MAX_SHOWN = 6  # hyperparameters of a config


@dataclass(frozen=True, repr=False)
class Result:
    """The trials of a run and the best of them. Callbacks receive it during the run."""

    study: Study
    stop_reason: str  # "running" in a callback
    seconds: float  # of the run's clock
    task: str
    strategy: str
    metric: str
    maximize: bool
    seed: int

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number, with those that were in training when the search ended."""
        return sorted(self.study.trials.values(), key=lambda trial: trial.number)

    @property
    def best(self) -> Trial:
        """The incumbent. ValueError if no trial has succeeded."""
        if self.study.best is None:
            errors = {trial.error for trial in self.trials if trial.error}
            raise ValueError(f"no trial has succeeded ({'; '.join(sorted(errors)) or 'none was finished'})")
        return self.study.best

    @property
    def best_config(self) -> Config:
        """The incumbent's config."""
        return self.best.config

    @property
    def best_value(self) -> float:
        """The incumbent's value of the task's metric, or the mean over the trainings of its config."""
        value = self.best.mean(self.metric)
        assert value is not None
        return value

    @property
    def best_loss(self) -> float:
        """The incumbent's loss, or the mean over the trainings of its config; the negative score under ``maximize``."""
        loss = self.best.mean()
        assert loss is not None
        return loss

    def to_frame(self) -> pd.DataFrame:
        """One row per trial: number, state, loss, epochs, seconds, error, arm, metrics, and the hyperparameters."""
        import pandas as pd

        return pd.DataFrame([trial_row(trial) for trial in self.trials])

    def plot_search(self) -> Figure:
        """Every trial's value and the best so far, over trials or seconds, as a Plotly figure."""
        from automl.analysis.figures import search_curve

        return _drawn(search_curve(self.study, self.summary()))

    def plot_curves(self) -> Figure:
        """The loss of each trial after each epoch. ValueError if no trial has more than one loss."""
        from automl.analysis.figures import learning_curves

        figure = learning_curves(self.study, self.summary())
        if figure is None:
            raise ValueError("there are no learning curves: no trial has more than one loss")
        return _drawn(figure)

    def plot_importance(self) -> Figure:
        """The share of each hyperparameter in the variation of the metric, with 90% intervals over refits.

        ValueError if the trials are too few or too noisy.
        """
        from automl.analysis.explanation import explain
        from automl.analysis.figures import importance_bars

        explained = explain(self.study, self.summary())
        if explained.importances is None:
            raise ValueError(explained.reason)
        return _drawn(importance_bars(explained.importances, self.metric))

    def summary(self) -> dict[str, Any]:
        """The facts of the search, as in summary.json."""
        return facts_of_search(
            self.study, Objective(self.task, self.metric, self.maximize),
            strategy=self.strategy, seed=self.seed, stop_reason=self.stop_reason, seconds=self.seconds,
        )  # fmt: skip

    def __repr__(self) -> str:
        parts = [f"task={self.task!r}", f"strategy={self.strategy!r}", f"n_trials={self.study.n_ended}"]
        if self.study.best is None:
            parts.append("best=None")
        else:
            config = [f"{name!r}: {_literal(value)}" for name, value in self.best_config.items()]
            more = ", ..." if len(config) > MAX_SHOWN else ""
            parts += [f"best_value={self.best_value:.6g}", f"best_config={{{', '.join(config[:MAX_SHOWN])}{more}}}"]
        return f"Result({', '.join(parts)})"

    def _repr_html_(self) -> str:
        trials = counts_in_words(self.study.counts, self.study.n_too_slow, ended=self.stop_reason != RUNNING)
        head = f"{self.task} with {self.strategy}: {trials} in {duration(self.seconds)}"
        lines = [f"<b>{html.escape(head)}</b>", html.escape(f"ended: {self.stop_reason}")]
        if self.study.best is None:
            lines.append("no trial has succeeded")
            return f"<div>{'<br>'.join(lines)}</div>"
        lines.append(html.escape(f"best {self.metric}: {significant(self.best_value, 6)} (trial {self.best.number})"))
        default = Encoding(self.study.space).default
        rows = [
            f"<tr><th>{html.escape(shorten(name, 60))}</th><td>{_cell(self.best_config.get(name))}</td>"
            f"<td>{_cell(default.get(name))}</td></tr>"
            for name in dict.fromkeys([*default, *self.best_config])
        ]
        table = f"<table><tr><th>hyperparameter</th><th>best</th><th>default</th></tr>{''.join(rows)}</table>"
        return f"<div>{'<br>'.join(lines)}{table}</div>"


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


def _drawn(figure: dict[str, Any]) -> Figure:
    import plotly.graph_objects as go

    return go.Figure(figure)


def _literal(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shorten(repr(value), 40)


def _cell(value: Any) -> str:
    return "-" if value is None else html.escape(shorten(setting(value), 60))
