"""Estimators as bytes."""

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from automl.models.skops_format import estimator_bytes, estimator_from
x = np.arange(20.0).reshape(10, 2)
model = ExtraTreesClassifier(5, random_state=0).fit(x, [0, 1] * 5)
again = estimator_from(estimator_bytes(model))
assert (again.predict_proba(x) == model.predict_proba(x)).all()
assert not {"dask", "torch"} & {*sys.modules}, "packages that LightGBM should not share a process with"
"""


def test_an_estimator_is_the_same_after_it_was_written_and_read_without_torch():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


THREADS = """
import sys
from threading import Thread
from sklearn.linear_model import Ridge
from automl.models.skops_format import estimator_bytes
model, found = Ridge().fit([[0.0], [1.0]], [0, 1]), []
threads = [Thread(target=lambda: found.append(estimator_bytes(model))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(found) == 4
assert not {"dask", "torch"} & {*sys.modules}
"""


def test_threads_may_write_estimators_at_once():
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


BESIDE_TORCH = """
import sys
from threading import Thread
from sklearn.linear_model import Ridge
from automl.models.skops_format import estimator_bytes
model, found = Ridge().fit([[0.0], [1.0]], [0, 1]), []
thread = Thread(target=lambda: found.append(estimator_bytes(model)))
thread.start()
while "skops" not in sys.modules:
    pass
import torch
thread.join()
assert len(found) == 1 and torch.ones(2).sum() == 2
"""


def test_another_thread_may_import_torch_meanwhile():
    done = subprocess.run([sys.executable, "-c", BESIDE_TORCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


STRANGE = """
from sklearn.svm import SVC
from sklearn.utils import all_estimators
from automl.models.skops_format import estimator_bytes, estimator_from
content = estimator_bytes(SVC().fit([[0.0], [1.0]], [0, 1]))
assert len(all_estimators()) > 100, "the user's own calls list all"
estimator_from(content)
"""


def test_estimators_that_no_model_here_consists_of_are_rejected():
    done = subprocess.run([sys.executable, "-c", STRANGE], capture_output=True, text=True)
    assert done.returncode == 1
    assert "UntrustedTypesFoundException" in done.stderr
    assert "sklearn.svm._classes.SVC" in done.stderr
