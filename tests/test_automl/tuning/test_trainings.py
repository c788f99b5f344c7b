"""Trainings that have to go back: damaged checkpoints, lost workers, and trials that were too slow."""

import os
import shutil
import time
import warnings

import optuna
import pytest
from searches import SPACE, Halving, facts

import automl
from automl.study import storage
from automl.study.sqlite import sqlite_url
from automl.tuning.jobs import MAX_RETRIES
from automl.tuning.trainings import training_seed
from strategies.random_search import RandomSearch


def flip_a_bit(checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[-100] ^= 1
    checkpoint.write_bytes(content)


@pytest.mark.parametrize("damage", [flip_a_bit, lambda checkpoint: checkpoint.unlink(), lambda checkpoint: None])
def test_a_trial_whose_checkpoint_is_damaged_or_gone_is_trained_from_scratch_and_the_run_goes_on(tmp_path, damage):
    options = {"strategy": Halving, "max_epochs": 3}
    folder = tmp_path / "run"
    automl.tune("digits-cnn", study=folder, n_trials=1, **options)
    checkpoints = sorted((folder / "trials").glob("*/checkpoint.safetensors"))
    assert checkpoints
    for checkpoint in checkpoints:
        damage(checkpoint)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        resumed = automl.tune("digits-cnn", study=folder, n_trials=2, resume=True, **options)
    lines = [str(each.message) for each in said if "continues after epoch 0" in str(each.message)]
    assert bool(lines) == (damage is flip_a_bit)
    assert all("its checksum is wrong" in line and "\n" not in line for line in lines)
    assert facts(resumed) == facts(automl.tune("digits-cnn", n_trials=2, **options))


def test_a_checkpoint_that_holds_fewer_epochs_than_the_study_cuts_the_curve(tmp_path):
    """As after a backup was put back."""
    options = {"strategy": Halving, "max_epochs": 6}
    automl.tune("digits-cnn", study=tmp_path / "run", n_trials=1, **options)
    for folder in (tmp_path / "run" / "trials").iterdir():
        task = automl.as_task("digits-cnn", max_epochs=6)
        trial = automl.tune("digits-cnn", n_trials=1, **options).study.trials[int(folder.name)]
        shutil.rmtree(folder)
        list(task.train(trial.config, seed=training_seed(0, trial.number), epochs=1, checkpoint=folder, device="cpu"))
    with pytest.warns(UserWarning, match="continues after epoch 1: the checkpoint continues at epoch 2, not 3"):
        resumed = automl.tune("digits-cnn", study=tmp_path / "run", n_trials=2, resume=True, **options)
    assert facts(resumed) == facts(automl.tune("digits-cnn", n_trials=2, **options))


def test_a_worker_that_is_killed_from_outside_costs_a_retry_and_not_the_trial(tmp_path):
    def killed_once(config, folder):
        import os
        import signal

        for epoch in range(3):
            if epoch == 2 and not (folder.parent / "killed").exists():
                (folder.parent / "killed").touch()
                os.kill(os.getpid(), signal.SIGTERM)
            yield config["x"] + epoch

    options = {"strategy": "random", "n_trials": 2, "max_epochs": 3, "n_workers": 2, "study": tmp_path / "run"}
    with pytest.warns(UserWarning, match=r"trial \d is trained again: .* died \(signal SIGTERM\)"):
        result = automl.tune(killed_once, SPACE, **options)
    assert [(trial.state, len(trial.losses)) for trial in result.trials] == [("complete", 3)] * 2


def steps(folder):
    """The epochs of each trial that other programs see."""
    study = optuna.load_study(study_name="automl", storage=sqlite_url(folder / "study.db"))
    return [sorted(trial.intermediate_values) for trial in study.trials]


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["epochs are written at once", "epochs are kept"])
def test_nothing_is_seen_of_an_attempt_that_was_lost(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(storage, "SECONDS_BETWEEN_EPOCHS", seconds)

    def fails_earlier(config, folder):
        import os
        import signal

        yield 1.0
        if (folder.parent / "killed").exists():
            raise ValueError("no luck")
        yield 0.5
        yield 0.4
        (folder.parent / "killed").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.warns(UserWarning, match="no luck"), pytest.warns(UserWarning, match="is trained again"):
        result = automl.tune(
            fails_earlier, SPACE, strategy="random", n_trials=1, max_epochs=9, n_workers=2, study=tmp_path / "run"
        )
    assert (result.trials[0].error, result.trials[0].losses) == ("ValueError: no luck", [1.0])
    assert steps(tmp_path / "run") == [[1]]


def test_nothing_is_seen_of_an_attempt_that_was_killed_with_its_run(tmp_path, tune_watched):
    def curve(config, folder):
        yield 1.0
        if (folder.parent / "resumed").exists():
            raise ValueError("no luck")
        yield 0.5
        yield 0.4

    def interrupt(tuner):
        if any(len(running.losses) == 2 for running in tuner.running.values()):
            raise KeyboardInterrupt

    options = {"strategy": "random", "n_trials": 1, "max_epochs": 3, "study": tmp_path / "run"}
    with pytest.warns(UserWarning, match="interrupted"):
        tune_watched(curve, SPACE, watch=interrupt, **options)
    assert steps(tmp_path / "run") == [[1, 2]]
    (tmp_path / "run" / "trials" / "resumed").touch()
    with pytest.warns(UserWarning, match="no luck"):
        assert automl.tune(curve, SPACE, resume=True, **options).trials[0].losses == [1.0]
    assert steps(tmp_path / "run") == [[1]]


def test_a_training_whose_process_is_killed_every_time_has_failed(tmp_path):
    def killed(config, folder):
        import os
        import signal

        if config["x"] == 0:
            with (folder.parent / "attempts").open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return config["x"]

    with pytest.warns(UserWarning, match="trained again"):
        result = automl.tune(
            killed, SPACE, strategy="random", n_trials=2, n_workers=2, study=tmp_path / "run", reproducible=True
        )
    assert [trial.state for trial in result.trials] == ["failed", "complete"]
    assert "signal SIGKILL" in result.trials[0].error
    assert (tmp_path / "run" / "trials" / "attempts").read_text() == "x" * (1 + MAX_RETRIES)


def test_a_failed_training_has_cost_all_its_seconds(tmp_path):
    """Not only those of its finished epochs: strategies would take what hangs or dies to be cheap."""

    def fails(config, epochs=3):
        yield 1.0
        time.sleep(0.2)
        if config["how"] == "dies":
            os._exit(1)
        if config["how"] == "raises":
            raise RuntimeError("diverged")
        time.sleep(60)

    space = {"how": {"choice": ["hangs", "dies", "raises"]}}
    with pytest.warns(UserWarning, match="no trial succeeded"):
        result = automl.tune(fails, space, strategy="grid", n_trials=3, trial_seconds=1.0, study=tmp_path / "run")
    assert {trial.state for trial in result.trials} == {"failed"}
    least = {"hangs": 1.0, "dies": 0.2, "raises": 0.2}
    assert all(trial.seconds >= least[trial.config["how"]] for trial in result.trials)
    assert len(result.trials) == 3


def until_there_is_more_time(config, folder, epochs=3):
    """The default hangs until a file says that there is more time."""
    while config["x"] == 0.5 and not (folder.parent / "more time").exists():
        time.sleep(0.05)
    yield from [config["x"] + 1] * 3


@pytest.mark.parametrize("strategy", ["random", "bo+asha"])
def test_what_was_too_slow_is_tried_again_with_more_time(tmp_path, strategy):
    space, options = {"x": {"float": [0, 1]}}, {"strategy": strategy, "n_trials": 4, "study": tmp_path / "run"}
    first = automl.tune(until_there_is_more_time, space, **options, trial_seconds=0.6)
    assert first.trials[0].error == "too slow: it took longer than 0.6 s, the limit of a trial"
    (tmp_path / "run" / "trials" / "more time").touch()
    again = automl.tune(until_there_is_more_time, space, **options, trial_seconds=60.0, resume=True)
    assert again.trials[0].state in ("complete", "stopped")
    assert set(again.trials[0].losses) == {1.5}
    assert [trial.config for trial in again.trials[: len(first.trials)]] == [trial.config for trial in first.trials]
    assert not any(trial.state == "failed" for trial in again.trials)


class Unrestorable(RandomSearch):
    """Fails while it is replayed, if ``breaks``."""

    breaks = False

    def restore(self, proposal):
        if self.breaks:
            raise ArithmeticError("the state is damaged")
        super().restore(proposal)


def test_a_resume_that_fails_does_not_use_up_the_second_try(tmp_path, monkeypatch):
    space, options = {"x": {"float": [0, 1]}}, {"strategy": Unrestorable, "n_trials": 2, "study": tmp_path / "run"}
    first = automl.tune(until_there_is_more_time, space, **options, trial_seconds=0.6)
    assert first.trials[0].error.startswith("too slow: ")
    (tmp_path / "run" / "trials" / "more time").touch()
    with monkeypatch.context() as damaged:
        damaged.setattr(Unrestorable, "breaks", True)
        with pytest.raises(ArithmeticError, match="the state is damaged"):
            automl.tune(until_there_is_more_time, space, **options, trial_seconds=60.0, resume=True)
    again = automl.tune(until_there_is_more_time, space, **options, trial_seconds=60.0, resume=True)
    assert [trial.state for trial in again.trials] == ["complete", "complete"]
