"""The slice plots of a report: the metric of every trial against each hyperparameter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from automl.analysis import plot_style
from automl.analysis.comparable import ComparedTrials, compared
from automl.analysis.formatting import (
    described,
    inert,
    ordered,
    score,
    setting,
    shorten,
    show,
    shown_range,
    too_short,
    value,
)
from automl.analysis.plot_style import COLOURS, GREY, INK, MANY_TRIALS, Figure, Trace, is_best
from automl.analysis.surrogate import Effect
from automl.study.study import Study
from automl.study.trial import Trial
from strategies.encoding import Dimension, Encoding

EARLY_TO_LATE = [[0.0, "#dbe9f6"], [0.5, "#6aaed6"], [1.0, "#08306b"]]
MODEL, BAND, SURE = (
    "#009e73",
    "rgba(0, 158, 115, 0.18)",
    1.645,
)  # standard deviations of the central 90% of a normal distribution
MANY_LETTERS = 32  # total length of category names that fit side by side
MANY_DECADES = 5  # maximum decades with a label each
MIN_TRIALS = 3  # with a hyperparameter, for the curve of its effect
MANY_VALUES = 8  # a numeric ordinal with more values is drawn on a numeric axis


def by_hyperparameter(
    study: Study,
    summary: Mapping[str, Any],
    effects: Mapping[str, Effect] | None = None,
    comparison: ComparedTrials | None = None,
) -> dict[str, Figure]:
    """The metric against each varying hyperparameter, by name, with its estimated effect if there is one.

    ``comparison``: the trials from which the effects are estimated; the plots show them at the compared length.
    """
    metric, maximize = summary["metric"], summary["maximize"]
    comparison = comparison or compared(study, metric, maximize)
    if comparison.enough and not comparison.whole:
        heights = {trial.number: comparison.reached(trial, metric) for trial in comparison.trials}
    else:
        heights = {trial.number: value(trial, metric) for trial in ordered(study)}
    reached = {number: height for number, height in heights.items() if height is not None}
    bulk = comparison.trials if comparison.enough else study.trials.values()
    default = score(summary["default"], metric) if comparison.whole and too_short(summary) is None else None
    limits = shown_range([reached[t.number] for t in bulk if t.number in reached], maximize, default)
    good = [trial for trial in ordered(study) if trial.number in reached]
    figures = {}
    for dim in Encoding(study.space).dimensions:
        having = [trial for trial in good if dim.name in trial.config]
        if dim.n_values > 1 and having:
            figures[dim.name] = _slice(dim, having, reached, study, summary, limits)
            if effects and dim.name in effects and len(having) >= MIN_TRIALS:
                figures[dim.name]["data"] += _effect(dim, effects[dim.name], limits)
    return figures


def _slice(
    dim: Dimension,
    trials: list[Trial],
    reached: Mapping[int, float],
    study: Study,
    summary: Mapping[str, Any],
    limits: tuple[float, float],
) -> Figure:
    low, high = limits
    axis, place = _slice_axis(dim)
    n_equal = Counter(repr(trial.config[dim.name]) for trial in trials)

    def x_of(trial: Trial) -> float:
        """The position, beside others with the same category; the star is not shifted."""
        alone = n_equal[repr(trial.config[dim.name])] == 1 or is_best(trial, summary)
        return place(trial.config[dim.name], None if alone else trial.number)

    def points(group: list[Trial], marker: dict[str, Any]) -> Trace:
        heights = [reached[trial.number] for trial in group]
        beyond = "triangle-down" if summary["maximize"] else "triangle-up"
        shapes = [marker["symbol"] if low <= height <= high else beyond for height in heights]
        ends = ["" if trial.fidelity >= study.max_epochs else "-open" for trial in group]
        symbols = [shape + end for shape, end in zip(shapes, ends, strict=True)]
        texts = [
            "<br>".join([f"<b>trial {t.number}</b>", *map(inert, described({dim.name: t.config[dim.name]})), what])
            for t, what in zip(group, [f"{inert(summary['metric'])} = {show(h)}" for h in heights], strict=True)
        ]
        return {
            "mode": "markers",
            "x": [x_of(trial) for trial in group],
            "y": [min(max(height, low), high) for height in heights],
            "marker": {**marker, "symbol": symbols},
            "hoverinfo": "text",
            "hovertext": texts,
            "cliponaxis": False,
            "showlegend": False,
        }

    others = [trial for trial in trials if not is_best(trial, summary)]
    size = 8 if len(trials) <= MANY_TRIALS else 6
    dots = {
        "symbol": "circle",
        "color": [trial.number for trial in others],
        "colorscale": EARLY_TO_LATE,
        "cmin": 0,
        "cmax": max([1, *study.trials]),
        "size": [size if trial.fidelity >= study.max_epochs else size - 3 for trial in others],
        "line": {"width": 0.7, "color": INK},
    }
    star = {"symbol": "star", "color": COLOURS[1], "size": 14, "line": {"width": 1.2, "color": INK}}
    chosen = [trial for trial in trials if is_best(trial, summary)]
    at = place(dim.default, None)
    line = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
    layout = plot_style.layout(
        xaxis=axis,
        yaxis=plot_style.axis("", range=[low, high], nticks=5),
        margin={"l": 46, "r": 12, "t": 8, "b": 36},
        shapes=[{**line, "line": {"dash": "dash", "width": 1.4, "color": GREY}}],
    )
    return {"data": [points(others, dots), points(chosen, star)], "layout": layout}


def _effect(dim: Dimension, effect: Effect, limits: tuple[float, float]) -> list[Trace]:
    """The partial dependence: a line with a 90% band for numbers, bars for categories."""
    _, place = _slice_axis(dim)
    x = [place(dim.from_unit(float(u)), None) for u in effect.at]
    low, mean, high = ([float(v) for v in effect.mean + k * SURE * effect.sd] for k in (-1, 0, 1))
    common: Trace = {"hoverinfo": "skip", "showlegend": False}
    if not dim.numeric:
        bars = {"type": "data", "array": [SURE * float(sd) for sd in effect.sd], "color": MODEL, "thickness": 2}
        marker = {"symbol": "line-ew", "size": 22, "line": {"width": 3, "color": MODEL}}
        inside = [m if limits[0] <= m <= limits[1] else None for m in mean]
        return [{**common, "mode": "markers", "x": x, "y": inside, "error_y": bars, "marker": marker}]
    band = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": BAND}
    return [
        {**common, **band, "x": [*x, *reversed(x)], "y": [*low, *reversed(high)]},
        {**common, "mode": "lines", "x": x, "y": mean, "line": {"width": 2, "color": MODEL}},
    ]


def _slice_axis(dim: Dimension) -> tuple[dict[str, Any], Callable[[Any, int | None], float]]:
    """The x axis of a hyperparameter, and a function from a trial's value to its position."""
    numbers = [v for v in dim.values if not isinstance(v, (str, bool))]
    if dim.values and not (dim.kind == "ordinal" and len(numbers) == len(dim.values) > MANY_VALUES):

        def place(value: Any, trial: int | None) -> float:
            spread = 0.0 if trial is None else (trial * 0.618034 % 1 - 0.5) * 0.5  # so that equal values do not overlap
            return next(i for i, v in enumerate(dim.values) if v == value and type(v) is type(value)) + spread

        ticks = [inert(shorten(setting(v), 14)) for v in dim.values]
        axis = plot_style.axis("", tickvals=list(range(len(ticks))), ticktext=ticks, range=[-0.5, len(ticks) - 0.5])
        if sum(map(len, ticks)) > MANY_LETTERS:
            axis |= {"tickangle": -30}  # Plotly's own angle omits the last label at the edge
        return {**axis, "showgrid": False}, place
    low, high = (min(numbers), max(numbers)) if numbers else (dim.low, dim.high)
    log = dim.log or (bool(numbers) and low > 0 and high / low >= 100)
    ends = (math.log10(low), math.log10(high)) if log else (low, high)
    margin = 0.04 * (ends[1] - ends[0])
    axis = plot_style.axis("", range=[ends[0] - margin, ends[1] + margin], nticks=5)
    if log:
        decades = ends[1] - ends[0]
        step = math.ceil(decades / MANY_DECADES) if decades > 1.5 else "D2"
        axis |= {"type": "log", "exponentformat": "power", "dtick": step, "tickangle": 0}
    elif dim.kind == "int":
        axis |= {"dtick": 1} if high - low <= 8 else {"tickformat": "d"}
    return axis, lambda value, _: float(value)
