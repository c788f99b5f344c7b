"""Text classification: 20 Newsgroups (10,140 training articles) and Reuters-52 (5,800), as word ids.

The baseline is logistic regression on TF-IDF: test accuracy 0.838 and 0.938 (automl.tasks.baselines.text). Published:
0.82 to 0.86 and 0.93 to 0.95 (Yao et al. 2019, arXiv:1809.05679, table 2).
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Classification
from automl.tasks.training_space import training_space

# Nearly all weights are word embeddings, which need large steps and regularisation: dropout and decay matter.
TRAINING = training_space(
    lr={"float": [3e-4, 3e-2], "log": True, "default": 3e-3},
    weight_decay={"float": [1e-6, 1.0], "log": True, "default": 1e-2},
    dropout={"float": [0.0, 0.7], "default": 0.3},
    label_smoothing={"float": [0.0, 0.2], "default": 0.0},
    embedding={"ordinal": [32, 64, 96, 128], "default": 64},
)

# Reads the first words in both directions, with max pooling over the states.
newsgroups_rnn = Classification(
    name="newsgroups-rnn",
    data="newsgroups",
    model="rnn",
    max_epochs=8,
    space=load_space(
        TRAINING
        | {
            "length": {"ordinal": [64, 128, 200], "default": 128},
            "cell": {"choice": ["gru", "lstm"], "default": "gru"},
            "bidirectional": {"choice": [False, True], "default": True},
            "width": {"ordinal": [32, 48, 64], "default": 48},
            "layers": {"constant": 1},
            "summary": {"choice": ["last", "mean", "max"], "default": "max"},
        }
    ),
)

# Each word attends to all others.
newsgroups_transformer = Classification(
    name="newsgroups-transformer",
    data="newsgroups",
    model="transformer",
    max_epochs=8,
    space=load_space(
        TRAINING
        | {
            "lr": {"float": [1e-4, 1e-2], "log": True, "default": 2e-3},
            "length": {"ordinal": [64, 128, 200], "default": 128},
            "width": {"ordinal": [32, 64, 96], "default": 64},
            "layers": {"int": [1, 2], "default": 1},
            "heads": {"ordinal": [1, 2, 4, 8], "default": 4},
        }
    ),
)

# Detects informative n-grams at any position (Kim 2014).
reuters52_cnn = Classification(
    name="reuters52-cnn",
    data="reuters52",
    model="cnn",
    max_epochs=10,
    space=load_space(
        TRAINING
        | {
            "length": {"ordinal": [64, 128, 200], "default": 128},
            "class_weight": {"float": [0.0, 0.5], "default": 0.0},
            "width": {"ordinal": [32, 64, 96, 128], "default": 96},
            "layers": {"int": [1, 2], "default": 1},
            "kernel_size": {"ordinal": [3, 5, 7], "default": 3},
            "norm": {"choice": ["batch", "group", "none"], "default": "batch"},
            "downsample": {"constant": "max"},
            "pooling": {"choice": ["max", "mean"], "default": "max"},
        }
    ),
)
