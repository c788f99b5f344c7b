"""The figures of a report, as Plotly's plain dicts: ``{"data": [...], "layout": {...}}``.

Plotly reads a little HTML in its texts, so every name, value and error goes through ``inert``.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from automl.study import Study, Trial, incumbent
from strategies.base import Config
from strategies.encoding import Dimension, Encoding

Figure = dict[str, Any]
Trace = dict[str, Any]

INK, GREY, FAINT, CHOSEN, FAILED = "#1f2933", "#52606d", "#b8c4ce", "#0072b2", "#b03a00"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#7a5195", "#8c6d1f")  # Okabe and Ito, and two darker
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon", "star")
EARLY_TO_LATE = [[0.0, "#dbe9f6"], [0.5, "#6aaed6"], [1.0, "#08306b"]]
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
ORIGINS = {
    "gp": "Gaussian process",
    "tpe": "TPE",
    "hyperopt": "TPE (hyperopt)",
    "cmaes": "CMA-ES",
    "ga": "genetic algorithm",
    "sobol": "Sobol point",
}
MANY_VALUES = 8  # an ordinal of numbers with more values than this is drawn on an axis of numbers


def search_curve(study: Study, summary: Mapping[str, Any]) -> Figure:
    """Every trial, the incumbent and the default, over trial numbers or over the run's seconds."""
    metric, maximize = summary["metric"], summary["maximize"]
    ended = [trial for trial in ordered(study) if trial.at is not None]
    good = [trial for trial in ended if value(trial, metric) is not None]
    default = score(summary["default"], metric)
    low, high = shown_range(values(good, metric), maximize, default)
    ends = {
        "trial": (0.0, float(max((trial.number for trial in ended), default=1) or 1)),
        "seconds": (0.0, max([summary.get("seconds") or 0.0, *(trial.at or 0.0 for trial in ended)])),
    }
    traces: list[tuple[Trace, dict[str, list[Any]]]] = []  # the trace, and its y (trial) or x and y by kind of axis

    def add(trace: Trace, **axes: tuple[list[Any], list[Any]]) -> None:
        both = {f"{kind}.{axis}": axes[kind][i] for kind in ("trial", "seconds") for i, axis in enumerate("xy")}
        traces.append(({**trace, "x": axes["trial"][0], "y": axes["trial"][1]}, both))

    def points(trials: Sequence[Trial], y: Callable[[Trial], float | None], trace: Trace) -> None:
        heights = [y(trial) for trial in trials]
        add(trace, trial=([t.number for t in trials], heights), seconds=([t.at for t in trials], heights))

    if default is not None:
        line = {"mode": "lines", "name": f"default ({show(default)})", "line": {"dash": "dash", "width": 1.6, "color": GREY}}
        beyond = min(max(default, low), high)
        axes = {kind: ([*end], [beyond, beyond]) for kind, end in ends.items()}
        add({**line, "hoverinfo": "text", "hovertext": f"default: {show(default)}"}, **axes)
    line = {"mode": "lines", "name": "best so far", "line": {"shape": "hv", "width": 2, "color": INK}, "hoverinfo": "skip"}
    steps = {
        "trial": _steps(good, lambda trial: float(trial.number), study.max_epochs, metric, ends["trial"][1]),
        "seconds": _steps(good, lambda trial: float(trial.at or 0.0), study.max_epochs, metric, ends["seconds"][1]),
    }
    add(line, **steps)
    inside = [trial for trial in good if low <= (value(trial, metric) or 0.0) <= high]
    for i, origin in enumerate(dict.fromkeys(_origin(trial) for trial in inside)):
        group = [trial for trial in inside if _origin(trial) == origin]
        symbol = SYMBOLS[i % len(SYMBOLS)]
        marker = {
            "size": 9,
            "color": COLOURS[i % len(COLOURS)],
            "symbol": [symbol if trial.epochs >= study.max_epochs else f"{symbol}-open" for trial in group],
            "line": {"width": 1.2, "color": [INK if t.epochs >= study.max_epochs else COLOURS[i % len(COLOURS)] for t in group]},
        }
        trace = {"mode": "markers", "name": inert(origin), "marker": marker}
        points(group, lambda trial: value(trial, metric), {**trace, **_hover(group, metric)})
    outside = [trial for trial in good if trial not in inside]
    if outside:
        marker = {"size": 10, "color": GREY, "symbol": "triangle-down" if maximize else "triangle-up"}
        trace = {"mode": "markers", "name": "beyond the range", "marker": marker, "yaxis": "y2"}
        points(outside, lambda _: 0.025 if maximize else 0.975, {**trace, **_hover(outside, metric)})
    failed = [trial for trial in ended if trial.state == "failed"]
    if failed:
        marker = {"size": 9, "color": FAILED, "symbol": "x"}
        trace = {"mode": "markers", "name": "failed", "marker": marker, "yaxis": "y2"}
        points(failed, lambda _: 0.025, {**trace, **_hover(failed, metric)})
    best = next((trial for trial in inside if study.best is not None and trial.number == study.best.number), None)
    if best is not None:
        ring = {"size": 17, "symbol": "circle-open", "color": INK, "line": {"width": 2.2}}
        points([best], lambda trial: value(trial, metric), {"mode": "markers", "name": "chosen", "marker": ring, "hoverinfo": "skip"})
    buttons = [
        {
            "label": kind,
            "method": "update",
            "args": [
                {axis: [both[f"{kind}.{axis}"] for _, both in traces] for axis in "xy"},
                {"xaxis.title.text": title, "xaxis.autorange": True},
            ],
        }
        for kind, title in (("trial", "trial"), ("seconds", "seconds since the start"))
    ]
    layout = _layout(
        xaxis=_axis("trial", rangemode="normal"),
        yaxis=_axis(axis_title(summary), range=[low, high]),
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
        margin={"l": 58, "r": 16, "t": 44, "b": 120},
    )
    layout["updatemenus"] = [_buttons(buttons)]
    return {"data": [trace for trace, _ in traces], "layout": layout}


