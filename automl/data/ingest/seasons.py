"""The seasons of a series whose times are dates: which earlier rows a forecast reads, and which parts of its own date.

A forecast of hourly data reads the value at the same hour of each of the last seven days, the hour and the weekday. The
date of a forecast follows from that of the newest row and the usual step, so that training and prediction know the
same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.split import MIN_ROWS
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

DAY = 86_400.0  # seconds
WEEK, YEAR = 7 * DAY, 365.25 * DAY
MONTH = YEAR / 12
UNITS = (  # minimum of a step, in seconds, and the unit in which it is reported
    (350 * DAY, YEAR, "year"), (28.5 * DAY, MONTH, "month"), (DAY, DAY, "day"), (3_600.0, 3_600.0, "h"),
    (60.0, 60.0, "min"), (0.0, 1.0, "s"),
)  # fmt: skip
TOLERANCE = 0.05  # relative difference of equal steps, as months have 28 to 31 days
MIN_SEASONS = 4  # of a series for models that read them
GRID_TOLERANCE = 0.25  # how far a row may be from a whole step, in steps
MIN_NEAR, MIN_GIVEN = 0.95, 0.9  # of a regular series: the share of rows near a step, and of steps with a row
MAX_STEPS = 96  # of a season for models that read each of its rows
PARTS = {"hour": (DAY, 24), "weekday": (WEEK, 7), "month": (YEAR, 12)}  # of a date: how often it recurs, its values


@dataclass(frozen=True)
class Seasons:
    """The step between rows, and what recurs often enough to be learnt. Empty for times that are not dates."""

    step: float = 0.0  # seconds
    lengths: tuple[int, ...] = ()  # rows of a day and a week, or of a year, ascending
    parts: tuple[str, ...] = ()  # keys of PARTS that models read
    regular: bool = False  # rows are whole steps apart: a window has steps without a row too

    @classmethod
    def of(cls, times: pd.DataFrame, horizon: int) -> Self:
        """The seasons of series with one row per time step: columns series and time (dates, or numbers)."""
        dates = as_dates(times["time"].to_numpy())
        if dates.dtype.kind != "M":
            return cls()
        apart = _gaps(times["series"].to_numpy(), dates)
        step = _usual_gap(apart)
        if step is None:
            return cls()
        length = len(times) / times["series"].nunique()
        missing = 7 - _n_weekdays(dates) if _same(step, DAY) else 0  # 2 on working days
        rows = {cycle: cycle / step * (7 - missing) / 7 for cycle in (DAY, WEEK, YEAR)}
        covered = [cycle for cycle, n in rows.items() if length >= max(MIN_SEASONS * (n + 1), n + horizon + MIN_ROWS)]
        read = (DAY, WEEK) if step < DAY * (1 - TOLERANCE) else (WEEK,) if step < WEEK * (1 - TOLERANCE) else (YEAR,)
        lengths = [rows[cycle] for cycle in read if cycle in covered]
        return cls(
            step,
            tuple(round(n) for n in lengths if round(n) > 1 and _same(n, round(n))),
            tuple(part for part, (cycle, _) in PARTS.items() if cycle in covered and step < cycle / 2),
            not missing and _is_regular(apart / step),
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The fields in a mapping; those that are missing are empty."""
        lengths, parts = (tuple(content.get(name, ())) for name in ("lengths", "parts"))
        return cls(content.get("step", 0.0), lengths, parts, content.get("regular", False))

    def positions(self, times: NDArray[Any], max_step: int) -> NDArray[np.int64]:
        """The steps from the first of a series' times, (n,), ascending, to each; if they are not regular, its row.

        Each row is a step or more after the one before, and at most ``max_step``, however long the gap.
        """
        dates = as_dates(times)
        if not self.regular or dates.dtype.kind != "M":
            return np.arange(len(times))
        apart = np.diff(dates).astype("timedelta64[us]").astype(float) / 1e6 / self.step
        return np.concatenate([[0], np.clip(np.round(apart), 1, max_step).cumsum()]).astype(np.int64)

    def window(self, shortest: int) -> int:
        """The number of newest rows that a forecast reads, at least ``shortest``: with a season, also the row before
        it, since many forecasts are the change of a season ago."""
        return max([shortest, *(n + 1 for n in self.lengths[:1] if n <= MAX_STEPS)])

    def earlier(self, window: int, horizon: int) -> tuple[int, ...]:
        """How many rows before the newest one the other rows are that a forecast reads, ascending: up to the longest
        season, those at the point of the shortest one at which the newest row is, or the forecast."""
        if not self.lengths:
            return ()
        shortest, longest = self.lengths[0], self.lengths[-1]
        found = {n for phase in (0, -horizon % shortest) for n in range(phase, longest + 1, shortest)}
        return tuple(sorted(n for n in found if n >= window))

    def naive(self, horizon: int) -> tuple[int, ...]:
        """How many rows before the newest one the values are that are forecasts without a model: the newest value, and
        for each season the last known value at the same point of it."""
        return (0, *(-horizon % n for n in self.lengths))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each part."""
        return tuple(PARTS[part][1] for part in self.parts)

    def codes(self, times: pd.Series[Any], horizon: int) -> NDArray[np.int64]:
        """The parts of the dates of forecasts, from 1 on: (n, parts). ``times``: of the newest rows."""
        import pandas as pd

        if not self.parts:
            return np.zeros((len(times), 0), np.int64)
        dates = times if times.dtype.kind == "M" else pd.Series(as_dates(times.to_numpy()))
        if dates.dtype.kind != "M":
            raise UserError(
                f"the model reads {', '.join(self.parts)} of the time that it forecasts: the times must be dates"
            )
        dates = dates.dt.tz_localize(None)
        if self.step < MONTH * (1 - TOLERANCE):
            dates = dates + pd.to_timedelta(horizon * self.step, unit="s")
            months = dates.dt.month
        else:  # not by seconds, as months differ in length
            months = (dates.dt.month - 1 + horizon * round(self.step / MONTH)) % 12 + 1
        each = {"hour": dates.dt.hour + 1, "weekday": dates.dt.day_of_week + 1, "month": months}
        return np.column_stack([each[part].to_numpy(np.int64) for part in self.parts])

    def waves(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The codes as sine and cosine, (n, 2 * parts), in which the last value is near the first."""
        angles = 2 * np.pi * codes / np.array(self.sizes)
        return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)

    def about(self) -> Iterator[str]:
        """A note on the parts of the date that models read."""
        if self.parts:
            yield f"models also read {', '.join(self.parts)} of the time that they forecast"

    def about_step(self, times: pd.DataFrame) -> Iterator[str]:
        """A note if the step between rows of other data is another."""
        dates = as_dates(times["time"].to_numpy())
        if not self.step or dates.dtype.kind != "M":
            return
        step = _usual_gap(_gaps(times["series"].to_numpy(), dates))
        if step is not None and not _same(step, self.step):
            before = in_words(self.step)
            yield f"rows are usually {in_words(step)} apart, in the training data {before}: forecasts may be wrong"


