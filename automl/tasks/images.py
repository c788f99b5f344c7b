"""Digits (1,077 training, 360 validation, 360 test images) and Fashion-MNIST (55,000, 5,000, 10,000).

Published for Fashion-MNIST with two or three convolutional layers: test accuracy 88% to 93% (submitted, unverified
results in the README of github.com/zalandoresearch/fashion-mnist).
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Classification
from automl.tasks.training_space import training_space

# Defaults: torch's for AdamW; Goodfellow et al. 2016, section 8.3.2, for momentum.
TRAINING = training_space(
    sgd=True,
    schedule="constant",
    lr={"float": [1e-4, 3e-1], "log": True, "default": 1e-3},
    batch_size={"ordinal": [64, 128, 256, 512], "default": 128},
)
SMOOTHING = {"float": [0.0, 0.2], "default": 0.0}
AUGMENT = {"float": [0.0, 1.0], "default": 0.0}

digits_cnn = Classification(
    name="digits-cnn",
    data="digits",
    model="cnn",
    max_epochs=8,
    space=load_space(
        TRAINING
        | {
            "lr": {"float": [1e-4, 3e-1], "log": True, "default": 3e-3},
            "nesterov": {"choice": [True, False], "default": True, "when": {"optimizer": "sgd"}},
            "batch_size": {"ordinal": [32, 64, 128], "default": 64},
            "width": {"ordinal": [8, 16, 24], "default": 16},
            "layers": {"int": [1, 3], "default": 2},
            "kernel_size": {"ordinal": [3, 5], "default": 3},
            "norm": {"choice": ["batch", "group", "none"], "default": "batch"},
        }
    ),
)

# Three blocks of 16, 32, 64 channels, each halving the image.
fashion_cnn = Classification(
    name="fashion-cnn",
    data="fashion-mnist",
    model="cnn",
    max_epochs=10,
    space=load_space(
        TRAINING
        | {
            "label_smoothing": SMOOTHING,
            "augment": AUGMENT,
            "width": {"ordinal": [8, 12, 16, 24], "default": 16},
            "layers": {"int": [1, 3], "default": 3},
            "kernel_size": {"ordinal": [3, 5], "default": 3},
            "norm": {"choice": ["batch", "group", "none"], "default": "batch"},
        }
    ),
)

# Reads an image from top to bottom, one row of 28 pixels per step.
fashion_rnn = Classification(
    name="fashion-rnn",
    data="fashion-mnist",
    model="rnn",
    max_epochs=10,
    space=load_space(
        TRAINING
        | {
            "clip_norm": {"float": [0.1, 10.0], "log": True, "default": 1.0},
            "cell": {"choice": ["lstm", "gru"], "default": "lstm"},
            "bidirectional": {"choice": [False, True], "default": False},
            "layers": {"int": [1, 2], "default": 1},
            "width": {"ordinal": [32, 48, 64, 96], "default": 96},
            "summary": {"choice": ["last", "mean", "max"], "default": "last"},
            # Each of these doubles the time.
            "forbidden": [{"bidirectional": True, "layers": 2}],
        }
    ),
)

# A token is a square patch (ViT), which keeps neighbours in both directions together; 2 x 2 to 7 x 7 patches.
fashion_transformer = Classification(
    name="fashion-transformer",
    data="fashion-mnist",
    model="transformer",
    max_epochs=10,
    space=load_space(
        TRAINING
        | {
            "label_smoothing": SMOOTHING,
            "augment": AUGMENT,
            "width": {"ordinal": [16, 24, 32, 48], "default": 48},
            "layers": {"int": [1, 2], "default": 2},
            "heads": {"ordinal": [1, 2, 4], "default": 4},
            "patch": {"ordinal": [4, 7, 14], "default": 7},
        }
    ),
)
