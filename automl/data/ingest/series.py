"""Time series: forecasts of the target some steps ahead, from a window of past values of all columns.

The split is by time: every validation target is later than every training target, and every test target later still.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import encoder
from automl.data.ingest.columns import as_dates, date_format, other_reading
from automl.data.ingest.json_examples import (
    NUMBER_OR_NULL,
    Schema,
    as_columns,
    as_number,
    as_string,
    objects_schema,
    shown,
)
from automl.data.ingest.notes import left_out
from automl.data.ingest.number_formats import as_numbers, differing
from automl.data.ingest.offsets import offset_of
from automl.data.ingest.read_table import check_is_frame, check_there, column_names, read_table
from automl.data.ingest.request import Request, column, spelled_group
from automl.data.ingest.seasons import Seasons
from automl.data.ingest.series_notes import (
    about_examples,
    about_left_out,
    about_repeated,
    about_rows,
    about_sizes,
    about_sparse,
    about_steps,
)
from automl.data.ingest.split import MIN_ROWS, by_time
from automl.data.ingest.split_columns import about_dates, check_split, has_zone
from automl.data.ingest.windows import Layout, moments_of, window_length, windows, with_targets
from automl.data.inputs import Array, Columns, Inputs, Windows
from automl.errors import UserError
from automl.wording import significant

if TYPE_CHECKING:
    import pandas as pd

REPEATED_SHARE = 0.1  # share of rows with a repeated time from which several series are assumed
MAX_LEVELS = 20  # of a column that is neither numeric nor left out
EARLY_SHARE = 0.6  # share of the rows, the oldest, by which such levels are put in order
MIN_OFFSET = 30.0  # median in units of the spread, for a channel to have an offset: its steps are smaller than that


class SeriesEncoder(encoder.Encoder):
    """Encodes windows of past values: the target's own column first, then the other numbers; and the forecast's date.

    Networks read ``windows``: (n, channels, steps), the newest steps, and the parts of the date as waves, channels that
    do not vary. The others read ``rows``: all steps of each channel, one channel after the other, then the codes of the
    parts.
    """

    kind = "series"
    views = encoder.Views("rows", dict.fromkeys(("mlp", "cnn", "rnn", "transformer"), "windows"))

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.time, self.group, self.channels, self.reach = layout.time, layout.group, layout.channels, layout.reach
        self.id_columns = self.prediction_id_columns = ("time",) if self.group is None else ("series", "time")

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        return cls(details["layout"])

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        n, layout, shape = len(frame), self.layout, (len(self.channels), len(self.layout.steps))
        every = np.stack(list(frame["window"])) if n else np.zeros((0, *shape), np.float32)
        codes = layout.seasons.codes(frame["time"], layout.horizon)
        waves = layout.seasons.waves(codes)[:, :, None].repeat(layout.window, 2)
        rows = np.concatenate([every.reshape(n, math.prod(shape)), codes], 1, dtype=np.float32)
        return {"rows": rows, "windows": np.concatenate([every[:, :, -layout.window :], waves], 1)}

    @property
    def features(self) -> tuple[encoder.Feature, ...]:
        return tuple(encoder.Feature(name, self.layout.offsets.get(name, 0.0)) for name in self.channels)

    def places(self, view: str) -> Mapping[str, slice]:
        size = len(self.layout.steps) if view == "rows" else 1
        found = {name: slice(place * size, (place + 1) * size) for place, name in enumerate(self.channels)}
        n_parts = len(self.layout.seasons.parts) * (1 if view == "rows" else 2)
        start = len(self.channels) * size
        return found | ({self.time: slice(start, start + n_parts)} if n_parts else {})

    def inputs(self, view: str, x: Array) -> Inputs:
        sizes = self.layout.seasons.sizes
        if view == "windows":
            return Windows.of_series(x, self.layout.horizon, 2 * len(sizes))
        return Columns.of(x, tuple(size + 1 for size in sizes), len(self.layout.steps))

    def to_json(self) -> dict[str, Any]:
        return asdict(self.layout)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(Layout.from_json(content))

    def labelled(self, request: Request) -> encoder.LabelledRows:
        assert request.time is not None
        frame, horizon = self._read(request.path), self.layout.horizon
        found, counts = windows(frame, self.layout)
        used, labels, times = with_targets(found, horizon)
        if request.target != self.channels[0]:
            raise UserError(f"the model forecasts {self.channels[0]!r}, not {request.target!r}")
        notes = [about_examples(frame, len(used), self.layout), *about_rows(frame, self.layout, found, counts)]
        notes += self.layout.seasons.about_step(found)
        notes += frame.attrs.get(encoder.NOTES, [])
        return _rows(used, labels, times, notes, self.layout)

    def without_prediction(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return frame["known"].isna().to_numpy()

    @property
    def why_none(self) -> str:
        return f"without a value of {self.channels[0]!r}"

    def as_frame(self, examples: Any) -> pd.DataFrame:
        """One row per time step with a full window before it, in order of time."""
        rows = self._read(examples)
        return self._in_utc(windows(rows, self.layout)[0], rows)

    def frames(self, path: Path, unusable: Counter[str]) -> Iterator[pd.DataFrame]:
        found: Counter[str] = Counter()
        rows = self._read(path, found)
        frame, counts = windows(rows, self.layout)
        for name in self.channels:
            if name in self.layout.levels:
                unknown = np.isnan(self.layout.numbers(rows[name], name)) & rows[name].notna().to_numpy()
                unusable[name] += int(unknown.sum())
            else:
                unusable[name] += found[name]
        frame.attrs[encoder.N_READ] = len(rows)
        frame.attrs[encoder.NOTES] = [
            *rows.attrs.get(encoder.NOTES, []),
            *about_repeated(_n_repeated(rows, self.time, self.group)),
            *about_left_out(rows, self.layout, counts),
            *about_steps(frame, self.layout, counts),
            *about_sparse(counts),
            *self.layout.seasons.about_step(frame),
        ]
        yield self._in_utc(frame, rows)

    def _in_utc(self, frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
        """The windows with an explicit zone of their times, which are in UTC, if those of the rows have one."""
        if has_zone(rows[self.time]):
            frame["time"] = frame["time"].dt.tz_localize("UTC")
        return frame

    @property
    def about_predictions(self) -> str | None:
        n, unit = self.layout.horizon, self.layout.unit
        return (
            f"the time is that of the last known value: the forecast is for {n} {unit}{'s' * (n != 1)} later; the "
            f"first {self.reach - 1} {unit}s of a series have no forecast, as each needs {self.reach}"
        )

    def _read(self, examples: Any, unusable: Counter[str] | None = None) -> pd.DataFrame:
        """The different rows of a file, counting values lost, or of a frame, with a note on repeated ones.

        UserError if a column is missing or if there are few.
        """
        frame: pd.DataFrame = examples
        if isinstance(examples, str | Path):
            strings = [*self.layout.levels, *filter(None, [self.layout.form and self.time, self.group])]
            numeric = dict.fromkeys(self.channels, True) | dict.fromkeys(strings, False)
            frame = read_table(
                Path(examples),
                numeric=numeric,
                decimals=self.layout.decimals,
                exact=[self.time, *self.layout.offsets],
                unusable=unusable,
            ).frame
        check_is_frame(frame)
        read = (self.time, self.group, *self.channels)
        check_there(frame.columns, filter(None, read))
        frame, notes = _different(frame, read)
        if notes:
            frame.attrs[encoder.NOTES] = notes
        return frame

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        import pandas as pd

        grouped = [self.group] if self.group else []
        found = as_columns(records, [self.time, *grouped, *self.channels])
        for name in self.channels:
            places = (f"example {row}, {name!r}" for row in range(1, len(records) + 1))
            levels = self.layout.levels.get(name)
            as_value = as_number if levels is None else partial(_as_level, levels=levels)
            found[name] = [as_value(*each) for each in zip(found[name], places, strict=True)]
        for name in (self.time, *grouped):
            written = any(isinstance(value, str) for value in found[name])
            as_it_is: Callable[[Any, str], Any] = as_string if written else partial(as_number, nullable=False)
            found[name] = [as_it_is(value, f"example {row}, {name!r}") for row, value in enumerate(found[name], 1)]
        return self.as_frame(pd.DataFrame(found))

    def record_schema(self) -> Schema:
        time = {"type": ["string", "number"], "description": "a date, preferably ISO 8601, or a number"}
        group: Schema = {self.group: {"type": ["string", "number"]}} if self.group else {}
        levels = {name: {"enum": [*map(_in_json, values), None]} for name, values in self.layout.levels.items()}
        return objects_schema({self.time: time} | group | dict.fromkeys(self.channels, NUMBER_OR_NULL) | levels)


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
    form = _form_of(frame[request.time])
    channels, levels, about = _channels(frame, request, form)
    notes += about
    frame, repeated = _different(frame, (request.time, request.group, *channels))
    notes += repeated
    notes += about_dates(frame, {request.time: form})
    times = moments_of(frame, request.time, request.group, form)
    seasons = Seasons.of(times, horizon)
    window = window_length(len(frame) // times["series"].nunique(), seasons)
    n_repeated = _n_repeated(frame, request.time, request.group)
    if n_repeated >= REPEATED_SHARE * len(frame):
        wrong_group = "" if request.group is None else f", {request.group!r} does not"
        raise UserError(
            f"{n_repeated:,} of {len(frame):,} rows share their time with another row: for several series, identify "
            f"them with --group COLUMN{wrong_group}; if the hour is in another column, put it into {request.time!r}"
        )
    notes += about_repeated(n_repeated)
    decimals = {name: table.decimals.get(name, ".") for name in channels}
    numbers = {name: as_numbers(frame[name], decimals[name]) for name in channels if name not in levels}
    offsets = {name: offset for name in numbers if (offset := offset_of(numbers[name], MIN_OFFSET))}
    earlier = seasons.earlier(window, horizon)
    layout = Layout(
        request.time, request.group, channels, window, horizon, form, decimals, offsets, earlier, seasons, levels
    )
    found, counts = windows(frame, layout)
    used, labels, when = with_targets(found, horizon)
    notes += [about_examples(frame, len(used), layout), *seasons.about(), *about_rows(frame, layout, found, counts)]
    notes += about_sizes(found)
    if len(used) < MIN_ROWS:
        why = "".join(f"; {note}" for note in about_rows(frame, layout, found, counts))
        raise UserError(
            f"the series is too short: {len(frame):,} rows give {len(used)} windows of {layout.reach} steps with a "
            f"target {horizon} steps ahead, at least {MIN_ROWS} are needed{why}"
        )
    if request.quantiles is None:
        parts = by_time(when)
        values = np.stack([each[0] for each in used["window"]]) + offsets.get(channels[0], 0.0)
        place = layout.without_model(values[parts.train], labels.to_numpy()[parts.train])
        naive = float(np.sqrt(((labels - values[:, place])[parts.test] ** 2).mean()))
        notes.append(f"a baseline, the {layout.name_of(place)} as forecast, has a test rmse of {significant(naive)}")
    return _rows(used, labels, when, notes, layout)


def _form_of(times: pd.Series[Any]) -> str | None:
    """The format of dates that are strings. If day and month could be swapped, that in which steps are steadier."""
    form = date_format(times) if times.dtype == "category" else None
    other = None if form is None else other_reading(times, form)
    if form is None or other is None:
        return form

    def spread(form: str) -> float:
        steps = np.diff(np.sort(as_dates(times, form).dropna().to_numpy())).astype(float)
        steps = steps[steps > 0]
        return float(steps.max() / steps.min()) if len(steps) else 1.0

    return min(form, other, key=spread)


def _different(frame: pd.DataFrame, columns: Iterable[str | None]) -> tuple[pd.DataFrame, list[str]]:
    """The rows without those equal to an earlier one in these columns, and a note on them."""
    is_repeated = frame.duplicated([name for name in columns if name is not None]).to_numpy()
    n = int(np.count_nonzero(is_repeated))
    if not n:
        return frame, []
    return frame[~is_repeated].reset_index(drop=True), [left_out(n, "equal to an earlier one")]


def _channels(
    frame: pd.DataFrame, request: Request, form: str | None
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], list[str]]:
    """The columns that windows have, the target first; the levels of those that are not numbers; and notes.

    ``form``: the format of the times.
    """
    target, notes = request.target, []
    assert target is not None
    if frame[target].dtype.kind not in "fiu":
        raise UserError(f"the target {target!r} of a time series must be numeric")
    others = [name for name in map(str, frame) if name not in (target, request.time, request.group)]
    numbers = [name for name in others if frame[name].dtype.kind in "fiu"]
    if frame[target].isna().all():
        raise UserError(f"the target {target!r} has no values")
    different = {name: differing(frame[name]) for name in others if name not in numbers}
    few = {name: found for name, found in different.items() if 2 <= len(found[1]) <= MAX_LEVELS}
    levels = {name: tuple(sorted(map(str, names))) for name, (_, names) in few.items()}
    several = [name for name, names in levels.items() if len(names) > 2]
    y = _early_targets(frame, request, form) if several else None
    for name in several:
        assert y is not None
        levels[name] = _in_order(few[name][0], [str(value) for value in few[name][1]], y)
    left_out = [name for name in others if name not in numbers and name not in levels]
    if left_out:
        notes.append(
            f"columns that are neither numbers nor of 2 to {MAX_LEVELS} values are left out: {', '.join(left_out)}"
        )
    notes += [_about_levels(name, values, target) for name, values in levels.items()]
    empty = [name for name in numbers if frame[name].isna().all()]
    constant = [name for name in numbers if name not in empty and frame[name].nunique() == 1]
    for what, names in (("empty", empty), ("constant", constant)):
        if names:
            notes.append(f"{what} columns are left out: {', '.join(names)}")
    read = [name for name in others if name in levels or (name in numbers and name not in empty + constant)]
    return (target, *read), levels, notes


def _early_targets(frame: pd.DataFrame, request: Request, form: str | None) -> pd.Series[float]:
    """The target a horizon after each row, NaN after the first ``EARLY_SHARE`` of the rows. ``form``: of the times."""
    assert request.time is not None
    rows = moments_of(frame, request.time, request.group, form).assign(y=as_numbers(frame[request.target]))
    later = rows.sort_values("time").groupby("series")["y"].shift(-(request.horizon or 1))
    return later.reindex(rows.index).where(rows["time"].rank(pct=True) <= EARLY_SHARE)


def _in_order(codes: NDArray[np.int64], names: list[str], y: pd.Series[float]) -> tuple[str, ...]:
    """Values of a column in the order of their mean y.

    ``codes``: of each row in ``names``, -1 if missing. ``y``: NaN for rows that do not count.
    """
    means = y.groupby(codes).mean().reindex(range(len(names))).fillna(y.mean())
    return tuple(sorted(names, key=lambda name: (means[names.index(name)], name)))


def _about_levels(name: str, levels: tuple[str, ...], target: str) -> str:
    if len(levels) == 2:
        return f"in column {name!r}, {levels[0]!r} counts as 0 and {levels[1]!r} as 1"
    shown = ", ".join(map(repr, levels))
    return f"column {name!r} is read as a number from 0 to 1, in the order of the mean {target!r} that follows: {shown}"


def _as_level(value: Any, where: str, levels: tuple[str, ...]) -> str | None:
    """One of these values as a string, or None for null. UserError for anything else."""
    if value is not None and str(value) not in levels:
        known = ", ".join(json.dumps(_in_json(level)) for level in levels)
        raise UserError(f"{where} must be {known} or null, got {shown(value)}")
    return None if value is None else str(value)


def _in_json(level: str) -> str | bool:
    """A Boolean as such, another value as a string."""
    return level == "True" if level in ("True", "False") else level


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


def _n_repeated(frame: pd.DataFrame, time: str, group: str | None) -> int:
    """The number of rows with the time of an earlier row of their series."""
    return int(frame.duplicated([time] if group is None else [time, group]).sum())
