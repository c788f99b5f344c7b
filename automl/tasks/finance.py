"""The next day's log range of the S&P 500 from the 66 days before it; 3,455 training, 503 validation, 1,007 test days.

The baseline is the HAR model: R2 0.461 on the test days (automl.tasks.baselines.finance). A few averages of past ranges
explain nearly all that is predictable; a good network finds these and does not overfit.
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Regression
from automl.tasks.training_space import training_space

TRAINING = training_space(
    lr={"float": [1e-4, 3e-2], "log": True, "default": 1e-3},
    weight_decay={"float": [1e-6, 1.0], "log": True, "default": 1e-1},
    dropout={"float": [0.0, 0.5], "default": 0.1},
    clip_norm={"float": [0.1, 10.0], "log": True, "default": 1.0},
)

# Reads the days in order and predicts from the last state.
sp500_rnn = Regression(
    name="sp500-rnn",
    data="sp500",
    model="rnn",
    max_epochs=15,
    metric="r2",
    space=load_space(
        TRAINING
        | {
            "cell": {"choice": ["gru", "lstm"], "default": "gru"},
            "width": {"ordinal": [8, 16, 32, 64], "default": 16},
            "layers": {"int": [1, 2], "default": 1},
            "bidirectional": {"constant": False},
            "summary": {"choice": ["last", "mean"], "default": "last"},
        }
    ),
)

# Tokens are runs of days: 11 are half a month.
sp500_transformer = Regression(
    name="sp500-transformer",
    data="sp500",
    model="transformer",
    max_epochs=15,
    metric="r2",
    space=load_space(
        TRAINING
        | {
            "patch": {"ordinal": [1, 2, 3, 6, 11], "default": 3},
            "width": {"ordinal": [16, 32, 64], "default": 32},
            "layers": {"int": [1, 2], "default": 1},
            "heads": {"ordinal": [1, 2, 4], "default": 4},
        }
    ),
)
