"""The scikit-learn estimators that automl trains, as ONNX nodes with the same outputs as ``outputs_of``.

Thresholds are rounded down to float32, which gives the same comparisons for float32 examples as float64 thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns, Tokens
from automl.data.targets import Classes
from automl.deployment.onnx_graph import Graph
from automl.models.lags import Lags
from automl.models.tensor_models import TrainedEstimator
from automl.models.trained import Preprocessing

MIN_PROBABILITY = 1e-7  # as in outputs_of
ML = "ai.onnx.ml"


def estimator_nodes(graph: Graph, model: TrainedEstimator, examples: str) -> str:
    """Add an estimator that reads raw examples; returns log probabilities (n, n_classes), or numbers (n, 1)."""
    estimator, rules = model.estimator, model.preprocessing
    if isinstance(rules.inputs, Tokens):
        *features, last = (step for _, step in estimator.steps)
        found = _linear(graph, last, _tfidf(graph, features[0], examples), rules)
    else:
        rows = graph("Flatten", examples, axis=1)
        rows = changes(graph, model.lags, rows, math.prod(rules.inputs.shape))
        if rules.model == "linear":
            features, last = (step for _, step in estimator.steps)
            found = _linear(graph, last, _columns(graph, features, rows, rules), rules)
        elif rules.model == "random_forest":
            found = _forest(graph, estimator, rows)
        else:
            found = _boosting(graph, estimator, rows, rules)
    if not isinstance(rules.target, Classes):
        return found
    places = np.zeros((len(estimator.classes_), rules.target.n_outputs))
    places[np.arange(len(estimator.classes_)), estimator.classes_] = 1
    probabilities = graph("MatMul", graph.cast(found, np.float32), graph.constant(places))
    return graph("Log", graph("Max", probabilities, graph.constant(MIN_PROBABILITY)))


# --- series -----------------------------------------------------------------------------------------------------------


def changes(graph: Graph, lags: Lags, rows: str, n_columns: int) -> str:
    """As ``Lags.columns``."""
    if not lags.is_relative:
        return rows
    places = np.arange(n_columns)
    newest = np.where(places < lags.n_values, places // lags.steps * lags.steps + lags.steps - 1, places)
    levels = graph("Gather", rows, graph.constant(newest, np.int64), axis=1)
    kept = (places == newest) & (lags.keeps_levels | (places >= lags.n_values))
    if kept.any():
        levels = graph("Mul", levels, graph.constant(~kept))
    return graph("Sub", rows, levels)


def forecasts(graph: Graph, lags: Lags, found: str, rows: str) -> str:
    """As ``Lags.forecasts``, for (n, 1 or n_levels)."""
    if not lags.is_relative:
        return found
    newest = graph("Gather", rows, graph.constant([lags.steps - 1], np.int64), axis=1)
    return graph("Add", graph.cast(found, np.float64), graph.cast(newest, np.float64))


# --- trees ------------------------------------------------------------------------------------------------------------


def _forest(graph: Graph, estimator: Any, rows: str) -> str:
    trees = [each.tree_ for each in estimator.estimators_]
    ensemble = Trees(trees[0].value.shape[2] if hasattr(estimator, "classes_") else 1)
    for tree in trees:
        ensemble.add(
            tree.children_left,
            tree.children_right,
            tree.children_left < 0,
            tree.feature,
            tree.threshold,
            tree.missing_go_to_left,
            tree.value[:, 0, :] / len(trees),
            list(range(ensemble.n_outputs)),
        )
    return ensemble.node(graph, rows)


def _boosting(graph: Graph, estimator: Any, rows: str, rules: Preprocessing) -> str:
    """Each set of categories that a split sends left becomes an extra column, 0 for these and 1 for others."""
    n_columns = int(np.prod(rules.inputs.shape))
    order, known = np.arange(n_columns), dict[int, NDArray[Any]]()
    if estimator._preprocessor is not None:
        is_category = estimator.is_categorical_
        order = np.r_[np.flatnonzero(is_category), np.flatnonzero(~is_category)]
        known = dict(enumerate(estimator._preprocessor.named_transformers_["encoder"].categories_))
    columns, sets = [rows], dict[tuple[int, bytes], int]()
    if isinstance(rules.inputs, Columns) and rules.inputs.cardinalities:
        n_numbers = rules.inputs.n_numbers
        numbers, categories = cut(graph, rows, 0, n_numbers), cut(graph, rows, n_numbers, n_columns)
        unknown = graph("Equal", categories, graph.constant(0))
        columns = [numbers, graph("Where", unknown, graph.constant(np.nan), categories)]

    ensemble = Trees(len(estimator._predictors[0]))
    for predictors in estimator._predictors:
        for output, predictor in enumerate(predictors):
            nodes = predictor.nodes
            feature, threshold = order[nodes["feature_idx"]], nodes["num_threshold"].copy()
            for i in np.flatnonzero(nodes["is_categorical"]):
                node = nodes[i]
                bits = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
                column = int(order[node["feature_idx"]])
                right = _right_of(bits, known[node["feature_idx"]], bool(node["missing_go_to_left"]), rules, column)
                feature[i] = n_columns + sets.setdefault((column, right.tobytes()), len(sets))
                threshold[i] = 0.5
            ensemble.add(
                nodes["left"],
                nodes["right"],
                nodes["is_leaf"].astype(bool),
                feature,
                threshold,
                nodes["missing_go_to_left"],
                nodes["value"][:, None],
                [output],
            )
    for column, table in sets:
        code = graph.cast(cut(graph, rows, column, column + 1), np.int64)
        columns.append(graph("Gather", graph.constant(np.frombuffer(table, np.float32)), code))
    raw = ensemble.node(graph, graph("Concat", *columns, axis=1) if len(columns) > 1 else rows)
    raw = graph("Add", raw, graph.constant(estimator._baseline_prediction.reshape(1, -1)))
    return probabilities(graph, raw, ensemble.n_outputs) if hasattr(estimator, "classes_") else raw


def _right_of(
    bits: NDArray[Any], categories: NDArray[Any], missing_to_left: bool, rules: Preprocessing, column: int
) -> NDArray[np.float32]:
    """1 for each category code that goes right, else 0."""
    assert isinstance(rules.inputs, Columns)
    right = np.full(rules.inputs.cardinalities[column - rules.inputs.n_numbers], 1.0 - missing_to_left, np.float32)
    for place, code in enumerate(categories):
        if not np.isnan(code):
            right[int(code)] = 1 - (int(bits[place // 32]) >> (place % 32) & 1)
    return right


class Trees:
    """The attributes of a TreeEnsembleRegressor, which sums over its trees."""

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._n_trees = 0

    def add(
        self,
        left: NDArray[Any],
        right: NDArray[Any],
        is_leaf: NDArray[Any],
        feature: NDArray[Any],
        threshold: NDArray[Any],
        missing_to_left: NDArray[Any],
        values: NDArray[Any],
        outputs: list[int],
    ) -> None:
        """Add a tree, given by one entry per node; ``values`` (nodes, outputs) are those of the leaves."""
        n, leaves = len(is_leaf), np.flatnonzero(is_leaf)
        part = {
            "nodes_treeids": np.full(n, self._n_trees),
            "nodes_nodeids": np.arange(n),
            "nodes_featureids": np.where(is_leaf, 0, feature),
            "nodes_values": np.where(is_leaf, 0, _rounded_down(threshold)),
            "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ"),
            "nodes_truenodeids": np.where(is_leaf, 0, left),
            "nodes_falsenodeids": np.where(is_leaf, 0, right),
            "nodes_missing_value_tracks_true": np.where(is_leaf, 0, missing_to_left),
            "target_treeids": np.full(len(leaves) * len(outputs), self._n_trees),
            "target_nodeids": leaves.repeat(len(outputs)),
            "target_ids": np.tile(outputs, len(leaves)),
            "target_weights": values[leaves].reshape(-1),
        }
        for name, entries in part.items():
            self._parts.setdefault(name, []).append(entries)
        self._n_trees += 1

    def node(self, graph: Graph, rows: str) -> str:
        return graph(
            "TreeEnsembleRegressor",
            rows,
            domain=ML,
            n_targets=self.n_outputs,
            aggregate_function="SUM",
            **{name: np.concatenate(entries).tolist() for name, entries in self._parts.items()},
        )


def _rounded_down(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # the lowest float32 separates missing values in CatBoost
        near = values.astype(np.float32)
        lower: NDArray[np.float32] = np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
    return lower


# --- linear -----------------------------------------------------------------------------------------------------------


def _linear(graph: Graph, model: Any, features: str, rules: Preprocessing) -> str:
    weights = np.atleast_2d(model.coef_)
    raw = graph("MatMul", features, graph.constant(weights.T, np.float64))
    raw = graph("Add", raw, graph.constant(np.reshape(model.intercept_, (1, -1)), np.float64))
    return probabilities(graph, raw, len(weights)) if isinstance(rules.target, Classes) else raw


def _columns(graph: Graph, features: Any, rows: str, rules: Preprocessing) -> str:
    """Numbers imputed with missing indicators and standardised, categories one-hot; in float64, as in scikit-learn."""
    rows = graph.cast(rows, np.float64)
    if not isinstance(rules.inputs, Columns):
        return _numbers(graph, features, rows)
    columns = list(_kinds_of_columns(graph, features, rows, rules.inputs))
    return graph("Concat", *columns, axis=1)


def _kinds_of_columns(graph: Graph, features: Any, rows: str, inputs: Columns) -> Iterator[str]:
    (_, numbers, _), (_, one_hot, _) = features.transformers_[:2]
    if inputs.n_numbers:
        yield _numbers(graph, numbers, cut(graph, rows, 0, inputs.n_numbers))
    for place in range(len(inputs.cardinalities)):
        code = cut(graph, rows, inputs.n_numbers + place, inputs.n_numbers + place + 1)
        known = graph.constant(one_hot.categories_[place].reshape(1, -1), np.float64)
        yield graph.cast(graph("Equal", code, known), np.float64)


def _numbers(graph: Graph, pipeline: Any, rows: str) -> str:
    imputer, scaler = (step for _, step in pipeline.steps)
    missing = graph("IsNaN", rows)
    filled = graph("Where", missing, graph.constant(imputer.statistics_.reshape(1, -1), np.float64), rows)
    indicated = imputer.indicator_.features_
    if len(indicated):
        flags = graph.cast(graph("Gather", missing, graph.constant(indicated, np.int64), axis=1), np.float64)
        filled = graph("Concat", filled, flags, axis=1)
    mean, scale = (graph.constant(values.reshape(1, -1), np.float64) for values in (scaler.mean_, scaler.scale_))
    return graph("Div", graph("Sub", filled, mean), scale)


def _tfidf(graph: Graph, vectorizer: Any, tokens: str) -> str:
    """TF-IDF of token unigrams and bigrams, with sublinear counts and rows of unit length."""
    found = sorted((tuple(map(int, words.split())), place) for words, place in vectorizer.vocabulary_.items())
    sizes = range(1, vectorizer.ngram_range[1] + 1)
    grams = [gram for size in sizes for gram in found if len(gram[0]) == size]
    starts = [sum(len(gram) for gram, _ in grams if len(gram) < size) for size in sizes]
    counts = graph(
        "TfIdfVectorizer",
        tokens,
        mode="TF",
        min_gram_length=1,
        max_gram_length=len(sizes),
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=[place for _, place in grams],
        pool_int64s=[token for gram, _ in grams for token in gram],
    )
    counts = graph.cast(counts, np.float64)
    one = graph.constant(1, np.float64)
    sublinear = graph("Mul", graph("Add", graph("Log", graph("Max", counts, one)), one), graph("Min", counts, one))
    weighted = graph("Mul", sublinear, graph.constant(vectorizer.idf_.reshape(1, -1), np.float64))
    length = graph("Sqrt", graph("ReduceSum", graph("Mul", weighted, weighted), graph.constant([1], np.int64)))
    return graph("Div", weighted, graph("Max", length, graph.constant(1e-12, np.float64)))


def probabilities(graph: Graph, raw: str, n: int) -> str:
    """Probabilities from one score per class, or from the score of the second of two classes."""
    if n > 1:
        return graph("Softmax", raw, axis=1)
    return graph("Concat", graph("Sigmoid", graph("Neg", raw)), graph("Sigmoid", raw), axis=1)


def cut(graph: Graph, rows: str, start: int, end: int) -> str:
    limits = (graph.constant([value], np.int64) for value in (start, end, 1))
    return graph("Slice", rows, *limits)
