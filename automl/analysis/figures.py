"""The figures of a report that show the whole search, as Plotly's plain dicts: ``{"data": [...], "layout": {...}}``.

Plotly reads a little HTML in its texts, so every name, value and error goes through ``inert``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.analysis import plot_style
from automl.analysis.formatting import (
    described,
    finite,
    has_folds,
    inert,
    ordered,
    score,
    shorten,
    show,
    shown_range,
    too_short,
    value,
    values,
)
from automl.analysis.importance import Importances
from automl.analysis.plot_style import CHOSEN, COLOURS, FAILED, FAINT, GREY, INK, MANY_TRIALS, Figure, Trace, is_best
from automl.study.study import Study
from automl.study.trial import Trial, incumbent
from automl.task import TOO_SLOW

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon", "star")
ORIGINS = {
    "gp": "Gaussian process",
    "tpe": "TPE",
    "hyperopt": "TPE (hyperopt)",
    "cmaes": "CMA-ES",
    "ga": "genetic algorithm",
    "sobol": "Sobol point",
    "prior": "past studies",
    "start": "preset or given config",
    "again": "trained once more",
}
LEGEND = {"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"}
OUT_OF_RANGE = "beyond the range"


@dataclass(frozen=True)
class CurveTrace:
    """A trace of the search curve over both kinds of x axis: (x, y) over trial numbers and over seconds."""

    look: Trace
    trial: tuple[list[Any], list[Any]]
    seconds: tuple[list[Any], list[Any]]

    @classmethod
    def points(cls, trials: Sequence[Trial], heights: list[Any], look: Trace) -> CurveTrace:
        """A trace with a point per trial, at the given heights."""
        return cls(look, ([t.number for t in trials], heights), ([t.at for t in trials], heights))


def search_curve(study: Study, summary: Mapping[str, Any]) -> Figure:
    """Every trial, the incumbent and the default, over trial numbers or over the run's seconds."""
    metric, maximize = summary["metric"], summary["maximize"]
    ended = [trial for trial in ordered(study) if trial.at is not None]
    good = [trial for trial in ended if value(trial, metric) is not None]
    limits = shown_range(values(good, metric), maximize, _default(summary))
    curves = [*_points(good, ended, study, summary, limits), *_lines(good, ended, summary, limits)]
    few = 1 if len(ended) <= 12 else None  # whole trial numbers only; with more trials, Plotly decides
    buttons = [
        {
            "label": kind,
            "method": "update",
            "args": [
                {axis: [getattr(curve, kind)[i] for curve in curves] for i, axis in enumerate("xy")},
                {"xaxis.title.text": title, "xaxis.autorange": True, "xaxis.dtick": dtick},
            ],
        }
        for kind, title, dtick in (("trial", "trial", few), ("seconds", "seconds since the start", None))
    ]
    layout = plot_style.layout(
        xaxis=plot_style.axis("trial", dtick=few),
        yaxis=plot_style.axis(_axis_title(summary), range=[*limits], showticklabels=bool(good)),
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        updatemenus=[plot_style.buttons(buttons)],
        showlegend=True,
        legend={**LEGEND, "itemsizing": "constant"},
    )
    return {"data": [{**curve.look, "x": curve.trial[0], "y": curve.trial[1]} for curve in curves], "layout": layout}


def _lines(
    good: list[Trial], ended: list[Trial], summary: Mapping[str, Any], limits: tuple[float, float]
) -> Iterator[CurveTrace]:
    """The default as a dashed line and the incumbent as steps, over seconds in the order in which trials ended."""
    metric = summary["metric"]
    ends = (
        float(max((trial.number for trial in ended), default=1) or 1),
        max([summary.get("seconds") or 0.0, *(trial.at or 0.0 for trial in ended)]),
    )
    default = _default(summary)
    if default is not None:
        height = min(max(default, limits[0]), limits[1])
        line = {"dash": "dash", "width": 1.6, "color": GREY}
        look = {"mode": "lines", "name": f"default ({show(default)})", "line": line, "hoverinfo": "skip"}
        by_trial, by_seconds = (([0.0, end], [height, height]) for end in ends)
        yield CurveTrace(look, by_trial, by_seconds)
    line = {"shape": "hv", "width": 2, "color": INK}
    yield CurveTrace(
        {"mode": "lines", "name": "best so far", "line": line, "hoverinfo": "skip"},
        _steps(good, lambda trial: float(trial.number), metric, ends[0]),
        _steps(good, lambda trial: trial.at or 0.0, metric, ends[1]),
    )


