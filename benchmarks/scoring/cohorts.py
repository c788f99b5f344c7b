"""Fields: sets of strategies that were all run on the same tasks with the same seeds.

Slow strategies are run on fewer tasks, with fewer seeds and a smaller budget. So a suite has up to two fields: the
strategies with the largest coverage, and all strategies on what they share. Each number of workers and the holdout
tasks are separate fields; so are the tasks without learning curves of all suites with one kind of space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from benchmarks.suites import SUITES

REFERENCES = ("random x2", "default")  # references: plotted and listed, never tested
EVERY_SUITE = "every suite"
KINDS = ("numeric", "mixed", "discrete")
DEVELOPMENT = "development"
SPLITS = {"holdout": "held-out", DEVELOPMENT: "development"}  # what they are called; the former first
FEW_TRAININGS = 20  # up to which the runs of a suite of real trainings have its own name
REAL_TRAININGS = ("networks",)  # suites whose runs are scored by retrainings of what they return, so at their end alone
ENOUGH_SEEDS = 5  # seeds per task with which a strategy is compared with those that have more

CLOCK = "trainings"  # of verdicts and recommendations
CLOCKS = {CLOCK: "at_epochs", "seconds": "at_seconds"}  # column with what a run has spent
PAIR = ["suite", "task", "seed"]  # identifies what strategies are compared on
KEY = ["suite", "task", "strategy", "seed", "n_workers"]  # identifies a run

Pair = tuple[str, str, int]  # suite, task, seed


@dataclass(frozen=True)
class Field:
    """Strategies on their common (suite, task, seed), up to a budget that all of them spent."""

    suite: str
    name: str
    n_workers: int
    n_trials: int
    strategies: tuple[str, ...]
    pairs: tuple[Pair, ...]
    normalised: bool  # False: a single task whose best loss is unknown, so that regret is the loss itself
    split: str = DEVELOPMENT
    variants: tuple[tuple[str, str, str], ...] = ()  # suite, task, and the unit of the task
    left_out: tuple[str, ...] = ()
    epochs: tuple[int, int] = (1, 1)  # of a full training: fewest and most

    @property
    def tasks(self) -> list[tuple[str, str]]:
        """The (suite, task) of the field."""
        return sorted({(suite, task) for suite, task, _ in self.pairs})

    @cached_property
    def units(self) -> pd.Series:
        """The unit of each (suite, task)."""
        return pd.Series({(suite, task): unit for suite, task, unit in self.variants})

    @property
    def n_units(self) -> int:
        """The number of units."""
        return len({(suite, unit) for suite, _, unit in self.variants})

    @property
    def size(self) -> str:
        """For example ``14 tasks`` or ``36 tasks of 12 functions``."""
        n = len(self.tasks)
        noun = "function" if {suite for suite, _ in self.tasks} == {"synthetic"} else "unit"
        return counted(n, "task") + (f" of {counted(self.n_units, noun)}" if self.n_units != n else "")

    @property
    def n_seeds(self) -> str:
        """The number of seeds per task, or its range."""
        counts = pd.Series([pair[:2] for pair in self.pairs]).value_counts()
        return f"{counts.max()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"

    @property
    def extent(self) -> str:
        """For example ``14 tasks, 20 seeds``."""
        return f"{self.size}, {self.n_seeds} seed{'s' * (self.n_seeds != '1')}"

    @property
    def title(self) -> str:
        """The heading of the field."""
        return titled(self.suite, self.split, self.n_workers)


def titled(suite: str, split: str, n_workers: int = 1) -> str:
    """The suite's name, with the split and the number of workers if they are not the default."""
    workers = f", {n_workers} workers" if n_workers != 1 else ""
    return f"{suite}{f', {SPLITS[split]}' if split != DEVELOPMENT else ''}{workers}"


def suite_at(suite: str, n_trials: float) -> str:
    """The name under which the runs of a suite with a budget are compared: of real trainings, those with different
    budgets are different comparisons."""
    return f"{suite}, {n_trials:g} trainings" if suite in REAL_TRAININGS and n_trials > FEW_TRAININGS else suite


def plain_suite(name: str) -> str:
    """The suite of a name by ``suite_at``."""
    return name.partition(",")[0]


