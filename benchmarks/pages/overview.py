"""The first screen of the leaderboard: advice by situation, one table of strategies, and where ours lose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from automl.tuning.recommend import preferred, probability
from benchmarks.opponents import OPPONENTS
from benchmarks.pages.sentences import number
from benchmarks.pages.tables import duration
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section

CLOCK = "trainings"
BUDGETS = (20.0, 50.0)  # few trainings, many trainings
SURE, LIKELY = 0.95, 0.7  # probabilities of being among the best
SITUATIONS = {  # (suite, field, workers) -> in words
    (EVERY_SUITE, "numeric spaces", 1): "numbers only",
    (EVERY_SUITE, "mixed spaces", 1): "numbers and choices",
    (EVERY_SUITE, "discrete spaces", 1): "choices and grids only",
    ("yahpo", "all tasks", 1): "networks with learning curves",
    ("yahpo", "all tasks", 4): "the same, 4 workers",
    ("real", "all tasks", 1): "real trainings, images and signals",
    ("fields", "all tasks", 1): "real trainings, one of each field",
}
SPLITS = {"holdout": "held-out tasks", DEVELOPMENT: "development tasks"}  # the former first


@dataclass(frozen=True)
class Advised:
    """A recommendation for a situation. ``measured``: the sections by split; the first decides on the strategy."""

    situation: str
    budget: float
    strategy: str
    measured: Mapping[str, Section]

    def comparison(self, split: str) -> Comparison:
        """The comparison on the tasks of a split."""
        return self.measured[split].standings[CLOCK].comparisons[self.budget]

    @property
    def verdict(self) -> str:
        """The recommendation: who is surely among the best, or how unsure that is and which library is likelier."""
        comparison = self.comparison(next(iter(self.measured)))
        chances = comparison.chances["probability"]
        own, others = chances.drop([*OPPONENTS], errors="ignore"), chances[chances.index.isin(OPPONENTS)]
        chance = float(own[self.strategy])
        if chance >= SURE:
            equal = own[own >= SURE].drop(self.strategy).index
            return " or ".join(f"**{name}**" for name in (self.strategy, *equal))
        words = f"**{self.strategy}**, {'probably' if chance >= LIKELY else 'not sure'}"
        if len(others) and others.max() > chance:
            library = str(others.idxmax())
            facts = f"{probability(others.max())}; regret {number(comparison.means[library])}"
            words = f"the library {library.removeprefix('raw-')} ({facts}); of ours, {words}"
        return words

    def chance(self, split: str) -> str:
        """The probability that the strategy is among the best of a split; empty if it was not measured."""
        if split not in self.measured or self.strategy not in self.comparison(split).means.index:
            return ""
        return probability(float(self.comparison(split).chances["probability"][self.strategy]))

    def regret(self, split: str) -> str:
        """The strategy's expected regret on a split with the 80% interval."""
        board = self.measured[split].standings[CLOCK].board
        row = board[(board["budget"] == self.budget) & (board["strategy"] == self.strategy)].iloc[0]
        return f"{number(row['regret'])} ({number(row['low80'])} to {number(row['high80'])})"


def advised(sections: Iterable[Section]) -> list[Advised]:
    """The advice for each situation and budget that was measured on enough tasks, from held-out ones if possible."""
    known = list(sections)
    found = []
    for key, situation in SITUATIONS.items():
        there = [
            section for section in known if (section.field.suite, section.field.name, section.field.n_workers) == key
        ]
        for budget in BUDGETS:
            measured = {
                split: section
                for split in SPLITS
                for section in there
                if section.field.split == split and _decided(section, budget)
            }
            if measured:
                first = next(iter(measured.values())).standings[CLOCK].comparisons[budget]
                ours = first.chances["probability"].drop([*OPPONENTS], errors="ignore")
                strategy = preferred({str(name): float(p) for name, p in ours.items()})
                found.append(Advised(situation, budget, strategy, measured))
    return found


def _decided(section: Section, budget: float) -> bool:
    standing = section.standings.get(CLOCK)
    return standing is not None and budget in standing.comparisons and standing.comparisons[budget].decided


