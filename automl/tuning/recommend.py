"""Recommendation of a strategy from recorded benchmarks: by learning curves or kind of space, workers and budget.

``standing.json`` is written by ``python -m benchmarks.report --standing`` from the same numbers as the leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

DEFAULT = "auto"  # recommended unless it is expected to be worse than another by more than the margin
CURVES, TRAININGS = "curves", "trainings"  # tasks on which short trainings can be compared, instead of a kind of space
LIKE = {TRAININGS: "real trainings", CURVES: "surrogate learning curves"}
SPLITS = {"holdout": "held out", "development": "development"}
P_BEST = 0.95  # P(best) from which a strategy is called best though others may be as good
MIN_DIFFERENCE = 0.05  # smaller differences between probabilities are not mentioned
ALSO_BEST = 0.5  # P(best) from which a strategy that ran on a part of the tasks is named beside the recommended one


@dataclass(frozen=True)
class Record:
    """One comparison of strategies after ``budget`` trainings, on tasks with one kind of space or with learning curves.

    ``regrets``: the means, the lowest first. ``chances``: the probability that a strategy's expected regret on tasks
    like these is practically the lowest, and ``losses``: how far above the lowest it is expected to be. ``margin``:
    smaller differences in mean regret do not matter in practice.
    """

    kind: str  # of the spaces, or CURVES or TRAININGS
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
    n_workers: int  # trainings at a time
    epochs: tuple[int, int]  # of a full training: fewest and most
    conditional: bool  # whether the spaces have conditional hyperparameters
    integers: bool  # whether some have integers

    @property
    def ours(self) -> list[str]:
        """Our strategies in the comparison, the most likely among the best first."""
        names = [name for name in self.regrets if name not in self.others]
        return sorted(names, key=lambda name: (-self.chances[name], self.regrets[name]))

    @property
    def is_subset(self) -> bool:
        """Whether these are only the tasks and seeds on which slow strategies ran too."""
        return "subset" in self.field

    @property
    def extent(self) -> str:
        """The number of tasks, called a subset if they are one."""
        return f"a subset of {self.size}" if self.is_subset else self.size

    @property
    def like(self) -> str:
        """For example ``numeric spaces`` or ``real trainings of 10 to 18 epochs``."""
        if self.kind not in LIKE:
            return f"{self.kind} spaces"
        epochs = " to ".join(map(str, dict.fromkeys(self.epochs)))
        return f"{LIKE[self.kind]} of {epochs} epochs"

    @property
    def tasks(self) -> str:
        """How many tasks of what sort, whether held out, from which suites, and the number of workers."""
        suites = ", ".join(f"{suite} {n}" for suite, n in self.suites.items())
        workers = f", {self.n_workers} workers" if self.n_workers > 1 else ""
        return f"{self.extent} with {self.like}, {SPLITS.get(self.split, self.split)} ({suites}){workers}"

    @property
    def text(self) -> str:
        """The tasks, the budget and the result, in words."""
        best = ", ".join(
            f"{name} {probability(self.chances[name])} ({self.regrets[name]:.3f})" for name in self.ours[:3]
        )
        return (
            f"{self.tasks}, seeds: {self.n_seeds}, trainings: {self.budget}; "
            f"probability of being among the best, and mean regret: {best}"
        )


@dataclass(frozen=True)
class Advice:
    """What to use, judged by tasks of one kind. ``basis``: the record that decides; ``part``: one of a subset of its
    tasks, on which slow strategies ran too; ``records``: all of this kind, number of workers and budget."""

    strategy: str
    basis: Record
    part: Record | None
    records: tuple[Record, ...]
    notes: tuple[str, ...]  # on what is missing or differs from the situation asked about

    @property
    def likelier(self) -> tuple[str, Record] | None:
        """A strategy that is more likely among the best, and the record that shows it; see ``likeliest``. If there is
        none on all tasks, a slow one on a part of them; see ``rival_on_part``."""
        name = likeliest(self.basis.chances, self.strategy)
        if name:
            return name, self.basis
        name = "" if self.part is None else rival_on_part(self.part.chances, self.basis.chances, self.strategy)
        return (name, self.part) if self.part is not None and name else None

    @property
    def headline(self) -> str:
        """The strategy with its probability, expected loss and number of tasks, and a likelier one."""
        by = f" by {self.basis.like}" if self.basis.kind in LIKE else ""
        return (
            f"recommended{by}: {self.strategy}; after {self.basis.budget} trainings it is among the best with "
            f"probability {self._how_likely(self.strategy, self.basis)} ({self.basis.extent}){self._about_likelier}"
        )

    @property
    def details(self) -> tuple[str, ...]:
        """What the headline rests on, and how far that is from the situation asked about."""
        record, strategy = self.basis, self.strategy
        rivals = [f"{name} {probability(record.chances[name])}" for name in record.ours if name != strategy][:3]
        found = [
            f"This rests on {record.tasks}.",
            f"Its mean regret is {record.regrets[strategy]:.3f} (0: the best known loss, 1: a median random config). "
            "The expected loss is how far it is expected to be above the lowest of those compared.",
            self._hardly_better,
            f"Probability of being among the best, for others: {', '.join(rivals)}.",
            *self.notes,
        ]
        return tuple(filter(None, found))

    @property
    def _about_likelier(self) -> str:
        if self.likelier is None:
            return ""
        name, record = self.likelier
        what = f"the library {name}" if name in record.others else name
        ours = record.chances[self.strategy]
        is_likelier = record.chances[name] > ours + MIN_DIFFERENCE
        found = f"{what} {'is likelier' if is_likelier else 'may be as good'}: {self._how_likely(name, record)}"
        return f"; {found}" if record is self.basis else f"; on {record.extent} {found}, against {probability(ours)}"

    @property
    def _hardly_better(self) -> str:
        """Why one of ours that is more likely among the best is not recommended."""
        first, losses = self.basis.ours[0], self.basis.losses
        if self.basis.chances[first] <= self.basis.chances[self.strategy]:
            return ""
        if losses[first] > losses[self.strategy]:
            return f"{first} is more likely among the best, but has a higher expected loss."
        lead = amount(losses[self.strategy] - losses[first])
        return (
            f"{first} is more likely among the best (expected lead: {lead}), but a difference of less than "
            f"{self.basis.margin:g} does not matter in practice."
        )

    @staticmethod
    def _how_likely(name: str, record: Record) -> str:
        return f"{probability(record.chances[name])}, expected loss {amount(record.losses[name])}"


@dataclass(frozen=True)
class Recommendation:
    """What to use. ``advice``: from each kind of tasks like the one asked about, the most similar first; empty if none
    was recorded. ``summary``: what to do without records, or whether two kinds of tasks agree."""

    strategy: str
    advice: tuple[Advice, ...]
    summary: str = ""


def standing() -> list[Record]:
    """All records in the package's ``standing.json``."""
    return as_records(json.loads(files("automl.tuning").joinpath("standing.json").read_text(encoding="utf-8")))


