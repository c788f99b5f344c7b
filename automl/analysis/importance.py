"""Hyperparameter importance, with intervals over refits.

Three complementary measures: the share of the variance of a Gaussian process, which needs the fewest trials; and
Optuna's fANOVA (F. Hutter et al., An efficient approach for assessing hyperparameter importance, 2014) and PED-ANOVA
(S. Watanabe et al., PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces, 2023). Each is
refitted to bootstrap samples of the trials; a value is the mean of these refits, its interval their central 90%.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.analysis.surrogate import Background, Surrogate
from automl.study.storage import distribution
from automl.study.trial import Trial
from strategies.encoding import Dimension, Encoding
from strategies.features import Features
from strategies.quiet_optuna import quiet_optuna
from strategies.threads import one_thread

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

N_REFITS = 20
MAX_TRIALS = 200  # per refit: the cost of a Gaussian process is cubic
ENOUGH_FOR_OPTUNA = 10  # trials with a hyperparameter
N_PAIRED = 5  # number of the most important hyperparameters whose interactions are computed
TREES_A_REFIT, DEPTH = 8, 6  # over the 20 refits, twenty times as many trees


@dataclass(frozen=True)
class Share:
    """A share in [0, 1], and the central 90% of its refits."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, refits: Sequence[float]) -> Share:
        low, high = np.quantile(refits, [0.05, 0.95])
        return cls(float(np.mean(refits)), float(low), float(high))

    @property
    def interval(self) -> str:
        """The interval, in words."""
        return f"{100 * self.low:.0f} to {100 * self.high:.0f}%"


@dataclass(frozen=True)
class Importance:
    """The importance of one hyperparameter. None if too few trials have it."""

    name: str
    share: Share  # of the surrogate's variance, including interactions, so that the sum may exceed 1
    fanova: Share | None  # normalised to sum to 1 over the hyperparameters of the same trials
    ped: Share | None  # normalised in the same way
    n_trials: int  # trials that have it
    settled: bool = True  # whether its values are explored enough to conclude that it hardly matters,
    contrasted: bool = True  # or that it matters
    within: str = ""  # the condition under which trials have it, if not all do


@dataclass(frozen=True)
class Pair:
    """The share of the interaction of two hyperparameters."""

    names: tuple[str, str]
    share: Share


@dataclass(frozen=True)
class Importances:
    """The results of the refits, the most important first."""

    each: list[Importance]
    pairs: list[Pair]
    skill: float  # R2 on the trials left out of a refit; at most 1, may be negative


def importances(
    encoding: Encoding, trials: Sequence[Trial], values: np.ndarray, maximize: bool, seed: int
) -> Importances:
    """The importance of the varying hyperparameters, from the trials' values, shape (n,), n at least 3."""
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(trials), min(len(trials), MAX_TRIALS)) for _ in range(N_REFITS)]
    features = Features(encoding)
    points = np.array([encoding.encode(trial.config) for trial in trials])
    with one_thread():
        # A Gaussian process would treat a trial drawn twice as a repetition, so each is used once.
        drawn = [np.unique(draw) for draw in draws]
        background = Background.of(encoding, seed, [trial.config for trial in trials])
        refits = [Surrogate.fit(features, points[draw], values[draw], background) for draw in drawn]
        by_optuna = _by_optuna(encoding, trials, values, draws, maximize, seed)
        tried = {name for trial in trials for name in trial.config}
        varying = [i for i, dim in enumerate(encoding.dimensions) if dim.n_values > 1 and dim.name in tried]
        each = []
        for i in varying:
            name = encoding.names[i]
            n = sum(name in trial.config for trial in trials)
            share = Share.of([refit.total_effect(i) for refit in refits])
            fanova, ped = by_optuna.get(name, (None, None))
            each.append(Importance(name, share, fanova, ped, n))
        each.sort(key=lambda importance: -importance.share.value)
        pairs = _pairs(encoding, [importance.name for importance in each], refits)
        skill = _skill(refits, drawn, points, values)
    return Importances(each, pairs, skill)


