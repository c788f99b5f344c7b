"""Recommendation of a strategy from recorded benchmarks, by kind of space and budget.

``standing.json`` is written by ``python -m benchmarks.report --standing`` from the same numbers as the leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

DEFAULT = "auto"  # recommended unless it is expected to be worse than another by more than the margin


@dataclass(frozen=True)
class Record:
    """One comparison of strategies on tasks with one kind of space, after ``budget`` trainings.

    ``regrets``: the means, the lowest first. ``chances``: the probability that a strategy's expected regret on tasks
    like these is practically the lowest, and ``losses``: how far above the lowest it is expected to be. ``margin``:
    smaller differences in mean regret do not matter in practice.
    """

    kind: str
    field: str
    split: str
    budget: int
    size: str
    n_tasks: int
    n_seeds: str
    suites: Mapping[str, int]
    regrets: Mapping[str, float]
    chances: Mapping[str, float]
    losses: Mapping[str, float]
    others: tuple[str, ...]  # raw libraries, compared but never recommended
    margin: float

    @property
    def ours(self) -> list[str]:
        """Our strategies in the comparison, the most likely among the best first."""
        names = [name for name in self.regrets if name not in self.others]
        return sorted(names, key=lambda name: (-self.chances[name], self.regrets[name]))

    @property
    def text(self) -> str:
        """The tasks, the budget and the result, in words."""
        suites = ", ".join(f"{suite} {n}" for suite, n in self.suites.items())
        best = ", ".join(
            f"{name} {probability(self.chances[name])} ({self.regrets[name]:.2g})" for name in self.ours[:3]
        )
        return (
            f"{self.size} of {self.split} ({suites}), seeds: {self.n_seeds}, trainings: {self.budget}; "
            f"probability of being among the best, and mean regret: {best}"
        )


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
    margin = content["margin"]
    return [Record(**{**record, "others": tuple(record["others"]), "margin": margin}) for record in content["records"]]


def recommend(records: Sequence[Record], kind: str, n_trials: int) -> Recommendation:
    """Recommend by the records of this kind of space at the largest budget at or below ``n_trials``.

    Held-out tasks come first, since nothing was designed with them in view; then comparisons with more of our
    strategies, then those with more tasks.
    """
    known = [record for record in records if record.kind == kind]
    if not known:
        return Recommendation(DEFAULT, f"nothing recorded on {kind} spaces: use {DEFAULT}", (), None, ())
    budgets = sorted({record.budget for record in known})
    budget = max([b for b in budgets if b <= n_trials], default=budgets[0])
    there = sorted(
        [record for record in known if record.budget == budget],
        key=lambda record: (record.split != "holdout", -len(record.ours), -record.n_tasks),
    )
    basis = there[0]
    strategy = preferred({name: basis.chances[name] for name in basis.ours}, basis.losses, basis.margin)
    headline = (
        f"recommended: {strategy}; after {budget} trainings it is among the best with probability "
        f"{probability(basis.chances[strategy])}"
    )
    left_out = sorted({name for record in known for name in record.ours} - set(basis.ours))
    details = [
        f"Its mean regret is {basis.regrets[strategy]:.2g} (0: the best known loss, 1: a median random config), over "
        f"{basis.size} of {basis.split}; choosing it is expected to cost {basis.losses[strategy]:.2g} against the best "
        "of those compared.",
        _rivals(basis, strategy),
        _others(basis, strategy),
        f"Not compared there: {', '.join(left_out)}." if left_out else "",
        _budget(budgets, n_trials),
    ]
    return Recommendation(strategy, headline, tuple(filter(None, details)), basis, tuple(there))


def preferred(chances: Mapping[str, float], losses: Mapping[str, float], margin: float) -> str:
    """The strategy that is most likely among the best; the default if choosing it instead is not expected to cost more
    than the margin."""
    first = max(chances, key=lambda name: chances[name])
    return DEFAULT if DEFAULT in chances and losses[DEFAULT] <= losses[first] + margin else first


def probability(p: float) -> str:
    """A probability with two decimals; none is certain."""
    return "over 0.99" if p > 0.99 else "below 0.01" if p < 0.01 else f"{p:.2f}"


def _rivals(record: Record, strategy: str) -> str:
    rivals = [f"{name} {probability(record.chances[name])}" for name in record.ours if name != strategy][:3]
    return f"The same probability of others: {', '.join(rivals)}."


def _others(record: Record, strategy: str) -> str:
    likely = [name for name in record.others if record.chances[name] > record.chances[strategy]]
    names = ", ".join(f"{name} {probability(record.chances[name])}" for name in likely)
    return f"More likely among the best, of other libraries: {names}." if likely else ""


def _budget(budgets: Sequence[int], n_trials: int) -> str:
    if n_trials < budgets[0]:
        return f"Nothing is recorded for fewer than {budgets[0]} trainings; the order may differ for {n_trials}."
    if n_trials > budgets[-1]:
        return f"Nothing is recorded beyond {budgets[-1]} trainings; the order may differ for {n_trials}."
    return ""
