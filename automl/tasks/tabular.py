"""Rows of numbers to classes: Letter Recognition, 12,751 rows to train on, 26 letters.

The first try to beat is a random forest or gradient boosting: 0.961 of the test rows (automl.baselines.tabular).
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Classification

letter_mlp = Classification(
    name="letter-mlp",
    data="letter",
    model="mlp",
    max_epochs=30,
    space=load_space(
        {
            "lr": {"float": [1e-4, 3e-1], "log": True, "default": 3e-3},
            "optimizer": {"choice": ["adamw", "sgd"], "default": "adamw"},
            "momentum": {"float": [0.5, 0.98], "default": 0.9, "when": {"optimizer": "sgd"}},
            "weight_decay": {"float": [1e-6, 1e-1], "log": True, "default": 1e-2},
            "batch_size": {"ordinal": [64, 128, 256], "default": 128},
            "schedule": {"choice": ["constant", "cosine", "one-cycle"], "default": "one-cycle"},
            "warmup": {"float": [0.0, 0.3], "default": 0.0, "when": {"schedule": ["constant", "cosine"]}},
            "dropout": {"float": [0.0, 0.5], "default": 0.0},
            "label_smoothing": {"float": [0.0, 0.2], "default": 0.0},
            "width": {"ordinal": [32, 64, 128, 256], "default": 256},
            "layers": {"int": [1, 4], "default": 2},
            "norm": {"choice": ["batch", "none"], "default": "none"},
        }
    ),
)
