"""The leaderboard in words. Every sentence says what a test or an interval says, and never more."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.comparison import MARGIN, NOT_SHOWN, OPEN, SAME, UNDECIDED, WINNER, Comparison
from benchmarks.fields import EVERY_SUITE, Field
from benchmarks.leaderboard import BASELINE, Section, Standing

FEW_SEEDS = 6  # below it, not even seeds that all say the same make a sign test significant


@dataclass(frozen=True)
class Finding:
    """What is known at one budget."""

    budget: float
    verdict: str
    leaders: tuple[str, ...]  # in the order of their means; what is left of the others is not shown to be worse
    text: str

    @property
    def short(self) -> str:
        """For a cell of a table."""
        if self.verdict == WINNER:
            return self.leaders[0]
        if self.verdict == OPEN:
            return f"no clear winner: {listed(self.leaders)}"
        return f"{self.verdict}; {self.leaders[0]} leads" if self.verdict == UNDECIDED else self.verdict


def findings(section: Section, clock: str = "trainings") -> list[Finding]:
    """One for each budget of the verdicts."""
    standing = section.standings.get(clock)
    if standing is None:
        return []
    return [_finding(section, standing, budget, clock) for budget in standing.comparisons]


def _finding(section: Section, standing: Standing, budget: float, clock: str) -> Finding:
    comparison = standing.comparisons[budget]
    after = f"After {spent(budget, clock)}"
    if len(comparison.means) < 2:
        text = f"{after}: only {comparison.leaders[0]} was run."
        return Finding(budget, comparison.verdict, comparison.leaders, text)
    words = {WINNER: _winner, OPEN: _open, SAME: _same, UNDECIDED: _undecided}
    if not section.field.normalised:
        sentence = _single_task(section.field, standing, budget)
    else:
        sentence = words[comparison.verdict](comparison, standing, budget)
    return Finding(budget, comparison.verdict, comparison.leaders, f"{after}{sentence}")


def _winner(comparison: Comparison, standing: Standing, budget: float) -> str:
    first = comparison.leaders[0]
    against = comparison.pairs[comparison.pairs["a"] == first]
    return (
        f", {first} is better than every other strategy: {_means(comparison)}, {_lead(comparison)} lower. "
        f"{_speed(standing, budget, first)}{_test(comparison)}: p = {small(against['p_holm'].max())} or less against "
        "each."
    )


def _open(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, *rivals = comparison.leaders
    against = comparison.pairs[comparison.pairs["a"] == first].set_index("b").loc[rivals]
    parts = []
    for verdict, names in against.groupby("verdict", sort=False).groups.items():
        p = against.loc[names, "p_holm"].min()
        reason = f"p = {small(p)} or more" if verdict == NOT_SHOWN else str(verdict)
        parts.append(f"{listed(map(str, names))} ({reason})")
    n_worse = len(comparison.means) - len(comparison.leaders)
    beaten = f"{n_worse} of the others are worse" if n_worse else "none of the others is worse"
    return (
        f", no clear winner: {first} leads ({_means(comparison)}). {_speed(standing, budget, first)}"
        f"{_test(comparison)}: {beaten}; not shown to be worse: {'; '.join(parts)}."
    )


def _same(comparison: Comparison, standing: Standing, budget: float) -> str:
    return (
        f", no difference between the {len(comparison.means)} strategies is shown ({_means(comparison)}). "
        f"Friedman over {comparison.n_tasks} tasks: p = {small(comparison.friedman_p)}."
    )


def _undecided(comparison: Comparison, standing: Standing, budget: float) -> str:
    first, second = comparison.means.index[:2]
    duels = standing.duels[(standing.duels["budget"] == budget) & (standing.duels["b"] == second)]
    better, worse = int((duels["high"] < 0).sum()), int((duels["low"] > 0).sum())
    return (
        f", undecided: {comparison.reason}. {first} leads ({_means(comparison)}); task by task, the paired interval "
        f"against {second} is in favour of {first} on {better} and of {second} on {worse} of {len(duels)} tasks."
    )


def _single_task(field: Field, standing: Standing, budget: float) -> str:
    """The user's own comparison on one task: what the seeds say, and nothing about other tasks."""
    duel = standing.duels[standing.duels["budget"] == budget].iloc[0]
    a, b = duel["a"], duel["b"]
    means = standing.comparisons[budget].means
    what = f", {a} has the lowest mean loss ({means[a]:.4g}), then {b} ({means[b]:.4g}). "
    n = len(field.pairs)
    if n < 2:
        return what + "One seed has no interval: nothing is known about the difference."
    interval = f"{duel['low']:.3g} to {duel['high']:.3g} over {n} seeds"
    says = "excludes 0" if duel["high"] < 0 or duel["low"] > 0 else "includes 0, so they are not told apart"
    few = f" With fewer than {FEW_SEEDS} seeds such an interval is too narrow." if n < FEW_SEEDS else ""
    return f"{what}The paired interval of their difference ({interval}) {says}. This holds for this task alone.{few}"


