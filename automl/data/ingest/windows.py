"""Windows of past values in a table of time series, and the values some steps after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.number_formats import as_numbers
from automl.data.ingest.request import Request
from automl.data.ingest.split import LEAST_ROWS
from automl.data.ingest.split_columns import group_names, moments
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

WINDOWS = (4, 64)  # smallest and largest window, in steps; a season and one step more may exceed it
PARTS_OF_SERIES = 20  # the length of the series, in windows
SEASONS_OF_SERIES = 4  # the least length of the series, in seasons, for a window of a season
DAY = 86_400.0  # seconds
SEASONS = (  # seconds between dates, and the steps of a season, as in M4 (Makridakis et al. 2020), but a week for days
    (DAY / 96, 96), (DAY / 48, 48), (DAY / 24, 24), (DAY, 7), (7 * DAY, 52), (365.25 / 12 * DAY, 12),
    (365.25 / 4 * DAY, 4),
)  # fmt: skip
SAME_STEP = 0.05  # months have 28 to 31 days


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


def windows(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """One row per time step with a full window: series, time, the target's current value and known, and window.

    A window is (channels, steps), the newest last, without the channels' offsets. Missing values are filled with the
    previous step's, except in known.
    """
    import pandas as pd

    when = whole_numbers(moments(frame[layout.time], layout.time, layout.form))
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
            raise UserError(
                f"column {empty[0]!r} has no numbers, of which a forecast reads the last {window}; "
                "write them as in the training data"
            )
        longest = names.value_counts().max()
        raise UserError(f"no series has {window} rows with a value in every column; the longest has {longest:,} rows")
    return pd.concat(parts, ignore_index=True)


def with_targets(found: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, pd.Series[Any], NDArray[Any]]:
    """The windows whose own value of the target is known and that ``horizon`` steps after them, the latter, and its
    times."""
    found["step"] = found.groupby("series").cumcount()
    ahead = found.groupby("series")["known"].shift(-horizon)
    when = found.groupby("series")["time"].shift(-horizon)
    known = (found["known"].notna() & ahead.notna() & when.notna()).to_numpy()
    return found[known].reset_index(drop=True), ahead[known].reset_index(drop=True), when[known].to_numpy()


def window_length(length: int, season: int | None, horizon: int) -> int:
    """The steps that a forecast reads: a share of the series, but at least a season and the step before it if the
    series is long enough, since many forecasts are the change of a season ago."""
    window = int(np.clip(length // PARTS_OF_SERIES, *WINDOWS))
    if season is None or length < max(SEASONS_OF_SERIES * (season + 1), season + horizon + LEAST_ROWS):
        return window
    return max(window, season + 1)


def season_length(frame: pd.DataFrame, request: Request, form: str | None) -> int | None:
    """The steps of a season, by the usual time between dates; None for other numbers and for other times."""
    import pandas as pd

    assert request.time is not None
    when = as_dates(whole_numbers(moments(frame[request.time], request.time, form)))
    if when.dtype.kind != "M":
        return None
    names = 0 if request.group is None else group_names(frame[request.group], request.group)
    steps = pd.DataFrame({"series": names, "time": when}).sort_values("time").groupby("series")["time"].diff()
    seconds = steps.dt.total_seconds()
    usual = float(seconds[seconds > 0].median())
    return next((n for step, n in SEASONS if abs(usual / step - 1.0) < SAME_STEP), None)


def whole_numbers(when: NDArray[Any]) -> NDArray[Any]:
    """Times that are whole numbers as such."""
    if when.dtype.kind != "f" or (when != np.round(when)).any() or np.abs(when).max(initial=0.0) >= 2**53:
        return when
    return when.astype(np.int64)


def as_dates(when: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers like 202503 and 20250331 as dates; other times as they are."""
    import pandas as pd

    if when.dtype.kind != "i":
        return when
    digits = pd.Series(when.astype(str))
    form = next((form for form, n in (("%Y%m", 6), ("%Y%m%d", 8)) if (digits.str.len() == n).all()), None)
    dates = pd.to_datetime(digits, format=form, errors="coerce") if form else None
    return when if dates is None or dates.isna().any() else dates.to_numpy()
