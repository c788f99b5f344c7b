"""The first screen of the leaderboard: advice by situation, one table of strategies, and where ours lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from automl.tuning.recommend import preferred, probability
from benchmarks.opponents import OPPONENTS
from benchmarks.pages.sentences import number
from benchmarks.pages.tables import duration
from benchmarks.scoring.certainty import MARGIN
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section

CLOCK = "trainings"
BUDGETS = (20.0, 50.0)  # few trainings, many trainings
SURE = 0.95  # probability of being among the best
SITUATIONS = {  # (suite, field, workers) -> in words
    (EVERY_SUITE, "numeric spaces", 1): "numbers only",
    (EVERY_SUITE, "mixed spaces", 1): "numbers and choices",
    (EVERY_SUITE, "discrete spaces", 1): "lists of values only",
    ("yahpo", "all tasks", 1): "networks with learning curves",
    ("yahpo", "all tasks", 4): "networks with learning curves, 4 workers",
    ("real", "all tasks", 1): "real trainings, images and signals",
    ("fields", "all tasks", 1): "real trainings, one of each field",
}
SPLITS = {"holdout": "held out", DEVELOPMENT: "development"}  # the former first


@dataclass(frozen=True)
class Advised:
    """A recommendation for a situation.

    ``measured``: the sections by split; the first decides on the strategy. ``part``: the part of its tasks and seeds on
    which slow libraries ran too, if there is one.
    """

    situation: str
    budget: float
    strategy: str
    measured: Mapping[str, Section]
    part: Section | None = None

    def comparison(self, split: str) -> Comparison:
        """The comparison on the tasks of a split."""
        return self.measured[split].standings[CLOCK].comparisons[self.budget]

    @property
    def first(self) -> Comparison:
        """The comparison that decides."""
        return self.comparison(next(iter(self.measured)))

    @property
    def ours(self) -> str:
        """The recommended strategy, and others of ours if all of them are surely among the best."""
        chances = self.first.chances["probability"].drop([*OPPONENTS], errors="ignore")
        equal = chances[chances >= SURE].drop(self.strategy, errors="ignore").index
        return " or ".join(
            f"**{name}**" for name in (self.strategy, *(equal if chances[self.strategy] >= SURE else ()))
        )

    @property
    def library(self) -> str:
        """The library that is more likely among the best; empty if there is none or ours is sure to be."""
        return likelier(self.first, self.strategy)

    @property
    def about_library(self) -> str:
        """Its name, probability and regret; without one, those of a slow library on a part of the tasks."""
        if self.library:
            chance = float(self.first.chances["probability"][self.library])
            return f"{plain(self.library)} ({probability(chance)}): {number(self.first.means[self.library])}"
        comparison = None if self.part is None else self.part.standings[CLOCK].comparisons.get(self.budget)
        if self.part is None or comparison is None or not comparison.decided:
            return ""
        library = likelier(comparison, self.strategy)
        if not library or library in self.first.means.index:
            return ""
        chances, means = comparison.chances["probability"], comparison.means
        return (
            f"on {self.part.field.extent}: {plain(library)} ({probability(float(chances[library]))}): "
            f"{number(means[library])} against {number(means[self.strategy])}"
        )

    @property
    def random(self) -> str:
        """The regret of random search; empty if it did not run."""
        return number(self.first.means["random"]) if "random" in self.first.means.index else ""

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
    places = {(each.field.suite, each.field.name, each.field.n_workers, each.field.split): each for each in known}
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
                suite, name, n_workers = key
                subset = name.replace("all tasks", "subset") if suite != EVERY_SUITE else f"{name}, subset"
                place = (suite, subset, n_workers, next(iter(measured)))
                found.append(Advised(situation, budget, strategy, measured, places.get(place)))
    return found


def _decided(section: Section, budget: float) -> bool:
    standing = section.standings.get(CLOCK)
    return standing is not None and budget in standing.comparisons and standing.comparisons[budget].decided


def in_short(found: Sequence[Advised]) -> str:
    """The advice in a sentence: the strategy that most rows recommend, and the situations with another one."""
    usual, _ = Counter(each.strategy for each in found).most_common(1)[0]
    others: dict[str, list[str]] = {}
    for each in found:
        words = f"the library {plain(each.library)} is more likely the best" if each.library else f"`{each.strategy}`"
        if each.library or each.strategy != usual:
            others.setdefault(each.situation, [])
            others[each.situation] += [words] if words not in others[each.situation] else []
    exceptions = "; ".join(f"{situation}: {', '.join(words)}" for situation, words in others.items())
    return f"Use `{usual}`" + (f", with these exceptions: {exceptions}." if exceptions else ".")


def likelier(comparison: Comparison, strategy: str) -> str:
    """The library that is more likely the best than a strategy; empty if none is, or the strategy surely among them."""
    chances = comparison.chances["probability"]
    others, ours = chances[chances.index.isin(OPPONENTS)], float(chances.get(strategy, 0.0))
    return str(others.idxmax()) if ours < SURE and len(others) and others.max() > ours else ""


def plain(library: str) -> str:
    """The name of a library that the benchmarks call directly."""
    return library.removeprefix("raw-")


def advice_rows(found: Sequence[Advised]) -> list[list[str]]:
    """A row per situation and budget."""
    rows = []
    for each in found:
        first = next(iter(each.measured))
        extent = each.measured[first].field.extent
        rows.append(
            [
                each.situation,
                f"{each.budget:g}",
                each.ours,
                each.chance(first),
                each.regret(first),
                each.about_library,
                each.random,
                f"{SPLITS[first]}: {extent}",
                each.chance(DEVELOPMENT) if first != DEVELOPMENT else "",
            ]
        )
    return rows


ADVICE = [
    "space or situation", "trainings", "best of automl", "sure", "regret (80% interval)",
    "more likely the best (sure): regret", "random search", "measured on", "sure on development tasks",
]  # fmt: skip
TERMS = (
    ("Regret", "lower is better; 0 is the best known loss of a task, 1 that of a median random config."),
    (
        "Sure",
        f"the probability that the expected regret on tasks like these is within {MARGIN:g} of the lowest of all that "
        "ran on them, libraries included. Of several names, that of the first.",
    ),
    (
        "Development tasks",
        "were used to design the strategies: results on them may be too good. Held-out ones decide where they ran.",
    ),
    (
        "Trainings",
        "mostly the first of 100 that a run was given; if given fewer, a strategy may plan better.",
    ),
)
STRATEGIES = (
    "Expected regret after 20 and 50 trainings; in parentheses sure, from 0.01. raw-NAME is a library called directly, "
    "others are of automl. Blank: not run on these tasks."
)


def losses(sections: Iterable[Section]) -> list[str]:
    """A line for each suite in which, after some budget, another library is more likely the best than any of ours;
    held-out ones first."""
    lines = []
    for section in sorted(sections, key=lambda section: section.field.split == DEVELOPMENT):
        standing = section.standings.get(CLOCK)
        if standing is None or not section.field.normalised or section.field.suite == EVERY_SUITE:
            continue
        found = [_loss(budget, comparison) for budget, comparison in standing.comparisons.items() if comparison.decided]
        if any(found):
            lines.append(f"{section.field.title}, {section.field.name}, {'; '.join(filter(None, found))}")
    return lines


def _loss(budget: float, comparison: Comparison) -> str:
    """For example ``after 20: nevergrad 0.131 (0.99), automl: bo 0.150 (0.23)``; empty if ours is ahead."""
    chances, means = comparison.chances["probability"], comparison.means
    theirs, ours = chances[chances.index.isin(OPPONENTS)], chances[~chances.index.isin(OPPONENTS)]
    if theirs.empty or theirs.max() <= ours.max():
        return ""
    them, us = str(theirs.idxmax()), str(means.drop([*OPPONENTS], errors="ignore").index[0])
    return (
        f"after {budget:g}: {plain(them)} {number(means[them])} ({probability(theirs.max())}), "
        f"automl: {us} {number(means[us])} ({probability(ours.max())})"
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
