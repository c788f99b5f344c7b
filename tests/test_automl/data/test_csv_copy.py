"""Compressed files, spreadsheets and JSON: read like the CSV file with the same rows."""

import bz2
import gc
import gzip
import json
import lzma
import tempfile
import zipfile
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook
from sklearn.datasets import load_wine
from small_files import files_of_at_most

from automl.data.ingest.file_formats import open_source
from automl.data.ingest.read_table import read_table
from automl.errors import Blocked, UserError


@pytest.fixture
def wine(tmp_path) -> Path:
    frame = load_wine(as_frame=True).frame.assign(cultivar=lambda each: each.pop("target").map(dict(enumerate("abc"))))
    frame.loc[3, "ash"] = np.nan
    frame.to_csv(tmp_path / "wine.csv", index=False)
    return tmp_path / "wine.csv"


def written(wine: Path, name: str) -> Path:
    """The rows of ``wine`` in another format."""
    frame, content, path = pd.read_csv(wine), wine.read_bytes(), wine.parent / name
    as_lines = frame.to_json(orient="records", lines=True).encode()
    match path.suffix:
        case ".gz":
            path.write_bytes(gzip.compress(as_lines if "jsonl" in name else content))
        case ".bz2":
            path.write_bytes(bz2.compress(content))
        case ".xz":
            path.write_bytes(lzma.compress(content.replace(b",", b"\t")))
        case ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("__MACOSX/._wine.csv", b"x")
                archive.writestr("data/wine.csv", content)
        case ".xlsx":
            frame.to_excel(path, index=False)
        case ".json":
            frame.to_json(path, orient="records")
        case _:
            path.write_bytes(as_lines)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "w.csv.gz", "w.csv.bz2", "w.tsv.xz", "w.zip", "w.csv.zip", "w.xlsx", "w.json", "w.jsonl", "w.ndjson",
        "w.jsonl.gz",
    ],
)  # fmt: skip
def test_the_rows_are_those_of_the_csv_file(name, wine):
    table = read_table(written(wine, name))
    pd.testing.assert_frame_equal(table.frame, read_table(wine).frame)
    assert table.notes == []


def test_a_copy_is_made_once_and_removed_when_another_file_is_opened(wine, monkeypatch):
    (place := wine.parent / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    first = open_source(written(wine, "w.csv.gz"))
    [folder] = place.iterdir()
    assert open_source(wine.parent / "w.csv.gz").names == first.names
    assert [*place.iterdir()] == [folder]
    other = open_source(written(wine, "w.zip"))
    assert sum(map(len, first.copies())) == 178  # it is still in use
    assert first.share_read == 1.0
    del first
    gc.collect()
    assert folder not in place.iterdir()
    assert sum(map(len, other.copies())) == 178


def test_a_changed_file_is_copied_again(tmp_path):
    for rows in (["1"], ["1", "2"]):
        (tmp_path / "a.jsonl").write_text("\n".join(f'{{"x": {row}}}' for row in rows))
        assert len(read_table(tmp_path / "a.jsonl").frame) == len(rows)


@pytest.mark.parametrize("name", ["w.csv.gz", "w.zip", "w.jsonl", "w.xlsx"])
def test_a_full_disk_is_not_taken_for_a_broken_file(name, wine):
    path = written(wine, name)
    with (
        files_of_at_most(1_000),
        pytest.raises(Blocked, match=r"cannot write .* \(File too large\); free space and try again"),
    ):
        read_table(path)


def test_cells_of_a_sheet_are_spelled_as_in_a_csv_file(tmp_path):
    book = Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("sales")
    for row in (
        ["", ""],  # above the table
        ["zip", "n", "day", "at", "price", "text"],
        ["00712", 3, date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5), 2.5, 'a;b, "c"\nd'],
        [None] * 6,
        ["00001", None, date(2024, 1, 3), datetime(2024, 1, 3), 1e300, True],
    ):
        sheet.append(row)
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "a.xlsx")
    source = open_source(tmp_path / "a.xlsx")
    assert source.notes == ["the file has 2 sheets; only the first, 'sales', is read"]
    assert [list(row) for row in pd.concat(source.copies()).to_numpy()] == [
        ["00712", "3", "2024-01-02", "2024-01-02 03:04:05", "2.5", 'a;b, "c"\nd'],
        ["00001", "", "2024-01-03", "2024-01-03 00:00:00", "1e+300", "True"],
    ]


def test_objects_may_lack_names_and_numbers_keep_their_digits(tmp_path):
    lines = ['{"id": 12345678901234567890, "x": 1.50}', "", '{"x": null, "text": "a, b"}', '{"text": ""}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows = pd.concat(open_source(tmp_path / "a.jsonl").copies())
    assert list(rows) == ["id", "x", "text"]
    assert rows.to_numpy().tolist() == [["12345678901234567890", "1.50", ""], ["", "", "a, b"], ["", "", ""]]


def test_a_name_with_another_separator_is_one_column(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"a;b;c": 1, "d": 2}] * 3))
    assert list(read_table(tmp_path / "a.json").frame) == ["a;b;c", "d"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv.gz", b"x,y\n1,2\n", "cannot be read: Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"x,y\n1,2\n" * 99)[:-9], "cannot be read: Compressed file ended"),
        ("a.xz", b"x", "cannot be read: Input format not supported"),
        ("a.zip", b"x", "cannot be read: File is not a zip file"),
        ("a.xlsx", b"PK", "cannot be read: invalid Zip archive"),
        ("a.csv", gzip.compress(b"x,y\n1,2\n"), "is compressed; unpack it, or give it its suffix"),
        ("a.jsonl", b'{"x": 1}\n\n{"x"\n', "is not JSON: line 3: Expecting ':' delimiter"),
        ("a.jsonl", b'{"x": 1}\n[2]\n', r"must have an object for each row; row 2 is \[\"2\"\]"),
        ("a.jsonl", b'{"x": {"y": 1}}', 'a text or number for each name; \'x\' of row 1 is {"y": "1"}'),
        ("a.jsonl", b"", "is empty: give an object for each row"),
        ("a.jsonl", b'{"x": "\xff"}', "is not JSON: 'utf-8' codec"),
        ("a.json", b'{"x": [1, 2]}', "must be a list of objects, one for each row"),
        ("a.json", b"[" * 100_000, "is not JSON: maximum recursion depth"),
    ],
)
def test_bad_files_are_named_with_the_reason(name, content, line, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=line):
        read_table(tmp_path / name)


def test_archives_of_several_files_and_empty_books_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    with pytest.raises(UserError, match="must hold one file, it has 2; unpack it"):
        read_table(tmp_path / "a.zip")
    Workbook().save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match="is empty: give a sheet with a row of column names"):
        read_table(tmp_path / "a.xlsx")
