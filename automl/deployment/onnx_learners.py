"""The tree-based learners for tables as ONNX nodes with the same predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from automl.data.inputs import Columns
from automl.data.targets import Classes, Quantiles
from automl.deployment.onnx_estimators import Trees, changes, cut, forecasts, probabilities
from automl.deployment.onnx_graph import Graph
from automl.models.learners.catboost import CatBoost
from automl.models.learners.forests import Forest
from automl.models.learners.levels import ManyLevels
from automl.models.learners.lightgbm import LightGBM
from automl.models.trained import TrainedLearner

EXPORTED = ("lightgbm", "random_forest", "extra_trees")


def has_nodes(model: TrainedLearner) -> bool:
    """Whether ``learner_nodes`` supports a learner: CatBoost's statistics of categories have no ONNX form."""
    rules = model.preprocessing
    if isinstance(model.learner, CatBoost):
        return isinstance(rules.inputs, Columns) and not rules.inputs.cardinalities
    return rules.model in EXPORTED


def learner_nodes(graph: Graph, model: TrainedLearner, examples: str) -> str:
    """Add a learner that reads raw rows; returns probabilities (n, n_classes), or numbers (n, 1 or n_levels)."""
    learner, rules = model.learner, model.preprocessing
    assert isinstance(rules.inputs, Columns)
    examples = _filled(graph, rules.inputs, examples)
    if isinstance(learner, CatBoost):
        found = _symmetric(graph, learner, examples, rules.target)
        return ascending(graph, found, rules.target.n_outputs) if isinstance(rules.target, Quantiles) else found
    assert isinstance(learner, Forest | LightGBM)
    rows = _with_levels(
        graph, learner.levels, rules.inputs, changes(graph, learner.lags, examples, *rules.inputs.shape)
    )
    if isinstance(learner, Forest):
        return forecasts(graph, learner.lags, _forest(graph, learner, rows, rules.target), examples)
    each = [_boosting(graph, dump, learner, rules.inputs, rows, rules.target) for dump in learner.dumps]
    found = graph("Concat", *each, axis=1) if len(each) > 1 else each[0]
    if isinstance(rules.target, Quantiles):
        found = ascending(graph, found, rules.target.n_outputs)
    return forecasts(graph, learner.lags, found, examples)


def _filled(graph: Graph, inputs: Columns, rows: str) -> str:
    """As ``Columns.filled``."""
    if not any(inputs.complete):
        return rows
    others = [0] * len(inputs.cardinalities)
    gaps = graph("And", graph("IsNaN", rows), graph.constant([*inputs.complete, *others], np.bool_))
    return graph("Where", gaps, graph.constant([*inputs.mean, *others]), rows)


def ascending(graph: Graph, quantiles: str, n: int) -> str:
    """Each row sorted in ascending order."""
    return graph("TopK", quantiles, graph.constant([n], np.int64), n_outputs=2, axis=1, largest=0, sorted=1)


def _with_levels(graph: Graph, levels: ManyLevels, inputs: Columns, rows: str) -> str:
    """The rows with numbers in place of the categories with many levels."""
    if not levels.columns:
        return rows
    kept = [place for place in range(inputs.shape[0]) if place not in levels.columns]
    parts = [graph("Gather", rows, graph.constant(kept, np.int64), axis=1)] if kept else []
    for column, table in zip(levels.columns, levels.tables, strict=True):
        codes = graph.cast(graph("Gather", rows, graph.constant(column, np.int64), axis=1), np.int64)
        parts.append(graph("Gather", graph.constant(table), codes))
    return graph("Concat", *parts, axis=1)


def _forest(graph: Graph, learner: Forest, rows: str, target: Any) -> str:
    trees = [each.tree_ for each in learner.forest.estimators_]
    classes = np.asarray(learner.forest.classes_, int) if isinstance(target, Classes) else np.zeros(1, int)
    ensemble = Trees(target.n_outputs)
    for tree in trees:
        ensemble.add(
            tree.children_left, tree.children_right, tree.children_left < 0, tree.feature, tree.threshold,
            tree.missing_go_to_left, tree.value[:, 0, :] / len(trees), classes.tolist(),
        )  # fmt: skip
    found = ensemble.node(graph, rows)
    if not isinstance(target, Classes):
        return found
    # One more tree, with uniform probabilities, as in Forest.
    known = graph("Mul", found, graph.constant(len(trees) / (len(trees) + 1)))
    return graph("Add", known, graph.constant(1.0 / target.n_outputs / (len(trees) + 1)))


