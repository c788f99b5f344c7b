"""Model families that are fitted in one go, for tables and texts: each is a ``Learner``."""

import importlib
import importlib.util

from automl.models.learners.base import Learner

LEARNERS = {  # family -> module in this package, class
    "lightgbm": "lightgbm:LightGBM",
    "catboost": "catboost:CatBoost",
    "random_forest": "forests:RandomForest",
    "extra_trees": "forests:ExtraTrees",
    "linear": "linear:Linear",
    "realmlp": "realmlp:RealMLP",
    "tfidf": "text:LinearTfIdf",
    "lsa_lightgbm": "text:LsaLightGBM",
}

EXTRAS = {"catboost": "catboost"}  # family -> the package that it needs, also the name of the extra that installs it


def is_installed(family: str) -> bool:
    """Whether the package that a family needs is installed."""
    return family not in EXTRAS or importlib.util.find_spec(EXTRAS[family]) is not None


def learner_class(family: str) -> type[Learner]:
    """The class of a family."""
    module, name = LEARNERS[family].split(":")
    found: type[Learner] = getattr(importlib.import_module(f"automl.models.learners.{module}"), name)
    return found
