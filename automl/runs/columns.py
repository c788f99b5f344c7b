"""Column importance at the end of a run, if the time limit leaves time for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.study.run_folder import RunFolder

if TYPE_CHECKING:
    from automl.analysis.columns import ColumnImportances

REPORT_SECONDS = 1.0  # to write the report afterwards
LOADS = 2.0  # time to load the model, as a multiple of the time to write it


def columns_in_time(folder: RunFolder, card: Mapping[str, Any] | None, left: float) -> ColumnImportances | None:
    """Compute and save column importances of the model that the run has just written, within ``left`` seconds.

    None if there is too little time (``automl explain`` computes them later), or if the model reads no columns.
    ``card``: the model's.
    """
    from automl.analysis.columns import reads_columns

    if card is None or not reads_columns(card):
        return None
    from automl.deployment.column_importance import column_importances, keep_columns, kept_columns

    known = kept_columns(folder.columns, folder.model)
    end = time.monotonic() + left - REPORT_SECONDS
    if known is not None or left < REPORT_SECONDS + LOADS * card.get("seconds_to_write", 0.0):
        return known
    from automl.deployment.predictor import load_predictor

    model = load_predictor(folder.model)
    found = column_importances(model, folder.data, card["metric"], end - time.monotonic())
    if found is not None:
        keep_columns(folder.columns, folder.model, found)
    return found
