"""Sentences of the leaderboard. No sentence claims more than its probability or interval supports."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.tuning.recommend import probability
from benchmarks.scoring.certainty import MARGIN, MAX_UNITS, MIN_P, MIN_UNITS
from benchmarks.scoring.cohorts import EVERY_SUITE, Field, counted, plain_suite
from benchmarks.scoring.comparison import AHEAD, AMONG, BEST, EQUAL, FEW, NOTHING, UNKNOWN, WORSE, Comparison
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.standings import BASELINE, Standing
from benchmarks.scoring.statistics import LEVEL
from benchmarks.suites import LIVE_REFERENCES

N_NAMED = 4  # strategies named in a table cell
FEW_SEEDS = 3  # with two, differences agree by chance too easily if losses are coarse


@dataclass(frozen=True)
class Finding:
    """The result at one budget."""

    budget: float
    after: str
    verdict: str
    leaders: tuple[str, ...]  # the lowest mean first, then those that may be as good
    detail: str
    brief: str  # for an index: who leads, and its probability
    chance: str = ""  # the probability that one of the leaders is among the best

    @property
    def text(self) -> str:
        """The whole finding."""
        return f"{self.after}, {self.verdict}: {self.detail}"

    @property
    def headline(self) -> str:
        """The first sentence of the detail."""
        return self.detail.partition(". ")[0].rstrip(".") + "."

    @property
    def named(self) -> str:
        """The first few leaders by name, and the number of others; if one of them is best, its probability."""
        more = [f"{len(self.leaders) - N_NAMED} more"] if len(self.leaders) > N_NAMED else []
        names = [*self.leaders[:N_NAMED], *more]
        return f"{listed(names, 'or')} (P {self.chance})" if self.verdict == BEST else listed(names)

    @property
    def short(self) -> str:
        """The text of a table cell."""
        if self.verdict in (BEST, AMONG, UNKNOWN, AHEAD):
            return f"{self.verdict}: {self.named}"
        return f"{self.verdict}; {self.leaders[0]} leads" if self.verdict == FEW else self.verdict


def findings(section: Section, clock: str = "trainings") -> list[Finding]:
    """One finding per shown budget."""
    standing = section.standings.get(clock)
    if standing is None:
        return []
    return [_finding(section, standing, budget, clock) for budget in standing.comparisons]


def _finding(section: Section, standing: Standing, budget: float, clock: str) -> Finding:
    comparison = standing.comparisons[budget]
    verdict, leaders = comparison.verdict, comparison.leaders
    if comparison.verdict == NOTHING:
        detail = _nothing(section, last=budget == max(standing.comparisons))
    elif len(comparison.means) < 2:
        detail = f"only {comparison.leaders[0]} was run."
    elif not section.field.normalised:
        detail = _single_task(section, standing, budget)
        if _ahead(section.field, standing, budget):
            verdict, leaders = AHEAD, leaders[:1]
    elif verdict == FEW:
        detail = _few(comparison, standing, budget)
    else:
        detail = _decided(comparison, standing, budget)
    brief = _leader(comparison) if comparison.decided else verdict
    chance = probability(comparison.probability) if comparison.decided else ""
    return Finding(budget, f"After {spent(budget, clock)}", verdict, leaders, detail, brief, chance)


def _leader(comparison: Comparison) -> str:
    """For example ``auto (0.99)``."""
    first = comparison.leaders[0]
    return f"{first} ({_chance(comparison, first)})"


def _chance(comparison: Comparison, name: str) -> str:
    return probability(float(comparison.chances["probability"][name]))


def _nothing(section: Section, *, last: bool) -> str:
    runs = section.reliability
    n_trials, n_failed = runs["n_trials"].sum(), (runs["n_trials"] * runs["failed"]).sum()
    if not last or n_failed < n_trials:
        return "no strategy has a successful training yet."
    trials = [f"all {n_trials:.0f} trials failed (100% failed)"] if n_trials else []
    n_crashed = runs["n_crashed"].sum()
    crashes = [f"{n_crashed:.0f} of {runs['n_runs'].sum():.0f} runs crashed"] if n_crashed else []
    return f"{listed([*trials, *crashes])}. There is no leader."


def about_zero(field: Field) -> str:
    """What regret 0 is where it is not close to an optimum; else empty."""
    if plain_suite(field.suite) != "networks" or not field.normalised:
        return ""
    n_random, n = LIVE_REFERENCES["random"], sum(LIVE_REFERENCES.values())
    return (
        f"Regret 0 is the lowest test loss of {n} reference configurations, each trained once, and 1 the median of the "
        f"{n_random} random ones among them; runs can be better."
    )


def _decided(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, pairs = comparison.leaders[0], comparison.pairs
    row = standing.board[(standing.board["budget"] == budget) & (standing.board["strategy"] == first)].iloc[0]
    several = comparison.verdict == BEST and len(comparison.leaders) > 1
    own = f", and P(best) {_chance(comparison, first)}" if several else ""  # else said
    parts = [
        f"{_answer(comparison)}. {first} has the lowest expected regret, {number(row['regret'])} (80% interval "
        f"{number(row['low80'])} to {number(row['high80'])}){own}."
    ]
    equal, unknown, worse = (pairs[pairs["word"] == word] for word in (EQUAL, UNKNOWN, WORSE))
    if len(equal):
        parts.append(f"Practically equal: {listed(_with(equal, 'equal'))}.")
    if len(unknown):
        parts.append(f"Not known yet, with the probability of being worse: {listed(_with(unknown, 'worse'))}.")
        parts += [] if several else [to_know(comparison)]  # else said
    if len(worse):
        of = "all others" if len(worse) == len(pairs) else f"{len(worse)} of the {len(pairs)} others"
        lowest = float(worse["worse"].min())
        more = "" if lowest > 0.99 else " or more"
        parts.append(f"Worse: {of}, each with probability {probability(lowest)}{more}.")
    return " ".join([*parts, _speed(standing, budget, first)]).rstrip()


def _answer(comparison: Comparison) -> str:
    """Who is best, with the probability, as far as the data decide."""
    leaders, others = comparison.leaders, comparison.pairs
    if comparison.verdict == AMONG:
        return listed(f"{name} (P {_chance(comparison, name)})" for name in leaders)
    if comparison.verdict == UNKNOWN:
        open_ = f"{len(leaders) - 1} of the {counted(len(others), 'other')} may be as good"
        close = f"each of the others is worse, but this probability is below {MIN_P:g}"
        return f"{leaders[0]} leads (P {_chance(comparison, leaders[0])}); {open_ if leaders[1:] else close}"
    text = f"{listed(leaders, 'or')} (P {probability(comparison.probability)})"
    if not leaders[1:]:
        return text
    asked = [comparison.needed[name] for name in comparison.undecided]
    return f"{text}; which of them is not known yet (it would take {_number_of_units(asked)} {_noun(comparison)})"


def to_know(comparison: Comparison) -> str:
    """For example ``It would take about 36 tasks like these to decide on ga, more than 200 on tpe.``"""
    by_number: dict[str, list[str]] = {}
    for name, n in comparison.needed.items():
        by_number.setdefault(_number_of_units([n]), []).append(name)
    (first, names), *rest = by_number.items()
    more = "".join(f", {n} on {listed(others)}" for n, others in rest)
    return f"It would take {first} {_noun(comparison)} like these to decide on {listed(names)}{more}."


def _number_of_units(needed: Sequence[int | None]) -> str:
    """The largest number, for example ``about 36``."""
    known = [n for n in needed if n is not None]
    return f"about {max(known)}" if len(known) == len(needed) else f"more than {MAX_UNITS}"


def _noun(comparison: Comparison) -> str:
    return comparison.size.split()[-1]  # of "12 tasks" or "36 tasks of 12 functions"


def _with(pairs: pd.DataFrame, column: str) -> list[str]:
    return [f"{b} ({probability(value)})" for b, value in zip(pairs["b"], pairs[column], strict=True)]


def _few(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, second = comparison.means.index[:2]
    duels = standing.duels[(standing.duels["budget"] == budget) & (standing.duels["b"] == second)]
    better, worse = int((duels["high"] < 0).sum()), int((duels["low"] > 0).sum())
    return (
        f"{comparison.size} say little about other tasks (it takes {MIN_UNITS}). {_means(comparison)} By task, the "
        f"paired interval of their difference favours {first} on {better} of the {counted(len(duels), 'task')} and "
        f"{second} on {worse}; on the others it includes 0."
    )


def _single_task(section: Section, standing: Standing, budget: float) -> str:
    """The detail for a comparison on a single task, which has only seeds as replicates."""
    field = section.field
    duels = standing.duels[standing.duels["budget"] == budget]
    duel = duels.iloc[0]
    a, b = duel["a"], duel["b"]
    means = standing.comparisons[budget].means
    lowest = f"{a} has the lowest mean {section.word} ({means[a]:.4g}), followed by {b} ({means[b]:.4g}). "
    n = len(field.pairs)
    if n < 2:
        return lowest + "A single seed gives no interval, so the difference is unknown."
    interval = f"{duel['low']:.3g} to {duel['high']:.3g}"
    excludes = duel["high"] < 0 or duel["low"] > 0
    zero = "excludes 0" if excludes else "includes 0, so no difference is shown"
    few = f" At least {FEW_SEEDS} seeds are needed for a conclusion." if n < FEW_SEEDS else ""
    return (
        f"{lowest}The paired 95% interval of their difference over {n} seeds, {interval}, {zero}. This is a single "
        f"task: the result does not carry over to others.{few}"
    )


def _ahead(field: Field, standing: Standing, budget: float) -> bool:
    """Whether there are enough seeds and the intervals against all others exclude 0."""
    duels = standing.duels[standing.duels["budget"] == budget]
    return len(field.pairs) >= FEW_SEEDS and bool((duels["high"] < 0).all())


def _means(comparison: Comparison) -> str:
    first, second = comparison.means.index[:2]
    means = comparison.means
    return f"Lowest mean regret: {first} with {number(means[first])}, then {second} with {number(means[second])}."


def _speed(standing: Standing, budget: float, name: str) -> str:
    """A sentence about the speed-up over random search, with its interval."""
    board = standing.board
    if "speed_up" not in board or name == BASELINE:
        return ""
    row = board[(board["budget"] == budget) & (board["strategy"] == name)].iloc[0]
    if np.isnan(row["speed_up"]):
        return ""
    if row["speed_up"] == 0:
        return f"On most tasks {name} has not reached the regret of random search. "
    low = "less than 1" if row["low_speed_up"] == 0 else f"{row['low_speed_up']:.1f}"
    return (
        f"It reaches the regret that random search has by then {row['speed_up']:.1f} times as fast (95% interval {low} "
        f"to {row['high_speed_up']:.1f}). "
    )


# --- over all suites ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AdviceRow:
    """A row of the summary table: the findings of one field by budget."""

    field: Field
    cells: Mapping[float, Finding]


def advice(sections: Iterable[Section], *, kinds: bool) -> list[AdviceRow]:
    """The summary of the verdicts, by suite or, with ``kinds``, by kind of space."""
    return [
        AdviceRow(section.field, {finding.budget: finding for finding in findings(section)})
        for section in sections
        if (section.field.suite == EVERY_SUITE) == kinds
    ]


def budgets(rows: Iterable[AdviceRow]) -> list[float]:
    """The budgets that are columns of the summary table."""
    return sorted({budget for row in rows for budget in row.cells})


EVIDENCE = [
    "suite", "split", "field", "n_workers", "clock", "budget", "a", "b", "task", "difference", "better", "equal",
    "worse", "word", "low", "high", "p", "p_holm", "friedman_p", "n_tasks", "n_units", "margin", "verdict", "leaders",
    "probability",
]  # fmt: skip


def evidence(sections: Iterable[Section]) -> pd.DataFrame:
    """The data behind the sentences: a row per rival of the leader or, with too few units, per rival and task.

    ``better``, ``equal`` and ``worse``: probabilities for ``b``, the rival. ``p``: of Wilcoxon's signed-rank test, and
    corrected by Holm for the number of rivals; after Friedman's test over all strategies. ``probability``: that one of
    the ``leaders``, separated by spaces, is among the best.
    """
    rows: list[dict[Hashable, Any]] = []
    for section in sections:
        field = section.field
        for clock, standing in section.standings.items():
            for budget, comparison in standing.comparisons.items():
                facts: dict[Hashable, Any] = {
                    "suite": field.suite, "split": field.split, "field": field.name, "n_workers": field.n_workers,
                    "clock": clock, "budget": budget, "n_tasks": len(field.tasks), "n_units": comparison.n_units,
                    "friedman_p": comparison.friedman_p, "margin": MARGIN, "verdict": comparison.verdict,
                    "leaders": " ".join(comparison.leaders) if comparison.decided else "",
                    "probability": comparison.probability,
                }  # fmt: skip
                found = comparison.pairs
                if not comparison.decided:
                    found = standing.duels[standing.duels["budget"] == budget].drop(columns=["suite", "budget"])
                rows += [facts | row for row in found.to_dict("records")]
    return pd.DataFrame(rows, columns=EVIDENCE)


# --- numbers ------------------------------------------------------------------------------------------------------


def listed(names: Iterable[str], word: str = "and") -> str:
    """a, b and c."""
    *rest, last = names
    return f"{', '.join(rest)} {word} {last}" if rest else last


def number(regret: float) -> str:
    """A regret with three decimals, or two significant digits if it is below 0.01."""
    if abs(regret) >= 0.01 or regret == 0:
        return f"{regret:.3f}"
    return f"{regret:#.2g}" if abs(regret) >= 1e-4 else f"{regret:.0e}"


def small(p: float | None) -> str:
    """A p-value."""
    if p is None:
        return "-"
    if abs(p - LEVEL) < 0.005:
        return f"{p:.3g}"
    return f"{p:.2g}" if p >= 1e-4 else f"{p:.0e}".replace("e-0", "e-")


def spent(budget: float, clock: str) -> str:
    """A budget in words."""
    trainings = f"{budget:g} training{'s' * (budget != 1)}"
    return trainings if clock == "trainings" else f"the time of {trainings}"
