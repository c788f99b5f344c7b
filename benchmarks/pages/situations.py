"""What to use in each situation: the first table of the leaderboard, and its sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from automl.tuning.recommend import MIN_DIFFERENCE, P_BEST, likeliest, preferred, probability, rival_on_part
from benchmarks.opponents import OPPONENTS
from benchmarks.pages.sentences import number
from benchmarks.scoring.certainty import MARGIN
from benchmarks.scoring.cohorts import CLOCK, DEVELOPMENT, EVERY_SUITE, KINDS, SPLITS, suite_at
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.regret import ROUNDING
from benchmarks.scoring.told import PLANNED

BUDGETS = (20.0, 50.0)  # few trainings, many trainings
SITUATIONS = {  # (suite, field, workers) -> in words
    **{(EVERY_SUITE, f"{kind} spaces", 1): f"{kind} spaces" for kind in KINDS},
    ("yahpo", "all tasks", 1): "learning curves",
    ("yahpo", "all tasks", 4): "learning curves, 4 workers",
    ("networks", "all tasks", 1): "real trainings",
}
MEANING = {  # of a situation, in words for its sentence
    "numeric spaces": "floats alone; BBOB test functions",
    "mixed spaces": "floats, integers and choices; BBOB test functions",
    "discrete spaces": "integers and choices, no floats",
    "learning curves": "of trainings that can be stopped early, in any space; surrogates of networks",
    "real trainings": "networks, not surrogates",
}


@dataclass(frozen=True)
class Alternative:
    """A strategy or library that is more likely among the best than the recommended one. ``extent``: the part of the
    tasks on which it ran; empty if these are all."""

    name: str
    comparison: Comparison
    extent: str = ""

    @property
    def chance(self) -> str:
        """Its probability of being among the best."""
        return probability(chance(self.comparison, self.name))

    def is_likelier_than(self, strategy: str) -> bool:
        """Whether it is more likely among the best than a strategy, in this comparison."""
        return chance(self.comparison, self.name) > chance(self.comparison, strategy)


@dataclass(frozen=True)
class SituationAdvice:
    """A recommendation for a situation.

    ``measured``: the sections by split; the first decides on the strategy. ``part``: the part of its tasks and seeds on
    which slow strategies ran too, if there is one.
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
        """The recommended strategy; others of ours with the same results; and others that are about as likely among the
        best or, if it surely is, surely among them too."""
        chances = self.first.chances["probability"].drop([*OPPONENTS], errors="ignore")
        own = chances[self.strategy]
        same = (chances - own).abs() <= min(MIN_DIFFERENCE, own / 2)
        if own >= P_BEST:
            same |= chances >= P_BEST
        others = [str(name) for name in same.index[same].drop(self.strategy)]
        table = self.first.table
        as_one = [name for name in others if np.allclose(table[name], table[self.strategy], rtol=0, atol=ROUNDING)]
        equal = "".join(f" (= **{name}**)" for name in as_one)
        return " or ".join([f"**{self.strategy}**{equal}", *(f"**{name}**" for name in others if name not in as_one)])

    @property
    def likelier(self) -> Alternative | None:
        """The likeliest of those that are more likely among the best; without one, a slow strategy that is so, or may
        be as good, on a part of the tasks."""
        name = likeliest(_numbers(self.first.chances["probability"]), self.strategy)
        if name:
            return Alternative(name, self.first)
        comparison = None if self.part is None else self.part.standings[CLOCK].comparisons.get(self.budget)
        if self.part is None or comparison is None or not comparison.decided:
            return None
        name = rival_on_part(_numbers(comparison.chances["probability"]), self.first.means.index, self.strategy)
        return Alternative(name, comparison, self.part.field.extent) if name else None

    @property
    def likelier_in_development(self) -> Alternative | None:
        """One that is more likely among the best of the development tasks, if others decide, which do not name it."""
        if DEVELOPMENT not in self.measured or next(iter(self.measured)) == DEVELOPMENT:
            return None
        comparison, known = self.comparison(DEVELOPMENT), self.likelier
        name = likeliest(_numbers(comparison.chances["probability"]), self.strategy)
        return Alternative(name, comparison) if name and (known is None or known.name != name) else None

    @property
    def about_development(self) -> str:
        """The probabilities on the development tasks of the strategy and, if there is one, of a likelier one."""
        found = self.likelier_in_development
        return self.chance(DEVELOPMENT) + ("" if found is None else f" (`{found.name}` {found.chance})")

    @property
    def about_likelier(self) -> str:
        """Its name, probability and regret; on a part of the tasks, the probabilities of both."""
        found = self.likelier
        if found is None:
            return ""
        if not found.extent:
            return f"`{found.name}` {_chance_and_mean(found.comparison, found.name)}"
        both = [f"`{name}` ({probability(chance(found.comparison, name))})" for name in (found.name, self.strategy)]
        return f"on {found.extent}: {', '.join(both)}"

    @property
    def read_off(self) -> list[str]:
        """The strategies that plan by their budget, but are scored by the start of runs with a larger one."""
        board = next(iter(self.measured.values())).standings[CLOCK].board
        own = board[(board["budget"] == self.budget) & board["strategy"].isin(PLANNED) & ~board["told"]]
        return sorted(own["strategy"])

    def chance(self, split: str) -> str:
        """The probability that the strategy is among the best of a split; empty if it was not measured."""
        if split not in self.measured or self.strategy not in self.comparison(split).means.index:
            return ""
        return probability(chance(self.comparison(split), self.strategy))

    def regret(self, split: str) -> str:
        """The strategy's expected regret on a split with the 80% interval."""
        board = self.measured[split].standings[CLOCK].board
        row = board[(board["budget"] == self.budget) & (board["strategy"] == self.strategy)].iloc[0]
        return f"{number(row['regret'])} ({number(row['low80'])} to {number(row['high80'])})"


