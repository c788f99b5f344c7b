"""Runs that are killed while they start."""

import signal
import subprocess
import sys

import pytest

import automl
from automl.errors import UserError

SPACE = {"x": {"float": [0, 1]}}


@pytest.mark.parametrize("method", ["create_new_study", "set_study_user_attr"])
def test_a_run_killed_before_its_study_is_recorded_can_be_started_again(tmp_path, method):
    script = f"""
import os, signal
import automl, optuna
optuna.storages.RDBStorage.{method} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
automl.tune(lambda config: config["x"], {SPACE}, strategy="random", study={str(tmp_path / "run")!r})
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "study.db").exists()
    options = {"strategy": "random", "n_trials": 2, "study": tmp_path / "run"}
    with pytest.raises(UserError, match="ended before it began; start it again"):
        automl.tune(lambda config: config["x"], SPACE, resume=True, **options)
    assert len(automl.tune(lambda config: config["x"], SPACE, **options).trials) == 2
    assert not (tmp_path / "run" / ".starting").exists()
    with pytest.raises(
        UserError, match=r"is not empty; choose another, or continue it with tune\(\.\.\., resume=True\)"
    ):
        automl.tune(lambda config: config["x"], SPACE, **options)
