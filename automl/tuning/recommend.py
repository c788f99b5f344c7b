"""Recommendation of a strategy from recorded benchmarks: by learning curves or kind of space, workers and budget.

``standing.json`` is written by ``python -m benchmarks.report --standing`` from the same numbers as the leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

DEFAULT = "auto"  # recommended unless it is expected to be worse than another by more than the margin
CURVES = "curves"  # instead of a kind of space: tasks on which short trainings can be compared
SPLITS = {"holdout": "held out", "development": "development"}


@dataclass(frozen=True)
class Record:
    """One comparison of strategies after ``budget`` trainings, on tasks with one kind of space or with learning curves.

    ``regrets``: the means, the lowest first. ``chances``: the probability that a strategy's expected regret on tasks
    like these is practically the lowest, and ``losses``: how far above the lowest it is expected to be. ``margin``:
    smaller differences in mean regret do not matter in practice.
    """

    kind: str  # of the spaces, or CURVES
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
    n_workers: int = 1  # trainings at a time

    @property
    def ours(self) -> list[str]:
        """Our strategies in the comparison, the most likely among the best first."""
        names = [name for name in self.regrets if name not in self.others]
        return sorted(names, key=lambda name: (-self.chances[name], self.regrets[name]))

    @property
    def tasks(self) -> str:
        """How many tasks of what sort, whether held out, from which suites, and the number of workers."""
        like = "learning curves" if self.kind == CURVES else f"{self.kind} spaces"
        suites = ", ".join(f"{suite} {n}" for suite, n in self.suites.items())
        workers = f", {self.n_workers} workers" if self.n_workers > 1 else ""
        return f"{self.size} with {like}, {SPLITS.get(self.split, self.split)} ({suites}){workers}"

    @property
    def text(self) -> str:
        """The tasks, the budget and the result, in words."""
        best = ", ".join(
            f"{name} {probability(self.chances[name])} ({self.regrets[name]:.2g})" for name in self.ours[:3]
        )
        return (
            f"{self.tasks}, seeds: {self.n_seeds}, trainings: {self.budget}; "
            f"probability of being among the best, and mean regret: {best}"
        )


@dataclass(frozen=True)
class Recommendation:
    """A strategy and the results behind it; ``basis`` is None if nothing was recorded."""

    strategy: str
    headline: str
    details: tuple[str, ...]
    basis: Record | None
    records: tuple[Record, ...]  # all of this sort of tasks, number of workers and budget


def standing() -> list[Record]:
    """All records in the package's ``standing.json``."""
    return as_records(json.loads(files("automl.tuning").joinpath("standing.json").read_text(encoding="utf-8")))


def as_records(content: Mapping[str, Any]) -> list[Record]:
    """The records in the content of ``standing.json``."""
    margin = content["margin"]
    return [Record(**{**record, "others": tuple(record["others"]), "margin": margin}) for record in content["records"]]


def recommend(
    records: Sequence[Record], kind: str, n_trials: int, *, curves: bool = False, n_workers: int = 1
) -> Recommendation:
    """Recommend by the records of tasks like this one (see ``alike``) at the largest budget at or below ``n_trials``.

    Held-out tasks come first, since nothing was designed with them in view; then comparisons with more of our
    strategies, then those with more tasks.
    """
    known = alike(records, kind, curves=curves, n_workers=n_workers)
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
        f"This rests on {basis.tasks}.",
        f"Its mean regret is {basis.regrets[strategy]:.2g} (0: the best known loss, 1: a median random config); "
        f"choosing it is expected to cost {basis.losses[strategy]:.2g} against the best of those compared.",
        _likelier(basis, strategy),
        _rivals(basis, strategy),
        _others(basis, strategy),
        f"Not compared there: {', '.join(left_out)}." if left_out else "",
        _budget(budgets, n_trials),
        _workers(basis.n_workers, n_workers),
    ]
    return Recommendation(strategy, headline, tuple(filter(None, details)), basis, tuple(there))


def alike(records: Sequence[Record], kind: str, *, curves: bool, n_workers: int) -> list[Record]:
    """The records of tasks with learning curves, if asked for and known, else of the kind of space.

    Of these, those with several workers if more than one is asked for, as near as possible, else those with one.
    """
    wanted = (CURVES, kind) if curves else (kind,)
    found = next(filter(None, ([record for record in records if record.kind == each] for each in wanted)), [])
    counts = {record.n_workers for record in found}
    like = [n for n in counts if (n > 1) == (n_workers > 1)] or counts
    nearest = min(like, key=lambda n: (abs(n - n_workers), n), default=1)
    return [record for record in found if record.n_workers == nearest]


def preferred(chances: Mapping[str, float], losses: Mapping[str, float], margin: float) -> str:
    """The strategy that is most likely among the best; the default if choosing it instead is not expected to cost more
    than the margin."""
    first = max(chances, key=lambda name: chances[name])
    return DEFAULT if DEFAULT in chances and losses[DEFAULT] <= losses[first] + margin else first


def probability(p: float) -> str:
    """A probability with two decimals; none is certain."""
    return "over 0.99" if p > 0.99 else "below 0.01" if p < 0.01 else f"{p:.2f}"


def _likelier(record: Record, strategy: str) -> str:
    first = record.ours[0]
    if record.chances[first] <= record.chances[strategy]:
        return ""
    lead = max(0.0, record.losses[strategy] - record.losses[first])
    return (
        f"{first} is more likely among the best, but expected to be only {lead:.2g} better; less than "
        f"{record.margin:g} does not matter in practice."
    )


def _rivals(record: Record, strategy: str) -> str:
    rivals = [f"{name} {probability(record.chances[name])}" for name in record.ours if name != strategy][:3]
    return f"Probability of being among the best, for others: {', '.join(rivals)}."


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


def _workers(recorded: int, n_workers: int) -> str:
    if recorded == n_workers:
        return ""
    return f"The searches had {recorded} worker{'s' * (recorded > 1)}; the order may differ with {n_workers}."
