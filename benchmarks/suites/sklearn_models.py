"""The models of the suite ``sklearn`` and their spaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Form = dict[str, Any]
Config = Mapping[str, Any]

N_TREES = 10  # as in Bayesmark
N_EPOCHS = 20  # maximum for a multilayer perceptron
MAX_STUMPS = 50  # half the upper bound in Bayesmark: each takes over a millisecond, however small the data


@dataclass(frozen=True)
class SklearnModel:
    """A model family. ``space`` and ``build`` (an unfitted model) take whether the task is a regression."""

    space: Callable[[bool], Form]
    build: Callable[[Config, bool], Any]
    probabilities: bool = True  # whether it predicts class probabilities


def _knn(config: Config, regression: bool) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    return (KNeighborsRegressor if regression else KNeighborsClassifier)(**config)


def _tree(config: Config, regression: bool) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    return (DecisionTreeRegressor if regression else DecisionTreeClassifier)(random_state=0, **config)


def _ada(config: Config, regression: bool) -> Any:
    from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor

    return (AdaBoostRegressor if regression else AdaBoostClassifier)(random_state=0, **config)


def _forest(config: Config, regression: bool) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if regression else RandomForestClassifier)(N_TREES, random_state=0, **config)


def _svm(config: Config, regression: bool) -> Any:
    from sklearn.svm import SVC, SVR

    return SVR(**config) if regression else SVC(random_state=0, **config)


def _mlp(config: Config, regression: bool) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    left = {name: value for name, value in config.items() if not name.startswith("one_minus")}
    betas = {f"beta_{i}": 1.0 - config[f"one_minus_beta_{i}"] for i in (1, 2)}
    return (MLPRegressor if regression else MLPClassifier)(
        solver="adam", early_stopping=True, max_iter=N_EPOCHS, random_state=0, **left, **betas
    )


def _linear(config: Config, regression: bool) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(solver="lsqr", **config) if regression else _logistic(config, l1_ratio=0.0)


def _lasso(config: Config, regression: bool) -> Any:
    from sklearn.linear_model import Lasso

    return Lasso(random_state=0, **config) if regression else _logistic(config, l1_ratio=1.0)


def _logistic(config: Config, l1_ratio: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    # Only liblinear has intercept_scaling, and it supports only two classes.
    return OneVsRestClassifier(
        LogisticRegression(solver="liblinear", l1_ratio=l1_ratio, max_iter=100, random_state=0, **config)
    )


def _log(low: float, high: float) -> Form:
    return {"float": [low, high], "log": True}


_TREE: Form = {
    "max_depth": {"int": [1, 15]},
    "min_samples_split": _log(0.01, 0.99),
    "min_samples_leaf": _log(0.01, 0.49),
    "min_weight_fraction_leaf": _log(0.01, 0.49),
    "max_features": _log(0.01, 0.99),
    "min_impurity_decrease": {"float": [0.0, 0.5]},
}
_MLP: Form = {
    "hidden_layer_sizes": {"int": [50, 200]},
    "alpha": _log(1e-5, 10.0),
    "batch_size": {"int": [10, 250]},
    "learning_rate_init": _log(1e-5, 0.1),
    "tol": _log(1e-5, 0.1),
    "validation_fraction": {"float": [0.1, 0.9]},
    "one_minus_beta_1": _log(0.01, 0.5),
    "one_minus_beta_2": _log(1e-6, 0.1),
    "epsilon": _log(1e-9, 1e-6),
}
_LOGISTIC: Form = {"C": _log(0.01, 100.0), "intercept_scaling": _log(0.01, 100.0)}
_RIDGE: Form = {
    "alpha": _log(0.01, 100.0),
    "fit_intercept": {"choice": [True, False]},
    "max_iter": {"int": [10, 5000], "log": True},
    "tol": _log(1e-5, 0.1),
}

MODELS = {  # the order decides the split
    "knn": SklearnModel(lambda _: {"n_neighbors": {"int": [1, 25]}, "p": {"int": [1, 4]}}, _knn),
    "tree": SklearnModel(lambda _: _TREE, _tree),
    "ada": SklearnModel(lambda _: {"n_estimators": {"int": [10, MAX_STUMPS]}, "learning_rate": _log(1e-4, 10.0)}, _ada),
    "forest": SklearnModel(lambda _: _TREE, _forest),
    "svm": SklearnModel(
        lambda _: {"C": _log(1.0, 1000.0), "gamma": _log(1e-4, 1e-3), "tol": _log(1e-5, 0.1)}, _svm, probabilities=False
    ),
    "mlp": SklearnModel(lambda _: _MLP, _mlp),
    "linear": SklearnModel(lambda regression: _RIDGE if regression else _LOGISTIC, _linear),
    "lasso": SklearnModel(
        lambda regression: {**_RIDGE, "positive": {"choice": [True, False]}} if regression else _LOGISTIC, _lasso
    ),
}
