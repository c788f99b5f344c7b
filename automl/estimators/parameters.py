"""Checks of the estimators' parameters, and the command's messages in terms of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import UserError, whole
from strategies.errors import did_you_mean

IN_PYTHON = (  # phrases of the command's messages, and what they are here
    ("leave --group or --time out", "leave groups out"),
    ("give --kind regression", "use AutoMLRegressor"),
    ("another --target", "another y"),
    ("choose another, or continue it with tune(..., resume=True)", "choose another"),
    ("--max-latency", "max_latency"),
    ("--metric", "metric"),
    ("the file needs informative columns besides the target", "X needs informative columns"),
)


def in_python(message: str) -> str:
    """A message of the command with parameters of the estimators in place of options."""
    for phrase, here in IN_PYTHON:
        message = message.replace(phrase, here)
    return message


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise UserError for parameters that ``Settings`` would not know by these names, or take for something else."""
    for name in ("max_members", "n_trials"):
        if parameters[name] is not None:
            whole(name, parameters[name], 1)
    seed, folder = parameters["random_state"], parameters["folder"]
    if seed is not None and not isinstance(seed, np.random.RandomState):
        whole("random_state", seed, 0)
    if parameters["n_jobs"] is not None and whole("n_jobs", parameters["n_jobs"], -(2**31)) == 0:
        raise UserError("n_jobs must not be 0; None or -1 uses one worker process per core")
    if folder is not None and not isinstance(folder, (str, Path)):
        raise UserError(f"folder must be the path of a folder, got {folder!r}")
    _check_models(parameters["models"])
    _check_levels(parameters.get("quantiles"))


def _check_models(models: Any) -> None:
    from automl.tasks.families import FAMILIES

    known = FAMILIES["table"]
    names = [models] if isinstance(models, str) else models
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"models must be 'auto' or a list of families, such as ['lightgbm', 'linear'], got {models!r}")
    for name in (part.strip() for each in names for part in each.split(",")):
        if name not in known and models != "auto":
            hint = did_you_mean(name, known)
            raise UserError(f"unknown model {name!r}; {hint}choose 'auto' or some of: {', '.join(known)}")


def _check_levels(levels: Any) -> None:
    if levels is None:
        return
    values = list(levels) if isinstance(levels, (Sequence, np.ndarray)) and not isinstance(levels, str) else []
    if not values or not all(isinstance(level, Real) and 0 < float(level) < 1 for level in values):
        raise UserError(f"quantiles must be numbers between 0 and 1, such as (0.1, 0.5, 0.9), got {levels!r}")
    if len(set(values)) < len(values):
        raise UserError(f"quantiles must differ, got {levels!r}")
