"""XGBoost with ten trees per epoch: early stopping ends unpromising configs. From the root of this repository:

python -m automl.run --task examples/xgboost_model.py:cancer --strategy bo+asha --trials 30
"""

import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

import automl

TREES_PER_EPOCH = 10
SPACE = {
    "eta": {"float": [0.01, 1.0], "log": True, "default": 0.3},
    "max_depth": {"int": [1, 10], "default": 6},
    "min_child_weight": {"float": [0.1, 20.0], "log": True, "default": 1.0},
    "subsample": {"float": [0.3, 1.0], "default": 1.0},
    "colsample_bytree": {"float": [0.3, 1.0], "default": 1.0},
    "lambda": {"float": [1e-3, 100.0], "log": True, "default": 1.0},
}


def train(config, seed, epochs):
    """Yields the log loss and accuracy after each epoch."""
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    training, validation = xgboost.DMatrix(X_train, y_train), xgboost.DMatrix(X_valid)
    parameters = {**config, "objective": "binary:logistic", "nthread": 1, "seed": seed}
    booster = xgboost.Booster(parameters, [training])
    for epoch in range(epochs):
        for tree in range(TREES_PER_EPOCH):
            booster.update(training, epoch * TREES_PER_EPOCH + tree)
        probability = booster.predict(validation)
        yield {"loss": log_loss(y_valid, probability), "accuracy": accuracy_score(y_valid, probability > 0.5)}


cancer = automl.as_task(train, SPACE, max_epochs=20)
