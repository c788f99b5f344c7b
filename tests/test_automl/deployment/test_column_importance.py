"""The importance of columns: of those that decide, of noise, of dates and texts, and where it is unknown."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import small_models
from sklearn.datasets import load_wine

from automl.analysis.columns import ranked
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.deployment import column_importance
from automl.deployment.column_importance import column_importances, keep_columns, kept_columns
from automl.deployment.predictor import load_predictor


def sales(n=400):
    """Visitors, who decide, when and where that was, a remark, and noise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "visitors": rng.gamma(4.0, 20.0, n).round(1),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 365, n), "D"),
            "town": rng.choice(["Bern", "Basel", "Chur"], n),
            "shoe size": rng.integers(36, 46, n),
        }
    )
    words = np.array(["the", "shop", "was", "open", "all", "day", "and", "many", "people", "came", "by", "to", "look"])
    frame["remark"] = [" ".join(rng.choice(words, rng.integers(8, 14))) for _ in range(n)]
    frame["sold"] = 3 * frame["visitors"] + rng.normal(0, 10, n)
    return frame


def run_on(frame, place, family="gradient_boosting", **options):
    """A run's folder with a small model of the column ``sold``."""
    place.mkdir(parents=True, exist_ok=True)
    frame.to_csv(place / "sales.csv", index=False)
    prepare(Request(str(place / "sales.csv"), "sold", **options), place / "data")
    return small_models.trained(place, family, epochs=20)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_on(sales(), tmp_path_factory.mktemp("columns") / "run")


def found_in(run, metric="rmse", **options):
    return column_importances(load_predictor(run / "model"), run / "data", metric, **options)


def test_the_column_that_decides_comes_first_and_noise_has_no_visible_effect(run):
    found = found_in(run)
    first, *others = found.each
    assert first.name == "visitors"
    assert first.matters
    assert first.worse > found.score
    assert {column.name for column in others} == {"day", "town", "shoe size", "remark"}
    assert [column.verdict for column in others] == ["no visible effect"] * 4
    assert (found.n_rows, found.n_test, found.n_repeats) == (80, 80, 30)
    assert next(found.words) == "The model clearly relies on visitors."


def test_for_classes_importance_is_the_gain_of_log_loss(tmp_path):
    frame = sales()
    frame["sold"] = np.where(frame["sold"] > frame["sold"].median(), "much", "little")
    found = found_in(run_on(frame, tmp_path / "run"), "accuracy")
    assert [column.name for column in found.each if column.matters] == ["visitors"]
    assert found.metric == "log_loss"
    assert found.score < 0.5
    assert found.score + found.each[0].worse > np.log(2), "worse than without the only column that tells"


def test_of_a_good_model_of_few_rows_the_largest_effects_are_named(tmp_path):
    wine = load_wine(as_frame=True).frame.rename(columns={"target": "sold"})
    found = found_in(run_on(wine, tmp_path / "run", "linear", kind="classification"), "accuracy")
    assert found.n_test < 40
    assert found.score < 0.3
    assert "proline" in {column.name for column in found.each[:4]}
    said = r"(The model clearly relies on|\d+ test rows are too few to say which) .*proline"
    assert re.match(said, next(found.words))


def test_all_parts_of_a_date_count_as_one_column(tmp_path):
    frame = sales()
    day = frame["day"].dt
    frame["sold"] = 20 * (day.day_of_week >= 5) + day.month + np.random.default_rng(1).normal(0, 1, len(frame))
    found = found_in(run_on(frame, tmp_path / "run"))
    assert [column.name for column in found.each if column.matters] == ["day"]


def test_shuffling_what_was_encoded_from_a_column_is_shuffling_the_column(run):
    model, frame = load_predictor(run / "model"), sales().drop(columns="sold")
    table, order = model.encoder.table, np.random.default_rng(0).permutation(len(frame))
    x = table.encode(frame)
    assert table.places["remark"].stop - table.places["remark"].start > 5
    for name, place in table.places.items():
        shuffled = x.copy()
        shuffled[:, place] = x[order, place]
        raw = frame.assign(**{name: frame[name].to_numpy()[order]})
        np.testing.assert_allclose(table.encode(raw), shuffled, rtol=1e-4, atol=1e-5)


