"""The strategy interface."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, ClassVar

from strategies.types import JSON, Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


LARGEST_LOSS = 1e30  # the squares of larger ones, such as a penalty of 1e300, are infinite
MANY_PENDING = 64  # above this, models are updated less often and see only some of the pending trials


@dataclass(frozen=True)
class Proposal:
    """What to train next, and for how long."""

    trial: int  # 0, 1, 2, ...; a known number continues that trial, with the same config
    config: Config  # active hyperparameters only, plain Python types
    epochs: int  # train until this many epochs in total, 1 .. max_epochs
    info: Mapping[str, JSON] = field(default_factory=dict)  # why; kept in the study, shown in the report

    @property
    def schedule(self) -> int | None:
        """Length in epochs of the learning rate schedule that this training follows: only its final loss is comparable.

        None: losses do not depend on the training's length, and it can be paused at any epoch.
        """
        return _number(self.info.get("schedule"))

    @property
    def promotes(self) -> int | None:
        """The trial with a short training of the same config, which is now trained longer, from scratch."""
        return _number(self.info.get("promotes"))

    @property
    def repeats(self) -> int | None:
        """The trial whose config is trained again with another seed."""
        return _number(self.info.get("repeats"))

    @property
    def alike(self) -> int | None:
        """The trial that it was asked to match, so that both can share a program."""
        return _number(self.info.get("alike"))

    @property
    def first(self) -> int:
        """The trial under which the losses are entered: the promoted short one, or this one."""
        return self.trial if self.promotes is None else self.promotes

    @property
    def is_new(self) -> bool:
        """Whether it tries a config for the first time."""
        return self.promotes is None and self.repeats is None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a proposal. A failed trial is a value, never an exception."""

    proposal: Proposal
    losses: tuple[float, ...]  # after each epoch since the trial began; lower is better
    seconds: float  # training time of this step
    error: str | None = None  # why it failed
    stopped: bool = False  # ended before proposal.epochs because should_stop returned True
    metrics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # accuracy, ... per epoch

    def __post_init__(self) -> None:
        # By type, as a curve may have hundreds of losses.
        kinds = {*map(type, self.losses)} if isinstance(self.losses, tuple) else set()
        if strange := next((kind for kind in kinds if not issubclass(kind, Real)), None):
            raise TypeError(f"losses must be numbers, got {strange.__name__} in {self.losses!r}; use float(loss)")
        if not isinstance(self.losses, tuple):
            raise TypeError(
                f"losses must be a tuple of the loss after each epoch, such as (0.3,), got {self.losses!r}; "
                "a failed trial has an error, such as Outcome(proposal, (), seconds, error='diverged')"
            )

    @property
    def loss(self) -> float | None:
        """The loss of the last epoch; None for a failed trial (an error, no loss, or a loss that is not finite)."""
        if self.error is not None or not self.losses or not math.isfinite(self.losses[-1]):
            return None
        return self.losses[-1]


def check_asked(proposal: Proposal, asked: Proposal | None) -> None:
    """Raise ValueError unless this is the proposal of a trial that was asked for or restored."""
    if asked is None:
        raise ValueError(
            f"trial {proposal.trial} was never asked for: call restore with its proposal first, or, for the outcome of "
            "another study, number it -1, -2, ..."
        )
    if asked.config != proposal.config:
        raise ValueError(f"trial {proposal.trial} was asked with {asked.config}, not {proposal.config}")


@dataclass(frozen=True)
class RegretBound:
    """A model's estimate of what could still be gained over the best trial, in units of the loss."""

    regret: float  # with high probability, no config beats the best one by more than this
    noise: float  # standard deviation of the loss between trainings of the same config


@dataclass(frozen=True)
class Start:
    """A config to try right after the default one."""

    config: Config
    study: str | None = None  # the task of the past study that recommends it; None: given by the user


