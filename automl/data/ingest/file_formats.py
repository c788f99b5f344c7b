"""Reads the rows of a file in chunks: CSV in any dialect, what ``csv_copy`` makes one of, or Parquet."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.data.ingest.csv_copy import SUFFIXES, csv_copy
from automl.data.ingest.csv_lines import has_spaces_before_quotes, has_stray_quotes, n_empty_at_end
from automl.data.ingest.digit_codes import may_be_codes
from automl.data.ingest.number_formats import DECIMAL_COMMA, as_numbers, decimal_sign, without_units
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

PLAIN = {".csv", ".tsv", ".txt", ".tab", ".data"}
CELLS = 2_000_000  # cells per chunk
ROWS = 1_000  # rows per chunk at least
MISSING = (  # pandas' defaults without None, which may be a class
    "", "?", "NA", "N/A", "n/a", "NaN", "-NaN", "nan", "-nan", "NULL", "null", "<NA>", "#N/A", "#N/A N/A", "#NA",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip
SIGNS = ["-", "--", "\u2013", "\u2014", ".", "*", "None"]  # treated as missing in a column of numbers
SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)  # a first line for Excel
HEAD = 1_000_000  # characters from which the separator and the decimal signs are inferred
HEAD_LINES, MIN_LINES = 2_000, 20
MAX_INSPECTED_COLUMNS = 1_000
csv.field_size_limit(2**31 - 1)  # the library's limit of 128 KB is too low for documents


def open_source(path: Path, decimals: Mapping[str, str] | None = None) -> CsvSource | ParquetSource:
    """The source for a file, by suffix. ``decimals``: signs by column, used where the file is ambiguous."""
    if not path.exists():
        raise UserError(f"there is no file {str(path)!r}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".parquet", ".pq"):
        return ParquetSource(path, decimals or {})
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder, which can only hold images; give a .csv, .tsv or .parquet file")
    if set(suffixes) & PLAIN or (suffixes and suffixes[-1] in SUFFIXES):
        return CsvSource(path, decimals or {})
    raise UserError(
        f"{str(path)!r} is not a table (.csv, .tsv, .parquet, .xlsx, .jsonl, ...), a .ts file or a folder of images"
    )


class ParquetSource:
    """A Parquet file, read in batches of rows; the decimal signs of numbers stored as strings are inferred."""

    def __init__(self, path: Path, decimals: Mapping[str, str]) -> None:
        import pyarrow
        import pyarrow.parquet as parquet

        self.path = path
        self.notes: list[str] = []
        self.share_read = 0.0
        self.codes: set[str] = set()  # strings are read as such
        self._known = decimals
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, pyarrow.ArrowInvalid) as error:
            raise UserError(f"{str(path)!r} is not a Parquet file: {' '.join(str(error).split())}") from None
        self.names = list(self._file.schema_arrow.names)
        _check_names(path, self.names)

    @cached_property
    def decimals(self) -> dict[str, str]:
        """The decimal sign of each column of strings, inferred as for a CSV file that is not separated by commas."""
        strings = [field.name for field in self._file.schema_arrow if _holds_strings(field.type)]
        head = next(self._read(HEAD_LINES, strings[:MAX_INSPECTED_COLUMNS]))
        by_column = {name: decimal_sign(head[name].dropna()) for name in head}
        usual = "," if "," in by_column.values() else "."
        return {name: by_column.get(name) or self._known.get(name) or usual for name in strings}

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        written: Collection[str] = (),
        numbers: Collection[str] = (),
        unusable: Counter[str] | None = None,
    ) -> Iterator[pd.DataFrame]:
        """As for a CSV file; ``written`` has no effect, since Parquet columns are typed."""
        size, decimals = max(ROWS, CELLS // max(1, len(columns or self.names))), self.decimals
        for chunk in self._read(size, columns):
            yield _with_numbers(chunk, numbers, decimals, unusable)

    def copies(self) -> Iterator[pd.DataFrame]:
        """The rows of ``chunks`` with whole numbers as such, also beside missing ones."""
        yield from self._read(max(ROWS, CELLS // max(1, len(self.names))), integer_object_nulls=True)

    def _read(self, size: int, columns: Sequence[str] | None = None, **options: Any) -> Iterator[pd.DataFrame]:
        """The rows in batches. ``options``: of Arrow, how values become a frame's."""
        import pyarrow

        n = 0
        try:
            for batch in self._file.iter_batches(batch_size=size, columns=columns and list(columns)):
                n += batch.num_rows
                self.share_read = n / self._file.metadata.num_rows
                yield batch.to_pandas(ignore_metadata=True, **options)
            if n == 0:  # one chunk without rows, as of a CSV file, so that predictions have a header
                yield self._file.read(columns and list(columns)).to_pandas(ignore_metadata=True)
        except (OSError, pyarrow.ArrowException) as error:
            raise UserError(f"{str(self.path)!r} cannot be read: {' '.join(str(error).split())}") from None


