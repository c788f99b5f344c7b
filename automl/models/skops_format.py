"""Scikit-learn's estimators in skops' format, which cannot contain code."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

from automl.models.integrity import check_expansion

FILE = "model.skops"
TRUSTED = (  # types in fitted estimators that are not in skops' own list
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
ADAPTERS = tuple(f"sklearn.externals.array_api_compat.{name}" for name in ("dask", "torch"))
LOCK = threading.Lock()


def estimator_bytes(estimator: Any) -> bytes:
    """A fitted estimator as bytes."""
    content: bytes = _skops().dumps(estimator)
    return content


def estimator_from(content: bytes) -> Any:
    """The inverse of ``estimator_bytes``; anything but scikit-learn's models and numbers is rejected.

    ValueError if it would unpack to much more than its size.
    """
    check_expansion(content)
    return _skops().loads(content, trusted=list(TRUSTED))


def _skops() -> Any:
    """``skops.io``, imported without torch and dask.

    To list all estimators, skops imports every package in scikit-learn, the adapters to torch and dask included, and
    ignores those whose import fails. Torch takes seconds, and brings an OpenMP that LightGBM should not share a process
    with. So the adapters, which nothing else imports, cannot be imported meanwhile; torch can, by other threads.
    """
    with LOCK:
        hidden = [name for name in ADAPTERS if name not in sys.modules and "skops.io" not in sys.modules]
        blocked: Any = dict.fromkeys(hidden)
        sys.modules.update(blocked)  # None: importing it raises ImportError
        try:
            return importlib.import_module("skops.io")
        finally:
            for name in hidden:
                sys.modules.pop(name, None)
