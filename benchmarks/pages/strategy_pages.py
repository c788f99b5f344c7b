"""The measurements of each strategy as Markdown: the marked block of its page, docs/strategies/NAME.md."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from automl.errors import UserError
from benchmarks.pages.markdown import escaped, grid, with_block
from benchmarks.pages.sentences import number
from benchmarks.pages.tables import duration
from benchmarks.scoring.leaderboard import Section
from strategies import STRATEGIES, WRAPPERS

BLOCK = "standing"
HOW = "Written by `python -m benchmarks.report --docs docs/strategies`; no number in it is typed."
COSTS = "Time of a suggestion and of learning its outcome, by the number of hyperparameters and of earlier trials:"
PLACES = (
    "Mean regret (0 is the best known loss, 1 that of a median random configuration) and rank among all strategies and "
    "opponents that ran on these tasks; **bold** if it may be as good as the leader, among enough tasks to say so:"
)
NOTHING = "No runs are committed yet."


def pages(folder: Path, sections: list[Section], costs: pd.DataFrame) -> dict[Path, str]:
    """The new text of each page. Raises UserError if a strategy has no page, or no block in it."""
    return {file: with_block(text, block(file.stem, sections, costs), file, BLOCK) for file, text in _read(folder)}


def check(folder: Path) -> None:
    """Raise UserError as ``pages`` does."""
    for file, text in _read(folder):
        with_block(text, "", file, BLOCK)


def missing(folder: Path) -> list[str]:
    """The strategies and wrappers without a page."""
    return [name for name in [*STRATEGIES, *WRAPPERS] if not (folder / f"{name}.md").is_file()]


def block(name: str, sections: list[Section], costs: pd.DataFrame) -> str:
    """The block of a strategy, or of a wrapper with all strategies that it was run with."""
    own = costs[costs["strategy"] == name]
    seconds = own.pivot(index="n_dimensions", columns="n_trials", values="seconds")
    thinking = [[f"{n}", *(duration(value).text for value in row)] for n, row in seconds.iterrows()]
    after = sorted({budget for section in sections for budget in section.standings["trainings"].comparisons})
    places = [row for section in sections for row in _places(name, section, after)]
    lines = [HOW]
    if thinking:
        lines += ["", COSTS, "", *grid(["hyperparameters", *(f"after {n} trials" for n in seconds.columns)], thinking)]
    if places:
        lines += ["", PLACES, "", *grid(["tasks", *(f"after {budget:g} trainings" for budget in after)], places)]
    return "\n".join(lines if places else [*lines, "", NOTHING])


def _places(name: str, section: Section, after: list[float]) -> list[list[str]]:
    """A row per strategy that the page is about."""
    field, comparisons = section.field, section.standings["trainings"].comparisons
    if not field.normalised:
        return []
    rows = []
    for strategy in field.strategies:
        if strategy != name and not (name in WRAPPERS and name in strategy.split("+")[1:]):
            continue
        row = [f"{field.title}, {field.name}: {field.extent}" + (f", {strategy}" if strategy != name else "")]
        for budget in after:
            comparison = comparisons.get(budget)
            if comparison is None or pd.isna(comparison.means.get(strategy)):
                row.append("")
                continue
            place = list(comparison.means.index).index(strategy) + 1
            text = f"{number(comparison.means[strategy])} ({place} of {len(comparison.means)})"
            row.append(f"**{text}**" if comparison.decided and strategy in comparison.leaders else text)
        rows.append([escaped(cell) for cell in row])
    return rows


def _read(folder: Path) -> list[tuple[Path, str]]:
    names = missing(folder)
    if names:
        mark = f"with the lines <!-- {BLOCK} --> and <!-- /{BLOCK} -->"
        raise UserError(f"{str(folder)!r} has no page {names[0]}.md; create it {mark}")
    files = [folder / f"{name}.md" for name in [*STRATEGIES, *WRAPPERS]]
    return [(file, file.read_text(encoding="utf-8")) for file in files]
