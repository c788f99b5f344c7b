"""Probabilities that mean what they say: one temperature for all of them (Guo et al. 2017, arXiv 1706.04599).

The logarithms of the probabilities are divided by it: above 1 a model becomes less sure, below 1 surer. Which class is
the most probable one stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Probabilities = NDArray[np.float64]  # (n, n_classes), rows sum to 1

RANGE = (-3.0, 3.0)  # of the temperature's logarithm
LIKELY = 0.5  # its standard deviation before anything is seen
LEAST = 1e-15  # what counts as impossible


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities at a temperature above 0; 1 leaves them as they are."""
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    raised = np.exp(logits - logits.max(1, keepdims=True))
    calibrated: Probabilities = raised / raised.sum(1, keepdims=True)
    return calibrated


def log_losses(probabilities: Probabilities, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each example the negative logarithm of its class's probability, (n,)."""
    losses: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], LEAST))
    return losses


def fit_temperature(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    """The temperature at which the examples' log loss is lowest, held near 1 where they are few.

    Without that, a model that is right on all of a few examples would become as good as certain of everything.
    """

    def cost(log: float) -> float:
        losses = log_losses(tempered(probabilities, float(np.exp(log))), labels)
        return float(losses.sum()) + 0.5 * (log / LIKELY) ** 2

    return float(np.exp(minimize_scalar(cost, bounds=RANGE, method="bounded").x))


def temperature_that_helps(
    fitting: tuple[Probabilities, NDArray[np.int64]], judging: tuple[Probabilities, NDArray[np.int64]]
) -> float:
    """Fitted to some examples, and kept where it helps on others; else 1.

    It helps where the mean gain in log loss is above its own standard error.
    """
    temperature = fit_temperature(*fitting)
    probabilities, labels = judging
    gains = log_losses(probabilities, labels) - log_losses(tempered(probabilities, temperature), labels)
    return temperature if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)) else 1.0