def counted(n: int, noun: str) -> str:
    """For example ``1 task`` or ``2 tasks``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def fields(runs: pd.DataFrame, known: pd.Index[Any]) -> list[Field]:
    """All fields. ``runs``: a row per run: suite, task, strategy, seed, n_workers, n_trials, max_epochs, kind, unit and
    split.

    ``known``: the (suite, task) with constants. A task without constants is a separate field.
    """
    found: list[Field] = []
    has_constants = pd.MultiIndex.from_frame(runs[["suite", "task"]]).isin(known)
    rated = runs[has_constants]
    for suite in sorted(rated["suite"].unique(), key=_place):
        for _, part in rated[rated["suite"] == suite].groupby(["split", "n_workers"]):
            found += _fields_of(part, str(suite), ("all tasks", "subset"), normalised=True)
    for (suite, task, _, _), part in runs[~has_constants].groupby(["suite", "task", "split", "n_workers"]):
        found += _fields_of(part, str(suite), (str(task), f"{task}, subset"), normalised=False)
    without_curves = rated[(rated["max_epochs"] == 1) & (rated["n_workers"] == 1)]
    for kind in KINDS:
        for _, part in without_curves[without_curves["kind"] == kind].groupby("split"):
            found += _fields_of(part, EVERY_SUITE, (f"{kind} spaces", f"{kind} spaces, subset"), normalised=True)
    return found


def _place(suite: str) -> tuple[int, str]:
    """Where a suite is in the leaderboard."""
    plain = plain_suite(suite)
    return [*SUITES, plain].index(plain), suite


def _fields_of(runs: pd.DataFrame, suite: str, names: tuple[str, str], *, normalised: bool) -> Iterator[Field]:
    n_workers, split = int(runs["n_workers"].iloc[0]), str(runs["split"].iloc[0])
    variants = runs.drop_duplicates(["suite", "task"])[["suite", "task", "unit"]].itertuples(index=False, name=None)
    units = {(suite, task): unit for suite, task, unit in variants}
    epochs = int(runs["max_epochs"].min()), int(runs["max_epochs"].max())
    covered = {
        str(strategy): {
            (row["suite"], row["task"], int(row["seed"])): int(row["n_trials"]) for row in part.to_dict("records")
        }
        for strategy, part in runs.groupby("strategy")
    }

    def field(name: str, strategies: list[str], pairs: frozenset[Pair], n_trials: int, left_out: list[str]) -> Field:
        members, rest = tuple(sorted(strategies)), tuple(sorted(left_out))
        own = tuple((*task, units[task]) for task in sorted({pair[:2] for pair in pairs}))
        shared = tuple(sorted(pairs))
        return Field(suite, name, n_workers, n_trials, members, shared, normalised, split, own, rest, epochs)

    strategies, pairs, n_trials = _widest(covered)
    yield field(names[0], strategies, pairs, n_trials, [])
    if len(strategies) == len(covered):
        return
    # The strategies with the largest coverage come first, so that an incomplete one cannot leave the others with
    # nothing or with too few seeds.
    shared: frozenset[Pair] | None = None
    members: list[str] = []
    left_out: list[str] = []
    for strategy in sorted(covered, key=lambda name: -len(covered[name])):
        own = frozenset(covered[strategy])
        narrowed = own if shared is None else shared & own
        takes_part = bool(narrowed) and (shared is None or not _thins(shared, narrowed))
        (members if takes_part else left_out).append(strategy)
        shared = narrowed if takes_part else shared
    assert shared is not None
    for strategy in [name for name in left_out if shared <= covered[name].keys()]:  # lacked tasks that others lack too
        left_out.remove(strategy)
        members.append(strategy)
    if len(members) > len(strategies):
        smallest = min(covered[strategy][pair] for strategy in members for pair in shared)
        yield field(names[1], members, shared, smallest, left_out)


def _thins(shared: frozenset[Pair], narrowed: frozenset[Pair]) -> bool:
    """Whether a remaining task would no longer have enough seeds."""
    before, after = (Counter(pair[:2] for pair in pairs) for pairs in (shared, narrowed))
    return any(n < ENOUGH_SEEDS <= before[task] for task, n in after.items())


def _widest(covered: dict[str, dict[Pair, int]]) -> tuple[list[str], frozenset[Pair], int]:
    """The largest field by strategies times pairs times budget, counting at most ENOUGH_SEEDS per task.

    The cap favours strategies over seeds, since more seeds only make a mean more precise. Ties are broken by the
    number of strategies, then of seeds. At least two strategies, if there are two.
    """
    offers = {
        (frozenset(pair for pair, n in pairs.items() if n >= n_trials), n_trials)
        for pairs in covered.values()
        for n_trials in set(pairs.values())
    }
    candidates = []
    for pairs, n_trials in offers:
        members = [name for name, own in covered.items() if all(own.get(pair, 0) >= n_trials for pair in pairs)]
        seeds = Counter(pair[:2] for pair in pairs)
        weight = sum(min(n, ENOUGH_SEEDS) for n in seeds.values()) * n_trials
        key = (len(members) > 1, len(members) * weight, len(members), n_trials, len(pairs))
        candidates.append((key, sorted(members), pairs, n_trials))
    _, members, pairs, n_trials = max(candidates, key=lambda candidate: candidate[0])
    return members, pairs, n_trials


def with_references(table: pd.DataFrame) -> pd.DataFrame:
    """The runs plus the references: random search with its spent budget halved, and the default config."""
    random = table[table["strategy"] == "random"]
    twice = random.assign(strategy="random x2", at_epochs=random["at_epochs"] / 2, at_seconds=random["at_seconds"] / 2)
    tried = random[random["is_default"]]
    first = tried.groupby(KEY)["trial"].transform("min")  # later ones are random draws
    default = pd.concat([tried[tried["trial"] == first], random[random["crash"].notna()]]).assign(strategy="default")
    default["returned"] = default["retrained"]
    return pd.concat([table, twice, default], ignore_index=True)
