"""What each strategy needs to reach the results of random search and of Optuna, as rows of tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.pages.sentences import listed
from benchmarks.scoring.cohorts import EVERY_SUITE
from benchmarks.scoring.efficiency import failures
from benchmarks.scoring.leaderboard import CLOCKS, Section

SITUATIONS = {  # (suite, field) -> in words
    (EVERY_SUITE, "numeric spaces"): "numbers",
    (EVERY_SUITE, "mixed spaces"): "numbers and choices",
    (EVERY_SUITE, "discrete spaces"): "choices and grids",
    ("yahpo", "all tasks"): "learning curves",
}
TARGETS = {  # (reference, its budget) -> in words
    ("random", 50): "random search after 50",
    ("random", 100): "random search after 100",
    ("raw-optuna", 50): "Optuna's default after 50",
}
SHORT = (("random", 50), ("raw-optuna", 50))  # targets of the short table and of the figures
SHORTLY = (
    "Trainings to be as good as random search after 50 / as Optuna's default after 50: medians, and in parentheses the "
    "share of runs that were never as good as the latter."
)
EXPLANATION = """The target of a task is the mean regret of random search after 50 or 100 trainings, or of Optuna's
default sampler after 50. A run needs the number of trainings after which its incumbent is first as good. **Median**:
over the runs of a unit, then over units, with its exact 80% interval in parentheses (of order statistics: at least 80%
whatever the distribution; none below 5 units). **never**: the share of runs that did not reach the target within their
budget. They count as slower than all others, so a median is the same whatever they would have needed; where half or
more of them are such, it is only known to be over the budget. In *time*, the unit is the mean time of a training of the
task, and the strategy's own thinking counts. Epochs are charged in proportion, so strategies that stop trainings early
need fewer.
"""


@dataclass(frozen=True)
class Efficiency:
    """The numbers of one situation. ``table``: see ``scoring.efficiency.medians``, indexed by target and clock."""

    situation: str
    section: Section
    table: pd.DataFrame

    @property
    def title(self) -> str:
        """The situation and the split."""
        return f"{self.situation}, {'held out' if self.section.field.split == 'holdout' else 'development'}"

    def of(self, target: tuple[str, int], clock: str = "trainings") -> pd.DataFrame:
        """The rows of a target by strategy, the fastest first; empty if the reference was not run that long."""
        rows = self.table[
            (self.table["reference"] == target[0]) & (self.table["after"] == target[1]) & (self.table["clock"] == clock)
        ]
        order = ["median", "reached"]
        return rows.sort_values(order, ascending=[True, False], kind="stable").set_index("strategy")

    @property
    def limit(self) -> int:
        """The budget in trainings, beyond which nothing is known."""
        return self.section.field.n_trials

    @property
    def targets(self) -> list[tuple[str, int]]:
        """The known targets."""
        return [target for target in TARGETS if not self.of(target).empty]

    @property
    def strategies(self) -> list[str]:
        """The fastest to the last known target first."""
        return [str(name) for name in self.of(self.targets[-1]).index]


def efficiencies(sections: Iterable[Section]) -> list[Efficiency]:
    """The known situations, each on held-out tasks first."""
    known = sorted(sections, key=lambda section: section.field.split != "holdout")
    return [
        Efficiency(words, section, section.needs)
        for (suite, name), words in SITUATIONS.items()
        for section in known
        if (section.field.suite, section.field.name, section.field.n_workers) == (suite, name, 1)
        and not section.needed.empty
    ]


def first_of_each(found: Sequence[Efficiency]) -> list[Efficiency]:
    """One per situation: on held-out tasks if there are runs."""
    return list({each.situation: each for each in reversed(found)}.values())[::-1]


def short_table(found: Sequence[Efficiency]) -> tuple[list[str], list[list[str]]]:
    """A row per strategy: medians to both targets of SHORT, and the share of runs that never reached the second."""
    shown = [each for each in first_of_each(found) if set(SHORT) <= set(each.targets)]
    places: dict[str, list[float]] = {}
    for each in shown:
        for place, name in enumerate(each.strategies):
            places.setdefault(name, []).append(place / len(each.strategies))
    rows = [
        [f"`{name}`", *(_short(each, name) for each in shown)]
        for name in sorted(places, key=lambda name: float(np.mean(places[name])))
    ]
    return ["strategy", *(each.title for each in shown)], rows


def notes(each: Efficiency) -> list[str]:
    """The tasks on which the best strategy fails, by target, and what an epoch is."""
    lines = []
    for target in each.targets:
        best = str(each.of(target).index[0])
        own = each.section.needed
        own = own[(own["reference"] == target[0]) & (own["after"] == target[1]) & (own["clock"] == "trainings")]
        shares = failures(own, best)
        names = [f"{suite}/{task}" for suite, task in shares.index.to_flat_index()]
        tasks = [f"{task} ({share:.0%})" for task, share in zip(names, shares, strict=True)]
        where = f"in fewer than half of its runs on {listed(tasks)}" if tasks else "in most runs on every task"
        lines.append(f"To {TARGETS[target]}, {best} is the fastest; it gets there {where}.")
    epochs = each.section.needed["max_epochs"].unique()
    if len(epochs) == 1 and epochs[0] > 1:
        target = each.targets[-1]
        rows = each.of(target)["median"].head(3)
        counts = [f"{name} {_number(value * epochs[0], each.limit * epochs[0])}" for name, value in rows.items()]
        lines.append(f"A training has {epochs[0]} epochs. Epochs to {TARGETS[target]}: {', '.join(counts)}.")
    return lines


def full_table(each: Efficiency) -> tuple[list[str], list[list[str]]]:
    """A row per strategy: medians to all targets with intervals and the share of runs that never reached them."""
    header = ["strategy"]
    for clock in CLOCKS:
        header += [f"{TARGETS[target]}{', time' * (clock == 'seconds')}" for target in each.targets]
    rows = [
        [f"`{name}`", *(_full(each, target, clock, name) for clock in CLOCKS for target in each.targets)]
        for name in each.strategies
    ]
    return header, rows


def _full(each: Efficiency, target: tuple[str, int], clock: str, name: str) -> str:
    rows = each.of(target, clock)
    median, low, high = (float(rows[column].to_dict()[name]) for column in ("median", "low80", "high80"))
    text = _number(median, each.limit)
    if not np.isnan(low):
        text += f" ({_number(low, each.limit)} to {_number(high, each.limit)})"
    never = _never(each, target, clock, name)
    return f"{text}; {never:.0%} never" if never else text


def _short(each: Efficiency, name: str) -> str:
    if name not in each.strategies:
        return ""
    values = [_number(each.of(target)["median"].to_dict()[name], each.limit) for target in SHORT]
    never = _never(each, SHORT[-1], "trainings", name)
    return f"{' / '.join(values)} ({never:.0%})" if never else " / ".join(values)


def _never(each: Efficiency, target: tuple[str, int], clock: str, name: str) -> float:
    return round(1 - float(each.of(target, clock)["reached"].to_dict()[name]), 2)


def _number(value: float, limit: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else f"over {limit:g}"
