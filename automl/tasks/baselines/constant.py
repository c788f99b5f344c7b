"""What can be said of new examples without a look at them: what a model of one's own data must beat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.splits import Splits


def say_the_usual(splits: Splits) -> tuple[str, NDArray[Any]]:
    """Its name, and of the test part the probabilities (n, n_classes) or numbers (n,) that training has on average."""
    n = len(splits.y_test)
    if splits.n_classes:
        shares = np.bincount(splits.y_train, minlength=splits.n_classes) / len(splits.y_train)
        return "always the largest class", np.tile(shares, (n, 1))
    return "always the mean", np.full(n, np.mean(splits.y_train, dtype=float))


def say_what_was(splits: Splits) -> tuple[str, NDArray[Any]]:
    """Of windows of a series, (n, channels, steps) with the target first and the newest last: nothing changes."""
    return "nothing changes", np.asarray(splits.x_test[:, 0, -1], float)
