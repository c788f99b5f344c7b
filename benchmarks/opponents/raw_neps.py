"""NePS through its ask-and-tell interface, with its default algorithms for a space with epochs and a prior.

https://automl.github.io/neps/latest/reference/optimizers/
"""

from __future__ import annotations

import logging
from typing import Any

import neps

from benchmarks.opponents.base import Opponent, need_epochs
from benchmarks.opponents.isolated_torch import IsolatedTorch
from strategies.base import Proposal
from strategies.encoding import Dimension
from strategies.types import Config

EPOCHS = "epochs_of_the_training"  # the name of its fidelity; must not be a hyperparameter's name

logging.getLogger("neps").setLevel(logging.ERROR)


class RawNePS(Opponent):
    """PriorBand with the default config as the prior, which is trained first and fully; promoted configs are resumed if
    the task allows it. Without epochs, its Bayesian optimization (pi-BO).

    No conditions: inactive hyperparameters are part of its configs and dropped from ours. Its curve-extrapolating
    transformer (ifBO) downloads weights on first use and is not compared.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._isolated = IsolatedTorch(self.seed)
        self._trials: dict[str, int] = {}  # by NePS's trial id
        parameters = {dim.name: _parameter(dim) for dim in self.dimensions}
        if self.max_epochs > 1:
            parameters[EPOCHS] = neps.IntegerFidelity(1, self.max_epochs)
        space = type("Space", (neps.PipelineSpace,), parameters)()
        with self._isolated():
            self._neps = neps.AskAndTell(self._optimizer(space))

    def _optimizer(self, space: neps.PipelineSpace) -> Any:
        if self.max_epochs > 1:
            return neps.algorithms.priorband(space, sample_prior_first="highest_fidelity")
        return neps.algorithms.pibo(space, sample_prior_first=True)

    def _ask(self) -> tuple[Config, neps.Trial]:
        with self._isolated():
            trial = self._neps.ask()
        return self.config(trial.config), trial

    def _proposal(self, config: Config, asked: neps.Trial) -> Proposal:
        paused = asked.metadata.previous_trial_id
        trial = self._trials[paused] if self.resumable and paused is not None else self._n_proposed
        self._trials[asked.id] = trial
        return Proposal(trial, config, asked.config.get(EPOCHS, 1))

    def _tell(self, asked: neps.Trial, loss: float | None) -> None:
        self._neps.tell(asked, RuntimeError("it failed") if loss is None else loss)


class RawNePSHyperband(RawNePS):
    """Its default for a space with epochs and no prior: Hyperband with configs drawn uniformly, after the default
    config."""

    def _optimizer(self, space: neps.PipelineSpace) -> Any:
        need_epochs("raw-neps-hyperband", self.max_epochs)
        return neps.algorithms.hyperband(space, sampler="uniform", sample_prior_first="highest_fidelity")


def _parameter(dim: Dimension) -> Any:
    if dim.values:
        return neps.Categorical(list(dim.values), prior=dim.values.index(dim.default), prior_confidence="medium")
    kind = neps.Integer if dim.kind == "int" else neps.Float
    return kind(dim.low, dim.high, log=dim.log, prior=dim.default, prior_confidence="medium")
