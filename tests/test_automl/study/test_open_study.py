"""Runs that are killed or refused while they start."""

import signal
import socket
import subprocess
import sys

import pytest

import automl
from automl import Machines
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


@pytest.mark.parametrize(
    ("address", "token", "reason"),
    [
        ("127.0.0.1:0", "tokn", "cannot read the token in"),
        ("0.0.0.0:0", "token", "needs TLS: give --certificate FILE"),
        ("127.0.0.1:{taken}", "token", "cannot listen on"),
    ],
)
def test_a_folder_is_free_after_a_start_that_was_refused(address, token, reason, tmp_path):
    (tmp_path / "token").write_text("a secret of 32 characters or so!")
    options = {"strategy": "random", "n_trials": 2, "study": tmp_path / "run"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        machines = Machines(
            "tcp", listen=address.format(taken=server.getsockname()[1]), token_file=str(tmp_path / token)
        )
        with pytest.raises(UserError, match=reason):
            automl.tune(lambda config: config["x"], SPACE, executor=machines, **options)
    with pytest.raises(UserError, match="ended before it began; start it again"):
        automl.tune(lambda config: config["x"], SPACE, resume=True, **options)
    assert len(automl.tune(lambda config: config["x"], SPACE, **options).trials) == 2


def test_a_run_that_has_trials_is_continued_after_an_error_of_the_user(tmp_path):
    def refuse(result, trial):
        raise UserError("no more")

    options = {"strategy": "random", "n_trials": 2, "study": tmp_path / "run"}
    with pytest.raises(UserError, match="no more"):
        automl.tune(lambda config: config["x"], SPACE, callbacks=[refuse], **options)
    assert len(automl.tune(lambda config: config["x"], SPACE, resume=True, **options).trials) == 2
