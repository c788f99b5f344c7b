"""Predictions without a model, and their scores, against values computed by hand."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from automl.data.ingest.encoder import Views
from automl.data.ingest.prepare import ENCODER_FOLDER, FACTS, WEIGHTS, Facts
from automl.data.ingest.seasons import Seasons
from automl.data.ingest.series import SeriesEncoder
from automl.data.ingest.windows import Layout
from automl.data.inputs import Dense
from automl.data.splits import Splits
from automl.data.targets import Classes, Number, Quantiles
from automl.tasks.baselines.constant import constant_baseline, score_without_model

ROWS, TESTED = [10.0, 20.0, 30.0, 40.0], [20.0, 40.0]
COUNTS, TEST_COUNTS = [1, 1, 1, 5], [3, 1]  # row weights


def splits_of(y_train, y_test, target, x_train=None, x_test=None):
    """Windows (n, channels, steps), by default of zeros."""
    x_train = np.zeros((len(y_train), 1, 1)) if x_train is None else np.array(x_train)
    x_test = np.zeros((len(y_test), 1, 1)) if x_test is None else np.array(x_test)
    y_train, y_test = np.array(y_train), np.array(y_test)
    return Splits(x_train, y_train, x_train[:0], y_train[:0], x_test, y_test, Dense.of(x_train), target)


def scored(splits, metric, place, *, weighted=False, kind="table"):
    """The name and score of the baseline on the test set. ``weighted``: by COUNTS and TEST_COUNTS."""
    facts = Facts(kind, splits.target.kind, 4, Views(), imbalanced=False, length=0, ragged=False, name="rows")
    (place / FACTS).write_text(json.dumps(asdict(facts)))
    if weighted:
        np.save(place / WEIGHTS.format("train"), np.array(COUNTS, np.float32))
        np.save(place / WEIGHTS.format("test"), np.array(TEST_COUNTS, np.float32))
    found = score_without_model(splits, place, metric, "train")
    assert found.keys() == {"name", "score", "split"}
    assert found["split"] == "test"
    return found["name"], found["score"]


def test_numbers_are_predicted_by_their_mean_or_for_absolute_errors_by_their_median(tmp_path):
    splits = splits_of(ROWS, TESTED, Number(25.0, 10.0))
    assert constant_baseline(splits, "rmse")[1].tolist() == [25.0, 25.0]
    assert scored(splits, "rmse", tmp_path) == ("training mean", pytest.approx(((5**2 + 15**2) / 2) ** 0.5))
    assert constant_baseline(splits, "rmse", 3, np.array(COUNTS))[1].tolist() == [(10 + 20 + 30 + 5 * 40) / 8] * 3
    weighted = scored(splits, "rmse", tmp_path, weighted=True)
    assert weighted == ("training mean", pytest.approx(((3 * 12.5**2 + 1 * 7.5**2) / 4) ** 0.5))
    assert scored(splits, "mae", tmp_path, weighted=True) == ("training median", (3 * 20 + 1 * 0) / 4)


def test_quantiles_are_predicted_by_those_of_the_weighted_rows(tmp_path):
    splits = splits_of(ROWS, TESTED, Quantiles(25.0, 10.0, (0.25, 0.9)))
    assert constant_baseline(splits, "pinball")[1].tolist() == [[10.0, 40.0]] * 2
    # Of 20: a quarter of 10 too low, and a tenth of 20 too high; of 40: a quarter of 30 too low, and no error.
    assert scored(splits, "pinball", tmp_path) == ("training quantiles", pytest.approx((2.25 + 3.75) / 2))
    assert constant_baseline(splits, "pinball", 1, np.array(COUNTS))[1].tolist() == [[20.0, 40.0]]
    # Of 20: no error, and a tenth of 20 too high; of 40: a quarter of 20 too low, and no error.
    weighted = scored(splits, "pinball", tmp_path, weighted=True)
    assert weighted == ("training quantiles", pytest.approx((3 * 1.0 + 1 * 2.5) / 4))


def test_a_row_with_a_weight_of_five_is_a_row_that_is_there_five_times():
    target = Quantiles(25.0, 10.0, (0.1, 0.3, 0.5, 0.7))
    repeated = constant_baseline(splits_of(np.repeat(ROWS, COUNTS), TESTED, target), "pinball")[1]
    assert (constant_baseline(splits_of(ROWS, TESTED, target), "pinball", None, np.array(COUNTS))[1] == repeated).all()


def test_classes_are_predicted_by_their_frequencies(tmp_path):
    splits = splits_of([0, 0, 0, 1], [0, 1], Classes(("no", "yes")))
    assert constant_baseline(splits, "accuracy")[1].tolist() == [[0.75, 0.25]] * 2
    assert scored(splits, "accuracy", tmp_path) == ("majority class", 1 / 2)
    assert constant_baseline(splits, "accuracy", 1, np.array(COUNTS))[1].tolist() == [[0.375, 0.625]]
    assert scored(splits, "accuracy", tmp_path, weighted=True) == ("majority class", 1 / 4)


def test_f1_is_that_of_the_second_of_two_classes(tmp_path):
    splits = splits_of([0, 0, 0, 1], [0, 1], Classes(("no", "yes")))
    assert scored(splits, "f1", tmp_path) == ("always 'yes'", pytest.approx(2 / 3))  # precision 1/2, recall 1
    of_three = splits_of([0, 0, 1, 2], [0, 1], Classes(("no", "yes", "maybe")))
    assert scored(of_three, "f1", tmp_path) == ("majority class", pytest.approx((2 / 3 + 0) / 2))
    assert scored(splits, "f1", tmp_path, weighted=True) == ("always 'yes'", pytest.approx(2 / 5))  # precision 1/4


def series_scored(splits, metric, place, horizon=1):
    """Of windows of two steps, and seasons of four."""
    layout = Layout("t", None, ("v", "w"), 2, horizon, earlier=(3,), seasons=Seasons(3_600.0, (4,)))
    SeriesEncoder(layout).save(place / ENCODER_FOLDER, {})
    return scored(splits, metric, place, kind="series")


def test_a_series_is_predicted_by_its_last_value(tmp_path):
    last = [[[0.0, 1.0, 12.0], [8.0, 9.0, 9.0]], [[0.0, 2.0, 30.0], [8.0, 9.0, 9.0]]]  # of the first of two channels
    before = [[[0.0, 0.0, value], [8.0, 9.0, 9.0]] for value in (10.0, 16.0, 30.0, 32.0)]  # it changes by 0, 4, 0, 8
    splits = splits_of(ROWS, [10.0, 36.0], Number(25.0, 10.0), before, last)
    assert series_scored(splits, "mae", tmp_path) == ("last value", (2 + 6) / 2)
    splits = splits_of(ROWS, [10.0, 36.0], Quantiles(25.0, 10.0, (0.5,)), before, last)
    found = series_scored(splits, "pinball", tmp_path)
    assert found == ("last value plus quantiles of its changes", (0.5 * 4 + 0.5 * 4) / 2)  # predicted 14 and 32


def test_a_series_with_a_season_is_predicted_by_that_of_a_season_ago(tmp_path):
    """One row after the newest is four rows after the one of three rows before."""
    last = [[[12.0, 0.0, 1.0], [8.0, 9.0, 9.0]], [[30.0, 0.0, 2.0], [8.0, 9.0, 9.0]]]
    before = [[[value, 0.0, 0.0], [8.0, 9.0, 9.0]] for value in (10.0, 16.0, 30.0, 32.0)]
    splits = splits_of(ROWS, [10.0, 36.0], Number(25.0, 10.0), before, last)
    assert series_scored(splits, "mae", tmp_path) == ("value 4 rows earlier", (2 + 6) / 2)
    rows = splits_of(ROWS, [10.0, 36.0], splits.target, np.reshape(before, (4, 6)), np.reshape(last, (2, 6)))
    assert series_scored(rows, "mae", tmp_path) == ("value 4 rows earlier", (2 + 6) / 2)
    assert series_scored(splits, "mae", tmp_path, horizon=4) == ("last value", (9 + 34) / 2), (
        "the newest is at its point"
    )
    splits = splits_of(ROWS, [10.0, 36.0], Quantiles(25.0, 10.0, (0.5,)), before, last)
    found = series_scored(splits, "pinball", tmp_path)
    assert found == ("value 4 rows earlier plus quantiles of its errors", (0.5 * 4 + 0.5 * 4) / 2)
