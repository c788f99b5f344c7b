"""Several strategies for one search, the most thorough first; cheaper ones take over permanently when needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from strategies._wrapper import Delegate
from strategies.base import Proposal
from strategies.config_strategy import ConfigStrategy


class Tiers(Delegate):
    """Delegates to one of its strategies. Proposals of all but the first have ``info["tier"]``."""

    def __init__(self, builders: Sequence[Callable[[], ConfigStrategy]], tier: Callable[[], int]) -> None:
        """``builders``: each makes a strategy for the same space. ``tier``: the index of the one to ask."""
        self._builders = builders
        self._tier_to_ask = tier
        self._tier = 0
        self._searcher = builders[0]()
        self._skip = 0
        super().__init__(self._searcher)

    def ask(self) -> Proposal | None:
        self._move_to(self._tier_to_ask())
        proposal = super().ask()
        if proposal is None or self._tier == 0:
            return proposal
        return replace(proposal, info={**proposal.info, "tier": self._tier})

    def restore(self, proposal: Proposal) -> None:
        tier = proposal.info.get("tier")
        if isinstance(tier, int):
            self._move_to(tier)
        super().restore(proposal)

    def skip_to(self, trial: int) -> None:
        super().skip_to(trial)
        self._skip = trial

    def _move_to(self, tier: int) -> None:
        """Switch to another strategy, which learns all outcomes of this one."""
        if tier == self._tier:
            return
        before, after = self._searcher, self._builders[tier]()
        for outcome in before.outcomes.values():
            if outcome.proposal.trial >= 0:
                after.restore(outcome.proposal)
            after.tell(outcome)
        for proposal in before.pending.values():
            after.restore(proposal)
        after.skip_to(max(self._skip, before._next_trial))
        self._inner = self._searcher = after
        self._tier = tier
