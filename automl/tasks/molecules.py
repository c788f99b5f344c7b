"""Regression on molecules: CHEMBL234, 2,632 training molecules, as SMILES and as Morgan fingerprints.

The baseline is a random forest on fingerprints and descriptors: RMSE 0.65 (automl.tasks.baselines.molecules); the
standard deviation of the values is 1.14. Published on this split: 0.63 to 0.65 for the best classical methods, 0.75 and
more for networks on SMILES without pretraining (van Tilborg et al. 2022).
"""

from automl.space.parse import load_space
from automl.tasks.supervised import Regression
from automl.tasks.training_space import training_space

TRAINING = training_space(
    weight_decay={"float": [1e-6, 1.0], "log": True, "default": 1e-2}, dropout={"float": [0.0, 0.5], "default": 0.1}
)
STRING = {
    "clip_norm": {"float": [0.1, 10.0], "log": True, "default": 1.0},
    "embedding": {"ordinal": [16, 32, 64], "default": 32},
}

chembl234_rnn = Regression(
    name="chembl234-rnn",
    data="chembl234",
    model="rnn",
    max_epochs=20,
    space=load_space(
        TRAINING
        | STRING
        | {
            "cell": {"choice": ["gru", "lstm"], "default": "gru"},
            "bidirectional": {"choice": [False, True], "default": True},
            "width": {"ordinal": [32, 48, 64, 96], "default": 64},
            "layers": {"constant": 1},
            "summary": {"choice": ["last", "mean", "max"], "default": "max"},
        }
    ),
)

chembl234_transformer = Regression(
    name="chembl234-transformer",
    data="chembl234",
    model="transformer",
    max_epochs=20,
    space=load_space(
        TRAINING
        | STRING
        | {
            "lr": {"float": [1e-4, 1e-2], "log": True, "default": 1e-3},
            "patch": {"int": [1, 4], "default": 2},
            "width": {"ordinal": [32, 64, 96], "default": 64},
            "layers": {"int": [1, 3], "default": 2},
            "heads": {"ordinal": [1, 2, 4, 8], "default": 4},
        }
    ),
)

# On a fingerprint of 1,024 bits.
chembl234_mlp = Regression(
    name="chembl234-mlp",
    data="chembl234-bits",
    model="mlp",
    max_epochs=30,
    space=load_space(
        TRAINING
        | {
            "lr": {"float": [1e-4, 1e-2], "log": True, "default": 1e-3},
            "dropout": {"float": [0.0, 0.7], "default": 0.3},
            "width": {"ordinal": [64, 128, 256, 512], "default": 256},
            "layers": {"int": [1, 3], "default": 2},
            "norm": {"choice": ["batch", "none"], "default": "none"},
        }
    ),
)
