"""What a series' windows, sets and folds may know of its future, and digits that float32 lacks."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from processes import invoke
from user_models import trained

from automl.continual.new_data import TooFewNewExamples, read_new, unite
from automl.data.datasets.registry import load_data
from automl.data.ingest.folds import N_FOLDS
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import FOLDS, MOMENTS, OVERLAPS, prepare
from automl.data.ingest.request import Request
from automl.data.targets import Number
from automl.deployment.json_predictions import JsonPredictions
from automl.deployment.several_targets import JointPredictor
from automl.errors import UserError
from automl.tasks.cross_validated import cross_validated

N = 400


def series(values, **columns):
    return pd.DataFrame({"t": np.arange(len(values)), "v": values, **columns})


def prepared(frame, folder, **options):
    frame.to_csv(folder / "series.csv", index=False)
    request = Request(str(folder / "series.csv"), "v", time="t", **{"horizon": 1, **options})
    return request, prepare(request, folder / "data")


def splits_of(folder):
    return load_data(str(folder / "data" / "windows"), None)


@pytest.mark.parametrize("horizon", [1, 7])
def test_no_set_or_fold_is_forecast_by_models_that_know_what_comes_after_the_origin(horizon, tmp_path):
    """The values count the steps, so that a window's newest value is its origin."""
    both = pd.concat([series(np.arange(N)).assign(shop=shop) for shop in "ab"])
    _, report = prepared(both, tmp_path, horizon=horizon, group="shop")
    splits = splits_of(tmp_path)
    for earlier, later in (("train", "valid"), ("valid", "test")):
        labels, origins = getattr(splits, f"y_{earlier}"), getattr(splits, f"x_{later}")[:, 0, -1]
        assert labels.max() == origins.min(), "all that is known there is used"
    left_out = 2 * 2 * (horizon - 1)
    assert (f"{left_out:,} rows before the sets are left out" in report.facts["split"]) == (horizon > 1)
    folds, overlaps = (np.load(tmp_path / "data" / name) for name in (FOLDS, OVERLAPS))
    origins = np.concatenate([splits.x_train, splits.x_valid])[:, 0, -1]
    labels = np.concatenate([splits.y_train, splits.y_valid])
    for fold in range(N_FOLDS):
        assert labels[overlaps < fold].max() <= origins[folds == fold].min()
        assert (overlaps < fold).sum() >= (folds < fold).sum() - 2 * (horizon - 1)
    task = cross_validated(tmp_path / "data", N_FOLDS // 2, None, None)
    assert (task.overlaps() >= task.folds()).all()
    assert ((task.overlaps() > task.folds()).sum() > 0) == (horizon > 1)


def test_too_far_a_horizon_is_answered(tmp_path):
    with pytest.raises(UserError, match=r"too few rows for this --horizon: .* give more rows or a smaller --horizon"):
        prepared(series(np.sin(np.arange(N))), tmp_path, horizon=150)


def test_a_high_level_costs_no_digits(tmp_path):
    rng = np.random.default_rng(0)
    values = 1e12 + np.cumsum(rng.normal(size=N)).round(3)
    other = 5e8 + rng.normal(size=N).round(3)
    prepared(series(values, other=other), tmp_path)
    splits, window = splits_of(tmp_path), splits_of(tmp_path).shape[-1]
    assert splits.y_test.astype(float) + splits.target.offset == pytest.approx(values[-len(splits.y_test) :], abs=1e-3)
    steps = np.diff(values)[-len(splits.y_test) :]
    assert splits.y_test - splits.x_test[:, 0, -1] == pytest.approx(steps, abs=1e-4)
    _, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    forecasts = predictor.predict(series(values, other=other))
    assert np.abs(forecasts[:-1] - values[window:]).mean() < 2.0


def test_a_step_without_a_value_of_its_own_has_no_forecast(tmp_path):
    values = np.sin(np.arange(N)).round(4)
    prepared(series(values), tmp_path)
    trained(tmp_path / "data", "linear", tmp_path, 1)
    (tmp_path / "linear-model").rename(tmp_path / "model")
    future = series(np.concatenate([values[-100:-12], np.full(12, np.nan)]))
    future.to_csv(tmp_path / "future.csv", index=False)
    out = invoke("predict", tmp_path, "--data", tmp_path / "future.csv", "--out", tmp_path / "o.csv")
    assert "12 examples without a value of 'v' have no prediction; the first is time 88" in " ".join(out.split()), out
    found = pd.read_csv(tmp_path / "o.csv")
    assert found["v"].isna().sum() == 12
    assert found["v"].notna().sum() == 88 - splits_of(tmp_path).shape[-1] + 1


def test_steps_without_a_forecast_are_counted_for_each_target(tmp_path, monkeypatch):
    frame = series(np.sin(np.arange(N)).round(4), w=np.cos(np.arange(N)).round(4))
    parts = {}
    for name in ("v", "w"):
        (tmp_path / name).mkdir()
        frame.to_csv(tmp_path / name / "series.csv", index=False)
        prepare(Request(str(tmp_path / name / "series.csv"), name, time="t", horizon=1), tmp_path / name / "data")
        _, parts[name] = trained(tmp_path / name / "data", "linear", tmp_path / name, 1)
        parts[name].card |= {"target": name}
    monkeypatch.setattr("automl.deployment.several_targets.load", lambda run: JointPredictor(parts, {}))
    frame.loc[N - 3 :, "w"] = np.nan
    frame[-100:].to_csv(tmp_path / "new.csv", index=False)

    def said():
        out = invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv")
        return " ".join(out.split())

    n = 100 - splits_of(tmp_path / "v").shape[-1] + 1
    assert f"{n} predictions of 'v', {n - 3} predictions of 'w' in" in said()
    assert "3 examples without a value of 'w' have no prediction of 'w'; the first is time 397" in said()
    assert "of 'v' have" not in said()
    frame.loc[N - 1, "v"] = np.nan
    frame[-100:].to_csv(tmp_path / "new.csv", index=False)
    assert "1 example without a value of 'v' has no prediction of 'v': time 399 3 examples" in said()


@pytest.mark.parametrize(("group", "named"), [(None, ["time", "v"]), ("shop", ["series", "time", "v"])])
def test_only_one_of_several_series_has_a_name_in_the_predictions(group, named, tmp_path):
    both = pd.concat([series(np.sin(np.arange(N)).round(4)).assign(shop=shop) for shop in ("a", "b")])
    frame = both if group else both[:N].drop(columns="shop")
    prepared(frame, tmp_path, group=group)
    _, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    [found] = predictor.stream(tmp_path / "series.csv")
    assert list(found) == named
    told = JsonPredictions(predictor)
    (origin,) = {tuple(each) for each in told.response(json.loads(frame.to_json(orient="records")))["of"]}
    assert list(origin) == told.response_schema["properties"]["of"]["items"]["required"] == named[:-1]


@pytest.mark.parametrize(
    ("times", "first"),
    [
        (lambda when: when.strftime("%Y-%m-%dT%H:%M:%S+02:00"), "2024-01-01 10:00:00+00:00"),
        (lambda when: when.strftime("%Y-%m-%d %H:%MZ"), "2024-01-01 12:00:00+00:00"),
        (lambda when: when.strftime("%d.%m.%Y %H:%M UTC"), "2024-01-01 12:00:00+00:00"),
        (lambda when: when.tz_localize("Europe/Berlin"), "2024-01-01 11:00:00+00:00"),
        (lambda when: when.strftime("%Y-%m-%dT%H:%M:%S"), "2024-01-01 12:00:00"),
        (lambda when: when.strftime("%d-%m-%Y %H:%M"), "2024-01-01 12:00:00"),
    ],
)
def test_times_with_a_zone_are_written_with_one(times, first, tmp_path):
    frame = series(np.sin(np.arange(N)).round(4)).assign(
        t=times(pd.date_range("2024-01-01 12:00", periods=N, freq="h"))
    )
    prepared(frame, tmp_path)
    _, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    window = splits_of(tmp_path).shape[-1]
    ahead = pd.Timedelta(window - 1, "h")
    chunk = next(predictor.stream(tmp_path / "series.csv"))
    assert chunk.to_csv(index=False).splitlines()[1].split(",")[0] == str(pd.Timestamp(first) + ahead)
    records = json.loads(frame[: window + 1].to_json(orient="records", date_format="iso"))
    told = JsonPredictions(predictor).response(records)["of"][0]["time"]
    assert told.endswith("Z") == first.endswith("+00:00")
    assert pd.Timestamp(told) == pd.Timestamp(first) + ahead


def test_rows_that_are_equal_count_once(tmp_path):
    values = np.sin(np.arange(N)).round(4)
    prepared(series(values), tmp_path)
    once = splits_of(tmp_path)
    _, report = prepared(pd.concat([series(values), series(values)[:9]]), tmp_path)
    assert "9 rows equal to an earlier one are left out" in report.notes
    for name in ("x_train", "y_train", "x_valid", "x_test", "y_test"):
        assert np.array_equal(getattr(splits_of(tmp_path), name), getattr(once, name))


@pytest.mark.parametrize(("form", "first"), [("%d/%m/%Y", "day"), ("%m/%d/%Y", "month")])
def test_the_order_of_day_and_month_is_that_of_steady_steps(form, first, tmp_path):
    months = pd.date_range("2010-01-01", periods=N, freq="MS")
    _, report = prepared(series(np.sin(np.arange(N)).round(4)).assign(t=months.strftime(form)), tmp_path)
    assert any(f"are read with the {first} first" in note for note in report.notes)
    assert any(", 1 month apart, give " in note for note in report.notes)
    assert not any("steps vary" in note for note in report.notes)


def test_predictions_name_rows_that_are_repeated_missing_or_too_few(tmp_path):
    values = np.sin(np.arange(N)).round(4)
    both = pd.concat([series(values).assign(shop=shop) for shop in ("a", "b")])
    both.to_csv(tmp_path / "in.csv", index=False)
    prepare(Request(str(tmp_path / "in.csv"), "v", time="t", horizon=1, group="shop"), tmp_path / "data")
    trained(tmp_path / "data", "linear", tmp_path, 1)
    (tmp_path / "linear-model").rename(tmp_path / "model")
    new = series(values[:90]).assign(shop="a").drop(index=50)
    other = new[:1].assign(v=new["v"][0] + 1)
    pd.concat([new, new[:1], other, new[:2].assign(shop="c")]).to_csv(tmp_path / "new.csv", index=False)
    out = " ".join(invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv").split())
    assert "1 row equal to an earlier one is left out" in out
    assert "1 row shares its time with another row" in out
    assert "1 series is left out: it has fewer rows than the 20 that a forecast needs" in out
    assert "steps vary in length, from 1 to 2: a horizon counts rows" in out


def test_a_file_that_the_run_has_is_known_although_most_of_its_windows_are_alike(tmp_path):
    rng = np.random.default_rng(0)
    rare = (rng.random(N + 60) < 0.03).astype(float)
    request, _ = prepared(series(rare[:N]), tmp_path, horizon=2)
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    target = splits_of(tmp_path).target
    assert isinstance(target, Number)
    with pytest.raises(TooFewNewExamples, match="no new examples"):
        read_new(encoder, request, target, tmp_path / "data")
    series(rare).to_csv(tmp_path / "grown.csv", index=False)
    grown = Request(str(tmp_path / "grown.csv"), "v", time="t", horizon=2)
    new = read_new(encoder, grown, target, tmp_path / "data")
    assert len(new.y) == 60
    assert len(np.load(tmp_path / "data" / MOMENTS)) == len(new.moments) - 60


def test_time_steps_that_an_update_judged_are_not_judged_again(tmp_path):
    values = np.sin(np.arange(N + 100)).round(4)
    request, _ = prepared(series(values[:N]), tmp_path)
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    target, tried = splits_of(tmp_path).target, []

    def new(n):
        series(values[: N + n]).to_csv(tmp_path / "grown.csv", index=False)
        grown = dataclasses.replace(request, data=str(tmp_path / "grown.csv"))
        return read_new(encoder, grown, target, tmp_path / "data", tried=tried)

    unite(tmp_path / "data", new(60), tmp_path / "refused")
    tried.append(tmp_path / "refused")
    with pytest.raises(TooFewNewExamples, match="refused or rolled back"):
        new(90)
    assert len(new(100).y) == 100


def test_a_date_is_known_although_a_later_one_has_a_time_of_day(tmp_path):
    days = pd.date_range("2020-01-01", periods=200)
    later = days[-1] + pd.to_timedelta(np.arange(1, 61), "h")
    values = np.sin(np.arange(260)).round(4)
    prepared(pd.DataFrame({"t": days.strftime("%Y-%m-%d"), "v": values[:200]}), tmp_path)
    when = [*days.strftime("%Y-%m-%dT%H:%M:%S"), *later.strftime("%Y-%m-%dT%H:%M:%S")]
    pd.DataFrame({"t": pd.to_datetime(when), "v": values}).to_csv(tmp_path / "grown.csv", index=False)
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    grown = Request(str(tmp_path / "grown.csv"), "v", time="t", horizon=1)
    encoder.layout = dataclasses.replace(encoder.layout, form=None)  # the dates are written in another way
    assert len(read_new(encoder, grown, splits_of(tmp_path).target, tmp_path / "data").y) == 60


def test_classes_are_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(UserError, match="a time series is forecast as numbers: leave --kind classification out"):
        prepared(series(np.arange(N) % 2), tmp_path, kind="series,classification")


def test_columns_that_start_late_are_named(tmp_path):
    late = np.where(np.arange(N) < 300, np.nan, np.arange(N) % 5)
    _, report = prepared(series(np.sin(np.arange(N)), promo=late), tmp_path)
    assert any("not every column has a value yet (with gaps: promo)" in note for note in report.notes)
    with pytest.raises(UserError, match=r"the series is too short: .*with gaps: promo"):
        prepared(
            series(np.sin(np.arange(N)), promo=np.where(np.arange(N) < 350, np.nan, np.arange(N) % 5)), tmp_path / ".."
        )


def test_the_encoder_is_the_same_after_it_was_written(tmp_path):
    prepared(series(1e9 + np.arange(N) % 7), tmp_path)
    content = json.loads((tmp_path / "data" / "encoder" / "encoder.json").read_text())
    assert content["offsets"] == {"v": pytest.approx(1e9, abs=10)}
    assert load_encoder(tmp_path / "data" / "encoder")[0].layout.horizon == 1


def with_a_holiday(n, holiday):
    """A value that doubles two steps after a row says so."""
    rng = np.random.default_rng(0)
    soon = rng.random(n) < 0.2
    values = (10 + rng.normal(size=n)) * (1 + np.concatenate([[False] * 2, soon[:-2]]))
    return series(values.round(3), soon=np.where(soon, *holiday[::-1]), kind=[f"k{i % 21}" for i in range(n)])


@pytest.mark.parametrize("holiday", [(False, True), ("no", "yes")])
def test_columns_of_two_values_are_read_and_tell_what_comes(holiday, tmp_path):
    frame = with_a_holiday(N, holiday)
    _, report = prepared(frame, tmp_path, horizon=2)
    no, yes = map(str, holiday)
    assert f"in column 'soon', {no!r} counts as 0 and {yes!r} as 1" in report.notes
    assert "columns that are neither numbers nor of 2 to 20 values are left out: kind" in report.notes
    last, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    assert last.metrics["rmse"] < 2.0, "4 without the column"
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    assert encoder.layout.levels == {"soon": (no, yes)}
    from_a_file = encoder.as_frame(tmp_path / "series.csv")["window"].iloc[-1]
    assert from_a_file[1].tolist() == (frame["soon"] == holiday[1])[-from_a_file.shape[1] :].astype(float).tolist()
    records = json.loads(frame.to_json(orient="records"))
    told = JsonPredictions(predictor).response(records)["predictions"]
    assert told == pytest.approx(predictor.predict(frame), rel=1e-5)
    assert encoder.record_schema()["properties"]["soon"] == {"enum": [*holiday, None]}
    records[3]["soon"] = "maybe"
    first, second = map(json.dumps, holiday)
    with pytest.raises(UserError, match=f"example 4, 'soon' must be {first}, {second} or null, got"):
        encoder.from_records(records)
    frame = frame.astype({"soon": object})
    frame.loc[5, "soon"], frame.loc[6, "soon"] = None, "maybe"
    frame.to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "linear-model").rename(tmp_path / "model")
    out = " ".join(invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv").split())
    assert "soon" in out
    assert len(pd.read_csv(tmp_path / "o.csv")) == len(told)


def test_columns_of_a_few_values_are_read_in_the_order_of_the_mean_target_that_follows(tmp_path):
    rng = np.random.default_rng(0)
    kinds = rng.choice(["rain", "mist", "sun", "snow"], N)
    means = {"rain": 5.0, "mist": 2.0, "sun": 9.0, "snow": 0.0}
    values = np.array([2.0, *(means[kind] for kind in kinds[:-1])]) + rng.normal(0, 0.1, N)
    frame = series(values.round(3), next=pd.Series(kinds).where(rng.random(N) > 0.02))
    _, report = prepared(frame, tmp_path)
    named = "column 'next' is read as a number from 0 to 1, in the order of the mean 'v' that follows: "
    [note] = [note for note in report.notes if note.startswith(named)]
    last, predictor = trained(tmp_path / "data", "gradient_boosting", tmp_path, 20)
    assert last.metrics["rmse"] < 1.5, "over 3 without the column"
    assert note == named + "'snow', 'mist', 'rain', 'sun'"
    assert predictor.encoder.layout.levels == {"next": ("snow", "mist", "rain", "sun")}
    records = json.loads(frame.tail(100).to_json(orient="records"))
    told = JsonPredictions(predictor).response(records)["predictions"]
    assert told == pytest.approx(predictor.predict(frame.tail(100)), rel=1e-5)
    unseen = frame.tail(100).assign(next="fog")
    assert np.isfinite(predictor.predict(unseen)).all(), "an unseen category counts as missing"
    assert len(predictor.predict(unseen)) == len(told)
    frame.assign(next=frame["next"].where(frame.index % 3 > 0, "fog")).to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "gradient_boosting-model").rename(tmp_path / "model")
    out = invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv")
    assert "an unseen category): 'next' 134" in out
    assert "warning" not in out, "that is a third of the rows"
    with pytest.raises(UserError, match=r"example 1, 'next' must be .*\"sun\" or null, got"):
        predictor.encoder.from_records([records[0] | {"next": "fog"}, *records[1:]])


def test_constant_columns_are_left_out_and_said(tmp_path):
    rng = np.random.default_rng(0)
    _, report = prepared(series(rng.normal(size=200), fixed=1.0, other=rng.normal(size=200)), tmp_path)
    assert splits_of(tmp_path).x_train.shape[1] == 2
    assert any("constant columns are left out: fixed" in note for note in report.notes)


@pytest.mark.parametrize("factor", [1.0, 1_000.0])
def test_series_of_very_different_sizes_are_said(factor, tmp_path):
    values = np.random.default_rng(0).normal(size=200).cumsum()
    both = pd.concat([series(values).assign(shop="a"), series(values * factor).assign(shop="b")])
    _, report = prepared(both, tmp_path, group="shop")
    assert any("by a factor of up to 1,000: the largest ones decide" in note for note in report.notes) == (factor > 1)


def test_times_are_whole_numbers_if_they_were(tmp_path):
    frame = series(np.random.default_rng(0).normal(size=200)).assign(t=np.arange(202_000, 202_200))
    _, report = prepared(frame, tmp_path)
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    assert encoder.as_frame(frame)["time"].dtype == np.int64
    assert not any("steps vary" in note for note in report.notes)


def test_an_empty_time_is_called_so(tmp_path):
    frame = series(np.random.default_rng(0).normal(size=200))
    frame.loc[5, "t"] = np.nan
    with pytest.raises(UserError, match=r"row 6 is empty$"):
        prepared(frame, tmp_path)
