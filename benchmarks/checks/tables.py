"""What the tables of the leaderboard and the data behind ``automl select`` say, against the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.checks import recomputed
from benchmarks.checks.base import CHANCES, ENDS, NEEDS, OF_CHANCE, OF_WIDTH, PAIRS, RECORDS, REGRETS, Check


@dataclass(frozen=True)
class FieldResults:
    """What the rows say of a field at a budget: regrets of units x strategies; of the strategies without NaN, the ends
    of their intervals, draws of their distances from the lowest mean and, by name, P(best) and expected loss."""

    table: pd.DataFrame
    ends: Mapping[str, pd.Series]
    above: pd.DataFrame
    chances: Mapping[str, tuple[float, float]]

    @cached_property
    def known(self) -> pd.DataFrame:
        """The regrets of the strategies without NaN."""
        return self.table.dropna(axis=1)


def found_in(part: pd.DataFrame, means: recomputed.Means) -> Iterator[tuple[float, FieldResults]]:
    """By budget. Without probabilities in the table there are none here."""
    for budget in sorted(part["budget"].unique()):
        rows = part[part["budget"] == budget]
        table = pd.DataFrame({name: means[name, budget] for name in rows["strategy"]})
        known = table.dropna(axis=1)
        above = recomputed.distances(known) if rows["probability"].notna().any() else pd.DataFrame()
        yield budget, FieldResults(table, recomputed.intervals(known), above, recomputed.chances(above))


def of_board(part: pd.DataFrame, found: Mapping[float, FieldResults]) -> Iterator[Check]:
    for budget, own in found.items():
        rows = part[part["budget"] == budget]
        near = _near(rows)
        for row in rows.to_dict("records"):
            name = row["strategy"]
            label = f"{name} after {budget:g}"
            yield REGRETS, label, float(own.table[name].mean(skipna=False)), row["regret"], 1e-9
            if name not in own.known:
                continue
            exact = len(own.known) < recomputed.FEW
            for end, values in own.ends.items():
                yield ENDS, f"{label}, {end}", values[name], row[end], 1e-9 if exact else near
            if name in own.chances:
                probability, loss = own.chances[name]
                yield CHANCES, f"{label}, probability", probability, row["probability"], OF_CHANCE
                yield CHANCES, f"{label}, loss", loss, row["loss"], near


def _near(rows: pd.DataFrame) -> float:
    """The tolerance of drawn numbers at a budget."""
    return 1e-6 + OF_WIDTH * float(np.nan_to_num((rows["high95"] - rows["low95"]).max()))


def of_pairs(part: pd.DataFrame, tests: pd.DataFrame, found: Mapping[float, FieldResults]) -> Iterator[Check]:
    """The probabilities of each pair by the rows; the words and the verdict by the numbers in the tables."""
    for budget, own in found.items():
        pairs = tests[(tests["budget"] == budget) & tests["a"].isin(own.above.columns)]
        if own.above.empty:
            continue
        label = f"after {budget:g}"
        means = own.known.mean()
        rivals = means.index.drop(pairs["a"].head(1))
        yield PAIRS, f"strategies {label}", " ".join(sorted(rivals)), " ".join(sorted(pairs["b"])), 0.0
        for row in pairs.to_dict("records"):
            a, b = row["a"], row["b"]
            pair = f"{b} against {a} {label}"
            if b not in means:
                continue
            yield PAIRS, f"{pair}, difference", means[a] - means[b], row["difference"], 1e-9
            for name, value in recomputed.signed_ranks(own.known[a].to_numpy(), own.known[b].to_numpy()).items():
                yield PAIRS, f"{pair}, {name}", value, row[name], OF_CHANCE
            yield PAIRS, f"{pair}, word", recomputed.word(row["worse"], row["equal"]), row["word"], 0.0
        for row in pairs.head(1).to_dict("records"):
            yield PAIRS, f"lowest mean {label}", means.min(), means[row["a"]], 1e-9
            words = dict(zip(pairs["b"], pairs["word"], strict=True))
            rows = part[part["budget"] == budget]
            likely = dict(zip(rows["strategy"], rows["probability"], strict=True))
            verdict, leaders = recomputed.verdict(words, likely, row["a"], row["probability"])
            yield PAIRS, f"verdict {label}", verdict, row["verdict"], 0.0
            yield PAIRS, f"leaders {label}", " ".join(leaders), row["leaders"], 0.0
            chance = float((own.above[leaders].min(axis=1) <= recomputed.MARGIN).mean())
            yield PAIRS, f"probability {label}", chance, row["probability"], OF_CHANCE


def of_records(records: list[Mapping[str, Any]], found: Mapping[float, FieldResults]) -> Iterator[Check]:
    for record in records:
        label = f"automl select after {record['budget']}"
        own = found.get(record["budget"])
        if own is None:
            yield RECORDS, label, "", "not in the leaderboard", 0.0
            continue
        means = own.known.mean()
        yield RECORDS, f"{label}, strategies", " ".join(sorted(means.index)), " ".join(sorted(record["regrets"])), 0.0
        width = float((own.ends["high95"] - own.ends["low95"]).max())
        for name in means.index.intersection([*record["regrets"]]):
            chance, loss = own.chances[name]
            yield RECORDS, f"{label}, regret of {name}", means[name], record["regrets"][name], 1e-9
            yield RECORDS, f"{label}, chance of {name}", chance, record["chances"][name], OF_CHANCE
            yield RECORDS, f"{label}, loss of {name}", loss, record["losses"][name], 1e-6 + OF_WIDTH * width


def of_efficiency(part: pd.DataFrame, runs: pd.DataFrame, most: float) -> Iterator[Check]:
    longest = runs[runs["n_trials"] == runs["most"]]
    limits = {"trainings": most, "seconds": most / part["n_workers"].iloc[0]}
    by_clock = {clock: recomputed.task_runs(longest, most, timed=clock == "seconds") for clock in limits}
    for row in part.to_dict("records"):
        clock, target = row["clock"], (row["reference"], row["after"])
        found = recomputed.needs(by_clock["trainings"], by_clock[clock], row["strategy"], *target, limits[clock])
        for what, value in found.items():
            label = f"{row['strategy']} to {row['reference']} after {row['after']:g}, {clock}, {what}"
            yield NEEDS, label, value, row[what], 1e-9
