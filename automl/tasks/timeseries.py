"""Time series classification: OSULeaf (160 training outlines of leaves) and Japanese Vowels (216 utterances).

The baseline is logistic regression or extremely randomised trees: test accuracy 0.525 and 0.959
(automl.tasks.baselines.timeseries). Published: 0.95 to 0.99 for OSULeaf with larger networks (Ismail Fawaz et al. 2019,
arXiv:1809.04356), 0.97 to 0.99 for the vowels. With 40 and 54 validation series, the validation accuracy has a standard
error of up to 0.08.
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Classification
from automl.tasks.training_space import training_space

TRAINING = training_space(
    sgd=True,
    schedule="constant",
    lr={"float": [3e-4, 1e-1], "log": True, "default": 3e-3},
    batch_size={"ordinal": [8, 16, 32], "default": 16},
)

osuleaf_cnn = Classification(
    name="osuleaf-cnn",
    data="osuleaf",
    model="cnn",
    max_epochs=40,
    space=load_space(
        TRAINING
        | {
            "augment": {"float": [0.0, 1.0], "default": 0.0},
            "width": {"ordinal": [16, 32, 64], "default": 32},
            "layers": {"int": [2, 5], "default": 3},
            "kernel_size": {"ordinal": [3, 5, 7, 9], "default": 7},
            "norm": {"choice": ["batch", "group", "none"], "default": "batch"},
            "downsample": {"choice": ["stride", "max"], "default": "max"},
            "pooling": {"choice": ["flatten", "max", "mean"], "default": "max"},
        }
    ),
)

# Utterances differ in length: padding is masked.
vowels_rnn = Classification(
    name="vowels-rnn",
    data="vowels",
    model="rnn",
    max_epochs=20,
    space=load_space(
        TRAINING
        | {
            "cell": {"choice": ["gru", "lstm"], "default": "gru"},
            "bidirectional": {"choice": [False, True], "default": False},
            "width": {"ordinal": [16, 32, 64], "default": 32},
            "layers": {"int": [1, 2], "default": 1},
            "summary": {"choice": ["last", "mean", "max"], "default": "last"},
        }
    ),
)
