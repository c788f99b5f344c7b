"""The template for search algorithms that propose one config at a time."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from strategies._alike import shared_values
from strategies._beliefs import Beliefs
from strategies.base import Outcome, Proposal, Start, Strategy, check_asked
from strategies.encoding import Encoding
from strategies.types import JSON, Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

Key = tuple[tuple[str, Value], ...]

PATIENCE = 3  # configs of past studies that may fail to beat the default before the others are skipped
REPLACED = 2  # points of the initial design replaced by each config of a past study that beats the default


class ConfigStrategy(Strategy):
    """The template for strategies that propose one config at a time, each trained fully.

    ``ask`` handles trial numbers, the default config, the prior, the initial design, forbidden clauses, duplicates and
    exhaustion; a subclass only suggests the next config. Ask number n draws from a generator seeded with (seed, n), so
    a strategy whose model is a function of ``outcomes`` and ``pending`` needs no code of its own to be restored.
    """

    n_initial: ClassVar[float] = 1
    """Size of the initial design: the default config and Sobol points, the same for all strategies with one seed."""
    default_first: ClassVar[bool] = True
    needs_outcomes: ClassVar[bool] = True
    """Whether suggestions depend on outcomes, so that an initial design precedes them."""

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_trials: int | None = None,
        max_epochs: int = 1,
        prior: Sequence[Start] = (),
        fixed: Mapping[str, Value] | None = None,
    ) -> None:
        """``prior``: configs to try in this order before the initial design; ValueError if one is not in the space.

        ``fixed``: values of hyperparameters that restrict the search to a subspace.
        """
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self.encoding = Encoding(space, fixed)
        for start in prior:
            self.encoding.check(start.config)
        self._prior = tuple(prior)
        self._recommended = {key_of(start.config) for start in prior if start.study is not None}
        self._tried: set[int] = set()  # told trials of recommended configs
        self._default_trial: int | None = None  # the first told trial of the default
        self.outcomes: dict[int, Outcome] = {}  # the latest of each trial, in the order in which trials were first told
        self.pending: dict[int, Proposal] = {}
        self._within: Config = {}  # values that the config being asked for must have
        self._n_asked = 0
        self._next_trial = 0
        self._seen: set[Key] = set()
        self._cells: Iterator[Config] | None = self.encoding.cells() if self.encoding.finite else None
        self._unseen: Config | None = next(self._cells, None) if self._cells else None
        self._found_none = False  # in the last search for a new config
        self.beliefs = Beliefs(self.encoding.dimensions)
        self._design = SobolDesign(len(self.encoding.dimensions), seed)

    @abstractmethod
    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        """The config to try next, and the ``Proposal.info`` about where it comes from.

        It may be forbidden or a duplicate: ``ask`` then takes the nearest new config. There is at least one outcome
        with a finite loss.
        """

    def ask(self) -> Proposal | None:
        return self._ask({})

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        return self._ask(shared_values(self.encoding, first.config, key), {"alike": first.trial})

    def _ask(self, within: Config, about: Mapping[str, JSON] = MappingProxyType({})) -> Proposal | None:
        """The next proposal among the configs with these values; None if there is no new one."""
        if self.exhausted:
            return None
        self._within = within
        rng = np.random.default_rng((self.seed, self._n_asked))
        info: dict[str, JSON]
        if self.default_first and self._n_asked == 0 and self.is_new(self.encoding.default):
            config, info = self.encoding.default, {"from": "default"}
        elif (start := self._next_start()) is not None:
            config = start.config
            info = {"from": "start"} if start.study is None else {"from": "prior", "study": start.study}
        elif self._in_initial_design():
            point = self.beliefs.drawn(self._design[self._n_asked])
            config, info = self.encoding.decode(point), {"from": "initial design"}
        else:
            config, info = self._suggest(rng)
        new = self._nearest_new(config, rng)
        if new is None:
            return None
        if new != config:
            info = {**info, "moved": True}  # it was forbidden, a duplicate, or lacked a required value
        proposal = Proposal(self._next_trial, new, self.max_epochs, {**info, **about})
        self.restore(proposal)
        return proposal

    def _next_start(self) -> Start | None:
        """The first untried config of the prior; those from past studies are skipped after PATIENCE disappointments."""
        left = [
            start for start in self._prior if self.is_new(start.config) and self._placed(start.config) == start.config
        ]
        if any(start.study is not None for start in left) and self._n_disappointments() >= PATIENCE:
            left = [start for start in left if start.study is None]
        return left[0] if left else None

    def _n_disappointments(self) -> int:
        """How many configs of past studies did not beat the default."""
        return self._beaten().count(False)

    def _beaten(self) -> list[bool]:
        """Whether each told config of a past study beats the default."""
        if self._default_trial is None:
            return []
        default = self.outcomes[self._default_trial]
        return [_is_better(self.outcomes[trial], default) for trial in self._tried]

    @property
    def learns_losses(self) -> bool:
        return self.needs_outcomes or bool(self._prior)  # a prior that disappoints is skipped

    @property
    def _initial_size(self) -> float:
        """The size of the initial design, given the outcomes so far."""
        return self.n_initial

    def _in_initial_design(self) -> bool:
        if not self.needs_outcomes:
            return False
        # A good start locates the region of good configs; a bad one carries little information.
        beaten = self._beaten()
        size = self._initial_size - REPLACED * beaten.count(True) + beaten.count(False)
        configs = itertools.chain(self.pending.values(), (outcome.proposal for outcome in self.outcomes.values()))
        known = itertools.islice((p for p in configs if p.is_new), max(0, math.ceil(size)))  # enough to decide
        return sum(1 for _ in known) < size or all(outcome.loss is None for outcome in self.outcomes.values())

    def skip_to(self, trial: int) -> None:
        self._next_trial = max(self._next_trial, trial)

    def restore(self, proposal: Proposal) -> None:
        self._n_asked += 1
        self._next_trial = max(self._next_trial, proposal.trial + 1)
        # A copy: a caller may change the config of its proposal, which tell must notice.
        self.pending[proposal.trial] = replace(proposal, config=dict(proposal.config))
        self._mark(proposal.config)

    def tell(self, outcome: Outcome) -> None:
        proposal = outcome.proposal
        known = self.outcomes.get(proposal.trial)
        if proposal.trial >= 0:
            check_asked(proposal, known.proposal if known else self.pending.get(proposal.trial))
        elif known is None:
            self.encoding.check(proposal.config)
            self._mark(proposal.config)
        self.pending.pop(proposal.trial, None)
        self.outcomes[proposal.trial] = outcome
        if self._prior:
            self._compare_with_default(proposal)

    def _compare_with_default(self, proposal: Proposal) -> None:
        if self._default_trial is None and proposal.config == self.encoding.default:
            self._default_trial = proposal.trial
        if key_of(proposal.config) in self._recommended:
            self._tried.add(proposal.trial)

    @property
    def exhausted(self) -> bool:
        """Whether every config was tried, or none of 1,200 draws was new: a narrow range holds few floats."""
        return self._found_none or (self._cells is not None and self._unseen is None)

    def observations(self) -> tuple[list[Config], list[float]]:
        """Every told config and its loss. Failures get the worst finite loss: avoided, not forgotten."""
        losses = [outcome.loss for outcome in self.outcomes.values()]
        worst = max((loss for loss in losses if loss is not None), default=0.0)
        configs = [outcome.proposal.config for outcome in self.outcomes.values()]
        return configs, [worst if loss is None else loss for loss in losses]

    def is_new(self, config: Config) -> bool:
        """Whether the config is allowed and was neither proposed nor told before."""
        return key_of(config) not in self._seen and self.encoding.allows(config)

    def _mark(self, config: Config) -> None:
        self._seen.add(key_of(config))
        while self._cells and self._unseen is not None and key_of(self._unseen) in self._seen:
            self._unseen = next(self._cells, None)

    def _placed(self, config: Config) -> Config:
        """The config with the required values."""
        if self._within.items() <= config.items():
            return config
        return self.encoding.build(lambda dim: self._within.get(dim.name, config.get(dim.name, dim.default)))

    def _nearest_new(self, config: Config, rng: np.random.Generator) -> Config | None:
        """The config itself if it is new, else a new one near it, with the required values; None: there is none with
        these values.
        """
        config = self._placed(config)
        if self.is_new(config):
            return config
        for attempt in range(200):
            neighbour = self._placed(self.encoding.neighbour(config, rng, n_changes=1 + attempt // 20))
            if self.is_new(neighbour):
                return neighbour
        for _ in range(1000):
            anywhere = self._placed(self.encoding.decode(rng.random(len(self.encoding.dimensions))))
            if self.is_new(anywhere):
                return anywhere
        if self._within:
            return None
        self._found_none = self._unseen is None
        return self._unseen


class SobolDesign:
    """Scrambled Sobol points in [0,1]^d, by index: ``design[n]`` does not depend on which other points were read.

    I. M. Sobol (1967); scrambling as in Owen (1998), both from scipy.
    """

    def __init__(self, n_dimensions: int, seed: int) -> None:
        self._n_dimensions = n_dimensions
        self._seed = seed
        self._points = np.empty((0, n_dimensions))

    def __getitem__(self, n: int) -> np.ndarray:
        if n >= len(self._points):
            from scipy.stats import qmc

            sobol = qmc.Sobol(self._n_dimensions, rng=np.random.default_rng(self._seed))
            self._points = sobol.random_base2(max(5, n.bit_length()))
        point: np.ndarray = self._points[n]
        return point


def key_of(config: Config) -> Key:
    """What identifies a config."""
    return tuple(sorted(config.items()))


def _is_better(outcome: Outcome, other: Outcome) -> bool:
    """Whether its loss is lower; trials of different lengths are compared after the same number of epochs."""
    if outcome.loss is None or other.loss is None:
        return outcome.loss is not None
    if outcome.proposal.epochs == other.proposal.epochs and not (outcome.stopped or other.stopped):
        return outcome.loss < other.loss
    last = min(len(outcome.losses), len(other.losses)) - 1
    return outcome.losses[last] < other.losses[last]
