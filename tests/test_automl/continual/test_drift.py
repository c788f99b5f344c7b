"""Drift: which columns of new data differ from those that a model was trained on."""

import numpy as np
import pytest

from automl.continual.drift import drifts
from automl.data.inputs import Columns, Dense, Padded, Tokens


def table(n, seed, shift=0.0, rare=0.2):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 2))
    numbers[:, 0] += shift
    return np.column_stack([numbers, rng.random(n) < rare]).astype(np.float32)


def test_drift_is_found_where_it_is_and_named_by_its_column():
    old = table(1_000, 0)
    inputs = Columns.of(old, (3,))
    found = drifts(inputs, old, table(500, 1, shift=0.5), ("age", "size", "town"))
    assert [drift.name for drift in found if drift.is_drift] == ["age"]
    assert found[0].new - found[0].old == pytest.approx(0.5, abs=0.15)
    found = drifts(inputs, old, table(500, 1, rare=0.5), ("age", "size", "town"))
    assert [drift.name for drift in found if drift.is_drift] == ["town"]
    assert found[0].distance == pytest.approx(0.3, abs=0.07)
    missing = table(500, 1)
    missing[:100, 1] = np.nan
    found = drifts(inputs, old, missing, ("age", "size", "town"))
    assert [drift.name for drift in found if drift.is_drift] == ["size missing"]
    assert (found[0].old, found[0].new) == (0.0, 0.2)
    (back,) = (drift for drift in drifts(inputs, missing, old, ("age", "size", "town")) if drift.is_drift)
    assert (back.old, back.new) == (0.2, 0.0)


def test_without_drift_one_in_twenty_comparisons_at_most_finds_any():
    alarms = 0
    for seed in range(200):
        old, new = table(200, 2 * seed), table(150, 2 * seed + 1)
        alarms += any(drift.is_drift for drift in drifts(Columns.of(old, (3,)), old, new))
    assert alarms <= 18  # of 200 at 5%, 99.9% of the time


def test_pictures_signals_and_texts_are_compared_by_what_tells_them_apart():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 200, (300, 3, 8, 8)).astype(np.uint8)
    brighter = pictures.copy()
    brighter[:, 1] += 40
    found = drifts(Dense.of(pictures), pictures[:150], brighter[150:])
    assert found[0].name == "mean of channel 1"
    assert sum(drift.is_drift for drift in found) == 1
    names = ("open", "close", "volume")  # of a series
    assert drifts(Dense.of(pictures), pictures[:150], brighter[150:], names)[0].name == "mean of close"

    signals = rng.normal(size=(300, 1, 20)).astype(np.float32)
    shorter = signals.copy()
    shorter[150:, :, 12:] = np.nan
    names = {drift.name for drift in drifts(Padded.of(shorter), shorter[:150], shorter[150:]) if drift.is_drift}
    assert "length" in names

    texts = rng.integers(2, 50, (300, 30)).astype(np.int32)
    unknown = np.where(rng.random((150, 30)) < 0.3, 1, texts[150:])
    assert drifts(Tokens(30, 50), texts[:150], unknown)[0].name == "share of unknown tokens"
