"""What the opponents share: a library as it is, under our interface, without our design, repairs or de-duplication."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from strategies.base import Outcome, Proposal, Strategy
from strategies.encoding import Dimension, Encoding
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_FORBIDDEN = 1000  # in a row; more, and the library will not find an allowed config


class Opponent(Strategy):
    """A library that proposes one config after the other, each trained to the end, and is told the losses.

    The default config comes first, by the library's own means. A config that the space forbids is reported as a failure
    at once and another one is asked for, outside the budget: who trains would check before. A config that repeats is
    trained again. What the library raises is not caught.
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
        """``n_workers``: how many proposals may be pending; some libraries must know it from the start.

        ``resumable``: whether a paused training can go on.
        """
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self.n_workers = n_workers
        self.resumable = resumable
        self.encoding = Encoding(space)
        self.dimensions = tuple(dim for dim in self.encoding.dimensions if dim.n_values > 1)  # constants stay with us
        self.pending: dict[int, Any] = {}  # trial -> what the library wants to have back with the loss
        self._n_proposed = 0

    @abstractmethod
    def _ask(self) -> tuple[Config, Any] | None:
        """The library's next config and what it wants to have back with the loss; None as for ``ask``."""

    @abstractmethod
    def _tell(self, asked: Any, loss: float | None) -> None:
        """Tell the library the loss of what it was asked; None: it failed."""

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
                f"{type(self).__name__} learns only from what it proposed, and trial {trial} is not pending"
            )
        self._learn(self.pending.pop(trial), outcome)

    def _learn(self, asked: Any, outcome: Outcome) -> None:
        """Tell the library what came of what it was asked."""
        self._tell(asked, outcome.loss)

    def restore(self, proposal: Proposal) -> None:
        raise NotImplementedError(f"a run of {type(self).__name__} cannot be continued: start it anew")

    @property
    def exhausted(self) -> bool:
        return False

    def config(self, values: Mapping[str, Any]) -> Config:
        """The config of a library's values by name: active hyperparameters only, plain Python types."""
        return self.encoding.build(lambda dim: plain_value(dim, values[dim.name]) if dim.n_values > 1 else dim.default)


class Alone:
    """A library at work by itself, ``with alone(): ...``: numpy's global generator is its own meanwhile, and what it
    warns of the settings that it chose is not shown."""

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


class FailuresAsWorst(Opponent):
    """For libraries whose models need a number for a failed trial: the worst loss so far, as soon as there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._worst: float | None = None
        self._untold_failures: list[Any] = []

    @abstractmethod
    def _tell_loss(self, asked: Any, loss: float, failed: bool) -> None:
        """Tell the library a finite loss."""

    def _tell(self, asked: Any, loss: float | None) -> None:
        if loss is None:
            self._untold_failures.append(asked)
        else:
            self._worst = loss if self._worst is None else max(self._worst, loss)
            self._tell_loss(asked, loss, failed=False)
        if self._worst is not None:
            while self._untold_failures:
                self._tell_loss(self._untold_failures.pop(0), self._worst, failed=True)


def plain_value(dim: Dimension, value: Any) -> Value:
    """A library's value as ours: of Python's types, and within the range where a rounding error leads out of it."""
    if dim.values:
        return dim.values[dim.values.index(value)]
    inside = min(max(float(value), dim.low), dim.high)
    return round(inside) if dim.kind == "int" else inside
