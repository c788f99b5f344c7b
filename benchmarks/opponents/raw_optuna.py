"""Optuna as in its tutorial: a study with the default sampler and define-by-run suggestions.

https://optuna.readthedocs.io/en/stable/tutorial/20_recipes/009_ask_and_tell.html
https://optuna.readthedocs.io/en/stable/faq.html#how-can-i-obtain-reproducible-optimization-results
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import TrialState

from benchmarks.opponents.base import Opponent, plain_value
from strategies.encoding import Dimension
from strategies.quiet_optuna import quiet_optuna
from strategies.types import Config, Value


class RawOptuna(Opponent):
    """Conditional hyperparameters are suggested only if they are active."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with quiet_optuna():
            # Named, because the Hyperband pruner derives its brackets from the name.
            self.study = optuna.create_study(
                study_name=f"seed-{self.seed}", sampler=self._sampler(), pruner=self._pruner()
            )
            default = self.encoding.default
            self.study.enqueue_trial(
                {dim.name: _to_optuna(dim, default[dim.name]) for dim in self.dimensions if dim.name in default}
            )

    def _sampler(self) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(seed=self.seed)  # the default of create_study, with a seed

    def _pruner(self) -> optuna.pruners.BasePruner:
        return optuna.pruners.NopPruner()

    def _ask(self) -> tuple[Config, optuna.Trial]:
        with quiet_optuna():
            trial = self.study.ask()
            return self.encoding.build(lambda dim: _suggested(trial, dim)), trial

    def _tell(self, asked: optuna.Trial, loss: float | None) -> None:
        with quiet_optuna():
            if loss is None:
                self.study.tell(asked, state=TrialState.FAIL)
            else:
                self.study.tell(asked, loss)


def _suggested(trial: optuna.Trial, dim: Dimension) -> Value:
    if dim.n_values == 1:
        return dim.default
    if dim.kind == "float":
        return plain_value(dim, trial.suggest_float(dim.name, dim.low, dim.high, log=dim.log))
    if dim.kind == "int":
        return plain_value(dim, trial.suggest_int(dim.name, int(dim.low), int(dim.high), log=dim.log))
    if dim.kind == "ordinal":
        return dim.values[trial.suggest_int(dim.name, 0, len(dim.values) - 1)]  # by index, to keep the order
    return plain_value(dim, trial.suggest_categorical(dim.name, list(dim.values)))


def _to_optuna(dim: Dimension, value: Value) -> Value:
    return dim.values.index(value) if dim.kind == "ordinal" else value
