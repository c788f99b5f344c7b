"""The loss that boosted trees minimise, and the target of a linear model, as hyperparameters."""

from __future__ import annotations

from typing import Any

from automl.models.learners import long_tail

ABSOLUTE = "absolute"  # minimised by the median


def space(family: str, *, long_tailed: bool, metric: str) -> dict[str, Any]:
    """Hyperparameters in the short form; the default fits the metric. Empty if there is nothing to choose.

    ``long_tailed``: whether ``long_tail.is_long_tailed`` of the target.
    """
    if family == "linear":
        return long_tail.TARGET if long_tailed else {}
    found = [ABSOLUTE] * (metric == "mae") + [*(long_tail.LOSS if long_tailed else long_tail.LOSS[:1])]
    if family not in ("lightgbm", "catboost") or len(found) == 1:
        return {}
    return {"loss": {"choice": found, "default": found[0]}}
