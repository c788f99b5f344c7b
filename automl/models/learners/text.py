"""Families for whole texts, on TF-IDF of n-grams: a linear model, and boosting on its leading singular vectors."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from automl.data.inputs import Array, Columns, Texts
from automl.data.ngrams import WORD_COLUMNS, count_ngrams
from automl.data.targets import Classes, Target
from automl.models.integrity import open_arrays
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.lightgbm import LightGBM
from automl.models.learners.tfidf import TfIdf

TOLERANCE = 1e-2  # of the solver: a smaller one doubles the time and hardly changes predictions
MIN_PROBABILITY = 1e-6  # of a class
FILE = "text.npz"


class TextLearner(Learner):
    """A model of the n-grams of texts."""

    @staticmethod
    def read(x: Array) -> csr_array:
        return count_ngrams(x)


class LinearTfIdf(TextLearner):
    """One-vs-rest logistic regression, or ridge regression.

    config: c, ngrams (of words, or also of characters), weighting (classes only): naive_bayes multiplies the features
    by the log-count ratios of a naive Bayes model (S. Wang and C. Manning, Baselines and Bigrams: Simple, Good
    Sentiment and Topic Classification, ACL 2012), here by their absolute values, so that signs are kept.
    """

    def __init__(self, config: Mapping[str, Any], inputs: Texts, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self.features: TfIdf
        self.weights: NDArray[np.float32]  # (outputs, features)
        self.bias: NDArray[np.float32]  # (outputs,)

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        weighting = {"weighting": {"choice": ["naive_bayes", "none"], "default": "naive_bayes"}}
        return {
            "c": {"float": [0.1, 1000.0], "log": True, "default": 30.0 if classes else 3.0},
            "ngrams": {"choice": ["characters", "words"], "default": "characters"},
            **(weighting if classes else {}),
        }

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        from threadpoolctl import threadpool_limits

        counts = train.x if self.config["ngrams"] == "characters" else _only_words(train.x)
        self.features = TfIdf.fit(counts)
        x = self.features(counts)
        with threadpool_limits(1):
            found = self._of_classes(x, train.y) if isinstance(self.target, Classes) else self._of_numbers(x, train.y)
        self.weights, self.bias = (np.asarray(part, np.float32) for part in found)

    def _of_classes(self, x: csr_array, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        n_classes, weighs = self.target.n_outputs, self.config["weighting"] == "naive_bayes"
        x = x.astype(np.float64)
        weights, bias = np.zeros((n_classes, x.shape[1]), np.float32), np.full(n_classes, np.log(MIN_PROBABILITY))
        for place in np.unique(y):
            own = y == place
            if own.all():
                bias[place] = -np.log(MIN_PROBABILITY)
                continue
            ratios = _log_count_ratios(x, own) if weighs else np.ones(x.shape[1])
            weighed = csr_array((x.data * ratios[x.indices], x.indices, x.indptr), shape=x.shape)
            model = LogisticRegression(
                C=self.config["c"], solver="liblinear", dual=True, tol=TOLERANCE, random_state=self.seed % 2**32
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # more steps would hardly change predictions
                model.fit(weighed, own)
            weights[place], bias[place] = model.coef_[0] * ratios, model.intercept_[0]
        return weights, bias

    def _of_numbers(self, x: csr_array, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        from sklearn.linear_model import Ridge

        standardised = (np.asarray(y, np.float64) - self.target.mean) / self.target.std  # type: ignore[union-attr]
        model = Ridge(1.0 / self.config["c"], solver="sparse_cg").fit(x, standardised)
        return model.coef_[None], np.array([model.intercept_])

    def predict(self, x: csr_array) -> NDArray[np.float64]:
        raw: NDArray[np.float64] = (self.features(x) @ self.weights.T).astype(np.float64) + self.bias
        if not isinstance(self.target, Classes):
            numbers: NDArray[np.float64] = raw[:, 0] * self.target.std + self.target.mean
            return numbers
        each = np.maximum(1 / (1 + np.exp(-raw)), MIN_PROBABILITY)
        probabilities: NDArray[np.float64] = each / each.sum(1, keepdims=True)
        return probabilities

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, weights=self.weights, bias=self.bias, **self.features._asdict())

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Texts, target: Target) -> Self:
        found = cls(config, inputs, target, seed=0)
        with open_arrays(folder / FILE) as content:
            found.features = TfIdf(content["columns"], content["idf"])
            found.weights, found.bias = content["weights"], content["bias"]
        return found


def _only_words(counts: csr_array) -> csr_array:
    return counts[:, :WORD_COLUMNS]


def _log_count_ratios(x: csr_array, own: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The size of the log-count ratio of each feature, by the texts of a class and others that have it, plus one."""
    present = csr_array((np.ones(len(x.data)), x.indices, x.indptr), shape=x.shape)
    inside, every = present[own].sum(0) + 1.0, present.sum(0) + 2.0
    outside = every - inside
    ratios: NDArray[np.float64] = np.abs(np.log(inside / inside.sum() / (outside / outside.sum())))
    return ratios


class LsaLightGBM(TextLearner):
    """LightGBM on the leading singular vectors of TF-IDF, as in latent semantic analysis.

    config: vectors (how many), and that of LightGBM.
    """

    share_of_seconds = LightGBM.share_of_seconds

    def __init__(self, config: Mapping[str, Any], inputs: Texts, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self.features: TfIdf
        self.vectors: NDArray[np.float32]  # (features, vectors)
        self.boosting: LightGBM

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        own = LightGBM.space(classes=classes, with_levels=False)
        fewer = {"leaves": own["leaves"] | {"default": 15}, "columns": own["columns"] | {"default": 0.5}}
        return {"vectors": {"ordinal": [32, 64, 128], "default": 64}, **own, **fewer}

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        from sklearn.utils.extmath import randomized_svd

        start = time.perf_counter()
        self.features = TfIdf.fit(train.x)
        x = self.features(train.x)
        n = min(self.config["vectors"], *x.shape)
        *_, vectors = randomized_svd(x, n, n_iter=2, random_state=self.seed % 2**32)
        self.vectors = np.ascontiguousarray(vectors.T, np.float32)
        rows = x @ self.vectors
        self.boosting = LightGBM(self.config, Columns.of(rows, ()), self.target, self.seed)
        if self.max_seconds is not None:
            self.boosting.max_seconds = max(0.0, self.max_seconds - (time.perf_counter() - start))
        self.boosting.aborts_if_late = self.aborts_if_late
        scored = None if valid is None else Rows(self.features(valid.x) @ self.vectors, valid.y)
        self.boosting.fit(Rows(rows, train.y), scored, rounds)
        self.rounds = self.boosting.rounds

    def predict(self, x: csr_array) -> NDArray[np.float64]:
        return self.boosting.predict(self.features(x) @ self.vectors)

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, vectors=self.vectors, **self.features._asdict())
        self.boosting.save(folder)

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Texts, target: Target) -> Self:
        found = cls(config, inputs, target, seed=0)
        with open_arrays(folder / FILE) as content:
            found.features, found.vectors = TfIdf(content["columns"], content["idf"]), content["vectors"]
        n = found.vectors.shape[1]
        found.boosting = LightGBM.load(folder, config, Columns((0.0,) * n, (1.0,) * n, (), (True,) * n), target)
        found.rounds = found.boosting.rounds
        return found