def as_dates(when: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers like 202503 and 20250331 as dates; other times as they are."""
    import pandas as pd

    if when.dtype.kind != "i":
        return when
    digits = pd.Series(when.astype(str))
    form = next((form for form, n in (("%Y%m", 6), ("%Y%m%d", 8)) if (digits.str.len() == n).all()), None)
    dates = pd.to_datetime(digits, format=form, errors="coerce") if form else None
    return when if dates is None or dates.isna().any() else dates.to_numpy()


def in_words(seconds: float) -> str:
    """A step, such as 30 min, 1 h, 7 days or 1 month."""
    unit, name = next((unit, name) for least, unit, name in UNITS if seconds >= least)
    n = seconds / unit
    number = f"{round(n) if n >= 0.5 and _same(n, round(n)) else n:.3g}"
    return f"{number} {name}{'s' * (name in ('day', 'month', 'year') and number != '1')}"


def _gaps(series: NDArray[Any], dates: NDArray[Any]) -> pd.Series[float]:
    """The seconds between rows of a series with different times, by series."""
    import pandas as pd

    times = pd.DataFrame({"series": series, "time": dates}).sort_values("time")
    apart: pd.Series[float] = times.groupby("series")["time"].diff().dt.total_seconds().set_axis(times["series"])
    return apart[apart > 0]


def _usual_gap(apart: pd.Series[float]) -> float | None:
    """The median of these seconds; None if there are none."""
    usual = float(apart.median())
    return None if math.isnan(usual) else usual


def _is_regular(apart: pd.Series[float]) -> bool:
    """Whether rows, whose distances are given in steps, are whole steps apart, in every series, and most have a row.

    Not if there are none at night or on Sundays: what comes after an evening then is the next morning.
    """
    whole = apart.round().clip(lower=1)
    is_near = (apart - whole).abs() <= GRID_TOLERANCE
    of_one_step = (apart.groupby(level=0).median() - 1.0).abs() <= TOLERANCE
    return bool(is_near.mean() >= MIN_NEAR and len(apart) / whole.sum() >= MIN_GIVEN and of_one_step.all())


def _n_weekdays(dates: NDArray[Any]) -> int:
    """The number of weekdays that most weeks have."""
    counts = np.bincount(dates.astype("datetime64[D]").astype(np.int64) % 7, minlength=7)
    return int(np.count_nonzero(counts > counts.max() / 2))


def _same(one: float, other: float) -> bool:
    return abs(one / other - 1.0) < TOLERANCE
