"""Estimators as bytes."""

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from automl.models.skops_format import HEAVY, estimator_bytes, estimator_from
x = np.arange(20.0).reshape(10, 2)
model = ExtraTreesClassifier(5, random_state=0).fit(x, [0, 1] * 5)
again = estimator_from(estimator_bytes(model))
assert (again.predict_proba(x) == model.predict_proba(x)).all()
assert not {*HEAVY} & {*sys.modules}, "packages that LightGBM should not share a process with"
"""


def test_an_estimator_is_the_same_after_it_was_written_and_read_without_torch():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
