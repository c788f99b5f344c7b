"""A table cross-validated: an epoch is a fold."""

import importlib.util
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from small_files import files_of_at_most

from automl.data.datasets.registry import load_data
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.errors import Blocked, UserError
from automl.metrics import best_threshold, loss_of, measure
from automl.models.learners.early_stopping import USEFUL_ROUNDS
from automl.runs.configure import with_folds
from automl.runs.member_candidates import candidates
from automl.runs.settings import Settings
from automl.study.run_folder import RunFolder
from automl.study.trial import Trial
from automl.task import CheckpointDamaged, TrainingFailed, within
from automl.tasks.cross_validated import cross_validated, described_plan
from automl.tasks.families import PRESETS, families_of, presets
from automl.tasks.time_limit import n_folds_within
from automl.training.fold_files import (
    MODEL,
    OUT_OF_BAG,
    PREDICTIONS,
    RECORD,
    model_places,
    read_predictions,
    read_record,
)
from automl.training.fold_learners import learner_class
from automl.training.folds import LATER_FOLDS, FoldsTraining
from strategies.encoding import Encoding


def prepared(tmp_path, frame, target="target", **options):
    frame.to_csv(tmp_path / "table.csv", index=False)
    prepare(Request(str(tmp_path / "table.csv"), target=target, **options).checked(), tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def wine(tmp_path):
    return prepared(tmp_path, load_wine(as_frame=True).frame)


def preset(task, family):
    return next(config for config in presets(task.space) if config["model"] == family)


@pytest.mark.parametrize("family", ["lightgbm", "random_forest"])
def test_the_loss_is_that_of_the_predictions_out_of_fold(wine, tmp_path, family):
    task = cross_validated(wine, 4, None, "log_loss")
    place = tmp_path / "trial"
    epochs = list(task.train(preset(task, family), seed=0, epochs=4, checkpoint=place, device="cpu"))
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    y, predicted = load_data(task.data_of(""), None, True).y_train, read_predictions(place)
    assert epochs[-1].loss == pytest.approx(loss_of("log_loss", measure("log_loss", y, predicted.astype(float))))
    first = task.folds() == 0
    assert epochs[0].loss == pytest.approx(measure("log_loss", y[first], predicted[first].astype(float)))


def test_a_paused_training_goes_on_to_the_same_predictions(wine, tmp_path):
    task = cross_validated(wine, 4, None, None)
    for family in ("lightgbm", "extra_trees"):
        config, whole, parts = preset(task, family), tmp_path / f"{family}-whole", tmp_path / f"{family}-parts"
        straight = list(task.train(config, seed=3, epochs=4, checkpoint=whole, device="cpu"))
        first = list(task.train(config, seed=3, epochs=1, checkpoint=parts, device="cpu"))
        rest = list(task.train(config, seed=3, epochs=4, checkpoint=parts, device="cpu"))
        assert [epoch.loss for epoch in [*first, *rest]] == [epoch.loss for epoch in straight]
        assert (read_predictions(parts) == read_predictions(whole)).all()
        with pytest.raises(UserError, match="belongs to another training"):
            list(task.train(config, seed=4, epochs=4, checkpoint=parts, device="cpu"))


def changed_bit(file):
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "record cut": lambda place: (place / RECORD).write_text("{"),
    "record of another kind": lambda place: (place / RECORD).write_text("[]"),
    "record without fields": lambda place: (place / RECORD).write_text("{}"),
    "record changed": lambda place: changed_bit(place / RECORD),
    "predictions gone": lambda place: (place / PREDICTIONS).unlink(),
    "predictions empty": lambda place: (place / PREDICTIONS).write_bytes(b""),
    "predictions shorter": lambda place: np.save(place / PREDICTIONS, np.zeros(3, np.float32)),
    "predictions changed": lambda place: np.save(place / PREDICTIONS, np.load(place / PREDICTIONS) + np.float32(1e-6)),
    "out-of-bag changed": lambda place: changed_bit(place / OUT_OF_BAG),
}


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    """A task, a config, and a checkpoint after one fold of two, with out-of-bag predictions."""
    folder = tmp_path_factory.mktemp("wine")
    task = cross_validated(prepared(folder, load_wine(as_frame=True).frame), 2, None, "log_loss")
    config = preset(task, "extra_trees")
    list(task.train(config, seed=0, epochs=1, checkpoint=folder / "trial", device="cpu"))
    return task, config, folder / "trial"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_found(half_done, tmp_path, damage):
    task, config, checkpoint = half_done
    place = shutil.copytree(checkpoint, tmp_path / "trial")
    DAMAGES[damage](place)
    with pytest.raises(CheckpointDamaged, match="is damaged") as error:
        list(task.train(config, seed=0, epochs=2, checkpoint=place, device="cpu"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("most", [500, 20_000])  # of the predictions, and of the model
def test_files_that_do_not_fit_on_the_disk_are_no_failure_of_the_training(wine, tmp_path, most):
    task = cross_validated(wine, 2, None, "log_loss")
    options = {"seed": 0, "epochs": 3, "checkpoint": tmp_path / "trial", "device": "cpu"}
    with files_of_at_most(most), pytest.raises(Blocked, match=r"cannot write '.*' \(.*\); free space and try again"):
        list(task.train(preset(task, "extra_trees"), **options))


def test_a_training_that_was_killed_between_its_two_files_goes_on(half_done, tmp_path):
    task, config, checkpoint = half_done
    place, options = shutil.copytree(checkpoint, tmp_path / "trial"), {"seed": 0, "epochs": 2, "device": "cpu"}
    (last,) = task.train(config, checkpoint=place, **options)
    shutil.copy(checkpoint / RECORD, place)
    (again,) = task.train(config, checkpoint=place, **options)
    assert again.loss == last.loss


def test_a_trial_with_damaged_files_is_no_member_of_the_ensemble(half_done, tmp_path):
    task, config, checkpoint = half_done
    folder, trials, said = RunFolder(tmp_path), [], []
    for number in range(3):
        place = shutil.copytree(checkpoint, folder.trials / f"{number:04d}")
        list(task.train(config, seed=0, epochs=2, checkpoint=place, device="cpu"))
        trials.append(Trial(number, config, losses=[0.5, 0.5], state="complete"))
    changed_bit(folder.trials / "0000" / PREDICTIONS)
    (folder.trials / "0001" / RECORD).write_text("{")
    assert [candidate.trial.number for candidate in candidates(task, trials, folder, said.append)] == [2]
    assert [line.split(", ")[0] for line in said] == [f"ensemble: trial {number} is left out" for number in (0, 1)]
    (folder.trials / "0002" / RECORD).unlink()
    assert candidates(task, trials[2:], folder, said.append) == []
    assert f"0002/{RECORD}" in said[-1]
    shutil.rmtree(folder.trials)
    assert candidates(task, trials * 3, folder, said.append) == []
    assert said[-1] == "ensemble: 6 more trials are left out, as their files are damaged too"


def test_one_epoch_more_fits_the_model_to_all_rows(wine, tmp_path):
    task = cross_validated(wine, 4, "lightgbm", None)
    config = preset(task, "lightgbm")
    *_, last = task.train(config, seed=0, epochs=5, checkpoint=tmp_path / "trial", device="cpu")
    assert last.epoch == 5
    assert (tmp_path / "trial" / MODEL / "model.txt").exists()
    assert len(read_record(tmp_path / "trial")["rounds"]) == 4


def test_without_folds_the_validation_set_is_the_only_one(wine, tmp_path):
    task = cross_validated(wine, 1, "linear", None)
    splits = load_data(task.data_of(""), None)
    folds = task.folds()
    assert (folds == 0).sum() == len(splits.y_valid)
    (epoch,) = task.train(preset(task, "linear"), seed=0, epochs=1, checkpoint=tmp_path / "trial", device="cpu")
    known = ~np.isnan(read_predictions(tmp_path / "trial")[:, 0])
    assert (known == (folds == 0)).all()
    assert 0 <= epoch.loss < 0.2


def test_rows_are_predicted_by_older_ones_only(tmp_path):
    frame = load_diabetes(as_frame=True).frame
    frame["day"] = pd.date_range("2020-01-01", periods=len(frame)).astype(str)
    task = cross_validated(prepared(tmp_path, frame, time="day"), 4, None, None)
    assert task.folds_how == "time"
    assert task.fidelity(preset(task, "random_forest")).kind == "resume", "out-of-bag trees would see the future"
    list(task.train(preset(task, "linear"), seed=0, epochs=4, checkpoint=tmp_path / "trial", device="cpu"))
    assert (np.isnan(read_predictions(tmp_path / "trial")) == (task.folds() < 0)).all()


@pytest.mark.parametrize("how", ["group", "time"])
def test_auc_has_a_value_after_the_first_fold_though_a_class_is_rare_in_groups_or_begins_late(how, tmp_path):
    frame = load_wine(as_frame=True).frame.sample(frac=1, random_state=0).reset_index(drop=True)
    frame["target"] = frame["target"] == 0
    frame = pd.concat([frame[~frame["target"]].head(85), frame.tail(80)], ignore_index=True)
    days = pd.date_range("2020-01-01", periods=len(frame)).astype(str)
    frame["place"] = (frame.index + 3) // 6 if how == "group" else days
    task = cross_validated(prepared(tmp_path, frame, **{how: "place"}), 8, None, "auc")
    assert task.folds_how == how
    for family in ("linear", "lightgbm"):
        epochs = list(task.train(preset(task, family), seed=0, epochs=8, checkpoint=tmp_path / family, device="cpu"))
        assert all(0 <= epoch.loss < 0.2 for epoch in epochs)


def test_in_order_of_time_a_network_is_fitted_to_all_rows_in_the_end(tmp_path):
    frame = load_diabetes(as_frame=True).frame
    frame["day"] = pd.date_range("2020-01-01", periods=len(frame)).astype(str)
    task = cross_validated(prepared(tmp_path, frame, time="day"), 4, None, None)
    config = preset(task, "realmlp") | {"epochs": 64, "width": 64}
    list(task.train(config, seed=0, epochs=5, checkpoint=tmp_path / "trial", device="cpu"))
    assert model_places(tmp_path / "trial", learner_class("realmlp"), 4) == [tmp_path / "trial" / MODEL]
    assert (tmp_path / "trial" / MODEL / "realmlp.json").exists()


def test_weighted_rows_have_folds_and_the_unit_of_weights_says_nothing(tmp_path):
    frame = load_diabetes(as_frame=True).frame
    frame["counts"] = np.random.default_rng(0).lognormal(8, 2, len(frame))
    task = cross_validated(prepared(tmp_path, frame, weight="counts"), 4, None, None)
    assert task.weights().mean() == pytest.approx(1.0, rel=1e-3)
    assert task.fidelity(preset(task, "random_forest")).kind == "resume", "heavy rows are in every bootstrap sample"
    epochs = list(task.train(preset(task, "random_forest"), seed=0, epochs=4, checkpoint=tmp_path / "t", device="cpu"))
    predicted = read_predictions(tmp_path / "t")
    assert len(epochs) == 4
    assert predicted.min() > frame["target"].min()


@pytest.mark.parametrize(("family", "expected"), [("cnn", ["cpu", "folds"]), ("lightgbm", ["folds"])])
def test_a_card_is_started_before_the_first_fold_of_a_network(wine, monkeypatch, family, expected):
    happened = []
    monkeypatch.setattr("automl.training.device.warm_up", lambda device: happened.append(str(device)))
    monkeypatch.setattr("automl.training.folds.train", lambda *_, **__: happened.append("folds") or [])
    task = cross_validated(wine, 4, None, None)
    assert list(task.train({"model": family}, seed=0, epochs=1, checkpoint=None, device="cpu")) == []
    assert happened == expected


def test_the_presets_lie_in_the_space_and_begin_with_each_familys_default(wine):
    task = cross_validated(wine, 8, None, None)
    found = presets(task.space)
    encoding = Encoding(task.space)
    for config in found:
        encoding.check(config)
    assert found[0] == encoding.default
    assert len({config["model"] for config in found}) == len(task.space["model"].choices)
    linear = cross_validated(wine, 8, "linear", None).space
    only = presets(linear)
    assert {config["model"] for config in only} == {"linear"}
    assert len(only) == sum(preset["model"] == "linear" and preset.keys() <= set(linear) for preset in PRESETS)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("price", True), ("loss", False), ("profit", False), ("size", False), ("nothing", False)],
)
def test_only_the_logarithm_of_numbers_with_a_long_positive_tail_is_learnt(tmp_path, target, expected):
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    price = np.exp(2 * x).round(3)
    targets = {"price": price, "loss": -price, "profit": price - 1, "size": x + 9, "nothing": np.repeat([0.0, 1], 100)}
    frame = pd.DataFrame({"x": x + rng.normal(size=200), "target": targets[target]})
    task = cross_validated(prepared(tmp_path, frame, kind="regression"), 4, None, None)
    for family, name, value in (
        ("lightgbm", "loss", "tweedie"), ("catboost", "loss", "tweedie"), ("linear", "target", "log"),
    ):  # fmt: skip
        assert (f"{family}_{name}" in task.space) == expected
        found = [config.get(f"{family}_{name}") for config in presets(task.space) if config["model"] == family]
        assert (value in found) == expected


