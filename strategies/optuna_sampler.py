"""Any strategy as an Optuna sampler: ``optuna.create_study(sampler=StrategySampler("bo"))``."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from strategies import check_spec, make_strategy
from strategies.base import Outcome, Proposal, Strategy
from strategies.threads import one_thread
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from ConfigSpace.hyperparameters import Hyperparameter

MANY_VALUES = 2**31  # integers and grids with more values are treated as continuous and rounded


class StrategySampler(BaseSampler):
    """The strategy samples the parameters that all completed trials share, and learns from all trials of the study.

    Other parameters are sampled at random: those of the first trial, and those that only some trials have or that
    changed their range. Failed trials mark regions to avoid; pruned trials count with their last value. Once all
    configs of a finite space were tried, configs are sampled at random. With a seed, sequential studies are
    reproducible. A pickled sampler continues where it was, and ``reseed_rng`` keeps what was learned.
    """

    def __init__(self, strategy: str = "bo", *, seed: int | None = None) -> None:
        """``strategy``: a name in STRATEGIES. Raises ValueError for any other, or for a seed outside [0, 2**32)."""
        check_spec(strategy)
        if "+" in strategy:
            raise ValueError(
                f"{strategy!r} stops trials early, which is a pruner's task in Optuna; use "
                f"StrategySampler({strategy.split('+')[0]!r}) and create_study(pruner=...)"
            )
        if seed is not None and not (isinstance(seed, Integral) and 0 <= seed < 2**32):
            raise ValueError(f"a seed must be a whole number in [0, 2**32), got {seed!r}")
        self._strategy = strategy
        self._seed = _fresh_seed() if seed is None else seed
        self._independent = RandomSampler(seed)
        self._study: tuple[str, int] | None = None
        self._intersection = IntersectionSearchSpace()
        self._search: LoggedStrategy | None = None
        self._lock = threading.Lock()  # with n_jobs, trials run in threads and must know each other's proposals

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        _refuse_many_objectives(study)
        with self._lock:
            this = (study.study_name, study._study_id)
            if this != self._study:
                self._study, self._intersection, self._search = this, IntersectionSearchSpace(), None
            found = self._intersection.calculate(study)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        _refuse_many_objectives(study)
        if not search_space:
            return {}
        with self._lock:
            if self._search is None or self._search.distributions != search_space:
                self._search = LoggedStrategy(self._strategy, self._seed, search_space)
            with one_thread():
                self._search.learn(study, asking=trial.number)
                params = self._search.propose(trial.number)
        if params is not None:
            return params
        return {name: self.sample_independent(study, trial, name, search_space[name]) for name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        _refuse_many_objectives(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        with self._lock:
            self._independent.reseed_rng()
            self._seed = _fresh_seed()
            if self._search is not None:
                self._search.reseed(self._seed)

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


class LoggedStrategy:
    """A strategy on one search space, with the log of its asks and tells in a study.

    Trials that it did not propose have negative numbers, as in any warm start.
    """

    def __init__(self, strategy: str, seed: int, distributions: dict[str, BaseDistribution]) -> None:
        self.distributions = distributions
        self._name = strategy
        self._seed = seed
        self._log: list[Proposal | Outcome] = []
        self._open: dict[int, Proposal] = {}  # of running trials, by Optuna's number
        self._done: set[int] = set()  # Optuna's numbers of finished trials, told or not usable
        self._strategy = self._replayed()

    def learn(self, study: Study, *, asking: int) -> None:
        """Process new trials of the study; ``asking`` is the number of the trial to sample for."""
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        for trial in study.get_trials(deepcopy=False):
            if trial.number in self._done or trial.number == asking or trial.state == TrialState.WAITING:
                continue
            finished = trial.state.is_finished()
            if trial.number not in self._open:
                self._begin(trial)
            elif finished:
                self._correct(trial)
            if finished:
                self._done.add(trial.number)
                proposal = self._open.pop(trial.number, None)
                if proposal is not None:
                    self._enter(_outcome(trial, proposal, sign))

    def propose(self, number: int) -> dict[str, Any] | None:
        """The Optuna parameters for a trial; None once all configs were tried."""
        proposal = self._strategy.ask()
        if proposal is None:
            return None
        self._log.append(proposal)
        self._open[number] = proposal
        return {name: _to_optuna(self.distributions[name], value) for name, value in proposal.config.items()}

    def reseed(self, seed: int) -> None:
        """Use another seed for the next proposals."""
        self._seed = seed
        self._strategy = self._replayed()

    def _begin(self, trial: FrozenTrial) -> None:
        """Register a running trial that this strategy did not propose."""
        config = self._config(trial, {})
        if config is not None:
            self._open[trial.number] = Proposal(-1 - trial.number, config, 1)
            self._enter(self._open[trial.number])

    def _correct(self, trial: FrozenTrial) -> None:
        """If a trial has other values than proposed, for example enqueued ones, replace the proposal by them."""
        proposal = self._open[trial.number]
        config = self._config(trial, proposal.config)
        if config == proposal.config:
            return
        place = self._log.index(proposal)
        if config is None:  # values outside this space
            del self._log[place], self._open[trial.number]
        else:
            self._log[place] = self._open[trial.number] = replace(proposal, config=config)
        self._strategy = self._replayed()

    def _config(self, trial: FrozenTrial, proposed: Config) -> Config | None:
        """A trial's config, with proposed values where it has none. None if a value is missing or out of range."""
        config: Config = {}
        for name, distribution in self.distributions.items():
            value = trial.params.get(name)
            if name in proposed and (name not in trial.params or value == _to_optuna(distribution, proposed[name])):
                config[name] = proposed[name]  # the exact value, without the rounding of a conversion
            elif name in trial.params and _contains(distribution, value):
                config[name] = _from_optuna(distribution, value)
            else:
                return None
        return config

    def _enter(self, entry: Proposal | Outcome) -> None:
        self._log.append(entry)
        _replay(self._strategy, entry)

    def _replayed(self) -> Strategy:
        strategy = make_strategy(self._name, _space(self.distributions), seed=self._seed)
        for entry in self._log:
            _replay(strategy, entry)
        return strategy

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_strategy"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._strategy = self._replayed()