def advised(sections: Iterable[Section]) -> list[SituationAdvice]:
    """The advice for each situation and budget that was measured on enough tasks, from held-out ones if possible."""
    known = list(sections)
    places = {(each.field.suite, each.field.name, each.field.n_workers, each.field.split): each for each in known}
    found = []
    for (plain, name, n_workers), situation in SITUATIONS.items():
        for budget in BUDGETS:
            suite = suite_at(plain, budget)
            by_split = {split: places.get((suite, name, n_workers, split)) for split in SPLITS}
            measured = {split: each for split, each in by_split.items() if each is not None and _decided(each, budget)}
            if measured:
                first = next(iter(measured.values())).standings[CLOCK].comparisons[budget]
                ours = first.chances.drop([*OPPONENTS], errors="ignore")
                strategy = preferred(_numbers(ours["probability"]), _numbers(ours["loss"]), MARGIN)
                subset = name.replace("all tasks", "subset") if suite != EVERY_SUITE else f"{name}, subset"
                place = (suite, subset, n_workers, next(iter(measured)))
                found.append(SituationAdvice(situation, budget, strategy, measured, places.get(place)))
    return found


def _numbers(column: pd.Series) -> dict[str, float]:
    return {str(name): float(value) for name, value in column.items()}


def _decided(section: Section, budget: float) -> bool:
    standing = section.standings.get(CLOCK)
    return standing is not None and budget in standing.comparisons and standing.comparisons[budget].decided


def sentences(found: Iterable[SituationAdvice], *, extents: bool = False) -> list[str]:
    """A line per situation: what is likeliest among the best after each budget, and if that is not the recommended
    strategy, also this one. ``extents``: with the tasks on which it was measured."""
    situations: dict[str, list[SituationAdvice]] = {}
    for each in found:
        situations.setdefault(each.situation, []).append(each)
    return [_sentence(rows, extents) for rows in situations.values()]


def _sentence(rows: Sequence[SituationAdvice], extents: bool) -> str:
    split, situation = next(iter(rows[0].measured)), rows[0].situation
    measured = f"{SPLITS[split]}: {_extents(rows)}" if extents else "development tasks" * (split == DEVELOPMENT)
    about = [MEANING.get(situation, ""), measured]
    in_words = f" ({'; '.join(filter(None, about))})" if any(about) else ""
    first, ours, on_parts, in_development = [], [], [], []
    for each in rows:
        if other := each.likelier_in_development:
            in_development.append((f"`{other.name}`", other.chance, each.budget))
        own = (each.ours.replace("**", "`"), probability(chance(each.first, each.strategy)), each.budget)
        other = each.likelier
        if other is None:
            first.append(own)
            continue
        theirs = (f"`{other.name}`", other.chance, each.budget)
        if other.extent:
            first.append(own)
            on_part = (f"`{each.strategy}`", probability(chance(other.comparison, each.strategy)), each.budget)
            both = [theirs, on_part] if other.is_likelier_than(each.strategy) else [on_part, theirs]
            on_parts.append(f"; with slow strategies too ({other.extent}): {_after(both)}")
        else:
            first.append(theirs)
            ours.append(own)
    are_theirs = {name.strip("`") for name, _, _ in first} <= {*OPPONENTS}
    of_ours = f"; recommended{' in automl' * are_theirs}: {_after(ours)}" if ours else ""
    on_others = f"; on development tasks: {_after(in_development)}" if in_development else ""
    return f"**{situation}**{in_words}: {_after(first)}{of_ours}{''.join(on_parts)}{on_others}"


def _extents(rows: Sequence[SituationAdvice]) -> str:
    """The tasks and seeds of a situation, of each budget if they differ."""
    by_budget = {each.budget: next(iter(each.measured.values())).field for each in rows}
    first, *others = by_budget.values()
    if all(other.extent == first.extent for other in others):
        return first.extent
    return (
        f"{first.size}; seeds: {', '.join(f'{field.n_seeds} after {budget:g}' for budget, field in by_budget.items())}"
    )


def _after(found: Iterable[tuple[str, str, float]]) -> str:
    """For example ``auto, 95% after 20, 98% after 50``, from names, probabilities and budgets."""
    by_name: dict[str, dict[str, list[str]]] = {}
    for name, likely, budget in found:
        by_name.setdefault(name, {}).setdefault(likely, []).append(f"{budget:g}")
    parts = []
    for name, budgets in by_name.items():
        after = [f"{likely} after {' and '.join(each)}" for likely, each in budgets.items()]
        parts.append(f"{name}, {', '.join(after)}")
    return "; ".join(parts)


def chance(comparison: Comparison, name: str) -> float:
    """The probability that a strategy is among the best; 0 with too few tasks to say."""
    return float(comparison.chances["probability"].get(name, 0.0))


def _chance_and_mean(comparison: Comparison, name: str) -> str:
    return f"({probability(chance(comparison, name))}): {number(comparison.means[name])}"


def advice_rows(found: Sequence[SituationAdvice]) -> list[list[str]]:
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
                each.about_likelier,
                f"{SPLITS[first]}: {extent}",
                each.about_development if first != DEVELOPMENT else "",
            ]
        )
    return rows


SENTENCES = (
    "Most likely among the best, with P(best): the probability that the expected regret, on tasks like these, is "
    f"within {MARGIN:g} of the lowest; several can qualify."
)
LIKELIER, ON_DEVELOPMENT = "alternative (P(best)): regret", "P(best) on development tasks"
ADVICE = [
    "setting", "trainings", "recommended in automl", "P(best)", "regret (80% interval)", LIKELIER, "measured on",
    ON_DEVELOPMENT,
]  # fmt: skip