def _points(
    good: list[Trial], ended: list[Trial], study: Study, summary: Mapping[str, Any], limits: tuple[float, float]
) -> Iterator[CurveTrace]:
    """The trials by origin; failed ones and those beyond the range are at the edge of the worse values."""
    metric, maximize = summary["metric"], summary["maximize"]
    inside = [trial for trial in good if limits[0] <= (value(trial, metric) or 0.0) <= limits[1]]
    for i, origin in enumerate(dict.fromkeys(map(_origin, inside))):
        group = [trial for trial in inside if _origin(trial) == origin]
        colour, symbol = COLOURS[i % len(COLOURS)], SYMBOLS[i % len(SYMBOLS)]
        whole = [trial.fidelity >= study.max_epochs for trial in group]
        marker = {
            "size": 9 if len(ended) <= MANY_TRIALS else 6,
            "color": colour,
            "symbol": [symbol if all_of_it else f"{symbol}-open" for all_of_it in whole],
            "line": {"width": 1.2, "color": [INK if all_of_it else colour for all_of_it in whole]},
        }
        look = {"mode": "markers", "name": inert(origin), "marker": marker, **_hover(group, summary)}
        yield CurveTrace.points(group, [value(trial, metric) for trial in group], look)
    edge = 0.025 if maximize else 0.975
    outside = [trial for trial in good if trial not in inside]
    slow = [trial for trial in ended if trial.is_too_slow]
    failed = [trial for trial in ended if trial.state == "failed" and not trial.is_too_slow]
    for name, group, colour, symbol in (
        (OUT_OF_RANGE, outside, GREY, "triangle-down" if maximize else "triangle-up"),
        (TOO_SLOW, slow, GREY, "x"),
        ("failed", failed, FAILED, "x"),
    ):
        if group:
            marker = {"size": 10, "color": colour, "symbol": symbol}
            look = {"mode": "markers", "name": name, "marker": marker, "yaxis": "y2", **_hover(group, summary)}
            yield CurveTrace.points(group, [edge] * len(group), look)
    best = [trial for trial in inside if is_best(trial, summary)]
    if best:
        ring = {"size": 17, "symbol": "circle-open", "color": INK, "line": {"width": 2.2}}
        look = {"mode": "markers", "name": "chosen", "marker": ring, "hoverinfo": "skip"}
        yield CurveTrace.points(best, [value(trial, metric) for trial in best], look)


def learning_curves(study: Study, summary: Mapping[str, Any]) -> Figure | None:
    """The metric of each trial after each epoch or fold; None if no trial has more than one."""
    metric, maximize = summary["metric"], summary["maximize"]
    trials = [trial for trial in ordered(study) if trial.losses]
    if max((len(trial.losses) for trial in trials), default=0) < 2:
        return None
    curves = {trial.number: [*map(finite, trial.metrics.get(metric) or trial.losses)] for trial in trials}
    best = next((trial for trial in trials if is_best(trial, summary)), None)
    step = _step(summary)
    others = [trial for trial in trials if not is_best(trial, summary)]
    faint: Trace = {"x": [], "y": [], "hovertext": []}
    for trial in others:
        curve = curves[trial.number]
        faint["x"] += [*range(1, len(curve) + 1), None]
        faint["y"] += [*curve, None]
        faint["hovertext"] += [*_curve_hover(trial, curve, step, metric), ""]
    width = 1.0 if len(trials) <= MANY_TRIALS else 0.4
    line = {"width": width, "color": FAINT}
    thin = {"mode": "lines+markers", "name": "other trials", "line": line, "marker": {"size": 3 * width}}
    data = [{**faint, **thin, "hoverinfo": "text", "connectgaps": False}]
    if best is not None:
        thick = {"mode": "lines+markers", "line": {"width": 3, "color": CHOSEN}, "marker": {"size": 6}}
        curve = curves[best.number]
        hover = {"hovertext": _curve_hover(best, curve, step, metric), "hoverinfo": "text"}
        name = f"chosen (trial {best.number})"
        data.append({"x": list(range(1, len(curve) + 1)), "y": curve, **thick, "name": name, **hover})
    known = [height for curve in curves.values() for height in curve if height is not None]
    low, high = shown_range(known, maximize)
    layout = plot_style.layout(
        xaxis=plot_style.axis(step, tickformat="d", **({"dtick": 1} if study.max_epochs <= 12 else {})),
        yaxis=plot_style.axis(_axis_title(summary), range=[low, high]),
        legend=LEGEND,
    )
    if known and min(known) > 0 and not maximize:
        scales = [
            ("linear", {"yaxis.type": "linear", "yaxis.range": [low, high]}),
            ("log", {"yaxis.type": "log", "yaxis.autorange": True}),
        ]
        layout["updatemenus"] = [
            plot_style.buttons([{"label": f"{n} scale", "method": "relayout", "args": [a]} for n, a in scales])
        ]
    return {"data": data, "layout": layout}