def _replay(strategy: Strategy, entry: Proposal | Outcome) -> None:
    if isinstance(entry, Proposal):
        strategy.restore(entry)
    else:
        strategy.tell(entry)


def _outcome(trial: FrozenTrial, proposal: Proposal, sign: float) -> Outcome:
    value = None
    if trial.state == TrialState.COMPLETE:
        value = trial.value
    elif trial.state == TrialState.PRUNED and trial.last_step is not None:
        value = trial.intermediate_values[trial.last_step]
    if value is None:
        return Outcome(proposal, (), 0.0, error=trial.state.name.lower())
    return Outcome(proposal, (sign * value,), 0.0)


def _space(distributions: dict[str, BaseDistribution]) -> ConfigurationSpace:
    from ConfigSpace import ConfigurationSpace

    space = ConfigurationSpace(meta={"order": list(distributions)})
    space.add(*(_hyperparameter(name, distribution) for name, distribution in distributions.items()))
    return space


def _hyperparameter(name: str, distribution: BaseDistribution) -> Hyperparameter[Any, Any]:
    """A choice as its index, a grid as its cell, a log-scaled int as is, and a float as a share of its range.

    A share, because ConfigSpace keeps few decimals of a bound.
    """
    from ConfigSpace import Categorical, Float, Integer

    if isinstance(distribution, CategoricalDistribution):
        return Categorical(name, list(range(len(distribution.choices))), default=0)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if _continuous(distribution):
        return Float(name, (0.0, 1.0))
    if distribution.log:
        return Integer(name, (int(distribution.low), int(distribution.high)), log=True)
    return Integer(name, (0, _n_steps(distribution)))


def _to_optuna(distribution: BaseDistribution, value: Value) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(value)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = distribution.low, distribution.high
    step = None if distribution.log else distribution.step
    number: float
    if not _continuous(distribution):
        number = float(value) if step is None else low + step * int(value)
    elif distribution.log:
        number = math.exp(math.log(low) + float(value) * (math.log(high) - math.log(low)))
    else:
        number = low + float(value) * (high - low)
        if step is not None:
            number = low + step * round((number - low) / step)
    number = min(max(number, low), high)
    return round(number) if isinstance(distribution, IntDistribution) else float(number)


def _from_optuna(distribution: BaseDistribution, value: Any) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        return int(distribution.to_internal_repr(value))
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high, number = distribution.low, distribution.high, float(value)
    if not _continuous(distribution):
        return int(number) if distribution.log else round((number - low) / (distribution.step or 1))
    if distribution.log:
        return round((math.log(number) - math.log(low)) / (math.log(high) - math.log(low)), 10)
    return round((number - low) / (high - low), 10)


def _continuous(distribution: FloatDistribution | IntDistribution) -> bool:
    if distribution.step is None:
        return True
    return (distribution.high - distribution.low) / distribution.step > MANY_VALUES


def _n_steps(distribution: FloatDistribution | IntDistribution) -> int:
    assert distribution.step is not None
    return round((distribution.high - distribution.low) / distribution.step)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):  # not a number, or not one of the choices
        return False


def _refuse_many_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"StrategySampler supports one objective, but this study has {len(study.directions)}; "
            "use optuna.samplers.NSGAIISampler or TPESampler"
        )


def _fresh_seed() -> int:
    return int(np.random.default_rng().integers(2**32))
