"""MNIST-1D with three model families: 3,200 training, 800 validation and 1,000 test signals.

Published by the authors of the data set, trained on all 4,000: CNN 94%, GRU 91% (arXiv:2011.14439).
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Classification
from automl.tasks.training_space import training_space

# The default learning rate is between torch's for AdamW (1e-3) and that of the data set's authors (1e-2); weight decay
# is torch's, momentum the customary one, and the rest is off by default.
TRAINING = training_space(
    sgd=True,
    schedule="constant",
    lr={"float": [3e-4, 3e-1], "log": True, "default": 3e-3},
    augment={"float": [0.0, 1.0], "default": 0.0},
)

# By default the authors' CNN: three strided layers of about 25 channels, here with batch normalisation.
mnist1d_cnn = Classification(
    name="mnist1d-cnn",
    data="mnist1d",
    model="cnn",
    max_epochs=20,
    space=load_space(
        TRAINING
        | {
            "width": {"ordinal": [8, 12, 16, 24, 32], "default": 24},
            "layers": {"int": [1, 4], "default": 3},
            "kernel_size": {"ordinal": [3, 5, 7], "default": 5},
            "norm": {"choice": ["batch", "group", "none"], "default": "batch"},
            "downsample": {"choice": ["stride", "max"], "default": "stride"},
        }
    ),
)

# Reads the 40 steps one by one.
mnist1d_rnn = Classification(
    name="mnist1d-rnn",
    data="mnist1d",
    model="rnn",
    max_epochs=20,
    space=load_space(
        TRAINING
        | {
            "cell": {"choice": ["gru", "lstm"], "default": "gru"},
            "bidirectional": {"choice": [False, True], "default": False},
            "layers": {"int": [1, 2], "default": 1},
            "width": {"ordinal": [16, 32, 48, 64], "default": 64},
            "summary": {"choice": ["last", "mean", "max"], "default": "mean"},
            # Each of these doubles the time.
            "forbidden": [{"bidirectional": True, "layers": 2}],
        }
    ),
)

# A token is a patch of the signal. With overlapping patches every stroke is whole in one of them.
mnist1d_transformer = Classification(
    name="mnist1d-transformer",
    data="mnist1d",
    model="transformer",
    max_epochs=20,
    space=load_space(
        TRAINING
        | {
            "batch_size": {"ordinal": [64, 128], "default": 64},
            "width": {"ordinal": [16, 32, 48, 64], "default": 32},
            "layers": {"int": [1, 3], "default": 2},
            "heads": {"ordinal": [1, 2, 4, 8], "default": 4},
            "patch": {"ordinal": [4, 6, 8, 10], "default": 4},
            "overlap": {"choice": [True, False], "default": True},
        }
    ),
)
