"""Time series: forecasts of the target some steps ahead, from a window of past values of all columns.

The split is by time: every validation target is later than every training target, and every test target later still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import encoder
from automl.data.ingest.columns import date_format
from automl.data.ingest.json_examples import NUMBER_OR_NULL, Schema, as_columns, as_number, as_string, objects_schema
from automl.data.ingest.number_formats import as_numbers
from automl.data.ingest.offsets import offset_of
from automl.data.ingest.read_table import check_is_frame, check_there, column_names, read_table
from automl.data.ingest.request import Request, column, listed, spelled_group
from automl.data.ingest.split import LEAST_ROWS, by_time
from automl.data.ingest.split_columns import about_dates, check_split, group_names, moments
from automl.data.inputs import Array, Inputs, Windows
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

DOUBLE = 0.1  # share of rows with a repeated time from which several series are assumed
WINDOWS = (4, 64)  # smallest and largest window, in steps; a season and one step more may exceed it
PARTS_OF_SERIES = 20  # the length of the series, in windows
SEASONS_OF_SERIES = 4  # the least length of the series, in seasons, for a window of a season
DAY = 86_400.0  # seconds
SEASONS = (  # seconds between dates, and the steps of a season, as in M4 (Makridakis et al. 2020), but a week for days
    (DAY / 96, 96), (DAY / 48, 48), (DAY / 24, 24), (DAY, 7), (7 * DAY, 52), (365.25 / 12 * DAY, 12),
    (365.25 / 4 * DAY, 4),
)  # fmt: skip
MANY_TIMES = 30.0  # ratio of the changes of several series above which they are not of one size
SAME_STEP = 0.05  # months have 28 to 31 days
NEAR = 30.0  # median in units of the spread from which a channel has an offset: steps are smaller than the spread


@dataclass(frozen=True)
class Layout:
    """The roles of a table's columns in a series, and their formats."""

    time: str
    group: str | None
    channels: tuple[str, ...]  # numbers, the target first
    window: int  # steps
    horizon: int  # steps
    form: str | None = None  # of dates given as strings
    decimals: Mapping[str, str] = field(default_factory=dict)  # decimal signs, used where a file is ambiguous
    offsets: Mapping[str, float] = field(default_factory=dict)  # subtracted from the windows, by channel; others: 0


