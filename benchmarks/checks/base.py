"""A number of the leaderboard, and what it is by the rows."""

from __future__ import annotations

from typing import Any

import numpy as np

TOLERANCE = 2e-5  # relative: the tables have six digits
OF_WIDTH = 0.05  # tolerance of a drawn end of an interval and of an expected loss, as a share of the widest interval
OF_CHANCE = 0.03  # tolerance of a probability
COUNTED = REGRETS, ENDS, CHANCES, PAIRS, NEEDS, RECORDS, PRINTED = (
    "regrets", "ends of intervals", "probabilities and losses", "facts of verdicts", "needed budgets",
    "numbers behind automl select", "numbers of the first page",
)  # fmt: skip

Value = float | str
Check = tuple[str, str, Value, Value, float]  # of COUNTED, name, value by the rows, value printed, tolerance
Place = tuple[Any, ...]  # suite, split, field and number of workers


def is_same(by_rows: Value, printed: Value, tolerance: float) -> bool:
    if isinstance(by_rows, str) or isinstance(printed, str):
        return by_rows == printed
    return bool(np.isclose(by_rows, printed, rtol=TOLERANCE, atol=tolerance, equal_nan=True))


def text_of(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
