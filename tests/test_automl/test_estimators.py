"""The scikit-learn estimators for tables."""

import json
import pickle
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import f1_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import automl
from automl.deployment.json_predictions import JsonPredictions
from automl.estimators.base import _of_one_type
from automl.models.learners.linear import Linear
from automl.tuning.tuner import Tuner

FEW = dict.fromkeys(
    ("check_fit2d_1sample", "check_fit2d_1feature"), "too few rows are refused, by a message of our own"
) | {"check_sample_weight_equivalence_on_dense_data": "folds of fewer rows differ, and there are too few of them"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The model is not better:UserWarning")  # their labels are often noise
@pytest.mark.filterwarnings("ignore:.*equals the target:UserWarning")  # or a column
@parametrize_with_checks(
    [kind(models="linear", n_trials=1, n_jobs=1) for kind in (automl.AutoMLClassifier, automl.AutoMLRegressor)],
    expected_failed_checks=lambda estimator: FEW,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def people(n, seed=0):
    """A frame with a number, a category of strings, a date and missing values, and classes with names."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, n).astype(float),
            "town": rng.choice(["Bern", "Basel", None], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        }
    )
    y = np.where((frame["age"] > 50) ^ (frame["town"] == "Bern"), "yes", "no")
    frame.loc[rng.random(n) < 0.1, "age"] = np.nan
    return frame, y


def test_a_frame_is_taken_as_it_is_and_the_model_is_the_same_after_saving(tmp_path):
    X, y = people(400)
    X_new, y_new = people(300, 1)
    model = automl.AutoMLClassifier(models=["lightgbm", "linear"], n_trials=2, n_jobs=1).fit(X, y)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(X_new, y_new) > 0.8
    assert model.predict_proba(X_new).sum(1) == pytest.approx(1.0)
    assert model.feature_names_in_.tolist() == ["age", "town", "since"]
    board = model.leaderboard_
    assert board["loss"].is_monotonic_increasing
    assert board["weight"].sum() == pytest.approx(1.0)
    model.save(tmp_path / "saved")
    predicted = model.predict_proba(X_new)
    with pytest.raises(ValueError, match="saved' holds an AutoMLClassifier; load it with"):
        automl.AutoMLRegressor.load(tmp_path / "saved")
    for same in (automl.AutoMLClassifier.load(tmp_path / "saved"), pickle.loads(pickle.dumps(model))):
        assert (same.predict_proba(X_new) == predicted).all()
        assert same.get_params() == model.get_params()
        assert (same.predict(X_new) == model.predict(X_new)).all()
    assert not hasattr(clone(model), "classes_")
    with pytest.raises(ValueError, match=r"there is no estimator\.json"):
        automl.AutoMLClassifier.load(tmp_path)


def test_the_score_out_of_fold_is_about_that_on_new_rows():
    X, y = load_diabetes(return_X_y=True)
    model = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(X[:300], y[:300])
    error = np.sqrt(np.mean((model.predict(X[300:]) - y[300:]) ** 2))
    assert model.score_out_of_fold_ == pytest.approx(error, rel=0.1)


def test_rows_of_a_group_are_in_one_fold(tmp_path):
    """With the group as a column, random folds would know the target of each row from its siblings."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    X = pd.DataFrame({"group": groups + rng.normal(0, 0.01, 360)})
    y = rng.normal(size=60)[groups]
    options = {"models": "random_forest", "n_trials": 1, "n_jobs": 1, "metric": "r2"}
    random = automl.AutoMLRegressor(**options).fit(X, y)
    with pytest.warns(UserWarning, match="The model is not better out of fold than the baseline, training mean"):
        grouped = automl.AutoMLRegressor(folder=tmp_path / "run", **options).fit(X, y, groups=groups)
    assert random.score_out_of_fold_ > 0.8
    assert grouped.score_out_of_fold_ < 0.3
    assert (tmp_path / "run" / "model").is_dir()


def test_a_model_that_is_no_better_than_the_baseline_is_doubted_once_by_the_sentence_of_the_command():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 6)), rng.normal(size=(120, 2))
    y[:, 1] += 3 * X[:, 0]
    model = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1)
    with pytest.warns(UserWarning, match="than the baseline") as told:
        model.fit(X, y)
    (doubt,) = told
    assert str(doubt.message).startswith("y0: The model is not better out of fold than the baseline, training mean")
    assert "y1" not in str(doubt.message)
    assert doubt.filename == __file__
    assert model.baseline_["y1"] == {"name": "training mean", "score": pytest.approx(y[:, 1].std(), rel=0.05)}


