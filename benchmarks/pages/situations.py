"""What to use in each situation: the first two tables of the leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from automl.tuning.recommend import DEFAULT, MIN_DIFFERENCE, P_BEST, likeliest, preferred, probability, rival_on_part
from benchmarks.opponents import OPPONENTS
from benchmarks.pages.sentences import number
from benchmarks.scoring.certainty import MARGIN
from benchmarks.scoring.cohorts import CLOCK, DEVELOPMENT, EVERY_SUITE, KINDS, SPLITS, Field, suite_at
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.exact_budget import PLANNED
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.regret import ROUNDING

BUDGETS = (20.0, 50.0)  # few trainings, many trainings
SITUATIONS = {  # (suite, field, workers) -> in words
    **{(EVERY_SUITE, f"{kind} spaces", 1): f"{kind} spaces" for kind in KINDS},
    ("yahpo", "all tasks", 1): "networks, long trainings",
    ("yahpo", "all tasks", 4): "networks, long trainings, 4 workers",
    ("networks", "all tasks", 1): "networks, short trainings",
}
MEANING = {  # of a situation
    "numeric spaces": "floats alone; BBOB test functions",
    "mixed spaces": "floats, integers and choices; BBOB test functions",
    "discrete spaces": "integers and choices, no floats",
    "networks, long trainings": "{epochs} epochs, can be stopped early; predicted by surrogates",
    "networks, long trainings, 4 workers": "{epochs} epochs, can be stopped early; predicted by surrogates",
    "networks, short trainings": "{epochs} epochs, can be stopped early; trained for real",
}
FIRST_COLUMN = "what you tune"
WITH_SLOW = "against slow strategies"  # begins the probabilities on a part of the tasks
VERY_LIKELY, LIKELY = 0.9, 0.66  # P(best) from which a strategy is called so


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
    def field(self) -> Field:
        """The tasks and seeds that decide."""
        return next(iter(self.measured.values())).field

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
        own = board[(board["budget"] == self.budget) & board["strategy"].isin(PLANNED) & ~board["exact_budget"]]
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
                strategy = preferred(_numbers(ours["loss"]), MARGIN)
                place = (suite, subset_of(suite, name), n_workers, next(iter(measured)))
                found.append(SituationAdvice(situation, budget, strategy, measured, places.get(place)))
    return found


def subset_of(suite: str, field: str) -> str:
    """The name of the part of a field on which slow strategies ran too."""
    return f"{field}, subset" if suite == EVERY_SUITE else field.replace("all tasks", "subset")


def _numbers(column: pd.Series) -> dict[str, float]:
    return {str(name): float(value) for name, value in column.items()}


def _decided(section: Section, budget: float) -> bool:
    standing = section.standings.get(CLOCK)
    return standing is not None and budget in standing.comparisons and standing.comparisons[budget].decided


def answers(found: Iterable[SituationAdvice], *, extents: bool = False) -> tuple[list[str], list[list[str]]]:
    """A table with a row per situation: what to use after each budget, and how sure that is. ``extents``: with the
    tasks on which it was measured."""
    situations: dict[str, dict[float, SituationAdvice]] = {}
    for each in found:
        situations.setdefault(each.situation, {})[each.budget] = each
    budgets = [budget for budget in BUDGETS if any(budget in by_budget for by_budget in situations.values())]
    rows = []
    for situation, by_budget in situations.items():
        advised_here = [*by_budget.values()]
        epochs = " to ".join(map(str, dict.fromkeys(advised_here[0].field.epochs)))
        split = SPLITS[next(iter(advised_here[0].measured))]
        row = [f"**{situation}**: {MEANING[situation].format(epochs=epochs)}" + f"; {split} tasks" * (not extents)]
        row += [_answer(by_budget[budget]) if budget in by_budget else "not run" for budget in budgets]
        rows.append([*row, _measured(advised_here)] if extents else row)
    header = [FIRST_COLUMN, *(f"{budget:g} trainings" for budget in budgets)]
    return [*header, *["measured on"] * extents], rows


def _answer(advice: SituationAdvice) -> str:
    """For example ``**auto**: uncertain (43%); raw-nevergrad has 87%, regret lower by 0.012``."""
    own = chance(advice.first, advice.strategy)
    text = f"**{advice.strategy}**: {_in_words(own)}"
    other = advice.likelier
    if other is None and advice.strategy != DEFAULT and DEFAULT in advice.first.means.index:
        other = Alternative(DEFAULT, advice.first)
    if other is None:
        return text
    if not other.extent:
        difference = float(advice.first.means[advice.strategy] - advice.first.means[other.name])
        than = "lower" if difference > 0 else "higher"
        equal = " (practically equal)" if abs(difference) < MARGIN else ""
        return f"{text}; `{other.name}` has {other.chance}, regret {than} by {number(abs(difference))}{equal}"
    on_part = chance(other.comparison, advice.strategy)
    if other.is_likelier_than(advice.strategy):
        theirs = f"`{other.name}` has {other.chance}, {advice.strategy} {probability(on_part)}"
        return f"{text}; {WITH_SLOW} ({other.extent}), {theirs}"
    return f"{text}; {WITH_SLOW} ({other.extent}), {advice.strategy} has {probability(on_part)}"


def _in_words(likely: float) -> str:
    """For example ``very likely (95%)``."""
    words = "very likely" if likely >= VERY_LIKELY else "likely" if likely >= LIKELY else "uncertain"
    return f"{words} ({probability(likely)})"


def _measured(rows: Sequence[SituationAdvice]) -> str:
    """For example ``held-out: 24 tasks of 12 functions, 20 seeds``."""
    return f"{SPLITS[next(iter(rows[0].measured))]}: {_extents(rows)}"


def _extents(rows: Sequence[SituationAdvice]) -> str:
    """The tasks and seeds of a situation, of each budget if they differ."""
    by_budget = {each.budget: each.field for each in rows}
    first, *others = by_budget.values()
    if all(other.extent == first.extent for other in others):
        return first.extent
    return (
        f"{first.size}; seeds: {', '.join(f'{field.n_seeds} after {budget:g}' for budget, field in by_budget.items())}"
    )


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


ANSWERS = (
    "Which strategy of automl to use, by what you tune and by the budget, in full trainings. It has the lowest "
    f"expected regret of automl's strategies, or it is {DEFAULT}, the default, with a regret at most {MARGIN:g} above "
    "that. Regret is the distance to the best known loss: 0 is that loss, which runs can beat, and 1 is that of a "
    "median random configuration. The percentage, P(best), is the probability that a regret is within "
    f"{MARGIN:g} of the lowest of all strategies and libraries on tasks like these, so several can have a high one. "
    f"Very likely: {VERY_LIKELY:.0%} or more; likely: {LIKELY:.0%} or more; uncertain: less."
)
LIKELIER, ON_DEVELOPMENT = "alternative (P(best)): regret", "P(best) on development tasks"
ADVICE = [
    "setting", "trainings", "recommended in automl", "P(best)", "regret (80% interval)", LIKELIER, "measured on",
    ON_DEVELOPMENT,
]  # fmt: skip
