"""The metrics for each kind of target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from automl.errors import UserError
from strategies.errors import did_you_mean


@dataclass(frozen=True)
class Metric:
    """A measure of predictions for a kind of target, and what choosing, judging and reporting need to know of it.

    ``measured``: (targets, predictions) -> value; for the arguments see ``measure``. The levels of quantiles follow,
    and, if the rows have them, weights. None for a mean over rows, which ``row_loss`` and ``of_mean`` give.

    ``row_loss``: (targets, predictions) -> the loss of each row, (n,), lower is better, 0 is perfect. The levels of
    quantiles follow. For classes, the predictions are the probabilities of the right ones, (n,). The members of an
    ensemble are chosen by its mean, and the metric is kept for each fold.

    ``stand_in``: for a metric of classes, numbers or quantiles without a row loss, the name of one that has it. It
    replaces this one in the choice of an ensemble's members and, if this one ``is_relative`` or ``decides``, wherever
    that is undefined or too coarse.

    ``at_thresholds``: (right, chosen) -> values (n,), the higher the better, by which the threshold between two classes
    is chosen. ``chosen``: the total weight of the rows above each threshold, from the highest threshold down;
    ``right``: of those that are of the second class. None: the threshold is DEFAULT_THRESHOLD.
    """

    kind: str  # of the targets: classes, number, quantiles, sentences or text
    measured: Callable[..., float] | None = None
    row_loss: Callable[..., Any] | None = None
    of_mean: Callable[[float], float] = float  # from the mean row loss to the metric, such as the root of a mean square
    stand_in: str | None = None
    best: float | None = None  # the value of perfect predictions if higher is better; None: lower is, and 0 is perfect
    label: str | None = None  # at the beginning of a sentence, such as RMSE; None: the name with a capital letter
    decides: bool = False  # whether only the predicted class counts, not its probability
    is_share: bool = False  # of rows that are right, 0 to 1, to which tests of proportions apply
    of_second: bool = False  # whether, of two classes, it is 0 if the second is never predicted
    at_thresholds: Callable[[Any, Any], Any] | None = None
    is_relative: bool = False  # to the differences between targets; undefined if all are equal
    is_squared: bool = False  # whether errors are squared, so that a few extreme values may decide
    has_unit: bool = False  # whether it is in the unit of the target, so that it cannot be averaged over targets


def _accuracy(y: Any, probabilities: Any, weights: Any = None) -> float:
    return _mean(probabilities.argmax(1) == y, weights)


def _balanced_accuracy(y: Any, probabilities: Any, weights: Any = None) -> float:
    """The mean recall over the classes present in y."""
    right, labels = probabilities.argmax(1) == y, set(y.tolist())
    of_label = {label: y == label for label in labels}
    recalls = (_mean(right[rows], None if weights is None else weights[rows]) for rows in of_label.values())
    return float(sum(recalls) / len(labels))


def _f1(y: Any, probabilities: Any, weights: Any = None) -> float:
    """The harmonic mean of precision and recall, of the second of two classes or averaged over the classes in y."""
    import numpy as np

    predicted, counts = probabilities.argmax(1), np.ones(len(y)) if weights is None else weights
    found = []
    for label in [1] if probabilities.shape[1] == 2 else np.unique(y):
        right = counts[(predicted == label) & (y == label)].sum()
        both = counts[predicted == label].sum() + counts[y == label].sum()
        found.append(2 * right / both if both > 0 else 0.0)
    return float(np.mean(found))


def _auc(y: Any, probabilities: Any, weights: Any = None) -> float:
    """The area under the ROC curve; with more than two classes the mean of one-vs-rest."""
    if probabilities.shape[1] == 2:
        probabilities = probabilities[:, 1:]
        labels = [1]
    else:
        labels = list(range(probabilities.shape[1]))
    areas = [
        _area(y == label, probabilities[:, i], weights)
        for i, label in enumerate(labels)
        if 0 < (y == label).sum() < len(y)
    ]
    return float(sum(areas) / len(areas)) if areas else math.nan


def _area(positive: Any, scores: Any, weights: Any) -> float:
    """Without weights by the Mann-Whitney statistic, as the bootstrap needs it thousands of times."""
    if weights is not None:
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(positive, scores, sample_weight=weights))
    import numpy as np  # scipy.stats has ranks too, but takes each training process most of a second to import

    values, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks
    n = int(positive.sum())
    area = (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n))
    return math.nan if np.isnan(values[-1]) else float(area)


def _balanced_accuracies(right: Any, chosen: Any) -> Any:
    """Twice the balanced accuracy, minus 1, at each threshold; see ``Metric.at_thresholds``."""
    return right / right[-1] - (chosen - right) / (chosen[-1] - right[-1])


def _f1s(right: Any, chosen: Any) -> Any:
    """The f1 of the second class at each threshold; see ``Metric.at_thresholds``."""
    return 2 * right / (chosen + right[-1])


def _surprise(y: Any, of_right: Any) -> Any:
    import numpy as np

    return -np.log(np.maximum(of_right, 1e-15))


def _square(y: Any, predicted: Any) -> Any:
    return (predicted - y) ** 2


def _absolute(y: Any, predicted: Any) -> Any:
    return abs(predicted - y)


def _r2(y: Any, predicted: Any, weights: Any = None) -> float:
    import numpy as np

    spread = _mean((y - np.average(np.asarray(y, float), weights=weights)) ** 2, weights)
    return 1 - _mean(_square(y, predicted), weights) / spread if spread > 0 else math.nan


def _pinball(y: Any, predicted: Any, levels: Sequence[float]) -> Any:
    """The mean absolute error of a row's quantiles, (n, levels), weighted by level if too low, else by 1 - level.

    Koenker and Bassett 1978.
    """
    import numpy as np

    above = np.asarray(y)[:, None] - predicted
    return np.maximum(np.multiply(levels, above), np.subtract(levels, 1.0) * above).mean(1)


def _mean(values: Any, weights: Any) -> float:
    import numpy as np

    return float(values.mean() if weights is None else np.average(values, weights=weights))


Right = Sequence[str | tuple[str, ...]]  # the reference of each example, or all its references


def bleu(right: Right, translations: Sequence[str]) -> float:
    """Corpus BLEU (Papineni et al. 2002) with sacrebleu's defaults, 0 to 100, against the first reference."""
    import sacrebleu

    return float(sacrebleu.corpus_bleu(list(translations), [[each[0] for each in all_right(right)]]).score)


