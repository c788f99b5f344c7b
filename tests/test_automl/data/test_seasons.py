"""The seasons of a series, the rows and the dates that its forecasts read, and forecasts that need them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from processes import invoke
from user_models import trained

from automl.data.datasets.registry import load_data
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.data.ingest.seasons import PARTS, Seasons, in_words
from automl.data.ingest.windows import Counts, Layout, windows, with_targets
from automl.errors import UserError
from automl.tasks.user_data import own_task


def times(frequency, n, series=("a",)):
    dates = pd.date_range("2001-01-31 08:00", periods=n, freq=frequency)
    return pd.concat([pd.DataFrame({"series": name, "time": dates}) for name in series], ignore_index=True)


@pytest.mark.parametrize(
    ("frequency", "n", "lengths", "parts"),
    [
        ("15min", 3_000, (96, 672), ("hour", "weekday")), ("15min", 2_000, (96,), ("hour",)), ("1min", 90, (), ()),
        ("h", 700, (24, 168), ("hour", "weekday")), ("h", 600, (24,), ("hour",)), ("h", 90, (), ()),
        ("h", 36_000, (24, 168), ("hour", "weekday", "month")), ("4h", 200, (6, 42), ("hour", "weekday")),
        ("D", 100, (7,), ("weekday",)), ("D", 1_500, (7,), ("weekday", "month")), ("B", 100, (5,), ("weekday",)),
        ("B", 1_100, (5,), ("weekday", "month")), ("2D", 100, (), ("weekday",)), ("W", 300, (52,), ("month",)),
        ("ME", 144, (12,), ("month",)), ("MS", 144, (12,), ("month",)), ("QS", 60, (4,), ("month",)),
        ("YS", 60, (), ()), ("MS", 50, (), ()),
    ],
)  # fmt: skip
def test_seasons_are_those_that_a_series_covers_four_times(frequency, n, lengths, parts):
    for series in (("a",), ("a", "b")):
        found = Seasons.of(times(frequency, n, series), 1)
        assert (found.lengths, found.parts) == (lengths, parts)


@pytest.mark.parametrize(
    "when", [np.arange(400), np.arange(400) + 0.5, pd.Series(["2024-01-01"] * 400).astype("M8[s]")]
)
def test_times_without_dates_or_steps_have_no_seasons(when):
    found = Seasons.of(pd.DataFrame({"series": "a", "time": when}), 1)
    assert (found.lengths, found.parts) == ((), ())
    assert found.naive(3) == (0,)
    assert found.earlier(20, 3) == ()
    assert found.codes(pd.Series(when), 3).shape == (400, 0)


@pytest.mark.parametrize("horizon", [1, 5, 24, 30, 400])
@pytest.mark.parametrize(("frequency", "n"), [("h", 3_000), ("D", 1_800), ("W", 800), ("ME", 600), ("QS", 600)])
def test_the_parts_are_those_of_the_date_that_is_forecast(frequency, n, horizon):
    when = times(frequency, n)
    found = Seasons.of(when, horizon)
    dates = when["time"].dt
    ahead = {"hour": dates.hour + 1, "weekday": dates.day_of_week + 1, "month": dates.month}
    codes = found.codes(when["time"], horizon)
    assert found.parts
    for place, part in enumerate(found.parts):
        assert (codes[:-horizon, place] == ahead[part][horizon:]).all()
        assert set(codes[:, place]) <= set(range(1, PARTS[part][1] + 1))


def test_dates_as_whole_numbers_and_in_utc_have_parts_too():
    months = pd.Series([202311, 202312, 202401])
    assert Seasons(2_629_800.0, (12,), ("month",)).codes(months, 2).ravel().tolist() == [1, 2, 3]
    hours = pd.Series(pd.date_range("2024-01-07 22:00", periods=2, freq="h", tz="UTC"))
    assert Seasons(3_600.0, (24,), ("hour", "weekday")).codes(hours, 1).tolist() == [[24, 7], [1, 1]]
    with pytest.raises(UserError, match="the model reads month of the time that it forecasts: the times must be dates"):
        Seasons(2_629_800.0, (12,), ("month",)).codes(pd.Series([1.5, 2.5]), 2)


@pytest.mark.parametrize("horizon", [1, 24, 30, 200])
@pytest.mark.parametrize("lengths", [(24,), (24, 168), (288, 2_016), (7,), ()])
def test_a_forecast_reads_the_same_point_of_every_season(lengths, horizon):
    found = Seasons(3_600.0, lengths)
    window = found.window(20)
    earlier = found.earlier(window, horizon)
    layout = Layout("t", None, ("v",), window, horizon, earlier=earlier, seasons=found)
    assert list(layout.steps) == sorted(layout.steps, reverse=True)
    assert layout.steps[-window:] == tuple(range(window - 1, -1, -1))
    assert len(set(layout.steps)) == len(layout.steps) <= 97 + 14
    for length in lengths:
        assert (horizon + found.naive(horizon)[1 + lengths.index(length)]) % length == 0
        assert set(found.naive(horizon)) | {length} <= set(layout.steps)
    assert Layout.from_json(json.loads(json.dumps(dataclasses.asdict(layout)))) == layout


def test_a_window_has_the_values_of_its_steps():
    frame = pd.DataFrame({"t": np.arange(60), "v": np.arange(60.0), "w": -np.arange(60.0)}).sample(
        frac=1, random_state=0
    )
    layout = Layout("t", None, ("v", "w"), 3, 1, earlier=(7, 20))
    found, counts = windows(frame, layout)
    assert counts == Counts(0, 0, 0, 0)
    assert found["time"].tolist() == found["step"].tolist() == list(range(20, 60))
    assert found["window"].iloc[0].tolist() == [[0, 13, 18, 19, 20], [0, -13, -18, -19, -20]]
    assert found["window"].iloc[-1].tolist()[0] == [39, 52, 57, 58, 59]


WEEKS = pd.date_range("2024-01-01", periods=8 * 168, freq="h")
JITTER = np.random.default_rng(0).random(300)
HOURLY = Seasons(3_600.0, (24,), (), True)


@pytest.mark.parametrize(
    ("when", "regular"),
    [
        (pd.date_range("2024-01-01", periods=2_000, freq="h").delete(range(700, 880)), True),
        (pd.date_range("2024-01-01", periods=2_000, freq="h").delete(range(700, 1_000)), False),
        (pd.date_range("2024-01-01", periods=300, freq="h") + pd.to_timedelta(JITTER * 400, "s"), True),
        (pd.date_range("2024-01-01", periods=300, freq="h") + pd.to_timedelta(JITTER * 50, "min"), False),
        (pd.date_range("1990-01-31", periods=300, freq="ME").delete([30, 31, 80]), True),
        (pd.date_range("1990-01-01", periods=300, freq="QS").delete([30, 80]), True),
        (pd.date_range("2024-01-01", periods=300, freq="D").delete([30, 80]), True),
        (pd.date_range("2024-01-01", periods=300, freq="B").delete([30, 80]), False),
        (pd.date_range("2024-01-01 09:00", periods=300, freq="bh"), False),
        (WEEKS[WEEKS.hour > 9], False),
        (WEEKS[WEEKS.day_of_week < 5], False),
        (WEEKS[WEEKS.day_of_week < 6], False),
    ],
)
def test_regular_are_series_of_whole_steps_of_which_few_are_missing(when, regular):
    assert Seasons.of(pd.DataFrame({"series": "a", "time": when}), 1).regular == regular


def test_series_of_several_steps_are_not_regular():
    often = times("5min", 3_000)
    assert Seasons.of(pd.concat([often, times("5min", 900, ("b",))]), 1).regular
    assert not Seasons.of(pd.concat([often, times("10min", 100, ("b",))]), 1).regular


def test_months_are_a_step_apart_whatever_their_length():
    when = pd.date_range("1990-01-31", periods=300, freq="ME")
    found = Seasons.of(pd.DataFrame({"series": "a", "time": when}), 1)
    assert found.positions(when.to_numpy(), 99).tolist() == list(range(300))
    some = when.delete([1, 2, 3, 4, 5, 6, 7, 100])
    there = np.delete(np.arange(300), [1, 2, 3, 4, 5, 6, 7, 100])
    assert found.positions(some.to_numpy(), 99).tolist() == there.tolist()
    assert found.positions(some.to_numpy(), 2).tolist() == (there - 6 * (there > 0)).tolist()
    assert found.positions(when.repeat(2).to_numpy(), 99).tolist()[:3] == [0, 1, 2]


def test_rows_that_are_missing_are_steps_with_the_previous_value():
    when = pd.date_range("2024-01-01", periods=40, freq="h")
    whole = pd.DataFrame({"t": when, "v": np.arange(40.0)})
    layout = Layout("t", None, ("v",), 3, 2, earlier=(23,), seasons=HOURLY)
    gaps = whole.drop(index=[0, 1, 10, 11, 30])
    found, counts = windows(gaps.sample(frac=1, random_state=0), layout)
    assert counts == Counts(0, 0, 0, 3)
    assert found["time"].tolist() == list(when[[25, 26, 27, 28, 29, *range(31, 40)]])
    each = np.stack(list(found["window"]))[:, 0]
    assert each[0].tolist() == [2, 23, 24, 25]
    assert each[5].tolist() == [8, 29, 29, 31]
    assert each[8].tolist() == [9, 32, 33, 34]
    used, labels, times = with_targets(found, 2)
    assert used["value"].tolist() == [25, 26, 27, 29, *range(31, 38)]
    assert (labels - used["value"] == 2).all()
    assert (times == (used["time"] + pd.Timedelta("2h")).to_numpy()).all()


def test_steps_are_counted_in_each_series_from_its_first_row_with_all_values():
    when = pd.date_range("2024-01-01", periods=60, freq="h")
    one = pd.DataFrame({"t": when, "v": np.arange(60.0), "w": 1.0, "shop": "a"}).drop(index=[1, 7, 40])
    one.loc[:4, "w"] = np.nan
    short = pd.DataFrame({"t": when[:12], "v": 1.0, "w": 1.0, "shop": "b"}).drop(index=[3])
    layout = Layout("t", "shop", ("v", "w"), 13, 1, seasons=HOURLY)
    found, counts = windows(pd.concat([short, one]), layout)
    assert counts == Counts(5, 1, 0, 2)
    assert found["value"].tolist() == [*range(17, 40), *range(41, 60)]
    first = found["window"].iloc[0][0].tolist()
    assert first == [5, 6, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]


def test_a_gap_of_years_takes_no_memory():
    when = [*pd.date_range("1900-01-01", periods=30, freq="s"), *pd.date_range("2020-01-01", periods=30, freq="s")]
    layout = Layout("t", None, ("v",), 4, 1, seasons=Seasons(1.0, (), (), True))
    found, counts = windows(pd.DataFrame({"t": when, "v": np.arange(60.0)}), layout)
    assert counts == Counts(0, 0, 1, 4)
    assert found["window"].iloc[27][0].tolist() == [29, 29, 29, 30]
    assert found["sparse"].tolist() == [False] * 27 + [True] + [False] * 29
    used, labels, _ = with_targets(found, 1)
    assert 29 not in used["value"].tolist()
    assert len(labels) == 60 - 3 - 1 - 2


def test_a_layout_of_an_earlier_version_reads_its_newest_rows():
    old = {"kind": "series", "time": "t", "group": None, "channels": ["v"], "window": 5, "horizon": 2, "form": None}
    layout = Layout.from_json(old | {"decimals": {}, "offsets": {"v": 1.0}})
    assert (layout.steps, layout.reach, layout.seasons.parts) == ((4, 3, 2, 1, 0), 5, ())


def hourly(weeks=12):
    """More on working days and around noon, and noise that hides yesterday's level."""
    when = pd.date_range("2024-01-01", periods=weeks * 168, freq="h")
    rng = np.random.default_rng(0)
    by_hour = np.maximum(0, 40 - (when.hour - 13.0) ** 2)
    return pd.DataFrame(
        {"when": when, "sold": by_hour * (1 + 2 * (when.day_of_week < 5)) + rng.normal(0, 2, len(when))}
    )