def _means(comparison: Comparison) -> str:
    first, second = comparison.means.index[:2]
    means = comparison.means
    return f"mean regret {number(means[first])}, the next, {second}, {number(means[second])}"


def _lead(comparison: Comparison) -> str:
    return number(comparison.means.iloc[1] - comparison.means.iloc[0])


def _test(comparison: Comparison) -> str:
    friedman = "" if comparison.friedman_p is None else f"Friedman p = {small(comparison.friedman_p)}, then "
    return f"{friedman}Wilcoxon with Holm's correction over {comparison.n_tasks} tasks"


def _speed(standing: Standing, budget: float, name: str) -> str:
    """A sentence on the speed-up over random search, with its interval."""
    board = standing.board
    if "speed_up" not in board or name == BASELINE:
        return ""
    row = board[(board["budget"] == budget) & (board["strategy"] == name)].iloc[0]
    if row["speed_up"] == 0:
        return "On most tasks it has not reached what random search has. "
    low = "less than 1" if row["low_speed_up"] == 0 else f"{row['low_speed_up']:.1f}"
    return (
        f"What random search has reached by then, it reaches with {row['speed_up']:.1f} times less budget "
        f"(95% interval {low} to {row['high_speed_up']:.1f}). "
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
    "suite", "field", "n_workers", "clock", "budget", "a", "b", "task", "difference", "low", "high", "p", "p_holm",
    "test", "n_tasks", "friedman_p", "margin", "verdict", "conclusion", "reason",
]  # fmt: skip


def evidence(sections: Iterable[Section]) -> pd.DataFrame:
    """What is behind the sentences: a row a pair of strategies, or a pair and task where there are too few tasks."""
    rows: list[dict[Hashable, Any]] = []
    for section in sections:
        field = section.field
        for clock, standing in section.standings.items():
            for budget, comparison in standing.comparisons.items():
                facts: dict[Hashable, Any] = {
                    "suite": field.suite, "field": field.name, "n_workers": field.n_workers, "clock": clock,
                    "budget": budget, "n_tasks": comparison.n_tasks, "friedman_p": comparison.friedman_p,
                    "margin": MARGIN, "conclusion": comparison.verdict, "reason": comparison.reason,
                }  # fmt: skip
                if comparison.tested:
                    found = comparison.pairs.assign(test="Wilcoxon signed-rank, Holm")
                else:
                    duels = standing.duels[standing.duels["budget"] == budget].drop(columns=["suite", "budget"])
                    found = duels.assign(test="paired bootstrap over seeds", verdict=UNDECIDED)
                rows += [facts | row for row in found.to_dict("records")]
    return pd.DataFrame(rows, columns=EVIDENCE)


# --- numbers ------------------------------------------------------------------------------------------------------


def listed(names: Iterable[str]) -> str:
    """a, b and c."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def number(regret: float) -> str:
    """A regret with three decimals, and more where these say nothing."""
    return f"{regret:.3f}" if abs(regret) >= 0.01 or regret == 0 else f"{regret:.2g}"


def small(p: float | None) -> str:
    """A p-value."""
    return "-" if p is None else f"{p:.2g}" if p >= 1e-4 else f"{p:.0e}".replace("e-0", "e-")


def spent(budget: float, clock: str) -> str:
    """A budget in words."""
    trainings = f"{budget:g} training{'s' * (budget != 1)}"
    return trainings if clock == "trainings" else f"the time of {trainings}"
