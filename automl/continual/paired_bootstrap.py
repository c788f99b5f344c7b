"""Paired bootstrap over examples: whether a model is better than another on the same examples, by the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, fisher_exact

from automl.metrics import METRICS, loss_of, measure

DRAWS = 1_000
CONFIDENCE = 0.95  # of a score's interval, and for a model to count as worse
PROMOTION_CONFIDENCE = 0.8  # for a model to count as better: keeping a worse model costs as much as promoting one


@dataclass(frozen=True)
class GroundTruth:
    """The ground truth that predictions are scored against."""

    y: NDArray[Any]  # labels, (n,)
    weights: NDArray[Any] | None = None  # how much each example counts, (n,); None: the same
    levels: Sequence[float] | None = None  # of predicted quantiles
    n_classes: int = 0  # known ones, even without examples: some metrics differ between two and three classes

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> GroundTruth:
        return replace(self, y=self.y[rows], weights=None if self.weights is None else self.weights[rows])

    def __add__(self, other: GroundTruth) -> GroundTruth:
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        return replace(self, y=np.concatenate([self.y, other.y]), weights=weights)


@dataclass(frozen=True)
class Gain:
    """How much lower the loss of the second model is, with a lower confidence bound."""

    value: float
    low: float  # the gain exceeds it with the given probability


def score(metric: str, truth: GroundTruth, predicted: NDArray[Any]) -> float:
    """The metric; classes unknown to the model have probability 0."""
    return measure(metric, truth.y, widened(predicted, truth), weights=truth.weights, levels=truth.levels)


def interval(metric: str, truth: GroundTruth, predicted: NDArray[Any]) -> tuple[float, float]:
    """The central interval of the metric over bootstrap samples, at the level CONFIDENCE.

    If all examples are right, or all wrong, the samples do not differ; for a share of right ones, the exact interval is
    used instead (Clopper and Pearson).
    """
    right = _all_or_none(metric, truth, predicted)
    if right is not None:
        exact = binomtest(right, len(truth)).proportion_ci(CONFIDENCE)
        return float(exact.low), float(exact.high)
    drawn = _bootstrap_scores(metric, truth, [predicted])[:, 0]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def has_fallen(metric: str, old: tuple[GroundTruth, NDArray[Any]], new: tuple[GroundTruth, NDArray[Any]]) -> bool:
    """Whether a model is significantly worse on new examples than on old ones, given labels and predictions of each.

    By Fisher's exact test if all old ones are right, or all wrong, since samples of them do not differ.
    """
    right = _all_or_none(metric, *old)
    if right is not None and new[0].weights is None:
        n, n_new, right_new = len(old[0]), len(new[0]), round(score(metric, *new) * len(new[0]))
        counts = [[right, n - right], [right_new, n_new - right_new]]
        return bool(fisher_exact(counts, alternative="greater").pvalue < 1 - CONFIDENCE)
    before, after = (_bootstrap_scores(metric, truth, [predicted])[:, 0] for truth, predicted in (old, new))
    sign = 1 if METRICS[metric].best is not None else -1
    return bool(np.nanpercentile(sign * (before - after), 100 * (1 - CONFIDENCE)) > 0)


def gain(metric: str, truth: GroundTruth, first: NDArray[Any], second: NDArray[Any], probability: float) -> Gain:
    """The gain of the second model over the first, and its lower bound with this probability."""
    drawn = _bootstrap_scores(metric, truth, [first, second])
    sign = 1 if METRICS[metric].best is not None else -1
    differences = sign * (drawn[:, 1] - drawn[:, 0])
    value = loss_of(metric, score(metric, truth, first)) - loss_of(metric, score(metric, truth, second))
    return Gain(value, float(np.nanpercentile(differences, 100 * (1 - probability))))


def follows(new: Gain, both: Gain, lost: Gain, allowed: float) -> bool:
    """Whether a candidate replaces the model in use, by its gain on new data, its gain on new and old data together,
    and its loss on old data.

    New examples are often few, so a gain on them may be significant only together with the old ones. A loss on old
    data prevents promotion only if it is both significant and more than allowed.
    """
    better = new.low > 0 or (new.value > 0 and both.low > 0)
    return better and not forgets(lost, allowed)


def forgets(lost: Gain, allowed: float) -> bool:
    """Whether the loss on old data is significant and more than allowed."""
    return lost.low > 0 and lost.value > allowed


def without_forgetting(lost: Sequence[Gain], allowed: float) -> list[int]:
    """Indices of the candidates that do not forget, or of all if all do.

    A candidate that would be rejected for forgetting must not keep another one from being chosen.
    """
    return [i for i, each in enumerate(lost) if not forgets(each, allowed)] or list(range(len(lost)))


def allowance(metric: str, tolerance: float, before: float) -> float:
    """How much worse a score may become: a fraction of the scale from 0 to 1, or of the error itself."""
    scale = METRICS[metric].best
    return tolerance * (abs(before) if scale is None else scale)


def widened(predicted: NDArray[Any], truth: GroundTruth) -> NDArray[Any]:
    """Probabilities with a column for every known class and label; quantiles and numbers as they are."""
    if predicted.ndim == 1 or truth.levels or not len(truth):
        return predicted
    n_more = max(truth.n_classes, int(truth.y.max()) + 1) - predicted.shape[1]
    return np.concatenate([predicted, np.zeros((len(predicted), n_more))], 1) if n_more > 0 else predicted


def _all_or_none(metric: str, truth: GroundTruth, predicted: NDArray[Any]) -> int | None:
    """The number of right examples if all or none are right; else None, also with weights and for other metrics."""
    if not METRICS[metric].is_share or truth.weights is not None:
        return None
    right = round(score(metric, truth, predicted) * len(truth))
    return right if right in (0, len(truth)) else None


def _bootstrap_scores(metric: str, truth: GroundTruth, models: list[NDArray[Any]]) -> NDArray[np.float64]:
    """(DRAWS, models): the metric of each model on the same drawn examples."""
    rng = np.random.default_rng(0)
    wide = [widened(predicted, truth) for predicted in models]
    draws = (rng.integers(0, len(truth), len(truth)) for _ in range(DRAWS))
    return np.array([[score(metric, truth[chosen], predicted[chosen]) for predicted in wide] for chosen in draws])