def _holds_strings(kind: Any) -> bool:
    """Whether a type of Arrow is that of strings or of categories of strings."""
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


class CsvSource:
    """A CSV file; its encoding, separator and decimal signs are inferred."""

    def __init__(self, path: Path, decimals: Mapping[str, str]) -> None:
        self.path = path
        self.share_read = 0.0
        self._copy = csv_copy(path) if path.suffix.lower() in SUFFIXES else None
        self._text = path if self._copy is None else self._copy.text
        self.notes = [] if self._copy is None else [*self._copy.notes]
        self.encoding = self._find_encoding()
        with self._text.open(encoding=self.encoding, errors="replace", newline="") as file:
            lines = file.readlines(HEAD) + [file.readline() for _ in range(MIN_LINES)]
            head = [line for line in lines[:HEAD_LINES] if line.strip()]
        given = SEPARATOR_LINE.fullmatch(head[0].strip("\r\n")) if len(head) > 1 else None
        first = 0 if given is None else lines.index(head.pop(0)) + 1
        if not head:
            raise UserError(f"{str(path)!r} is empty: give a file with a line of column names and a line for each row")
        self.skipped = lines.index(head[0], first)  # lines before the header
        # In a file of one column the header has no separator, so the file's suffix decides.
        signs = "\t" * (self._text.suffix.lower() in (".tsv", ".tab")) + SEPARATORS
        self.separator = given[1] if given else max(signs, key=lambda sign: _fields(head, sign))
        self.quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
        if self.separator == "\t" and has_stray_quotes(self._lines()):
            self.quoting = csv.QUOTE_NONE
        names, *rows = csv.reader(head, delimiter=self.separator, skipinitialspace=True, quoting=self.quoting)
        self.names = [name or f"Unnamed: {i}" for i, name in enumerate(names)]  # pandas' names
        # Of values beyond the header's columns, pandas would take the first ones as an index.
        self.surplus = [f"\0{i}" for i in range(len(rows[0]) - len(names))] if rows else []
        self.decimals = self._find_decimals(rows, decimals)
        columns = ([row[i] for row in rows if i < len(row)] for i in range(len(names)))
        self.codes = {name for name, cells in zip(self.names, columns, strict=True) if may_be_codes(cells)}
        _check_names(path, self.names)
        if len(names) == 1:
            self._check_that_one_column_is_meant(head)
            self.notes.append("the file has only one column")

    def _lines(self) -> Iterator[str]:
        """The lines from the header on."""
        with self._text.open(encoding=self.encoding, errors="replace", newline="") as file:
            yield from islice(file, self.skipped, None)

    def _find_decimals(self, rows: Sequence[Sequence[str]], known: Mapping[str, str]) -> dict[str, str]:
        """The decimal sign of each column.

        If a column is ambiguous, the model's sign is used, else that of the other columns. Spreadsheets with decimal
        commas use semicolons as separators, so 1,208 is not in the thousands there. In comma-separated files, only
        quoted values that cannot be thousands, such as "1,5", have a decimal comma.
        """
        by_column = {
            name: decimal_sign(row[i] for row in rows if i < len(row))
            for i, name in enumerate(self.names[:MAX_INSPECTED_COLUMNS])
        }
        if self.separator == ",":
            return {name: by_column.get(name) or known.get(name) or "." for name in self.names}
        signs = set(by_column.values())
        usual = "," if "," in signs else "."
        if self.separator == ";" and not signs - {None}:
            usual = "," if any(DECIMAL_COMMA.fullmatch(without_units(cell)) for row in rows for cell in row) else "."
        return {name: by_column.get(name) or known.get(name) or usual for name in self.names}

    def _check_that_one_column_is_meant(self, head: Sequence[str]) -> None:
        """UserError if the first line looks like a title above a table of several columns."""
        if not re.search(r"[#\s]", head[0].strip()):
            return
        for sign in SEPARATORS:
            widths = {_fields([line], sign) for line in head[1:20]}
            if len(head) > 2 and len(widths) == 1 and widths != {1}:
                raise UserError(
                    f"the first line of {str(self.path)!r} must name its {widths.pop()} columns, separated by "
                    f"{sign!r}; it is {head[0].strip()[:60]!r}"
                )

    def _find_encoding(self) -> str:
        marks = (  # that of UTF-32 begins like that of UTF-16
            (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
            (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
        )  # fmt: skip
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self._text.open("rb") as file:
            block = file.read(1 << 20)
            for mark, encoding in marks:
                if block.startswith(mark):
                    return encoding
            if block.startswith((b"\x1f\x8b", b"PK\x03\x04")):
                raise UserError(f"{str(self.path)!r} is compressed; unpack it, or give it its suffix (.gz or .zip)")
            if b"\0" in block:
                raise UserError(f"{str(self.path)!r} is not a text file (zero bytes); export it as CSV in UTF-8")
            try:
                while block:
                    decoder.decode(block)
                    block = file.read(1 << 20)
                decoder.decode(b"", True)
            except UnicodeDecodeError:
                self.notes.append(
                    "the file is not UTF-8 and was read as Windows-1252; if that is wrong, export it as UTF-8"
                )
                return "cp1252"
        return "utf-8"

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        written: Collection[str] = (),
        numbers: Collection[str] = (),
        unusable: Counter[str] | None = None,
    ) -> Iterator[pd.DataFrame]:
        """The rows in chunks, with some of the columns or all.

        ``written``: columns kept as spelled, without parsing of numbers or booleans. ``numbers``: columns in which
        everything else becomes missing; ``unusable`` counts the values lost.
        """
        usual = "," if "," in self.decimals.values() and self.separator != "," else "."
        spelled = {name for name, sign in self.decimals.items() if sign != usual} | (set(written) & set(self.names))
        kinds = dict.fromkeys([*spelled, *self.surplus], "str")
        for chunk in self._read(dtype=kinds, decimal=usual, na_values=MISSING, skipinitialspace=True):
            if columns is not None:
                chunk = chunk[[name for name in self.names if name in columns]]
            yield _with_numbers(chunk, numbers, self.decimals, unusable)

    def copies(self) -> Iterator[pd.DataFrame]:
        """The rows of ``chunks`` as strings exactly as in the file."""
        spaces = has_spaces_before_quotes(self._lines(), self.separator)
        yield from self._read(dtype="str", na_filter=False, skipinitialspace=spaces)

    def _read(self, **options: Any) -> Iterator[pd.DataFrame]:
        """The rows in chunks. ``options``: of pandas, how values are read."""
        import pandas as pd

        size = self._text.stat().st_size
        is_one = len(self.names) == 1  # then an empty line is an empty example
        try:
            with (
                self._text.open("rb") as file,
                pd.read_csv(
                    file,
                    sep=self.separator,
                    header=0,
                    names=[*self.names, *self.surplus],
                    skiprows=self.skipped,
                    skip_blank_lines=not is_one,
                    quoting=self.quoting,
                    encoding=self.encoding,
                    encoding_errors="replace",
                    keep_default_na=False,
                    chunksize=max(ROWS, CELLS // max(1, len(self.names))),
                    low_memory=False,
                    on_bad_lines="error",
                    **options,
                ) as reader,
            ):
                for chunk in _without_last(reader, n_empty_at_end(self._lines()) if is_one else 0):
                    if (chunk[self.surplus].fillna("") != "").any(axis=None):
                        raise UserError(
                            f"{str(self.path)!r} has a row with more values than the {len(self.names)} columns of its "
                            "header; name every column in the first line"
                        )
                    self.share_read = file.tell() / size
                    # usecols would cut off what a row has too many
                    yield chunk[self.names] if self.surplus else chunk
        except pd.errors.ParserError as error:
            found = re.search(r"Expected \d+ fields in line (\d+), saw (\d+)", str(error))
            if found is None:
                raise UserError(f"{str(self.path)!r} cannot be read: {' '.join(str(error).split())}") from None
            line, seen = (int(number) for number in found.groups())
            raise UserError(
                f"{str(self.path)!r} line {line:,} has {seen} values, but the header has {len(self.names)} columns; "
                f"is a value that contains {self.separator!r} not quoted?"
            ) from None


def _without_last(chunks: Iterable[pd.DataFrame], n: int) -> Iterator[pd.DataFrame]:
    """The chunks without the last n rows."""
    held: list[pd.DataFrame] = []  # the last chunks, of which the others have at least n rows
    for chunk in chunks:
        held.append(chunk)
        while held and sum(map(len, held[1:])) >= n:
            yield held.pop(0)
    left = sum(map(len, held)) - n
    for chunk in held:
        yield chunk[:left]
        left = max(0, left - len(chunk))


def _check_names(path: Path, names: Sequence[str]) -> None:
    """UserError if two columns have the same name."""
    double = next((name for name, n in Counter(names).items() if n > 1), None)
    if double is not None:
        raise UserError(f"{str(path)!r} has two columns named {double!r}; rename one of them")


def _with_numbers(
    chunk: pd.DataFrame, numbers: Collection[str], decimals: Mapping[str, str], unusable: Counter[str] | None
) -> pd.DataFrame:
    """The chunk with these columns converted to numbers."""
    import pandas as pd

    columns = {}
    for name, values in chunk.items():
        columns[name] = values
        if name not in numbers:
            continue
        found = as_numbers(values, decimals.get(str(name), "."))
        if unusable is not None:
            lost = values[np.isnan(found) & values.notna().to_numpy()]
            unusable[str(name)] += int((~lost.isin(SIGNS)).sum())
        columns[name] = pd.Series(found, index=chunk.index)
    return pd.DataFrame(columns) if numbers else chunk


def _fields(lines: Sequence[str], separator: str) -> int:
    """The number of fields of the first row, of which a quoted one may contain line breaks."""
    return len(next(csv.reader(lines, delimiter=separator)))
