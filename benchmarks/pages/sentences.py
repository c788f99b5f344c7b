"""The leaderboard in words. Every sentence says what a test or an interval says, and never more."""

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

N_NAMED = 4  # strategies in a cell of a table
FEW_SEEDS = 3  # two say the same too easily where losses are coarse


@dataclass(frozen=True)
class Finding:
    """What is known at one budget."""

    budget: float
    after: str
    verdict: str
    leaders: tuple[str, ...]  # the lowest mean first; the others are not shown to be worse
    detail: str

    @property
    def text(self) -> str:
        """All of it as a sentence or two."""
        return f"{self.after}, {self.verdict}: {self.detail}"

    @property
    def headline(self) -> str:
        """The first sentence of the detail."""
        return self.detail.partition(". ")[0].rstrip(".") + "."

    @property
    def named(self) -> str:
        """The leaders, the first few by name."""
        more = [f"{len(self.leaders) - N_NAMED} more"] if len(self.leaders) > N_NAMED else []
        return listed([*self.leaders[:N_NAMED], *more])

    @property
    def short(self) -> str:
        """For a cell of a table."""
        if self.verdict == WINNER:
            return f"**{self.leaders[0]}**"
        if self.verdict in (OPEN, AHEAD):
            return f"{self.verdict}: {self.named}"
        return f"{self.verdict}; {self.leaders[0]} leads" if self.verdict == UNDECIDED else self.verdict


def findings(section: Section, clock: str = "trainings") -> list[Finding]:
    """One for each budget of the verdicts."""
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
        return "no strategy has a training that worked by then."
    trials = [f"not one of {n_trials:.0f} trials ever worked, 100% failed"] if n_trials else []
    n_crashed = runs["n_crashed"].sum()
    crashes = [f"{n_crashed:.0f} of {runs['n_runs'].sum():.0f} runs crashed"] if n_crashed else []
    return f"{listed([*trials, *crashes])}. So nobody leads."


def _winner(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, second = comparison.means.index[:2]
    against = comparison.pairs[comparison.pairs["a"] == first]
    lead = number(comparison.means[second] - comparison.means[first])
    return (
        f"{first} is better than every other strategy. Its mean regret is {number(comparison.means[first])}, that of "
        f"the next, {second}, {lead} higher. {_speed(standing, budget, first)}{_test(comparison)}: p = "
        f"{small(against['p_holm'].max())} or less against each."
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
            parts.append(f"its mean is lower than that of {rival}, its ranks are not")
        else:
            parts.append(f"its lead over {rival} is below {MARGIN:g} and does not count")
    worse = f"{len(comparison.means) - len(comparison.leaders)} of the {len(comparison.means) - 1} others"
    return (
        f"{first} leads, but {'; '.join(parts)}. {_means(comparison)} {_speed(standing, budget, first)}"
        f"{_test(comparison)}. Shown to be worse than {first}: {worse}."
    )


def _same(comparison: Comparison, standing: Standing, budget: float) -> str:
    return (
        f"the {len(comparison.means)} strategies may well be equal, by Friedman's test over {comparison.size} "
        f"(p = {small(comparison.friedman_p)}). {_means(comparison)}"
    )


def _undecided(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, second = comparison.means.index[:2]
    duels = standing.duels[(standing.duels["budget"] == budget) & (standing.duels["b"] == second)]
    better, worse = int((duels["high"] < 0).sum()), int((duels["low"] > 0).sum())
    return (
        f"{comparison.reason}. {_means(comparison)} Task by task, the paired interval of the two is on the side of "
        f"{first} on {better} of the {len(duels)} tasks, of {second} on {worse}, and holds 0 on the others."
    )


def _single_task(section: Section, standing: Standing, budget: float) -> str:
    """The user's own comparison on one task: what the seeds say, and nothing about other tasks."""
    field = section.field
    duels = standing.duels[standing.duels["budget"] == budget]
    duel = duels.iloc[0]
    a, b = duel["a"], duel["b"]
    means = standing.comparisons[budget].means
    what = f"{a} has the lowest mean {section.word} ({means[a]:.4g}), the next is {b} ({means[b]:.4g}). "
    n = len(field.pairs)
    if n < 2:
        return what + "One seed has no interval: nothing is known about the difference."
    interval = f"{duel['low']:.3g} to {duel['high']:.3g}"
    excludes = duel["high"] < 0 or duel["low"] > 0
    says = "leaves out 0" if excludes else "holds 0, so the two are not told apart"
    few = f" Fewer than {FEW_SEEDS} seeds decide nothing." if n < FEW_SEEDS else ""
    return (
        f"{what}The paired interval of their difference over {n} seeds, {interval}, {says}. This is one task: it says "
        f"nothing about others.{few}"
    )


def _ahead(field: Field, standing: Standing, budget: float) -> bool:
    """Whether the intervals against all others leave out 0, with seeds enough for that to mean something."""
    duels = standing.duels[standing.duels["budget"] == budget]
    return len(field.pairs) >= FEW_SEEDS and bool((duels["high"] < 0).all())


def _means(comparison: Comparison) -> str:
    first, second = comparison.means.index[:2]
    means = comparison.means
    return f"The lowest mean regret is that of {first}, {number(means[first])}; {second} has {number(means[second])}."


def _test(comparison: Comparison) -> str:
    friedman = "" if comparison.friedman_p is None else f"Friedman p = {small(comparison.friedman_p)}, then "
    return f"{friedman}Wilcoxon with Holm's correction over {comparison.size}"


def _speed(standing: Standing, budget: float, name: str) -> str:
    """A sentence on the speed-up over random search, with its interval."""
    board = standing.board
    if "speed_up" not in board or name == BASELINE:
        return ""
    row = board[(board["budget"] == budget) & (board["strategy"] == name)].iloc[0]
    if row["speed_up"] == 0:
        return f"On most tasks {name} has not reached what random search has. "
    low = "less than 1" if row["low_speed_up"] == 0 else f"{row['low_speed_up']:.1f}"
    return (
        f"What random search has by then, {name} reaches {row['speed_up']:.1f} times as fast (95% interval {low} to "
        f"{row['high_speed_up']:.1f}). "
    )


# --- over all suites ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Advice:
    """A row of a table: what to use where."""

    field: Field
    cells: Mapping[float, Finding]


def advice(sections: Iterable[Section], *, kinds: bool) -> list[Advice]:
    """The verdicts in short, by suite or by kind of space."""
    return [
        Advice(section.field, {finding.budget: finding for finding in findings(section)})
        for section in sections
        if (section.field.suite == EVERY_SUITE) == kinds
    ]


def budgets(rows: Iterable[Advice]) -> list[float]:
    """The columns of such a table."""
    return sorted({budget for row in rows for budget in row.cells})


EVIDENCE = [
    "suite", "split", "field", "n_workers", "clock", "budget", "a", "b", "task", "difference", "low", "high", "p",
    "p_holm", "test", "n_tasks", "n_units", "friedman_p", "margin", "verdict", "conclusion", "reason",
]  # fmt: skip


def evidence(sections: Iterable[Section]) -> pd.DataFrame:
    """What is behind the sentences: a row a pair of strategies, or a pair and task where there are too few units."""
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
    """A regret with three decimals, and more where these say nothing."""
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
