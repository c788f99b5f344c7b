"""Windows of past values in a table of time series, and the values some steps after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.number_formats import as_numbers, differing
from automl.data.ingest.seasons import Seasons, in_words
from automl.data.ingest.split_columns import group_names, moments
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

WINDOWS = (4, 64)  # smallest and largest window, in rows; a season and one row more may exceed it
PARTS_OF_SERIES = 20  # the length of the series, in windows
LAST_VALUE = "last value"
MIN_WINDOW_SHARE = 0.5  # share of its steps that have a row, in training
UNKNOWN = 0.5  # between the levels of a channel: before its first known one


@dataclass(frozen=True)
class Layout:
    """The roles of a table's columns in a series, and their formats."""

    time: str
    group: str | None
    channels: tuple[str, ...]  # numbers, or 0 to 1 for a few other values; the target first
    window: int  # the newest rows that a forecast reads
    horizon: int  # steps
    form: str | None = None  # of dates given as strings
    decimals: Mapping[str, str] = field(default_factory=dict)  # decimal signs, used where a file is ambiguous
    offsets: Mapping[str, float] = field(default_factory=dict)  # subtracted from the windows, by channel; others: 0
    earlier: tuple[int, ...] = ()  # how many rows before the newest one the other rows are that it reads, ascending
    seasons: Seasons = field(default_factory=Seasons)
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # from 0 to 1, of channels that are not numbers

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The fields in a mapping, which may have others; layouts of earlier versions lack the last three."""
        given = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        given |= {name: tuple(given.get(name, ())) for name in ("channels", "earlier")}
        levels = {name: tuple(values) for name, values in content.get("levels", {}).items()}
        return cls(**given | {"seasons": Seasons.from_json(content.get("seasons", {})), "levels": levels})

    def numbers(self, values: pd.Series[Any], channel: str) -> NDArray[np.float64]:
        """The values of a channel, NaN where they are missing or unknown, (n,)."""
        if channel not in self.levels:
            return as_numbers(values, self.decimals.get(channel, "."))
        codes, different = differing(values)
        levels = self.levels[channel]
        known = {level: place / (len(levels) - 1) for place, level in enumerate(levels)}
        return np.array([*(known.get(str(value), np.nan) for value in different), np.nan])[codes]

    @property
    def unit(self) -> str:
        """What a horizon and a window count."""
        return "step" if self.seasons.regular else "row"

    @property
    def steps(self) -> tuple[int, ...]:
        """How many rows before the newest one the rows of a window are, the newest last."""
        return (*reversed(self.earlier), *reversed(range(self.window)))

    @property
    def reach(self) -> int:
        """The number of rows from the first of a window to the newest one."""
        return self.steps[0] + 1

    def without_model(self, windows: NDArray[Any], y: NDArray[Any]) -> int:
        """The place in a window of the value that is the best forecast without a model, for labels y, (n,).

        ``windows``: of the target, (n, steps).
        """
        places = [self.steps.index(n) for n in self.seasons.naive(self.horizon) if n in self.steps]
        return min(places, key=lambda place: float(np.mean((windows[:, place] - y) ** 2)))

    def name_of(self, place: int) -> str:
        """The forecast without a model whose value is at a place of the window."""
        if not self.steps[place]:
            return LAST_VALUE
        n = self.steps[place] + self.horizon
        return f"value {in_words(n * self.seasons.step) if self.seasons.regular else f'{n} rows'} earlier"


@dataclass(frozen=True)
class Counts:
    """What gives no windows, or is in them without being in the table."""

    lost: int  # rows with a full window, but before every column has its first value
    short: int  # series of fewer steps than a window
    sparse: int  # rows with a window of which less than ``MIN_WINDOW_SHARE`` of the steps have a row
    filled: int  # steps without a row, between others


def windows(frame: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, Counts]:
    """One row per given row with a full window: series, time, step, the target's current value and known, whether the
    window is sparse, and window.

    A window is (channels, steps), with the ``Layout.steps``, without the channels' offsets. Missing values, and those
    of missing rows, are filled with the previous step's, except in known; unknown levels too.
    """
    import pandas as pd

    rows = moments_of(frame, layout.time, layout.group, layout.form)
    names, when = rows["series"], rows["time"].to_numpy()
    numbers = pd.DataFrame({name: layout.numbers(frame[name], name) for name in layout.channels})
    reach, places = layout.reach, layout.reach - 1 - np.array(layout.steps)
    offsets = [layout.offsets.get(name, 0.0) for name in layout.channels]
    parts, lost, short, sparse, filled = [], 0, 0, 0, 0
    for name in names.unique():
        rows_of = np.flatnonzero((names == name).to_numpy())
        order = rows_of[np.argsort(when[rows_of], kind="stable")]
        given = numbers.iloc[order]
        known = given[layout.channels[0]].to_numpy(np.float64)
        values = given.ffill().fillna(dict.fromkeys(layout.levels, UNKNOWN)).to_numpy(np.float64)
        start = int(np.isnan(values).any(1).sum())  # before every column has its first value
        steps = layout.seasons.positions(when[order], reach + layout.horizon)
        short += bool(steps[-1] + 1 < reach)
        now = np.flatnonzero(steps[start:] - steps[start : start + 1] + 1 >= reach) + start
        lost += int(np.count_nonzero(steps + 1 >= reach)) - len(now)
        if not len(now):
            continue
        n_rows = now - np.maximum(np.searchsorted(steps, steps[now] - reach + 1), start) + 1
        is_sparse = n_rows < MIN_WINDOW_SHARE * reach
        sparse += int(np.count_nonzero(is_sparse))
        repeats = np.diff(steps[start:], append=steps[-1] + 1)
        filled += int(repeats.sum()) - len(repeats)
        array = (values[start:] - offsets).astype(np.float32).repeat(repeats, 0)
        views = np.lib.stride_tricks.sliding_window_view(array, reach, axis=0)
        views = views[:, :, places] if layout.earlier else views  # which needs no memory
        each = [views[n] for n in steps[now] - steps[start] - reach + 1]
        ends = {"time": when[order][now], "step": steps[now], "value": values[now, 0], "known": known[now]}
        ends["sparse"] = is_sparse
        parts.append(pd.DataFrame({"series": name, **ends, "window": each}))
    if not parts:
        longest = int(names.value_counts().max()) if len(names) else 0
        if longest < reach:
            raise UserError(f"a forecast needs the last {reach} rows or more, got {longest}")
        empty = [name for name in layout.channels if name not in layout.levels and numbers[name].isna().all()]
        if empty:
            raise UserError(
                f"column {empty[0]!r} has no numbers, of which a forecast reads the last {reach}; "
                "write them as in the training data"
            )
        raise UserError(f"no series has {reach} rows with a value in every column; the longest has {longest:,} rows")
    return pd.concat(parts, ignore_index=True), Counts(lost, short, sparse, filled)


def with_targets(found: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, pd.Series[Any], NDArray[Any]]:
    """The windows that are not sparse and whose own value of the target is known and that ``horizon`` steps after them,
    the latter, and its times."""
    later = found[["series", "step", "time", "known"]].assign(step=found["step"] - horizon)
    ahead = found[["series", "step"]].merge(later, "left", ["series", "step"])
    known = (found["known"].notna() & ahead["known"].notna() & ~found["sparse"]).to_numpy()
    ahead = ahead[known].reset_index(drop=True)
    return found[known].reset_index(drop=True), ahead["known"], ahead["time"].to_numpy()


def window_length(length: int, seasons: Seasons) -> int:
    """The newest rows that a forecast reads: a share of the series, or a season."""
    return seasons.window(int(np.clip(length // PARTS_OF_SERIES, *WINDOWS)))


def moments_of(frame: pd.DataFrame, time: str, group: str | None, form: str | None) -> pd.DataFrame:
    """Columns series and time: of each row, dates or numbers; whole numbers as such."""
    import pandas as pd

    when = whole_numbers(moments(frame[time], time, form))
    return pd.DataFrame({"series": 0 if group is None else group_names(frame[group], group), "time": when})


def whole_numbers(when: NDArray[Any]) -> NDArray[Any]:
    """Times that are whole numbers as such."""
    if when.dtype.kind != "f" or (when != np.round(when)).any() or np.abs(when).max(initial=0.0) >= 2**53:
        return when
    return when.astype(np.int64)
