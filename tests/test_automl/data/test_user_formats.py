"""Formats in users' tables: numbers, dates, booleans and codes, equal in training and prediction."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.datasets.registry import load_data
from automl.data.ingest import file_formats
from automl.data.ingest.column_checks import determines_target
from automl.data.ingest.columns import ColumnsEncoder, as_dates, date_format
from automl.data.ingest.file_formats import open_source
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.number_formats import as_numbers, decimal_sign, number_of
from automl.data.ingest.prepare import Facts, prepare
from automl.data.ingest.read_table import plain_text, read_table
from automl.data.ingest.request import Request
from automl.data.ingest.split import SplitRows, check_classes
from automl.data.ingest.split_columns import moments
from automl.data.ingest.target import label
from automl.errors import UserError

# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "decimal", "number"),
    [
        ("$1,035", ".", 1035), ("-€ 3.5", ".", -3.5), ("12 %", ".", 12), ("1,234,567.8", ".", 1_234_567.8),
        ("1'000", ".", 1000), ("1\u00a0208", ".", 1208), ("1e5", ".", 1e5), (" 7 ", ".", 7), (True, ".", 1),
        ("1.208", ",", 1208), ("1.234.567,8", ",", 1_234_567.8), ("3,5 €", ",", 3.5), ("12,345", ",", 12.345),
        ("1.5", ",", 1.5), ("1 208,5", ",", 1208.5), ("(1,234)", ".", -1234), ("($1,234.50)", ".", -1234.5),
        ("$(8,210)", ".", -8210), ("\u2212123", ".", -123), ("1,234-", ".", -1234), ("(1.234,5)", ",", -1234.5),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_meant(written, decimal, number):
    assert number_of(written, decimal) == pytest.approx(number)


@pytest.mark.parametrize(
    "written",
    ["", "-", "<0.5", "10 cm", "1,23", "12,3456", "inf", "nan", "1e39", "0x10", None, "1_0", "(A)", "5-10", "--5"],
)
def test_what_is_no_number_is_none(written):
    assert np.isnan(number_of(written))


def test_a_column_of_numbers_keeps_its_places():
    values = pd.Series(["1,000", None, "x", "1,000", "$2"])
    assert np.array_equal(as_numbers(values), [1000, np.nan, np.nan, 1000, 2], equal_nan=True)
    assert np.array_equal(as_numbers(pd.Series([1.0, np.inf, 1e300])), [1, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(as_numbers(pd.Series([True, False])), [1, 0])


@pytest.mark.parametrize(
    ("cells", "sign"),
    [
        (["1,5", "2"], ","), (["0,125"], ","), (["1.208,50"], ","), (["0.125"], "."), (["1,125", "0.5"], "."),
        (["1,5 €", "$2"], ","), (["€ 1.208,50"], ","), (["1.5%"], "."), (["1.208 €"], None),
        (["1,208", "7"], None), (["1.208", "600"], None), (["a", "-" * 99], None), ([], None),
    ],
)  # fmt: skip
def test_the_decimal_sign_of_a_column_is_found(cells, sign):
    assert decimal_sign(cells) == sign


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("x;y\n1.208;1,5\n600;2\n", [1208, 600]),  # as the other column says
        ("x;y\n1.208;0.5\n0.25;2\n", [1.208, 0.25]),
        ("x;y\n1.208;a\n6.000;b\n", [1.208, 6]),  # without a comma anywhere
        ("x;y\n1,208;a\n600;b\n", [1.208, 600]),  # beside semicolons
        ("x\ty\n1,208\ta\n600\tb\n", [1208, 600]),
        ("x\ty\n0,208\ta\n0,600\tb\n", [0.208, 0.6]),
        ("x;y\n1.125;3,4\n0.5;1,2\n", [1.125, 0.5]),  # each column has a sign of its own
        ("x;y\n1.208,50 €;a\n600,00 €;b\n", [1208.5, 600]),  # beside currency and per cent signs too
        ("x;y\n12,125 %;a\n7,250 %;b\n", [12.125, 7.25]),
        ('x,y\n"12,5 %",a\n"7,25 %",b\n', [12.5, 7.25]),
        ('x,y\n"1,208",0.5\n600,2\n', [1208, 600]),
    ],
)
def test_a_file_says_what_its_signs_mean(text, x, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    assert read_table(tmp_path / "a.csv").frame["x"].tolist() == pytest.approx(x)


def test_quoted_decimal_commas_between_commas(tmp_path):
    lines = [f'"{i},5","1,{i:03d}",{i}.5' for i in range(9)]
    (tmp_path / "a.csv").write_text("price,count,size\n" + "\n".join(lines) + "\n")
    frame = read_table(tmp_path / "a.csv").frame
    assert frame["price"].tolist() == [i + 0.5 for i in range(9)]
    assert frame["count"].tolist() == [1000 + i for i in range(9)], "thousands, as nothing says otherwise"
    assert frame["size"].tolist() == [i + 0.5 for i in range(9)]


def test_infinite_and_too_large_values_are_missing_and_reported(tmp_path):
    values = ["1.5", "inf", "2.5", "-Infinity", "1e39", *map(str, range(6))]
    words = ["a", "inf", *"bcdefghij"]
    pd.DataFrame({"x": values, "word": words}).to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv")
    assert table.frame["x"].dtype.kind == "f", "a fifth of infinite values makes no category"
    assert table.frame["x"].isna().tolist() == [False, True, False, True, True, *[False] * 6]
    assert table.notes == [
        "column 'x' has values that are infinite or above 3.4e+38 in size (3, the first in row 2): they count as "
        "missing"
    ]
    assert table.frame["word"].dtype == "category"


def test_numbers_that_float32_takes_for_zero_stay_different(tmp_path):
    pd.DataFrame({"x": [1e-46, 2e-46, 3e-46]}).to_csv(tmp_path / "a.csv", index=False)
    assert read_table(tmp_path / "a.csv").frame["x"].tolist() == [1e-46, 2e-46, 3e-46]


def test_german_thousands_and_a_decimal_comma_far_down(tmp_path):
    rows = [f"{i};{1000 + i:,}".replace(",", ".") for i in range(100)] + ["3,5;600"] * 5
    (tmp_path / "a.csv").write_text("x;turnover\n" + "\n".join(rows) + "\n")
    frame = read_table(tmp_path / "a.csv").frame
    assert frame["turnover"].tolist() == [*range(1000, 1100), *[600] * 5]
    assert frame["x"].iloc[-1] == 3.5


def test_a_column_is_read_the_same_in_every_part_of_a_file(tmp_path, monkeypatch):
    rows = ["0.5\t1,5", *(f"{1 + i % 9},{100 + i}\t2,5" for i in range(800))]
    (tmp_path / "a.tsv").write_text("price\ttags\n" + "\n".join(rows) + "\n")
    whole = read_table(tmp_path / "a.tsv").frame["price"].tolist()
    assert whole[:3] == [0.5, 1100, 2101]
    monkeypatch.setattr(file_formats, "CELLS", 200)
    rows += rows * 3  # more than a thousand rows are a part
    (tmp_path / "a.tsv").write_text("price\ttags\n" + "\n".join(rows) + "\n")
    assert read_table(tmp_path / "a.tsv").frame["price"].tolist() == whole * 4


def test_times_with_fractions_stay_apart(tmp_path):
    days = 2458849.5 + np.arange(500) / 24
    pd.DataFrame({"t": days, "v": np.arange(500) % 7}).to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "v", time="t", horizon=1), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    assert encoder.as_frame(tmp_path / "a.csv")["time"].tolist() == pytest.approx(
        days[encoder.reach - 1 :].tolist(), abs=1e-6
    )


def test_a_column_that_is_nearly_numbers_is_reported(tmp_path):
    pd.DataFrame({"lab": [*map(str, range(90)), *["<0.5"] * 10]}).to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv")
    assert table.frame["lab"].dtype == "category"
    [note] = table.notes[-1:]
    assert "90% of its values are numbers, but others are not, the first '<0.5' in row 91" in note


# --- codes, truth values, None ----------------------------------------------------------------------------------------


@pytest.fixture
def encoder(tmp_path):
    """Of a table with a code that is not always a number, a truth value with gaps, a number and a date."""
    rng = np.random.default_rng(0)
    n = 120
    frame = pd.DataFrame(
        {
            "zip": rng.choice(["00501", "02138", "K1A"], n), "smoker": rng.choice(["TRUE", "FALSE", ""], n),
            "size": rng.normal(size=n).round(2), "y": rng.choice(["None", "Mild", "Severe"], n),
            "seen": pd.date_range("2020-01-01", periods=n).strftime("%m/%d/%Y"),
        }
    )  # fmt: skip
    frame.to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    assert "None" in report.facts["classes"]
    assert Facts.read(tmp_path / "data").kind == "table"
    return load_encoder(tmp_path / "data" / "encoder")[0]


def test_an_example_is_read_the_same_whatever_else_is_in_its_file(encoder, tmp_path):
    new = tmp_path / "new.csv"
    new.write_text("zip,smoker,size,seen\n00501,true,1,01/31/2020\n02138,FALSE,2,02/01/2020\n")
    alone = encoder.encode(encoder.as_frame(new))["columns"]
    [part] = encoder.frames(new, Counter())
    assert np.array_equal(encoder.encode(part)["columns"], alone)
    given = pd.DataFrame(
        {"zip": ["00501", "02138"], "smoker": [True, False], "size": [1, 2], "seen": ["01/31/2020", "02/01/2020"]}
    )
    assert np.array_equal(encoder.encode(given)["columns"], alone)
    assert (alone[:, encoder.table.places["zip"]] > 0).all()
    assert (alone[:, encoder.table.places["smoker"]] > 0).all()
    with new.open("a") as file:
        file.write("K1A,,$3,2/3/2020\n")
    assert np.array_equal(encoder.encode(encoder.as_frame(new))["columns"][:2], alone)


def test_dates_and_durations_of_any_type_are_those_of_training(tmp_path):
    """Arrow's types, which pandas.read_parquet(dtype_backend="pyarrow") gives, Python's own, strings and categories."""
    when = pd.Series(pd.date_range("2020-03-01 00:00", periods=60, freq="7h", unit="us"))
    day, lasts = when.dt.normalize(), (when - when[0]) / 7
    frame = pd.DataFrame({"when": when, "day": day.dt.date, "lasts": lasts, "y": ["a", "b"] * 30})
    frame.to_parquet(tmp_path / "a.parquet")
    prepare(Request(str(tmp_path / "a.parquet"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    wanted = encoder.encode(encoder.as_frame(tmp_path / "a.parquet"))["columns"]
    arrow = {"when": pa.timestamp("ns"), "day": pa.date32(), "lasts": pa.duration("us")}
    written = {
        "when": when.map(lambda moment: moment.isoformat(" ").removesuffix(" 00:00:00")),
        "day": day.astype("str"),
    }
    for other in (
        frame.assign(when=when, day=day, lasts=lasts).astype(
            {name: pd.ArrowDtype(kind) for name, kind in arrow.items()}
        ),
        frame.assign(when=when.astype(object), lasts=[each.to_pytimedelta() for each in lasts]).astype(object),
        frame.assign(**written),
        frame.assign(day=pd.Categorical(day.dt.to_period("D"))),
    ):
        assert encoder.encode(other)["columns"] == pytest.approx(wanted)


def test_a_frame_may_have_other_columns_twice_but_none_of_the_model(encoder):
    frame = pd.DataFrame([["00501", True, 1, "01/31/2020", 0, 0]], columns=["zip", "smoker", "size", "seen", "z", "z"])
    assert len(encoder.encode(encoder.as_frame(frame))["columns"]) == 1
    with pytest.raises(UserError, match="the frame has two columns named 'size'; rename one of them"):
        encoder.encode(encoder.as_frame(pd.concat([frame, frame["size"]], axis=1)))


def test_what_a_model_cannot_read_is_counted(encoder, tmp_path):
    (tmp_path / "new.csv").write_text(
        "zip,smoker,size,seen\n00501,,1 cm,2020-01-01\n99999,TRUE,-,\nK1A,TRUE,inf,01/02/2020\n"
    )
    strange = Counter()
    [frame] = encoder.frames(tmp_path / "new.csv", strange)
    assert np.isnan(encoder.encode(frame)["columns"][:, encoder.table.places["size"]]).all()
    assert +strange == {"zip": 1, "size": 2}
    (tmp_path / "new.csv").write_text("zip,smoker,size,seen\nK1A,,1,soon\n")
    strange = Counter()
    list(encoder.frames(tmp_path / "new.csv", strange))
    assert +strange == {"seen": 1}


def test_the_decimal_sign_of_training_counts_where_a_new_file_does_not_say(tmp_path):
    rows = [f"{1000 + 7 * i:,};{i},5;{'ab'[i % 2]}".replace(",", ".", 1) for i in range(60)]
    (tmp_path / "a.csv").write_text("x;z;y\n" + "\n".join(rows) + "\n")
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    (tmp_path / "new.csv").write_text("x;z\n1.208;1\n7.501;0\n")
    [part] = encoder.frames(tmp_path / "new.csv", Counter())
    for frame in (
        part,
        encoder.as_frame(tmp_path / "new.csv"),
        pd.DataFrame({"x": ["1.208", "7.501"], "z": ["1", "0"]}),
    ):
        assert encoder.encode(frame)["columns"][:, 0].tolist() == [1208, 7501]


def test_a_series_is_read_as_in_training(tmp_path):
    days = pd.date_range("2020-01-06", periods=120, freq="W").strftime("%d/%m/%Y")
    frame = pd.DataFrame({"day": days, "level": [f"{1000 + i:,}".replace(",", ".") for i in range(120)], "z": "0,5"})
    frame.to_csv(tmp_path / "a.csv", index=False, sep=";")
    prepare(Request(str(tmp_path / "a.csv"), "level", time="day", horizon=1), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    new = ["02/11/2022", "09/11/2022", "05/12/2022", "12/12/2022", "02/01/2023", "09/01/2023", "06/02/2023"]
    level = ["1.001", "1.002", "n.v.", "1.004", "1.005", "1.006", "1.007"]
    pd.DataFrame({"day": new, "level": level, "z": 1}).to_csv(tmp_path / "new.csv", index=False, sep=";")
    found = encoder.as_frame(tmp_path / "new.csv")
    assert found["time"].iloc[-1] == pd.Timestamp("2023-02-06")
    records = [{"day": f"2023-02-{day:02d}", "level": 1.0, "z": 1.0} for day in range(1, 20)]
    assert encoder.from_records(records)["time"].iloc[-1] == pd.Timestamp("2023-02-19")
    assert found["window"].iloc[-1][0].tolist() == [1005, 1006, 1006, 1006, 1006, 1007][-encoder.reach :]


def test_words_in_the_numbers_of_a_series_are_counted(tmp_path):
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=120), "level": np.arange(120.0), "z": 0.5})
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "level", time="day", horizon=1), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    new = frame.astype({"level": object}).assign(remark=[*range(119), "none"])
    new.loc[[50, 60, 70], "level"] = ["broken", "-", "broken"]
    new.to_csv(tmp_path / "new.csv", index=False)
    strange = Counter()
    [found] = encoder.frames(tmp_path / "new.csv", strange)
    assert +strange == {"level": 2}
    assert found["known"].isna().sum() == 3


def test_an_infinite_or_huge_number_is_missing(encoder):
    given = pd.DataFrame({"zip": ["K1A"] * 3, "smoker": [None] * 3, "size": [np.inf, -1e300, 2.0], "seen": [None] * 3})
    assert np.isnan(encoder.encode(given)["columns"][:, encoder.table.places["size"]])[:, 0].tolist() == [
        True,
        True,
        False,
    ]


def test_a_table_model_asks_for_a_frame_or_a_file(encoder, tmp_path):
    with pytest.raises(UserError, match="expected a file or a DataFrame with the training columns, got list"):
        encoder.as_frame([{"zip": 1}])
    with pytest.raises(UserError, match="there is no file"):
        encoder.as_frame(tmp_path / "none.csv")


def test_truth_values_are_the_same_in_every_spelling():
    assert [plain_text(value) for value in (True, "TRUE", "true ", np.bool_(True), 1.0, "No ")] == ["True"] * 4 + [
        "1",
        "No",
    ]


def test_classes_that_differ_in_capitals_are_reported():
    found = label(pd.Series(["No", "no", "Yes"] * 10), "y", None)
    assert found.notes == ["classes that differ only in case are treated as different: No, no"]


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "%d/%m/%Y", "%m/%d/%y", "%d.%m.%y", "%m-%d-%Y", "%m/%d/%Y %I:%M %p", "%Y-%m-%d", "%d-%b-%Y",
        "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%y %H:%M",
    ],
)  # fmt: skip
def test_many_different_dates_are_read_in_their_format(form):
    days = pd.Series(pd.date_range("2001-01-01", periods=3_000).strftime(form)).astype("category")
    assert date_format(days) == ("ISO8601" if form == "%Y-%m-%d" else form)


def test_quarters_are_dates_of_a_table_and_other_codes_are_not():
    quarters = pd.Series([f"{year}Q{q}" for year in range(1990, 2020) for q in range(1, 5)], dtype="category")
    assert as_dates(quarters, date_format(quarters)).iloc[5] == pd.Timestamp("1991-04-01")
    assert date_format(pd.Series(["1990Q1", "1990Q2", "1990Q5", "Q1", "19Q1"], dtype="category")) is None


@pytest.mark.parametrize(
    ("written", "first_days"),
    [
        (["Jan 2010", "Feb 2010", "May 2011"], ["2010-01-01", "2010-02-01", "2011-05-01"]),
        (["January 2010", "May 2010"], ["2010-01-01", "2010-05-01"]),
        (["2010 Jan", "2010 May"], ["2010-01-01", "2010-05-01"]),
        (["Jan-10", "May-10"], ["2010-01-01", "2010-05-01"]),
        (["01/2010", "12/2011"], ["2010-01-01", "2011-12-01"]),
        (["2010M01", "2010M12"], ["2010-01-01", "2010-12-01"]),
        (["2020-W53", "2021-W01"], ["2020-12-28", "2021-01-04"]),
        (["2020w53", "2021w01"], ["2020-12-28", "2021-01-04"]),
    ],
)
def test_months_and_weeks_are_their_first_days(written, first_days):
    values = pd.Series(written, dtype="category")
    assert as_dates(values, date_format(values)).tolist() == [pd.Timestamp(day) for day in first_days]


@pytest.mark.parametrize("codes", [["10/12", "3/4"], ["12-2345", "13-4455"], ["2021-W54", "2020-W54"], ["8M", "12M"]])
def test_ratios_and_codes_are_no_months_or_weeks(codes):
    assert date_format(pd.Series(codes, dtype="category")) is None


def test_dates_that_could_be_meant_otherwise_and_those_that_are_none_are_reported(tmp_path):
    days = [f"{1 + i % 12:02d}/{1 + i % 9:02d}/2020" for i in range(99)]
    frame = pd.DataFrame({"day": [*days, "soon"], "x": np.arange(100) % 7 + 0.5, "y": np.arange(100) % 3})
    frame.to_csv(tmp_path / "a.csv", index=False)
    notes = prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data").notes
    assert "the dates in column 'day' are read with the month first; if that is wrong, write 2020-12-31" in notes
    assert "column 'day' holds dates as %m/%d/%Y, but 1 of its values is not one: it counts as missing" in notes


# --- headers and options ----------------------------------------------------------------------------------------------


def test_headers_with_spaces_and_empty_ends(tmp_path):
    (tmp_path / "a.csv").write_text("age, sex, cost,,\n1, m, 2,,\n3, f, 4,,\n")
    assert open_source(tmp_path / "a.csv").names == ["age", "sex", "cost", "Unnamed: 3", "Unnamed: 4"]
    assert read_table(tmp_path / "a.csv").frame["cost"].tolist() == [2, 4]


def test_a_header_with_line_breaks_has_the_separator_of_its_rows(tmp_path):
    (tmp_path / "a.csv").write_text('"price\n(EUR)";"area\n(m2)";town\n1,5;2;a\n3,5;4;b\n')
    assert open_source(tmp_path / "a.csv").names == ["price\n(EUR)", "area\n(m2)", "town"]
    assert read_table(tmp_path / "a.csv").frame["price\n(EUR)"].tolist() == [1.5, 3.5]


def test_a_line_above_the_header_is_reported(tmp_path):
    (tmp_path / "a.csv").write_text("# exported on Monday\na;b\n1;2\n3;4\n")
    (tmp_path / "one.csv").write_text("genres\nAction|Comedy\nDrama|War\n")
    assert open_source(tmp_path / "one.csv").names == ["genres"]
    with pytest.raises(UserError, match=re.escape("must name its 2 columns, separated by ';'")):
        open_source(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"target": "y", "time": "y"}, "--target and --time must be two columns, got 'y' for both"),
        (
            {"target": "y", "kind": "table,regression,classification"},
            "contradicts itself; choose one of: classification",
        ),
        ({"target": "y", "group": "g"}, "the group column 'g' must have a value in every row: row 3 has none"),
        ({"target": "y", "group": "h", "time": "x"}, "--group and --time exclude each other"),
        ({"kind": "images"}, "images must be in a folder"),
        ({"target": "y", "text": "x"}, "--text 'x' holds numbers, not texts"),
        ({"target": "note"}, "no input column is left"),
    ],
)
def test_options_that_do_not_go_together_are_answered(said, line, tmp_path):
    n = 60
    frame = pd.DataFrame(
        {"x": np.arange(n) % 50, "y": np.arange(n) % 2, "g": ["a", "b", None] * 20, "h": list("abcdef") * 10}
    )
    frame["note"] = ["yes", "no", "may be"] * 20
    if said == {"target": "note"}:
        frame = frame[["note"]].assign(id=range(n))
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError) as error:
        prepare(Request(str(tmp_path / "a.csv"), **said), tmp_path / "data")
    assert line in str(error.value)


def test_columns_that_tell_the_target_are_named(tmp_path):
    rng = np.random.default_rng(0)
    size = rng.normal(size=100)
    frame = pd.DataFrame(
        {"cm": size, "inch": size / 2.54, "x": rng.normal(size=100), "kind": np.where(size > 0, "big", "small")}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    for target, told in (("cm", ["inch"]), ("kind", ["cm", "inch"])):
        notes = prepare(Request(str(tmp_path / "a.csv"), target), tmp_path / f"data-{target}").notes
        assert [note.split("'")[1] for note in notes if "alone determines" in note] == told


def test_classes_that_a_part_lacks_are_told_or_refused():
    y = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0, 0])
    told = check_classes(
        SplitRows(np.arange(5), np.arange(5, 8), np.arange(6, 9), "by time: ..."), y, "abc", asked=True
    )
    assert told == ["the test set lacks 1 of 3 classes: c"]
    with pytest.raises(UserError, match="the test set, split by time, has only one class, 'a'; leave --group"):
        check_classes(SplitRows(np.arange(5), np.arange(5, 8), np.arange(8, 10), "by time: ..."), y, "abc", asked=True)
    [told] = check_classes(
        SplitRows(np.arange(5), np.arange(5, 8), np.arange(8, 10), "by scaffold"), y, "abc", asked=False
    )
    assert told == "the test set lacks 2 of 3 classes: b, c"
    with pytest.raises(UserError, match="the test set has no class of the training set: it has c"):
        check_classes(
            SplitRows(np.array([0, 1]), np.array([3, 4]), np.array([2, 5]), "by scaffold"), y, "abc", asked=False
        )


def test_no_column_tells_the_target_where_few_rows_speak_for_it():
    x, alternating = pd.Series(np.random.default_rng(0).random(40_000)), pd.Series([0.0, 1.0] * 20_000)
    assert not determines_target(x, alternating)
    assert not determines_target(x[:100], pd.Series(["a"] * 98 + ["b"] * 2))
    assert determines_target(alternating * 2, alternating)


# --- Parquet and long cells -------------------------------------------------------------------------------------------


def test_parquet_columns_of_other_types_are_read(tmp_path):
    frame = pd.DataFrame(
        {
            "list": [[1, 2], [3]] * 2, "took": pd.to_timedelta([1, 2, 3, 4], "s"), "flag": [True, None, False, True],
            "n": pd.array([1, None, 3, 4], "Int64"), "odd": ["1", "x", "3", "4"],
        },
        index=pd.Index(list("abcd"), name="key"),
    )  # fmt: skip
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    read = table.frame
    columns = ColumnsEncoder.fit(read[["list"]], {}, table.decimals)
    assert columns.encode(pd.read_parquet(tmp_path / "a.parquet")).ravel().tolist() == [1, 2, 1, 2]
    assert read["took"].tolist() == [1, 2, 3, 4]
    assert read["flag"].tolist() == ["True", np.nan, "False", "True"]
    assert read["n"].isna().tolist() == [False, True, False, False]
    assert read["list"].nunique() == 2
    assert read["key"].tolist() == list("abcd")


def test_numbers_that_parquet_holds_as_strings_have_the_decimal_sign_of_their_columns_or_of_the_model(tmp_path):
    file, rng = tmp_path / "a.parquet", np.random.default_rng(0)
    x, area = rng.random(60).round(3), 1_000 + np.arange(60)
    written = pd.Series(x).map("{:.3f}".format).str.replace(".", ",")
    thousands = pd.Series(area).map("{:,}".format).str.replace(",", ".")
    frame = pd.DataFrame({"x": written, "area": thousands, "z": rng.random(60), "y": np.arange(60) / 7})
    for area_as in ("str", "category"):
        frame.astype({"area": area_as}).to_parquet(file)
        table = read_table(file, numeric={"area": True})
        assert table.frame["x"].to_numpy() == pytest.approx(x)
        assert table.frame["area"].tolist() == area.tolist()
        assert table.frame["z"].to_numpy() == pytest.approx(frame["z"].to_numpy())
    frame.to_parquet(file)
    prepare(Request(str(file), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    new = pd.DataFrame({"x": ["1,750", "2,125"], "area": ["1.208", "1.209"], "z": [1.5, 2.5]})
    new.to_parquet(file)
    [chunk] = encoder.frames(file, Counter())
    assert chunk["x"].tolist() == [1.75, 2.125]
    wanted = encoder.encode(new)["columns"]
    assert encoder.encode(chunk)["columns"] == pytest.approx(wanted)
    assert encoder.encode(encoder.as_frame(file))["columns"] == pytest.approx(wanted)


def test_a_column_of_lists_is_read_alike_from_frames_and_files(tmp_path):
    tags = [["red", "new"], ["blue", None], [], ("red", "new")] * 2
    sizes = [[1, None], [2], [3, 4], [1, None]] * 2
    frame = pd.DataFrame({"tags": tags, "sizes": sizes, "kind": [{"code": [1, 2]}, {"code": [3]}] * 4})
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    columns = ColumnsEncoder.fit(table.frame, {}, table.decimals)
    wanted = columns.encode(table.frame)
    assert [len(set(values)) for values in wanted.T] == [3, 3, 2]
    arrow = pd.read_parquet(tmp_path / "a.parquet", dtype_backend="pyarrow")
    for other in (frame, pd.read_parquet(tmp_path / "a.parquet"), arrow):
        assert np.array_equal(columns.encode(other), wanted)


def test_a_damaged_page_and_a_name_given_twice_are_one_line_in_parquet_too(tmp_path):
    file = tmp_path / "a.parquet"
    pd.DataFrame({"x": np.arange(5_000)}).to_parquet(file)
    content = file.read_bytes()
    file.write_bytes(content[:4] + bytes(1_000) + content[1_004:])
    with pytest.raises(UserError, match=r"^'.*a\.parquet' cannot be read: [^\n]+$"):
        read_table(file)
    pq.write_table(pa.table([[1], [2]], names=["x", "x"]), file)
    with pytest.raises(UserError, match="has two columns named 'x'; rename one of them"):
        open_source(file)


def test_a_document_longer_than_others_and_a_stray_byte_are_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,y\n" + b"word " * 40_000 + b",1\nna\xefve \x81,2\n")
    assert len(read_table(tmp_path / "a.csv", texts=["text"]).frame) == 2


# --- series -----------------------------------------------------------------------------------------------------------


def test_a_missing_value_of_a_series_is_nobodys_target(tmp_path):
    n = 200
    level = np.sin(np.arange(n)).round(3)
    days = pd.date_range("2020-01-01", periods=n) + pd.to_timedelta(np.where(np.arange(n) < 100, 0, 3), "D")
    frame = pd.DataFrame({"day": days.strftime("%Y-%m-%d"), "level": level})
    frame.loc[[90, 91], "level"] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), "level", time="day", horizon=1), tmp_path / "data")
    assert any(
        note.startswith("2 values of 'level' are missing: they are not used as targets") for note in report.notes
    )
    assert any("3 steps between others have no row" in note for note in report.notes)
    splits = load_data(str(tmp_path / "data" / "windows"), None)
    window = splits.shape[1]
    y = np.concatenate([splits.y_train, splits.y_valid, splits.y_test])
    assert len(y) == n - window - 4, "nor the one from which it is forecast, nor the first after a gap"
    assert np.array_equal(y, np.delete(level.astype(np.float32), [90, 91, 92, 100])[window:])


@pytest.mark.parametrize("ids", [range(1, 41), range(0, 400, 10)], ids=["consecutive", "evenly spaced"])
def test_a_row_with_more_values_than_the_header_never_shifts_the_columns(ids, tmp_path):
    """pandas would take the first value of each row as its index, so that every column had the values of the next."""
    file = tmp_path / "a.csv"
    file.write_text("id,size,y\n" + "".join(f"{i},{50 + i % 9},{'ab'[i % 2]},note\n" for i in ids))
    with pytest.raises(UserError, match="has a row with more values than the 3 columns of its header"):
        read_table(file)
    file.write_text("id,size,y\n" + "".join(f"{i},{50 + i % 9},{'ab'[i % 2]},\n" for i in ids))  # an empty one
    frame = read_table(file).frame
    assert frame["id"].tolist() == list(ids)
    assert frame["y"].tolist() == ["ab"[i % 2] for i in ids]


def test_clear_decimal_points_of_a_new_file_count_more_than_the_commas_of_training(tmp_path):
    (tmp_path / "a.csv").write_text("x;y\n" + "".join(f"1,{i + 100};{'ab'[i % 2]}\n" for i in range(60)))
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    (tmp_path / "new.csv").write_text("x,z\n1.5,1\n2.25,2\n1.037,3\n2.074,4\n")
    [part] = encoder.frames(tmp_path / "new.csv", Counter())
    assert encoder.encode(part)["columns"][:, 0] == pytest.approx([1.5, 2.25, 1.037, 2.074])


def test_a_date_in_another_format_than_training_is_missing_and_not_guessed(tmp_path):
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=300), "y": ["a", "b", "b"] * 100})
    frame.to_parquet(tmp_path / "a.parquet")
    prepare(Request(str(tmp_path / "a.parquet"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    days = pd.date_range("2024-03-01", periods=31)
    (tmp_path / "new.csv").write_text("when\n" + "".join(f"{day:%d/%m/%Y}\n" for day in days))
    strange = Counter()
    [part] = encoder.frames(tmp_path / "new.csv", strange)
    assert np.isnan(encoder.encode(part)["columns"]).all()
    assert +strange == {"when": 31}


def test_a_category_that_is_a_number_is_found_however_pandas_writes_it(tmp_path):
    names = ["1", "2", "a", "b"] * 20
    pd.DataFrame({"code": names, "y": ["u", "v"] * 40}).to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    (tmp_path / "new.csv").write_text("code,z\n2,1\n2.0,1\na,1\n")
    [part] = encoder.frames(tmp_path / "new.csv", Counter())
    codes = encoder.encode(part)["columns"][:, 0]
    assert codes[0] == codes[1] > 0


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S UTC", "%d.%m.%Y %H:%M GMT", "%d/%m/%Y %H:%M:%S.%f", "%Y-%m-%d %I:%M %p"]
)
def test_times_with_a_zone_or_fractions_are_dates(form, tmp_path):
    when = pd.Series(pd.date_range("2024-01-01 10:00", periods=60, freq="29h"))
    assert (pd.Series(moments(when.dt.strftime(form).astype("category"), "t")) == when).all()