def importance_bars(found: Importances, metric: str) -> Figure:
    """The share of each hyperparameter as a bar, the largest on top, with its 90% interval."""
    each = found.each[::-1]
    shares = [importance.share for importance in each]
    interval = {
        "type": "data",
        "array": [share.high - share.value for share in shares],
        "arrayminus": [share.value - share.low for share in shares],
        "color": INK,
    }
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [share.value for share in shares],
        "y": [inert(shorten(importance.name, 40)) for importance in each],
        "error_x": interval,
        "marker": {"color": CHOSEN},
        "hoverinfo": "text",
        "hovertext": [f"{100 * share.value:.0f}%, {share.interval} in 90% of refits" for share in shares],
    }
    layout = plot_style.layout(
        xaxis=plot_style.axis(f"share in the variation of {inert(metric)}", tickformat=".0%", rangemode="tozero"),
        yaxis=plot_style.axis("", type="category"),
        height=max(240, 110 + 32 * len(each)),
    )
    return {"data": [bars], "layout": layout}


def _default(summary: Mapping[str, Any]) -> float | None:
    """The default's value, if it was trained as long as the best trial."""
    return score(summary["default"], summary["metric"]) if too_short(summary) is None else None


def _axis_title(summary: Mapping[str, Any]) -> str:
    """The metric and which direction is better."""
    return f"{inert(summary['metric'])}, {'higher' if summary['maximize'] else 'lower'} is better"


def _steps(
    trials: Sequence[Trial], place: Callable[[Trial], float], metric: str, end: float
) -> tuple[list[Any], list[Any]]:
    """The incumbent's value from trial to trial, extended to the end."""
    x: list[Any] = []
    y: list[Any] = []
    best: Trial | None = None
    for trial in sorted(trials, key=place):
        now = incumbent([trial] if best is None else [best, trial])
        if now is not None and now is not best:
            best = now
            x.append(place(trial))
            y.append(finite(best.mean(metric)))
    return ([*x, max(end, x[-1])], [*y, y[-1]]) if x else (x, y)


def _origin(trial: Trial) -> str:
    """The origin of the trial's config, in words."""
    origin = str(trial.proposals[0].info.get("from", "proposed"))
    if origin == "default" and trial.number > 0:  # the first trial is the default of the whole space
        return "default of a family"
    return ORIGINS.get(origin, shorten(origin, 30))


def _reason(trial: Trial) -> list[str]:
    """Which strategy proposed the config, and its share, if several search together; or which trial it repeats."""
    if trial.repeats is not None:
        return [f"the config of trial {trial.repeats}, among the best, with another seed"]
    if trial.arm is None:
        return []
    share = trial.proposals[0].info.get("share")
    when = f", whose share was {share:.0%} then" if isinstance(share, float) else ""
    return [f"proposed by {trial.arm}{when}"]


def _hover(trials: Sequence[Trial], summary: Mapping[str, Any]) -> Trace:
    metric, step, texts = summary["metric"], _step(summary), []
    for trial in trials:
        reached = value(trial, metric)
        error = shorten(trial.error or "", 80)
        why = error if trial.is_too_slow else f"failed: {error}"
        what = why if reached is None else f"{metric} = {show(reached)}"
        lines = [
            what,
            f"{trial.epochs} {step}{'s' * (trial.epochs != 1)}, {_origin(trial)}",
            *_reason(trial),
            *described(trial.config)[:16],
        ]
        texts.append("<br>".join([f"<b>trial {trial.number}</b>", *(inert(shorten(line, 60)) for line in lines)]))
    return {"hoverinfo": "text", "hovertext": texts}


def _step(summary: Mapping[str, Any]) -> str:
    return "fold" if has_folds(summary) else "epoch"


def _curve_hover(trial: Trial, curve: Sequence[float | None], step: str, metric: str) -> list[str]:
    return [f"trial {trial.number}, {step} {i}: {inert(metric)} {show(height)}" for i, height in enumerate(curve, 1)]
