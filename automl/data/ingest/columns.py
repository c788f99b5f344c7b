"""The columns of a table: their roles, and the encoding of rows as numbers, fitted to the training set."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import seasons
from automl.data.ingest.digit_codes import CODE
from automl.data.ingest.encoder import Feature
from automl.data.ingest.file_formats import SIGNS
from automl.data.ingest.json_examples import (
    MAX_FLOAT32,
    NUMBER_OR_NULL,
    Schema,
    as_columns,
    as_number,
    as_string,
    objects_schema,
    shown,
)
from automl.data.ingest.number_formats import as_numbers, as_text, differing, number_of
from automl.data.ingest.offsets import offset_of, unit_of
from automl.data.ingest.read_table import check_there, plain_text
from automl.data.ingest.text_features import TextFeatures
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 1_000  # rarer ones are treated as unseen
DAYS = (
    "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y",
    "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y",
)  # fmt: skip
MONTHS = ("%b %Y", "%B %Y", "%Y %b", "%b-%Y", "%b-%y", "%m/%Y", "%YM%m")
QUARTERS = "%Y-Q%q"  # as 1985Q1, 1985-Q1 or Q1 1985; Python's formats have none
WEEKS = "%G-W%V"  # as 2024-W05 or 2024W05; Python's formats read none without its day
WEEK = re.compile(r"(\d{4})-?W(\d\d)", re.I)
QUARTER = re.compile(r"(?P<year>\d{4})[-:/ ]?Q(?P<q>[1-4])|Q(?P<first_q>[1-4])[-:/ ]?(?P<last_year>\d{4})", re.I)
LIKE_A_DATE = re.compile(r"\d[-/. ]|[-/. ]\d|\d:\d\d|\dQ[1-4]|Q[1-4]\d|\d{4}[MW]\d\d", re.I)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
TIMES_OF_DAY = tuple(clock.strip() for clock in CLOCKS if clock)
ZONE = r"\s*(?:UTC|GMT)$"  # after a date; those of other zones are not unique
# in order of preference where several fit all dates of a column
DATE_FORMATS = (
    "ISO8601",
    *(day + clock for clock in CLOCKS for day in DAYS),
    *("%Y-%m-%d" + clock for clock in CLOCKS if "%p" in clock),
    *MONTHS,
    QUARTERS,
    WEEKS,
    *TIMES_OF_DAY,
)
DATE_LIKE = 0.95  # share of the values that must be dates
SAMPLE = 5_000  # distinct values from which a format is inferred
DATE_PARTS = ("days", "month", "day_of_week", "hour")
RECURRING = {"month": "month", "day_of_week": "weekday", "hour": "hour"}  # and their names in seasons.PARTS


def date_format(values: pd.Series[Any]) -> str | None:
    """The date format of a column of categories; None if it does not hold dates."""
    # The categories are sorted: only an evenly spaced sample includes all days of a month.
    known = values.cat.categories.astype("str").difference(SIGNS)
    sample = _without_zone(known[np.linspace(0, len(known) - 1, min(len(known), SAMPLE)).astype(int)].to_series())
    looks_so = [LIKE_A_DATE.search(value) is not None for value in sample]
    if sum(looks_so) < max(1, DATE_LIKE * len(sample)):
        return None
    counts: dict[str, int] = {}
    for form in DATE_FORMATS:
        counts[form] = n_dates(sample, form)
        if counts[form] == len(sample):
            break
    best = max(counts, key=lambda form: counts[form])
    return best if counts[best] >= DATE_LIKE * len(sample) else None


def n_dates(values: pd.Series[Any], form: str) -> int:
    """The number of strings that are dates in a format."""
    return int(np.sum(_read(values, form).notna()))


def other_reading(values: pd.Series[Any], form: str) -> str | None:
    """The format with day and month swapped, if it fits all dates of a column too."""
    other = form.translate(str.maketrans("dm", "md"))
    known = _without_zone(values.cat.categories.to_series())
    return other if other in DATE_FORMATS and other != form and n_dates(known, other) == n_dates(known, form) else None


def as_dates(values: pd.Series[Any], form: str | None) -> pd.Series[Any]:
    """A column as dates without a time zone; values that do not match the format become missing."""
    import pandas as pd

    if isinstance(values.dtype, pd.ArrowDtype) and values.dtype.kind == "M":
        # Arrow's dates lack methods that those of NumPy have.
        dates = pd.to_datetime(values.astype(object), errors="coerce", utc=True)
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        dates = values
    elif isinstance(values.dtype, pd.CategoricalDtype):
        parsed = pd.DatetimeIndex(_parsed(values.cat.categories.astype("str").to_series(), form))
        codes = values.cat.codes.to_numpy()  # -1 if missing; all are if there are no categories
        dates = pd.Series(parsed.take(codes, allow_fill=True, fill_value=pd.NaT), index=values.index)  # type: ignore[arg-type]
    else:
        dates = _parsed(values.astype("str"), form)
    return dates.dt.tz_convert("UTC").dt.tz_localize(None) if dates.dt.tz is not None else dates


def _parsed(values: pd.Series[Any], form: str | None) -> pd.Series[Any]:
    """Strings as dates; those that do not match the format are parsed as ISO 8601, which is unambiguous."""
    values = _without_zone(values)
    dates = _read(values, form)
    if form in (None, "ISO8601") or not dates.isna().any():
        return dates
    return dates.fillna(_read(values.where(dates.isna()), "ISO8601"))


def _without_zone(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype("str").str.replace(ZONE, "", regex=True)


def _read(values: pd.Series[Any], form: str | None) -> pd.Series[Any]:
    """Strings as dates; missing where they do not match the format."""
    import pandas as pd

    if form in (QUARTERS, WEEKS):
        first_day = _of_quarter if form == QUARTERS else _of_week
        values, form = values.map(first_day, na_action="ignore"), "ISO8601"
    return pd.to_datetime(values, format=form or "ISO8601", errors="coerce", utc=True)  # else pandas would guess


def _of_quarter(quarter: str) -> str:
    """The first day of a quarter in ISO 8601; empty for another string."""
    found = QUARTER.fullmatch(quarter.strip())
    if found is None:
        return ""
    year, q = (found[name] or found[other] for name, other in (("year", "last_year"), ("q", "first_q")))
    return f"{year}-{3 * int(q) - 2:02}-01"


def _of_week(week: str) -> str:
    """The Monday of a week in ISO 8601; empty for another string, or a week that its year lacks."""
    found = WEEK.fullmatch(week.strip())
    if found is None:
        return ""
    try:
        return datetime.date.fromisocalendar(int(found[1]), int(found[2]), 1).isoformat()
    except ValueError:
        return ""


@dataclass(frozen=True)
class Column:
    """An input column of a model."""

    name: str
    role: str  # number, date, category or text
    categories: tuple[str, ...] = ()  # seen in training, the most frequent first
    form: str | None = None  # the format of dates
    parts: tuple[str, ...] = ()  # for dates, the DATE_PARTS that vary; for texts, the names of the features
    decimal: str = "."  # decimal sign, used where a file is ambiguous
    text: TextFeatures | None = None
    offset: float = 0.0  # subtracted from numbers, and from the days of dates
    unit: float = 1.0  # by which numbers are divided then

    @property
    def width(self) -> int:
        return len(self.parts) if self.role in ("date", "text") else 1

    @property
    def features(self) -> list[Feature]:
        """The columns of the array; a date or text that does not vary has none."""
        if self.role in ("date", "text"):
            return [Feature(f"{self.name} ({part})", self.offset if part == "days" else 0.0) for part in self.parts]
        return [Feature(self.name, self.offset, self.unit, self.categories)]

    def scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Without the offset, in the column's unit, within the range of float32."""
        return np.clip((numbers - self.offset) / self.unit, -MAX_FLOAT32, MAX_FLOAT32)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "text": None if self.text is None else self.text.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        text = fields["text"]
        lists = {name: tuple(fields[name]) for name in ("categories", "parts")}
        return cls(**{**fields, **lists, "text": None if text is None else TextFeatures.from_json(text)})


