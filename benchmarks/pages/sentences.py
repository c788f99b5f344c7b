"""Sentences of the leaderboard. No sentence claims more than its test or interval supports."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.scoring.cohorts import EVERY_SUITE, Field
from benchmarks.scoring.comparison import (
    AHEAD,
    DISAGREE,
    MARGIN,
    NOT_SHOWN,
    NOTHING,
    OPEN,
    SAME,
    UNDECIDED,
    WINNER,
    Comparison,
)
from benchmarks.scoring.leaderboard import BASELINE, Section, Standing
from benchmarks.scoring.statistics import LEVEL

N_NAMED = 4  # strategies named in a table cell
FEW_SEEDS = 3  # with two, differences agree by chance too easily if losses are coarse


@dataclass(frozen=True)
class Finding:
    """The result at one budget."""

    budget: float
    after: str
    verdict: str
    leaders: tuple[str, ...]  # the lowest mean first, then those not shown to be worse
    detail: str

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
        """The first few leaders by name, and the number of others."""
        more = [f"{len(self.leaders) - N_NAMED} more"] if len(self.leaders) > N_NAMED else []
        return listed([*self.leaders[:N_NAMED], *more])

    @property
    def short(self) -> str:
        """The text of a table cell."""
        if self.verdict == WINNER:
            return f"**{self.leaders[0]}**"
        if self.verdict in (OPEN, AHEAD):
            return f"{self.verdict}: {self.named}"
        return f"{self.verdict}; {self.leaders[0]} leads" if self.verdict == UNDECIDED else self.verdict


def findings(section: Section, clock: str = "trainings") -> list[Finding]:
    """One finding per shown budget."""
    standing = section.standings.get(clock)
    if standing is None:
        return []
    return [_finding(section, standing, budget, clock) for budget in standing.comparisons]


def _finding(section: Section, standing: Standing, budget: float, clock: str) -> Finding:
    comparison = standing.comparisons[budget]
    verdict, leaders = comparison.verdict, comparison.leaders
    words = {WINNER: _winner, OPEN: _open, SAME: _same, UNDECIDED: _undecided}
    if comparison.verdict == NOTHING:
        detail = _nothing(section, last=budget == max(standing.comparisons))
    elif len(comparison.means) < 2:
        detail = f"only {comparison.leaders[0]} was run."
    elif not section.field.normalised:
        detail = _single_task(section, standing, budget)
        if _ahead(section.field, standing, budget):
            verdict, leaders = AHEAD, leaders[:1]
    else:
        detail = words[comparison.verdict](comparison, standing, budget)
    return Finding(budget, f"After {spent(budget, clock)}", verdict, leaders, detail)


def _nothing(section: Section, *, last: bool) -> str:
    runs = section.reliability
    n_trials, n_failed = runs["n_trials"].sum(), (runs["n_trials"] * runs["failed"]).sum()
    if not last or n_failed < n_trials:
        return "no strategy has a successful training yet."
    trials = [f"all {n_trials:.0f} trials failed (100% failed)"] if n_trials else []
    n_crashed = runs["n_crashed"].sum()
    crashes = [f"{n_crashed:.0f} of {runs['n_runs'].sum():.0f} runs crashed"] if n_crashed else []
    return f"{listed([*trials, *crashes])}. There is no leader."


def _winner(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, second = comparison.means.index[:2]
    against = comparison.pairs[comparison.pairs["a"] == first]
    lead = number(comparison.means[second] - comparison.means[first])
    return (
        f"{first} is better than every other strategy. Its mean regret is {number(comparison.means[first])}; the "
        f"runner-up, {second}, is {lead} higher. {_speed(standing, budget, first)}{_test(comparison)}: p ≤ "
        f"{small(against['p_holm'].max())} against each of the others."
    )


def _open(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, *rivals = comparison.leaders
    against = comparison.pairs[comparison.pairs["a"] == first].set_index("b").loc[rivals]
    parts = []
    for verdict, names in against.groupby("verdict", sort=False).groups.items():
        lowest = against.loc[names, "p_holm"].min()
        p = f"p = {small(lowest)}{' or more' if len(names) > 1 and lowest < 1 else ''}"
        rival = listed(map(str, names))
        if verdict == NOT_SHOWN:
            parts.append(f"it is not shown to be better than {rival} ({p})")
        elif verdict == DISAGREE:
            parts.append(f"its mean is lower than that of {rival}, but its ranks are not")
        else:
            parts.append(f"its lead over {rival} is below the margin of {MARGIN:g}")
    worse = f"{len(comparison.means) - len(comparison.leaders)} of the {len(comparison.means) - 1} others"
    return (
        f"{first} leads, but {'; '.join(parts)}. {_means(comparison)} {_speed(standing, budget, first)}"
        f"{_test(comparison)}. Shown to be worse than {first}: {worse}."
    )


def _same(comparison: Comparison, standing: Standing, budget: float) -> str:
    return (
        f"Friedman's test over {comparison.size} shows no difference between the {len(comparison.means)} strategies "
        f"(p = {small(comparison.friedman_p)}). {_means(comparison)}"
    )


def _undecided(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, second = comparison.means.index[:2]
    duels = standing.duels[(standing.duels["budget"] == budget) & (standing.duels["b"] == second)]
    better, worse = int((duels["high"] < 0).sum()), int((duels["low"] > 0).sum())
    return (
        f"{comparison.reason}. {_means(comparison)} By task, the paired interval of their difference favours "
        f"{first} on {better} of the {len(duels)} tasks and {second} on {worse}; on the others it includes 0."
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


def _test(comparison: Comparison) -> str:
    friedman = "" if comparison.friedman_p is None else f"Friedman p = {small(comparison.friedman_p)}, then "
    return f"{friedman}Wilcoxon with Holm's correction over {comparison.size}"


def _speed(standing: Standing, budget: float, name: str) -> str:
    """A sentence about the speed-up over random search, with its interval."""
    board = standing.board
    if "speed_up" not in board or name == BASELINE:
        return ""
    row = board[(board["budget"] == budget) & (board["strategy"] == name)].iloc[0]
    if row["speed_up"] == 0:
        return f"On most tasks {name} has not reached the regret of random search. "
    low = "less than 1" if row["low_speed_up"] == 0 else f"{row['low_speed_up']:.1f}"
    return (
        f"It reaches the regret that random search has by then {row['speed_up']:.1f} times as fast (95% interval {low} "
        f"to {row['high_speed_up']:.1f}). "
    )


# --- over all suites ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Advice:
    """A row of the summary table: the findings of one field by budget."""

    field: Field
    cells: Mapping[float, Finding]


def advice(sections: Iterable[Section], *, kinds: bool) -> list[Advice]:
    """The summary of the verdicts, by suite or, with ``kinds``, by kind of space."""
    return [
        Advice(section.field, {finding.budget: finding for finding in findings(section)})
        for section in sections
        if (section.field.suite == EVERY_SUITE) == kinds
    ]


def budgets(rows: Iterable[Advice]) -> list[float]:
    """The budgets that are columns of the summary table."""
    return sorted({budget for row in rows for budget in row.cells})


EVIDENCE = [
    "suite", "split", "field", "n_workers", "clock", "budget", "a", "b", "task", "difference", "low", "high", "p",
    "p_holm", "test", "n_tasks", "n_units", "friedman_p", "margin", "verdict", "conclusion", "reason",
]  # fmt: skip


def evidence(sections: Iterable[Section]) -> pd.DataFrame:
    """The data behind the sentences: a row per pair of strategies or, with too few units, per pair and task."""
    rows: list[dict[Hashable, Any]] = []
    for section in sections:
        field = section.field
        for clock, standing in section.standings.items():
            for budget, comparison in standing.comparisons.items():
                facts: dict[Hashable, Any] = {
                    "suite": field.suite, "split": field.split, "field": field.name, "n_workers": field.n_workers,
                    "clock": clock, "budget": budget, "n_tasks": len(field.tasks), "n_units": comparison.n_units,
                    "friedman_p": comparison.friedman_p, "margin": MARGIN, "conclusion": comparison.verdict,
                    "reason": comparison.reason,
                }  # fmt: skip
                if comparison.tested:
                    found = comparison.pairs.assign(test="Wilcoxon signed-rank, Holm")
                else:
                    duels = standing.duels[standing.duels["budget"] == budget].drop(columns=["suite", "budget"])
                    found = duels.assign(test="Student's t over paired seeds", verdict=UNDECIDED)
                rows += [facts | row for row in found.to_dict("records")]
    return pd.DataFrame(rows, columns=EVIDENCE)


# --- numbers ------------------------------------------------------------------------------------------------------


def listed(names: Iterable[str]) -> str:
    """a, b and c."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


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
