"""What a column is taken for: short texts, codes of digits, times of day, targets that are dates or counts."""

import re

import numpy as np
import pandas as pd
import pytest

from automl.data.ingest.column_checks import are_texts
from automl.data.ingest.columns import date_format
from automl.data.ingest.digit_codes import DigitCodes
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.data.ingest.target import target_kind
from automl.data.words import words
from automl.errors import UserError

N = 300
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, N)).round(3)
COMMENTS = ["很好", "质量", "不错", "喜欢", "推荐", "太差", "退货", "不好", "失望", "一般"]
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def told(tmp_path, frame, target="y", **said):
    """The columns' roles, and the report, of a frame in a CSV file."""
    frame.to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), target, **said), tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    return {column.name: column.role for column in encoder.table.columns}, report, encoder


def test_words_of_any_script():
    assert [*words("The 👍👍 cat's 日本語 x 한국어 अच्छी C++")] == [
        "the",
        "👍",
        "👍",
        "cat",
        "日本",
        "本語",
        "한국어",
        "अच्छी",
    ]


@pytest.mark.parametrize(
    ("values", "are"),
    [
        ([f"Brand{i % 70} {RNG.choice(['red', 'blue'])} {RNG.choice(['shirt', 'hat'])} {i}" for i in range(N)], True),
        (["".join(RNG.choice(COMMENTS, 3, replace=False)) for _ in range(N)], True),
        (["this is a sentence of many words", "and so is this one, more or less"], True),
        ([f"INV-{i:05d}" for i in range(N)], False),
        ([f"user{i}@example.com" for i in range(N)], False),
        (["".join(RNG.choice(LETTERS, 3)) + f"-{i}" for i in range(N)], False),
        (["".join(RNG.choice(LETTERS, 6)) for _ in range(N)], False),
        ([f"{int(RNG.integers(2**60)):x}" for _ in range(N)], False),
    ],
)
def test_texts_share_words_and_identifiers_do_not(values, are):
    assert are_texts(values) == are


def test_short_texts_and_comments_without_spaces_are_inputs(tmp_path):
    comments = ["".join(RNG.choice(COMMENTS, 3, replace=False)) + str(i) for i in range(N)]
    ids = [f"INV-{i:05d}" for i in range(N)]
    roles, report, _ = told(tmp_path, pd.DataFrame({"x": X, "comment": comments, "invoice": ids, "y": Y}))
    assert roles == {"x": "number", "comment": "text"}
    assert "column 'invoice' is left out: most of its values occur only once (an id?)" in report.notes


def test_the_only_column_besides_the_target_may_hold_texts_without_spaces(tmp_path):
    comments = ["".join(RNG.choice(COMMENTS, 4, replace=False)) for _ in range(N)]
    pd.DataFrame({"comment": comments, "y": np.arange(N) % 2}).to_csv(tmp_path / "a.csv", index=False)
    assert prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data").facts["kind"].startswith("text")


@pytest.mark.parametrize("written", ["csv", "parquet"])
def test_codes_with_leading_zeros_are_categories_also_where_the_zeros_were_lost(written, tmp_path):
    codes = np.array(["01000", *(f"{i:05d}" for i in RNG.integers(10_000, 99_999, 29))])
    frame = pd.DataFrame(
        {"x": X, "zip": codes[np.arange(N) % 30], "meter": [f"{i:06d}" for i in RNG.permutation(9_000)[:N]], "y": Y}
    )
    roles, report, encoder = told(tmp_path, frame)
    assert roles == {"x": "number", "meter": "number", "zip": "category"}
    assert "column 'zip' is treated as categorical: it has 5 digits with leading zeros" in report.notes
    if written == "csv":
        frame.to_csv(tmp_path / "new.csv", index=False)
    else:
        frame.to_parquet(tmp_path / "new.parquet")
    whole = encoder.encode(encoder.as_frame(tmp_path / f"new.{written}"))["columns"]
    as_integers = encoder.encode(pd.read_csv(tmp_path / "a.csv"))["columns"]
    assert np.array_equal(whole, as_integers)
    assert (whole[:, -1] > 0).all()


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["01000", "20000"] * 9, True),
        (["10000", "20000"] * 9, False),  # no zeros
        (["0830", "2359"] * 9, False),  # may be times of day
        (["01000", "200000"] * 9, False),
        (["01000", "2000a"] * 9, False),
        ([f"{i:05d}" for i in range(18)], False),  # all different: numbers, or an id
    ],
)
def test_what_counts_as_codes(values, found):
    codes = DigitCodes()
    codes.learn([])  # a chunk of missing values
    codes.learn(values[:10])
    codes.learn(values[10:])
    assert codes.found == found


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (["08:30", "23:15", "7:05"], "%H:%M"),
        (["08:30:10", "1:05:33"], "%H:%M:%S"),
        (["8:30 AM", "11:15 pm"], "%I:%M %p"),
        (["16:9", "4:3"], None),
        (["25:10", "44:00"], None),
    ],
)
def test_times_of_day_are_read_as_such(written, form):
    assert date_format(pd.Series(written, dtype="category")) == form


