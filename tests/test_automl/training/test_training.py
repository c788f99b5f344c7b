"""A single training: pausing, failing, checkpoints, the exported model, and no side effects."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from automl.data.datasets.registry import load_data
from automl.models.loading import load_model
from automl.task import CheckpointDamaged, TrainingFailed
from automl.tasks.registry import load_task
from automl.training.base import export_model, trained_model
from automl.training.checkpoint import CHECKPOINT, CheckpointError, read_checkpoint
from automl.training.device import memory_errors
from automl.training.optimizer import make_optimizer, schedule

REPOSITORY = Path(__file__).parents[3]
DIGITS = dict(load_task("digits-cnn").space.get_default_configuration())
SGD = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True}
STOCHASTIC = {"dropout": 0.3, "schedule": "one-cycle", "augment": 0.5, "label_smoothing": 0.1}


def run(config, epochs, checkpoint=None, *, task="digits-cnn", train_size=200, seed=3):
    task = load_task(task, train_size=train_size)
    return list(task.train(config, seed=seed, epochs=epochs, checkpoint=checkpoint, device="cpu"))


def default(name):
    return dict(load_task(name).space.get_default_configuration())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint folder with two epochs of the default config on the digits."""
    folder = tmp_path_factory.mktemp("trained")
    run(DIGITS, 2, folder)
    return folder


