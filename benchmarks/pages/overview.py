"""The first screen of the leaderboard: advice by situation, one table of strategies, and where ours lose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from automl.tuning.recommend import preferred, probability
from benchmarks.opponents import OPPONENTS
from benchmarks.pages.sentences import number
from benchmarks.pages.tables import duration
from benchmarks.scoring.cohorts import EVERY_SUITE
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section, Standing

CLOCK = "trainings"
BUDGETS = (20.0, 50.0)  # few trainings, many trainings
SITUATIONS = {  # (suite, field, workers) -> in words
    (EVERY_SUITE, "numeric spaces", 1): "numbers only",
    (EVERY_SUITE, "mixed spaces", 1): "numbers and choices",
    (EVERY_SUITE, "discrete spaces", 1): "choices and grids only",
    ("yahpo", "all tasks", 1): "learning curves",
    ("yahpo", "all tasks", 4): "learning curves, 4 workers",
    ("real", "all tasks", 1): "real trainings, images and signals",
    ("fields", "all tasks", 1): "real trainings, one of each field",
}


@dataclass(frozen=True)
class Advised:
    """What to use in a situation; ``comparison`` is that of the tasks that it rests on."""

    situation: str
    section: Section
    standing: Standing
    budget: float
    comparison: Comparison
    strategy: str

    @property
    def chance(self) -> float:
        """The probability that the strategy is among the best."""
        return float(self.comparison.chances["probability"][self.strategy])

    @property
    def expected(self) -> str:
        """Its expected regret with the 80% interval."""
        board = self.standing.board
        row = board[(board["budget"] == self.budget) & (board["strategy"] == self.strategy)].iloc[0]
        return f"{number(row['regret'])} ({number(row['low80'])} to {number(row['high80'])})"

    @property
    def rivals(self) -> list[str]:
        """The others that may be as good, the most likely first."""
        chances = self.comparison.chances["probability"].drop(self.strategy).sort_values(ascending=False)
        return [f"{name} {probability(p)}" for name, p in chances[chances >= 0.1].head(3).items()]


def advised(sections: Iterable[Section]) -> list[Advised]:
    """The advice for each situation and budget that was measured on enough tasks; held-out tasks come first."""
    known = sorted(sections, key=lambda section: section.field.split != "holdout")
    found = []
    for (suite, name, n_workers), situation in SITUATIONS.items():
        for budget in BUDGETS:
            for section in known:
                field, standing = section.field, section.standings.get(CLOCK)
                if (field.suite, field.name, field.n_workers) != (suite, name, n_workers) or standing is None:
                    continue
                comparison = standing.comparisons.get(budget)
                if comparison is not None and comparison.decided:
                    ours = comparison.chances["probability"].drop([*OPPONENTS], errors="ignore")
                    strategy = preferred({str(name): float(p) for name, p in ours.items()})
                    found.append(Advised(situation, section, standing, budget, comparison, strategy))
    return found


def advice_rows(found: Sequence[Advised]) -> list[list[str]]:
    """A row per situation and budget."""
    return [
        [
            each.situation,
            f"{each.budget:g}",
            f"**{each.strategy}**",
            probability(each.chance),
            each.expected,
            ", ".join(each.rivals) or "none",
            f"{each.section.field.extent}, {each.section.field.split}",
        ]
        for each in found
    ]


ADVICE = [
    "space or situation", "trainings", "use, of ours", "probability", "expected regret (80%)",
    "also likely among the best", "measured on",
]  # fmt: skip


def losses(sections: Iterable[Section]) -> list[str]:
    """A line for each suite and budget in which another library is more likely the best than any of ours."""
    lines = []
    for section in sections:
        standing = section.standings.get(CLOCK)
        if standing is None or not section.field.normalised or section.field.suite == EVERY_SUITE:
            continue
        for budget, comparison in standing.comparisons.items():
            if not comparison.decided:
                continue
            chances, means = comparison.chances["probability"], comparison.means
            theirs, ours = chances[chances.index.isin(OPPONENTS)], chances[~chances.index.isin(OPPONENTS)]
            if theirs.empty or theirs.max() <= ours.max():
                continue
            them, us = str(theirs.idxmax()), str(means.drop([*OPPONENTS], errors="ignore").index[0])
            lines.append(
                f"{section.field.title}, {section.field.name}, after {budget:g} trainings: {them}, "
                f"{number(means[them])}, against "
                f"{number(means[us])} of {us} (among the best with probability {probability(theirs.max())} and "
                f"{probability(ours.max())})"
            )
    return lines


def strategy_table(sections: Iterable[Section], costs: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """A row per strategy: expected regret and probability after 20 and 50 trainings, where most were run, and the time
    of a suggestion."""
    known = {(s.field.suite, s.field.name, s.field.split): s for s in sections if s.field.n_workers == 1}
    columns = [
        (words, known[key].standings[CLOCK].comparisons[budget], budget)
        for key, words in (
            ((EVERY_SUITE, "numeric spaces", "development"), "numbers"),
            ((EVERY_SUITE, "mixed spaces", "development"), "mixed"),
            (("real", "all tasks", "development"), "real"),
        )
        for budget in BUDGETS
        if key in known and budget in known[key].standings[CLOCK].comparisons
    ]
    seconds = costs[(costs["n_dimensions"] == 8) & (costs["n_trials"] == 50)].set_index("strategy")["seconds"]
    order: dict[str, float] = {}
    for _, comparison, _ in columns:
        for place, name in enumerate(comparison.means.index):
            order[str(name)] = order.get(str(name), 0.0) + place / len(comparison.means)
    counts = {name: sum(name in comparison.means.index for _, comparison, _ in columns) for name in order}
    names = sorted(order, key=lambda name: order[name] / counts[name])
    rows = []
    for name in names:
        row = [f"`{name}`"]
        for _, comparison, _ in columns:
            if name not in comparison.means.index:
                row.append("")
                continue
            chance = f" ({probability(comparison.chances['probability'][name])})" if comparison.decided else ""
            row.append(f"{number(comparison.means[name])}{chance}")
        row.append(duration(float(seconds.get(name, float("nan")))).text)
        rows.append(row)
    header = ["strategy", *(f"{words}, {budget:g}" for words, _, budget in columns), "time of a suggestion"]
    return header, rows