@dataclass(frozen=True)
class ColumnsEncoder:
    """Encodes rows as arrays for `automl.data.inputs.Columns`: numbers and parts of dates first, then categories."""

    columns: tuple[Column, ...]  # in this order

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        dates: Mapping[str, str | None],
        decimals: Mapping[str, str],
        texts: Collection[str] = (),
        recurring: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> Self:
        """Fit to the rows of the training set. ``dates``: the columns that hold dates, and their format. ``texts``: the
        columns that hold texts. ``recurring``: parts of dates of which no others are read, since rows to predict are
        later."""
        columns = []
        for name in frame.columns:
            values = frame[name]
            if name in dates:
                moments = as_dates(values, dates[name])
                parts = recurring[name] if name in recurring else _varied(moments, DATE_PARTS)
                offset = offset_of(_date_part(moments, "days").to_numpy(np.float64))
                columns.append(Column(name, "date", form=dates[name], parts=parts, offset=offset))
            elif name in texts:
                text = TextFeatures.fit(texts_of(values))
                parts = () if text is None else tuple(f"component {i + 1}" for i in range(text.n_outputs))
                columns.append(Column(name, "text", parts=parts, text=text))
            elif values.dtype.kind in "fiu":
                decimal = decimals.get(name, ".")
                numbers = as_numbers(values, decimal)
                columns.append(
                    Column(name, "number", decimal=decimal, offset=offset_of(numbers), unit=unit_of(numbers))
                )
            else:
                counts = values.value_counts()
                seen = tuple(map(str, counts[counts > 0].index[:MAX_CATEGORIES]))
                columns.append(Column(name, "category", seen))
        return cls(tuple(sorted(columns, key=lambda column: column.role == "category")))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each column of categories, including the one for unseen and missing values."""
        return tuple(len(column.categories) + 1 for column in self.columns if column.role == "category")

    @property
    def numeric(self) -> dict[str, bool]:
        """Whether each column holds numbers, by name."""
        return {column.name: column.role == "number" for column in self.columns}

    @property
    def decimals(self) -> dict[str, str]:
        """The decimal sign of each column, by name."""
        return {column.name: column.decimal for column in self.columns}

    @property
    def exact(self) -> tuple[str, ...]:
        """The columns with an offset."""
        return tuple(column.name for column in self.columns if column.offset)

    @property
    def places(self) -> dict[str, slice]:
        """Where ``encode`` writes each column, by name; empty slices for columns without information."""
        ends = np.cumsum([column.width for column in self.columns]).tolist()
        return {c.name: slice(end - c.width, end) for c, end in zip(self.columns, ends, strict=True)}

    def unknown(self, frame: pd.DataFrame) -> dict[str, int]:
        """The number of present values per date or category column that are unparsable or unseen."""
        found = {}
        for column in self.columns:
            if column.role in ("number", "text") or column.name not in frame.columns:
                continue
            values = frame[column.name]
            if column.role == "date":
                known = as_dates(values, column.form).notna().to_numpy()
            else:
                known = _codes(values, column.categories) > 0
            found[column.name] = int(np.sum(values.notna().to_numpy() & ~known))
        return found

    def new_categories(self, frame: pd.DataFrame) -> dict[str, dict[str, int]]:
        """The categories that the training data lack and their number of rows, most first, by column."""
        found = {}
        for column in self.columns:
            if column.role == "category" and column.name in frame.columns:
                values = frame[column.name]
                unseen = values[values.notna().to_numpy() & (_codes(values, column.categories) == 0)]
                found[column.name] = {str(value): int(n) for value, n in unseen.value_counts().items() if n}
        return {name: counts for name, counts in found.items() if counts}

    def unusable(self, frame: pd.DataFrame) -> dict[str, int]:
        """The number of present values per column that count as missing."""
        found = self.unknown(frame)
        for column in self.columns:
            is_number = column.role == "number" and column.name in frame.columns
            if is_number and frame[column.name].dtype.kind not in "fiub":
                values = frame[column.name]
                found[column.name] = int(np.sum(values.notna() & np.isnan(as_numbers(values, column.decimal))))
        return found

    def encode(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """The rows as an array (n, columns). UserError if a column is missing."""
        x = np.full((len(frame), sum(column.width for column in self.columns)), np.nan, np.float32)
        check_there(frame.columns, (column.name for column in self.columns))
        place = 0
        for column in self.columns:
            values = frame[column.name]
            if column.role == "number":
                x[:, place] = column.scaled(as_numbers(values, column.decimal))
            elif column.role == "date":
                moments = as_dates(values, column.form)
                for i, part in enumerate(column.parts):
                    found = _date_part(moments, part).to_numpy(np.float64, na_value=np.nan)
                    x[:, place + i] = found - column.offset if part == "days" else found
            elif column.role == "text":
                if column.text is not None:
                    x[:, place : place + column.width] = column.text(texts_of(values))
            else:
                x[:, place] = _codes(values, column.categories)
            place += column.width
        return x

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        """JSON objects as a frame with the input columns. UserError for a value of the wrong type."""
        import pandas as pd

        found: dict[str, pd.Series[Any]] = {}
        for column, values in zip(
            self.columns, as_columns(records, [each.name for each in self.columns]).values(), strict=True
        ):
            places = [f"example {row}, {column.name!r}" for row in range(1, len(values) + 1)]
            if column.role == "number":
                found[column.name] = pd.Series([as_number(*each) for each in zip(values, places, strict=True)])
            elif column.role == "text":
                written = [
                    None if value is None else as_string(value, where)
                    for value, where in zip(values, places, strict=True)
                ]
                found[column.name] = pd.Series(written, dtype=object)
            elif column.role == "date":
                found[column.name] = _dates_of(values, places, column.form or "ISO8601")
            else:
                for value, where in zip(values, places, strict=True):
                    if isinstance(value, list | dict):
                        raise UserError(f"{where} must be a string, a number, true, false or null, got {shown(value)}")
                found[column.name] = pd.Series(values, dtype=object)
        return pd.DataFrame(found)

    def record_schema(self) -> Schema:
        """The JSON schema of an example."""
        kinds: dict[str, Schema] = {
            "number": NUMBER_OR_NULL,
            "category": {"type": ["string", "number", "boolean", "null"]},
            "text": {"type": ["string", "null"]},
        }
        return objects_schema(
            {
                column.name: kinds.get(column.role)
                or {"type": ["string", "null"], "description": f"a date as {column.form or 'ISO 8601'}"}
                for column in self.columns
            }
        )

    def to_json(self) -> dict[str, Any]:
        return {"columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(tuple(Column.from_json(fields) for fields in content["columns"]))


def texts_of(values: pd.Series[Any]) -> list[str]:
    """A column as strings, empty where a value is missing."""
    missing = values.isna().to_numpy()
    return ["" if gone else as_text(value) for value, gone in zip(values, missing, strict=True)]


def _codes(values: pd.Series[Any], categories: Sequence[str]) -> NDArray[np.float32]:
    import pandas as pd

    number = {category: code for code, category in enumerate(categories, 1)}
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, different = values.cat.codes.to_numpy(), values.cat.categories
    else:
        codes, different = differing(values)
    # A code that was a category in training ("1.0" among strings) is read as a number in a file of numbers only, and
    # pandas writes whole numbers as 2.0 where one is missing.
    # So is a code of digits, which then lacks its leading zeros.
    width = max(map(len, categories), default=0) if any(CODE.fullmatch(each) for each in categories) else 0
    found = [
        number.get(plain_text(value))
        or number.get(str(value).strip())
        or number.get(plain_text(number_of(value)))
        or number.get(plain_text(value).zfill(width), 0)
        for value in different
    ]
    return np.array([*found, 0], np.float32)[codes]  # missing values have the code -1, the last entry


def _dates_of(values: Sequence[Any], places: Sequence[str], form: str) -> pd.Series[Any]:
    import pandas as pd

    written = [None if value is None else as_string(value, where) for value, where in zip(values, places, strict=True)]
    dates = as_dates(pd.Series(written, dtype=object), form)
    for value, date, where in zip(written, dates, places, strict=True):
        if value is not None and pd.isna(date):
            raise UserError(f"{where} must be a date as {form}, or null, got {shown(value)}")
    return dates


def recurring_parts(times: NDArray[Any]) -> tuple[str, ...]:
    """The parts of dates that vary within their cycle, which the dates cover ``seasons.MIN_SEASONS`` times."""
    import pandas as pd

    moments = pd.Series(np.unique(times))
    span, step = (moments.max() - moments.min()).total_seconds(), moments.diff().dt.total_seconds().median()
    cycles = {part: seasons.PARTS[name][0] for part, name in RECURRING.items()}
    found = (part for part, cycle in cycles.items() if span >= seasons.MIN_SEASONS * cycle and step < cycle / 2)
    return _varied(moments, found)


def _varied(moments: pd.Series[Any], parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for part in parts if _date_part(moments, part).nunique() > 1)


def _date_part(moments: pd.Series[Any], part: str) -> pd.Series[Any]:
    import pandas as pd

    if part == "days":
        return (moments - pd.Timestamp("2000-01-01")).dt.total_seconds() / 86_400
    found: pd.Series[Any] = getattr(moments.dt, part)
    return found
