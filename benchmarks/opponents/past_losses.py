"""A tried variant of ``bo`` whose process also learns from past studies: see ``benchmarks.experiments.transfer``.

The mean of the process is the studies' predictions, weighted by how well each study ranks the losses of the search, as
in M. Feurer et al., Practical Transfer Learning for Bayesian Optimization (arXiv 1802.02219); it decays to zero.
Glossary as in ``strategies.gaussian_process``; s past studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, cast

import numpy as np
from scipy.stats import qmc

from strategies import gaussian_process
from strategies._acquisition import Acquisition
from strategies.base import Outcome
from strategies.bayesian import BayesianOptimization
from strategies.gaussian_process import GP
from strategies.portfolio import PastStudy, RelevantStudies

N_SPREAD, N_BEST = 128, 128  # configs across the space and among the studies' best, to interpolate predictions
MAX_TRIALS = 30  # trials after which past studies are ignored
WEIGHT_POWER = 2  # a study's weight is its rank correlation to this power
PRIOR_PAIRS = 3  # additional pairs of losses, assumed to be uncorrelated
SLOPE, STRENGTH = 0.7, 2.0  # prior slope of the losses on the predictions, and its weight in observations
MIN_LOG_NOISE = -6.0  # of the interpolating process, so that it is smooth


@dataclass(frozen=True)
class GPWithMean(GP):
    """A process whose prior mean is the mean of another one with a single column."""

    mean: GP

    @classmethod
    def of(cls, residuals: GP, mean: GP) -> GPWithMean:
        """The process of the losses, from that of the losses minus their prior means."""
        return cls(**{field.name: getattr(residuals, field.name) for field in fields(GP)}, mean=mean)

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means, sd = super().predict(X)
        return means + self.mean.means(X), sd

    def means(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(super().means(X) + self.mean.means(X))

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        means, sd, mean_gradients, sd_gradient = super().gradients(X)
        prior, _, prior_gradients, _ = self.mean.gradients(X)
        return means + prior, sd, mean_gradients + prior_gradients, sd_gradient

    def sample(self, X: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(super().sample(X, n_samples, rng) + self.mean.means(X))

    def with_more(self, X: np.ndarray, Y: np.ndarray) -> GPWithMean:
        return cast(GPWithMean, super().with_more(X, Y - self.mean.means(X)))


class WithPastLosses(BayesianOptimization):
    """For full trainings only."""

    def __init__(self, *args: Any, studies: Sequence[PastStudy], task: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._relevant = RelevantStudies.of(self.encoding, studies, task)
        self._mean: GP | None = None

    def _fitted(self, X: np.ndarray, y: np.ndarray, n_told: int) -> GP:
        """The process of the residuals."""
        share = 1.0 - n_told / MAX_TRIALS
        self._mean = self._prior_mean(X, y, share) if share > 0 and self._relevant.studies else None
        if self._mean is None:
            return super()._fitted(X, y, n_told)
        residuals = y - self._mean.means(X)[:, 0]
        return super()._fitted(X, residuals - residuals.mean(), n_told)

    def _acquisition(
        self, gp: GP, outcomes: list[Outcome], points: np.ndarray, rng: np.random.Generator
    ) -> Acquisition:
        return super()._acquisition(gp if self._mean is None else GPWithMean.of(gp, self._mean), outcomes, points, rng)

    def _prior_mean(self, X: np.ndarray, y: np.ndarray, share: float) -> GP | None:
        """The studies' predictions on the scale of the losses; None if no study ranks these better than chance."""
        predicted = self._predictions.means(X)  # (n, s)
        weights = np.maximum(rank_correlations(predicted, y), 0.0) ** WEIGHT_POWER
        if not weights.any():
            return None
        weights /= weights.sum()
        centred = predicted @ weights
        centred = centred - centred.mean()
        slope = (centred @ y + STRENGTH * SLOPE) / (centred @ centred + STRENGTH)
        return combined(self._predictions, share * max(0.0, slope) * weights)

    @cached_property
    def _predictions(self) -> GP:
        """The predictions of each study in a column, interpolated by one process to make them cheap."""
        assert not self._features.with_epochs
        spread = qmc.Sobol(len(self.encoding.dimensions), rng=np.random.default_rng(0)).random(N_SPREAD)
        best = self._relevant.candidates()
        configs = [*map(self.encoding.decode, spread), *best[:: 1 + len(best) // N_BEST]]
        Y = np.log1p(np.maximum(self._relevant.losses(configs), -0.5)).T
        Y = (Y - Y.mean(axis=0)) / (Y.std(axis=0) + 1e-9)
        X = self._features.features(np.array([self.encoding.encode(config) for config in configs]))
        theta = gaussian_process.fit(X, Y.mean(axis=1), self._features.hyperparameter, None).theta
        theta[-1] = max(theta[-1], MIN_LOG_NOISE)
        return GP.given(X, Y, theta, self._features.hyperparameter)


def rank_correlations(predicted: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's rank correlations of the columns (n, s) with losses (n,), shrunk by ``PRIOR_PAIRS`` pairs: (s,)."""
    first, second = np.triu_indices(len(y), 1)
    order = np.sign(y[first] - y[second])
    agreement = np.sign(predicted[first] - predicted[second]) * order[:, None]
    return np.asarray(agreement.sum(axis=0) / (np.abs(order).sum() + PRIOR_PAIRS))


def combined(gp: GP, weights: np.ndarray) -> GP:
    """The process of a weighted sum of the columns; ``weights``: (f,)."""
    return GP(gp.X, (gp.Y @ weights)[:, None], gp.theta, gp.hyperparameter, gp.L, (gp.alpha @ weights)[:, None])
