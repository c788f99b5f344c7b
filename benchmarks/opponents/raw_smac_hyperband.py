"""SMAC's multi-fidelity facade: random forest with Hyperband, with epochs as the fidelity.

https://automl.github.io/SMAC3/latest/examples/2%20Multi-Fidelity%20and%20Multi-Instances/1_mlp_epochs/
https://automl.github.io/SMAC3/latest/advanced_usage/5_ask_and_tell/
"""

from __future__ import annotations

import math
from typing import Any

from smac import MultiFidelityFacade
from smac.intensifier.hyperband_utils import get_n_trials_for_hyperband_multifidelity
from smac.runhistory import TrialInfo

from benchmarks.opponents.raw_smac import RawSmac
from strategies.base import Proposal
from strategies.types import Config


class RawSmacHyperband(RawSmac):
    """Promoted configs are resumed if the task allows it; SMAC's example retrains them."""

    facade = MultiFidelityFacade

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trials: dict[Any, int] = {}  # by SMAC's config

    def _budget(self) -> dict[str, Any]:
        fidelities = {"min_budget": 1, "max_budget": self.max_epochs}
        if self.n_trials is None:
            return fidelities
        n_trials = get_n_trials_for_hyperband_multifidelity(
            self.n_trials * self.max_epochs, **fidelities, print_summary=False
        )
        return {"n_trials": n_trials, **fidelities}

    def _proposal(self, config: Config, asked: TrialInfo) -> Proposal:
        assert asked.budget is not None
        known = self._trials.get(asked.config) if self.resumable else None
        trial = self._n_proposed if known is None else known
        self._trials[asked.config] = trial
        return Proposal(trial, config, math.ceil(asked.budget - 1e-9))