def as_records(content: Mapping[str, Any]) -> list[Record]:
    """The records in the content of ``standing.json``."""
    margin = content["margin"]
    return [
        Record(**{**record, "others": tuple(record["others"]), "epochs": tuple(record["epochs"]), "margin": margin})
        for record in content["records"]
    ]


def recommend(
    records: Sequence[Record],
    kind: str,
    n_trials: int,
    *,
    curves: bool = False,
    max_epochs: int = 1,
    n_workers: int = 1,
    conditional: bool = False,
    integers: bool = False,
) -> Recommendation:
    """Recommend by the records of tasks like this one: those with learning curves if it has some and they are known,
    else those with its kind of space.

    Both real trainings and surrogates have learning curves: each gives its own advice, first the one with the number of
    workers and then the epochs of a full training nearest to the task's.
    """
    found = [known for each in LIKE if curves and (known := alike(records, each, n_workers))]
    found = found or [known for known in [alike(records, kind, n_workers)] if known]
    if not found:
        return Recommendation(DEFAULT, (), f"nothing recorded on {kind} spaces: use {DEFAULT}")
    found.sort(key=lambda known: _distance(known[0], max_epochs, n_workers))
    first, *rest = [_advice(known, n_trials, n_workers, conditional, integers) for known in found]
    return Recommendation(first.strategy, (first, *rest), _agreement(first, rest[0]) if rest else "")


def alike(records: Sequence[Record], kind: str, n_workers: int) -> list[Record]:
    """The records of a kind: with several workers if more than one is asked for, as near as possible, else with one."""
    found = [record for record in records if record.kind == kind]
    counts = {record.n_workers for record in found}
    like = [n for n in counts if (n > 1) == (n_workers > 1)] or counts
    nearest = min(like, key=lambda n: (abs(n - n_workers), n), default=1)
    return [record for record in found if record.n_workers == nearest]


