"""Plain CSV copies of compressed files, spreadsheets and JSON, so that these are read like a CSV file."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, Any

from automl.errors import UserError, install_command, writes
from automl.wording import counted

COMPRESSED: Mapping[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
LINES = (".jsonl", ".ndjson")
SUFFIXES = (*COMPRESSED, ".zip", *SHEETS, *LINES, ".json")
EXAMPLE = '{"size": 3, "color": "red"}'
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


class CsvCopy:
    """A temporary file with the rows of another as plain text, and notes on what was read. It lasts as long as this
    object."""

    def __init__(self, path: Path) -> None:
        """UserError if the file cannot be read."""
        folder = Path(tempfile.mkdtemp(prefix="automl-csv-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.text, self.notes = _converted(path, folder)


def csv_copy(path: Path) -> CsvCopy:
    """The copy of a file. The last one is kept, since a run opens its file more than once."""
    facts = path.stat()
    return _copy(path.resolve(), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=1)
def _copy(path: Path, _size: int, _mtime: int) -> CsvCopy:
    return CsvCopy(path)


def _converted(path: Path, folder: Path) -> tuple[Path, list[str]]:
    suffix = path.suffix.lower()
    if suffix == ".zip" or suffix in COMPRESSED:
        return _converted(_unpacked(path, folder), folder)
    notes: list[str] = []
    if suffix in SHEETS:
        rows = _sheet(path, notes)
    elif suffix in LINES or suffix == ".json":
        rows = _records(path)
    else:
        return path, notes
    copy = folder / f"{path.stem}.csv"
    with writes(copy), copy.open("w", encoding="utf-8", newline="") as file:
        file.write("sep=,\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
    return copy, notes


def _unpacked(path: Path, folder: Path) -> Path:
    """The only file in an archive."""
    try:
        if path.suffix.lower() != ".zip":
            with COMPRESSED[path.suffix.lower()](path) as packed:
                return _written(packed, folder / path.stem)
        with zipfile.ZipFile(path) as archive:
            names = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MAC")]
            if len(names) != 1:
                raise UserError(f"{str(path)!r} must hold one file, it has {len(names):,}; unpack it")
            if names[0].flag_bits & 1:
                raise UserError(f"{str(path)!r} is encrypted; unpack it")
            with archive.open(names[0]) as packed:
                return _written(packed, folder / Path(names[0].filename).name)
    except BROKEN as error:
        raise _unreadable(path, error) from None


def _written(packed: IO[bytes], to: Path) -> Path:
    with writes(to), to.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return to


def _sheet(path: Path, notes: list[str]) -> Iterable[Sequence[str]]:
    """The rows of the first sheet that has any."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise UserError(
            f"spreadsheets need the package python-calamine; install it with: {install_command('spreadsheets')}"
        ) from None
    try:
        with CalamineWorkbook.from_path(path) as book:
            filled = [sheet for name in book.sheet_names if (sheet := book.get_sheet_by_name(name)).height]
            rows = filled[0].to_python() if filled else []
    except (CalamineError, OSError) as error:
        raise _unreadable(path, error) from None
    if not rows:
        raise UserError(f"{str(path)!r} is empty: give a sheet with a row of column names and a row for each example")
    if len(filled) > 1:
        notes.append(f"the file has {counted(len(filled), 'sheet')}; only the first, {filled[0].name!r}, is read")
    with_time = [any(_has_time(cell) for cell in column) for column in zip(*rows, strict=True)]
    return (list(map(_spelled, row, with_time)) for row in rows if any(cell != "" for cell in row))


def _has_time(cell: Any) -> bool:
    return isinstance(cell, datetime) and cell.time() != time.min


def _spelled(cell: Any, with_time: bool) -> str:
    """A cell as in a CSV file. ``with_time``: whether some date of its column has a time of day."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, date) and with_time:
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    return f"{cell:%Y-%m-%d}" if isinstance(cell, date) else str(cell)


def _records(path: Path) -> Iterable[Sequence[str]]:
    """A header with all names that occur, then the values of each object, with numbers as spelled in the file."""
    # A long file of lines is read twice; an array is in memory anyway.
    held = None if path.suffix.lower() in LINES else list(_objects(path))
    names = dict.fromkeys(chain.from_iterable(_objects(path) if held is None else held))
    if not names:
        raise UserError(f"{str(path)!r} is empty: give an object for each row, such as {EXAMPLE}")
    objects = _objects(path) if held is None else held
    return chain([list(names)], ([_text(each.get(name)) for name in names] for each in objects))


def _objects(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects of a JSON array, or of the lines of a file. UserError if some value is an object or array itself."""
    for n, each in enumerate(_values(path), 1):
        if not isinstance(each, dict):
            raise UserError(f"{str(path)!r} must have an object for each row; row {n:,} is {_short(each)}")
        for name, value in each.items():
            if isinstance(value, dict | list):
                raise UserError(
                    f"{str(path)!r} must have a text or number for each name; {name!r} of row {n:,} is {_short(value)}"
                )
        yield each


def _values(path: Path) -> Iterator[Any]:
    spelled: Mapping[str, Any] = dict.fromkeys(("parse_int", "parse_float", "parse_constant"), str)
    n = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            if path.suffix.lower() in LINES:
                for line in file:
                    n += 1
                    if line.strip():
                        yield json.loads(line, **spelled)
                return
            found = json.load(file, **spelled)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        why = f"line {n:,}: {error.msg}" if n and isinstance(error, json.JSONDecodeError) else str(error)
        raise UserError(f"{str(path)!r} is not JSON: {why}") from None
    if not isinstance(found, list):
        raise UserError(f"{str(path)!r} must be a list of objects, one for each row")
    yield from found


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{str(path)!r} cannot be read: {' '.join(str(error).split()) or type(error).__name__}")
