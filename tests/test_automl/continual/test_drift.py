"""Drift: which columns of new data differ from those that a model was trained on."""

import numpy as np
import pytest

from automl.continual.drift import drifts
from automl.data.ingest.encoder import Feature
from automl.data.inputs import Columns, Dense, Padded, Tokens, Windows

FEATURES = (Feature("age"), Feature("size"), Feature("town", categories=("Bern", "Basel")))


def table(n, seed, shift=0.0, rare=0.2):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 2))
    numbers[:, 0] += shift
    return np.column_stack([numbers, rng.random(n) < rare]).astype(np.float32)


def test_drift_is_found_where_it_is_and_named_by_its_column():
    old = table(1_000, 0)
    inputs = Columns.of(old, (3,))
    found = drifts(inputs, old, table(500, 1, shift=0.5), FEATURES)
    assert [drift.name for drift in found if drift.is_drift] == ["age"]
    assert found[0].new - found[0].old == pytest.approx(0.5, abs=0.15)
    found = drifts(inputs, old, table(500, 1, rare=0.5), FEATURES)
    assert [drift.name for drift in found if drift.is_drift] == ["town"]
    assert found[0].distance == pytest.approx(0.3, abs=0.07)
    assert (
        str(found[0])
        == f"town (missing or not in the training data: {found[0].old:.1%} to {found[0].new:.1%} of the rows)"
    )
    missing = table(500, 1)
    missing[:100, 1] = np.nan
    found = drifts(inputs, old, missing, FEATURES)
    assert [drift.name for drift in found if drift.is_drift] == ["size missing"]
    assert (found[0].old, found[0].new) == (0.0, 0.2)
    (back,) = (drift for drift in drifts(inputs, missing, old, FEATURES) if drift.is_drift)
    assert (back.old, back.new) == (0.2, 0.0)


def test_drift_is_told_in_the_units_of_the_file_and_by_the_category_that_changed_most():
    features = (Feature("year", offset=2_000.0, unit=10.0), Feature("size"), FEATURES[2])
    old, new = table(1_000, 0), table(500, 1, shift=1.0)
    old[:, 2], new[:, 2] = 1, np.tile([0, 1, 1, 1, 1, 1, 1, 1, 1, 2], 50)
    by_name = {drift.name: drift for drift in drifts(Columns.of(old, (3,)), old, new, features)}
    assert by_name["year"].new == pytest.approx(2_000 + 10 * new[:, 0].mean(dtype=float))
    assert str(by_name["year"]) == f"year (2000 to {by_name['year'].new:.4g})"
    assert str(by_name["town"]) == "town ('Bern': 100.0% to 80.0% of the rows)"


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

    signals = rng.normal(size=(300, 1, 20)).astype(np.float32)
    shorter = signals.copy()
    shorter[150:, :, 12:] = np.nan
    names = {drift.name for drift in drifts(Padded.of(shorter), shorter[:150], shorter[150:]) if drift.is_drift}
    assert "length" in names

    texts = rng.integers(2, 50, (300, 30)).astype(np.int32)
    unknown = np.where(rng.random((150, 30)) < 0.3, 1, texts[150:])
    assert drifts(Tokens(30, 50), texts[:150], unknown)[0].name == "share of unknown tokens"


def windows_of(channels, steps=12):
    """Of each step from the ``steps``-th on, (n, channels, steps)."""
    return np.lib.stride_tricks.sliding_window_view(channels, steps, axis=1).swapaxes(0, 1).astype(np.float32)


def autoregressive(n, correlation, rng):
    """A stationary process of mean 0 and variance 1, (n,)."""
    noise = rng.normal(size=n) * np.sqrt(1 - correlation**2)
    values = np.empty(n)
    values[0] = rng.normal()
    for i in range(1, n):
        values[i] = correlation * values[i - 1] + noise[i]
    return values


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 0.99])
def test_the_windows_of_a_series_that_goes_on_as_before_are_no_drift(correlation):
    rng, alarms = np.random.default_rng(0), 0
    features = [Feature("price", offset=100.0), Feature("volume")]
    for _ in range(100):
        found = windows_of(np.stack([autoregressive(700, correlation, rng), rng.normal(size=700)]))
        alarms += any(each.is_drift for each in drifts(Windows.of_series(found, 1), found[:500], found[500:], features))
    assert alarms <= 12  # of 100 at 5%, 99.9% of the time


def test_a_series_whose_level_changes_has_drifted_in_the_units_of_its_file_whatever_its_view():
    rng = np.random.default_rng(0)
    values = np.stack([autoregressive(900, 0.5, rng), rng.normal(size=900)])
    values[0, 600:] += 2
    found, features = windows_of(values), [Feature("price", offset=100.0), Feature("volume")]
    (price, volume) = drifts(Windows.of_series(found, 1), found[:580], found[600:], features)
    assert price.is_drift
    assert not volume.is_drift
    assert (price.name, volume.name) == ("price", "volume")
    assert price.old == pytest.approx(100 + found[:580, 0, -1].mean(dtype=float))
    assert price.new - price.old == pytest.approx(2, abs=0.5)
    months = rng.integers(1, 13, (len(found), 1))
    rows = np.concatenate([found.reshape(len(found), -1), months], 1).astype(np.float32)
    assert drifts(Columns.of(rows, (13,), 12), rows[:580], rows[600:], features) == [price, volume]
