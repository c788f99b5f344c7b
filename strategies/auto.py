"""The default strategy: it mixes strategies based on the task, and explains its choice.

The choice of arms is based on the committed benchmark results, results/leaderboard.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from strategies._families import Families, family_choice
from strategies._halving import PHASE_SHARE, FidelityOf, Halving, levels_of
from strategies._mix import Mix
from strategies._wrapper import Delegate
from strategies.base import Outcome, Proposal, Start, Strategy
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MANY_TRIALS = 300  # above this, a model costs more than it gains
MOSTLY_CHOICES = 0.5  # share of unordered hyperparameters above which a space counts as mostly choices
ENOUGH_TO_REPEAT = 50  # minimum budget in trainings for repeats; with less, the final evaluation does them
AGAIN = 0.12  # share of the budget for training the best configs again
MAX_AGAIN = 5  # at most so many of them


@dataclass(frozen=True)
class Choice:
    """The arms that search a space, and why."""

    arms: tuple[str, ...]
    shares: tuple[float, ...]
    why: str

    @property
    def text(self) -> str:
        """The whole choice as a sentence."""
        arms = " and ".join(f"{arm} ({share:.0%})" for arm, share in zip(self.arms, self.shares, strict=True))
        return f"{arms} initially; {self.why}"


def choose(encoding: Encoding, n_trials: int | None) -> Choice:
    """The choice based on what is known before the first training."""
    dims = [dim for dim in encoding.dimensions if dim.n_values > 1]
    choices = sum(not dim.numeric for dim in dims) / max(1, len(dims))
    if n_trials is not None and n_trials > MANY_TRIALS:
        return Choice(("tpe", "ga"), (0.5, 0.5), f"{n_trials} trials are too many for a Gaussian process")
    for what, holds in (
        ("conditions", encoding.conditional),
        ("no continuous hyperparameter", encoding.finite),
        ("mostly choices", choices > MOSTLY_CHOICES),
    ):
        if holds:
            return Choice(("bo", "ga"), (0.6, 0.4), f"{what}: a Gaussian process mixed with a genetic algorithm")
    return Choice(("bo", "ga"), (0.85, 0.15), "mostly numbers: mainly a Gaussian process, plus a genetic algorithm")


class Auto(Delegate):
    """A mix of strategies for each family of models, with short trainings where they are informative.

    The end of a large budget is spent on training the best configs again.
    """

    plans_epochs = True
    with_families: ClassVar[bool] = True
    with_short: ClassVar[bool] = True
    phase_share: ClassVar[float] = PHASE_SHARE

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_trials: int | None = None,
        max_epochs: int = 1,
        fidelity: FidelityOf | None = None,
        seconds: float | None = None,
        timed: bool = True,
        prior: Sequence[Start] = (),
    ) -> None:
        """``fidelity``: what a short training of a config means; resumable by default. ``seconds``: the training time
        budget, if there is one. ``timed``: whether measured seconds may influence the search."""
        self._options: dict[str, Any] = {"seed": seed, "n_trials": n_trials, "max_epochs": max_epochs}
        self._fidelity = fidelity or _resumable
        self._seconds = seconds
        self._prior = prior
        self._halvings: list[Halving] = []
        self._choices: dict[str, str] = {}  # by family: how it is searched, and why
        name = family_choice(space) if self.with_families else None
        inner: Strategy
        if name is None:
            inner = self._searcher(space, {}, share=1.0)
        else:
            n_families = len(next(dim.values for dim in Encoding(space).dimensions if dim.name == name))
            inner = Families(
                space, name, lambda fixed: self._searcher(space, fixed, 1.0 / n_families),
                prior=prior, seed=seed, n_trials=n_trials, max_epochs=max_epochs, seconds=seconds, timed=timed,
            )  # fmt: skip
        super().__init__(inner)
        self.families = inner if isinstance(inner, Families) else None
        self._epochs: dict[int, int] = {}  # by trial: epochs charged to the budget
        self._trained: dict[int, Outcome] = {}  # by trial: full trainings
        self._repeated: dict[int, list[int]] = {}  # by original trial: its repeats
        self._training_seconds = 0.0

    @property
    def why(self) -> str:  # type: ignore[override]
        parts = [] if self.families is None else [f"separate search for each {self.families.choice}"]
        parts += dict.fromkeys(self._choices.values())
        epochs = sorted({level for halving in self._halvings for level in halving.ladder.levels[:-1]})
        if epochs:
            parts.append(f"configs are compared after {', '.join(map(str, epochs))} epochs")
        return "; ".join(parts)

    def ask(self) -> Proposal | None:
        again = self._next_again()
        if again is None:
            return super().ask()
        self.restore(again)
        return again

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        if outcome.proposal.trial < 0:
            return
        self._training_seconds += outcome.seconds
        if outcome.stopped:
            self._epochs[outcome.proposal.trial] = len(outcome.losses)
        elif outcome.loss is not None and outcome.proposal.epochs >= self.max_epochs:
            self._trained[outcome.proposal.trial] = outcome

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        return proposal.repeats is None and super().should_stop(proposal, losses)

    def _choose(self, encoding: Encoding) -> Choice:
        return choose(encoding, self._options["n_trials"])

    def _searcher(self, space: ConfigurationSpace, fixed: Mapping[str, Value], share: float) -> Strategy:
        """The strategy for the subspace with these fixed values, with a share of the budget."""
        encoding = Encoding(space, fixed)
        choice = self._choose(encoding)
        self._choices[str(fixed)] = choice.text
        max_epochs = self._options["max_epochs"]
        levels = levels_of(encoding, self._fidelity, max_epochs) if self.with_short else [max_epochs]
        prior = [start for start in self._prior if fixed.items() <= start.config.items()]
        cost = None if self._seconds is None else self._cost_exponent
        mix = Mix(
            space, arms=choice.arms, shares=choice.shares, prior=prior, fixed=fixed, levels=levels, cost_exponent=cost,
            **self._options,
        )  # fmt: skip
        if len(levels) == 1:
            return mix
        halving = Halving(
            mix, fidelity=self._fidelity, levels=levels, phase_share=self.phase_share, default_later=not fixed,
            budget=lambda: self._budget(share),
        )  # fmt: skip
        self._halvings.append(halving)
        return halving

    def _budget(self, share: float) -> float | None:
        """A share of the budget in epochs; a budget in seconds is converted at the speed so far."""
        budgets = [] if self.n_trials is None else [float(self.n_trials * self.max_epochs)]
        if self._seconds is not None and self._training_seconds > 0:
            budgets.append(self._seconds * sum(self._epochs.values()) / self._training_seconds)
        return share * min(budgets) if budgets else None

    def _cost_exponent(self) -> float:
        """Decays from 1 to 0, as cheap trainings are worth most at the beginning of a budget in seconds."""
        assert self._seconds is not None
        return max(0.0, 1.0 - self._training_seconds / self._seconds)

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        self._epochs[proposal.trial] = proposal.epochs
        if proposal.repeats is not None:
            self._repeated.setdefault(proposal.repeats, []).append(proposal.trial)

    def _next_again(self) -> Proposal | None:
        """The next of the best configs to train again, during the last part of a large budget."""
        if self.n_trials is None or self.n_trials < ENOUGH_TO_REPEAT or not self._trained:
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
        info = {name: first.info[name] for name in ("schedule",) if name in first.info}
        return Proposal(
            max(self._epochs) + 1, first.config, self.max_epochs, {"from": "again", "repeats": first.trial, **info}
        )

    def _exact(self) -> bool:
        """Whether repeating a config gave exactly the same loss: then further repeats are pointless."""
        return any(
            self._trained[trial].loss == self._trained[first].loss
            for first, trials in self._repeated.items()
            for trial in trials
            if trial in self._trained and first in self._trained
        )


def _resumable(config: Config) -> Fidelity:
    return Fidelity("resume")
