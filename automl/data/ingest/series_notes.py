"""Notes on a table of time series: rows that give no example, steps of several lengths, series of several sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.ingest.request import listed
from automl.data.ingest.seasons import as_dates, in_words
from automl.data.ingest.windows import Counts, Layout

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
    unit, older = layout.unit, layout.reach - layout.window
    later = f"{layout.horizon} {unit}{'s' * (layout.horizon != 1)} later"
    more = f", {len(layout.earlier)} of the {older} {unit}s before it" if layout.earlier else ""
    return f"{rows} give {n:,} examples: each is a window of {layout.window} {unit}s{more} and the value {later}"


def about_rows(frame: pd.DataFrame, layout: Layout, found: pd.DataFrame, counts: Counts) -> Iterator[str]:
    """Notes on rows that give no window or no target, and on the steps between the others."""
    yield from about_left_out(frame, layout, counts)
    if counts.sparse:
        are = "row gives" if counts.sparse == 1 else "rows give"
        yield f"{counts.sparse:,} {are} no example, as most of the steps before have no row"
    target = layout.channels[0]
    n_missing = int(frame[target].isna().sum())
    if n_missing:
        if n_missing == 1:
            are, them = f"value of {target!r} is", "it is not used as a target, and in windows it is"
        else:
            are, them = f"values of {target!r} are", "they are not used as targets, and in windows they are"
        yield f"{n_missing:,} {are} missing: {them} replaced by the previous value"
    yield from about_steps(found, layout, counts)


def about_left_out(frame: pd.DataFrame, layout: Layout, counts: Counts) -> Iterator[str]:
    """Notes on rows that give no window."""
    if counts.lost:
        gaps = [name for name in layout.channels if frame[name].isna().any()]
        which = f" (with gaps: {listed(gaps)})" if gaps else ""
        are = "time step is" if counts.lost == 1 else "time steps are"
        yield f"{counts.lost:,} {are} left out, as not every column has a value yet{which}"
    if counts.short:
        are = "is left out: it has" if counts.short == 1 else "are left out: they have"
        yield f"{counts.short:,} series {are} fewer rows than the {layout.reach} that a forecast needs"


def about_steps(found: pd.DataFrame, layout: Layout, counts: Counts) -> Iterator[str]:
    """A note if rows are missing between others, or if the steps between windows vary in length."""
    import pandas as pd

    if counts.filled:
        are = "step between others has" if counts.filled == 1 else "steps between others have"
        yield f"{counts.filled:,} {are} no row: they count for the horizon, and windows have the previous values there"
    if layout.seasons.regular:
        return
    times = pd.Series(as_dates(found["time"].to_numpy()))
    steps = times.groupby(found["series"]).diff().dropna()
    if len(steps) and steps.min() != steps.max():
        shortest, longest = _duration(steps.min()), _duration(steps.max())
        yield f"steps vary in length, from {shortest} to {longest}: a horizon counts rows"


def about_sparse(counts: Counts) -> Iterator[str]:
    """A note on forecasts that rest on few rows."""
    if counts.sparse:
        rows = "1 row" if counts.sparse == 1 else f"{counts.sparse:,} rows"
        yield f"before {rows}, most steps of the window have no row: forecasts from there may be wrong"


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
