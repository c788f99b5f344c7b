"""Scikit-learn families: gradient boosting, random forest, and a linear model.

Epochs add trees; the linear model is fitted in the first epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns, Inputs, Tokens
from automl.data.targets import Classes, Target
from automl.models.sklearn_settings import usual_settings

MAX_CATEGORIES = 255  # limit of histogram gradient boosting, per column


def build_estimator(family: str, config: Mapping[str, Any], inputs: Inputs, target: Target, seed: int) -> Any:
    """An unfitted estimator of the family; regressors predict the standardised target."""
    classifies = isinstance(target, Classes)
    if family == "gradient_boosting":
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
        return kind(
            learning_rate=config["learning_rate"],
            max_leaf_nodes=config["leaves"],
            min_samples_leaf=config["min_samples_leaf"],
            l2_regularization=config["l2"],
            max_features=config["features"],
            categorical_features=_categorical(inputs),
            early_stopping=False,
            warm_start=True,
            random_state=seed,
        )
    if family == "random_forest":
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if classifies else RandomForestRegressor
        return kind(
            max_features=config["features"],
            min_samples_leaf=config["min_samples_leaf"],
            max_depth=config.get("max_depth"),
            warm_start=True,
            random_state=seed,
        )
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    model = LogisticRegression(C=config["c"], max_iter=1000) if classifies else Ridge(1 / config["c"])
    return make_pipeline(_linear_features(inputs, config), model)


def _categorical(inputs: Inputs) -> list[int] | None:
    if not isinstance(inputs, Columns):
        return None
    columns = enumerate(inputs.cardinalities, inputs.n_numbers)
    return [column for column, n in columns if n <= MAX_CATEGORIES] or None


def _linear_features(inputs: Inputs, config: Mapping[str, Any]) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if isinstance(inputs, Tokens):
        return TfidfVectorizer(
            token_pattern=r"\S+",  # words  # nosec B106
            lowercase=False,
            sublinear_tf=True,
            min_df=2,
            ngram_range=(1, config["ngrams"]),
        )
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True, add_indicator=True), StandardScaler())
    if not isinstance(inputs, Columns):
        return numbers
    places = range(inputs.shape[0])
    return make_column_transformer(
        (numbers, list(places[: inputs.n_numbers])),
        (OneHotEncoder(handle_unknown="ignore"), list(places[inputs.n_numbers :])),
    )


def features(family: str, inputs: Inputs, x: NDArray[Any]) -> Any:
    """The features of raw examples (n, ...) for a family's estimator: rows of numbers, or token ids as text."""
    if isinstance(inputs, Tokens):
        return [" ".join(map(str, row[row > 0])) for row in x]
    rows = np.asarray(x).reshape(len(x), -1)
    if family == "gradient_boosting" and isinstance(inputs, Columns):
        rows = rows.astype(np.float32)
        rows[:, inputs.n_numbers :][rows[:, inputs.n_numbers :] == 0] = np.nan  # missing or unseen
    return rows


@usual_settings()
def fit_further(
    estimator: Any, family: str, config: Mapping[str, Any], x: Any, y: NDArray[Any], weights: Any, share: float
) -> None:
    """Fit an estimator until it has this share of its trees. Incremental fitting gives the same result as one fit."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        if family == "linear":
            if not hasattr(estimator.steps[-1][1], "coef_"):  # not fitted yet
                name = estimator.steps[-1][0]
                estimator.fit(x, y, **({} if weights is None else {f"{name}__sample_weight": weights}))
            return
        n = max(1, math.ceil(config["trees"] * share))
        estimator.set_params(**{"max_iter" if family == "gradient_boosting" else "n_estimators": n})
        estimator.fit(x, y, sample_weight=weights)


@usual_settings()
def outputs_of(estimator: Any, target: Target, x: Any) -> NDArray[np.float64]:
    """Log probabilities, or the standardised target, (n, n_outputs)."""
    if not isinstance(target, Classes):
        predicted: NDArray[np.float64] = np.asarray(estimator.predict(x), np.float64)[:, None]
        return predicted
    probabilities = np.zeros((x.shape[0] if hasattr(x, "shape") else len(x), target.n_outputs))
    probabilities[:, estimator.classes_] = estimator.predict_proba(x)  # 0 for a class without examples
    logarithms: NDArray[np.float64] = np.log(np.maximum(probabilities, 1e-7))
    return logarithms