def learning_curves(study: Study) -> Figure | None:
    """The loss of each trial after each epoch; None where no trial has more than one."""
    trials = [trial for trial in ordered(study) if trial.losses]
    if max((len(trial.losses) for trial in trials), default=0) < 2:
        return None
    best = study.best
    others = [trial for trial in trials if best is None or trial.number != best.number]
    faint: Trace = {"x": [], "y": [], "hovertext": []}
    for trial in others:
        faint["x"] += [*range(1, len(trial.losses) + 1), None]
        faint["y"] += [*map(finite, trial.losses), None]
        faint["hovertext"] += [*_epochs_hover(trial), ""]
    thin = {"mode": "lines+markers", "name": "other trials", "line": {"width": 1, "color": FAINT}, "marker": {"size": 3}}
    data = [{**faint, **thin, "hoverinfo": "text", "connectgaps": False}]
    if best is not None:
        thick = {"mode": "lines+markers", "line": {"width": 3, "color": CHOSEN}, "marker": {"size": 6}}
        curve = {"x": list(range(1, len(best.losses) + 1)), "y": [finite(loss) for loss in best.losses]}
        name = f"chosen (trial {best.number})"
        data.append({**curve, **thick, "name": name, "hovertext": _epochs_hover(best), "hoverinfo": "text"})
    losses = [loss for trial in trials for loss in map(finite, trial.losses) if loss is not None]
    low, high = shown_range(losses, maximize=False)
    layout = _layout(
        xaxis=_axis("epoch", tickformat="d", **({"dtick": 1} if study.max_epochs <= 12 else {})),
        yaxis=_axis("loss, lower is better", range=[low, high]),
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        margin={"l": 58, "r": 16, "t": 44, "b": 84},
    )
    if losses and min(losses) > 0:
        scales = [
            ("linear", {"yaxis.type": "linear", "yaxis.range": [low, high]}),
            ("log", {"yaxis.type": "log", "yaxis.autorange": True}),
        ]
        layout["updatemenus"] = [_buttons([{"label": f"{n} scale", "method": "relayout", "args": [a]} for n, a in scales])]
    return {"data": data, "layout": layout}


def slices(study: Study, summary: Mapping[str, Any]) -> dict[str, Figure]:
    """The metric against each hyperparameter that can vary, by name."""
    metric, maximize = summary["metric"], summary["maximize"]
    good = [trial for trial in ordered(study) if value(trial, metric) is not None]
    limits = shown_range(values(good, metric), maximize, score(summary["default"], metric))
    figures = {}
    for dim in Encoding(study.space).dimensions:
        having = [trial for trial in good if dim.name in trial.config]
        if dim.n_values > 1 and having:
            figures[dim.name] = _slice(dim, having, study, summary, limits)
    return figures


