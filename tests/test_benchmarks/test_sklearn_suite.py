"""The suite of scikit-learn models: fixed split, deterministic, and each training run once."""

import multiprocessing
import time
from collections import Counter

import numpy as np
import pytest

from automl.errors import UserError
from benchmarks.suites import load_suite, sklearn
from benchmarks.suites.sklearn import N_DIGITS, SklearnTask, load_data
from benchmarks.suites.sklearn_models import MODELS
from benchmarks.suites.trainings import KeptTraining, TrainingCache
from strategies.encoding import Encoding

TASKS = load_suite("sklearn")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sklearn, "KEPT", tmp_path)
    return tmp_path


def task(name: str) -> SklearnTask:
    return next(task for task in TASKS if task.name == name)


def random_configs(of: SklearnTask, n: int):
    encoding, rng = Encoding(of.space), np.random.default_rng(0)
    return [encoding.decode(rng.random(len(encoding.dimensions))) for _ in range(n)]


def test_half_of_each_models_and_of_each_data_sets_tasks_are_holdout():
    assert len(TASKS) == len(MODELS) * len(sklearn.DATA) == 48
    for part in ("model", "data"):
        counts = Counter((getattr(task, part), task.split) for task in TASKS)
        assert len(set(counts.values())) == 1
        assert {split for _, split in counts} == {"development", "holdout"}


@pytest.mark.parametrize("of", TASKS, ids=lambda task: task.name)
def test_every_task_trains_and_its_loss_is_stored(of, kept):
    assert of.max_epochs == 1
    config = random_configs(of, 1)[0]
    curve = of.curve(config, 0, 1)
    assert curve.error is None
    assert np.isfinite(curve.losses).all()
    assert curve.seconds[0] > 0


@pytest.mark.parametrize("of", TASKS, ids=lambda task: task.name)
def test_no_config_beats_the_best_known_loss(of, kept):
    losses = [of.final_loss(config) for config in random_configs(of, 2)]
    assert min(losses) >= of.best - 1e-9
    assert of.best < of.reference
    assert "random configs" in of.provenance


@pytest.mark.parametrize("name", ["tree-digits", "forest-wine", "svm-diabetes", "mlp-iris", "lasso-wine"])
def test_seeds_and_a_second_training_make_no_difference(name, kept, tmp_path, monkeypatch):
    config = random_configs(task(name), 1)[0]
    first = [task(name).curve(config, seed, 1).losses[0] for seed in (0, 1)]
    monkeypatch.setattr(sklearn, "KEPT", tmp_path / "other")
    assert first == [task(name).curve(config, 2, 1).losses[0]] * 2


def test_the_loss_is_that_of_predictions_for_rows_that_were_not_fitted(kept):
    """By scikit-learn's own cross-validation, with a scaler fitted on the training set only."""
    from sklearn.datasets import load_wine
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_wine(return_X_y=True)
    folds = StratifiedKFold(sklearn.N_FOLDS, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=7, p=1))
    probabilities = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    own = np.clip(probabilities[np.arange(len(y)), y], np.finfo(float).eps, 1)
    found = task("knn-wine").final_loss({"n_neighbors": 7, "p": 1})
    assert found == pytest.approx(-np.log(own).mean())


def test_digits_are_a_fixed_subset():
    assert len(load_data("digits").y) == N_DIGITS
    assert sorted(np.concatenate([scored for _, _, scored in load_data("digits").folds])) == list(range(N_DIGITS))


def test_a_failed_training_is_a_failed_trial_and_is_stored(kept):
    of = task("knn-iris")
    curve = of.curve({"n_neighbors": 0, "p": 2}, 0, 1)
    assert len(curve.losses) == 0
    assert "n_neighbors" in curve.error
    assert of.kept.get({"n_neighbors": 0, "p": 2}, lambda: pytest.fail("trained again")).error == curve.error
    assert of.kept.losses() == []


def test_an_old_scikit_learn_is_reported_in_one_line(monkeypatch):
    import sklearn as library

    monkeypatch.setattr(library, "__version__", "1.7.2")
    with pytest.raises(UserError, match=r"needs scikit-learn 1\.8 or later, found 1\.7\.2"):
        sklearn.tasks()


def _race(file, calls, start):
    def train():
        with calls.get_lock():
            calls.value += 1
        time.sleep(0.2)
        return KeptTraining(0.5, 0.2)

    store = TrainingCache(file)
    start.wait()
    store.get({"x": 1}, train)


def test_concurrent_processes_train_once(tmp_path):
    context = multiprocessing.get_context("fork")
    calls, start = context.Value("i", 0), context.Barrier(4)
    processes = [context.Process(target=_race, args=(tmp_path / "kept.sqlite", calls, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert calls.value == 1
    assert TrainingCache(tmp_path / "kept.sqlite").losses() == [0.5]
