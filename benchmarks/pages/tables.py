"""The tables of the leaderboard as rows of formatted cells, for HTML and Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from automl.tuning.recommend import probability
from benchmarks.pages.sentences import number, small, spent
from benchmarks.scoring.cohorts import REFERENCES, counted
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.standings import Standing

GENERALISATION_WORDS = {
    "gap": "gap",
    "overtuning": "overtuning",
    "worse_than_default": "worse than the default",
    "retrained": "retrained: returned",
    "retrained_default": "retrained: default",
    "worse_retrained": "retrained: returned is worse",
}


@dataclass(frozen=True)
class Cell:
    """The text of a cell and its sort key; ``under`` is a second line."""

    text: str
    sort: float | str
    under: str = ""


def columns(section: Section, standing: Standing) -> list[str]:
    columns = ["strategy", *(f"{section.word} after {budget:.4g}" for budget in standing.comparisons)]
    if len(section.field.tasks) > 1:
        columns.append("mean rank")
    if _has_area(section, standing):
        columns.append("area")
    if "speed_up" in standing.board:
        columns.append("speed-up")
    return [*columns, "failed trials"]


def rows(section: Section, standing: Standing) -> list[list[Cell]]:
    """A row per strategy, the best at the largest budget first."""
    board = {(row["budget"], row["strategy"]): row for row in standing.board.to_dict("records")}
    last = max(standing.comparisons)
    several = len(section.field.tasks) > 1
    show = number if section.field.normalised else "{:.4g}".format
    ends = ("low95", "high95") if several else ("low_tasks", "high_tasks")
    rows = []
    for name in sorted(
        (name for budget, name in board if budget == last),
        key=lambda name: (pd.isna(board[last, name]["regret"]), board[last, name]["regret"]),
    ):
        cells = [Cell(name, name)]
        for budget in standing.comparisons:
            row = board[budget, name]
            cells.append(optional(row["regret"], show, between(row[ends[0]], row[ends[1]], show)))
        final = board[last, name]
        if several:
            under = between(final["low_rank"], final["high_rank"], "{:.1f}".format)
            cells.append(optional(final["rank"], "{:.1f}".format, under))
        if _has_area(section, standing):
            cells.append(optional(final["area"], "{:.3f}".format))
        if "speed_up" in final:
            under = between(final["low_speed_up"], final["high_speed_up"], "{:.1f}".format)
            under = "" if name in ("random", *REFERENCES) else under
            cells.append(optional(final["speed_up"], "{:.1f}".format, under))
        rows.append([*cells, _failed(section, name)])
    return rows


def _has_area(section: Section, standing: Standing) -> bool:
    return len(section.field.tasks) > 1 and "area" in standing.board


def optional(value: float, show: Callable[[float], str], under: str = "") -> Cell:
    """A cell; empty and sorted last if there is no value."""
    return Cell("", float("inf")) if pd.isna(value) else Cell(show(value), float(value), under)


def between(low: float, high: float, show: Callable[[float], str]) -> str:
    """An interval; empty if it is not finite."""
    return f"{show(low)} to {show(high)}" if math.isfinite(low) and math.isfinite(high) else ""


def generalisation(section: Section) -> tuple[list[str], list[list[Cell]]]:
    """Validation versus test: header and rows, without columns that have no values."""
    if section.generalisation.empty:
        return ["strategy"], []
    table = section.generalisation[[*GENERALISATION_WORDS]].dropna(axis="columns", how="all")
    n_runs: dict[Any, dict[Any, Any]] = section.generalisation.filter(like="n_").to_dict()
    raw: Callable[[float], str] = "{:.3f}".format if section.field.normalised else "{:.4g}".format
    shares = ("worse_than_default", "worse_retrained")
    rows = [
        [
            Cell(str(name), str(name)),
            *(
                optional(
                    row[column],
                    "{:.0%}".format if column in shares else raw,
                    counted(n_runs[f"n_{column}"][name], "run"),
                )
                for column in table.columns
            ),
        ]
        for name, row in table.iterrows()
    ]
    return ["strategy", *(GENERALISATION_WORDS[column] for column in table.columns)], rows


def _failed(section: Section, name: str) -> Cell:
    if name not in section.reliability.index:
        return Cell("", float("inf"))
    row: Any = section.reliability.loc[name]
    crashed = f"{row['n_crashed']:.0f} of {row['n_runs']:.0f} runs crashed" if row["n_crashed"] else ""
    if pd.isna(row["failed"]):
        return Cell("no trials", float(row["n_crashed"]), crashed)
    share = float(row["failed"])
    text = "none" if not share else "<0.1%" if share < 0.001 else f"{share:.1%}"
    return Cell(text, share + float(row["n_crashed"]), crashed)


def test_table(budget: float, comparison: Comparison, clock: str) -> dict[str, Any]:
    """Each of the others, compared with the leader."""
    return {
        "after": spent(budget, clock),
        "comparison": comparison,
        "friedman": small(comparison.friedman_p),
        "rows": [
            (
                row["b"],
                f"{-row['difference']:.3f}",
                row["word"],
                *(probability(row[name]) for name in ("better", "equal", "worse")),
                small(row["p_holm"]),
            )
            for row in comparison.pairs.to_dict("records")
        ],
    }


def duel_table(standing: Standing) -> dict[str, Any] | None:
    """The paired intervals at the largest budget if there was no test: a row per rival, a column per task."""
    duels = standing.duels[standing.duels["budget"] == max(standing.comparisons)]
    if duels.empty:
        return None
    tasks = list(dict.fromkeys(duels["task"]))
    rows = []
    for rival, part in duels.groupby("b", sort=False):
        by_task = part.set_index("task")
        cells = [
            (number(row["difference"]), between(row["low"], row["high"], number),
             "better" if row["high"] < 0 else "worse" if row["low"] > 0 else "")
            for row in by_task.loc[tasks].to_dict("records")
        ]  # fmt: skip
        rows.append((str(rival), cells))
    return {"leader": duels["a"].iloc[0], "tasks": tasks, "rows": rows}


def overhead(costs: pd.DataFrame, reliability: pd.DataFrame) -> dict[str, Any]:
    """Seconds per trial by the number of known trials, and as measured in the runs; failures."""
    wide = costs.pivot(index="strategy", columns="n_trials", values="seconds")
    rows = []
    for name, run in reliability.to_dict("index").items():
        known = wide.reindex([str(name)]).iloc[0]
        share = 0.0 if pd.isna(run["failed"]) else float(run["failed"])
        rows.append(
            [
                Cell(str(name), str(name)),
                *(duration(seconds) for seconds in known),
                duration(run["strategy_seconds"]),
                Cell(f"{share:.2%}" if share else "none", share),
                Cell(f"{run['n_crashed']:.0f} of {run['n_runs']:.0f}", float(run["n_crashed"])),
            ]
        )
    columns = ["strategy", *(f"after {n}" for n in wide.columns), "in the runs", "failed trials", "crashed runs"]
    return {"columns": columns, "rows": rows}


def duration(seconds: float) -> Cell:
    """A cell in milliseconds; empty if unknown."""
    if pd.isna(seconds):
        return Cell("", float("inf"))
    milliseconds = 1000 * seconds
    return Cell(f"{milliseconds:.2g} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms", float(seconds))