@pytest.mark.parametrize(
    "options", [{"n_jobs": -1, "random_state": np.int64(3)}, {"n_jobs": 1, "random_state": np.random.RandomState(3)}]
)
def test_numbers_of_jobs_and_random_states_are_those_of_scikit_learn(options, tmp_path):
    X, y = people(200)
    model = automl.AutoMLClassifier(models="linear", n_trials=np.int64(1), **options).fit(X, y)
    model.save(tmp_path / "model")
    loaded = automl.AutoMLClassifier.load(tmp_path / "model")
    assert loaded.predict_proba(X).tolist() == model.predict_proba(X).tolist()


def test_bad_input_is_a_value_error_in_one_line():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    with pytest.raises(ValueError, match="unknown model 'cnn'; choose 'auto' or some of: lightgbm"):
        automl.AutoMLClassifier(models="cnn").fit(X, y)
    with pytest.raises(ValueError, match="'rmse' is not a metric for classification"):
        automl.AutoMLClassifier(metric="rmse").fit(X, y)
    for name in ("mean radius", 1):
        twice = X.iloc[:, :2].set_axis([str(name), name], axis=1)
        with pytest.raises(ValueError, match=f"two columns named '{name}'; rename one"):
            automl.AutoMLClassifier().fit(twice, y)
    with pytest.raises(ValueError, match="one class only"):
        automl.AutoMLClassifier().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="y must be numbers, and has 'malignant'; AutoMLClassifier is for classes"):
        automl.AutoMLRegressor().fit(X, np.where(y, "benign", "malignant"))
    named = r"most values of 'target' are different \(569 in 569 rows\)"
    with pytest.warns(UserWarning, match="number of unique classes"), pytest.raises(ValueError, match=named):
        automl.AutoMLClassifier().fit(X, [f"P{number}" for number in range(len(X))])


@pytest.mark.parametrize(
    "of",
    [
        lambda y: np.where(y == 2, None, y.astype(object)),
        lambda y: pd.Series(y).map({0: "no", 1: "yes"}),
        lambda y: pd.Series(y).map({0: "no", 1: "yes"}).astype("category"),
        lambda y: np.where(y == 2, np.nan, y).tolist(),
        lambda y: pd.DataFrame({"a": np.where(y == 2, np.nan, y), "b": y}),
    ],
)
@pytest.mark.parametrize("kind", [automl.AutoMLClassifier, automl.AutoMLRegressor])
def test_missing_labels_and_weights_are_counted(kind, of):
    X, y = pd.DataFrame({"a": np.arange(100.0)}), np.arange(100) % 2
    y[:3] = 2
    with pytest.raises(ValueError, match=r"^y has missing values in 3 rows$"):
        kind().fit(X, of(y))
    with pytest.raises(ValueError, match=r"^sample_weight has missing values in 1 row$"):
        kind().fit(X, y, sample_weight=[None, *np.ones(99)])


def test_a_saved_model_names_its_classes_and_is_not_overwritten(tmp_path):
    X, y = people(200)
    model = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(X, pd.Series(y, name="member"))
    model.save(tmp_path / "saved")
    predictor = automl.load(tmp_path / "saved")
    assert predictor.classes == ("no", "yes")
    assert predictor.target == "member"
    assert (predictor.predict(X) == model.predict(X)).all()
    with pytest.raises(FileExistsError, match="is not empty; choose another one"):
        model.save(tmp_path / "saved")
    codes = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(X, np.where(y == "yes", 10, 9))
    assert set(codes.predict(X)) == {9, 10}
    assert codes.classes_.dtype.kind == "i"
    days = pd.Series(pd.to_datetime(np.where(y == "yes", "2020-01-01", "2021-01-01")))
    dated = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(X, days)
    dated.save(tmp_path / "dated")
    assert (automl.AutoMLClassifier.load(tmp_path / "dated").predict(X) == dated.predict(X)).all()


def test_classes_and_values_that_files_would_change_stay_as_they_are():
    """A file would read true as True, and cannot hold numbers beside texts."""
    X, y = people(200)
    X = X.assign(floor=pd.Series([1, "1a", None, 2.5] * 50, dtype=object))
    model = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(X, np.where(y == "yes", "true", "false"))
    assert model.classes_.tolist() == ["false", "true"]
    assert set(model.predict(X)) == {"false", "true"}
    assert model.predict_proba(X).shape == (200, 2)