class Strategy(ABC):
    """Proposes configs and learns from their outcomes. It has no access to clocks, files or trainings.

    The same seed and the same sequence of calls give the same proposals, whatever the global random state, and
    replaying a prefix of a run with ``restore`` and ``tell`` gives the same next proposal as the run itself.
    """

    learns_curves: ClassVar[bool] = False  # can compare trials of different lengths, given their learning curves

    plans_epochs: ClassVar[bool] = False
    """Whether it decides how long each trial is trained; such a strategy is constructed with a ``fidelity``."""

    def why(self, unit: str = "epochs") -> str:
        """A description of what it chose for the task and why; empty if it had nothing to choose.

        ``unit``: what the task calls its epochs, such as folds.
        """
        return ""

    @property
    def findings(self) -> list[str]:
        """Descriptions of what it found out about the task during the search."""
        return []

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, n_trials: int | None = None, max_epochs: int = 1
    ) -> None:
        """``n_trials``: the budget in full trainings, if known. ``max_epochs``: the length of a full training.

        Raises TypeError if one of these is not a whole number, ValueError for a negative seed or less than 1.
        """
        for name, value in (("seed", seed), ("max_epochs", max_epochs), ("n_trials", n_trials)):
            if not isinstance(value, Integral) and (value is not None or name != "n_trials"):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
        if seed < 0:
            raise ValueError(f"a seed must be 0 or larger, got {seed}")
        if max_epochs < 1:
            raise ValueError(f"max_epochs must be 1 or more, got {max_epochs}")
        if n_trials is not None and n_trials < 1:
            raise ValueError(f"n_trials must be 1 or more, or None, got {n_trials}")
        self.space = space
        self.seed = seed
        self.n_trials = n_trials
        self.max_epochs = max_epochs

    @abstractmethod
    def ask(self) -> Proposal | None:
        """The next proposal; None: nothing until the next tell, or, once ``exhausted``, never again.

        May be called several times before outcomes are told. Returning None changes no state.
        """

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        """A further proposal whose config has the same key as that of ``first``.

        Trainings whose configs have the same key can share a program. Since ``first`` was asked for, only proposals
        like it have been. None, which changes no state, if there is none.
        """
        return None

    @abstractmethod
    def tell(self, outcome: Outcome) -> None:
        """Learn from an outcome.

        A later outcome of the same trial replaces the earlier one; CMA-ES alone does not undo what it learnt from a
        complete generation. Outcomes of other studies (warm starts) have unique negative trial numbers. Raises
        ValueError if the config of such an outcome is not in the space, or if another trial was neither asked for nor
        restored.
        """

    @abstractmethod
    def restore(self, proposal: Proposal) -> None:
        """Update the state as if ``ask`` had just returned this proposal, without the cost of the search."""

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        """Whether to stop a running trial; called after each epoch with its losses so far.

        May use only outcomes told before ``proposal`` was asked: a decision that depends on what other workers finished
        in the meantime would not be reproducible.
        """
        return False

    @property
    def learns_losses(self) -> bool:
        """Whether losses influence the proposals."""
        return True

    def skip_to(self, trial: int) -> None:
        """Give the next new trial at least this number, since lower ones are taken. Called before an ``ask``."""
        return

    def charge(self, seconds: float, n_workers: int) -> None:
        """Record the seconds of the last ``ask``, ``restore`` or ``tell``, in a search with ``n_workers`` workers.

        Called by the tuner, with the recorded seconds when a run is resumed.
        """
        return

    def abandoned(self) -> set[int]:
        """Paused trials that will not be resumed within the budget, so their checkpoints can be deleted."""
        return set()

    @property
    def bounds_regret(self) -> bool:
        """Whether the strategy has a model for ``regret_bound``."""
        return False

    def regret_bound(self) -> RegretBound | None:
        """A bound on the possible gain over the best trial so far; None if there is too little data for the model.

        Changes no state and is the same after a restore. Takes about as long as ``ask``.
        """
        return None

    @property
    @abstractmethod
    def exhausted(self) -> bool:
        """True once every config of a finite space was proposed or told."""


def _number(value: JSON) -> int | None:
    return value if isinstance(value, int) else None