def _symmetric(graph: Graph, learner: CatBoost, rows: str, target: Any) -> str:
    """Trees with the same split in all nodes of a level; numbers are in float64, as the bias may be large."""
    content = learner.as_json()
    n_outputs = target.n_outputs if not isinstance(target, Classes) or target.n_outputs > 2 else 1
    ensemble, (scale, bias) = Trees(n_outputs), content["scale_and_bias"]
    for tree in content["oblivious_trees"]:
        splits = tree["splits"] or []
        depths = np.arange(len(splits))
        n_inner, n_leaves = 2 ** len(splits) - 1, 2 ** len(splits)
        nodes, level = np.arange(n_inner + n_leaves), np.repeat(depths, 2**depths)
        feature, threshold = np.zeros(len(nodes), int), np.zeros(len(nodes))
        feature[:n_inner] = [splits[i]["float_feature_index"] for i in level]
        threshold[:n_inner] = [splits[i]["border"] for i in level]
        # The first split is the lowest bit of a leaf's number in CatBoost, but the highest bit of its place here.
        number = ((np.arange(n_leaves)[:, None] >> depths & 1) << depths[::-1]).sum(1)
        values = np.zeros((len(nodes), n_outputs))
        values[n_inner:] = scale * np.reshape(tree["leaf_values"], (n_leaves, n_outputs))[number]
        ensemble.add(
            2 * nodes + 1, 2 * nodes + 2, nodes >= n_inner, feature, threshold, np.ones(len(nodes), bool), values,
            list(range(n_outputs)),
        )  # fmt: skip
    raw = graph.cast(ensemble.node(graph, rows), np.float64)
    raw = graph("Add", raw, graph.constant(np.reshape(bias, (1, n_outputs)), np.float64))
    if learner.unit is not None:
        return graph("Mul", graph("Exp", raw), graph.constant(learner.unit, np.float64))
    return probabilities(graph, graph.cast(raw, np.float32), n_outputs) if isinstance(target, Classes) else raw


def _boosting(graph: Graph, dump: dict[str, Any], learner: LightGBM, inputs: Columns, rows: str, target: Any) -> str:
    """Each set of categories that a split sends left becomes an extra column, 0 for these and 1 for others."""
    n_columns = dump["max_feature_idx"] + 1
    n_outputs = target.n_outputs if isinstance(target, Classes) and target.n_outputs > 2 else 1
    sets: dict[tuple[int, bytes], int] = {}
    ensemble = Trees(n_outputs)
    for place, entry in enumerate(dump["tree_info"]):
        _add_tree(ensemble, place % n_outputs, _nodes(entry["tree_structure"]), n_columns, sets, learner, inputs)
    columns = [rows]
    for column, table in sets:
        code = graph.cast(cut(graph, rows, column, column + 1), np.int64)
        columns.append(graph("Gather", graph.constant(np.frombuffer(table, np.float32)), code))
    raw = ensemble.node(graph, graph("Concat", *columns, axis=1) if len(columns) > 1 else rows)
    if learner.unit is not None:
        return graph("Mul", graph("Exp", raw), graph.constant(learner.unit))
    return probabilities(graph, raw, n_outputs) if isinstance(target, Classes) else raw


def _nodes(root: dict[str, Any]) -> list[dict[str, Any]]:
    """All nodes of a tree, the root first, each with the places of its children."""
    nodes = [root]
    for node in nodes:  # grows
        if "split_feature" in node:
            node["children"] = (len(nodes), len(nodes) + 1)
            nodes += [node["left_child"], node["right_child"]]
    return nodes


def _add_tree(
    ensemble: Trees,
    output: int,
    nodes: list[dict[str, Any]],
    n_columns: int,
    sets: dict[tuple[int, bytes], int],
    learner: LightGBM,
    inputs: Columns,
) -> None:
    n = len(nodes)
    left, right, feature = np.zeros(n, int), np.zeros(n, int), np.zeros(n, int)
    threshold, missing, value, is_leaf = np.zeros(n), np.zeros(n, bool), np.zeros((n, 1)), np.ones(n, bool)
    for i, node in enumerate(nodes):
        if "split_feature" not in node:
            value[i] = node["leaf_value"]
            continue
        is_leaf[i] = False
        left[i], right[i] = node["children"]
        feature[i] = node["split_feature"]
        if node["decision_type"] == "==":
            goes_right = np.ones(learner.n_codes(inputs, int(feature[i])), np.float32)
            goes_right[[int(code) for code in node["threshold"].split("||")]] = 0
            feature[i] = n_columns + sets.setdefault((int(feature[i]), goes_right.tobytes()), len(sets))
            threshold[i] = 0.5
        else:
            threshold[i] = node["threshold"]
            # Without missing values in training, LightGBM reads them as 0.
            missing[i] = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
    ensemble.add(left, right, is_leaf, feature, threshold, missing, value, [output])
