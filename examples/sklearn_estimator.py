"""A scikit-learn pipeline: the loss is the cross-validation error. From the root of this repository:

python -m automl.run --task examples/sklearn_estimator.py:diabetes --trials 30
"""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import automl

SPACE = {
    "n_features": {"int": [2, 10], "default": 10},
    "model": {"choice": ["ridge", "boosting"]},
    "alpha": {"float": [1e-3, 1e3], "log": True, "default": 1.0, "when": {"model": "ridge"}},
    "learning_rate": {"float": [0.01, 0.5], "log": True, "default": 0.1, "when": {"model": "boosting"}},
    "max_depth": {"int": [1, 6], "default": 3, "when": {"model": "boosting"}},
    "subsample": {"float": [0.3, 1.0], "default": 1.0, "when": {"model": "boosting"}},
}


def train(config, seed):
    """Root mean squared error, in the units of the target (25 to 346)."""
    X, y = load_diabetes(return_X_y=True)
    if config["model"] == "ridge":
        model = Ridge(alpha=config["alpha"])
    else:
        model = GradientBoostingRegressor(
            learning_rate=config["learning_rate"],
            max_depth=config["max_depth"],
            subsample=config["subsample"],
            random_state=seed,
        )
    pipeline = make_pipeline(StandardScaler(), SelectKBest(k=config["n_features"]), model)
    folds = KFold(5, shuffle=True, random_state=seed)
    return -cross_val_score(pipeline, X, y, cv=folds, scoring="neg_root_mean_squared_error").mean()


diabetes = automl.as_task(train, SPACE)
