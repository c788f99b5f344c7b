"""Recommendation of a strategy from recorded benchmarks, by kind of space and budget.

``standing.json`` is written by ``python -m benchmarks.report --standing`` from the same numbers as the leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

UNSURE = "auto"  # recommended if no strategy is significantly better


@dataclass(frozen=True)
class Record:
    """One comparison of strategies on tasks with one kind of space, after ``budget`` trainings.

    ``regrets``: the means, the lowest first; ``leaders``: our strategy with the lowest one, and those of ours that are
    not significantly worse; ``lead``: its difference to our next strategy, with a 95% interval over tasks like these
    (None for a single task).
    """

    kind: str
    field: str
    budget: int
    size: str
    n_tasks: int
    n_seeds: str
    suites: Mapping[str, int]
    tested: bool
    verdict: str
    reason: str
    leaders: tuple[str, ...]
    lead: Mapping[str, float | None]
    regrets: Mapping[str, float]
    others: tuple[str, ...]  # raw libraries, compared but never recommended

    @property
    def ours(self) -> list[str]:
        """Our strategies in the comparison, the lowest mean first."""
        return [name for name in self.regrets if name not in self.others]

    @property
    def text(self) -> str:
        """The tasks, the budget and the result, in words."""
        suites = ", ".join(f"{suite} {n}" for suite, n in self.suites.items())
        lowest = ", ".join(f"{name} {self.regrets[name]:.2g}" for name in self.ours[:3])
        extent = f"{self.size} ({suites}), seeds: {self.n_seeds}, trainings: {self.budget}"
        return f"{extent}: {self.verdict}; lowest mean regrets of ours: {lowest}"

    @property
    def winner(self) -> str | None:
        """Our strategy that is significantly better than all our others, if any."""
        return self.leaders[0] if self.tested and len(self.leaders) == 1 else None


@dataclass(frozen=True)
class Recommendation:
    """A strategy and the results behind it; ``basis`` is None if nothing was recorded."""

    strategy: str
    headline: str
    details: tuple[str, ...]
    basis: Record | None
    records: tuple[Record, ...]  # all of this kind and budget


def standing() -> list[Record]:
    """All records in the package's ``standing.json``."""
    return as_records(json.loads(files("automl.tuning").joinpath("standing.json").read_text(encoding="utf-8")))


def as_records(content: Mapping[str, Any]) -> list[Record]:
    """The records in the content of ``standing.json``."""
    lists = ("leaders", "others")
    return [Record(**{**record, **{name: tuple(record[name]) for name in lists}}) for record in content["records"]]


def recommend(records: Sequence[Record], kind: str, n_trials: int) -> Recommendation:
    """Recommend by the records of this kind of space at the largest budget at or below ``n_trials``.

    Comparisons with a significance test come first, then those with more of our strategies, then with more tasks.
    """
    known = [record for record in records if record.kind == kind]
    if not known:
        return Recommendation(UNSURE, f"nothing recorded on {kind} spaces: use {UNSURE}", (), None, ())
    budgets = sorted({record.budget for record in known})
    budget = max([b for b in budgets if b <= n_trials], default=budgets[0])
    there = sorted(
        [record for record in known if record.budget == budget],
        key=lambda record: (not record.tested, -len(record.ours), -record.n_tasks),
    )
    basis = there[0]
    strategy, headline = _choice(basis)
    left_out = sorted({name for record in known for name in record.ours} - set(basis.ours))
    details = [_lead(basis), _rivals(basis), _others(basis), _left_out(left_out, basis), _budget(budgets, n_trials)]
    return Recommendation(strategy, headline, tuple(filter(None, details)), basis, tuple(there))


def _choice(record: Record) -> tuple[str, str]:
    first, n = record.leaders[0], len(record.ours)
    if record.winner is not None:
        return first, f"recommended: {first}, better than each of our other {n - 1} strategies compared"
    if record.tested and UNSURE in record.ours and UNSURE not in record.leaders:
        return first, f"{record.verdict}, but {UNSURE} is shown to be worse than {first}: use {first}"
    return UNSURE, f"{record.verdict}: use {UNSURE}"


def _lead(record: Record) -> str:
    first, second = record.ours[:2]
    mean, low, high = (record.lead[name] for name in ("mean", "low", "high"))
    interval = "no interval" if low is None or high is None else f"95% interval {low:.2g} to {high:.2g}"
    return (
        f"{first} has the lowest mean regret of our strategies, {record.regrets[first]:.2g} (0: the best known loss, "
        f"1: a median random config); the next, {second}, is {mean:.2g} above it ({interval}, over tasks like these)."
    )


def _rivals(record: Record) -> str:
    if not record.tested:
        return f"No test: {record.reason}."
    rivals = record.leaders[1:]
    return f"Not shown to be worse: {', '.join(rivals)}." if rivals else ""


def _others(record: Record) -> str:
    lower = [name for name in record.others if record.regrets[name] < record.regrets[record.ours[0]]]
    return f"With a lower mean, of other libraries: {', '.join(lower)}." if lower else ""


def _left_out(names: Sequence[str], record: Record) -> str:
    unknown = [] if UNSURE in record.ours or UNSURE in names else [UNSURE]
    return f"Not compared there: {', '.join([*unknown, *names])}." if unknown or names else ""


def _budget(budgets: Sequence[int], n_trials: int) -> str:
    if n_trials < budgets[0]:
        return f"Nothing is recorded for fewer than {budgets[0]} trainings; the order may differ for {n_trials}."
    if n_trials > budgets[-1]:
        return f"Nothing is recorded beyond {budgets[-1]} trainings; the order may differ for {n_trials}."
    return ""
