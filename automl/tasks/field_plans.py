"""The default plan for texts, images, molecules and sequences: families, presets, and the expected time of a fold.

The number of folds and the epochs of networks follow from the time limit of a run. Seconds are those of one core.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.inputs import Array, Tokens
from automl.models import NETWORKS
from automl.tasks.user_data import pretrained
from automl.training.fold_learners import learner_class

if TYPE_CHECKING:
    from automl.data.ingest.prepare import Facts
    from automl.data.splits import Splits

FAMILIES = {  # by the kind of data; the first is the default
    "text": ("tfidf", "lsa_lightgbm", "cnn", "rnn", "transformer"),
    "images": ("cnn", "lightgbm", "linear", "extra_trees", "backbone"),
    "molecules": ("lightgbm", "extra_trees", "random_forest", "linear", "mlp", "rnn", "cnn", "transformer"),
    "sequences": ("cnn", "extra_trees", "lightgbm", "linear", "rnn", "transformer"),
}
ON_REQUEST = {  # families that are tried only on request, or with many examples and much time
    "text": ("cnn", "rnn", "transformer"),
    "images": (),
    "molecules": ("mlp", "rnn", "cnn", "transformer"),
    "sequences": ("rnn", "transformer"),
}
NEVER_SLOW = {"tfidf", "linear", "extra_trees", "random_forest"}  # families that do not give up
MANY_EXAMPLES = 20_000  # training examples
MUCH_TIME = 1_000.0  # seconds of all workers

# Tried in this order; the defaults of the families first.
PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "text": (
        {"model": "tfidf"},
        {"model": "tfidf", "tfidf_weighting": "none", "tfidf_c": 100.0},
        {"model": "tfidf", "tfidf_c": 3.0},
        {"model": "lsa_lightgbm"},
        {"model": "tfidf", "tfidf_weighting": "none", "tfidf_c": 10.0},
        {"model": "tfidf", "tfidf_ngrams": "words", "tfidf_c": 100.0},
        {"model": "tfidf", "tfidf_weighting": "none", "tfidf_c": 1.0},
        {"model": "cnn"},
        {"model": "transformer"},
        {"model": "rnn"},
    ),
    "images": (
        {"model": "cnn"},
        {"model": "linear"},
        {"model": "backbone"},
        {"model": "lightgbm"},
        {"model": "extra_trees"},
        {"model": "cnn", "cnn_mirror": True},
        {"model": "cnn", "cnn_kernel_size": 5, "cnn_width": 24, "cnn_augment": 0.3},
        {"model": "cnn", "cnn_mirror": True, "cnn_pooling": "mean", "cnn_layers": 4},
    ),
    "molecules": (
        {"model": "lightgbm"},
        {"model": "extra_trees"},
        {"model": "random_forest"},
        {"model": "linear"},
        {"model": "lightgbm", "lightgbm_learning_rate": 0.03, "lightgbm_leaves": 31, "lightgbm_columns": 0.4},
        {"model": "mlp"},
        {"model": "extra_trees", "extra_trees_features": 0.4},
        {"model": "rnn"},
        {"model": "cnn"},
        {"model": "transformer"},
    ),
    "sequences": (
        {"model": "cnn"},
        {"model": "extra_trees"},
        {"model": "linear"},
        {"model": "lightgbm"},
        {"model": "cnn", "cnn_kernel_size": 7, "cnn_layers": 4},
        {"model": "rnn"},
        {"model": "transformer"},
    ),
}
# Fewer and smaller trees and stronger regularisation than for tables, since many features are redundant.
MANY_FEATURES: dict[str, Any] = {
    "lightgbm_learning_rate": {"default": 0.1},
    "lightgbm_leaves": {"default": 8},
    "lightgbm_columns": {"float": [0.1, 1.0], "default": 0.2},
    "lightgbm_min_rows": {"default": 10},
    "extra_trees_features": {"default": 0.1},
    "random_forest_features": {"default": 0.1},
    "linear_numbers": {"default": "standard"},
    "linear_c": {"float": [1e-5, 1e2], "default": 0.03},
}
FEW_EXAMPLES_PER_FEATURE = MANY_FEATURES | {"linear_c": {"float": [1e-5, 1e2], "default": 1e-3}}
# For a run without time for the first preset and its fit to all rows.
CHEAPER: dict[str, dict[str, Any]] = {"text": {"tfidf_ngrams": {"default": "words"}}}
CHEAPER_OF_CLASSES: dict[str, dict[str, Any]] = {"text": {"tfidf_c": {"default": 100.0}}}
CHANGES = {"images": MANY_FEATURES, "molecules": FEW_EXAMPLES_PER_FEATURE, "sequences": MANY_FEATURES}  # of the spaces

EXAMPLES_SEEN = 100_000  # examples that a full training of a network sees, in MIN_EPOCHS to MAX_EPOCHS epochs
MIN_EPOCHS, MAX_EPOCHS = 5, 60
MAX_SHARE = 0.25  # of all seconds, for a training of a network
MAX_SHARE_OF_WORKER = 0.3  # of the seconds of its worker
SECONDS_PER_STEP = 0.8e-6  # for a CNN of width 32, per pixel or step, example and epoch
SECONDS_PER_TOKEN = 1.2e-5  # for a network on tokens
SECONDS_PER_CHARACTER = 0.8e-7  # for a linear model on TF-IDF, per class
SECONDS_PER_COUNT = 4e-7  # for its n-grams, per character
SHARE_OF_WORDS = 0.25  # share of the seconds of a fit if it uses only word n-grams
SECONDS_OF_LINEAR = 7e-7  # for a linear model and its features, per pixel or step
SECONDS_PER_NUMBER = 1e-6  # for LightGBM with these presets, per number and class
SMALL_WIDTH = 16  # width of a CNN if there is no time for wider ones
PROBE_SIZE = 400_000  # numbers to sort, which took SECONDS_OF_PROBE where the above were measured
SECONDS_OF_PROBE = 0.020
N_PROBES = 3


def slowness() -> float:
    """How many times slower this machine currently is than the one where the seconds were measured."""
    numbers, found = np.random.default_rng(0).random(PROBE_SIZE), []
    for _ in range(N_PROBES):  # the fastest counts, since others may have waited for other programs
        start = time.perf_counter()
        np.sort(numbers)
        found.append(time.perf_counter() - start)
    return min(found) / SECONDS_OF_PROBE


def families(kind: str, n_train: int, seconds: float) -> tuple[str, ...]:
    """The families that are tried by default on this kind of data. ``seconds``: of all workers."""
    large = n_train >= MANY_EXAMPLES and seconds >= MUCH_TIME
    names = [name for name in FAMILIES[kind] if large or name not in ON_REQUEST[kind]]
    return tuple(name for name in names if name != "backbone" or pretrained())


def seconds_of_a_fold(kind: str, family: str, splits: Splits, seconds: float) -> float:
    """Expected seconds of a family, given the examples that it reads. ``seconds``: of all workers."""
    if family in NETWORKS:
        n = len(splits.y_train)
        return epochs_within(splits.x_train, seconds)[0] * n * _seconds_an_example(splits.x_train)
    if kind == "text":
        characters = sum(map(len, splits.x_train))
        return SECONDS_PER_CHARACTER * characters * max(1, splits.n_classes)
    return 0.5 + SECONDS_PER_NUMBER * splits.x_train.size * (splits.n_classes if splits.n_classes > 2 else 1)


def first_seconds(kind: str, family: str, splits: Splits, seconds: float, *, cheaper: bool) -> float:
    """Expected seconds for a fold of the first configuration, once the examples are loaded.

    ``family``: the first one, or the one that ``cheaper`` replaces, in a short run. ``seconds``: of all workers.
    """
    if kind != "text" and cheaper:
        return SECONDS_OF_LINEAR * splits.x_train.size
    of_a_fold = seconds_of_a_fold(kind, family, splits, seconds)
    if family != "tfidf":
        return of_a_fold
    return SECONDS_PER_COUNT * sum(map(len, splits.x_train)) + of_a_fold * (SHARE_OF_WORDS if cheaper else 1.0)


def seconds_for_networks(seconds: float, n_workers: int) -> float:
    """The seconds of which a network's training gets MAX_SHARE, in a run with ``seconds`` per worker; limited
    as a training uses one worker and is repeated on all rows in the end."""
    return min(seconds * n_workers, MAX_SHARE_OF_WORKER / MAX_SHARE * seconds) / max(1.0, slowness())


def epochs_within(x: Array, seconds: float) -> tuple[int, bool]:
    """The epochs of a network on training examples x, and whether there is time for a wide one."""
    full = min(MAX_EPOCHS, max(MIN_EPOCHS, EXAMPLES_SEEN // max(1, len(x))))
    affordable = MAX_SHARE * seconds / max(1e-9, len(x) * _seconds_an_example(x))
    if affordable >= min(full, 2 * MIN_EPOCHS):
        return max(MIN_EPOCHS, int(min(full, affordable))), True
    return max(MIN_EPOCHS, int(min(full, 4 * affordable))), False


def _seconds_an_example(x: Array) -> float:
    """Seconds of a network per example and epoch: images and signals have channels, tokens do not."""
    n_steps = int(x[0].size if x.ndim == 2 else x[0, 0].size)
    return (SECONDS_PER_TOKEN if x.ndim == 2 else SECONDS_PER_STEP) * n_steps


def space_of(
    kind: str,
    names: tuple[str, ...],
    facts: Facts,
    arrays: Mapping[str, Splits],
    seconds: float,
    *,
    cheaper: bool = False,
) -> dict[str, Any]:
    """The space in the short form. ``arrays``: by family. ``cheaper``: use a default that is quick to fit."""
    changes = CHANGES.get(kind, {})
    if cheaper:
        changes = changes | CHEAPER.get(kind, {})
        changes |= CHEAPER_OF_CLASSES.get(kind, {}) if facts.target_kind == "classes" else {}
    form: dict[str, Any] = {"model": {"choice": list(names), "default": names[0]}}
    for family in names:
        entries = learner_class(family).space(classes=facts.target_kind == "classes", with_levels=False)
        if family in NETWORKS:
            entries = entries | _of_data(kind, family, facts, arrays[family], seconds)
        for name, entry in entries.items():
            changed = changes.get(f"{family}_{name}", {})
            form[f"{family}_{name}"] = {**entry, **changed, "when": {"model": family}}
    return form


def _of_data(kind: str, family: str, facts: Facts, splits: Splits, seconds: float) -> dict[str, Any]:
    """The hyperparameters of a network that depend on its data."""
    epochs, wide = epochs_within(splits.x_train, seconds)
    found: dict[str, Any] = {"epochs": {"constant": epochs}}
    if isinstance(splits.inputs, Tokens):
        found["embedding"] = {"ordinal": [32, 64, 128], "default": 64}
        found["length"] = {"constant": min(256, splits.inputs.length)}
    elif family != "mlp" and not facts.ragged:
        found["augment"] = {"float": [0.0, 1.0], "default": 0.5 if kind == "images" else 0.2}
        if kind == "images":
            found["mirror"] = {"choice": [False, True], "default": False}
    if family == "cnn":
        ragged = facts.ragged or isinstance(splits.inputs, Tokens)
        found["pooling"] = {"choice": ["max", "mean"], "default": "max"}
        if not ragged:
            found["pooling"] = {"choice": ["flatten", "max", "mean"], "default": "flatten"}
        if not wide:
            found["width"] = {"ordinal": [8, SMALL_WIDTH, 24], "default": SMALL_WIDTH}
    if family == "transformer":
        found["patch"] = {"constant": 1 if isinstance(splits.inputs, Tokens) else max(1, facts.length // 32)}
    if family == "backbone":
        there = list(pretrained())
        found["architecture"] = {"choice": there, "default": there[0]}
    return found
