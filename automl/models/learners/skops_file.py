"""Scikit-learn's estimators in skops' format, which cannot contain code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl.models.integrity import check_expansion

FILE = "model.skops"
# Types in the learners' estimators that are not in skops' own list of trusted types.
TRUSTED = ("functools.partial", "numpy.dtype", "sklearn.tree._tree.Tree")


def write_estimator(estimator: Any, folder: Path) -> None:
    """Write a fitted estimator to a folder."""
    import skops.io

    skops.io.dump(estimator, folder / FILE)


def read_estimator(folder: Path) -> Any:
    """The inverse of ``write_estimator``; anything but scikit-learn's models and numbers is rejected.

    ValueError if it would unpack to much more than its size.
    """
    import skops.io

    check_expansion(folder / FILE)
    return skops.io.load(folder / FILE, trusted=list(TRUSTED))
