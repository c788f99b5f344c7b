"""Users' tables: unusual files, reports, learning, predicting."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from processes import command, invoke
from sklearn.datasets import load_breast_cancer, load_diabetes
from user_models import trained

from automl.continual.new_data import read_new
from automl.data.datasets.registry import load_data
from automl.data.ingest.encoder import n_different
from automl.data.ingest.file_formats import CELLS, open_source
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import Facts, group_hashes, groups_of, prepare
from automl.data.ingest.read_table import read_table, reading_watched
from automl.data.ingest.request import Request
from automl.data.ingest.split import at_random, by_copies, by_group, by_time, without_duplicates
from automl.data.ingest.target import label
from automl.deployment.predictor import load_predictor
from automl.errors import UserError
from automl.tasks.user_data import own_task
from automl.training.base import evaluate


@pytest.fixture(scope="module")
def houses():
    """Diabetes progression under other names, with gaps, towns, dates, and columns that no model should read."""
    frame = load_diabetes(as_frame=True).frame.rename(columns={"target": "price"})
    rng = np.random.default_rng(0)
    frame.loc[rng.random(len(frame)) < 0.1, "bmi"] = np.nan
    frame["sex"] = np.where(frame["sex"] > 0, "male", "female")
    frame["town"] = rng.choice(["Bath", "Café du Nord", "Århus"], len(frame))
    frame["sold"] = pd.date_range("2020-01-01", periods=len(frame)).strftime("%d.%m.%Y")
    frame["id"] = range(1000, 1000 + len(frame))
    frame["country"] = "x"
    frame["price again"] = frame["price"]
    frame["code"] = [f"k{i:05d}" for i in rng.permutation(len(frame))]
    return frame


@pytest.fixture
def csv(houses, tmp_path):
    file = tmp_path / "houses.csv"
    houses.to_csv(file, index=False)
    return file


def prepared(file, folder, target="price", **said):
    report = prepare(Request(str(file), target, **said), folder)
    return report, Facts.read(folder), load_data(str(folder / "columns"), None)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"sep": ";", "decimal": ",", "encoding": "cp1252"},
        {"sep": "\t", "encoding": "utf-16"},
        {"encoding": "utf-32"},
        {"encoding": "utf-8-sig", "sep": "|"},
        {"quoting": 1},
    ],
)
def test_every_dialect_gives_the_same_rows(how, houses, tmp_path):
    file = tmp_path / "houses.csv"
    houses.to_csv(file, index=False, **how)
    frame = read_table(file).frame
    assert list(frame) == list(houses)
    assert frame["town"].astype(str).tolist() == houses["town"].tolist()
    for name in ("bmi", "price", "id"):
        assert np.allclose(frame[name], houses[name], equal_nan=True, rtol=1e-5)


def test_a_first_line_for_excel_gives_the_separator(houses, csv, tmp_path):
    file = tmp_path / "excel.csv"
    file.write_text("sep=^\n" + houses.to_csv(sep="^", index=False))
    pd.testing.assert_frame_equal(read_table(file).frame, read_table(csv).frame)
    file.write_text("sep=;\na;b\n1;2\n3;4;5\n")
    with pytest.raises(UserError, match="line 4 has 3 values, but the header has 2 columns"):
        read_table(file)


def test_parquet_gives_the_same_rows_as_csv(houses, csv, tmp_path):
    houses.to_parquet(tmp_path / "houses.parquet")
    pd.testing.assert_frame_equal(
        read_table(csv).frame.select_dtypes("number"),
        read_table(tmp_path / "houses.parquet").frame.select_dtypes("number"),
    )


def test_a_file_in_chunks_has_the_categories_of_all_and_little_memory(tmp_path):
    n = CELLS // 4 + 10_000
    with (tmp_path / "long.csv").open("w") as file:
        file.write("a,b,c,d\n")
        for start in range(0, n, 10_000):
            word = "early" if start < n // 2 else "late"
            file.writelines(f"{i % 97},{word},1.5,{i}\n" for i in range(start, min(start + 10_000, n)))
    frame = read_table(tmp_path / "long.csv").frame
    assert len(frame) == n
    assert set(frame["b"].cat.categories) == {"early", "late"}
    assert frame["d"].iloc[-1] == n - 1
    assert frame.memory_usage(deep=True).sum() < 14 * n


def test_large_whole_numbers_stay_exact(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n" + "".join(f"{10**9 + i},{i}\n" for i in range(50)))
    frame = read_table(tmp_path / "a.csv").frame
    assert frame["id"].nunique() == 50
    assert frame["x"].dtype == np.float32


@pytest.mark.parametrize("sign", ["?", "-", "\u2013", ".", "NA", ""])
def test_signs_for_nothing_among_numbers_are_missing_values_however_many(sign, tmp_path):
    file = tmp_path / "signs.csv"
    pd.DataFrame({"x": ["1.5", sign, "-2", sign], "y": 1}).to_csv(file, index=False)
    table = read_table(file)
    assert table.frame["x"].tolist() == pytest.approx([1.5, np.nan, -2.0, np.nan], nan_ok=True)
    assert table.notes == []


def test_signs_elsewhere_are_what_they_are(tmp_path):
    rows = {"strand": ["+", "-", "+", "-"], "text": [".", "*", "-", "a"], "only": ["-"] * 4}
    pd.DataFrame(rows).to_csv(tmp_path / "signs.csv", index=False)
    frame = read_table(tmp_path / "signs.csv", texts=["text"]).frame
    assert {name: frame[name].astype(str).tolist() for name in rows} == rows


def test_a_few_words_in_a_column_of_numbers_are_reported(tmp_path):
    rows = [str(i) for i in range(100)]
    rows[40] = "12 EUR"
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{row},{i}\n" for i, row in enumerate(rows)))
    table = read_table(tmp_path / "a.csv")
    assert table.frame["x"].isna().sum() == 1
    assert table.notes == [
        "column 'x' is numeric, but 1 of its values is not a number, '12 EUR' in row 41: it counts as missing"
    ]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"x,y\n", "has no rows after its header"),
        (
            "a.csv",
            b"x,y\n1,2\n1,2,3\n",
            "line 3 has 3 values, but the header has 2 columns; is a value that contains ',' not",
        ),
        ("a.csv", b"x,y\n1,2,3\n1,2,3\n", "has a row with more values than the 2 columns"),
        ("a.csv", b"x,x\n1,2\n", "two columns named 'x'"),
        ("a.csv", b"\x00\x01\x02", "is not a text file"),
        ("a.parquet", b"PAR", "is not a Parquet file"),
        ("a.feather", b"", "is not a table .*, a .ts file or a folder of images"),
    ],
)
def test_bad_files_are_named_with_the_rule(name, content, line, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=line):
        prepare(Request(str(tmp_path / name), "y"), tmp_path / "out")


@pytest.mark.parametrize("features", [["a"], ["a", "b"]])
def test_a_parquet_file_without_rows_is_answered(features, tmp_path):
    pd.DataFrame(columns=[*features, "y"], dtype=float).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="has no rows after its header"):
        prepare(Request(str(tmp_path / "a.parquet"), "y"), tmp_path / "out")


def test_a_file_without_rows_has_its_columns_in_both_formats(tmp_path):
    frame = pd.DataFrame({"a": pd.Series(dtype=float), "b": pd.Series(dtype=str)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        [chunk] = open_source(tmp_path / name).chunks(["b"])
        assert list(chunk) == ["b"]
        assert len(chunk) == 0


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"target": "prise"}, "--target 'prise' is not a column of the file; did you mean 'price'?"),
        ({"target": None}, "--target NAME; the file has: age, sex"),
        ({"group": "towns"}, "--group 'towns' is not a column of the file; did you mean 'town'?"),
        ({"kind": "tabel"}, "unknown --kind 'tabel'; did you mean 'table'?"),
        ({"target": "town", "kind": "regression"}, "the target 'town' is not numeric: row 1 has"),
        ({"target": "country"}, "the target 'country' is always x: there is nothing to predict"),
        ({"horizon": 3}, "--horizon needs a time column"),
    ],
)
def test_what_was_said_wrongly_is_answered(said, line, csv, tmp_path):
    with pytest.raises(UserError) as error:
        prepare(Request(str(csv), **{"target": "price"} | said), tmp_path / "out")
    assert line in str(error.value)


@pytest.mark.parametrize(
    ("broken", "said", "line"),
    [
        (
            ["#DIV/0!"],
            {},
            "'y' has numbers, but 30 of its 100 values are not, such as '#DIV/0!'; correct or empty these",
        ),
        (["#DIV/0!", "low"], {}, "'y' has numbers, but 30 of its 100 values are not, such as '#DIV/0!'"),
        ([1e39], {"kind": "regression"}, None),
        (["low"], {"kind": "regression"}, "'y' is not numeric: row 1 has 'low'; correct it"),
        (["low"], {"kind": "classification"}, "'y' needs two classes with at least 5 rows each, it has 1; give more"),
    ],
)
def test_a_target_of_numbers_with_other_values_is_no_class(broken, said, line, tmp_path):
    rng = np.random.default_rng(0)
    y = pd.Series(rng.normal(size=100), dtype=object)
    y[:30] = (broken * 30)[:30]
    pd.DataFrame({"x": rng.normal(size=100), "y": y}).to_csv(tmp_path / "a.csv", index=False)
    request = Request(str(tmp_path / "a.csv"), target="y", **said)
    if line is None:
        assert prepare(request, tmp_path / "out").facts["rows"] == "100, usable 70"
        return
    with pytest.raises(UserError) as error:
        prepare(request, tmp_path / "out")
    assert line in str(error.value)


def test_codes_with_a_word_for_unknown_are_classes():
    labelled = label(pd.Series(["1", "2", "3", "unknown"] * 10, dtype="category"), "y", None)
    assert labelled.classes == ("1", "2", "3", "unknown")


@pytest.mark.parametrize("factor", [1e-46, 1e-14, 1e20])
def test_a_target_whose_squared_errors_float32_cannot_hold_is_refused(factor):
    with pytest.raises(UserError, match=r"the target 'y' has a standard deviation of .*; give it in another unit"):
        label(pd.Series(np.random.default_rng(0).normal(size=100) * factor), "y", None)
    with pytest.raises(UserError, match=r"'y' must be a number of at most 3.4e\+38 in size: row 2 has 1e\+39; correct"):
        label(pd.Series([1.5, 1e39, 2.0]), "y", None)


def test_the_report_counts_usable_rows_only(tmp_path):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=100), "y": np.arange(100.0) ** 2})
    pd.concat([frame, pd.DataFrame({"x": [np.nan] * 9, "y": np.nan})]).to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), target="y"), tmp_path / "out")
    assert (report.facts["missing"], report.facts["duplicates"]) == ("none", "none")


def test_a_file_that_is_not_there_is_answered_with_the_nearest(csv):
    with pytest.raises(UserError, match="did you mean"):
        Request(str(csv.parent / "house.csv")).checked()


def test_a_tsv_of_one_column_may_hold_commas(tmp_path):
    (tmp_path / "new.tsv").write_text("en\nYes, I do.\nNo, thanks; later, perhaps.\n")
    [frame] = open_source(tmp_path / "new.tsv").chunks(None)
    assert frame["en"].tolist() == ["Yes, I do.", "No, thanks; later, perhaps."]


@pytest.mark.parametrize("rows_of_a_chunk", [2, 10])
@pytest.mark.parametrize("start", ["", "\n", "sep=;\n\n"])
def test_an_empty_line_of_one_column_is_an_example_except_at_the_end(start, rows_of_a_chunk, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.data.ingest.file_formats.ROWS", rows_of_a_chunk)
    monkeypatch.setattr("automl.data.ingest.file_formats.CELLS", 0)
    (tmp_path / "new.txt").write_text(start + 'en\nYes\n\n\nNo\n?\n"It\n\nis"\n\n \n\n')
    frame = pd.concat(open_source(tmp_path / "new.txt").chunks(written=["en"]))
    assert frame["en"].fillna("").tolist() == ["Yes", "", "", "No", "", "It\n\nis"]


# --- what is learnt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("largest", "noted"), [(900.0, True), (3.0, False)])
def test_a_few_extreme_values_of_a_target_are_noted(tmp_path, largest, noted):
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    y[17] = largest
    pd.DataFrame({"x": rng.random(200), "price": y}).to_csv(tmp_path / "prices.csv", index=False)
    report = prepare(Request(str(tmp_path / "prices.csv"), target="price"), tmp_path / "data")
    assert any("'price' has extreme values (1, up to 900;" in note for note in report.notes) == noted


def test_a_category_of_many_levels_stays_if_most_rows_share_theirs(tmp_path):
    rng = np.random.default_rng(0)
    levels = np.concatenate([np.repeat(np.arange(200), 2), np.arange(200, 380)])  # 380 levels, 400 of 580 rows share
    frame = pd.DataFrame({"level": [f"l{level}" for level in levels], "x": rng.random(580), "price": rng.random(580)})
    frame.to_csv(tmp_path / "levels.csv", index=False)
    report = prepare(Request(str(tmp_path / "levels.csv"), target="price"), tmp_path / "data")
    assert report.facts["columns"] == "2 used: numbers 1, categories 1"


def test_columns_that_tell_nothing_or_too_much_are_left_out(csv, tmp_path):
    report, facts, splits = prepared(csv, tmp_path / "data")
    told = "\n".join(report.notes)
    for name, why in {
        "id": "it numbers the rows", "country": "it is constant", "price again": "it equals the target 'price'",
        "code": "most of its values occur only once",
    }.items():  # fmt: skip
        assert f"column '{name}' is left out: {why}" in told
    assert (facts.kind, facts.target_kind) == ("table", "number")
    assert report.facts["columns"] == "12 used: numbers 9, categories 2, dates 1"
    assert [len(splits.y_train), len(splits.y_valid), len(splits.y_test)] == [266, 88, 88]
    assert np.isnan(splits.x_train).any()
    usual = own_task(tmp_path / "data", None, "mae").baseline()
    assert usual["name"] == "training median"
    assert usual["score"] == pytest.approx(np.abs(splits.y_test - np.median(splits.y_train)).mean(), rel=1e-3)
    encoder = json.loads((tmp_path / "data" / "encoder" / "encoder.json").read_text())
    by_name = {column["name"]: column for column in encoder["columns"]}
    assert by_name["sold"]["form"] == "%d.%m.%Y"
    assert set(by_name["sold"]["parts"]) == {"days", "month", "day_of_week"}
    assert set(by_name["town"]["categories"]) == {"Bath", "Café du Nord", "Århus"}


def test_only_a_column_that_tells_the_target_is_a_leak(tmp_path):
    rng = np.random.default_rng(0)
    churn = np.array(["yes", "no", "late"])[rng.integers(0, 3, 600)]
    code = np.char.upper(churn).astype(object)
    frame = pd.DataFrame({"x": rng.normal(size=600), "code": code, "churn": churn})
    frame["partly"] = np.where(rng.random(600) < 0.3, None, code)
    frame["if late"] = np.where(churn == "late", "late fee", None)  # says nothing of yes and no
    frame["rare"] = np.where((churn == "yes") & (rng.random(600) < 0.1), "x", None)
    frame["lab"] = np.where(np.arange(600) % 35 == 0, rng.normal(size=600), np.nan)
    frame.to_csv(tmp_path / "a.csv", index=False)
    report, _, _ = prepared(tmp_path / "a.csv", tmp_path / "data", "churn")
    leaks = [note.split("'")[1] for note in report.notes if "(a leak)" in note]
    assert leaks == ["code", "partly"]

    frame["churned"] = np.where(churn == "yes", "yes", "no")
    frame["reason"] = np.where(churn == "yes", "moved", None)
    frame[["x", "reason", "churned"]].to_csv(tmp_path / "b.csv", index=False)
    report, _, _ = prepared(tmp_path / "b.csv", tmp_path / "two", "churned")
    assert [note.split("'")[1] for note in report.notes if "(a leak)" in note] == ["reason"]


def test_numbers_of_a_small_table_are_no_leak(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(18, 3)), columns=["a", "b", "y"])
    frame["copy"] = frame["y"]
    frame.to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), target="y", no_test=True), tmp_path / "data")
    assert [note.split("'")[1] for note in report.notes if "(a leak)" in note] == ["copy"]
    assert report.facts["columns"] == "2 used: numbers 2"


def test_a_column_that_numbers_the_rows_is_known_though_some_rows_are_there_twice(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"nr": np.arange(1, 201), "height": rng.permutation(200) * 2.0, "y": rng.normal(size=200)})
    pd.concat([frame, frame[:10]]).to_csv(tmp_path / "a.csv", index=False)
    report, _, _ = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    assert "column 'nr' is left out: it numbers the rows (an id)" in report.notes
    assert report.facts["columns"] == "1 used: numbers 1"
    assert report.facts["duplicates"] == "10"


@pytest.mark.parametrize(
    ("name", "numbers", "left_out"),
    [
        ("rownames", np.arange(1, 401, 2), "it is a saved row index"),  # of a subset of the rows
        ("obs", np.arange(1, 401, 2), "it numbers the rows (an id)"),
        ("width", np.arange(1, 401, 2), None),
        ("year", np.arange(1801, 2001), None),
    ],
)
def test_numbers_of_rows_may_have_gaps_and_years_are_no_numbers_of_rows(name, numbers, left_out, tmp_path):
    rng = np.random.default_rng(0)
    pd.DataFrame({name: numbers, "y": rng.normal(size=200), "x": rng.normal(size=200)}).to_csv(
        tmp_path / "a.csv", index=False
    )
    report, _, _ = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    assert [note for note in report.notes if name in note] == [f"column {name!r} is left out: {left_out}"] * bool(
        left_out
    )


def test_one_value_or_none_is_an_input(tmp_path):
    rng = np.random.default_rng(0)
    pool = rng.random(200) < 0.3
    frame = pd.DataFrame(
        {"pool": np.where(pool, "Y", None), "x": rng.normal(size=200), "y": pool + rng.normal(size=200)}
    )
    frame.assign(almost=["a"] * 199 + [None]).to_csv(tmp_path / "a.csv", index=False)
    report, _, splits = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    assert "column 'almost' is left out: it is constant" in report.notes
    assert set(np.unique(splits.x_train[:, 1])) == {0, 1}


def test_a_note_says_that_many_whole_numbers_are_classes(tmp_path):
    pd.DataFrame({"x": np.arange(200) * 1.5, "grade": np.arange(200) % 12}).to_csv(tmp_path / "a.csv", index=False)
    report, _, _ = prepared(tmp_path / "a.csv", tmp_path / "data", "grade")
    assert any("the 12 whole numbers of 'grade' are treated as classes" in note for note in report.notes)


def test_statistics_are_those_of_the_training_part_and_categories_also_those_of_the_validation_part(tmp_path):
    n = 200
    frame = pd.DataFrame(
        {"time": range(n), "x": np.arange(n) * 1.5, "c": ["old"] * 130 + ["later"] * 30 + ["new"] * 40}
    )
    frame["y"] = np.random.default_rng(0).normal(size=n)
    frame.to_csv(tmp_path / "a.csv", index=False)
    report, _, splits = prepared(tmp_path / "a.csv", tmp_path / "data", "y", time="time")
    assert "by time" in report.facts["split"]
    assert (
        splits.x_train[:, 0].max()
        < splits.x_valid[:, 0].min()
        <= splits.x_valid[:, 0].max()
        < splits.x_test[:, 0].min()
    )
    assert splits.inputs.mean[0] == splits.x_train[:, 0].mean()
    assert splits.target.mean == pytest.approx(splits.y_train.mean())
    assert splits.inputs.cardinalities == (3,)
    assert splits.x_valid[-1, 1] != 0
    assert splits.x_test[-1, 1] == 0  # a category that no model has seen


@pytest.mark.parametrize(("n", "parts"), [(24 * 60, ("day_of_week", "hour")), (24 * 20, ("hour",)), (24 * 5, ())])
@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M", "%d/%m/%Y %H:%M"])
def test_of_dates_that_order_the_rows_a_model_reads_what_recurs(n, parts, form, tmp_path):
    rng = np.random.default_rng(0)
    when = pd.date_range("2024-01-20", periods=n, freq="h")
    frame = pd.DataFrame({"at": when.strftime(form), "x": rng.normal(size=n)})
    frame["y"] = frame["x"] + 5 * (when.hour > 12) + rng.normal(0, 0.1, n)
    frame[: n - 48].to_csv(tmp_path / "a.csv", index=False)
    request = Request(str(tmp_path / "a.csv"), "y", time="at")
    report = prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    assert Facts.read(tmp_path / "data").folds == "time"
    [found] = [column.parts for column in encoder.table.columns if column.role == "date"] or [()]
    assert found == parts
    said = ", ".join(parts).replace("day_of_week", "weekday")
    assert (f"of 'at', models only read what recurs: {said}" in report.notes) == bool(parts)
    *_, predictor = trained(tmp_path / "data", "gradient_boosting", tmp_path, 20)
    error = predictor.predict(frame[n - 48 :]) - frame["y"][n - 48 :]
    assert (np.abs(error).mean() < 1.0) == bool(parts)
    frame.to_csv(tmp_path / "grown.csv", index=False)
    grown = replace(request, data=str(tmp_path / "grown.csv"))
    target = load_data(str(tmp_path / "data" / "columns"), None).target
    assert len(read_new(encoder, grown, target, tmp_path / "data").y) == 48


@pytest.mark.parametrize(
    ("frequency", "form", "parts"),
    [("MS", "%b %Y", ("month",)), ("D", "%Y-%m-%d 22:00", ("month", "day_of_week")), ("YS", "%Y-%m-%d", ())],
)
def test_what_recurs_is_longer_than_two_steps(frequency, form, parts, tmp_path):
    rng = np.random.default_rng(0)
    when = pd.date_range("1960-01-01", periods=60 if frequency == "YS" else 1_500, freq=frequency)
    frame = pd.DataFrame({"at": when.strftime(form), "x": rng.normal(size=len(when)), "y": rng.normal(size=len(when))})
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "y", time="at"), tmp_path / "data")
    table = load_encoder(tmp_path / "data" / "encoder")[0].table
    assert next((column.parts for column in table.columns if column.role == "date"), ()) == parts


def test_rows_that_are_equal_at_other_times_are_duplicates(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=1_000), "y": rng.normal(size=1_000)})
    frame = pd.concat([frame, frame[:400]]).assign(at=pd.date_range("2024-01-01", periods=1_400, freq="h"))
    frame.to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), "y", time="at"), tmp_path / "data")
    assert "400" in report.facts["duplicates"]


def test_dates_alone_are_no_table(tmp_path):
    frame = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=400), "y": np.arange(400) % 7})
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="to forecast 'y' from its own past, give --horizon too"):
        prepare(Request(str(tmp_path / "a.csv"), "y", time="at"), tmp_path / "data")


def test_numbers_far_from_0_keep_their_differences(tmp_path):
    rng = np.random.default_rng(0)
    seconds, x, far = rng.integers(0, 3_600, 300), rng.normal(size=300), 1_700_000_000
    frame = pd.DataFrame({"at": far + seconds, "mass": 1e6 + x, "x": x, "y": far + x})
    frame.to_csv(tmp_path / "a.csv", index=False)
    _, _, splits = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    at, mass, offset = *(column.offset for column in encoder.table.columns[:2]), splits.target.offset
    assert offset == pytest.approx(far)
    assert splits.y_train + np.float64(offset - far) == pytest.approx(splits.x_train[:, 2], abs=1e-6)
    for n in (1, 300):  # a file of one row has no spread
        frame.head(n).drop(columns="y").to_csv(tmp_path / "new.csv", index=False)
        found = encoder.encode(encoder.as_frame(tmp_path / "new.csv"))["columns"].astype(float)
        assert found[:, 0] + at - far == pytest.approx(seconds[:n])
        assert found[:, 1] + (mass - 1e6) == pytest.approx(x[:n], abs=1e-6)
        assert found[:, 2] == pytest.approx(x[:n])


def test_numbers_in_small_units_are_as_far_apart_as_others(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    frame = pd.DataFrame({"molar": 1e-9 * x, "near": 1.0 + 1e-6 * x, "x": x, "y": rng.normal(size=300)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    _, _, splits = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    assert [column.unit for column in encoder.table.columns] == [2.0**-29, 2.0**-19, 1.0]
    for numbers in splits.x_train.T:
        assert 0.5 < numbers.std() < 2.0
        assert np.abs(np.corrcoef(numbers, splits.x_train[:, 2])[0, 1]) > 0.9999
    new = pd.DataFrame({"molar": [3e38], "near": [1.0], "x": [0.0]})  # in another unit, by mistake
    assert np.isfinite(encoder.encode(encoder.as_frame(new))["columns"]).all()


def test_moments_of_one_day_keep_their_seconds(tmp_path):
    seconds = np.random.default_rng(0).integers(0, 600, 200)
    at = pd.Timestamp("2024-05-01 12:00") + pd.to_timedelta(seconds, unit="s")
    frame = pd.DataFrame({"at": at, "y": seconds + 0.5 * (np.arange(200) % 3)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    days = encoder.encode(encoder.as_frame(tmp_path / "a.csv"))["columns"][:, 0].astype(float)
    assert 86_400 * (days - days[0]) == pytest.approx(seconds - seconds[0], abs=0.01)


def test_a_category_is_the_same_however_its_file_has_it(tmp_path):
    codes = np.array(["1", "2", "x"])[np.arange(120) % 3]
    pd.DataFrame({"c": codes, "x": np.arange(120) * 1.5, "y": np.arange(120) % 2}).to_csv(
        tmp_path / "a.csv", index=False
    )
    prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    (tmp_path / "b.csv").write_text("c,x\n1,1\n2,1\n,1\n")  # numbers, with one missing
    from_file, known = encoder.encode(read_table(tmp_path / "b.csv").frame), encoder.table.columns[-1].categories
    assert from_file["columns"][:, 1].tolist() == [known.index("1") + 1, known.index("2") + 1, 0]


def test_copies_stay_in_one_part_and_contradictions_are_told(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    frame = pd.DataFrame({"x": np.r_[x, x[:60]], "y": np.r_[x > 0, x[:60] < 0].astype(int)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    report, _, splits = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    assert report.facts["duplicates"] == "60"
    assert "120 rows are equal to others, some of which have a different label" in report.notes
    train, valid, test = (set(x[:, 0].tolist()) for x in (splits.x_train, splits.x_valid, splits.x_test))
    assert not train & valid
    assert not (train | valid) & test
    assert "copies of an example in the same set" in report.facts["split"]
    assert len(splits.y_train) + len(splits.y_valid) + len(splits.y_test) == 360


def test_groups_stay_together_and_parts_have_their_sizes():
    groups = np.random.default_rng(0).integers(0, 30, 1_000)
    parts = by_group(groups, "column 'g'")
    seen = [set(groups[part]) for part in parts]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]
    assert sorted(np.concatenate(list(parts))) == list(range(1_000))
    assert 150 < len(parts.test) < 250
    with pytest.raises(UserError, match="at least three groups"):
        by_group(np.zeros(100), "column 'g'")


def test_groups_are_told_apart_as_they_are_spelled(tmp_path):
    frame = pd.DataFrame({"x": np.arange(200) % 71, "y": np.arange(200.0) ** 2})
    frame["group"] = [str(1234567890123456700 + i % 20) for i in range(200)]
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "y", group="group"), tmp_path / "data")
    assert len(np.unique(groups_of(tmp_path / "data", "train", "valid", "test"))) == 20


def test_a_group_is_recognised_in_a_file_that_spells_its_number_in_another_way():
    assert len(set(group_hashes(np.array(["1", "01", "1.0", "001"])).tolist())) == 1
    apart = ["1", "1.5", "A1", "a1", "1234567890123456789", "1234567890123456788"]
    assert len(set(group_hashes(np.array(apart)).tolist())) == len(apart)


def test_rows_of_one_time_stay_together():
    times = np.repeat(np.arange(20), 10)
    parts = by_time(times)
    assert times[parts.train].max() < times[parts.valid].min()
    assert times[parts.valid].max() < times[parts.test].min()


def test_no_row_of_training_is_in_a_later_part():
    parts, gone = without_duplicates(at_random(np.arange(100) % 2), np.arange(100) // 2)
    keys = [set((part // 2).tolist()) for part in parts]
    assert not keys[0] & (keys[1] | keys[2])
    assert gone > 0


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3] * 30, "classes"),
        ([0.0, 1.0, np.nan] * 30, "classes"),
        (list(range(90)), "number"),
        ([0.5, 1.5, 2.5] * 30, "number"),
        (["a", "b", None] * 30, "classes"),
        ([True, False] * 45, "classes"),
    ],
)
def test_the_kind_of_target_is_found(values, kind):
    found = label(pd.Series(values), "y", None)
    assert bool(found.classes) == (kind == "classes")
    assert not any("." in name for name in found.classes)


def test_rare_classes_are_left_out_and_imbalance_is_reported(tmp_path):
    frame = pd.DataFrame({"x": np.arange(300) * 1.5, "y": ["common"] * 250 + ["rare"] * 47 + ["single"] * 3})
    frame.to_csv(tmp_path / "a.csv", index=False)
    report, facts, splits = prepared(tmp_path / "a.csv", tmp_path / "data", "y")
    assert splits.classes == ("common", "rare")
    assert facts.imbalanced
    assert any(
        "classes with fewer than 5 rows are left out: single (1, with 3 rows in all)" in note for note in report.notes
    )
    (note,) = [note for note in report.notes if "covers 84.2%" in note]
    assert "class weights" not in note, "only searches with a named strategy have them"
    assert "class_weight" in own_task(tmp_path / "data", None, "auc").space


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gradient_boosting", "mlp"])
def test_new_rows_are_judged_as_in_training(family, houses, csv, tmp_path):
    _, _, splits = prepared(csv, tmp_path / "data")
    task = own_task(tmp_path / "data", family, None)
    config = {
        name: value.item() if hasattr(value, "item") else value
        for name, value in dict(task.space.get_default_configuration()).items()
    }
    list(task.train(config, seed=0, epochs=2, checkpoint=tmp_path / "training", device="cpu"))
    task.export(tmp_path / "training", tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    predicted = predictor.predict(csv)
    scores = evaluate(task, tmp_path / "training", device="cpu")
    x = torch.from_numpy(splits.x_test)
    own = predictor.model.preprocessing.target.predictions(predictor.model(x))
    assert np.sqrt(np.mean((own - splits.y_test) ** 2)) == pytest.approx(scores["rmse"])
    encoded = predictor.encoder.encode(read_table(csv).frame)["columns"]
    where = [int(np.flatnonzero((np.nan_to_num(encoded) == np.nan_to_num(row)).all(1))[0]) for row in splits.x_test]
    assert np.allclose(predicted[where], own, rtol=1e-6)

    new = houses.drop(columns=["price", "id", "code"]).head(3).assign(town="Nowhere", bmi=None, extra=1)
    assert np.isfinite(predictor.predict(new)).all()
    with pytest.raises(UserError, match="the column 'bmi' is missing"):
        predictor.predict(new.drop(columns="bmi"))
    with pytest.raises(UserError, match="only classifiers have probabilities"):
        predictor.predict_proba(new)


@pytest.mark.parametrize("name", ["big.csv", "big.parquet"])
def test_how_far_reading_is_can_be_watched(name, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.data.ingest.file_formats.CELLS", 40_000)
    frame = pd.DataFrame({"a": np.arange(300_000), "b": np.arange(300_000) % 7})
    frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
    shares = []
    with reading_watched(lambda share, n_rows: shares.append(share)):
        read_table(tmp_path / name)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert shares[-1] == 1
    n = len(shares)
    read_table(tmp_path / name)
    assert len(shares) == n  # nobody watches any more


@pytest.mark.slow
def test_from_a_file_to_a_tuned_model_and_on_with_resume(tmp_path):
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "diagnosis"})
    frame["diagnosis"] = frame["diagnosis"].map({0: "malignant", 1: "benign"})
    frame.to_csv(tmp_path / "cells.csv", index=False)
    common = ["--strategy", "random", "--epochs", 2, "--workers", 1, "--final-seeds", 1, "--no-learn"]
    out, _ = command(
        "run", "--data", "cells.csv", "--target", "diagnosis", "--metric", "auc", "--model", "mlp,random_forest",
        "--trials", 3, *common, "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert "table, classification of 'diagnosis'" in out
    assert "2; benign: 357, malignant: 212" in out
    assert "auc on test" in out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["task"] == "cells-diagnosis"
    assert summary["final"]["chosen"][0] > 0.9
    assert summary["best"]["loss"] == pytest.approx(1 - summary["best"]["metrics"]["auc"])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".automl")]
    (tmp_path / "run").rename(tmp_path / "moved")
    command("run", "--resume", "--out", "moved", "--trials", 4, cwd=tmp_path)
    assert json.loads((tmp_path / "moved" / "summary.json").read_text())["n_trials"] == 4
    predictor = load_predictor(tmp_path / "moved" / "model")
    assert (predictor.predict(frame) == frame["diagnosis"]).mean() > 0.9
    assert predictor.predict_proba(frame.head(2)).sum(1) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--data", "none.csv"], "there is no file or folder 'none.csv'"),
        (["--data", "a.csv", "--target", "z"], "--target 'z' is not a column of the file; it has: x, y"),
        (
            ["--data", "a.csv", "--target", "y", "--metric", "auc"],
            "'auc' is not a metric for regression",
        ),
        (["--data", "a.csv", "--target", "y", "--model", "cnn"], "--model 'cnn' does not suit table"),
        (
            ["--data", "a.csv", "--target", "y", "--model", "linear,lightgbm", "--trials", 3],
            "--model lightgbm needs the default plan: leave out --trials",
        ),
        (["--data", "a.csv", "--target", "y", "--task", "digits-cnn"], "give only one of a task"),
        (["--model", "mlp"], "--model is for your own data"),
        (["--target", "price"], "--target must be a number, got 'price'; a column to predict needs --data FILE"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{i / 8},{i * i}\n" for i in range(100)))
    with pytest.raises(UserError) as error:
        invoke("run", *arguments)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.csv"]


@pytest.mark.parametrize("target", ["y", "y,z"])
def test_a_metric_that_does_not_fit_is_refused_before_the_report_on_the_data(target, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("x,y,z\n" + "".join(f"{i / 8},{i * i},{i}\n" for i in range(100)))
    with pytest.raises(UserError, match=r"^'auc' is not a metric for regression; choose one of: rmse, mae, r2$"):
        invoke("run", "--data", tmp_path / "a.csv", "--target", target, "--metric", "auc", "--out", tmp_path / "run")
    assert capsys.readouterr().out in ("", f"reading {tmp_path / 'a.csv'}\n")


def test_an_error_lists_the_last_of_many_columns_and_says_how_many_it_leaves_out(tmp_path):
    names = [f"x{i}" for i in range(40)] + ["price"]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join("1" * 41) + "\n")
    with pytest.raises(UserError, match=r"has: x0, x1, .* x14, \(21 more\), x36, .* x39, price$"):
        prepare(Request(str(tmp_path / "wide.csv")), tmp_path / "out")


@pytest.mark.parametrize("keys", [[], [3], [5, 5, 5], [2, 1, 2, 7]])
def test_different_keys_are_counted(keys):
    assert n_different(np.array(keys, np.uint64)) == len(set(keys))


@pytest.mark.parametrize("hold_out", [True, False])
@pytest.mark.parametrize("largest", [2, 400])
def test_copies_are_in_one_set_none_is_lost_and_classes_and_sizes_are_kept(hold_out, largest):
    keys = np.r_[np.arange(1_000), np.arange(100), np.full(largest, 999)]
    y = (keys % 4 == 0).astype(int)
    parts = by_copies(y, keys, hold_out=hold_out)
    seen = [set(keys[part]) for part in parts]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]
    assert sorted(np.concatenate(list(parts))) == list(range(len(keys)))
    for part in list(parts)[1 : 2 + hold_out]:
        assert len(part) == pytest.approx(len(keys) / 5, abs=3)
        assert 0.2 < y[part].mean() < 0.3
    assert 999 in seen[0]  # many copies of one example would decide the scores of a small set


def test_a_column_of_dates_may_be_empty_in_new_rows(houses, csv, tmp_path):
    prepared(csv, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    houses.head(5).assign(sold=None).to_csv(tmp_path / "new.csv", index=False)
    arrays = encoder.encode(encoder.as_frame(tmp_path / "new.csv"))["columns"]
    dates = [i for i, feature in enumerate(encoder.features) if feature.name.startswith("sold (")]
    assert len(dates) > 1
    assert np.isnan(arrays[:, dates]).all()
    assert not np.isnan(arrays[:, encoder.table.places["age"]]).any()


def test_every_input_of_the_model_has_the_name_of_its_column(houses, tmp_path):
    houses.assign(aaa="2020-01-01").to_csv(tmp_path / "a.csv", index=False)
    _, _, splits = prepared(tmp_path / "a.csv", tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    assert len(encoder.features) == splits.x_train.shape[1]
