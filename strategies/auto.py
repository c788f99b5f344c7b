"""The strategy for those who do not want to choose one: it looks at the task, mixes strategies, and says why.

The choice of arms rests on the committed comparison, results/leaderboard.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strategies._mix import Mix
from strategies._wrapper import Wrapper
from strategies.asha import Asha
from strategies.base import Outcome, Proposal, Start, Strategy
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MANY_TRIALS = 300  # above it, a model costs more than it gains
MOSTLY_CHOICES = 0.5  # share of the hyperparameters without an order
MIN_EPOCHS = 4  # of a full training: with fewer there is nothing to stop early
N_SHORT = 8  # full trainings' worth of epochs, on which new configs are trained for a few epochs first
AGAIN = 0.12  # share of the budget for training the best configs again
MAX_AGAIN = 5  # of them


@dataclass(frozen=True)
class Choice:
    """What is to search a space, and why."""

    arms: tuple[str, ...]
    shares: tuple[float, ...]
    early_stopping: bool
    why: str

    @property
    def text(self) -> str:
        """All of it in words."""
        arms = " and ".join(f"{arm} ({share:.0%})" for arm, share in zip(self.arms, self.shares, strict=True))
        early = ", trainings stopped early" if self.early_stopping else ""
        return f"{arms} to begin with{early}; {self.why}"


def choose(space: ConfigurationSpace, n_trials: int | None, max_epochs: int) -> Choice:
    """By the facts of the task that are known before its first training."""
    encoding = Encoding(space)
    dims = [dim for dim in encoding.dimensions if dim.n_values > 1]
    choices = sum(not dim.numeric for dim in dims) / max(1, len(dims))
    early = max_epochs >= MIN_EPOCHS
    if n_trials is not None and n_trials > MANY_TRIALS:
        return Choice(("tpe", "ga"), (0.5, 0.5), early, f"{n_trials} trainings are too many for a Gaussian process")
    for what, holds in (
        ("conditions", encoding.conditional),
        ("no continuous hyperparameter", encoding.finite),
        ("mostly choices", choices > MOSTLY_CHOICES),
    ):
        if holds:
            why = f"{what}: a Gaussian process, and a genetic algorithm beside it"
            return Choice(("bo", "ga"), (0.6, 0.4), early, why)
    why = "mostly numbers: a Gaussian process, now and then a genetic algorithm"
    return Choice(("bo", "ga"), (0.85, 0.15), early, why)


class EarlyAsha(Asha):
    """Trains new configs to the end once so much of the budget is spent that the model knows where to look.

    Short trainings tell cheaply what is bad; among good configs their ranks say little, and whole ones find better.
    """

    def _entry(self, trial: int) -> int:
        spent = sum(self._epochs.values())
        return super()._entry(trial) if spent < N_SHORT * self.max_epochs else len(self.ladder.levels) - 1


class Auto(Wrapper):
    """A mix of strategies, with early stopping where there are curves; at the end, the best configs once more."""

    plans_epochs = True

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_trials: int | None = None,
        max_epochs: int = 1,
        resumable: bool = True,
        prior: Sequence[Start] = (),
    ) -> None:
        choice = choose(space, n_trials, max_epochs)
        options: dict[str, Any] = {"seed": seed, "n_trials": n_trials, "max_epochs": max_epochs}
        inner: Strategy = Mix(space, arms=choice.arms, shares=choice.shares, prior=prior, **options)
        if choice.early_stopping:
            inner = EarlyAsha(inner, resumable=resumable)
        super().__init__(inner, resumable=resumable)
        self.choice = choice
        self.why = choice.text
        self._epochs: dict[int, int] = {}  # by trial: what it takes of the budget
        self._trained: dict[int, Outcome] = {}  # to the end, by trial
        self._repeated: dict[int, list[int]] = {}  # trials of the same config, by the first of them

    def ask(self) -> Proposal | None:
        again = self._next_again()
        if again is None:
            return super().ask()
        self.restore(again)
        return again

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        if outcome.stopped:
            self._epochs[outcome.proposal.trial] = len(outcome.losses)
        elif outcome.loss is not None and outcome.proposal.epochs >= self.max_epochs:
            self._trained[outcome.proposal.trial] = outcome

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        return "repeats" not in proposal.info and super().should_stop(proposal, losses)

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        self._epochs[proposal.trial] = proposal.epochs
        first = proposal.info.get("repeats")
        if isinstance(first, int):
            self._repeated.setdefault(first, []).append(proposal.trial)

    def _next_again(self) -> Proposal | None:
        """The next of the best configs to be trained once more, on the last part of the budget."""
        if self.n_trials is None or not self._trained:
            return None
        budget = self.n_trials * self.max_epochs
        n_again = min(MAX_AGAIN, round(AGAIN * self.n_trials))
        if budget - sum(self._epochs.values()) > n_again * self.max_epochs or self._exact():
            return None
        repeats = {trial for trials in self._repeated.values() for trial in trials}
        originals = {t: o for t, o in self._trained.items() if t >= 0 and t not in repeats}
        best = sorted(originals, key=lambda t: (originals[t].loss, t))[:n_again]
        waiting = [trial for trial in best if trial not in self._repeated]
        if not waiting:
            return None
        first = originals[waiting[0]].proposal
        return Proposal(max(self._epochs) + 1, first.config, self.max_epochs, {"from": "again", "repeats": first.trial})

    def _exact(self) -> bool:
        """Whether a config that was trained twice gave the same loss: then nothing is learned from a third time."""
        return any(
            self._trained[trial].loss == self._trained[first].loss
            for first, trials in self._repeated.items()
            for trial in trials
            if trial in self._trained and first in self._trained
        )