@pytest.mark.parametrize("no_test", [False, True])
def test_the_baseline_of_f1_predicts_the_class_that_it_is_about(no_test, tmp_path):
    """The model's threshold is chosen for f1, so noise would be better than a baseline that never predicts it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=200), "target": np.repeat(["no", "yes"], [140, 60])})
    found = cross_validated(prepared(tmp_path, frame, no_test=no_test), 4, None, "f1").baseline()
    assert found["name"] == "always 'yes'"
    assert found["score"] == pytest.approx(2 * 0.3 / 1.3, abs=0.01)


@pytest.mark.parametrize(("n_folds", "split"), [(4, "out of fold"), (1, "on the validation set")])
def test_a_baseline_says_which_rows_it_is_scored_on(n_folds, split, tmp_path):
    frame = pd.DataFrame({"x": np.arange(60) % 7, "target": ["no", "yes"] * 30})
    assert cross_validated(prepared(tmp_path, frame, no_test=True), n_folds, None, None).baseline()["split"] == split


def test_many_numbers_or_little_time_mean_fewer_folds(wine):
    assert n_folds_within(wine, 600, 1) == 8
    assert n_folds_within(wine, 14, 1) == 4
    assert n_folds_within(wine, 14, 4) == 8
    assert n_folds_within(wine, 10, 1) == 1
    assert n_folds_within(wine, 1, 1) == 1


def test_a_short_run_begins_with_the_cheapest_family(wine):
    short, long = (cross_validated(wine, 1, None, None, time_limit=seconds) for seconds in (10, 60))
    assert Encoding(short.space).default["model"] == "linear"
    assert Encoding(long.space).default["model"] == "lightgbm"
    assert short.max_seconds == 10, "a share of the limit would be too little for any"
    assert cross_validated(wine, 1, "realmlp", None, time_limit=10).runtimes == {"torch"}


def test_a_limit_that_cannot_hold_is_told_and_gets_one_model_in_one_process(wine):
    settings = with_folds(Settings(data={}, time_limit=4.0), wine)
    assert (settings.n_workers, settings.folds) == (1, 1)
    said = described_plan(cross_validated(wine, 1, None, None, time_limit=4.0), 4.0, has_test=True)
    assert said.startswith("plan: linear, then others if there is time, scored by the validation set; ")
    assert said.endswith("4 seconds may be exceeded, as starting, reading and writing take about 8: give 10 or more")
    two = described_plan(cross_validated(wine, 1, None, None, time_limit=4.0), 9.60495, has_test=True, n_targets=2)
    assert "; 9.6 seconds may be exceeded" in two
    assert two.endswith(": give 23 or more for all 2 targets")
    assert with_folds(Settings(data={}, time_limit=10.0), wine).n_workers is None


def test_scores_of_two_classes_are_those_of_the_best_threshold(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "c"])
    frame["target"] = np.where(frame["a"] + rng.normal(size=400) > 1.8, "rare", "common")
    task = cross_validated(prepared(tmp_path, frame), 4, "linear", "f1")
    *_, last = task.train(preset(task, "linear"), seed=0, epochs=4, checkpoint=tmp_path / "trial", device="cpu")
    y, predicted = load_data(task.data_of(""), None, True).y_train, read_predictions(tmp_path / "trial").astype(float)
    assert last.metrics["f1"] == measure("f1", y, predicted, best_threshold("f1", y, predicted))
    assert last.metrics["f1"] > 1.05 * measure("f1", y, predicted)


def test_a_family_for_other_data_is_refused_in_one_line(wine):
    with pytest.raises(UserError, match="--model 'cnn' does not suit table; choose auto or some of: lightgbm"):
        cross_validated(wine, 8, "cnn", None)


def test_catboost_is_among_the_families_where_it_is_installed(wine, monkeypatch):
    assert "catboost" in families_of(cross_validated(wine, 8, None, None).space)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "catboost" else find(name))
    assert "catboost" not in families_of(cross_validated(wine, 8, None, None).space)
    with pytest.raises(UserError, match="--model catboost needs the package catboost; install it with: pip install"):
        cross_validated(wine, 8, "linear,catboost", None)


def test_folds_that_would_take_too_long_fail_after_the_second(wine, tmp_path):
    task = replace(cross_validated(wine, 8, None, None), max_seconds=1e-3)
    with pytest.raises(
        TrainingFailed, match=r"too slow: 8 folds would take .* s, longer than the 0\.001 s of a configuration"
    ):
        list(task.train(preset(task, "linear"), seed=0, epochs=8, checkpoint=tmp_path / "trial", device="cpu"))
    assert len(read_record(tmp_path / "trial")["losses"]) == 2


def test_boosting_gives_up_where_the_search_ends_too_soon_for_it(wine, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.models.learners.fit_watch.MIN_SECONDS", 0.0)  # a fold takes little more
    task = cross_validated(wine, 8, "catboost,linear", None)
    place, config = tmp_path / "trial", preset(task, "catboost")
    with pytest.raises(
        TrainingFailed,
        match=r"too slow: \d+ rounds .* than the 0\.00\d+ s left for this fit, a share of the time for the",
    ):
        list(task.within(0.05).train(config, seed=0, epochs=8, checkpoint=place, device="cpu"))
    assert not (place / RECORD).exists(), "no fold was done"


@pytest.mark.parametrize("family", ["lightgbm", "realmlp"])
def test_a_later_fold_does_not_give_up(wine, tmp_path, monkeypatch, family):
    monkeypatch.setattr("automl.models.learners.fit_watch.MIN_SECONDS", 0.0)
    task = cross_validated(wine, 4, f"{family},linear", None).within(1e9)
    (tmp_path / "trial").mkdir()
    folds = FoldsTraining(task, preset(task, family), 0, tmp_path / "trial")
    for _ in range(2):
        folds.next_fold()
    folds.task = task.within(0.0)
    for _ in range(2):
        folds.next_fold()
    assert folds.n_done == 4


def test_the_only_configuration_of_a_run_that_is_late_is_trained_to_its_end(wine):
    task = replace(cross_validated(wine, 4, "linear", None, time_limit=60), max_seconds=1e-6)
    training = {"seed": 0, "epochs": 4, "checkpoint": None, "device": "cpu"}
    with pytest.raises(TrainingFailed, match="4 folds would take"):
        list(within(task, 30.0).train(preset(task, "linear"), **training))
    assert len(list(within(task, None).train(preset(task, "linear"), **training))) == 4


def test_a_later_fold_that_would_give_up_has_the_time_of_the_earlier_ones(wine, tmp_path):
    task = cross_validated(wine, 4, "linear", None).within(100.0)
    (tmp_path / "trial").mkdir()
    folds = FoldsTraining(replace(task, aborts_if_late=True), preset(task, "linear"), 0, tmp_path / "trial")
    assert folds._max_seconds(0) == pytest.approx(25.0)
    folds.next_fold()
    folds.seconds[0] = 30.0
    assert folds._max_seconds(1) == pytest.approx(LATER_FOLDS * 30.0)
    folds.seconds[0] = 4.0
    assert folds._max_seconds(1) == pytest.approx(96.0 / 3)


def test_boosting_without_another_family_ends_with_the_rounds_so_far(wine, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.models.learners.fit_watch.MIN_SECONDS", 0.0)
    task = cross_validated(wine, 4, "lightgbm", None)
    config, record = preset(task, "lightgbm"), tmp_path / "trial"
    config |= {"lightgbm_learning_rate": 0.005}  # would go on for longer
    epochs = list(task.within(1e-3).train(config, seed=0, epochs=4, checkpoint=record, device="cpu"))
    assert len(epochs) == 4
    assert max(rounds for (rounds,) in read_record(record)["rounds"]) == USEFUL_ROUNDS


def test_a_training_that_goes_on_has_the_seconds_that_are_left_then(wine, tmp_path):
    """Those of the folds that it has done count only towards the seconds of a configuration."""
    task = replace(cross_validated(wine, 8, "extra_trees,lightgbm", None), max_seconds=100.0, aborts_if_late=True)
    (tmp_path / "trial").mkdir()
    folds = FoldsTraining(task, preset(task, "lightgbm"), 0, tmp_path / "trial")
    folds.next_fold()
    folds.seconds[0] = 30.0
    folds._save()
    again = FoldsTraining(replace(task, seconds_left=40.0), preset(task, "lightgbm"), 0, tmp_path / "trial")
    assert again._seconds_left(1.0) == pytest.approx(40.0)
    assert again._seconds_left(0.5) == pytest.approx(20.0)
    again.seconds.append(15.0)
    assert again._seconds_left(1.0) == pytest.approx(25.0)
    assert again._seconds_left(0.5) == pytest.approx(5.0)


def test_scores_count_rows_as_much_as_they_weigh(tmp_path):
    frame = load_diabetes(as_frame=True).frame
    frame["counts"] = np.where(frame["target"] > 150, 5.0, 0.5)
    task = cross_validated(prepared(tmp_path, frame, weight="counts"), 4, "linear", None)
    *_, last = task.train(preset(task, "linear"), seed=0, epochs=4, checkpoint=tmp_path / "trial", device="cpu")
    y, predicted = load_data(task.data_of(""), None, True).y_train, read_predictions(tmp_path / "trial")
    counts = np.where(y > 150, 5.0, 0.5)
    assert task.weights() == pytest.approx(counts / counts.mean(), rel=1e-4)
    assert last.loss == pytest.approx(np.sqrt(np.average((predicted - y) ** 2, weights=counts)), rel=1e-5)
    assert np.average(predicted - y, weights=counts) == pytest.approx(0, abs=3), "the fit is weighted too"
    frame.loc[2, "counts"] = 0
    with pytest.raises(UserError, match="must have a number above 0 in every row: row 3 has 0"):
        prepared(tmp_path, frame, weight="counts")


def test_boosted_trees_minimise_absolute_errors_if_these_are_the_metric(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    folder = prepared(
        tmp_path,
        pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.exp(0.3 * x[:, 0] + 1.5 * rng.normal(size=600))}),
        "y",
    )
    task = cross_validated(folder, 4, "lightgbm", "mae")
    chosen = preset(task, "lightgbm")
    assert chosen["lightgbm_loss"] == "absolute"
    losses = [
        list(task.train(chosen | {"lightgbm_loss": loss}, seed=0, epochs=4, checkpoint=None, device="cpu"))[-1].loss
        for loss in ("absolute", "squared")
    ]
    assert losses[0] < 0.95 * losses[1]
    assert "lightgbm_loss" in cross_validated(folder, 4, "lightgbm", "rmse").space, "the target is long-tailed"
    assert "absolute" not in str(cross_validated(folder, 4, "lightgbm", "rmse").space["lightgbm_loss"])


@pytest.mark.parametrize("role", ["time", "group"])
def test_rows_that_stop_a_fit_are_set_aside_as_the_folds_are_drawn(role, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=400), "role": np.arange(400) if role == "time" else np.arange(400) % 20})
    folder = prepared(tmp_path, frame.assign(y=frame["x"] + rng.normal(size=400)), "y", **{role: "role"})
    task = cross_validated(folder, 1, "realmlp", None)
    training = FoldsTraining(task, preset(task, "realmlp"), 0, tmp_path / "trial")
    rows = np.flatnonzero(task.folds() < 0)
    before, aside = training._set_aside(rows, 0)
    assert len(aside) >= len(rows) // 8
    if role == "time":
        assert before.max() < aside.min()
    else:
        groups = task.groups()
        assert not set(groups[before]) & set(groups[aside])


def test_predictions_that_are_not_finite_are_a_failure(wine, monkeypatch):
    task = cross_validated(wine, 4, "lightgbm", None)
    predict = learner_class("lightgbm").predict

    def with_a_gap(self, x):
        found = predict(self, x)
        found[0] = np.nan
        return found

    monkeypatch.setattr(learner_class("lightgbm"), "predict", with_a_gap)
    with pytest.raises(TrainingFailed, match="predictions are not finite"):
        list(task.train(preset(task, "lightgbm"), seed=0, epochs=4, checkpoint=None, device="cpu"))


def test_categories_of_validation_rows_are_known_to_the_model(tmp_path):
    frame = pd.DataFrame(
        {"day": np.arange(400), "shop": np.where(np.arange(400) < 280, "old", "new"), "x": np.arange(400) % 7}
    )
    folder = prepared(tmp_path, frame.assign(y=np.arange(400) % 5), "y", time="day")
    codes = load_data(cross_validated(folder, 4, None, None).data_of(""), None, True)
    shop = {*codes.x_train[:, -1].tolist()}, {*codes.x_test[:, -1].tolist()}
    assert 0 not in shop[0] | shop[1], "0 is an unknown category"