def chrf(right: Right, translations: Sequence[str]) -> float:
    """Corpus chrF2 (Popovic 2015) with sacrebleu's defaults, 0 to 100, against the first reference."""
    import sacrebleu

    return float(sacrebleu.corpus_chrf(list(translations), [[each[0] for each in all_right(right)]]).score)


def error_rate(right: Right, predicted: Sequence[str]) -> float:
    """The edit distance to the nearest reference, summed and divided by the references' symbols; 0 is perfect.

    Symbols, such as words or phones, are separated by spaces.
    """
    edits = n_symbols = 0
    for allowed, text in zip(all_right(right), predicted, strict=True):
        symbols = text.split()
        distance, length = min((edit_distance(symbols, each.split()), len(each.split())) for each in allowed)
        edits += distance
        n_symbols += length
    return edits / max(1, n_symbols)


def all_right(right: Right) -> list[tuple[str, ...]]:
    return [(each,) if isinstance(each, str) else each for each in right]


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that turn a into b (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, symbol in enumerate(a, 1):
        above_left, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            above_left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above_left + (symbol != other))
    return row[-1]


def bits(text: Sequence[str], log2_probabilities: Any) -> float:
    """The mean of -log2 of the probabilities (n,) predicted for the n characters of a text."""
    return float(-log2_probabilities.sum() / len(text))


DEFAULT_THRESHOLD = 0.5  # probability above which the second of two classes is predicted
MIN_THRESHOLD = 1e-6

METRICS = {  # the first of a kind is its default
    "accuracy": Metric("classes", _accuracy, stand_in="log_loss", best=1.0, decides=True, is_share=True),
    "balanced_accuracy": Metric(
        "classes", _balanced_accuracy, stand_in="log_loss", best=1.0, decides=True, at_thresholds=_balanced_accuracies
    ),
    "f1": Metric(
        "classes", _f1, stand_in="log_loss", best=1.0, label="F1", decides=True, of_second=True, at_thresholds=_f1s
    ),
    "auc": Metric("classes", _auc, stand_in="log_loss", best=1.0, label="AUC", is_relative=True),
    "log_loss": Metric("classes", row_loss=_surprise),
    "rmse": Metric("number", row_loss=_square, of_mean=math.sqrt, label="RMSE", is_squared=True, has_unit=True),
    "mae": Metric("number", row_loss=_absolute, label="MAE", has_unit=True),
    "r2": Metric("number", _r2, stand_in="rmse", best=1.0, label="R2", is_relative=True, is_squared=True),
    "pinball": Metric("quantiles", row_loss=_pinball, has_unit=True),
    "chrf": Metric("sentences", chrf, best=100.0, label="chrF"),
    "bleu": Metric("sentences", bleu, best=100.0, label="BLEU"),
    "error_rate": Metric("sentences", error_rate),
    "bits_per_character": Metric("text", bits),
}


