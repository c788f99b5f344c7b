"""automl/tuning/standing.json: what the leaderboard says about our own strategies, by sort of tasks and budget."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from automl.tuning.recommend import CURVES, TRAININGS
from benchmarks.opponents import OPPONENTS
from benchmarks.scoring.certainty import MARGIN
from benchmarks.scoring.cohorts import CLOCK, EVERY_SUITE, Field, plain_suite
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section
from benchmarks.suites import CONDITIONAL, NUMERIC_WITHOUT_INTEGERS

WITH_CURVES = {"yahpo": CURVES, "networks": TRAININGS}  # suites of networks with learning curves


def standing_json(sections: Iterable[Section]) -> str:
    """The text of the file, with one record per line for readable diffs."""
    lines = ",\n".join(json.dumps(record, allow_nan=False) for record in records(sections))
    return f'{{"margin": {MARGIN:g}, "records": [\n{lines}\n]}}\n'


def records(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """A record per shown budget and split, also of a subset: for each kind of space over all suites, with one worker;
    and for surrogate learning curves and real trainings, for each number of workers."""
    return [
        _record(section, budget, comparison)
        for section in sections
        if kind_of(section.field)
        for clock, standing in section.standings.items()
        if clock == CLOCK
        for budget, comparison in standing.comparisons.items()
        if comparison.decided and len(_ours(comparison)) > 1
    ]


def _record(section: Section, budget: float, comparison: Comparison) -> dict[str, Any]:
    field, chances = section.field, comparison.chances
    suites = [plain_suite(suite) for suite, _ in field.tasks]
    return {
        "kind": kind_of(field),
        "field": field.name,
        "split": field.split,
        "budget": round(budget),
        "size": field.size,
        "n_tasks": len(field.tasks),
        "n_seeds": field.n_seeds,
        "suites": dict(Counter(suites)),
        "regrets": {str(name): _rounded(mean) for name, mean in comparison.means.items()},
        "chances": {str(name): _rounded(chances.loc[name, "probability"]) for name in comparison.means.index},
        "losses": {str(name): _rounded(chances.loc[name, "loss"]) for name in comparison.means.index},
        "others": [name for name in comparison.means.index if name in OPPONENTS],
        "n_workers": field.n_workers,
        "epochs": list(field.epochs),
        "conditional": all(suite in CONDITIONAL for suite in suites),
        "integers": kind_of(field) != "numeric" or any(s not in NUMERIC_WITHOUT_INTEGERS for s in suites),
    }


def kind_of(field: Field) -> str:
    """The kind of space of a field over all suites; that of a suite in WITH_CURVES; else empty."""
    if field.suite == EVERY_SUITE:
        return field.name.partition(" ")[0]
    return WITH_CURVES.get(plain_suite(field.suite), "") if field.normalised else ""


def _ours(comparison: Comparison) -> list[str]:
    """Our own strategies, lowest mean first."""
    return [str(name) for name in comparison.means.index if name not in OPPONENTS]


def _rounded(number: float) -> float | None:
    """Rounded to six digits, with None for NaN, which JSON lacks."""
    return float(f"{number:.6g}") if math.isfinite(number) else None