def test_times_of_day_are_inputs_of_a_model_and_of_its_service(tmp_path):
    minutes = RNG.integers(0, 1440, N)
    clock = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes]
    roles, _, encoder = told(tmp_path, pd.DataFrame({"x": X, "departure": clock, "y": minutes + Y}))
    assert roles == {"x": "number", "departure": "date"}
    frame = encoder.from_records([{"x": 0, "departure": "06:00"}, {"x": 0, "departure": "12:30"}])
    before, after = encoder.encode(frame)["columns"]
    place = [feature.name for feature in encoder.features].index("departure (days)")
    assert after[place] - before[place] == pytest.approx(6.5 / 24, abs=1e-4)


def test_times_of_day_alone_do_not_order_rows(tmp_path):
    frame = pd.DataFrame({"x": X, "at": [f"{i % 24:02d}:00" for i in range(N)], "y": Y})
    with pytest.raises(UserError, match="'at' has times of day without dates: give a column with both"):
        told(tmp_path, frame, time="at")


def test_dates_are_no_target_unless_each_is_meant_as_a_class(tmp_path):
    days = pd.date_range("2024-01-01", periods=30).strftime("%Y-%m-%d").to_numpy()
    frame = pd.DataFrame({"x": X, "due": days[np.arange(N) % 30]})
    with pytest.raises(UserError, match="the target 'due' holds dates or times, such as 2024-01-01: write them as num"):
        told(tmp_path, frame, "due")
    _, report, _ = told(tmp_path, frame, "due", kind="classification")
    assert report.facts["classes"].startswith("30;")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.poisson(4, 1_000), "number"),  # its largest values are rare
        (np.arange(1_000) % 10, "classes"),
        (np.repeat(np.arange(8), [9, 4, *[30] * 6]), "classes"),  # a rare one in the middle
        (np.repeat(np.arange(5), [300, 90, 30, 9, 2]), "classes"),  # few
        (np.arange(1_000) % 21, "number"),
    ],
)
def test_whole_numbers_with_rare_ends_are_counts(values, kind):
    assert target_kind(pd.Series(values)) == kind


def test_counts_are_a_number_and_a_note_says_so(tmp_path):
    visits = RNG.poisson(4, N)
    _, report, _ = told(tmp_path, pd.DataFrame({"x": X, "visits": visits}), "visits")
    assert report.facts["kind"] == "table, regression of 'visits'"
    assert "'visits' is treated as a number; if it is a class, give --kind classification" in report.notes


def test_rows_of_the_same_person_are_noted(tmp_path):
    frame = pd.DataFrame({"x": X, "Patient ID": np.arange(N) // 6, "town": np.arange(N) // 6 % 25, "y": Y})
    notes = " ".join(told(tmp_path, frame)[1].notes)
    assert "column 'Patient ID' has 50 values with 6.0 rows each on average" in notes
    assert "give --group 'Patient ID', or the test score is too optimistic" in notes
    assert "town" not in notes
    assert not re.search("rows each", " ".join(told(tmp_path, frame, group="Patient ID")[1].notes))
