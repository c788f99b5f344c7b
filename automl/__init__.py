"""Automatic tuning of models: the public API. Nothing heavy is imported until it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.objectives import as_task
    from automl.predictor import load
    from automl.result import Result
    from automl.space import load_space
    from automl.tasks.base import Epoch, Task, TrainingFailed
    from automl.tuning import tune

__all__ = ["Epoch", "Result", "Task", "TrainingFailed", "as_task", "load", "load_space", "tune"]

_HOMES = {
    "Epoch": "automl.tasks.base",
    "Result": "automl.result",
    "Task": "automl.tasks.base",
    "TrainingFailed": "automl.tasks.base",
    "load": "automl.predictor",
    "as_task": "automl.objectives",
    "load_space": "automl.space",
    "tune": "automl.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'automl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
