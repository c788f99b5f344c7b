"""The metrics for each kind of target, most of them computed by scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from automl.errors import UserError
from strategies.errors import did_you_mean


@dataclass(frozen=True)
class Metric:
    """A measure of predictions for a kind of target."""

    kind: str  # kind of target: classes, number, sentences or text
    best: float | None  # the highest value if higher is better; None if lower is better
    measured: Callable[[Any, Any], float]  # (targets, predictions) -> value, see measure


def _accuracy(y: Any, probabilities: Any) -> float:
    return float((probabilities.argmax(1) == y).mean())


def _balanced_accuracy(y: Any, probabilities: Any) -> float:
    """The mean recall over the classes present in y."""
    right = probabilities.argmax(1) == y
    return float(sum(right[y == label].mean() for label in set(y.tolist())) / len(set(y.tolist())))


def _auc(y: Any, probabilities: Any) -> float:
    """The area under the ROC curve; with more than two classes the mean of one-vs-rest."""
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:
        probabilities = probabilities[:, 1:]
        labels = [1]
    else:
        labels = list(range(probabilities.shape[1]))
    areas = [
        roc_auc_score(y == label, probabilities[:, i])
        for i, label in enumerate(labels)
        if 0 < (y == label).sum() < len(y)
    ]
    return float(sum(areas) / len(areas)) if areas else math.nan


def _log_loss(y: Any, probabilities: Any) -> float:
    import numpy as np

    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], 1e-15)).mean())


def _rmse(y: Any, predicted: Any) -> float:
    return math.sqrt(((predicted - y) ** 2).mean())


def _mae(y: Any, predicted: Any) -> float:
    return float(abs(predicted - y).mean())


def _r2(y: Any, predicted: Any) -> float:
    spread = float(((y - y.mean(dtype=float)) ** 2).mean(dtype=float))
    return 1 - float(((predicted - y) ** 2).mean()) / spread if spread > 0 else math.nan


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
    """Insertions, deletions and substitutions that turn a into b (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, symbol in enumerate(a, 1):
        above_left, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            above_left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above_left + (symbol != other))
    return row[-1]


def bits(text: Sequence[str], log2_probabilities: Any) -> float:
    """The mean of -log2 of the probabilities (n,) predicted for the n characters of a text."""
    return float(-log2_probabilities.sum() / len(text))


METRICS = {
    "accuracy": Metric("classes", 1.0, _accuracy),
    "balanced_accuracy": Metric("classes", 1.0, _balanced_accuracy),
    "auc": Metric("classes", 1.0, _auc),
    "log_loss": Metric("classes", None, _log_loss),
    "rmse": Metric("number", None, _rmse),
    "mae": Metric("number", None, _mae),
    "r2": Metric("number", 1.0, _r2),
    "chrf": Metric("sentences", 100.0, chrf),
    "bleu": Metric("sentences", 100.0, bleu),
    "error_rate": Metric("sentences", None, error_rate),
    "bits_per_character": Metric("text", None, bits),
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
        "sentences": "text generation",
        "text": "language modelling",
    }[kind]
    hint = did_you_mean(name, fitting)
    raise UserError(f"{name!r} is not a metric for {what}; {hint}choose one of: {', '.join(fitting)}")


def measure(name: str, y: Any, predicted: Any) -> float:
    """The metric of predictions.

    ``predicted``: probabilities (n, n_classes) for labels y (n,), numbers (n,) for numbers, a list for sentences.
    """
    return METRICS[name].measured(y, predicted)


def loss_of(name: str, value: float) -> float:
    """The metric as a loss (lower is better): the difference to its best value, or the metric itself."""
    best = METRICS[name].best
    return value if best is None else best - value
