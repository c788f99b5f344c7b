"""SearchCV against the conventions of scikit-learn: estimator checks, results, and equal folds."""

import os
import pickle
import time
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from automl.errors import UserError
from automl.integrations.sklearn import SearchCV
from strategies import STRATEGIES
from strategies.errors import UnknownStrategy

X, y = make_classification(n_samples=120, n_features=6, n_informative=4, flip_y=0.1, random_state=0)
RIDGE = SearchCV(Ridge(), {"alpha": [0.1, 1.0]}, n_iter=2, cv=2, error_score="raise", random_state=0)
LOGISTIC = SearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, n_iter=2, cv=2, random_state=0, early_stopping=True)
TREE = {"max_depth": stats.randint(1, 9), "min_samples_leaf": stats.loguniform(1e-3, 0.3)}


class Threshold(ClassifierMixin, BaseEstimator):
    """Fails where it is told to; its score is the value it is given."""

    def __init__(self, quality=0.0, fails=False, noise=None):
        self.quality = quality
        self.fails = fails
        self.noise = noise

    def fit(self, X, y, sample_weight=None):
        if self.fails:
            raise FloatingPointError("no such model")
        self.classes_ = np.unique(y)
        self.weighted_ = sample_weight is not None
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y, sample_weight=None):
        return self.quality + (0.0 if self.noise is None else self.noise[len(X)])


def search(estimator=None, space=None, **options):
    options = {"n_iter": 8, "cv": 3, "random_state": 0} | options
    return SearchCV(estimator or DecisionTreeClassifier(random_state=0), space or TREE, **options)


# As RandomizedSearchCV, in scikit-learn's own list of expected failures.
@parametrize_with_checks(
    [RIDGE, LOGISTIC],
    expected_failed_checks=lambda _: {
        "check_supervised_y_2d": "DataConversionWarning not caught",
        "check_requires_y_none": "Doesn't fail gracefully",
    },
)
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_repeats_itself_and_gives_a_fitted_best_estimator(name):
    first, again = (search(strategy=name, n_iter=10).fit(X, y) for _ in range(2))
    assert first.cv_results_["params"] == again.cv_results_["params"]
    assert len(first.cv_results_["params"]) == 10
    assert first.best_params_ == first.cv_results_["params"][first.best_index_]
    assert first.best_score_ == first.cv_results_["mean_test_score"].max()
    best = DecisionTreeClassifier(random_state=0, **first.best_params_)
    assert cross_val_score(best, X, y, cv=3).mean() == first.best_score_
    assert (first.predict(X) == best.fit(X, y).predict(X)).all()


def test_another_random_state_searches_elsewhere():
    assert search(random_state=1).fit(X, y).cv_results_["params"] != search().fit(X, y).cv_results_["params"]


def test_jobs_in_parallel_repeat_themselves():
    first, again = (search(n_jobs=2, n_iter=9).fit(X, y) for _ in range(2))
    assert first.cv_results_["params"] == again.cv_results_["params"]
    scores = [cross_val_score(clone(first.estimator).set_params(**p), X, y, cv=3) for p in again.cv_results_["params"]]
    assert np.array_equal(np.mean(scores, axis=1), again.cv_results_["mean_test_score"])


def test_the_search_goes_by_the_scores():
    found = search(
        Threshold(), {"quality": {"float": [0, 1]}, "noise": [None]}, strategy="bo", n_iter=15, refit=False
    ).fit(X, y)
    assert found.best_score_ > 0.99


def test_choices_are_any_objects_and_parameters_may_be_nested():
    scalers = [StandardScaler(), MinMaxScaler(), "passthrough", None]
    function = [np.abs, np.tanh, None]
    found = search(
        Pipeline([("first", FunctionTransformer()), ("scale", None), ("svc", SVC())]),
        {"first__func": function, "scale": scalers, "svc__class_weight": [None, "balanced"], "svc__C": [0.1, 1, 10]},
        n_iter=20,
    ).fit(X, y)
    tried = found.cv_results_["params"]
    assert {id(p["first__func"]) for p in tried} == {id(f) for f in function}
    assert {id(p["scale"]) for p in tried} == {id(scaler) for scaler in scalers}
    assert {p["svc__class_weight"] for p in tried} == {None, "balanced"}
    assert found.best_estimator_.get_params()["svc__C"] == found.best_params_["svc__C"]
    assert (
        found.best_estimator_.named_steps["scale"] is not found.best_params_["scale"] or not found.best_params_["scale"]
    )