def _distance(record: Record, max_epochs: int, n_workers: int) -> tuple[bool, float]:
    """Whether one of the two had one worker and the other several, then the factor between their epochs."""
    fewest, most = record.epochs
    return (record.n_workers > 1) != (n_workers > 1), max(fewest / max_epochs, max_epochs / most, 1.0)


def _advice(known: Sequence[Record], n_trials: int, n_workers: int, conditional: bool, integers: bool) -> Advice:
    """The advice at the largest budget at or below ``n_trials``.

    Records of all tasks come before those of a subset, and held-out tasks first, as nothing was designed for them.
    """
    budgets = sorted({record.budget for record in known if not record.is_subset} or {each.budget for each in known})
    budget = max([b for b in budgets if b <= n_trials], default=budgets[0])
    ranked = sorted(
        [record for record in known if record.budget == budget],
        key=lambda record: (record.is_subset, record.split != "holdout"),
    )
    basis = ranked[0]
    part = next((each for each in ranked[1:] if each.is_subset and each.split == basis.split), None)
    strategy = preferred({name: basis.losses[name] for name in basis.ours}, basis.margin)
    left_out = sorted({name for record in known for name in record.ours} - set(basis.ours))
    notes = (
        f"Not compared there: {', '.join(left_out)}." if left_out else "",
        _budget(budgets, n_trials),
        _workers(basis.n_workers, n_workers),
        _conditions(basis.conditional, conditional),
        "The spaces of these tasks have no integers; yours has some, so the order may differ."
        * (integers and not basis.integers),
    )
    return Advice(strategy, basis, part, tuple(ranked), notes)


def preferred(losses: Mapping[str, float], margin: float) -> str:
    """The strategy with the lowest expected loss; the default if its loss is not higher by more than the margin."""
    first = min(losses, key=lambda name: losses[name])
    return DEFAULT if DEFAULT in losses and losses[DEFAULT] <= losses[first] + margin else first


def likeliest(chances: Mapping[str, float], strategy: str) -> str:
    """The strategy that is notably more likely among the best than the given one; empty if none is, or if that one
    almost surely is."""
    first, ours = max(chances, key=lambda name: chances[name]), chances.get(strategy, 0.0)
    return first if ours < P_BEST and chances[first] > ours + MIN_DIFFERENCE else ""


def rival_on_part(chances: Mapping[str, float], known: Container[str], strategy: str) -> str:
    """A strategy that ran only on a part of the tasks, and is notably more likely among the best there than the
    recommended one, or is as likely as not among them too; empty if there is none. ``chances``: on that part;
    ``known``: the strategies that ran on all tasks."""
    first = likeliest(chances, strategy)
    if first and first not in known:
        return first
    name = max((name for name in chances if name not in known), key=lambda name: chances[name], default="")
    return name if name and chances[name] >= ALSO_BEST else ""


def probability(p: float) -> str:
    """A probability in percent; none is certain."""
    return ">99%" if p > 0.99 else "<1%" if p < 0.01 else f"{p:.0%}"


def amount(loss: float) -> str:
    """A non-negative difference in regret with three decimals."""
    return "below 0.001" if loss < 0.001 else f"{loss:.3f}"


def _agreement(first: Advice, second: Advice) -> str:
    """Whether two kinds of tasks lead to the same advice, and if not, what the other's is expected to lose."""
    if first.strategy == second.strategy:
        return f"Both recommend {first.strategy}."
    each = " but ".join(
        f"{a.basis.like} favour {a.strategy}{_loss_of(b.strategy, a.basis)}"
        for a, b in ((first, second), (second, first))
    )
    parallel, other = first.basis.n_workers > 1, second.basis.n_workers > 1
    near = "epochs" if parallel == other else "workers"
    return f"The two disagree: {each}. The first are nearer to yours in the number of {near}."


def _loss_of(strategy: str, record: Record) -> str:
    return f" ({strategy}: expected loss {amount(record.losses[strategy])})" if strategy in record.losses else ""


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


def _conditions(recorded: bool, conditional: bool) -> str:
    if recorded == conditional:
        return "The spaces of these tasks have conditional hyperparameters too." if conditional else ""
    theirs, yours = ("have", "has none") if recorded else ("lack", "has some")
    return f"The spaces of these tasks {theirs} conditional hyperparameters; yours {yours}, so the order may differ."