def test_a_day_ahead_forecast_knows_the_weekend(tmp_path):
    hourly().to_csv(tmp_path / "shop.csv", index=False)
    request = Request(str(tmp_path / "shop.csv"), "sold", time="when", horizon=24)
    report = prepare(request, tmp_path / "data")
    window = "a window of 64 steps, 5 of the 105 steps before it and the value 24 steps later"
    assert f"2,016 rows, 1 h apart, give 1,824 examples: each is {window}" in report.notes
    assert "models also read hour, weekday of the time that they forecast" in report.notes
    [baseline] = [each for each in report.notes if "a baseline" in each]
    assert baseline.startswith("a baseline, the value 7 days earlier as forecast, has a test rmse of ")
    task = own_task(tmp_path / "data", None, None)
    naive = task.baseline()
    assert naive["name"] == "value 7 days earlier"
    assert naive["score"] == pytest.approx(float(baseline.split(" of ")[-1]), rel=1e-3)
    assert naive["score"] == pytest.approx(2 * np.sqrt(2), rel=0.1)
    last, predictor = trained(tmp_path / "data", "gradient_boosting", tmp_path, 20)
    assert last.metrics["rmse"] < naive["score"]
    future = hourly(13)
    forecasts = predictor.predict(future)[-2 * 168 : -24]
    assert np.sqrt(np.mean((forecasts - future["sold"].to_numpy()[-2 * 168 + 24 :]) ** 2)) < naive["score"]