def names_of(kind: str) -> tuple[str, ...]:
    """The metrics of a kind of target, the default first."""
    return tuple(name for name, metric in METRICS.items() if metric.kind == kind)


def check_metric(name: str, kind: str) -> str:
    """The metric's name. UserError if it does not fit the kind of target."""
    fitting = names_of(kind)
    if name in fitting:
        return name
    what = {
        "classes": "classification",
        "number": "regression",
        "quantiles": "quantiles",
        "sentences": "text generation",
        "text": "language modelling",
    }[kind]
    hint = did_you_mean(name, fitting)
    raise UserError(f"{name!r} is not a metric for {what}; {hint}choose one of: {', '.join(fitting)}")


def measure(
    name: str,
    y: Any,
    predicted: Any,
    threshold: float = DEFAULT_THRESHOLD,
    weights: Any = None,
    levels: Sequence[float] | None = None,
) -> float:
    """The metric of predictions.

    ``predicted``: probabilities (n, n_classes) for labels y (n,), numbers (n,) for numbers, a list for sentences.
    ``threshold``: for two classes, the probability above which the second is predicted. ``weights``: sample weights for
    classes and numbers, (n,); None: equal weights. ``levels``: of quantiles, (n, levels).
    """
    metric, about = METRICS[name], [] if levels is None else [levels]
    if metric.decides:
        predicted = shifted(predicted, threshold)
    if metric.measured is not None:
        return metric.measured(y, predicted, *about, *([] if weights is None else [weights]))
    assert metric.row_loss is not None
    return metric.of_mean(_mean(metric.row_loss(y, seen_by_rows(name, y, predicted), *about), weights))


def seen_by_rows(name: str, y: Any, predicted: Any) -> Any:
    """The part of the predictions that a row loss depends on: of classes, the probability of the right one, (n,)."""
    import numpy as np

    return predicted[np.arange(len(y)), y] if METRICS[name].kind == "classes" else predicted


def graded(name: str) -> str:
    """The metric or, for one of predicted classes alone, its stand-in, which shows smaller differences."""
    return (METRICS[name].stand_in if METRICS[name].decides else None) or name


def measure_all(kind: str, y: Any, predicted: Any, *about: Any) -> dict[str, float]:
    """The metrics of a kind of target that are defined for targets y; for the other arguments see ``measure``."""
    return {name: measure(name, y, predicted, *about) for name in names_of(kind) if is_defined(name, y)}


def is_defined(name: str, y: Any) -> bool:
    """Whether the metric is defined for targets y, (n,)."""
    return not METRICS[name].is_relative or bool((y != y[0]).any())


def decisions(probabilities: Any, threshold: float = DEFAULT_THRESHOLD) -> Any:
    """The index of the predicted class of each row, (n,); see ``measure`` for ``threshold``."""
    return probabilities.argmax(1) if threshold == DEFAULT_THRESHOLD else (probabilities[:, 1] > threshold).astype(int)


def shifted(probabilities: Any, threshold: float) -> Any:
    """The probabilities of two classes, (n, 2), rescaled so that a threshold becomes one half."""
    if threshold == DEFAULT_THRESHOLD:
        return probabilities
    odds = probabilities * [threshold, 1.0 - threshold]
    return odds / odds.sum(1, keepdims=True)


def best_threshold(name: str, y: Any, probabilities: Any, weights: Any = None) -> float:
    """The threshold between two classes with the best value of a metric, in the middle of the best range.

    DEFAULT_THRESHOLD for metrics without ``at_thresholds``, and for other numbers of classes.
    """
    import numpy as np

    at_thresholds = METRICS[name].at_thresholds
    if at_thresholds is None or probabilities.shape[1] != 2:
        return DEFAULT_THRESHOLD
    order = np.argsort(-probabilities[:, 1], kind="stable")
    scores, counts = probabilities[order, 1], (np.ones(len(y)) if weights is None else weights)[order]
    right, chosen = np.cumsum(counts * (y[order] == 1)), np.cumsum(counts)  # up to each row
    if not 0 < right[-1] < chosen[-1]:
        return DEFAULT_THRESHOLD
    last = np.append(scores[1:] < scores[:-1], True)  # equal scores are all chosen or none
    place = int(np.argmax(np.where(last, at_thresholds(right, chosen), -np.inf)))
    below = scores[place + 1] if place + 1 < len(scores) else 0.0
    return float(np.clip((scores[place] + below) / 2, MIN_THRESHOLD, 1 - MIN_THRESHOLD))


def loss_of(name: str, value: float) -> float:
    """The metric as a loss (lower is better): the difference to its best value, or the metric itself."""
    best = METRICS[name].best
    return value if best is None else best - value
