"""Base classes of the opponents: an unmodified library under our interface, without our design or repairs."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import UserError
from strategies.base import Outcome, Proposal, Strategy
from strategies.encoding import Dimension, Encoding
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_FORBIDDEN = 1000  # consecutive forbidden configs after which we give up


class Opponent(Strategy):
    """A library that proposes one config at a time, each trained fully, and is told the losses.

    The default config comes first, using the library's own mechanism. A forbidden config is immediately reported as a
    failure and replaced by another one, at no cost: an objective would check it before training. Duplicate configs are
    trained again. Exceptions of the library are not caught.
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
        """``n_workers``: how many proposals may be pending; some libraries need it at construction.

        ``resumable``: whether a paused training can be resumed.
        """
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self.n_workers = n_workers
        self.resumable = resumable
        self.encoding = Encoding(space)
        self.dimensions = tuple(dim for dim in self.encoding.dimensions if dim.n_values > 1)  # without constants
        self.pending: dict[int, Any] = {}  # trial -> the library's own object for it
        self._n_proposed = 0

    @abstractmethod
    def _ask(self) -> tuple[Config, Any] | None:
        """The library's next config and its own object for the tell; None as for ``ask``."""

    @abstractmethod
    def _tell(self, asked: Any, loss: float | None) -> None:
        """Tell the library the loss of one of its trials; None: it failed."""

    def _forbid(self, asked: Any) -> None:
        """Tell the library that its config is forbidden."""
        self._tell(asked, None)

    def ask(self) -> Proposal | None:
        for _ in range(MAX_FORBIDDEN):
            answer = self._ask()
            if answer is None:
                return None
            config, asked = answer
            if self.encoding.allows(config):
                proposal = self._proposal(config, asked)
                self._n_proposed = max(self._n_proposed, proposal.trial + 1)
                self.pending[proposal.trial] = asked
                return proposal
            self._forbid(asked)
        raise RuntimeError(f"{type(self).__name__} proposed {MAX_FORBIDDEN} forbidden configs in a row")

    def _proposal(self, config: Config, asked: Any) -> Proposal:
        return Proposal(self._n_proposed, config, self.max_epochs)

    def tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        if trial not in self.pending:
            raise ValueError(
                f"{type(self).__name__} learns only from its own proposals, and trial {trial} is not pending"
            )
        self._learn(self.pending.pop(trial), outcome)

    def _learn(self, asked: Any, outcome: Outcome) -> None:
        """Tell the library the outcome of one of its trials."""
        self._tell(asked, outcome.loss)

    def restore(self, proposal: Proposal) -> None:
        raise NotImplementedError(f"a run of {type(self).__name__} cannot be resumed; start a new one")

    @property
    def exhausted(self) -> bool:
        return False

    def config(self, values: Mapping[str, Any]) -> Config:
        """The config from a library's values by name: active hyperparameters only, plain Python types."""
        return self.encoding.build(lambda dim: plain_value(dim, values[dim.name]) if dim.n_values > 1 else dim.default)


class Isolated:
    """A context for a library's code: its own state of numpy's global generator, and no warnings."""

    def __init__(self, seed: int) -> None:
        self._inside = np.random.RandomState(seed).get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        outside = np.random.get_state()  # noqa: NPY002
        np.random.set_state(self._inside)  # noqa: NPY002
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            self._inside = np.random.get_state()  # noqa: NPY002
            np.random.set_state(outside)  # noqa: NPY002


def need_epochs(name: str, max_epochs: int) -> None:
    """Raise UserError if a library that stops trainings early is used where there is nothing to stop."""
    if max_epochs == 1:
        raise UserError(f"{name} needs trainings of several epochs, but this task has one; leave it out")


class FailuresAsWorst(Opponent):
    """For libraries that need a number for a failed trial: the worst loss so far, as soon as there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._worst: float | None = None
        self._pending_failures: list[Any] = []

    @abstractmethod
    def _tell_loss(self, asked: Any, loss: float, failed: bool) -> None:
        """Tell the library a finite loss."""

    def _tell(self, asked: Any, loss: float | None) -> None:
        if loss is None:
            self._pending_failures.append(asked)
        else:
            self._worst = loss if self._worst is None else max(self._worst, loss)
            self._tell_loss(asked, loss, failed=False)
        if self._worst is not None:
            while self._pending_failures:
                self._tell_loss(self._pending_failures.pop(0), self._worst, failed=True)


def plain_value(dim: Dimension, value: Any) -> Value:
    """A library's value as a plain Python value, clipped to the range in case of rounding errors."""
    if dim.values:
        return dim.values[dim.values.index(value)]
    inside = min(max(float(value), dim.low), dim.high)
    return round(inside) if dim.kind == "int" else inside
