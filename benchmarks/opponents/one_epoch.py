"""A baseline for multi-fidelity search: many random configs for one epoch each, then the best of them fully.

If losses after one epoch rank configs like full trainings do, this is hard to beat, and a suite on which it leads says
little about search strategies.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from strategies.base import Proposal
from strategies.random_search import RandomSearch

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


class OneEpoch(RandomSearch):
    """Spends all but one training of the budget on single epochs, starting with the default config.

    Then the best is trained fully; if that fails, the next best.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_trials: int | None = None,
        max_epochs: int = 1,
        n_workers: int = 1,
        resumable: bool = True,
    ) -> None:
        """``n_workers`` and ``resumable`` have no effect: a training that cannot be resumed is restarted."""
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        # The best one's first epoch is among these, so its remaining epochs complete a full training.
        self._n_short = math.inf if n_trials is None else (n_trials - 1) * max_epochs + 1

    def ask(self) -> Proposal | None:
        if self._next_trial >= self._n_short or self._all_seen:
            return self._next_best()
        proposal = super().ask()
        assert proposal is not None
        proposal = replace(proposal, epochs=1)
        self.pending[proposal.trial] = proposal
        return proposal

    @property
    def exhausted(self) -> bool:
        return self._all_seen and not self.pending and all(self._is_over(trial) for trial in self.outcomes)

    @property
    def _all_seen(self) -> bool:
        return super().exhausted

    def _is_over(self, trial: int) -> bool:
        outcome = self.outcomes[trial]
        return outcome.loss is None or outcome.proposal.epochs >= self.max_epochs

    def _next_best(self) -> Proposal | None:
        """The best unfinished trial, once all are told."""
        losses = {trial: outcome.loss for trial, outcome in self.outcomes.items() if not self._is_over(trial)}
        if self.pending or not losses:
            return None
        best = min(losses, key=lambda trial: (losses[trial], trial))
        proposal = Proposal(best, self.outcomes[best].proposal.config, self.max_epochs, {"from": "best of one epoch"})
        self.restore(proposal)
        return proposal