def _pairs(encoding: Encoding, names: list[str], refits: list[Surrogate]) -> list[Pair]:
    """Interactions; conditional hyperparameters are left out, since they always interact with their parents."""
    existing = refits[0].background.active
    always = [name for name in names if bool(existing[:, encoding.names.index(name)].all())][:N_PAIRED]
    pairs = []
    for i, j in itertools.combinations(sorted(map(encoding.names.index, always)), 2):
        share = Share.of([refit.interaction(i, j) for refit in refits])
        pairs.append(Pair((encoding.names[i], encoding.names[j]), share))
    return sorted(pairs, key=lambda pair: -pair.share.value)


def _skill(refits: list[Surrogate], drawn: list[np.ndarray], points: np.ndarray, values: np.ndarray) -> float:
    wrong, spread = 0.0, 0.0
    for refit, draw in zip(refits, drawn, strict=True):
        left_out = np.setdiff1d(np.arange(len(values)), draw)
        if len(left_out):
            wrong += float(np.sum((values[left_out] - refit.predict(points[left_out])) ** 2))
            spread += float(np.sum((values[left_out] - values[draw].mean()) ** 2))
    return 1.0 - wrong / spread if spread > 0 else 0.0


def _by_optuna(
    encoding: Encoding,
    trials: Sequence[Trial],
    values: np.ndarray,
    draws: list[np.ndarray],
    maximize: bool,
    seed: int,
) -> dict[str, tuple[Share, Share]]:
    """fANOVA and PED-ANOVA by hyperparameter. Conditional ones are measured on the trials that have them."""
    having = {
        dim.name: tuple(i for i, trial in enumerate(trials) if dim.name in trial.config)
        for dim in encoding.dimensions
        if len({trial.config[dim.name] for trial in trials if dim.name in trial.config}) > 1
    }
    found = {}
    for rows in dict.fromkeys(having.values()):
        own = [name for name, its in having.items() if its == rows]
        params = [name for name, its in having.items() if set(rows) <= set(its)]
        inside = set(rows)
        kept = [[int(k) for k in draw if int(k) in inside] for draw in draws]
        if len(rows) < ENOUGH_FOR_OPTUNA or min(map(len, kept)) < 2:
            continue
        measured = [_evaluated(encoding, params, trials, values, k, maximize, seed + n) for n, k in enumerate(kept)]
        for name in own:
            fanova, ped = (Share.of([refit[kind][name] for refit in measured]) for kind in (0, 1))
            found[name] = (fanova, ped)
    return found


def _evaluated(
    encoding: Encoding,
    params: list[str],
    trials: Sequence[Trial],
    values: np.ndarray,
    rows: list[int],
    maximize: bool,
    seed: int,
) -> tuple[dict[str, float], dict[str, float]]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    equal = dict.fromkeys(params, 1.0 / len(params))
    if np.ptp(values[rows]) == 0:
        return equal, equal
    with quiet_optuna():
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        distributions = {dim.name: _tried(dim, trials) for dim in encoding.dimensions if dim.name in params}
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: trials[k].config[name] for name in distributions},
                    distributions=distributions,
                    value=float(values[k]),
                )
                for k in rows
            ]
        )
        forest = FanovaImportanceEvaluator(n_trees=TREES_A_REFIT, max_depth=DEPTH, seed=seed)
        try:
            fanova = _normalised(forest.evaluate(study, params=params))
        except RuntimeError:  # no tree saw two values of a hyperparameter
            fanova = equal
        return fanova, _normalised(PedAnovaImportanceEvaluator().evaluate(study, params=params))


def _tried(dim: Dimension, trials: Sequence[Trial]) -> BaseDistribution:
    """A hyperparameter as an Optuna distribution; for a choice, only tried values."""
    if dim.kind != "choice":
        return distribution(dim)
    from optuna.distributions import CategoricalDistribution

    used = {dim.to_unit(trial.config[dim.name]) for trial in trials if dim.name in trial.config}
    return CategoricalDistribution([value for value in dim.values if dim.to_unit(value) in used])


def _normalised(shares: dict[str, float]) -> dict[str, float]:
    total = math.fsum(shares.values())
    if not total > 0:
        return dict.fromkeys(shares, 1.0 / len(shares))
    return {name: float(share) / total for name, share in shares.items()}
