"""Scikit-learn's handwritten digits (the test set of UCI Optdigits): 1,797 images of 8x8 pixels, grey values 0 to 16.

Split into 1,077 for training, 360 for validation and 360 for test: small enough for tests and first runs.
"""

import numpy as np

from automl.data.splits import Splits, make_splits, stratified

N_VALID = N_TEST = 360


def where() -> str:
    return "part of scikit-learn"


def fetch(*, download: bool) -> str:
    return "nothing to fetch"


def load() -> Splits:
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.images.astype(np.uint8)[:, None], digits.target.astype(np.int64)
    test, rest = stratified(y, N_TEST)
    return make_splits(x[rest], y[rest], x[test], y[test], n_valid=N_VALID, classes=tuple("0123456789"))
