"""Metrics of sequences, against hand-computed values."""

import numpy as np
import pytest

from automl.metrics import (
    DEFAULT_THRESHOLD,
    METRICS,
    best_threshold,
    decisions,
    edit_distance,
    loss_of,
    measure,
    measure_all,
    names_of,
)


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_the_nearest_reference_counts():
    assert measure("error_rate", [("K AH", "K AE T S"), ("D",)], ["K AE T", "D"]) == 1 / 5
    assert measure("error_rate", [("A B",)], [""]) == 1
    assert measure("error_rate", ["a b", "c d"], ["a b", "c e"]) == 1 / 4


def test_perfect_and_useless_translations():
    wanted = ["Y dijo Dios: Sea la luz.", "En el principio cri\u00f3 Dios los cielos."]
    references = [(text,) for text in wanted]
    assert measure("bleu", references, wanted) == pytest.approx(100)
    assert measure("chrf", references, wanted) == pytest.approx(100)
    assert measure("bleu", references, ["x", "x"]) < 1
    assert loss_of("bleu", 30.0) == 70


def test_bits_are_the_mean_surprise():
    assert measure("bits_per_character", "abcd", np.log2([0.5, 0.25, 1.0, 0.5])) == 1
    assert loss_of("bits_per_character", 1.5) == 1.5


def test_what_is_undefined_is_left_out():
    same = np.full(100, 0.1, np.float32)  # whose mean in floating-point numbers is not quite 0.1
    assert measure_all("number", same, np.zeros(100)).keys() == {"rmse", "mae"}
    assert measure_all("number", np.arange(100.0), np.zeros(100)).keys() == {"rmse", "mae", "r2"}
    assert "auc" not in measure_all("classes", np.ones(10, int), np.full((10, 2), 0.5))


def two_classes(n=300, seed=0):
    """Labels of which a tenth is 1, and probabilities that say something about them, never more than one half."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.1).astype(int)
    second = np.clip(0.08 + 0.15 * y + rng.normal(0, 0.05, n), 0.01, 0.49).round(3)
    return y, np.column_stack([1 - second, second])


@pytest.mark.parametrize("metric", [name for name in METRICS if METRICS[name].at_thresholds])
def test_no_threshold_is_better_than_the_best_one(metric):
    y, probabilities = two_classes()
    best = measure(metric, y, probabilities, best_threshold(metric, y, probabilities))
    every = [measure(metric, y, probabilities, threshold) for threshold in np.arange(0.0005, 0.5, 0.001)]
    assert best == pytest.approx(max(every))
    assert best > measure(metric, y, probabilities) + 0.2


def test_a_threshold_decides_but_changes_no_metric_of_probabilities():
    y, probabilities = two_classes()
    assert best_threshold("auc", y, probabilities) == best_threshold("f1", y, np.eye(3)[y]) == DEFAULT_THRESHOLD
    assert measure("log_loss", y, probabilities, 0.1) == measure("log_loss", y, probabilities)
    assert (decisions(probabilities, 0.2) == (probabilities[:, 1] > 0.2)).all()
    assert measure("accuracy", y, probabilities, 0.2) == np.mean((probabilities[:, 1] > 0.2) == y)


def test_f1_is_scikit_learns():
    from sklearn.metrics import f1_score

    y, probabilities = two_classes()
    assert measure("f1", y, probabilities, 0.15) == pytest.approx(f1_score(y, probabilities[:, 1] > 0.15))
    rng = np.random.default_rng(0)
    y, probabilities = rng.integers(0, 3, 90), rng.dirichlet([1, 1, 1], 90)
    assert measure("f1", y, probabilities) == pytest.approx(f1_score(y, probabilities.argmax(1), average="macro"))


def test_a_weight_of_two_is_a_row_that_is_there_twice():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 3, 60)
    y, probabilities = rng.integers(0, 2, 60), rng.dirichlet([1, 1], 60)
    twice = np.repeat(np.arange(60), counts)
    for metric in names_of("classes"):
        weighted = measure(metric, y, probabilities, weights=counts)
        assert weighted == pytest.approx(measure(metric, y[twice], probabilities[twice]))
    best = best_threshold("f1", y, probabilities, counts)
    assert best == best_threshold("f1", y[twice], probabilities[twice])
    for metric in names_of("number"):
        weighted = measure(metric, y, probabilities[:, 1], weights=counts)
        assert weighted == pytest.approx(measure(metric, y[twice], probabilities[twice, 1]))


def test_the_pinball_loss_is_scikit_learns():
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(0)
    y, predicted, weights = rng.normal(size=50), rng.normal(size=(50, 2)), rng.random(50)
    each = [mean_pinball_loss(y, predicted[:, i], alpha=level) for i, level in enumerate((0.2, 0.9))]
    assert measure("pinball", y, predicted, levels=(0.2, 0.9)) == pytest.approx(np.mean(each))
    each = [mean_pinball_loss(y, predicted[:, i], alpha=a, sample_weight=weights) for i, a in enumerate((0.2, 0.9))]
    assert measure("pinball", y, predicted, weights=weights, levels=(0.2, 0.9)) == pytest.approx(np.mean(each))
