"""automl/tuning/standing.json: the leaderboard's verdicts on our own strategies, by kind of space and budget.

The verdicts are those of the leaderboard, with its corrections for all pairs; the raw libraries take part in the tests
but are never recommended.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from benchmarks.opponents import OPPONENTS
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE
from benchmarks.scoring.comparison import MARGIN, NOTHING, OPEN, SAME, UNDECIDED, WINNER, Comparison
from benchmarks.scoring.leaderboard import Section, Standing
from benchmarks.scoring.statistics import like_these

CLOCK = "trainings"


def standing_json(sections: Iterable[Section]) -> str:
    """The text of the file, with one record per line for readable diffs."""
    lines = ",\n".join(json.dumps(record, allow_nan=False) for record in records(sections))
    return f'{{"margin": {MARGIN:g}, "records": [\n{lines}\n]}}\n'


def records(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """A record per shown budget and kind of space, over all suites; development tasks, one worker."""
    return [
        _record(section, standing, budget)
        for section in sections
        if section.field.suite == EVERY_SUITE and section.field.split == DEVELOPMENT
        for clock, standing in section.standings.items()
        if clock == CLOCK
        for budget, comparison in standing.comparisons.items()
        if comparison.verdict != NOTHING and len(_ours(comparison)) > 1
    ]


def _record(section: Section, standing: Standing, budget: float) -> dict[str, Any]:
    field, comparison = section.field, standing.comparisons[budget]
    verdict, leaders = among_ours(comparison)
    first, second = _ours(comparison)[:2]
    return {
        "kind": field.name.partition(" ")[0],
        "field": field.name,
        "budget": round(budget),
        "size": field.size,
        "n_tasks": len(field.tasks),
        "n_seeds": field.n_seeds,
        "suites": dict(Counter(suite for suite, _ in field.tasks)),
        "tested": comparison.tested,
        "verdict": verdict,
        "reason": comparison.reason,
        "leaders": list(leaders),
        "lead": _lead(standing, budget, first, second, field.units),
        "regrets": {str(name): _rounded(mean) for name, mean in comparison.means.items()},
        "others": [name for name in comparison.means.index if name in OPPONENTS],
    }


def _ours(comparison: Comparison) -> list[str]:
    """Our own strategies, lowest mean first."""
    return [str(name) for name in comparison.means.index if name not in OPPONENTS]


def among_ours(comparison: Comparison) -> tuple[str, tuple[str, ...]]:
    """The verdict on our strategies only, and those not shown to be worse than the first."""
    ours = _ours(comparison)
    if not comparison.tested:
        return UNDECIDED, tuple(ours)
    pairs = comparison.pairs[(comparison.pairs["a"] == ours[0]) & comparison.pairs["b"].isin(ours)]
    rivals = pairs.loc[~pairs["verdict"].str.endswith("is better"), "b"]
    leaders = (ours[0], *map(str, rivals))
    return SAME if comparison.verdict == SAME else WINNER if len(leaders) == 1 else OPEN, leaders


def _lead(standing: Standing, budget: float, first: str, second: str, units: pd.Series) -> dict[str, float | None]:
    """The difference between the second and the first mean regret, with its interval over units and seeds."""
    means, wide = standing.comparisons[budget].means, standing.regrets[budget].unstack("strategy")
    (low,), (high,) = like_these(pd.DataFrame({"lead": wide[second] - wide[first]}), units)
    return {"mean": _rounded(means[second] - means[first]), "low": _rounded(low), "high": _rounded(high)}


def _rounded(number: float) -> float | None:
    """Rounded to six digits, with None for NaN, which JSON lacks."""
    return float(f"{number:.6g}") if math.isfinite(number) else None
