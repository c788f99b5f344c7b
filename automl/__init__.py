"""Automatic tuning of models: the public API. Heavy modules are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.api import tune
    from automl.deployment.several_targets import load
    from automl.estimators import AutoMLClassifier, AutoMLRegressor
    from automl.runs.machines import Machines
    from automl.space.parse import load_space
    from automl.task import Epoch, Task, TrainingFailed
    from automl.tasks.function import as_task
    from automl.tuning.result import Result

__all__ = [
    "AutoMLClassifier",
    "AutoMLRegressor",
    "Epoch",
    "Machines",
    "Result",
    "Task",
    "TrainingFailed",
    "as_task",
    "load",
    "load_space",
    "tune",
]

_HOMES = {
    "AutoMLClassifier": "automl.estimators",
    "AutoMLRegressor": "automl.estimators",
    "Epoch": "automl.task",
    "Machines": "automl.runs.machines",
    "Result": "automl.tuning.result",
    "Task": "automl.task",
    "TrainingFailed": "automl.task",
    "load": "automl.deployment.several_targets",
    "as_task": "automl.tasks.function",
    "load_space": "automl.space.parse",
    "tune": "automl.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'automl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
