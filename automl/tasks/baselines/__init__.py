"""Baselines that a practitioner would start with, one file per field, scored on the test set.

Each is fitted to the training set only, as the networks are, and makes its choices on the validation set. Nothing is
tuned on the test set.
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from automl.data.datasets.registry import load_data, load_parts, source_module


@dataclass(frozen=True)
class Baseline:
    """The description of a baseline."""

    description: str
    where: str  # module:function, from Parts or Splits to scores by name
    metrics: tuple[str, ...] = ("accuracy",)  # names of the scores, the main one first


BASELINES = {  # data set -> baseline
    "mnist1d": Baseline("support vector machine or random forest", "arrays:machine_or_forest"),
    "digits": Baseline("support vector machine or random forest", "arrays:machine_or_forest"),
    "fashion-mnist": Baseline("support vector machine or random forest", "arrays:machine_or_forest"),
    "newsgroups": Baseline("TF-IDF and logistic regression", "text:tfidf_logistic_regression"),
    "reuters52": Baseline("TF-IDF and logistic regression", "text:tfidf_logistic_regression"),
    "bible": Baseline(
        "dictionary by Dice's coefficient, or translation memory", "translation:dictionary_or_memory", ("bleu", "chrf")
    ),
    "cmudict": Baseline("rules from aligned letters and phones", "pronunciation:letter_rules", ("error_rate",)),
    "chembl234": Baseline("random forest on Morgan fingerprints and descriptors", "molecules:random_forest", ("rmse",)),
    "chembl234-bits": Baseline(
        "random forest on Morgan fingerprints and descriptors", "molecules:random_forest", ("rmse",)
    ),
    "sp500": Baseline("HAR: means over 1, 5 and 22 days, linear regression", "finance:har", ("r2",)),
    "kjv": Baseline("5-grams with Witten-Bell smoothing", "language:five_grams", ("bits_per_character",)),
    "osuleaf": Baseline("logistic regression or extremely randomised trees", "timeseries:regression_or_trees"),
    "vowels": Baseline("logistic regression or extremely randomised trees", "timeseries:regression_or_trees"),
    "letter": Baseline("random forest or gradient boosting", "tabular:forest_or_boosting"),
}


def run_baseline(data: str, train_size: int | None = None) -> tuple[dict[str, float], float]:
    """Scores on the test set, and the seconds of fitting and scoring.

    ``train_size``: number of training examples, the same ones as for the networks. Raises DataMissing; UserError for a
    ``train_size`` of a time series.
    """
    module, function = BASELINES[data].where.split(":")
    baseline: Callable[[Any], dict[str, float]] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    raw = hasattr(source_module(data), "parts")
    examples = load_parts(data, train_size) if raw else load_data(data, train_size)
    start = time.perf_counter()
    return baseline(examples), time.perf_counter() - start