class SeriesEncoder(encoder.Encoder):
    """Encodes windows of past values: the target's own column first, then the other numbers."""

    kind = "series"
    id_columns = prediction_id_columns = ("series", "time")
    views = encoder.Views("windows")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.time, self.group, self.channels, self.window = layout.time, layout.group, layout.channels, layout.window

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        return cls(details["layout"])

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        shape = (len(self.channels), self.window)
        return {"windows": np.stack(list(frame["window"])) if len(frame) else np.zeros((0, *shape), np.float32)}

    @property
    def names(self) -> tuple[str, ...]:
        return self.channels

    @property
    def places(self) -> Mapping[str, slice]:
        return {name: slice(place, place + 1) for place, name in enumerate(self.channels)}

    def inputs(self, view: str, x: Array) -> Inputs:
        return Windows.of_series(x, self.layout.horizon)

    def to_json(self) -> dict[str, Any]:
        return asdict(self.layout)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        given = {name: content[name] for name in Layout.__dataclass_fields__}
        return cls(Layout(**given | {"channels": tuple(content["channels"])}))

    def labelled(self, request: Request) -> encoder.LabelledRows:
        assert request.time is not None
        frame, horizon = self._read(request.path), self.layout.horizon
        found = windows(frame, self.layout)
        used, labels, times = _with_targets(found, horizon)
        if request.target != self.channels[0]:
            raise UserError(f"the model forecasts {self.channels[0]!r}, not {request.target!r}")
        notes = [_about_examples(len(frame), len(used), self.window, horizon), *_about_rows(frame, self.layout, found)]
        return _rows(used, labels, times, notes, self.layout)

    def without_prediction(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return frame["known"].isna().to_numpy()

    @property
    def why_none(self) -> str:
        return f"without a value of {self.channels[0]!r}"

    def as_frame(self, examples: Any) -> pd.DataFrame:
        """One row per time step with a full window before it, in order of time."""
        return windows(self._read(examples), self.layout)

    def frames(self, path: Path, strange: Counter[str]) -> Iterator[pd.DataFrame]:
        found: Counter[str] = Counter()
        rows = self._read(path, found)
        frame = windows(rows, self.layout)
        strange.update({name: found[name] for name in self.channels})
        frame.attrs[encoder.NOTES] = [
            *_about_repeated(_n_repeated(rows, self.time, self.group)),
            *_left_out(rows, self.layout, frame),
            *_uneven(frame),
        ]
        yield frame

    @property
    def about_predictions(self) -> str | None:
        n = self.layout.horizon
        return (
            f"the time is that of the last known value: the forecast is for {n} row{'s' * (n != 1)} later; the first "
            f"{self.window - 1} rows of a series have no forecast, as each needs {self.window}"
        )

    def _read(self, examples: Any, strange: Counter[str] | None = None) -> pd.DataFrame:
        """The rows of a file, counting values lost, or of a frame. UserError if a column is missing or they are few."""
        frame: pd.DataFrame = examples
        if isinstance(examples, str | Path):
            numeric = dict.fromkeys(self.channels, True) | ({self.time: False} if self.layout.form else {})
            numeric |= {self.group: False} if self.group else {}
            frame = read_table(
                Path(examples),
                numeric=numeric,
                decimals=self.layout.decimals,
                exact=[self.time, *self.layout.offsets],
                strange=strange,
            ).frame
        check_is_frame(frame)
        check_there(frame.columns, filter(None, (self.time, self.group, *self.channels)))
        if len(frame) < self.window:
            raise UserError(f"a forecast needs the last {self.window} rows or more, got {len(frame)}")
        return frame

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        import pandas as pd

        grouped = [self.group] if self.group else []
        found = as_columns(records, [self.time, *grouped, *self.channels])
        for name in self.channels:
            places = (f"example {row}, {name!r}" for row in range(1, len(records) + 1))
            found[name] = [as_number(*each) for each in zip(found[name], places, strict=True)]
        for name in (self.time, *grouped):
            written = isinstance(found[name][0], str)
            as_it_is: Callable[[Any, str], Any] = as_string if written else partial(as_number, nullable=False)
            found[name] = [as_it_is(value, f"example {row}, {name!r}") for row, value in enumerate(found[name], 1)]
        return self.as_frame(pd.DataFrame(found))

    def record_schema(self) -> Schema:
        time = {"type": ["string", "number"], "description": "a date, preferably ISO 8601, or a number"}
        group: Schema = {self.group: {"type": ["string", "number"]}} if self.group else {}
        return objects_schema({self.time: time} | group | dict.fromkeys(self.channels, NUMBER_OR_NULL))


def read(request: Request) -> encoder.LabelledRows:
    """The windows of a table with one series, or several identified by --group."""
    names = column_names(request.path)
    if request.time is None or request.target is None:
        raise UserError("a time series needs --time COLUMN and --target COLUMN")
    column(request.target, names, "--target")
    check_split(request, names)
    table = read_table(request.path, numeric=spelled_group(request), exact=[request.time])
    frame, horizon, notes = table.frame, request.horizon or 1, table.notes
    if request.target_kind == "classes":
        raise UserError(
            "a time series is forecast as numbers: leave --kind classification out, or predict the classes of a table "
            "by leaving --horizon out"
        )
    if frame[request.target].dtype.kind not in "fiu":
        raise UserError(f"the target {request.target!r} of a time series must be numeric")
    others = [name for name in map(str, frame) if name not in (request.target, request.time, request.group)]
    channels = (request.target, *(name for name in others if frame[name].dtype.kind in "fiu"))
    left_out = [name for name in others if name not in channels]
    if left_out:
        notes.append(f"non-numeric columns are left out: {', '.join(left_out)}")
    empty = [name for name in channels if frame[name].isna().all()]
    if request.target in empty:
        raise UserError(f"the target {request.target!r} has no values")
    constant = [name for name in channels[1:] if name not in empty and frame[name].nunique() == 1]
    channels = tuple(name for name in channels if name not in empty + constant)
    for what, names_of in (("empty", empty), ("constant", constant)):
        if names_of:
            notes.append(f"{what} columns are left out: {', '.join(names_of)}")
    n_series = 1 if request.group is None else frame[request.group].nunique()
    form = date_format(frame[request.time]) if frame[request.time].dtype == "category" else None
    window = _window(len(frame) // n_series, _season(frame, request, form), horizon)
    notes += about_dates(frame, {request.time: form})
    n_repeated = _n_repeated(frame, request.time, request.group)
    if n_repeated >= DOUBLE * len(frame):
        wrong_group = "" if request.group is None else f", {request.group!r} does not"
        raise UserError(
            f"{n_repeated:,} of {len(frame):,} rows share their time with another row: for several series, identify "
            f"them with --group COLUMN{wrong_group}; if the hour is in another column, put it into {request.time!r}"
        )
    notes += _about_repeated(n_repeated)
    decimals = {name: table.decimals.get(name, ".") for name in channels}
    numbers = {name: as_numbers(frame[name], decimals[name]) for name in channels}
    offsets = {name: offset for name in channels if (offset := offset_of(numbers[name], NEAR))}
    layout = Layout(request.time, request.group, channels, window, horizon, form, decimals, offsets)
    found = windows(frame, layout)
    used, labels, times = _with_targets(found, horizon)
    notes += [_about_examples(len(frame), len(used), window, horizon), *_about_rows(frame, layout, found)]
    notes += _about_sizes(found)
    if len(used) < LEAST_ROWS:
        why = "".join(f"; {note}" for note in _about_rows(frame, layout, found))
        raise UserError(
            f"the series is too short: {len(frame):,} rows give {len(used)} windows of {window} steps with a target "
            f"{horizon} steps ahead, at least {LEAST_ROWS} are needed{why}"
        )
    if request.quantiles is None:
        error = (labels - used["value"])[by_time(times).test]
        naive = float(np.sqrt((error**2).mean()))
        notes.append(f"the last value as forecast has a test rmse of {naive:.4g}: the baseline to beat")
    return _rows(used, labels, times, notes, layout)


def _rows(
    used: pd.DataFrame, labels: pd.Series[Any], times: NDArray[Any], notes: list[str], layout: Layout
) -> encoder.LabelledRows:
    target, overlaps, details = layout.channels[0], np.arange(len(used)), {"layout": layout, "moments": _moments(used)}
    for rows in used.groupby("series").indices.values():
        steps = used["step"].to_numpy()[rows]
        overlaps[rows] = rows[np.searchsorted(steps, steps + layout.horizon) - 1]
    return encoder.LabelledRows(
        used, labels, target, np.arange(len(used)), notes, times,
        details=details, offset=layout.offsets.get(target, 0.0), overlaps=overlaps,
    )  # fmt: skip


def _moments(used: pd.DataFrame) -> NDArray[Any]:
    """A hash of each row's series and time, by which an update recognises rows that it knows."""
    import pandas as pd

    # Not dates as strings, which have a time of day only if some row has one.
    when = used["time"].astype("datetime64[us]") if used["time"].dtype.kind == "M" else used["time"].astype(float)
    rows = used[["series"]].astype(str).assign(time=when)
    found: NDArray[Any] = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    return found


def _window(length: int, season: int | None, horizon: int) -> int:
    """The steps that a forecast reads: a share of the series, but at least a season and the step before it if the
    series is long enough, since many forecasts are the change of a season ago."""
    window = int(np.clip(length // PARTS_OF_SERIES, *WINDOWS))
    if season is None or length < max(SEASONS_OF_SERIES * (season + 1), season + horizon + LEAST_ROWS):
        return window
    return max(window, season + 1)


def _season(frame: pd.DataFrame, request: Request, form: str | None) -> int | None:
    """The steps of a season, by the usual time between dates; None for other numbers and for other times."""
    import pandas as pd

    assert request.time is not None
    when = _as_dates(_whole(moments(frame[request.time], request.time, form)))
    if when.dtype.kind != "M":
        return None
    names = 0 if request.group is None else group_names(frame[request.group], request.group)
    steps = pd.DataFrame({"series": names, "time": when}).sort_values("time").groupby("series")["time"].diff()
    seconds = steps.dt.total_seconds()
    usual = float(seconds[seconds > 0].median())
    return next((n for step, n in SEASONS if abs(usual / step - 1.0) < SAME_STEP), None)


def _whole(when: NDArray[Any]) -> NDArray[Any]:
    """Times that are whole numbers as such."""
    if when.dtype.kind != "f" or (when != np.round(when)).any() or np.abs(when).max(initial=0.0) >= 2**53:
        return when
    return when.astype(np.int64)


def _as_dates(when: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers like 202503 and 20250331 as dates; other times as they are."""
    import pandas as pd

    if when.dtype.kind != "i":
        return when
    digits = pd.Series(when.astype(str))
    form = next((form for form, n in (("%Y%m", 6), ("%Y%m%d", 8)) if (digits.str.len() == n).all()), None)
    dates = pd.to_datetime(digits, format=form, errors="coerce") if form else None
    return when if dates is None or dates.isna().any() else dates.to_numpy()


def _with_targets(found: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, pd.Series[Any], NDArray[Any]]:
    """The windows whose own value of the target is known and that ``horizon`` steps after them, the latter, and its
    times."""
    found["step"] = found.groupby("series").cumcount()
    ahead = found.groupby("series")["known"].shift(-horizon)
    when = found.groupby("series")["time"].shift(-horizon)
    known = (found["known"].notna() & ahead.notna() & when.notna()).to_numpy()
    return found[known].reset_index(drop=True), ahead[known].reset_index(drop=True), when[known].to_numpy()


def _about_examples(n_rows: int, n: int, window: int, horizon: int) -> str:
    """A note on how many examples the rows give, and why there are fewer than rows."""
    later = f"{horizon} row{'s' * (horizon != 1)} later"
    return f"{n_rows:,} rows give {n:,} examples: each is a window of {window} rows and the value {later}"


def _about_rows(frame: pd.DataFrame, layout: Layout, found: pd.DataFrame) -> Iterator[str]:
    """Notes on rows that give no window or no target, and on the steps between the others."""
    yield from _left_out(frame, layout, found)
    target = layout.channels[0]
    n_missing = int(frame[target].isna().sum())
    if n_missing:
        yield (
            f"{n_missing:,} values of {target!r} are missing: they are not used as targets, and in windows they are "
            "replaced by the previous value"
        )
    yield from _uneven(found)


def _left_out(frame: pd.DataFrame, layout: Layout, found: pd.DataFrame) -> Iterator[str]:
    """Notes on rows that give no window."""
    lengths = [len(frame)] if layout.group is None else frame[layout.group].value_counts().tolist()
    n_lost = sum(max(0, n - layout.window + 1) for n in lengths) - len(found)
    if n_lost:
        gaps = [name for name in layout.channels if frame[name].isna().any()]
        which = f" (with gaps: {listed(gaps)})" if gaps else ""
        yield f"{n_lost:,} time steps are left out, as not every column has a value yet{which}"
    n_short = sum(0 < n < layout.window for n in lengths)
    if n_short:
        are = "is left out: it has" if n_short == 1 else "are left out: they have"
        yield f"{n_short:,} series {are} fewer rows than the window of {layout.window} steps"


def _uneven(found: pd.DataFrame) -> Iterator[str]:
    """A note if the steps between windows vary in length."""
    import pandas as pd

    times = pd.Series(_as_dates(found["time"].to_numpy()))
    steps = times.groupby(found["series"]).diff().dropna()
    if len(steps) and steps.min() != steps.max():
        shortest, longest = _duration(steps.min()), _duration(steps.max())
        yield f"steps vary in length, from {shortest} to {longest}: a horizon counts rows"


def _about_sizes(found: pd.DataFrame) -> Iterator[str]:
    """A note if several series change by very different amounts."""
    sizes = found.groupby("series")["value"].agg(lambda values: values.diff().abs().median())
    sizes = sizes[sizes > 0]
    if len(sizes) and (ratio := sizes.max() / sizes.min()) > MANY_TIMES:
        yield (
            f"the series change by amounts that differ by a factor of up to {ratio:,.0f}: the largest ones decide, and "
            "forecasts of the others may be worse than their last value; a run for each, or a target that is divided "
            "by a typical value of its series, avoids that"
        )


def _n_repeated(frame: pd.DataFrame, time: str, group: str | None) -> int:
    """The number of rows with the time of an earlier row of their series."""
    return int(frame.duplicated([time] if group is None else [time, group]).sum())


def _about_repeated(n: int) -> Iterator[str]:
    """A note on rows with the time of another."""
    if n:
        yield f"{n:,} {'row shares its' if n == 1 else 'rows share their'} time with another row"


def _duration(step: Any) -> str:
    if isinstance(step, float | np.integer):
        return f"{step:g}"
    return "1 day" if step.days == 1 and step.seconds == 0 else str(step).removesuffix(" 00:00:00")


def windows(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """One row per time step with a full window: series, time, the target's current value and known, and window.

    A window is (channels, steps), the newest last, without the channels' offsets. Missing values are filled with the
    previous step's, except in known.
    """
    import pandas as pd

    when = _whole(moments(frame[layout.time], layout.time, layout.form))
    names = pd.Series(0, index=frame.index)
    if layout.group is not None:
        names = pd.Series(group_names(frame[layout.group], layout.group), index=frame.index)
    numbers = pd.DataFrame({name: as_numbers(frame[name], layout.decimals.get(name, ".")) for name in layout.channels})
    window, offsets = layout.window, [layout.offsets.get(name, 0.0) for name in layout.channels]
    parts = []
    for name in names.unique():
        rows_of = np.flatnonzero((names == name).to_numpy())
        order = rows_of[np.argsort(when[rows_of], kind="stable")]
        given = numbers.iloc[order]
        known = given[layout.channels[0]].to_numpy(np.float64)
        values = given.ffill().to_numpy(np.float64)
        start = int(np.isnan(values).any(1).sum())  # before every column has its first value
        values, known, times = values[start:], known[start:], when[order][start:]
        array = (values - offsets).astype(np.float32)
        if len(array) < window:
            continue
        views = np.lib.stride_tricks.sliding_window_view(array, window, axis=0)
        now = slice(window - 1, None)
        ends = {"time": times[now], "value": values[now, 0], "known": known[now]}
        parts.append(pd.DataFrame({"series": name, **ends, "window": list(views)}))
    if not parts:
        empty = [name for name in layout.channels if numbers[name].isna().all()]
        if empty:
            raise UserError(f"column {empty[0]!r} has no numbers; write them as in the training data")
        longest = names.value_counts().max()
        raise UserError(f"no series has {window} rows with a value in every column; the longest has {longest:,} rows")
    return pd.concat(parts, ignore_index=True)