def _slice(
    dim: Dimension, trials: list[Trial], study: Study, summary: Mapping[str, Any], limits: tuple[float, float]
) -> Figure:
    metric, (low, high) = summary["metric"], limits
    trials = sorted(trials, key=lambda trial: study.best is not None and trial.number == study.best.number)
    axis, place = _slice_axis(dim)
    heights = [value(trial, metric) or 0.0 for trial in trials]
    chosen = [study.best is not None and trial.number == study.best.number for trial in trials]
    beyond = "triangle-down" if summary["maximize"] else "triangle-up"
    marker = {
        "color": [trial.number for trial in trials],
        "colorscale": EARLY_TO_LATE,
        "cmin": 0,
        "cmax": max([1, *study.trials]),
        "size": [13 if best else 8 for best in chosen],
        "symbol": [
            beyond if not low <= height <= high else "star" if best else "circle"
            for height, best in zip(heights, chosen, strict=True)
        ],
        "line": {"width": [1.5 if best else 0.7 for best in chosen], "color": INK},
    }
    texts = [
        f"<b>trial {t.number}</b><br>{inert(dim.name)} = {inert(shorten(setting(t.config[dim.name]), 60))}<br>{inert(metric)} = {show(height)}"
        for t, height in zip(trials, heights, strict=True)
    ]
    points = {
        "mode": "markers",
        "x": [place(trial.config[dim.name], trial.number) for trial in trials],
        "y": [min(max(height, low), high) for height in heights],
        "marker": marker,
        "hoverinfo": "text",
        "hovertext": texts,
        "cliponaxis": False,
        "showlegend": False,
    }
    at = place(dim.default, None)
    line = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
    layout = _layout(
        xaxis=axis,
        yaxis=_axis("", range=[low, high], nticks=5),
        margin={"l": 46, "r": 12, "t": 8, "b": 36},
        shapes=[{**line, "line": {"dash": "dash", "width": 1.4, "color": GREY}}],
    )
    return {"data": [points], "layout": layout}


def _slice_axis(dim: Dimension) -> tuple[dict[str, Any], Callable[[Any, int | None], float]]:
    """The x axis of a hyperparameter, and where a value of a trial lies on it."""
    numbers = [v for v in dim.values if not isinstance(v, (str, bool))]
    if dim.values and not (dim.kind == "ordinal" and len(numbers) == len(dim.values) > MANY_VALUES):

        def place(value: Any, trial: int | None) -> float:
            spread = 0.0 if trial is None else (trial * 0.618034 % 1 - 0.5) * 0.5  # so that equal values do not hide
            return next(i for i, v in enumerate(dim.values) if v == value and type(v) is type(value)) + spread

        ticks = [inert(shorten(setting(v), 14)) for v in dim.values]
        axis = _axis("", tickvals=list(range(len(ticks))), ticktext=ticks, range=[-0.5, len(ticks) - 0.5])
        return {**axis, "showgrid": False}, place
    low, high = (min(numbers), max(numbers)) if numbers else (dim.low, dim.high)
    log = dim.log or (bool(numbers) and low > 0 and high / low >= 100)
    ends = (math.log10(low), math.log10(high)) if log else (low, high)
    margin = 0.04 * (ends[1] - ends[0])
    axis = _axis("", range=[ends[0] - margin, ends[1] + margin], nticks=5)
    if log:
        axis |= {"type": "log", "exponentformat": "power", "dtick": 1 if ends[1] - ends[0] > 1.5 else "D2"}
    elif dim.kind == "int":
        axis |= {"dtick": 1} if high - low <= 8 else {"tickformat": "d"}
    return axis, lambda value, _: float(value)


# --- values -------------------------------------------------------------------------------------------------------


def ordered(study: Study) -> list[Trial]:
    """The trials by number."""
    return sorted(study.trials.values(), key=lambda trial: trial.number)


def finite(number: float | None) -> float | None:
    """The number, or None where it is none."""
    return number if number is not None and math.isfinite(number) else None


def value(trial: Trial, metric: str) -> float | None:
    """What a trial reached in the metric, where that is a number."""
    return finite(trial.value(metric))


def values(trials: Iterable[Trial], metric: str) -> list[float]:
    """What trials reached in the metric, without those that reached nothing."""
    return [v for v in (value(trial, metric) for trial in trials) if v is not None]


def score(entry: Mapping[str, Any] | None, metric: str) -> float | None:
    """What a trial of summary.json reached in the metric."""
    return None if entry is None else finite(entry["metrics"].get(metric, entry["loss"]))