def test_categories_that_are_numbers_are_not_a_scale():
    rng = np.random.default_rng(0)
    codes = rng.permutation(60)
    y = np.where(rng.permutation(30)[codes % 30] % 2, "yes", "no")
    frame = pd.DataFrame(
        {"code": pd.Categorical(codes % 30), "size": pd.Categorical(codes % 2 + 0.5), "x": rng.random(60)}
    )
    found = _of_one_type(frame)
    assert found["code"].tolist() == [str(code % 30) for code in codes]
    assert found["size"].tolist() == [f"{code % 2 + 0.5}" for code in codes]
    model = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(frame, y)
    assert model.predict(frame).tolist() == model.predict(frame.astype({"code": int, "size": float})).tolist()


def test_binned_and_sparse_columns_are_inputs():
    """A file cannot hold the intervals of pandas.cut, nor sparse columns, as of get_dummies(sparse=True)."""
    X, y = people(200)
    towns = pd.get_dummies(X["town"], sparse=True)
    X = pd.DataFrame({"age": pd.cut(X["age"], [0, 50, 100]), "since": X["since"].dt.to_period("M").astype("category")})
    X = X.join(towns)
    model = automl.AutoMLClassifier(models="lightgbm", n_trials=1, n_jobs=1).fit(X, y)
    assert model.score(X, y) > 0.8


def test_an_array_has_the_columns_of_the_frame_that_was_fitted_to_and_their_names_may_have_levels():
    X, y = people(200)
    X = X[["age"]].assign(half=X["age"] / 2, noise=range(0, 400, 2))
    model = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(X, y)
    wanted = model.predict(X).tolist()
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert model.predict(X.to_numpy()).tolist() == wanted
    X.columns = pd.MultiIndex.from_tuples([("age", "whole"), ("age", "half"), ("noise", "")])
    model = clone(model).fit(X, y)
    assert model.predict(X).tolist() == model.predict(X.to_numpy()).tolist() == wanted


@pytest.mark.parametrize("settings", [{"transform_output": "pandas"}, {"enable_metadata_routing": True}])
def test_models_do_not_depend_on_scikit_learns_global_settings(settings):
    X, y = people(200)
    model = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1)
    wanted = clone(model).fit(X, y).predict_proba(X)
    with sklearn.config_context(**settings):
        assert model.fit(X, y).predict_proba(X) == pytest.approx(wanted)


def test_why_no_configuration_could_be_trained_is_said(monkeypatch):
    def refuse(self, *arguments, **options):
        raise TypeError("unlikely numbers")

    monkeypatch.setattr(Linear, "fit", refuse)
    with pytest.raises(ValueError, match=r"no configuration could be trained .* TypeError: unlikely numbers"):
        automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1).fit(*people(200))


def test_numbers_far_from_0_are_learnt_by_their_differences():
    x = np.random.default_rng(0).normal(size=(200, 2))
    y = 1.7e9 + x[:, 0]
    model = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(x, y)
    assert model.score(x, y) > 0.9
    assert np.abs(model.predict(x) - y).mean() < 0.3


def test_what_was_noticed_in_the_data_is_kept():
    X, y = people(200)
    X["id"] = range(len(X))
    with pytest.warns(
        UserWarning, match=r"column 'id' is left out: it numbers the rows \(an id\); to keep it, rename it"
    ):
        found = automl.AutoMLClassifier(n_trials=1, n_jobs=1).fit(X, y)
    assert any("'id' is left out" in note for note in found.notes_)


