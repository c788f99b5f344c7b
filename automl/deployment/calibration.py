"""Calibration of probabilities by a temperature, and of quantiles by shifts.

Temperature scaling (Guo et al. 2017, arXiv 1706.04599) divides the log probabilities by the temperature: above 1
predictions become less confident, below 1 more. The most probable class does not change.

Quantiles are shifted as in conformalized quantile regression (Romano, Patterson and Candès 2019, arXiv 1905.03222), but
each level separately, and with out-of-fold predictions instead of a calibration set (cross-conformal, Vovk 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]  # (n, n_classes), rows sum to 1

RANGE = (-3.0, 3.0)  # of the temperature's logarithm
PRIOR_SD = 0.5  # of the logarithm
MIN_PROBABILITY = 1e-15
MIN_EXAMPLES = 20  # for fitting a temperature, and for judging it
ROUNDING = 1e-9  # errors of shares up to this must not choose another rank


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities at a temperature above 0; 1 leaves them unchanged."""
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.maximum(probabilities, MIN_PROBABILITY)) / temperature
    raised = np.exp(logits - logits.max(1, keepdims=True))
    calibrated: Probabilities = raised / raised.sum(1, keepdims=True)
    return calibrated


def log_losses(probabilities: Probabilities, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log loss of each example, (n,)."""
    losses: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], MIN_PROBABILITY))
    return losses


class LabelledProbabilities(NamedTuple):
    """Probabilities, and the labels to score them against."""

    probabilities: Probabilities
    labels: NDArray[np.int64]
    weights: NDArray[Any] | None = None  # how much each example counts, (n,); None: the same

    def losses(self, temperature: float) -> NDArray[np.float64]:
        """The log loss of each example at a temperature, times its weight."""
        losses = log_losses(tempered(self.probabilities, temperature), self.labels)
        return losses if self.weights is None else losses * self.weights / self.weights.mean()


def fit_temperature(probabilities: Probabilities, labels: NDArray[np.int64], weights: Any = None) -> float:
    """The temperature that minimises the log loss, with a prior around 1, which dominates for few examples.

    Without the prior, a model that is right on a few examples would become almost certain of everything.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and not used by predictions

    judged = LabelledProbabilities(probabilities, labels, weights)

    def cost(log: float) -> float:
        return float(judged.losses(float(np.exp(log))).sum()) + 0.5 * (log / PRIOR_SD) ** 2

    return float(np.exp(minimize_scalar(cost, bounds=RANGE, method="bounded").x))


def temperature_that_helps(fitting: LabelledProbabilities, judging: LabelledProbabilities) -> float:
    """The temperature fitted to some examples if it helps on others, else 1.

    It helps if the mean gain in log loss exceeds its standard error. 1 with fewer than MIN_EXAMPLES on either side.
    """
    if min(len(fitting.labels), len(judging.labels)) < MIN_EXAMPLES:
        return 1.0
    temperature = fit_temperature(*fitting)
    gains = judging.losses(1.0) - judging.losses(temperature)
    return temperature if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)) else 1.0


def fit_shifts(y: NDArray[Any], quantiles: NDArray[Any], levels: Sequence[float], weights: Any = None) -> list[float]:
    """What to add to the quantiles of each level so that its share of the targets lies below.

    ``quantiles``: (n, n_levels), predicted out of fold for targets y, (n,). They move outwards by up to one rank more,
    so that the expected share of new targets between two of them is not too small.
    """
    counts = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    n = counts.sum() ** 2 / (counts**2).sum()  # effective sample size

    def upper(level: float, above: NDArray[Any]) -> float:
        share = min(1.0, np.ceil((n + 1) * level - ROUNDING) / n)
        return float(np.quantile(above, max(0.0, share - ROUNDING), weights=counts, method="inverted_cdf"))

    residuals = zip(levels, (y[:, None] - quantiles).T, strict=True)
    return [upper(level, above) if level >= 0.5 else -upper(1 - level, -above) for level, above in residuals]


def shifted_quantiles(quantiles: NDArray[Any], shifts: Sequence[float]) -> NDArray[Any]:
    """The quantiles, (n, n_levels), with the shifts of their levels, in ascending order; unchanged without shifts."""
    return np.sort(quantiles + np.asarray(shifts), axis=1) if len(shifts) else quantiles


def below_quantiles(
    y: NDArray[Any], predicted: NDArray[Any], levels: Sequence[float] | None, weights: Any = None
) -> dict[float, float]:
    """By level, the share of the targets y, (n,), at or below the predicted quantiles, (n, n_levels).

    Empty if ``levels`` is None, as for other targets, or without rows.
    """
    if levels is None or not len(y):
        return {}
    shares = np.average(y[:, None] <= predicted, axis=0, weights=weights)
    return dict(zip(levels, map(float, shares), strict=True))
