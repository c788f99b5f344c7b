"""PNG plots of the leaderboard; the only module of the benchmarks that imports a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from automl.tuning.recommend import probability
from benchmarks.pages.efficiency import IN_WORDS, SHORT, Efficiency
from benchmarks.pages.figures import CEILING, FLOOR, GREY, REFERENCE_DASHES, REGRET_TICKS
from benchmarks.scoring.standings import Standing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = {"solid": "-", "dash": "--", "dot": ":"}
MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "x": "X", "star": "*",
}  # fmt: skip
DOT = "#0072b2"
BARS = ("#56b4e9", "#0072b2")  # of the targets of the short table
N_BANDS = 3  # the best strategies get a band


def regret_over_budget(standing: Standing, looks: dict[str, dict[str, str]], file: Path, title: str, word: str) -> None:
    """Mean regret of each strategy against the budget along its longest runs, with 95% bands (over seeds) for the best,
    and hollow markers for runs that were given just a budget."""
    plt = _pyplot()
    from matplotlib.ticker import NullLocator, ScalarFormatter

    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    normalised = word == "regret"
    board = standing.curves.set_index("strategy")
    last = standing.board[standing.board["budget"] == standing.board["budget"].max()]
    ranked = last.sort_values("regret", kind="stable")["strategy"]
    competitors = [name for name in dict.fromkeys([*ranked, *board.index]) if name not in REFERENCE_DASHES]
    names = [*competitors, *(name for name in REFERENCE_DASHES if name in board.index)]
    given = standing.given.set_index("strategy")
    for i, name in enumerate(names):
        rows, style = board.loc[[name]], looks[name]
        values, low, high = (
            np.maximum(rows[column].to_numpy(), FLOOR) if normalised else rows[column].to_numpy()
            for column in ("regret", "low_tasks", "high_tasks")
        )
        markers = {} if name in REFERENCE_DASHES else {"marker": MARKERS[style["symbol"]], "markersize": 5}
        line = {"color": style["colour"], "linestyle": DASHES[style["dash"]], "zorder": 3 + len(names) - i, **markers}
        axes.plot(rows["budget"], values, label=name, **line)
        if name in given.index:
            points = given.loc[[name]]
            hollow = {**line, "linestyle": "none", "markersize": 8, "markerfacecolor": "white"}
            axes.plot(points["budget"], points["regret"].clip(lower=FLOOR if normalised else None), **hollow)
        if name in competitors[:N_BANDS]:
            axes.fill_between(rows["budget"], low, high, color=style["colour"], alpha=0.15, linewidth=0)
    axes.set(xscale="log", xlabel="budget (full trainings)", title=title)
    axes.set_ylabel("mean normalised regret" if normalised else f"mean {word}")
    if normalised:
        axes.set_yscale("log")
        means = board["regret"].clip(FLOOR)
        axes.set_yticks(REGRET_TICKS, [f"{tick:g}" for tick in REGRET_TICKS])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0.8 * means.min(), min(1.15 * means.max(), CEILING))
    budgets = [budget for budget in (1, 2, 5, 10, 20, 50, 100, 200) if budget <= board["budget"].max()]
    axes.set_xticks(budgets)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.25)
    title = f"best first, then references;\n95% bands (these tasks) for the best {N_BANDS}"
    if not given.empty:
        title += "\nhollow: runs given just that budget,\nwhich count instead of the line"
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title=title, alignment="left")
    _save(figure, file)


def intervals(standing: Standing, file: Path, title: str) -> None:
    """Expected regret of each strategy at the largest budget with its 80% and 95% intervals, the lowest on top."""
    plt = _pyplot()
    last = max(standing.comparisons)
    comparison = standing.comparisons[last]
    rows = standing.board[standing.board["budget"] == last].set_index("strategy").loc[comparison.means.index]
    chances = comparison.chances["probability"].to_dict()
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.3 * len(rows)), layout="constrained")
    for i, (name, row) in enumerate(rows.to_dict("index").items()):
        if pd.notna(row["low95"]):
            axes.plot([row["low95"], row["high95"]], [i, i], color=GREY, linewidth=1.5)
            axes.plot([row["low80"], row["high80"]], [i, i], color=GREY, linewidth=4)
        axes.plot(row["regret"], i, "o", color=DOT, markersize=7)
        if name in chances:
            text = probability(chances[name])
            axes.text(1.01, i, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    few = "too few tasks for intervals"
    ends = f"thick 80%, thin 95% interval over {comparison.size}" if comparison.decided else few
    axes.set(xlabel=f"expected regret; {ends}\non the right: the probability of being among the best", title=title)
    axes.set_yticks(range(len(rows)), list(rows.index))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def trainings_needed(found: Sequence[Efficiency], file: Path) -> None:
    """Median trainings to both targets as bars, with 80% intervals: a panel per situation, a row per split."""
    plt = _pyplot()

    splits = sorted({each.section.field.split for each in found}, key=lambda split: split != "holdout")
    situations = list(dict.fromkeys(each.situation for each in found))
    tallest = max(len(each.strategies) for each in found)
    size = (1.2 + 3.4 * len(situations), (1.2 + 0.36 * tallest) * len(splits))
    figure, panels = plt.subplots(len(splits), len(situations), figsize=size, layout="constrained", squeeze=False)
    for axes in panels.flat:
        axes.set_visible(False)
    for each in found:
        axes = panels[splits.index(each.section.field.split), situations.index(each.situation)]
        axes.set_visible(True)
        _bars(each, axes)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    _save(figure, file)


def _bars(each: Efficiency, axes: Any) -> None:
    names, targets = each.strategies, [target for target in SHORT if target in each.targets]
    for k, target in enumerate(targets):
        rows = each.of(target).reindex(names)
        places = np.arange(len(names)) + 0.4 * (k - (len(targets) - 1) / 2)
        values, low, high = (np.minimum(rows[name], each.limit) for name in ("median", "low80", "high80"))
        unknown = np.isinf(rows["median"].to_numpy())
        bars = axes.barh(places, values, height=0.36, color=BARS[k], label=f"to {IN_WORDS[target]}")
        for bar, is_unknown in zip(bars, unknown, strict=True):
            bar.set(alpha=0.35 if is_unknown else 1.0, hatch="//" if is_unknown else None)
        axes.hlines(places, low, high, color="black", linewidth=0.8)
        for place, value, is_unknown in zip(places, values, unknown, strict=True):
            text = f"over {each.limit}" if is_unknown else f"{value:.3g}"
            axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, each.limit), xlabel="trainings: median over units, 80% interval")
    axes.set_title(f"{each.title}\n{each.section.field.extent}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)


def plotly_source() -> str:
    """The library that draws the interactive figures."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Figure, file: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(file, dpi=130)
    pyplot.close(figure)