def test_columns_are_inputs_as_they_are_given_and_what_is_left_out_is_a_warning():
    rng = np.random.default_rng(0)
    x = np.arange(200.0)
    ours = {"models": "linear", "n_trials": 2, "n_jobs": 1}
    assert automl.AutoMLRegressor(**ours).fit(np.c_[x, rng.random(200)], 2 * x + 1).score(np.c_[x, x], 2 * x + 1) > 0.99
    leak = np.c_[np.arange(200) % 2, rng.random(200)]
    with pytest.warns(UserWarning, match="column 'x0' equals the target, or maps one-to-one to it: is it known"):
        assert automl.AutoMLClassifier(**ours).fit(leak, leak[:, 0]).score(leak, leak[:, 0]) == 1.0
    frame = pd.DataFrame({"a": x, "b": np.where(x % 7 == 0, np.inf, x)})
    left_out = r"classes with fewer than 5 rows are left out: 2 \(1, with 4 rows in all\)"
    infinite = "column 'b' has values that are infinite"
    with pytest.warns(UserWarning, match=infinite), pytest.warns(UserWarning, match=left_out):
        model = automl.AutoMLClassifier(**ours).fit(frame, np.r_[x[:-4] > 90, [2] * 4])
    with pytest.warns(UserWarning, match=r"most values of 'a' \(200 of 200 rows\) cannot be used and count as missing"):
        model.predict(frame.assign(a="many"))


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"n_jobs": 0}, "n_jobs must not be 0"),
        ({"n_jobs": 1.5}, "n_jobs must be a whole number, got 1.5"),
        ({"random_state": "a"}, "random_state must be a whole number, got 'a'"),
        ({"max_members": 0}, "max_members must be 1 or more, got 0"),
        ({"models": None}, "models must be 'auto' or a list of families, such as ['lightgbm', 'linear'], got None"),
        ({"models": []}, "models must be 'auto' or a list of families, such as ['lightgbm', 'linear'], got []"),
        ({"quantiles": 0.5}, "quantiles must be numbers between 0 and 1, such as (0.1, 0.5, 0.9), got 0.5"),
        ({"quantiles": ("a",)}, "quantiles must be numbers between 0 and 1, such as (0.1, 0.5, 0.9), got ('a',)"),
        ({"quantiles": (0.5, 0.5)}, "quantiles must differ, got (0.5, 0.5)"),
        ({"folder": 3}, "folder must be the path of a folder, got 3"),
        ({"folder": "."}, "the folder '.' is not empty; choose another"),
    ],
)
def test_wrong_parameters_are_told_by_their_names(parameters, line):
    with pytest.raises(ValueError, match=f"^{re.escape(line)}"):
        automl.AutoMLRegressor(**parameters).fit(np.arange(100.0).reshape(50, 2), np.arange(50.0))