def test_the_table_masks_what_a_candidate_does_not_have():
    space = {
        "kernel": {"choice": ["linear", "rbf"]},
        "gamma": {"float": [1e-3, 1], "log": True, "when": {"kernel": "rbf"}},
    }
    table = search(SVC(), space).fit(X, y).cv_results_
    assert (table["param_gamma"].mask == (table["param_kernel"] == "linear")).all()


def test_a_finite_space_ends_the_search():
    assert (
        len(search(space={"max_depth": [1, 2], "criterion": ["gini", "entropy"]}).fit(X, y).cv_results_["params"]) == 4
    )


def test_several_metrics_and_a_callable_refit():
    options = {"scoring": ["accuracy", "roc_auc"], "return_train_score": True}
    found = search(refit="roc_auc", **options).fit(X, y)
    assert found.best_score_ == found.cv_results_["mean_test_roc_auc"].max()
    assert {"split2_train_accuracy", "std_test_roc_auc", "rank_test_accuracy"} <= found.cv_results_.keys()
    assert search(refit=lambda table: 3, **options).fit(X, y).best_index_ == 3
    assert not hasattr(search(refit=False, **options).fit(X, y), "best_index_")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search(**options).fit(X, y)


def test_a_scorer_that_gives_a_dict_is_several_metrics():
    def scores(estimator, X, y):
        return {"quality": estimator.quality, "other": 1.0}

    found = search(
        Threshold(), {"quality": stats.uniform(), "fails": [False, True]}, scoring=scores, refit="quality", n_iter=20
    )
    with pytest.warns((FitFailedWarning, UserWarning)):
        found.fit(X, y)
    assert found.multimetric_
    assert found.best_score_ > 0.95


def test_a_failing_candidate_is_a_row_of_the_table_and_not_the_end():
    found = search(Threshold(), {"fails": [True, False], "quality": {"int": [1, 3]}}, n_iter=6)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found.fit(X, y)
    assert ["9 fits failed out of a total of 18" in str(w.message) for w in seen] == [True, False]  # and: nan means
    assert seen[0].category is FitFailedWarning
    assert np.isnan(found.cv_results_["mean_test_score"]).sum() == 3
    assert found.best_params_ == {"fails": False, "quality": 3}


def test_errors_are_raised_where_that_is_asked_for_or_nothing_has_worked():
    with pytest.raises(FloatingPointError):
        search(Threshold(), {"fails": [True, False]}, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match=r"All the 6 fits failed"):
        search(Threshold(fails=True), {"quality": [0, 1]}).fit(X, y)
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        search(space={"depth": [1, 2]}).fit(X, y)


def test_early_stopping_spares_the_bad_their_folds_and_says_so():
    plain = search(strategy="random", cv=10, n_iter=30).fit(X, y)
    found = search(strategy="random", cv=10, n_iter=30, early_stopping=True).fit(X, y)
    full, table = plain.cv_results_, found.cv_results_
    n_run = table["n_splits_run"]
    stopped = n_run < 10
    assert n_run.sum() < 0.8 * 300
    assert found.best_params_ == plain.best_params_
    assert not stopped[found.best_index_]
    for fold in range(10):
        column, true = table[f"split{fold}_test_score"], full[f"split{fold}_test_score"]
        assert np.array_equal(column, np.where(n_run > fold, true, np.nan), equal_nan=True)
    scores = np.array([table[f"split{fold}_test_score"] for fold in range(10)])
    assert table["mean_test_score"] == pytest.approx(np.nanmean(scores, axis=0))
    assert table["std_test_score"] == pytest.approx(np.nanstd(scores, axis=0))
    assert np.isfinite(table["mean_fit_time"]).all()
    assert table["rank_test_score"][~stopped].max() < table["rank_test_score"][stopped].min()
    assert (table["rank_test_score"][~stopped] == stats.rankdata(-table["mean_test_score"][~stopped], "min")).all()


