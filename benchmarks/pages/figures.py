"""The interactive figures of the leaderboard, as Plotly's plain dicts: ``{"data": [...], "layout": {...}}``.

Plotly interprets some HTML in its texts, so every name goes through ``inert``. The page sets the colours of text and
grid, which depend on its colour scheme, and shows or hides the traces of a strategy by their ``meta``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from automl.analysis.formatting import inert
from benchmarks.pages.efficiency import IN_WORDS, SHORT, Efficiency
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.standings import Standing

Figure = dict[str, Any]

# Colour-blind safe, on white and on black.
COLOURS = ("#1f83c9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a63c9", "#a8763e", "#e0475b", "#93a01f")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x", "star")
DASHES = ("solid", "dash", "dot")
GREY = "#8a949e"
REFERENCE_DASHES = {"random": "solid", "random x2": "dash", "default": "dot"}
FLOOR, CEILING = 1e-3, 1.5  # lower regrets are drawn at the floor; higher ones are visible after zooming out
REGRET_TICKS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
REGRET_COLOURS = [[0.0, "#08306b"], [0.35, "#4292c6"], [0.6, "#c6dbef"], [0.8, "#fdd0a2"], [1.0, "#d94801"]]
BUDGET = {"trainings": "budget (full trainings)", "seconds": "budget (time, in mean trainings)"}


def look(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """A colour, dash and symbol for each strategy, the same in all figures; references are grey."""
    found = {}
    others = [name for name in sorted(names) if name not in REFERENCE_DASHES]
    for i, name in enumerate(others):
        dash, symbol = DASHES[i // len(COLOURS) % len(DASHES)], SYMBOLS[i % len(SYMBOLS)]
        found[name] = {"colour": COLOURS[i % len(COLOURS)], "dash": dash, "symbol": symbol}
    grey = {name: {"colour": GREY, "dash": dash, "symbol": "circle"} for name, dash in REFERENCE_DASHES.items()}
    return {**found, **grey}


def figures(section: Section, looks: dict[str, dict[str, str]]) -> dict[str, Figure]:
    """All figures of a section, by measure and clock."""
    found: dict[str, Figure] = {}
    several = len(section.field.tasks) > 1
    for clock, standing in section.standings.items():
        found[f"regret-{clock}"] = _curves(section, standing, clock, looks, "regret")
        if several:
            found[f"rank-{clock}"] = _curves(section, standing, clock, looks, "rank")
            found[f"intervals-{clock}"] = _intervals(standing, looks)
            found[f"grid-{clock}"] = _grid(standing, several_suites=len({s for s, _ in section.field.tasks}) > 1)
        if not standing.reached.empty:
            found[f"ecdf-{clock}"] = _ecdf(standing, clock, looks)
    return found


def _curves(section: Section, standing: Standing, clock: str, looks: dict[str, dict[str, str]], measure: str) -> Figure:
    """Mean regret or mean rank over the budget along the longest runs, with bands; hollow markers for the mean regret
    of runs that were given just a budget."""
    normalised = section.field.normalised
    log = measure == "regret" and normalised
    word = "rank" if measure == "rank" else section.word
    low, high = ("low_tasks", "high_tasks") if measure == "regret" else ("low_rank", "high_rank")
    leaders = {*list(standing.comparisons.values())[-1].means.index[:3], "random"}
    bands: list[Figure] = []
    lines: list[Figure] = []
    points: list[Figure] = []
    given = standing.given
    for name, rows in standing.curves.dropna(subset=[measure]).groupby("strategy"):
        style = looks[str(name)]
        budgets, values = rows["budget"].to_list(), rows[measure].to_numpy()
        ends = np.concatenate([rows[high].to_numpy(), rows[low].to_numpy()[::-1]])
        band = {
            "x": [*budgets, *budgets[::-1]], "y": _short(np.maximum(ends, FLOOR) if log else ends), "mode": "lines",
            "line": {"width": 0}, "fill": "toself", "fillcolor": f"{style['colour']}2e", "hoverinfo": "skip",
            "meta": {"strategy": name, "band": True, "leads": name in leaders},
        }  # fmt: skip
        hover = f"<b>{inert(str(name))}</b>, budget %{{x}}<br>mean {word} %{{customdata[0]}}"
        columns: list[Iterable[float]] = [values, rows[low], rows[high]]
        if measure == "regret":
            columns += [rows["low95"], rows["high95"]]
            hover += "<br>these tasks: %{customdata[1]} to %{customdata[2]}"
            if section.field.n_units > 1:
                hover += "<br>tasks like these: %{customdata[3]} to %{customdata[4]}"
        else:
            hover += "<br>95%: %{customdata[1]} to %{customdata[2]}"
        line = {
            "x": budgets, "y": _short(np.maximum(values, FLOOR) if log else values),
            "mode": "lines" if name in REFERENCE_DASHES else "lines+markers", "name": inert(str(name)),
            "line": {"color": style["colour"], "dash": style["dash"], "width": 2},
            "marker": {"symbol": style["symbol"], "size": 6}, "customdata": _across(*columns),
            "hovertemplate": hover + "<extra></extra>", "meta": {"strategy": name, "band": False},
        }  # fmt: skip
        bands.append(band)
        lines.append(line)
        own = given[given["strategy"] == name]
        if measure == "regret" and not own.empty:
            regrets = own["regret"].to_numpy()
            hover = f"<b>{inert(str(name))}</b>, runs given just budget %{{x}}<br>mean {word} %{{customdata}}"
            points.append(
                {
                    "x": own["budget"].to_list(), "y": _short(np.maximum(regrets, FLOOR) if log else regrets),
                    "mode": "markers", "name": inert(str(name)), "showlegend": False,
                    "marker": {"color": style["colour"], "symbol": f"{style['symbol']}-open", "size": 10},
                    "customdata": _short(regrets), "hovertemplate": hover + "<extra></extra>",
                    "meta": {"strategy": name, "band": False},
                }
            )  # fmt: skip
    title = f"mean {word}" + (", 1 is best" if measure == "rank" else "" if normalised else ", lower is better")
    axis: Figure = {"title": {"text": title}}
    if log:
        means = standing.curves["regret"].clip(FLOOR)
        ends = np.log10([0.8 * means.min(), min(1.15 * means.max(), CEILING)])
        ticks = {"tickvals": REGRET_TICKS, "ticktext": [f"{tick:g}" for tick in REGRET_TICKS]}
        axis |= {"type": "log", "range": _short(ends), **ticks}
    return {"data": [*bands, *lines, *points], "layout": _layout(xaxis=_budget_axis(standing, clock), yaxis=axis)}


def _ecdf(standing: Standing, clock: str, looks: dict[str, dict[str, str]]) -> Figure:
    """Share of the (task, target) pairs reached against the budget."""
    data = []
    columns = np.array(standing.reached.columns, dtype=float)
    places = np.unique(np.searchsorted(columns, np.geomspace(columns[0], columns[-1], 45) - 1e-9))
    for name, shares in standing.reached.iloc[:, places].iterrows():
        style = looks[str(name)]
        data.append(
            {
                "x": [float(budget) for budget in shares.index], "y": _short(shares), "mode": "lines",
                "name": inert(str(name)), "line": {"color": style["colour"], "dash": style["dash"], "width": 2},
                "hovertemplate": f"<b>{inert(str(name))}</b>, budget %{{x}}<br>%{{y:.0%}} of targets<extra></extra>",
                "meta": {"strategy": name, "band": False},
            }
        )  # fmt: skip
    axis = {"title": {"text": "share of targets reached"}, "range": [0, 1.02], "tickformat": ".0%"}
    return {"data": data, "layout": _layout(xaxis=_budget_axis(standing, clock), yaxis=axis)}


def _intervals(standing: Standing, looks: dict[str, dict[str, str]]) -> Figure:
    """Expected regret at the largest budget with its 80% and 95% intervals, the lowest on top."""
    last = max(standing.comparisons)
    comparison = standing.comparisons[last]
    names = [str(name) for name in comparison.means.index]
    rows = standing.board[standing.board["budget"] == last].set_index("strategy").loc[names]
    chances = comparison.chances["probability"].reindex(names)
    bars = [
        {
            "x": _short(end for low, high in zip(rows[f"low{level}"], rows[f"high{level}"], strict=True)
                        for end in (low, high, float("nan"))),
            "y": [i if k < 2 else None for i in range(len(names)) for k in range(3)],
            "mode": "lines", "line": {"color": GREY, "width": width}, "hoverinfo": "skip",
        }
        for level, width in ((95, 1.5), (80, 5))
    ]  # fmt: skip
    points = {
        "x": _short(rows["regret"]), "y": list(range(len(names))), "mode": "markers",
        "marker": {"size": 10, "color": [looks[name]["colour"] for name in names]},
        "customdata": [
            [inert(name), *row]
            for name, row in zip(
                names, _across(rows["regret"], rows["low95"], rows["high95"], chances), strict=True
            )
        ],
        "hovertemplate": "<b>%{customdata[0]}</b><br>expected regret %{customdata[1]}"
                         "<br>95%: %{customdata[2]} to %{customdata[3]}"
                         "<br>among the best with probability %{customdata[4]}<extra></extra>",
    }  # fmt: skip
    layout = _layout(
        xaxis={"title": {"text": "expected regret"}},
        yaxis={
            "tickvals": list(range(len(names))), "ticktext": [inert(name) for name in names], "zeroline": False,
            "range": [len(names) - 0.4, -0.6], "fixedrange": True,
        },
        height=110 + 27 * len(names),
    )  # fmt: skip
    return {"data": [*bars, points], "layout": layout}


def _grid(standing: Standing, *, several_suites: bool) -> Figure:
    """Tasks x strategies, coloured by regret at the largest budget; the best strategy on the left."""
    rows = standing.by_task
    label = rows["suite"] + "/" + rows["task"] if several_suites else rows["task"]
    wide = rows.assign(label=label).pivot(index="label", columns="strategy", values=["regret", "low", "high"])
    names = rows.groupby("strategy")["regret"].mean().sort_values(kind="stable").index
    tasks = list(wide.index)[::-1]
    regret, low, high = (wide[kind].loc[tasks, names].to_numpy() for kind in ("regret", "low", "high"))
    ticks = [0.001, 0.01, 0.1, 1]
    cells = {
        "type": "heatmap", "x": [inert(str(name)) for name in names], "y": [inert(str(task)) for task in tasks],
        "z": [_short(row) for row in np.log10(np.clip(regret, FLOOR, 1.0))], "zmin": -3, "zmax": 0,
        "xgap": 1, "ygap": 1, "colorscale": REGRET_COLOURS,
        "customdata": [_across(*row) for row in zip(regret, low, high, strict=True)],
        "hovertemplate": "<b>%{x}</b> on %{y}<br>regret %{customdata[0]}"
                         "<br>95% over seeds: %{customdata[1]} to %{customdata[2]}<extra></extra>",
        "colorbar": {"title": {"text": "regret", "side": "right"}, "tickvals": list(np.log10(ticks)),
                     "ticktext": ["0.001 or less", "0.01", "0.1", "1 or more"], "thickness": 12, "outlinewidth": 0,
                     "lenmode": "pixels", "len": 170, "y": 1, "yanchor": "top"},
    }  # fmt: skip
    layout = _layout(
        xaxis={"side": "top", "tickangle": -50, "fixedrange": True, "showgrid": False},
        yaxis={"fixedrange": True, "showgrid": False, "type": "category"},
        height=150 + 19 * len(tasks),
    )
    return {"data": [cells], "layout": layout}


def trainings_needed(each: Efficiency) -> Figure:
    """Median trainings to both targets of the short table as bars with 80% intervals, the fastest on top."""
    data = []
    for target, colour in zip(SHORT, (COLOURS[5], COLOURS[0]), strict=True):
        rows = each.of(target).reindex(each.strategies)
        values, low, high = (np.minimum(rows[name].to_numpy(), each.limit) for name in ("median", "low80", "high80"))
        texts = [f"over {each.limit}" if np.isinf(value) else f"{value:.3g}" for value in rows["median"]]
        never = [f"{1 - share:.0%}" for share in rows["reached"]]
        hatched = ["/" if np.isinf(value) else "" for value in rows["median"]]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": f"to {IN_WORDS[target]}",
                "marker": {"color": colour, "opacity": 0.7, "pattern": {"shape": hatched}},
                "x": _short(values), "y": [inert(name) for name in each.strategies],
                "error_x": {"type": "data", "symmetric": False, "array": _short(high - values),
                            "arrayminus": _short(values - low), "thickness": 1.2, "width": 3},
                "customdata": [list(row) for row in zip(texts, _short(low), _short(high), never, strict=True)],
                "hovertemplate": f"<b>%{{y}}</b> to {IN_WORDS[target]}<br>median %{{customdata[0]}} trainings"
                                 "<br>80%: %{customdata[1]} to %{customdata[2]}"
                                 "<br>%{customdata[3]} of the runs never<extra></extra>",
            }
        )  # fmt: skip
    layout = _layout(
        xaxis={"title": {"text": "trainings"}, "range": [0, each.limit]},
        yaxis={"autorange": "reversed", "fixedrange": True, "showgrid": False},
        barmode="group", bargap=0.25, showlegend=True, height=150 + 32 * len(each.strategies),
        legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"},
    )  # fmt: skip
    return {"data": data, "layout": layout}


def overhead(costs: pd.DataFrame, looks: dict[str, dict[str, str]]) -> Figure:
    """Seconds of an ask and its tell against the number of known trials, both on log scales."""
    data = []
    for name, rows in costs.sort_values("n_trials").groupby("strategy"):
        style = looks[str(name)]
        data.append(
            {
                "x": rows["n_trials"].to_list(), "y": _short(rows["seconds"]), "mode": "lines+markers",
                "name": inert(str(name)), "line": {"color": style["colour"], "dash": style["dash"], "width": 2},
                "marker": {"symbol": style["symbol"], "size": 7},
                "hovertemplate": f"<b>{inert(str(name))}</b>, %{{x}} known trials<br>%{{y:.3g}} seconds<extra></extra>",
            }
        )  # fmt: skip
    x = {"title": {"text": "known trials"}, "type": "log", "tickvals": sorted(costs["n_trials"].unique().tolist())}
    y = {"title": {"text": "seconds per suggestion"}, "type": "log", "exponentformat": "power", "dtick": 1}
    legend = {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}
    return {"data": data, "layout": _layout(xaxis=x, yaxis=y, showlegend=True, legend=legend)}


def _budget_axis(standing: Standing, clock: str) -> Figure:
    budgets = [float(budget) for budget in standing.curves["budget"].unique()]
    low, high = np.log10(budgets[0]), np.log10(budgets[-1])
    margin = 0.03 * (high - low) or 0.1
    ticks = [b for b in budgets if b in (budgets[0], budgets[-1]) or round(b / budgets[0]) in (2, 5, 10, 20, 50)]
    texts = [f"{tick:.3g}" for tick in ticks]
    return {
        "title": {"text": BUDGET[clock]}, "type": "log", "tickvals": ticks, "ticktext": texts,
        "range": [low - margin, high + margin],
    }  # fmt: skip


def _layout(**more: Any) -> Figure:
    for axis in ("xaxis", "yaxis"):
        more[axis] = {"automargin": True, "zeroline": False, **more[axis]}
        more[axis]["title"] = {"standoff": 8, "font": {"size": 13}, **more[axis].get("title", {})}
    base = {
        "font": {"family": 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif', "size": 13},
        "hovermode": "closest", "hoverlabel": {"align": "left"}, "showlegend": False, "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 14, "t": 14, "b": 52},
    }  # fmt: skip
    return {**base, **more}


def _across(*columns: Iterable[float]) -> list[list[float | None]]:
    return [_short(row) for row in zip(*columns, strict=True)]


def _short(values: Iterable[float]) -> list[float | None]:
    """Rounded to four digits, with None for NaN, which JSON lacks."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]
