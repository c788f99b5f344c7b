"""What each strategy needs to reach the results of random search and of Optuna, as rows of tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from automl.tuning.recommend import DEFAULT
from benchmarks.pages.sentences import listed
from benchmarks.pages.situations import SITUATIONS
from benchmarks.scoring.cohorts import CLOCKS, REAL_TRAININGS, SPLITS
from benchmarks.scoring.efficiency import LEVELS, TARGETS, failures
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.standings import BASELINE

AT_EVERY_BUDGET = {  # (suite, field) -> the situation in words, if runs are scored at every budget, with one worker
    (suite, name): words
    for (suite, name, n_workers), words in SITUATIONS.items()
    if n_workers == 1 and suite not in REAL_TRAININGS
}
REFERENCES = {"random": "random search", "raw-optuna": "Optuna's default"}
IN_WORDS = {(name, after): f"{REFERENCES[name]} after {after}" for name, after in TARGETS}
SHORT = (("random", 50), ("raw-optuna", 50))  # targets of the short table and of the figures
SHORTLY = (
    "Median trainings to match random search / Optuna's default sampler after 50, in the longest runs (share of runs "
    "that never matched the latter, if any)."
)
EXPLANATION = """The target of a task is the mean regret of random search after 50 or 100 trainings, or of Optuna's
default sampler after 50. A run needs the number of trainings after which its incumbent is first as good: a single one
where the default config is, since the reference may find nothing better, or by noisy losses choose something worse.
**Median**: over the runs of a unit, then over units, with its exact 80% and 95% intervals in parentheses (of order
statistics: at least that coverage whatever the distribution; none below 5 units). **never**: the share of runs that
did not reach the target within their budget (mean over units). They count as slower than all others, so a median is
the same whatever they would have needed; where half or more of them are such, it is only known to be over the budget.
In *time*, the unit is the mean time of a training of the task, and the strategy's own thinking counts. Neither is
rounded: a training stopped halfway is half a training, so strategies that stop trainings early need fewer.
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
        return f"{self.situation}, {SPLITS[self.section.field.split]}"

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
        for (suite, name), words in AT_EVERY_BUDGET.items()
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
        for name in sorted(places, key=lambda name: (2 * len(places[name]) < len(shown), float(np.mean(places[name]))))
    ]
    return ["strategy", *(each.title for each in shown)], rows


def notes(each: Efficiency) -> list[str]:
    """By target, the tasks on which the fastest strategy and ours fail and those that need no search; and what an epoch
    is."""
    lines = []
    for target in each.targets:
        best = str(each.of(target).index[0])
        own = each.section.needed
        own = own[(own["reference"] == target[0]) & (own["after"] == target[1]) & (own["clock"] == "trainings")]
        also = f" {DEFAULT} gets there {_how_often(own, DEFAULT)}." if DEFAULT in set(each.strategies) - {best} else ""
        enough = _default_is_enough(own)
        also += f" The default config is as good on {listed(enough)}." if enough else ""
        lines.append(f"To {IN_WORDS[target]}, {best} is the fastest; it gets there {_how_often(own, best)}.{also}")
    epochs = each.section.needed["max_epochs"].unique()
    if len(epochs) == 1 and epochs[0] > 1:
        target = each.targets[-1]
        rows = each.of(target)["median"].head(3)
        counts = [f"{name} {_number(value * epochs[0], each.limit * epochs[0])}" for name, value in rows.items()]
        lines.append(f"A training has {epochs[0]} epochs. Epochs to {IN_WORDS[target]}: {', '.join(counts)}.")
    return lines


def _how_often(own: pd.DataFrame, strategy: str) -> str:
    """For example ``in at most half of its runs on a/b (40%)``. ``own``: what runs need for one target."""
    shares = failures(own, strategy)
    tasks = [f"{task} ({share:.0%})" for task, share in zip(_names(shares), shares, strict=True)]
    return f"in at most half of its runs on {listed(tasks)}" if tasks else "in most runs on every task"


def _default_is_enough(own: pd.DataFrame) -> list[str]:
    """The tasks on which every run of random search reaches the target with its first training, the default."""
    runs = own[own["strategy"] == BASELINE]
    last = runs.groupby(["suite", "task"])["needed"].max()
    return _names(last[last <= 1])


def _names(by_task: pd.Series) -> list[str]:
    return [f"{suite}/{task}" for suite, task in by_task.index.to_flat_index()]


def full_table(each: Efficiency) -> tuple[list[str], list[list[str]]]:
    """A row per strategy: medians to all targets with 80% and 95% intervals, and the share of runs that never reached
    them."""
    header = ["strategy"]
    for clock in CLOCKS:
        header += [f"{IN_WORDS[target]}{', time' * (clock == 'seconds')}" for target in each.targets]
    rows = [
        [f"`{name}`", *(_full(each, target, clock, name) for clock in CLOCKS for target in each.targets)]
        for name in each.strategies
    ]
    return header, rows


def _full(each: Efficiency, target: tuple[str, int], clock: str, name: str) -> str:
    columns = ["median", *(f"{end}{level}" for level in LEVELS for end in ("low", "high"))]
    row = {column: float(each.of(target, clock)[column].to_dict()[name]) for column in columns}
    text = _number(row["median"], each.limit)
    if not np.isnan(row["low80"]):
        ends = [[_number(row[f"{end}{level}"], each.limit) for end in ("low", "high")] for level in LEVELS]
        text += f" ({', '.join(' to '.join(pair) for pair in ends)})"
    never = _never(each, target, clock, name)
    return f"{text}; {never:.0%} never" if never else text


def _short(each: Efficiency, name: str) -> str:
    if name not in each.strategies:
        return ""
    values = [_number(each.of(target)["median"].to_dict()[name], each.limit).replace("over ", ">") for target in SHORT]
    never = _never(each, SHORT[-1], "trainings", name)
    return f"{' / '.join(values)} ({never:.0%})" if never else " / ".join(values)


def _never(each: Efficiency, target: tuple[str, int], clock: str, name: str) -> float:
    return round(1 - float(each.of(target, clock)["reached"].to_dict()[name]), 2)


def _number(value: float, limit: float) -> str:
    if not np.isfinite(value):
        return f"over {limit:g}"
    return f"{value:.3g}" if value < 1_000 else f"{value:.0f}"
