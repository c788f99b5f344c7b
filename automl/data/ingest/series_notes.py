"""Notes on a table of time series: rows that give no example, steps of several lengths, series of several sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.ingest.request import listed
from automl.data.ingest.seasons import as_dates, in_words
from automl.data.ingest.windows import Layout

if TYPE_CHECKING:
    import pandas as pd

MANY_TIMES = 30.0  # ratio of the changes of several series above which they are not of one size


def about_examples(frame: pd.DataFrame, n: int, layout: Layout) -> str:
    """A note on how many examples the rows give, and why there are fewer than rows."""
    rows = f"{len(frame):,} rows"
    if layout.group is not None:
        rows += f" of {frame[layout.group].nunique():,} series"
    if layout.seasons.step:
        rows += f", {in_words(layout.seasons.step)} apart,"
    later = f"{layout.horizon} row{'s' * (layout.horizon != 1)} later"
    more = f", {len(layout.earlier)} of the {layout.reach - layout.window} rows before it" if layout.earlier else ""
    return f"{rows} give {n:,} examples: each is a window of {layout.window} rows{more} and the value {later}"


def about_rows(frame: pd.DataFrame, layout: Layout, found: pd.DataFrame) -> Iterator[str]:
    """Notes on rows that give no window or no target, and on the steps between the others."""
    yield from about_left_out(frame, layout, found)
    target = layout.channels[0]
    n_missing = int(frame[target].isna().sum())
    if n_missing:
        yield (
            f"{n_missing:,} values of {target!r} are missing: they are not used as targets, and in windows they are "
            "replaced by the previous value"
        )
    yield from about_steps(found)


def about_left_out(frame: pd.DataFrame, layout: Layout, found: pd.DataFrame) -> Iterator[str]:
    """Notes on rows that give no window."""
    lengths = [len(frame)] if layout.group is None else frame[layout.group].value_counts().tolist()
    n_lost = sum(max(0, n - layout.reach + 1) for n in lengths) - len(found)
    if n_lost:
        gaps = [name for name in layout.channels if frame[name].isna().any()]
        which = f" (with gaps: {listed(gaps)})" if gaps else ""
        are = "time step is" if n_lost == 1 else "time steps are"
        yield f"{n_lost:,} {are} left out, as not every column has a value yet{which}"
    n_short = sum(0 < n < layout.reach for n in lengths)
    if n_short:
        are = "is left out: it has" if n_short == 1 else "are left out: they have"
        yield f"{n_short:,} series {are} fewer rows than the {layout.reach} that a forecast needs"


def about_steps(found: pd.DataFrame) -> Iterator[str]:
    """A note if the steps between windows vary in length."""
    import pandas as pd

    times = pd.Series(as_dates(found["time"].to_numpy()))
    steps = times.groupby(found["series"]).diff().dropna()
    if len(steps) and steps.min() != steps.max():
        shortest, longest = _duration(steps.min()), _duration(steps.max())
        yield f"steps vary in length, from {shortest} to {longest}: a horizon counts rows"


def about_sizes(found: pd.DataFrame) -> Iterator[str]:
    """A note if several series change by very different amounts."""
    sizes = found.groupby("series")["value"].agg(lambda values: values.diff().abs().median())
    sizes = sizes[sizes > 0]
    if len(sizes) and (ratio := sizes.max() / sizes.min()) > MANY_TIMES:
        yield (
            f"the series change by amounts that differ by a factor of up to {ratio:,.0f}: the largest ones decide, and "
            "forecasts of the others may be worse than their last value; a run for each, or a target that is divided "
            "by a typical value of its series, avoids that"
        )


def about_repeated(n: int) -> Iterator[str]:
    """A note on rows with the time of another."""
    if n:
        yield f"{n:,} {'row shares its' if n == 1 else 'rows share their'} time with another row"


def _duration(step: Any) -> str:
    if isinstance(step, float | np.integer):
        return f"{step:g}"
    text = str(step).removesuffix(" 00:00:00").removeprefix("0 days ")
    return "1 day" if text == "1 days" else text.replace("0 days", "0")
