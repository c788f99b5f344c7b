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
from automl.data.targets import Target


class Rows(NamedTuple):
    """Rows with their labels.

    ``x``: what ``Learner.read`` returns, for a table (n, columns) of float32, as ``Columns`` describes: numbers first,
    NaN if missing, then category codes, 0 if missing or unseen. ``y``: (n,), class indices of int64 or numbers.
    ``weights``: (n,), how much a row counts, above 0; None: all the same, as always but for tables.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[Any] | None = None


Rounds = tuple[int, ...]  # boosting rounds or epochs: one number, one a quantile, or none


class Learner(ABC):
    """A model that is fitted in one go, with early stopping where it has rounds. It uses one thread."""

    has_out_of_bag: ClassVar[bool] = False
    """Whether ``out_of_bag`` predicts the training rows by the parts of the model that have not seen them."""
    takes_quantiles: ClassVar[bool] = False
    """Whether the target may be ``Quantiles``; ``predict`` then returns (n, n_levels), ascending."""
    runtime: ClassVar[str] = ""
    """Of its compiled code, where that must not share a process with others': LightGBM and torch bring their own
    OpenMP, two of which slow each other down or crash."""
    is_bagged: ClassVar[bool] = False
    """Whether the models of the folds are kept and averaged, instead of one fitted again to all rows. Each then stops
    early by rows of another fold than the one that it predicts."""
    is_anytime: ClassVar[bool] = False
    """Whether a fit whose time is up ends with its best round so far, as each round only adds to those before it."""
    keeps_best: ClassVar[bool] = False
    """Whether ``fit`` keeps the round that is best on the validation rows, so that predictions for these are flattered
    and rows of another fold are set aside for it."""

    def __init__(self, config: Mapping[str, Any], inputs: Any, target: Target, seed: int) -> None:
        """``inputs`` and ``target``: the statistics of all training rows."""
        self.config, self.inputs, self.target, self.seed = config, inputs, target, seed
        self.most_seconds: float | None = None
        """Of a fit, which ends then if it ``is_anytime``, or else raises TooSlow where its first rounds show that it
        will take longer."""
        self.gives_up = True
        """Whether a fit that ``is_anytime`` raises TooSlow where it would be of no use by then."""
        self.rounds: Rounds = ()
        """Those of the fitted model."""

    @classmethod
    @abstractmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        """The search space in the short form, whose defaults are the preset; ``with_levels``: there are categories."""

    @staticmethod
    def read(x: Array) -> Any:
        """What the learner makes of raw examples (n, ...) whatever it is fitted to, done once for all folds.

        By default they become rows of a table.
        """
        return as_rows(x)

    @abstractmethod
    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        """Fit to the training rows. With ``valid``, stop early by its loss; without it, train for ``rounds``.

        Some classes may have no training row.
        """

    @abstractmethod
    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (n, n_classes), numbers (n,), or quantiles (n, n_levels)."""

    def out_of_bag(self) -> NDArray[np.float64]:
        """Predictions for the training rows, which had no weights; see ``has_out_of_bag``."""
        raise NotImplementedError

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted model to an existing folder, in formats that cannot contain code."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Any, target: Target) -> Self:
        """The inverse of ``save``."""


def mean_rounds(each: Sequence[Rounds]) -> Rounds:
    """Those of models that were fitted to parts of the rows, for one that is fitted to all."""
    return tuple(round(mean) for mean in np.mean(each, axis=0)) if each else ()
