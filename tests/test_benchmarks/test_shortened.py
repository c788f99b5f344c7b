"""Built-in tasks that are cut down for the comparison."""

from collections import Counter

import numpy as np

from automl.data.datasets.registry import load_data
from benchmarks.suites import networks
from benchmarks.suites.shortened import Shortened
from strategies.encoding import Encoding


def test_the_sets_of_a_shortened_task_are_stratified_samples(tmp_path):
    short = Shortened(2, 100, 50, 60, {"width": {"ordinal": [8, 16], "default": 8}})
    task = short.of("networks", "digits-cnn", tmp_path)
    whole, cut = load_data("digits", None), load_data(task.live.data, task.live.train_size)
    assert [len(y) for y in (cut.y_train, cut.y_valid, cut.y_test)] == [100, 50, 60]
    assert set(Counter(cut.y_valid.tolist()).values()) <= {4, 5, 6}
    known = {image.tobytes() for image in np.asarray(whole.x_test)}
    assert {image.tobytes() for image in np.asarray(cut.x_test)} <= known
    assert list(task.space["width"].sequence) == [8, 16]
    assert task.unit == "digits"  # tasks on the same data are not independent evidence
    curve = task.curve(Encoding(task.space).default, 0, 2)
    assert (len(curve.losses), curve.error) == (2, None)


def test_the_data_are_written_once(tmp_path):
    short = Shortened(2, 100, 50)
    first = short.of("networks", "digits-cnn", tmp_path)
    folder = tmp_path / "data" / "digits-cnn-100-50-all"
    before = (folder / "x_valid.npy").stat().st_mtime_ns
    assert short.of("networks", "digits-cnn", tmp_path).live.data == first.live.data == str(folder)
    assert (folder / "x_valid.npy").stat().st_mtime_ns == before
    assert [path.name for path in folder.parent.iterdir()] == ["digits-cnn-100-50-all"]


def test_short_trainings_are_possible_in_all_live_tasks():
    assert len(networks.TASKS) == 16
    assert min(short.epochs for short in networks.TASKS.values()) == 10