def advice_rows(found: Sequence[Advised]) -> list[list[str]]:
    """A row per situation and budget."""
    rows = []
    for each in found:
        first = next(iter(each.measured))
        n_tasks = len(each.measured[first].field.tasks)
        rows.append(
            [
                each.situation,
                f"{each.budget:g}",
                each.verdict,
                each.chance(first),
                each.regret(first),
                f"{n_tasks} {SPLITS[first]}",
                each.chance(DEVELOPMENT) if first != DEVELOPMENT else "",
            ]
        )
    return rows


CELLS = (
    "Sure: the probability that a strategy is among the best, which several may be; it and the regret are of the first "
    "of ours. Strategies were designed with the development tasks in view; the choice is made by held-out tasks where "
    "these were run."
)
STRATEGIES = (
    "Expected regret after 20 and 50 trainings, and the probability of being among the best if that is 0.01 or more."
)
ADVICE = [
    "space or situation", "trainings", "what to use", "sure", "regret (80% interval)", "measured on",
    "sure on development tasks",
]  # fmt: skip


def losses(sections: Iterable[Section]) -> list[str]:
    """A line for each suite in which, after some budget, another library is more likely the best than any of ours."""
    lines = []
    for section in sections:
        standing = section.standings.get(CLOCK)
        if standing is None or not section.field.normalised or section.field.suite == EVERY_SUITE:
            continue
        found = [_loss(budget, comparison) for budget, comparison in standing.comparisons.items() if comparison.decided]
        if any(found):
            lines.append(f"{section.field.title}, {section.field.name}, {'; '.join(filter(None, found))}")
    return lines


def _loss(budget: float, comparison: Comparison) -> str:
    """For example ``after 20: raw-nevergrad 0.131 (0.99) against bo 0.150 (0.23)``; empty if one of ours is ahead."""
    chances, means = comparison.chances["probability"], comparison.means
    theirs, ours = chances[chances.index.isin(OPPONENTS)], chances[~chances.index.isin(OPPONENTS)]
    if theirs.empty or theirs.max() <= ours.max():
        return ""
    them, us = str(theirs.idxmax()), str(means.drop([*OPPONENTS], errors="ignore").index[0])
    return (
        f"after {budget:g}: {them} {number(means[them])} ({probability(theirs.max())}) "
        f"against {us} {number(means[us])} ({probability(ours.max())})"
    )


def strategy_table(sections: Iterable[Section], costs: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """A row per strategy: expected regret and probability after 20 and 50 trainings, on held-out tasks if there are
    runs, and the time of a suggestion."""
    known = {(s.field.suite, s.field.name, s.field.split): s for s in sections if s.field.n_workers == 1}
    columns = []
    for suite, name, words in (
        (EVERY_SUITE, "numeric spaces", "numbers"),
        (EVERY_SUITE, "mixed spaces", "mixed"),
        ("real", "all tasks", "real"),
    ):
        split = next((split for split in SPLITS if (suite, name, split) in known), DEVELOPMENT)
        found = known.get((suite, name, split))
        comparisons = {} if found is None else found.standings[CLOCK].comparisons
        held_out = ", held out" if split != DEVELOPMENT else ""
        columns += [
            (f"{words}, {budget:g}{held_out}", comparisons[budget]) for budget in BUDGETS if budget in comparisons
        ]
    seconds = costs[(costs["n_dimensions"] == 8) & (costs["n_trials"] == 50)].set_index("strategy")["seconds"]
    order: dict[str, float] = {}
    for _, comparison in columns:
        for place, name in enumerate(comparison.means.index):
            order[str(name)] = order.get(str(name), 0.0) + place / len(comparison.means)
    counts = {name: sum(name in comparison.means.index for _, comparison in columns) for name in order}
    names = sorted(order, key=lambda name: order[name] / counts[name])
    rows = []
    for name in names:
        row = [f"`{name}`"]
        for _, comparison in columns:
            if name not in comparison.means.index:
                row.append("")
                continue
            chance = float(comparison.chances["probability"].get(name, 0.0))
            mean = number(comparison.means[name])
            row.append(f"{mean} ({probability(chance)})" if chance >= 0.01 else mean)
        row.append(duration(float(seconds.get(name, float("nan")))).text)
        rows.append(row)
    header = ["strategy", *(words for words, _ in columns), "time of a suggestion"]
    return header, rows
