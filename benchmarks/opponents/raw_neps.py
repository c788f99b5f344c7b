"""NePS by its ask-and-tell interface: what it chooses itself for a space with epochs and a guess of good values.

https://automl.github.io/neps/latest/reference/optimizers/
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import neps
import torch

from benchmarks.opponents.base import Alone, Opponent
from strategies.base import Proposal
from strategies.encoding import Dimension
from strategies.types import Config

EPOCHS = "epochs_of_the_training"  # the name of its fidelity, which no hyperparameter has

logging.getLogger("neps").setLevel(logging.ERROR)


class RawNePS(Opponent):
    """PriorBand, the guess being the default config, which is trained first and to the end; one that is promoted goes
    on from where it paused, where the task allows it. Without epochs it is its Bayesian optimization (pi-BO).

    No conditions: inactive hyperparameters are part of its configs, and left out of ours. Its transformer that
    extrapolates curves (ifBO) fetches weights when it is first used, and is not compared.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._alone = Alone(self.seed)
        self._torch_state = torch.Generator().manual_seed(self.seed).get_state()
        self._trials: dict[str, int] = {}  # by its name of a proposal
        parameters = {dim.name: _parameter(dim) for dim in self.dimensions}
        if self.max_epochs > 1:
            parameters[EPOCHS] = neps.IntegerFidelity(1, self.max_epochs)
        space = type("Space", (neps.PipelineSpace,), parameters)()
        with self._by_itself():
            if self.max_epochs > 1:
                optimizer: Any = neps.algorithms.priorband(space, sample_prior_first="highest_fidelity")
            else:
                optimizer = neps.algorithms.pibo(space, sample_prior_first=True)
        self._neps = neps.AskAndTell(optimizer)

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        """As ``Alone``, and torch's global generator is its own too."""
        with self._alone(), torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._torch_state)
            yield
            self._torch_state = torch.get_rng_state()

    def _ask(self) -> tuple[Config, neps.Trial]:
        with self._by_itself():
            trial = self._neps.ask()
        return self.config(trial.config), trial

    def _proposal(self, config: Config, asked: neps.Trial) -> Proposal:
        paused = asked.metadata.previous_trial_id
        trial = self._trials[paused] if self.resumable and paused is not None else self._n_proposed
        self._trials[asked.id] = trial
        return Proposal(trial, config, asked.config.get(EPOCHS, 1))

    def _tell(self, asked: neps.Trial, loss: float | None) -> None:
        self._neps.tell(asked, RuntimeError("it failed") if loss is None else loss)


def _parameter(dim: Dimension) -> Any:
    if dim.values:
        return neps.Categorical(list(dim.values), prior=dim.values.index(dim.default), prior_confidence="medium")
    kind = neps.Integer if dim.kind == "int" else neps.Float
    return kind(dim.low, dim.high, log=dim.log, prior=dim.default, prior_confidence="medium")