# --- pausing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "change"),
    [
        ("digits-cnn", SGD | STOCHASTIC),
        ("mnist1d-rnn", STOCHASTIC | {"layers": 2, "width": 16, "clip_norm": 0.1}),
        ("mnist1d-transformer", STOCHASTIC),
    ],
)
def test_continued_in_another_process_equals_uninterrupted_bit_for_bit(task, change, tmp_path):
    config = {
        name: value.item() if hasattr(value, "item") else value for name, value in (default(task) | change).items()
    }
    whole = run(config, 4, tmp_path / "whole", task=task)
    start = run(config, 2, tmp_path / "paused", task=task)
    code = f"""
import json, sys
from pathlib import Path
from automl.tasks.registry import load_task
task = load_task({task!r}, train_size=200)
folder = Path({str(tmp_path / "paused")!r})
epochs = task.train({config!r}, seed=3, epochs=4, checkpoint=folder, device="cpu")
print(json.dumps([[epoch.epoch, epoch.loss, epoch.metrics] for epoch in epochs]))
assert "torch._dynamo" not in sys.modules
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    continued = json.loads(shown.stdout)
    assert [[e.epoch, e.loss, e.metrics] for e in start] + continued == [[e.epoch, e.loss, e.metrics] for e in whole]
    (one, one_record), (other, other_record) = (read_checkpoint(tmp_path / name) for name in ("whole", "paused"))
    assert one_record == other_record
    assert one.keys() == other.keys()
    assert any(name.startswith("optimizer.") for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("change", [{}, SGD])
def test_optimizers_step_as_those_of_torch(change):
    theirs = torch.optim.SGD if change else torch.optim.AdamW
    ours, copy = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    copy.load_state_dict(ours.state_dict())
    mine = make_optimizer(ours, DIGITS | {"lr": 0.1, "weight_decay": 0.0} | change)
    options = {name: change[name] for name in ("momentum", "nesterov") if change}
    other = theirs(copy.parameters(), lr=0.1, weight_decay=0.0, **options)
    for _ in range(3):
        for module, optimizer in ((ours, mine), (copy, other)):
            optimizer.zero_grad()
            (module(torch.ones(4, 3)) ** 2).mean().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, copy.weight, atol=1e-6)


def test_a_training_left_early_keeps_the_last_checkpoint(trained, tmp_path):
    run(DIGITS, 1, tmp_path)
    task = load_task("digits-cnn", train_size=200)
    epochs = task.train(DIGITS, seed=3, epochs=4, checkpoint=tmp_path, device="cpu")
    next(epochs)
    epochs.close()
    assert read_checkpoint(tmp_path)[1]["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_the_checkpoint_is_there_when_the_last_epoch_is_reported(tmp_path):
    task = load_task("digits-cnn", train_size=200)
    next(task.train(DIGITS, seed=3, epochs=1, checkpoint=tmp_path, device="cpu"))
    assert read_checkpoint(tmp_path)[1]["epoch"] == 1


def test_the_checkpoint_tells_its_history(trained):
    _, record = read_checkpoint(trained)
    assert (record["epoch"], record["config"], record["seed"]) == (2, DIGITS, 3)
    assert len(record["losses"]) == 2
    assert record["losses"][-1] == 1 - record["metrics"]["accuracy"][-1]


# --- failing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_divergence_is_a_failed_training_with_its_epoch(norm, tmp_path):
    config = DIGITS | SGD | {"lr": 1e30, "norm": norm}
    with pytest.raises(TrainingFailed, match=r"^diverged: \w+ loss is (nan|inf) at epoch \d$"):
        run(config, 8, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_too_much_memory_is_a_failed_training():
    with (
        pytest.raises(TrainingFailed, match="out of memory on cpu at epoch 1"),
        memory_errors(torch.device("cpu"), "at epoch 1"),
    ):
        torch.empty(1 << 60)


def test_a_bug_in_training_is_no_failed_training():
    with pytest.raises(KeyError, match="momentum"):
        run(DIGITS | {"optimizer": "sgd"}, 1)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def overwrite(path):
    path.write_bytes(b"not a checkpoint")


def foreign(path):
    save_file({"weight": torch.zeros(1)}, path)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, overwrite, foreign, flip])
def test_a_damaged_checkpoint_is_named(damage, tmp_path):
    run(DIGITS, 1, tmp_path)
    damage(tmp_path / CHECKPOINT)
    with pytest.raises(
        CheckpointDamaged, match=r"checkpoint\.safetensors is damaged .* delete it to train from scratch"
    ):
        run(DIGITS, 2, tmp_path)


@pytest.mark.parametrize("other", [{"seed": 4}, {"train_size": 300}, {"config": DIGITS | {"lr": 0.5}}])
def test_a_checkpoint_of_another_training_is_not_continued(other, trained):
    with pytest.raises(CheckpointError, match="belongs to another training"):
        run(**{"config": DIGITS, "epochs": 3, "checkpoint": trained} | other)


def test_scoring_needs_a_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        load_task("digits-cnn").test(tmp_path, "cpu")


# --- the exported model -----------------------------------------------------------------------------------------------


def test_the_exported_model_predicts_as_the_trained_one(trained, tmp_path):
    export_model(trained, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json", "preprocessing.json"}
    x = torch.from_numpy(load_data("digits", 200).x_test)
    exported = load_model(tmp_path)
    assert torch.equal(exported(x), trained_model(trained)(x))
    task = load_task("digits-cnn", train_size=200)
    right = exported(x).argmax(1).numpy() == load_data("digits", 200).y_test
    assert right.mean() == pytest.approx(task.test(trained, "cpu")["accuracy"])
    assert exported.config == DIGITS


def test_preprocessing_is_that_of_the_training_part(trained, tmp_path):
    export_model(trained, tmp_path)
    kept = json.loads((tmp_path / "preprocessing.json").read_text())
    splits = load_data("digits", 200)
    assert kept == {
        "task": "digits-cnn",
        "model": "cnn",
        "inputs": "dense",
        "shape": [1, 8, 8],
        "classes": list("0123456789"),
        "mean": list(splits.inputs.mean),
        "std": list(splits.inputs.std),
    }
    standardised = load_model(tmp_path).preprocessing(torch.from_numpy(splits.x_train))
    assert standardised.mean() == pytest.approx(0, abs=1e-5)
    assert standardised.std() == pytest.approx(1, abs=1e-3)


# --- quality ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "least"), [("digits-cnn", 0.95), ("mnist1d-cnn", 0.88)])
def test_the_default_config_is_a_fair_start(name, least, tmp_path):
    task = load_task(name)
    list(task.train(default(name), seed=0, epochs=task.max_epochs, checkpoint=tmp_path, device="cpu"))
    assert task.test(tmp_path, "cpu")["accuracy"] >= least


# --- schedule, device, and what is left alone -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "peak", "end"), [("constant", 0.1, 1), ("cosine", 0.1, 0), ("one-cycle", 0.3, 0)])
def test_schedules_rise_to_1_and_end_where_they_should(name, peak, end):
    factors = [schedule({"schedule": name, "warmup": 0.1}, step / 1000) for step in range(1001)]
    assert factors[0] == 0
    assert factors[round(1000 * peak)] == pytest.approx(1)
    assert factors[-1] == pytest.approx(end)
    rise, rest = np.diff(factors[: round(1000 * peak)]), np.diff(factors[round(1000 * peak) :])
    assert np.all(rise > 0)
    assert np.all(rest <= 1e-12)


def test_no_warmup_starts_at_the_full_rate():
    assert schedule({"schedule": "cosine", "warmup": 0.0}, 0.0) == 1


def test_the_callers_state_is_left_alone():
    torch.manual_seed(5)
    threads, generator = torch.get_num_threads(), torch.get_rng_state()
    others = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    task = load_task("digits-cnn", train_size=200)
    for _ in task.train(DIGITS | {"dropout": 0.5}, seed=3, epochs=2, checkpoint=None, device="cpu"):
        assert torch.equal(torch.get_rng_state(), generator)
        assert torch.get_num_threads() == threads
    assert (random.getstate(), np.random.get_state()[1].tolist()) == others  # noqa: NPY002
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_callers_generator_does_not_change_a_training():
    torch.manual_seed(1)
    first = run(DIGITS | {"dropout": 0.5}, 1)
    torch.manual_seed(2)
    assert run(DIGITS | {"dropout": 0.5}, 1)[0].metrics == first[0].metrics


def test_threads_come_back_when_the_training_fails():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(TrainingFailed):
            run(DIGITS | SGD | {"lr": 1e30}, 8)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
