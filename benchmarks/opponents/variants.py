"""Changes of ``bo`` and ``auto``, each of one part: what a part is worth, and what was tried and is not in it.

A variant is run by ``benchmarks.experiments.ablation``, under the name ``bo~NAME`` or ``auto~NAME``. Glossary as in
``strategies._gp``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from ConfigSpace import ConfigurationSpace
from scipy.stats import norm, rankdata

from strategies import _gp
from strategies._acquisition import Acquisition, log_mean_exp
from strategies._gp import GP
from strategies._halving import Halving
from strategies._mix import Mix
from strategies._regret import LowerBound
from strategies.auto import Auto, Choice
from strategies.base import Outcome, Proposal, Strategy
from strategies.bayesian import BayesianOptimization
from strategies.encoding import Encoding
from strategies.types import Value

N_THETAS = 4
STEP = 1e-4  # of the differences of gradients that give the curvature
LAST_SHARE = 0.1
EXACT = -9.0  # log noise variance


class NoSearch(BayesianOptimization):
    """Takes the best of the candidates as it is: no search from there for the acquisition's maximum."""

    def _maximise(
        self, acquisition: Acquisition, candidates: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        points = self._features.legal(candidates)
        values = acquisition(self._features.features(points))
        order = np.argsort(-values, kind="stable")
        return points[order], values[order]


class Box(BayesianOptimization):
    """Stays in a trust region in every space, which ``bo`` does in those of more than 20 hyperparameters.

    D. Eriksson et al., Scalable Global Optimization via Local Bayesian Optimization (NeurIPS 2019).
    """

    def _box(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        return self._trust_region(points, losses, gp)


class FewInitial(BayesianOptimization):
    """Half as many configs before the model is asked."""

    n_initial = 4


class ManyInitial(BayesianOptimization):
    """Twice as many configs before the model is asked."""

    n_initial = 16


class Ranks(BayesianOptimization):
    """The model sees the ranks of the losses, as quantiles of a normal distribution.

    D. Salinas et al., A Quantile-based Approach for Hyperparameter Transfer Learning (ICML 2020).
    """

    def _fitted(self, X: np.ndarray, y: np.ndarray, n_told: int) -> GP:
        return super()._fitted(X, norm.ppf((rankdata(y) - 0.5) / len(y)), n_told)


class NoCeiling(BayesianOptimization):
    """Noise as large as the model likes, whatever losses are equal."""

    def _noise_ceiling(self, y: np.ndarray) -> float:
        return _gp.BOUNDS["noise"][1]


class NoDoubt(BayesianOptimization):
    """Believes the lengthscales however long there was no gain."""

    def _shrinkage(self, losses: np.ndarray) -> float:
        return 1.0


class Credulous(NoCeiling, NoDoubt):
    """Neither doubts the noise nor the lengthscales."""


class Exact(BayesianOptimization):
    """Log expected improvement averaged over the model and one that takes the losses for free of noise."""

    def _acquisition(self, gp: GP, told: list[Outcome], points: np.ndarray, rng: np.random.Generator) -> Acquisition:
        exact = _gp.fit(gp.X, np.ascontiguousarray(gp.Y[:, 0]), gp.hyperparameter, None, max_noise=EXACT)
        return Averaged(tuple(super(Exact, self)._acquisition(each, told, points, rng) for each in (gp, exact)))


class BoxInTurns(BayesianOptimization):
    """Every second search stays in the trust region."""

    def _box(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        if self._n_asked % 2:
            return self._trust_region(points, losses, gp)
        return super()._box(points, losses, gp)


class Thetas(BayesianOptimization):
    """Log expected improvement averaged over several theta, drawn from the Laplace approximation of its posterior.

    J. Snoek et al., Practical Bayesian Optimization of Machine Learning Algorithms (NeurIPS 2012) average over draws.
    """

    def _acquisition(self, gp: GP, told: list[Outcome], points: np.ndarray, rng: np.random.Generator) -> Acquisition:
        gps = [gp, *(GP.given(gp.X, gp.Y, theta, gp.hyperparameter) for theta in _draws(gp, rng))]
        return Averaged(tuple(super(Thetas, self)._acquisition(each, told, points, rng) for each in gps))


class GreedyEnd(BayesianOptimization):
    """Spends the last tenth of the budget where the model expects the lowest loss."""

    def _acquisition(self, gp: GP, told: list[Outcome], points: np.ndarray, rng: np.random.Generator) -> Acquisition:
        if self.n_trials is not None and len(told) >= (1.0 - LAST_SHARE) * self.n_trials:
            return LowerBound(gp, 0.0)
        return super()._acquisition(gp, told, points, rng)


class NoGenetic(Auto):
    """Leaves all proposals to the model: no genetic algorithm beside it."""

    def _choose(self, encoding: Encoding) -> Choice:
        choice = super()._choose(encoding)
        return replace(choice, arms=("bo",), shares=(1.0,)) if "bo" in choice.arms else choice


class NoEarlyStopping(Auto):
    """Trains every config whole."""

    with_short = False


class ShortThroughout(Auto):
    """Trains new configs short first as long as the budget lasts, not in a first phase."""

    phase_share = 1.0


class IndependentNoise(Auto):
    """The losses of a config at different rungs deviate independently from what its neighbours suggest."""

    def _searcher(self, space: ConfigurationSpace, fixed: Mapping[str, Value], share: float) -> Strategy:
        searcher = super()._searcher(space, fixed, share)
        mix = searcher._inner if isinstance(searcher, Halving) else searcher
        assert isinstance(mix, Mix)
        for arm in mix._arms:
            if isinstance(arm, BayesianOptimization):
                arm.shared_noise = 0.0  # type: ignore[misc]
        return searcher


class NoFamilies(Auto):
    """Searches the whole space with one surrogate, whatever its families."""

    with_families = False


class NoRepeats(Auto):
    """Spends the end of the budget on new configs."""

    def _next_again(self) -> Proposal | None:
        return None


VARIANTS: dict[str, tuple[type[Strategy], str]] = {
    "bo~no-search": (NoSearch, "takes the best of the 1,344 candidates, without a search from there"),
    "bo~no-ceiling": (NoCeiling, "equal losses put no bound on the noise"),
    "bo~no-doubt": (NoDoubt, "lengthscales as fitted, however long there was no gain"),
    "bo~credulous": (Credulous, "neither of these two: `bo` as it was before"),
    "bo~exact": (Exact, "expected improvement averaged over the model and one without noise"),
    "bo~box-in-turns": (BoxInTurns, "a trust region in every second search"),
    "bo~box": (Box, "a trust region in every space, as TuRBO"),
    "bo~few-initial": (FewInitial, "4 configs before the model, in place of 8"),
    "bo~many-initial": (ManyInitial, "16 configs before the model"),
    "bo~ranks": (Ranks, "the model sees the losses' ranks"),
    "bo~thetas": (Thetas, "expected improvement averaged over the model's most probable and four drawn parameters"),
    "bo~greedy-end": (GreedyEnd, "from trial 45 of 50 on, where the model expects the lowest loss"),
    "auto~no-genetic": (NoGenetic, "no genetic algorithm beside the model"),
    "auto~no-early-stopping": (NoEarlyStopping, "every config is trained whole"),
    "auto~no-short-phase": (ShortThroughout, "new configs are trained short first until the end, not in a first phase"),
    "auto~independent-noise": (IndependentNoise, "no noise that the losses of a config at different rungs share"),
    "auto~no-families": (NoFamilies, "one surrogate for the whole space, not one a family of models"),
    "auto~no-repeats": (NoRepeats, "no training of the best configs once more (budgets of 50 and more)"),
}
"""BASE~NAME -> (class, one line for people)."""


def variants_of(base: str) -> list[str]:
    """The names of a strategy's variants."""
    return [name for name in VARIANTS if name.partition("~")[0] == base]


@dataclass(frozen=True)
class Averaged:
    """The mean of expected improvements, in the logarithm; ``gp`` is the most probable one's."""

    parts: tuple[Acquisition, ...]

    @property
    def gp(self) -> GP:
        return self.parts[0].gp

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return log_mean_exp(np.stack([part(X) for part in self.parts], axis=1))

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [part.gradients(X) for part in self.parts]
        values = np.stack([value for value, _ in found], axis=1)  # (m, parts)
        mean = log_mean_exp(values)
        weights = np.exp(values - mean[:, None]) / len(found)
        return mean, np.einsum("mp,pmd->md", weights, np.stack([gradient for _, gradient in found]))


def _draws(gp: GP, rng: np.random.Generator) -> np.ndarray:
    """Theta, shape (N_THETAS, d + 2): normal around the mode, with the posterior's curvature there."""
    d = len(gp.theta) - 2
    differences = _gp.squared_differences(gp.X, gp.hyperparameter, d)
    y = np.ascontiguousarray(gp.Y[:, 0])

    def slope(theta: np.ndarray) -> np.ndarray:
        return _gp.negative_log_posterior(theta, differences, y)[1]

    steps = STEP * np.eye(d + 2)
    curvature = np.array([(slope(gp.theta + step) - slope(gp.theta - step)) / (2 * STEP) for step in steps])
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    sds = 1.0 / np.sqrt(np.maximum(values, 1.0))  # at most 1, where the posterior is flat
    drawn = gp.theta + (rng.standard_normal((N_THETAS, d + 2)) * sds) @ vectors.T
    low, high = np.array([_gp.BOUNDS["lengthscale"]] * d + [_gp.BOUNDS["signal"], _gp.BOUNDS["noise"]]).T
    return np.asarray(np.clip(drawn, low, high))
