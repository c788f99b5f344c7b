"""The contract of a task, over those on signals and pictures.

Fashion-MNIST is a small random stand-in in torchvision's layout.
"""

import math
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from automl.data.datasets import fashion_mnist
from automl.data.datasets.registry import DataMissing, forget_splits
from automl.task import Epoch, Task
from automl.tasks.registry import TASKS, load_task
from automl.training.device import device_data

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def small_fashion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 600), ("t10k", 100)):
        images, labels = rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(header + values.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOML_DATA", str(folder.parents[1]))
        forget_data()
        yield
    forget_data()


def forget_data():
    forget_splits()
    device_data.cache_clear()


def plain(config):
    return {name: value.item() if hasattr(value, "item") else value for name, value in dict(config).items()}


def run(task, config, epochs=1, checkpoint=None, seed=0):
    return list(task.train(plain(config), seed=seed, epochs=epochs, checkpoint=checkpoint, device="cpu"))


@pytest.fixture(params=[name for name in TASKS if name.split("-")[0] in ("mnist1d", "digits", "fashion")])
def task(request):
    return load_task(request.param, train_size=80)


def test_a_task_is_what_its_name_says(task):
    assert isinstance(task, Task)
    assert task.name in TASKS
    assert task.name == f"{task.data.split('-')[0]}-{task.model}"
    assert task.max_epochs > 1
    assert task.resumable


def test_default_trains_continues_and_is_scored(task, tmp_path):
    config = task.space.get_default_configuration()
    [first] = run(task, config, 1, tmp_path / "new" / "folder")
    [second] = run(task, config, 2, tmp_path / "new" / "folder")
    assert run(task, config, 2, tmp_path / "new" / "folder") == []
    assert (first.epoch, second.epoch) == (1, 2)
    for epoch in (first, second):
        assert isinstance(epoch, Epoch)
        assert epoch.loss == 1 - epoch.metrics["accuracy"]
        assert set(epoch.metrics) == {"accuracy", "cross_entropy", "train_cross_entropy", "train_accuracy"}
        assert all(map(math.isfinite, epoch.metrics.values()))
        assert epoch.seconds > 0
    scores = task.test(tmp_path / "new" / "folder", "cpu")
    assert 0 <= scores[task.metric] <= 1


def test_any_config_of_the_space_trains(task):
    task.space.seed(1)
    for config in task.space.sample_configuration(5):
        [epoch] = run(task, config)
        assert 0 <= epoch.loss <= 1


def test_the_schedule_does_not_depend_on_where_a_training_pauses(task):
    config = plain(task.space.get_default_configuration()) | {"schedule": "one-cycle"}
    (short,), long = run(task, config, 1), run(task, config, 3)
    assert short.metrics == long[0].metrics


def test_seeds_differ(task):
    config = task.space.get_default_configuration()
    assert run(task, config, seed=1)[0].metrics != run(task, config, seed=2)[0].metrics


def test_a_task_travels_without_its_data(task):
    config = task.space.get_default_configuration()
    here = run(task, config)
    sent = cloudpickle.dumps(task)
    assert len(sent) < 20_000
    assert run(pickle.loads(sent), config)[0].metrics == here[0].metrics


def test_sizes_of_spaces(task):
    assert 8 <= len(task.space) <= 14
    assert task.space.conditions


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = load_task("digits-cnn", train_size=80)
    run(task, task.space.get_default_configuration())
    assert list(tmp_path.iterdir()) == []


def test_epochs_outside_the_task_are_refused():
    task = load_task("digits-cnn")
    for epochs in (0, task.max_epochs + 1):
        with pytest.raises(ValueError, match="epochs must be between 1 and"):
            run(task, task.space.get_default_configuration(), epochs)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"unknown task 'mnist1d-cn'; did you mean 'mnist1d-cnn'\? choose one of: mnist1d"
    ):
        load_task("mnist1d-cn")
    with pytest.raises(ValueError, match=r"unknown task 'zzz'; choose one of: mnist1d-cnn, "):
        load_task("zzz")


@pytest.mark.parametrize("train_size", [9, 3_201, -1])
def test_train_size_out_of_range_names_the_range(train_size):
    with pytest.raises(ValueError, match=rf"between 10 .* and 3,200 .* got {train_size:,}; leave it out"):
        load_task("mnist1d-cnn", train_size=train_size)


def test_missing_data_are_told_when_the_task_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path)
    with pytest.raises(DataMissing, match="fetch fashion-mnist"):
        load_task("fashion-cnn")


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import automl.tasks.registry, automl.task, automl.data.datasets.registry", {"torch", "numpy", "ConfigSpace"}),
        ("from automl.tasks.registry import load_task; load_task('mnist1d-cnn')", {"torch", "sklearn", "mnist1d"}),
        (  # which training processes import
            "from automl.tasks import cross_validated, language_modelling, sequence_to_sequence, user_data",
            {"torch", "sklearn", "ConfigSpace", "scipy.stats"},
        ),
    ],
)
def test_slow_packages_wait_until_they_are_needed(statement, unwanted):
    code = f"import sys; {statement}; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert not unwanted & set(shown.stdout.split())