def test_of_a_series_the_past_of_each_column_is_shuffled(tmp_path):
    rng, n = np.random.default_rng(0), 600
    driver, other = rng.normal(size=(2, n))
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=n), "other": other, "driver": driver})
    frame["sold"] = 3 * frame["driver"].shift(fill_value=0.0) + rng.normal(0, 0.3, n)
    found = found_in(run_on(frame, tmp_path / "run", "linear", time="day", horizon=1))
    verdicts = {column.name: column.verdict for column in found.each}
    assert verdicts.keys() == {"sold", "other", "driver", "day"}
    assert (found.each[0].name, verdicts["driver"]) == ("driver", "matters")
    assert (verdicts["other"], verdicts["day"]) == ("no visible effect", "no visible effect")
    assert found.each[0].worse > found.score
    assert found.n_test == found.n_rows > 100


@pytest.mark.parametrize("family", ["linear", "mlp"])
def test_the_weekday_of_the_time_forecast_counts_as_the_column_of_times(family, tmp_path):
    days = pd.date_range("2024-01-01", periods=600)
    rng = np.random.default_rng(0)
    weekday = rng.normal(0, 5, 7)[days.day_of_week]  # known from the date alone, as the noise hides it in the past
    frame = pd.DataFrame({"day": days, "sold": weekday + rng.normal(0, 3, 600), "other": rng.normal(size=600)})
    run = run_on(frame, tmp_path / "run", family, time="day", horizon=5)
    verdicts = {column.name: column.verdict for column in found_in(run).each}
    assert verdicts["day"] == "matters"
    assert verdicts["other"] == "no visible effect"


def test_shuffling_a_channel_of_the_windows_is_shuffling_the_column(tmp_path):
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=200), "sold": np.arange(200.0) % 7, "rain": 0.0})
    frame["rain"] = np.random.default_rng(0).random(200)
    run = run_on(frame, tmp_path / "run", "linear", time="day", horizon=1)
    encoder = load_predictor(run / "model").encoder
    arrays, n = encoder.encode(encoder.as_frame(frame)), encoder.layout.window
    for view in ("windows", "rows"):
        places = encoder.places(view)
        assert list(places) == ["sold", "rain", "day"]
        assert places["day"].stop == arrays[view].shape[1]
        np.testing.assert_allclose(arrays[view][:, places["rain"]][-1].ravel(), frame["rain"][-n:], rtol=1e-6)


def test_what_is_certain_but_negligible_does_not_matter():
    found = ranked({"little": [0.11, 0.1], "much": [20.0, 21.0], "luck": [50.0, 10.0], "noise": [-1.0, 1.1]})
    assert [(column.name, column.verdict) for column in found] == [
        ("much", "matters"), ("luck", "uncertain"), ("little", "no visible effect"), ("noise", "no visible effect"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("n", "options", "reason"),
    [(60, {}, "the test set has 12 rows, 30 are needed"), (60, {"no_test": True}, "the run kept no test set")],
)
def test_without_test_rows_nothing_is_claimed(tmp_path, n, options, reason):
    found = found_in(run_on(sales(n), tmp_path / "run", "linear", **options))
    assert found.each == ()
    assert next(found.words) == (
        f"Which columns matter is not known: {reason}; importance needs rows that the model was not trained on."
    )


def test_a_run_whose_data_were_removed_says_so(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "model")
    assert found_in(tmp_path).reason == "the run's folder no longer has its data"


def test_a_slow_model_is_judged_on_fewer_rows_or_left_to_later(tmp_path, monkeypatch):
    run = run_on(sales(1800), tmp_path / "run", "linear")
    assert found_in(run, left=0.0) is None
    monkeypatch.setattr(column_importance, "SECONDS", 1e-6)
    found = found_in(run)
    assert (found.n_rows, found.n_test, found.n_repeats) == (300, 360, 10)
    assert "on 300 of 360 test rows, for speed" in found.basis
    assert found.each[0].name == "visitors"
    monkeypatch.setattr(column_importance, "MAX_SECONDS", 0.0)
    assert found_in(run).reason == "shuffling 5 columns takes 0 minutes"


def test_what_is_kept_is_of_the_model_that_is_there(run, tmp_path):
    model, file = shutil.copytree(run / "model", tmp_path / "model"), tmp_path / "columns.json"
    assert kept_columns(file, model) is None
    found = found_in(run)
    keep_columns(file, model, found)
    assert kept_columns(file, model) == found
    content = json.loads(file.read_text())
    for damaged in ({**content, "each": [{"name": "visitors"}]}, {**content, "extra": 1}, [], "{"):
        file.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
        assert kept_columns(file, model) is None
    keep_columns(file, model, found)
    card = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(card | {"updated": "later"}))
    assert kept_columns(file, model) is None
