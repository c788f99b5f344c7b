"""Classification of table rows: Letter Recognition, 12,751 training rows, 26 letters.

The baseline is a random forest or gradient boosting: test accuracy 0.961 (automl.tasks.baselines.tabular).
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Classification
from automl.tasks.training_space import training_space

letter_mlp = Classification(
    name="letter-mlp",
    data="letter",
    model="mlp",
    max_epochs=30,
    space=load_space(
        training_space(
            sgd=True,
            lr={"float": [1e-4, 3e-1], "log": True, "default": 3e-3},
            batch_size={"ordinal": [64, 128, 256], "default": 128},
            label_smoothing={"float": [0.0, 0.2], "default": 0.0},
            width={"ordinal": [32, 64, 128, 256], "default": 256},
            layers={"int": [1, 4], "default": 2},
            norm={"choice": ["batch", "none"], "default": "none"},
        )
    ),
)
