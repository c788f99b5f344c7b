"""The training hyperparameters of networks, shared by built-in tasks and the user's data."""

from __future__ import annotations

from typing import Any

SCHEDULES = ("constant", "cosine", "one-cycle")


def training_space(*, sgd: bool = False, schedule: str = "one-cycle", **changes: Any) -> dict[str, Any]:
    """Learning rate, optimizer, weight decay, batch size, schedule, warmup and dropout, in the short form.

    ``sgd``: include SGD with momentum in addition to AdamW. ``schedule``: the default. ``changes``: other ranges for
    these, and the task's own hyperparameters.
    """
    decay = {"weight_decay": {"float": [1e-6, 1e-1], "log": True, "default": 1e-2}}
    choice = {
        "optimizer": {"choice": ["adamw", "sgd"], "default": "adamw"},
        "momentum": {"float": [0.5, 0.98], "default": 0.9, "when": {"optimizer": "sgd"}},
    }
    # The order affects a seed's search: initial designs are drawn hyperparameter by hyperparameter.
    common = {
        "lr": {"float": [1e-4, 3e-2], "log": True, "default": 3e-3},
        **(choice | decay if sgd else decay | {"optimizer": {"constant": "adamw"}}),
        "batch_size": {"ordinal": [32, 64, 128], "default": 64},
        "schedule": {"choice": list(SCHEDULES), "default": schedule},
        "warmup": {"float": [0.0, 0.3], "default": 0.0, "when": {"schedule": ["constant", "cosine"]}},
        "dropout": {"float": [0.0, 0.5], "default": 0.0},
    }
    return common | changes
