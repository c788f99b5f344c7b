"""Recorded trainings: the model that interpolates them, its validation, and the command."""

import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from automl.space.parse import load_space
from automl.tasks.registry import load_task
from automl.tasks.sequences import mnist1d_cnn
from automl.tuning.trainings import training_seed
from benchmarks.experiments.record import SEED, repeated
from benchmarks.suites import load_suite
from benchmarks.suites.interpolation import Interpolation, cross_validated
from benchmarks.suites.recordings import CurveModel, Recording, describe, features_of
from strategies import make_strategy
from strategies._ladder import rank_correlation
from strategies.base import Outcome
from strategies.encoding import Encoding

SPACE = load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}, "kind": {"choice": ["a", "b"]}})


def configs_of(space, n):
    strategy = make_strategy("sobol", space, seed=0, n_trials=n)
    for _ in range(n):
        proposal = strategy.ask()
        strategy.tell(Outcome(proposal, (0.0,), 0.0))
        yield proposal.config


def recorded(n=60, n_seeds=2, n_epochs=3, noise=0.0, fail=()):
    """A table as written by the command, with a bowl-shaped loss that decreases with the epochs."""
    rng = np.random.default_rng(0)
    rows = []
    for number, config in enumerate(configs_of(SPACE, n)):
        level = 0.1 + 0.5 * ((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2) + 0.1 * (config["kind"] == "b")
        for seed in range(n_seeds):
            what = {"number": number, "config": json.dumps(config), "seed": seed}
            for epoch in range(1, n_epochs + 1):
                if (number, seed) in fail:
                    rows.append({**what, "epoch": epoch, "error": "diverged"})
                    break
                loss = level * (1 + 1 / epoch) + noise * rng.normal()
                scores = {"accuracy": 1 - loss, "test_accuracy": 1 - loss - 0.01, "seconds": 1 + config["x"]}
                rows.append({**what, "epoch": epoch, "loss": loss, **scores, "error": None})
    return Recording.of(pd.DataFrame(rows), n_epochs, "accuracy", maximize=True)


def test_the_process_interpolates_and_reverts_to_the_mean():
    X, outputs = np.array([[0.0], [0.5], [1.0]]), np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    model = Interpolation.of(X, outputs, np.array([np.log(0.3), 0.0, -20.0]), np.array([0]))
    assert model(X) == pytest.approx(outputs, abs=1e-5)
    assert model(np.array([[50.0]]))[0] == pytest.approx([3.0, 5.0])


def test_cross_validation_never_uses_its_targets():
    rng = np.random.default_rng(0)
    X, owner = rng.random((60, 2)), np.arange(2)
    assert rank_correlation(cross_validated(X, X[:, 0] ** 2, owner), X[:, 0]) > 0.95
    noise = rng.random(60)
    assert abs(rank_correlation(cross_validated(X, noise, owner), noise)) < 0.4


def test_the_values_of_a_choice_are_equidistant():
    space = load_space({"c": {"choice": ["a", "b", "c"]}, "x": {"float": [0, 1]}})
    X = features_of(Encoding(space), [{"c": name, "x": 0.5} for name in "abc"])
    assert {round(float(np.linalg.norm(X[i] - X[j])), 9) for i in range(3) for j in range(i)} == {1.0}


def test_recorded_configs_are_predicted_with_the_noise_between_their_seeds():
    recording = recorded(noise=0.01)
    model = CurveModel(recording, describe(recording, SPACE), SPACE)
    config = recording.configs[5]
    first, second = (model.training(config, seed)[0] for seed in (0, 1))
    assert model.training(config, 7)[0].tolist() == second.tolist()
    own = recording.warped(recording.losses[5])
    apart = recording.warped(first) - recording.warped(second)
    assert apart == pytest.approx(np.sqrt(2) * (own[0] - own[1]))  # of two seeds, half the variance is missing
    assert model.final_losses([config])[0] == pytest.approx(recording.losses[5, :, -1].mean(), abs=0.02)
    losses, tests, seconds, error = model.training(config, 0)
    assert tests == pytest.approx(losses + 0.01, abs=0.005)
    assert seconds == pytest.approx(1 + config["x"], abs=0.05)
    assert error is None


def test_configs_in_between_are_predicted_if_the_model_ranks_well():
    recording = recorded()
    facts = describe(recording, SPACE)
    assert facts["interpolated"]
    assert facts["rank_correlation"] > 0.95
    model = CurveModel(recording, facts, SPACE)
    config = {"x": 0.31, "y": 0.59, "kind": "a"}
    losses, tests, seconds, _ = model.training(config, 0)
    assert losses == pytest.approx([0.2, 0.15, 0.1333], abs=0.02)
    assert tests == pytest.approx(losses + 0.01, abs=0.005)
    assert seconds == pytest.approx(1.31, abs=0.05)
    assert model.final_losses([config])[0] == pytest.approx(losses[-1])


def test_a_recording_of_noise_uses_only_the_nearest_config():
    recording = recorded(noise=0.5)
    facts = describe(recording, SPACE)
    assert not facts["interpolated"]
    model = CurveModel(recording, facts, SPACE)
    losses, *_ = model.training({"x": 0.31, "y": 0.59, "kind": "a"}, 1)
    assert any(losses.tolist() == recording.losses[i, 1].tolist() for i in range(len(recording.configs)))


def test_a_training_fails_if_the_nearest_recorded_one_failed():
    recording = recorded(fail={(5, 0)})
    facts = describe(recording, SPACE)
    assert facts["n_failed"] == 1
    model = CurveModel(recording, facts, SPACE)
    near = {**recording.configs[5], "x": recording.configs[5]["x"] + 1e-4}
    losses, _, _, error = model.training(near, 0)
    assert error == "diverged"
    assert np.isnan(losses).all()
    assert model.training(near, 1)[3] is None
    assert model.final_losses([near])[0] == pytest.approx(recording.losses[5, 1, -1])


def test_the_recorded_task_matches_the_live_one():
    task = next(task for task in load_suite("recorded") if task.name == "mnist1d-cnn")
    assert task.space is mnist1d_cnn.space
    assert task.max_epochs == mnist1d_cnn.max_epochs
    default = Encoding(task.space).default
    losses = {tuple(task.curve(default, training_seed(0, k), 20).losses) for k in range(20)}
    assert 1 < len(losses) <= 3  # the noise of as many seeds as it was recorded with
    rng = np.random.default_rng(0)
    for _ in range(50):
        config = Encoding(task.space).decode(rng.random(len(task.space)))
        curve = task.curve(config, int(rng.integers(99)), 20)
        assert curve.error or len(curve.losses) == len(curve.seconds) == 20
        assert ((curve.losses > 0) & (curve.losses <= 1)).all()
        assert (curve.seconds > 0).all()


@pytest.mark.slow
def test_seeds_of_a_config_are_recorded_in_one_program_with_the_seconds_of_a_training_alone(tmp_path):
    live = replace(load_task("mnist1d-cnn", train_size=100), max_epochs=2)
    configs = [Encoding(live.space).default | change for change in ({}, {"width": 8}, {"lr": 0.3, "norm": "none"})]
    what = [{"number": number, "config": json.dumps(config), "seed": 0} for number, config in enumerate(configs)]
    first = pd.DataFrame([{**each, "epoch": epoch, "seconds": 7.0} for each in what for epoch in (1, 2)])
    console = Console(file=io.StringIO())
    found = repeated(live, first, [1, 3], 1, tmp_path, console)
    assert repeated(live, first, [1, 3], 1, tmp_path, console)[3].equals(found[3])  # from the folder
    for seed, rows in found.items():
        assert rows["number"].tolist() == [0, 0, 1, 1, 2, 2]
        assert (rows["seconds"] == 7.0).all()
        one = rows[rows["number"] == 1]
        alone = live.train(
            configs[1], seed=training_seed(SEED + seed, 1), epochs=2, checkpoint=tmp_path / str(seed), device="cpu"
        )
        assert one["cross_entropy"].tolist() == pytest.approx([e.metrics["cross_entropy"] for e in alone], rel=1e-3)
        assert one["test_accuracy"].iloc[-1] == pytest.approx(
            live.test(tmp_path / str(seed), "cpu")["accuracy"], abs=0.01
        )


@pytest.mark.experiment
def test_an_interrupted_recording_is_resumed(tmp_path):
    command = [
        sys.executable, "-m", "benchmarks.experiments.record", "--task", "digits-cnn", "--configs", "6",
        "--seeds", "2", "--train-size", "100", "--workers", "1",
        "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("trial   3"):
            process.kill()
    process.wait()
    process.stdout.close()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rank correlation" in again.stdout
    frame = pd.read_parquet(tmp_path / "out" / "digits-cnn-100.parquet")
    assert set(frame["number"]) == set(range(6))
    assert (frame.groupby(["number", "seed"])["epoch"].max() == 8).all()
    first = frame[frame["number"] == 0]
    assert first["config"].nunique() == 1
    assert first[first["epoch"] == 8]["loss"].nunique() == 2 or first["seconds"].nunique() > 2
    assert {"accuracy", "train_accuracy", "test_accuracy", "cross_entropy", "seconds"} <= set(frame)
    assert frame.attrs["versions"]
    facts, table = (tmp_path / "out" / f"digits-cnn-100.{kind}" for kind in ("json", "parquet"))
    before, found = table.read_bytes(), facts.read_text()
    facts.unlink()
    subprocess.run(command, capture_output=True, check=True)  # nothing to train: only the facts are recomputed
    assert (table.read_bytes(), facts.read_text()) == (before, found)
