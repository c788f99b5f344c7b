"""The interface of a model family that is cross-validated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array
from automl.data.rows import as_rows
from automl.data.targets import Quantiles, Target


class Rows(NamedTuple):
    """Rows with their labels.

    ``x``: what ``Learner.read`` returns; for a table, float32 (n, columns) as described by ``Columns``: first numbers,
    NaN if missing, then category codes, 0 if missing or unseen. ``y``: (n,), class indices of int64 or numbers.
    ``weights``: (n,), positive sample weights; None: equal weights, as always except for tables.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[Any] | None = None


Rounds = tuple[int, ...]
"""Boosting rounds: one number, or one per quantile; forests: trees; RealMLP: epochs, and those of the schedule."""


class Learner(ABC):
    """A model that is fitted in one go, with early stopping where it has rounds. It uses one thread."""

    has_out_of_bag: ClassVar[bool] = False
    """Whether ``out_of_bag`` predicts each training row with the parts of the model that were not fitted to it."""
    takes_quantiles: ClassVar[bool] = False
    """Whether the target may be ``Quantiles``; ``predict`` then returns (n, n_levels), ascending."""
    runtime: ClassVar[str] = ""
    """The native library, if it must not share a process with others: LightGBM and torch bring their own OpenMP, and
    two of them slow each other down or crash."""
    is_bagged: ClassVar[bool] = False
    """Whether the fold models are kept and averaged instead of refitting one model to all rows. For early stopping,
    each then uses another fold than the one it predicts."""
    share_of_seconds: ClassVar[float | None] = None
    """For fits that adapt to their time limit: the share of a configuration's seconds that they get, to leave time for
    others. Boosting keeps its best round so far, since rounds only add to earlier ones; forests have fewer trees;
    RealMLP shortens its schedule.
    None: a fit takes the time that it takes."""
    keeps_best: ClassVar[bool] = False
    """Whether ``fit`` keeps the round that is best on the validation rows. Its predictions for them are optimistic, so
    rows of another fold are used instead."""

    def __init__(self, config: Mapping[str, Any], inputs: Any, target: Target, seed: int) -> None:
        """``inputs`` and ``target``: the statistics of all training rows."""
        self.config, self.inputs, self.target, self.seed = config, inputs, target, seed
        self.max_seconds: float | None = None
        """Time limit of a fit. One that adapts to it ends there, or as soon as the model is of use; others raise
        TooSlow as soon as their first rounds show that they will take longer."""
        self.aborts_if_late = True
        """Whether a fit that adapts to its time limit raises TooSlow if its model would not be of use by then."""
        self.rounds: Rounds = ()
        """The rounds of the fitted model."""

    @classmethod
    @abstractmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        """The search space in the short form, whose defaults are the preset; ``with_levels``: there are categories."""

    @staticmethod
    def read(x: Array) -> Any:
        """Convert raw examples (n, ...) to the learner's input, independently of the training rows: once for all folds.

        By default, convert them to rows of a table.
        """
        return as_rows(x)

    @abstractmethod
    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        """Fit to the training rows. With ``valid``, stop early by its loss; without it, train for ``rounds``.

        ``rounds``: of an earlier fit. With ``valid``, a network only takes the length of its schedule from them.

        Some classes may have no training row.
        """

    @abstractmethod
    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (n, n_classes), numbers (n,), or quantiles (n, n_levels)."""

    def out_of_bag(self) -> NDArray[np.float64]:
        """Predictions for the training rows of an unweighted fit; see ``has_out_of_bag``."""
        raise NotImplementedError

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted model to an existing folder, in formats that cannot contain code."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Any, target: Target) -> Self:
        """The inverse of ``save``."""


def mean_rounds(each: Sequence[Rounds], target: Target) -> Rounds:
    """The mean rounds of the fold models, for a model that is fitted to all rows.

    The geometric mean for quantiles: a few rows decide when the outer ones stop, in some folds ten times later than in
    others.
    """
    if not each:
        return ()
    geometric = isinstance(target, Quantiles)
    means = np.exp(np.log(np.maximum(each, 1)).mean(axis=0)) if geometric else np.mean(each, axis=0)
    return tuple(round(mean) for mean in means)
