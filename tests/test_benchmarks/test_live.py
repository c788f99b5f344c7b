"""Real trainings in the comparison: run once, shared, and isolated."""

import json
import os
import shutil
import time

import numpy as np
import pytest

from automl.space.parse import load_space
from automl.study.study import Study
from automl.tasks.function import as_task
from automl.tasks.registry import load_task
from automl.tuning.trainings import training_seed
from automl.tuning.tuner import Tuner
from benchmarks.runner.replay import ReplayExecutor
from benchmarks.suites.live_task import LiveTask
from strategies import make_strategy
from strategies.encoding import Encoding

SPACE = {"x": {"float": [0, 1]}}


def live(objective, folder, *, trial_seconds=None, **options):
    return LiveTask.of("own", "mine", as_task(objective, SPACE, **options), folder, trial_seconds)


def test_a_training_is_run_once_and_kept(tmp_path):
    def train(config, seed):
        with (tmp_path / "calls").open("a") as calls:
            calls.write("x")
        return config["x"] + seed

    task = live(train, tmp_path / "kept")
    again = live(train, tmp_path / "kept")
    for one in (task, task, again):
        curve = one.curve({"x": 0.25}, 3, 1)
        assert curve.losses.tolist() == [3.25]
        assert curve.error is None
    assert (tmp_path / "calls").read_text() == "x"
    task.curve({"x": 0.25}, 4, 1)
    task.curve({"x": 0.5}, 3, 1)
    assert (tmp_path / "calls").read_text() == "xxx"


def test_a_crashing_training_fails_alone(tmp_path):
    def train(config):
        if config["x"] < 0.2:
            os._exit(9)
        if config["x"] < 0.4:
            time.sleep(60)
        if config["x"] < 0.6:
            return float("nan")
        return config["x"]

    task = live(train, tmp_path, trial_seconds=1.0)
    assert "exit status 9" in task.curve({"x": 0.1}, 0, 1).error
    assert "longer than 1 s" in task.curve({"x": 0.3}, 0, 1).error
    assert "nan" in task.curve({"x": 0.5}, 0, 1).error
    assert task.curve({"x": 0.7}, 0, 1).losses.tolist() == [0.7]


def test_a_generator_keeps_its_custom_length(tmp_path):
    def train(config):
        yield from (config["x"] + 3, config["x"] + 2, config["x"])

    task = live(train, tmp_path)
    study = Study(task.space, task.max_epochs)
    strategy = make_strategy("random", task.space, seed=0, n_trials=3)
    Tuner(task, strategy, study, ReplayExecutor(task, 1, lambda n: 0.0), n_trials=3, seed=0).run()
    assert [len(trial.losses) for trial in study.trials.values()] == [3, 3, 3]
    assert all(trial.loss == trial.config["x"] for trial in study.trials.values())


@pytest.fixture(scope="module")
def digits():
    return load_task("digits-cnn", train_size=100)


def test_a_resumed_training_equals_the_uninterrupted_one(tmp_path, digits):
    config = Encoding(digits.space).default
    straight = LiveTask.of("networks", "digits", digits, tmp_path / "straight")
    paused = LiveTask.of("networks", "digits", digits, tmp_path / "paused")
    whole = straight.curve(config, 5, 8)
    assert len(whole.losses) == 8
    for epochs in (2, 3, 8):
        part = paused.curve(config, 5, epochs)
        assert part.losses.tolist() == whole.losses[:epochs].tolist()
    tests = [paused.test_loss(config, 5, epoch) for epoch in range(1, 9)]
    assert [i + 1 for i, test in enumerate(tests) if test is not None] == [2, 3, 8]  # where it was asked to end
    assert tests[-1] == straight.test_loss(config, 5, 8)
    assert 0 <= tests[-1] <= 1
    assert straight.final_loss(config) is None
    assert [path.suffix for path in sorted((tmp_path / "paused" / "digits").iterdir())] == [".json", ".lock"]


def test_a_killed_training_resumes_from_the_stored_state(tmp_path, digits):
    config = Encoding(digits.space).default
    task = LiveTask.of("networks", "digits", digits, tmp_path)
    whole = LiveTask.of("networks", "digits", digits, tmp_path / "other").curve(config, 5, 4)
    task.curve(config, 5, 2)
    shutil.copytree(tmp_path / "digits", tmp_path / "copy")
    task.curve(config, 5, 3)  # killed before its file was written, it leaves a checkpoint that is further on
    shutil.copytree(tmp_path / "copy", tmp_path / "digits", dirs_exist_ok=True)
    assert task.curve(config, 5, 4).losses.tolist() == whole.losses.tolist()


def test_the_trainings_equal_those_of_the_tuner(tmp_path, digits):
    task = LiveTask.of("networks", "digits", digits, tmp_path)
    config = Encoding(digits.space).default
    seed = training_seed(0, 0)
    own = [e.loss for e in digits.train(config, seed=seed, epochs=2, checkpoint=None, device="cpu")]
    assert task.curve(config, seed, 2).losses.tolist() == pytest.approx(own)


def test_a_command_can_be_compared(tmp_path):
    from automl.tasks.shell_command import CommandTask

    space = load_space(SPACE)
    task = LiveTask.of("own", "command", CommandTask("echo {x}", space), tmp_path)
    assert task.curve({"x": 0.5}, 0, 1).losses.tolist() == [0.5]
    kept = json.loads(next((tmp_path / "command").glob("*.json")).read_text())
    assert kept["config"] == {"x": 0.5}
    assert np.isfinite(kept["seconds"]).all()