def shown_range(numbers: Sequence[float], maximize: bool, default: float | None = None) -> tuple[float, float]:
    """The range of an axis that shows the best values and the bulk, but not a few that are worse by far.

    What is farther from the best than four times the third quartile is left outside; the default only if it is
    farther than eight times. Ascending; with a margin.
    """
    turned = sorted(-number if maximize else number for number in numbers)
    if not turned:
        return (0.0, 1.0)
    best, edge = turned[0], turned[-1]
    bulk = turned[math.ceil(0.75 * (len(turned) - 1))] - best
    if len(turned) >= 5 and bulk > 0:
        edge = max(number for number in turned if number <= best + 4 * bulk)
    if default is not None:
        turned_default = -default if maximize else default
        if turned_default <= best + 8 * bulk:
            edge = max(edge, turned_default)
    margin = 0.08 * (edge - best) or 0.05 * abs(best) or 1.0
    low, high = best - margin, edge + margin
    return (-high, -low) if maximize else (low, high)


def axis_title(summary: Mapping[str, Any]) -> str:
    """The metric and its good direction."""
    return f"{inert(summary['metric'])}, {'higher' if summary['maximize'] else 'lower'} is better"


def show(value: Any) -> str:
    """A value for people: numbers with about four digits, yes and no as Python and YAML write them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}" if 0.1 <= abs(value) < 10 else f"{value:.4g}"
    return str(value)


def setting(value: Any) -> str:
    """A hyperparameter's value for people: numbers without trailing zeros."""
    return f"{value:.4g}" if isinstance(value, float) else show(value)


def shorten(text: str, length: int) -> str:
    """The beginning of a long text."""
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def inert(text: str) -> str:
    """A text as Plotly shows it literally."""
    return html.escape(text, quote=False)


def described(config: Config) -> list[str]:
    """A config as lines, one for each hyperparameter."""
    return [f"{name} = {setting(value)}" for name, value in config.items()]


# --- parts of figures ---------------------------------------------------------------------------------------------


def _steps(
    trials: Sequence[Trial], place: Callable[[Trial], float], max_epochs: int, metric: str, end: float
) -> tuple[list[Any], list[Any]]:
    """The incumbent's value from one trial to the next, drawn on to the end."""
    x: list[Any] = []
    y: list[Any] = []
    best: Trial | None = None
    for trial in sorted(trials, key=place):
        now = incumbent([trial] if best is None else [best, trial], max_epochs)
        if now is not None and now is not best:
            best = now
            x.append(place(trial))
            y.append(value(best, metric))
    return (x + [max(end, x[-1])], y + y[-1:]) if x else (x, y)


def _origin(trial: Trial) -> str:
    """How the trial's config came about, in words."""
    origin = str(trial.proposals[-1].info.get("from", "proposed"))
    return ORIGINS.get(origin, shorten(origin, 30))


def _hover(trials: Sequence[Trial], metric: str) -> Trace:
    texts = []
    for trial in trials:
        reached = value(trial, metric)
        what = f"failed: {shorten(trial.error or '', 80)}" if reached is None else f"{metric} = {show(reached)}"
        lines = [what, f"{trial.epochs} epoch{'s' * (trial.epochs != 1)}, {_origin(trial)}", *described(trial.config)[:16]]
        texts.append("<br>".join([f"<b>trial {trial.number}</b>", *(inert(shorten(line, 90)) for line in lines)]))
    return {"hoverinfo": "text", "hovertext": texts}


def _epochs_hover(trial: Trial) -> list[str]:
    return [f"trial {trial.number}, epoch {i}: loss {show(loss)}" for i, loss in enumerate(trial.losses, 1)]


def _axis(title: str, **more: Any) -> dict[str, Any]:
    look = {"gridcolor": "#e4e9ee", "zeroline": False, "linecolor": "#9aa5b1", "ticks": "outside", "tickcolor": "#9aa5b1"}
    return {**look, "title": {"text": title, "standoff": 8}, "automargin": True, **more}


def _layout(**more: Any) -> dict[str, Any]:
    look = {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hoverlabel": {"align": "left", "bgcolor": "#ffffff", "bordercolor": "#9aa5b1", "font": {"family": FONT, "size": 12}},
        "hovermode": "closest",
        "autosize": True,
    }
    return {**look, **more}


def _buttons(buttons: list[dict[str, Any]]) -> dict[str, Any]:
    place = {"x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 8}}
    look = {"bgcolor": "#ffffff", "bordercolor": "#9aa5b1", "font": {"size": 12}, "showactive": True}
    return {"type": "buttons", "direction": "right", "buttons": buttons, "active": 0, **place, **look}