def test_rows_further_apart_than_those_of_training_are_reported(tmp_path):
    hourly(5).to_csv(tmp_path / "shop.csv", index=False)
    prepare(Request(str(tmp_path / "shop.csv"), "sold", time="when", horizon=1), tmp_path / "data")
    trained(tmp_path / "data", "linear", tmp_path, 1)
    (tmp_path / "linear-model").rename(tmp_path / "model")
    hourly()[::2].to_csv(tmp_path / "new.csv", index=False)
    out = " ".join(invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv").split())
    assert "rows are usually 2 h apart, in the training data 1 h: forecasts may be wrong" in out
    hourly()[-400:].to_csv(tmp_path / "new.csv", index=False)
    out = " ".join(invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv").split())
    assert " apart," not in out


def test_hours_that_are_missing_do_not_shift_the_week(tmp_path):
    rng = np.random.default_rng(1)
    whole = hourly(16)
    gaps = whole.drop(index=rng.choice(np.arange(1, len(whole) - 1), 60, replace=False))
    gaps.to_csv(tmp_path / "shop.csv", index=False)
    report = prepare(Request(str(tmp_path / "shop.csv"), "sold", time="when", horizon=24), tmp_path / "data")
    [missing] = [note for note in report.notes if " no row: they count for the horizon" in note]
    assert 50 <= int(missing.split()[0]) <= 60
    assert not any("steps vary" in note for note in report.notes)
    naive = own_task(tmp_path / "data", None, None).baseline()
    assert naive["name"] == "value 7 days earlier"
    assert naive["score"] < 4.0, "a shifted week has one of 10"
    trained(tmp_path / "data", "linear", tmp_path, 1)
    (tmp_path / "linear-model").rename(tmp_path / "model")
    new = hourly(18)[-340:].drop(index=17 * 168)
    new.to_csv(tmp_path / "new.csv", index=False)
    out = " ".join(invoke("predict", tmp_path, "--data", tmp_path / "new.csv", "--out", tmp_path / "o.csv").split())
    assert "1 step between others has no row" in out
    assert len(pd.read_csv(tmp_path / "o.csv")) == 340 - 1 - load_encoder(tmp_path / "data" / "encoder")[0].reach + 1


def test_networks_and_others_read_the_same_values(tmp_path):
    hourly(5).assign(rain=1.0 * (np.arange(5 * 168) % 5)).to_csv(tmp_path / "shop.csv", index=False)
    prepare(Request(str(tmp_path / "shop.csv"), "sold", time="when", horizon=3), tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    rows, each = (load_data(str(tmp_path / "data" / view), None) for view in ("rows", "windows"))
    n, steps = encoder.layout.window, len(encoder.layout.steps)
    assert steps > n
    assert rows.inputs.steps == steps
    assert rows.inputs.cardinalities == (25, 8)
    values = rows.x_train[:, : 2 * steps].reshape(len(rows.x_train), 2, steps)
    assert (values[:, :, -n:] == each.x_train[:, :2]).all()
    waves = each.x_train[:, 2:]
    assert waves.shape[1] == each.inputs.n_known == 4
    assert (waves == waves[:, :, :1]).all()
    hours, weekdays = rows.x_train[:, -2], rows.x_train[:, -1]
    angles = np.stack([2 * np.pi * hours / 24, 2 * np.pi * weekdays / 7], 1)
    assert waves[:, :, 0] == pytest.approx(np.concatenate([np.sin(angles), np.cos(angles)], 1), abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (20, "20 s"), (60, "1 min"), (1_800, "30 min"), (5_400, "1.5 h"), (86_400, "1 day"), (604_800, "7 days"),
        (31 * 86_400, "1 month"), (91 * 86_400, "3 months"), (45 * 86_400, "1.48 months"), (365 * 86_400, "1 year"),
    ],
)  # fmt: skip
def test_steps_in_words(seconds, said):
    assert in_words(seconds) == said
