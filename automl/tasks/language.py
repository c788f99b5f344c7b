"""The next character of the King James Bible: 3.7 million training, 209,000 validation, 201,000 test characters.

The baseline is a 5-gram model of the whole training text: 1.675 bits per character (automl.tasks.baselines.language).
By default an epoch is 250,000 characters, so that a training takes minutes on one core; it then has seen less than the
text once, and is worse than the 5-grams. For a GPU there are `--epochs` and the larger widths and contexts of the
space.
"""

from automl.space.parse import load_space
from automl.tasks.language_modelling import LanguageModelling

kjv_transformer = LanguageModelling(
    name="kjv-transformer",
    data="kjv",
    model="transformer",
    metric="bits_per_character",
    max_epochs=10,
    space=load_space(
        {
            "lr": {"float": [3e-4, 3e-2], "log": True, "default": 3e-3},
            "optimizer": {"constant": "adamw"},
            "weight_decay": {"float": [1e-6, 1.0], "log": True, "default": 1e-2},
            "batch_size": {"ordinal": [8, 16, 32, 64], "default": 16},
            "schedule": {"choice": ["constant", "cosine", "one-cycle"], "default": "one-cycle"},
            "warmup": {"float": [0.0, 0.3], "default": 0.0, "when": {"schedule": ["constant", "cosine"]}},
            "clip_norm": {"float": [0.1, 10.0], "log": True, "default": 1.0},
            "dropout": {"float": [0.0, 0.3], "default": 0.0},
            "context": {"ordinal": [32, 64, 128], "default": 64},
            "width": {"ordinal": [64, 96, 128], "default": 96},
            "layers": {"int": [1, 4], "default": 3},
            "heads": {"ordinal": [2, 4, 8], "default": 4},
        }
    ),
)
