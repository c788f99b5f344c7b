"""The tree-based learners for tables as ONNX nodes with the same predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from automl.data.inputs import Columns
from automl.data.targets import Classes
from automl.deployment.onnx_estimators import Trees, cut, probabilities
from automl.deployment.onnx_graph import Graph
from automl.models.learners.forests import N_TREES, Forest
from automl.models.learners.levels import ManyLevels
from automl.models.learners.lightgbm import LightGBM
from automl.models.trained import TrainedLearner

EXPORTED = ("lightgbm", "random_forest", "extra_trees")


def learner_nodes(graph: Graph, model: TrainedLearner, examples: str) -> str:
    """Add a learner that reads raw rows; returns probabilities (n, n_classes), or numbers (n, 1)."""
    learner, rules = model.learner, model.preprocessing
    assert isinstance(rules.inputs, Columns)
    if isinstance(learner, Forest):
        return _forest(graph, learner, _with_levels(graph, learner.levels, rules.inputs, examples), rules.target)
    assert isinstance(learner, LightGBM)
    return _boosting(graph, learner, rules.inputs, examples, rules.target)


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
    # One more tree that knows nothing, as in Forest.
    known = graph("Mul", found, graph.constant(N_TREES / (N_TREES + 1)))
    return graph("Add", known, graph.constant(1.0 / target.n_outputs / (N_TREES + 1)))


def _boosting(graph: Graph, learner: LightGBM, inputs: Columns, examples: str, target: Any) -> str:
    """Each set of categories that a split sends left becomes an extra column, 0 for these and 1 for others."""
    rows = _with_levels(graph, learner.levels, inputs, examples)
    dump = learner.booster.dump_model(num_iteration=learner.rounds)
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
