"""Scikit-learn's estimators in skops' format, which cannot contain code."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

from automl.models.integrity import check_expansion

FILE = "model.skops"
ESTIMATORS = (  # all that models here consist of
    "sklearn.compose._column_transformer.ColumnTransformer",
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.ensemble._forest.ExtraTreesRegressor",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "sklearn.feature_extraction.text.TfidfTransformer",
    "sklearn.feature_extraction.text.TfidfVectorizer",
    "sklearn.impute._base.MissingIndicator",
    "sklearn.impute._base.SimpleImputer",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._quantile.QuantileRegressor",
    "sklearn.linear_model._ridge.Ridge",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.QuantileTransformer",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._encoders.OneHotEncoder",
    "sklearn.preprocessing._encoders.OrdinalEncoder",
    "sklearn.preprocessing._function_transformer.FunctionTransformer",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
    "sklearn.tree._classes.ExtraTreeClassifier",
    "sklearn.tree._classes.ExtraTreeRegressor",
)
INSIDE = (  # types in fitted estimators that are not in skops' own list
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
TRUSTED = [*ESTIMATORS, *INSIDE]
LOCK = threading.Lock()


def estimator_bytes(estimator: Any) -> bytes:
    """A fitted estimator as bytes."""
    content: bytes = _skops().dumps(estimator)
    return content


def estimator_from(content: bytes) -> Any:
    """The inverse of ``estimator_bytes``; anything but the estimators of models here is rejected.

    ValueError if it would unpack to much more than its size.
    """
    check_expansion(content)
    return _skops().loads(content, trusted=TRUSTED)


def _skops() -> Any:
    """``skops.io``, imported without all modules of scikit-learn.

    To list the estimators that it trusts, skops imports all of these and, through their adapters, torch and dask. That
    takes most of a second, or several with torch, whose OpenMP LightGBM should not share a process with. So the list is
    empty, but only for the thread that imports skops.
    """
    with LOCK:
        if "skops.io" not in sys.modules:
            import sklearn.utils

            every, importing = sklearn.utils.all_estimators, threading.get_ident()

            def listed(*arguments: Any, **options: Any) -> Any:
                return [] if threading.get_ident() == importing else every(*arguments, **options)

            sklearn.utils.all_estimators = listed
            try:
                importlib.import_module("skops.io")
            finally:
                sklearn.utils.all_estimators = every
    return importlib.import_module("skops.io")
