"""Families that forecast a series from a window, as levels or as changes."""

import numpy as np
import pytest

from automl.data.inputs import Columns
from automl.data.targets import Number, Quantiles
from automl.metrics import measure
from automl.models import lags
from automl.models.lags import Lags
from automl.models.learners import learner_class
from automl.models.learners.base import Rows

FAMILIES = tuple(lags.SPACES)
STEPS = 6
LINEAR = {"numbers": "standard"}  # as in the space of a series


def windows(level=0.0, n=500):
    """A trend with a cycle, and noise in a second channel: windows, and the next value of the first channel."""
    rng, t = np.random.default_rng(0), np.arange(n + STEPS + 1)
    first = level + 0.05 * t + np.sin(t) + 0.1 * rng.normal(size=len(t))
    each = [first[:, None], rng.normal(10.0, size=(len(t), 1))]
    x = np.stack([np.lib.stride_tricks.sliding_window_view(part[:-1, 0], STEPS) for part in each], 1)
    return Rows(x.reshape(len(x), -1)[:n].astype(np.float32), first[STEPS : STEPS + n])


def parts(rows, n=350):
    return Rows(rows.x[:n], rows.y[:n]), Rows(rows.x[n:], rows.y[n:])


def forecaster(family, train, how, target=None):
    space = learner_class(family).space(classes=False, with_levels=False) | lags.SPACES[family]
    config = (
        {name: entry["default"] for name, entry in space.items()}
        | {"lags": how}
        | (LINEAR if family == "linear" else {})
    )
    inputs = Columns.of(train.x, (), STEPS)
    learner = learner_class(family)(config, inputs, target or Number.of(train.y), 0)
    n_models = 1 if target is None else target.n_outputs
    learner.fit(train, rounds=(100,) * n_models)
    return learner


@pytest.mark.parametrize("family", FAMILIES)
def test_changes_follow_a_trend_beyond_the_levels_of_training(family, tmp_path):
    train, later = parts(windows())
    raw, relative = (forecaster(family, train, how) for how in ("raw", "relative"))
    rmse = {each: measure("rmse", later.y, each.predict(later.x)) for each in (raw, relative)}
    naive = measure("rmse", later.y, later.x[:, STEPS - 1])
    assert rmse[relative] < 0.4 * naive
    if family != "linear":
        assert rmse[raw] > 3 * naive, "trees cannot predict more than they have seen"
    relative.save(tmp_path)
    loaded = type(relative).load(tmp_path, relative.config, relative.inputs, relative.target)
    assert (loaded.predict(later.x) == relative.predict(later.x)).all()


def test_a_linear_model_of_changes_knows_no_level():
    (train, later), (_, higher) = parts(windows()), parts(windows(50.0))
    learner = forecaster("linear", train, "relative")
    assert learner.predict(higher.x) == pytest.approx(learner.predict(later.x) + 50.0, abs=1e-4)


@pytest.mark.parametrize("how", ["raw", "relative"])
def test_collinear_steps_are_fitted_without_a_warning(how):
    steps, rng = 64, np.random.default_rng(0)
    smooth = 1_000.0 + np.cumsum(np.cumsum(rng.normal(size=600))) * 1e-3
    x = np.lib.stride_tricks.sliding_window_view(smooth[:-1], steps).astype(np.float32)
    rows = Rows(x, smooth[steps:])
    config = {"c": 1e3, "numbers": "standard", "lags": how}
    learner = learner_class("linear")(config, Columns.of(x, (), steps), Number.of(rows.y), 0)
    learner.fit(rows)
    assert np.abs(learner.predict(x) - rows.y).mean() < 0.05


@pytest.mark.parametrize("family", ["linear", "lightgbm"])
def test_quantiles_of_changes_lie_around_later_values(family):
    train, later = parts(windows())
    learner = forecaster(family, train, "relative", Quantiles.of(train.y, (0.1, 0.9)))
    low, high = learner.predict(later.x).T
    assert (low <= high).all()
    assert 0.6 < ((low < later.y) & (later.y < high)).mean() < 0.95


def test_the_newest_values_are_kept_as_they_are_or_are_0():
    x = np.array([[1, 2, 4, 10, 30, 20]], np.float32)  # two channels of three steps
    inputs = Columns.of(x, (), 3)
    kept, dropped = (Lags({"lags": "relative"}, inputs, keeps_levels=keeps) for keeps in (True, False))
    assert kept.columns(x).tolist() == [[-3, -2, 4, -10, 10, 20]]
    assert dropped.columns(x).tolist() == [[-3, -2, 0, -10, 10, 0]]
    rows = kept.of(Rows(x, np.array([5.0])))
    assert rows.y.tolist() == [1.0]
    assert kept.forecasts(rows.y, x).tolist() == [5.0]
    assert kept.forecasts(np.array([[1.0, 2.0]]), x).tolist() == [[5.0, 6.0]]


@pytest.mark.parametrize("config", [{}, {"lags": "raw"}])
def test_tables_and_raw_lags_remain_as_they_are(config):
    rows = windows()
    found = Lags(config, Columns.of(rows.x, ()), keeps_levels=True)
    assert found.of(rows) is rows
    assert found.columns(rows.x) is rows.x
    assert found.forecasts(rows.y, rows.x) is rows.y
