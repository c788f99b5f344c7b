"""Successive halving in the first part of the budget, as long as short trainings predict full ones; part of ``auto``.

Short trainings rule out bad configs cheaply, but ranking good ones needs full trainings. So short trainings get a
share of the budget, or nothing if they do not predict full ones. What a short training is depends on the config: see
``Fidelity``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from strategies._ladder import ETA, rungs
from strategies._tally import Tally
from strategies.asha import Asha
from strategies.base import Proposal, Strategy
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity
from strategies.types import JSON, Config

SHORT_SHARE = 0.2  # maximum share of the budget for trainings that are never completed
PHASE_SHARE = 0.7  # share of the budget after which new configs are trained fully at once
PHASE = 8  # the same for an unknown budget, in full trainings
MIN_EPOCHS = 2  # minimum length of a short training: after one epoch the ranking is mostly noise
MAX_SHORT_SHARE = 0.2  # length of a short training with its own schedule, as a share of a full one
N_SAMPLED = 64  # configs sampled to find out which fidelities a space has

FidelityOf = Callable[[Config], Fidelity]


def levels_of(encoding: Encoding, fidelity: FidelityOf, max_epochs: int) -> list[int]:
    """The rungs in epochs: powers of 1/ETA, or only a ninth and all of a training if schedules depend on its length.

    Just max_epochs if no config of the space supports short trainings.
    """
    short = [each for each in _fidelities(encoding, fidelity) if each.kind != "whole"]
    if not short:
        return [max_epochs]
    least = max(MIN_EPOCHS, int(np.median([each.min_epochs for each in short])))
    if all(each.kind != "restart" for each in short):
        return [level for level in rungs(max_epochs) if level >= least or level == max_epochs]
    level = max(least, round(max_epochs / ETA**2))
    return [level, max_epochs] if level <= MAX_SHORT_SHARE * max_epochs else [max_epochs]


def _fidelities(encoding: Encoding, fidelity: FidelityOf) -> list[Fidelity]:
    """The fidelities of the default and of sampled configs."""
    points = np.random.default_rng(0).random((N_SAMPLED, len(encoding.dimensions)))
    return [fidelity(config) for config in [encoding.default, *map(encoding.decode, points)]]


class Halving(Asha):
    """Short trainings first, with the best third promoted; later, or if they are not predictive, full trainings only.

    The default config and the configs to start with are trained fully.
    """

    def __init__(
        self,
        inner: Strategy,
        *,
        fidelity: FidelityOf,
        levels: list[int],
        phase_share: float,
        default_later: bool,
        budget: Callable[[], float | None],
    ) -> None:
        """``phase_share``: share of the budget after which new configs are trained fully at once. ``default_later``: a
        resumable default is trained fully only after another config was, as in ``Asha``.
        ``budget``: the budget of this strategy in epochs; None if unknown.
        """
        self._fidelity = fidelity
        self._budget = budget
        self._phase_share = phase_share
        self._default_later = default_later
        self._skip = 0
        self._next_trial = 0
        self._short = Tally()  # epochs charged to the budget by short trainings
        stops = any(each.kind == "stop" for each in _fidelities(Encoding(inner.space), fidelity))
        super().__init__(inner, resumable=not stops, levels=levels)

    @property
    def findings(self) -> list[str]:
        correlation = self.ladder.correlation(len(self.ladder.levels) - 2) if len(self.ladder.levels) > 1 else None
        if correlation is None or self.ladder.lowest < len(self.ladder.levels) - 1:
            return super().findings
        finding = (
            f"short trainings do not predict full ones (rank correlation {correlation:.2f}): "
            "all configs are trained fully"
        )
        return [finding, *super().findings]

    def skip_to(self, trial: int) -> None:
        super().skip_to(trial)
        self._skip = trial

    def ask(self) -> Proposal | None:
        promoted = self._promotable()
        if promoted is not None:
            if self._fidelity(self._asked[promoted[0]].config).kind != "restart":
                return super().ask()
            return self._promotion(*promoted)
        asked = self._inner.ask()
        return None if asked is None else self._entered(asked)

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        promoted = self._promotable()
        if promoted is None:
            return super().ask_alike(first, key)
        config = self._asked[promoted[0]].config
        if self._fidelity(config).kind != "restart" or key(config) != key(first.config):
            return None
        return self._promotion(*promoted, {"alike": first.trial})

    def _promotion(self, trial: int, rung: int, about: Mapping[str, JSON] = MappingProxyType({})) -> Proposal:
        """A longer training from scratch."""
        level = self.ladder.levels[rung]
        number = max(self._skip, self._next_trial)
        info: dict[str, JSON] = {"from": "halving", "rung": rung, "promotes": trial, "schedule": level, **about}
        proposal = Proposal(number, self._asked[trial].config, level, info)
        self.restore(proposal)
        return proposal

    def _entered(self, asked: Proposal) -> Proposal:
        epochs = self.ladder.levels[self._entry(asked)] if self._resumable else self.max_epochs
        proposal = replace(asked, epochs=epochs)
        # Only the last loss of a training that is never short counts: earlier ones say nothing.
        if len(self.ladder.levels) > 1 and self._fidelity(asked.config).kind in ("restart", "whole"):
            proposal = replace(proposal, info={**asked.info, "schedule": epochs})
        self._note(proposal)
        return proposal

    def abandoned(self) -> set[int]:
        # A training cannot be resumed after the end of its short schedule.
        ended = {t for t, p in self._asked.items() if (p.schedule or self.max_epochs) < self.max_epochs}
        return (super().abandoned() if len(self.ladder.levels) > 2 else set()) | (ended - self._running)

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        self._next_trial = max(self._next_trial, proposal.trial + 1)

    def _charge(self, trial: int, epochs: int) -> None:
        super()._charge(trial, epochs)
        self._short[trial] = epochs if epochs < self.max_epochs else 0

    def _entry(self, proposal: Proposal) -> int:
        whole = len(self.ladder.levels) - 1
        fidelity = self._fidelity(proposal.config)
        later = self._default_later and fidelity.kind == "resume"
        known = ("start", "prior") if later else ("default", "start", "prior")
        if proposal.info.get("from") in known or fidelity.kind == "whole":
            return whole
        if not proposal.is_new or not self._in_short_phase():
            return whole
        long_enough = [rung for rung, level in enumerate(self.ladder.levels) if level >= fidelity.min_epochs]
        return max(self.ladder.lowest, long_enough[0]) if long_enough else whole

    def _is_late(self) -> bool:
        return not self._in_short_phase()

    def _in_short_phase(self) -> bool:
        budget = self._budget() or PHASE / PHASE_SHARE * self.max_epochs
        return self._short.total < SHORT_SHARE * budget and self._epochs.total < self._phase_share * budget
