"""automl/tuning/standing.json: what the leaderboard says about our own strategies, by kind of space and budget."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.opponents import OPPONENTS
from benchmarks.scoring.certainty import MARGIN
from benchmarks.scoring.cohorts import EVERY_SUITE
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section

CLOCK = "trainings"


def standing_json(sections: Iterable[Section]) -> str:
    """The text of the file, with one record per line for readable diffs."""
    lines = ",\n".join(json.dumps(record, allow_nan=False) for record in records(sections))
    return f'{{"margin": {MARGIN:g}, "records": [\n{lines}\n]}}\n'


def records(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """A record per shown budget, kind of space and split, over all suites, with one worker."""
    return [
        _record(section, budget, comparison)
        for section in sections
        if section.field.suite == EVERY_SUITE
        for clock, standing in section.standings.items()
        if clock == CLOCK
        for budget, comparison in standing.comparisons.items()
        if comparison.decided and len(_ours(comparison)) > 1
    ]


def _record(section: Section, budget: float, comparison: Comparison) -> dict[str, Any]:
    field, chances = section.field, comparison.chances
    return {
        "kind": field.name.partition(" ")[0],
        "field": field.name,
        "split": field.split,
        "budget": round(budget),
        "size": field.size,
        "n_tasks": len(field.tasks),
        "n_seeds": field.n_seeds,
        "suites": dict(Counter(suite for suite, _ in field.tasks)),
        "regrets": {str(name): _rounded(mean) for name, mean in comparison.means.items()},
        "chances": {str(name): _rounded(chances.loc[name, "probability"]) for name in comparison.means.index},
        "losses": {str(name): _rounded(chances.loc[name, "loss"]) for name in comparison.means.index},
        "others": [name for name in comparison.means.index if name in OPPONENTS],
    }


def _ours(comparison: Comparison) -> list[str]:
    """Our own strategies, lowest mean first."""
    return [str(name) for name in comparison.means.index if name not in OPPONENTS]


def _rounded(number: float) -> float | None:
    """Rounded to six digits, with None for NaN, which JSON lacks."""
    return float(f"{number:.6g}") if math.isfinite(number) else None