def test_messages_name_parameters_and_not_options_of_the_command():
    x, y = np.arange(100.0).reshape(50, 2), np.arange(50) % 2
    with pytest.raises(ValueError, match=r"has only one class, .*; leave groups out, or give data in which"):
        automl.AutoMLClassifier(n_trials=1).fit(x, np.arange(50) >= 10, groups=np.arange(50) // 10)
    with pytest.raises(ValueError, match="y must be numbers, and has dates or times"):
        automl.AutoMLRegressor().fit(x, pd.date_range("2020", periods=50))
    with pytest.raises(ValueError, match="columns of strings need a pandas DataFrame"):
        automl.AutoMLClassifier().fit(np.array([["a", 1]] * 50, object), y)


def test_an_interrupt_ends_the_fit(monkeypatch):
    def interrupted(tuner):
        raise KeyboardInterrupt

    monkeypatch.setattr(Tuner, "_loop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        automl.AutoMLClassifier(n_trials=1, n_jobs=1).fit(*people(200))


def test_rows_of_an_estimator_count_as_much_as_they_weigh():
    """Half of the rows have a target that is 10 lower, and nearly no weight."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    low = np.arange(300) % 2 == 0
    y = X[:, 0] + rng.normal(0, 0.1, 300) - 10 * low  # noise, as a column that equals the target would be left out
    model = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(X, y, np.where(low, 1e-3, 1.0))
    assert np.abs(model.predict(X) - X[:, 0]).mean() < 0.5
    assert model.score_out_of_fold_ < 1
    without = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(X, y, np.where(low, 0.0, 1.0))
    same = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(X[~low], y[~low])
    assert (without.predict(X) == same.predict(X)).all()
    with pytest.raises(ValueError, match=r"^sample_weight must not be negative, but it is -1.0 in row 1$"):
        without.fit(X, y, np.where(low, -1.0, 1.0))


def test_a_rare_class_is_predicted_where_f1_asks_for_it(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(4_000, 3)), columns=["a", "b", "c"])
    y = np.where(X["a"] + 1.5 * rng.normal(size=4_000) > 2.5, "yes", "no")  # a tenth
    found = {}
    for metric in ("f1", "log_loss"):
        model = automl.AutoMLClassifier(models="linear", n_trials=1, n_jobs=1, metric=metric).fit(X[:1000], y[:1000])
        predicted = model.predict(X[1000:])
        found[metric] = f1_score(y[1000:], predicted, pos_label="yes")
        model.save(tmp_path / metric)
        assert (automl.load(tmp_path / metric).predict(X[1000:]) == predicted).all()
    assert found["f1"] > found["log_loss"] + 0.02
    card = json.loads((tmp_path / "f1" / "model.json").read_text())
    assert 0.1 < card["threshold"] < 0.45
    assert f"a probability above {card['threshold']:.4g}" in (tmp_path / "f1" / "README.md").read_text()


def test_quantiles_are_predicted_in_place_of_the_mean(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.uniform(0, 1, 600)})
    y = pd.Series(X["x"] * rng.exponential(size=600), name="delay")
    model = automl.AutoMLRegressor(models="linear", n_trials=2, n_jobs=1, quantiles=np.array([0.9, 0.1])).fit(X, y)
    predicted = model.predict(X)
    assert (y.to_numpy()[:, None] <= predicted).mean(0) == pytest.approx([0.1, 0.9], abs=0.04)
    model.save(tmp_path / "saved")
    assert "test rows below its quantiles" not in (tmp_path / "saved/README.md").read_text()  # there are none
    assert (automl.AutoMLRegressor.load(tmp_path / "saved").predict(X) == predicted).all()
    predictor = automl.load(tmp_path / "saved")
    X.to_csv(tmp_path / "new.csv", index=False)
    (frame,) = predictor.stream(tmp_path / "new.csv")
    assert list(frame) == ["row", "delay 0.1", "delay 0.9"]
    assert frame[["delay 0.1", "delay 0.9"]].to_numpy() == pytest.approx(predicted, abs=1e-4)
    predictions = JsonPredictions(predictor)
    assert predictions.response([{"x": 0.5}])["predictions"][0] == pytest.approx(
        predictor.predict(pd.DataFrame({"x": [0.5]}))[0]
    )
    assert predictions.response_schema["properties"]["predictions"]["items"]["minItems"] == 2
    with pytest.raises(
        ValueError, match=r"quantiles must be numbers between 0 and 1, such as \(0\.1, 0\.5, 0\.9\), got \(0\.1, 2\)"
    ):
        automl.AutoMLRegressor(quantiles=(0.1, 2)).fit(X, y)
    with pytest.raises(ValueError, match="'extra_trees' does not suit quantiles of table"):
        automl.AutoMLRegressor(quantiles=(0.1, 0.9), models="extra_trees").fit(X, y)


def test_another_fit_to_the_same_folder_reads_its_own_data(tmp_path):
    X = pd.DataFrame({"x": np.linspace(0.0, 1.0, 200)})
    y = X["x"] + np.random.default_rng(0).normal(0, 0.01, 200)
    model = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1, folder=tmp_path / "run")
    assert model.fit(X, y).predict(X[100:101])[0] == pytest.approx(0.5, abs=0.1)
    shutil.rmtree(tmp_path / "run")
    assert model.fit(X, 1000 - y).predict(X[100:101])[0] == pytest.approx(999.5, abs=0.1)


def test_several_targets_have_a_model_each(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "c"])
    Y = pd.DataFrame({"sum": X["a"] + X["b"], "difference": X["a"] - X["b"]}) + rng.normal(0, 0.1, (400, 2))
    model = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(X[:300], Y[:300])
    predicted = model.predict(X[300:])
    errors = np.sqrt(((predicted - Y[300:]) ** 2).mean())
    assert predicted.shape == (100, 2)
    assert model.score_out_of_fold_ == pytest.approx(errors.mean(), rel=0.2)
    assert model.score(X[300:], Y[300:]) > 0.95
    assert set(model.leaderboard_["target"]) == {"sum", "difference"}
    model.save(tmp_path / "saved")
    assert (automl.AutoMLRegressor.load(tmp_path / "saved").predict(X[300:]) == predicted).all()
    X[300:].to_csv(tmp_path / "new.csv", index=False)
    (frame,) = automl.load(tmp_path / "saved").stream(tmp_path / "new.csv")
    assert list(frame) == ["row", "sum", "difference"]
    assert frame[["sum", "difference"]].to_numpy() == pytest.approx(predicted, abs=1e-4)
    plain = automl.AutoMLRegressor(models="linear", n_trials=1, n_jobs=1).fit(X[:300].to_numpy(), Y[:300].to_numpy())
    assert plain.predict(X[300:].to_numpy()) == pytest.approx(predicted)
    with pytest.raises(ValueError, match="quantiles are of one target, and y has 2 columns"):
        automl.AutoMLRegressor(quantiles=(0.1, 0.9)).fit(X, Y)