def test_early_stopping_never_chooses_a_candidate_for_easy_first_folds():
    """The first fold is easy: the mean over it alone is above every mean over all."""
    sizes = GroupKFold(3)
    groups = np.repeat([0, 1, 2], [50, 40, 30])
    noise = {50: 5.0, 40: 0.0, 30: -0.001}
    found = search(
        Threshold(noise=noise),
        {"quality": stats.uniform()},
        strategy="random",
        cv=sizes,
        n_iter=30,
        early_stopping=True,
    ).fit(X, y, groups=groups)
    table = found.cv_results_
    assert table["mean_test_score"].argmax() != found.best_index_
    qualities = [p["quality"] for p in table["params"]]
    assert found.best_params_["quality"] == max(qualities)


def test_early_stopping_works_with_jobs_in_parallel_and_with_failures():
    found = search(
        Threshold(), {"fails": [True, False], "quality": stats.uniform()}, n_iter=20, n_jobs=2, early_stopping=True
    )
    with pytest.warns((FitFailedWarning, UserWarning)):
        found.fit(X, y)
    failed = np.isnan(found.cv_results_["mean_test_score"])
    assert 0 < failed.sum() < 20
    assert (found.cv_results_["n_splits_run"][failed] <= 2).all()


def test_it_can_be_cloned_pickled_and_searched_in_turn():
    found = search().fit(X, y)
    assert clone(found).get_params().keys() == found.get_params().keys()
    again = pickle.loads(pickle.dumps(found))
    assert (again.predict(X) == found.predict(X)).all()
    assert len(cross_val_score(search(n_iter=3), X, y, cv=2)) == 2


def test_sample_weights_and_groups_go_where_they_belong():
    groups = np.repeat([0, 1, 2], 40)
    with config_context(enable_metadata_routing=True):
        found = search(
            Threshold().set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            {"quality": {"int": [0, 3]}},
            cv=GroupKFold(3),
            n_iter=3,
        ).fit(X, y, sample_weight=np.ones(120), groups=groups)
        assert found.best_estimator_.weighted_
        assert found.score(X, y, sample_weight=np.ones(120)) == found.best_score_


def test_no_target_is_needed_where_the_estimator_needs_none():
    assert search(KMeans(n_init=1), {"n_clusters": {"int": [2, 4]}}, n_iter=3).fit(X).best_params_["n_clusters"] == 4


def test_a_loss_as_scoring():
    data, target = make_regression(n_samples=60, n_features=4, noise=1.0, random_state=0)
    scoring = make_scorer(mean_squared_error, greater_is_better=False)
    found = search(Ridge(), {"alpha": stats.loguniform(1e-4, 1e4)}, scoring=scoring, n_iter=15).fit(data, target)
    assert found.best_params_["alpha"] < 1.0


@pytest.mark.parametrize(
    ("options", "error", "rule"),
    [
        ({"strategy": "cmae"}, UnknownStrategy, "did you mean 'cmaes'"),
        ({"strategy": "bo+asha"}, ValueError, "use 'bo' with early_stopping=True"),
        ({"n_iter": 0}, ValueError, "'n_iter' parameter of SearchCV must be"),
        ({"space": {"max_depth": 3}}, UserError, "expected a list of values, a distribution or a mapping"),
        ({"cv": []}, ValueError, "cv.split gives 0"),
    ],
)
def test_wrong_arguments_are_refused(options, error, rule):
    with pytest.raises(error, match=rule):
        search(**options).fit(X, y)


class Unsteady(DecisionTreeClassifier):
    """Takes another time at each fit."""

    def fit(self, X, y):
        time.sleep(int.from_bytes(os.urandom(1)) / 10_000)
        return super().fit(X, y)


def test_the_seconds_of_fits_decide_nothing_so_that_a_search_repeats_itself():
    spaces = [{"max_depth": stats.randint(1, 9)}, {"min_samples_leaf": stats.loguniform(1e-3, 0.3)}]
    tried = [
        search(Unsteady(random_state=0), spaces, strategy="auto", n_iter=14).fit(X, y).cv_results_["params"]
        for _ in range(2)
    ]
    assert tried[0] == tried[1]
