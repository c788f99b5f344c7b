"""Weights by predictions out of fold."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.analysis.formatting import at_resolution
from automl.data.datasets.registry import load_data
from automl.data.ingest.encoder import Views
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.data.inputs import Columns
from automl.data.memory_map import write_prepared
from automl.data.splits import Splits
from automl.data.targets import Number
from automl.metrics import measure
from automl.runs.ensemble import description
from automl.runs.latency import fast_enough
from automl.runs.member_candidates import MemberCandidate, refit_seconds
from automl.runs.selection import MAX_MEMBERS, _without_negligible, affordable, choose, without_damaged
from automl.study.trial import Trial
from automl.tasks.cross_validated import CrossValidated, cross_validated


@dataclass
class Numbers:
    """A task with 400 rows of one number, of which the candidates predict those of the folds."""

    folder: Path
    metric: str = "rmse"
    y: Any = field(default_factory=lambda: np.random.default_rng(0).normal(size=400).astype(np.float32))

    def task(self):
        x = np.zeros((400, 1), np.float32)
        splits = Splits(
            x[:300], self.y[:300], x[300:], self.y[300:], x[:10], self.y[:10], Columns.of(x, ()), Number.of(self.y)
        )
        write_prepared(splits, self.folder / "columns")
        np.save(self.folder / "folds.npy", (np.arange(400) % 8).astype(np.int8))
        return CrossValidated("numbers", str(self.folder), None, 8, self.metric, "random", Views("columns"))

    def candidate(self, number, error, seconds=1.0):
        trial = Trial(number, {"model": "lightgbm"})
        trial.losses.append(float(np.sqrt(np.mean(error**2))))
        return MemberCandidate(trial, self.folder, "lightgbm", self.y + error, seconds)


def noise(seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=400)


def test_a_member_with_next_to_no_weight_is_left_out():
    kept = _without_negligible({0: 0.6, 1: 0.397, 2: 0.003})
    assert kept == pytest.approx({0: 0.6 / 0.997, 1: 0.397 / 0.997})


def test_models_with_independent_errors_share_the_weight(tmp_path):
    numbers = Numbers(tmp_path)
    chosen = choose(numbers.task(), [numbers.candidate(i, noise(i)) for i in range(1, 5)], None)
    assert set(chosen.weights) == {1, 2, 3, 4}
    assert sum(chosen.weights.values()) == pytest.approx(1.0)
    assert chosen.score == pytest.approx(0.5, rel=0.1)  # of four independent errors of size 1
    assert chosen.loss < 0.5 * chosen.alone
    alone, large = at_resolution(1e4 * np.sqrt(chosen.alone), None), 1e4 * chosen.score
    many = replace(chosen, score=large, loss=large**2, alone=1e8 * chosen.alone)
    assert description(numbers.task(), many).endswith(f"; rmse {large:.0f} out of fold (the best alone {alone})")
    assert len(choose(numbers.task(), [numbers.candidate(i, noise(i)) for i in range(1, 5)], 2).weights) == 2


def test_one_model_stays_alone_where_others_do_not_improve_on_it(tmp_path):
    numbers = Numbers(tmp_path)
    error = noise(1)
    found = [numbers.candidate(1, error), numbers.candidate(2, 2 * error), numbers.candidate(3, 1.5 * error)]
    chosen = choose(numbers.task(), found, None)
    assert chosen.weights == {1: 1.0}
    assert chosen.loss == chosen.alone
    assert choose(numbers.task(), [numbers.candidate(i, noise(i)) for i in range(1, 5)], 1).weights.keys() < {
        1,
        2,
        3,
        4,
    }


def test_the_one_that_is_best_by_chance_does_not_get_all_the_weight(tmp_path):
    """Of 30 alike models, of which one has the lowest error on these rows, a new row is best predicted by several."""
    numbers = Numbers(tmp_path)
    common = noise(0, 2.0)
    chosen = choose(numbers.task(), [numbers.candidate(i, common + noise(i, 0.3)) for i in range(1, 31)], None)
    assert len(chosen.weights) == MAX_MEMBERS
    assert max(chosen.weights.values()) < 0.5


def test_as_many_members_as_there_is_time_to_fit(tmp_path):
    numbers = Numbers(tmp_path)
    found = [numbers.candidate(i, noise(i), seconds=10.0) for i in range(1, 5)]
    task = numbers.task()
    chosen = choose(task, found, None)
    assert affordable(task, found, chosen, 2, 25.0) is chosen
    fewer = affordable(task, found, chosen, 2, 12.0)
    assert (len(fewer.members), fewer.wanted) == (2, 4)
    assert description(task, fewer).endswith("; 2 of 4 members, as the time limit leaves no time to fit more")
    quick = [replace(each, refit_seconds=0.09) for each in found]
    chosen = choose(task, quick, None)
    assert affordable(task, quick, chosen, 2, 0.0) is chosen, "what takes a moment is not left out"
    slow = numbers.candidate(9, noise(9, 0.1), seconds=99.0)
    every = [*found, slow]
    best = choose(task, every, None)
    assert 9 in best.members
    in_time = affordable(task, every, best, 2, 25.0)
    assert set(in_time.members) <= {1, 2, 3, 4}, "what takes too long by itself is left out first"
    assert len(in_time.members) >= min(2, len(best.members))
    other = affordable(task, every, choose(task, every, 1), 2, 25.0)
    assert (len(other.members), 9 in other.members) == (1, False)
    assert description(task, other).endswith("; not the best members, as the time limit leaves no time to fit these")
    images = replace(task, max_epochs=1, views=Views("pixels"), kind="images")
    assert images.keeps_models
    assert affordable(images, every, best, 2, 25.0) == replace(best, as_scored=frozenset({9}))
    alone = affordable(images, every, choose(task, every, 1), 2, 25.0)
    assert (set(alone.members), alone.as_scored, alone.wanted) == ({9}, {9}, 0)
    hurried = [replace(each, refit_seconds=10.0 + i) for i, each in enumerate(every)]
    assert set(affordable(task, hurried, best, 2, 0.0).members) == {1}, "one is kept in any case: the quickest"


def test_a_damaged_member_without_time_to_fit_it_again_is_left_out(tmp_path):
    numbers, said = Numbers(tmp_path), []
    damaged = replace(numbers.candidate(1, noise(1, 0.5), seconds=99.0), damage=("trials/0001/fold-3 is missing",))
    found = [damaged, numbers.candidate(2, noise(2), seconds=1.0)]
    task = numbers.task()
    assert 1 in without_damaged(task, found, None, 100.0, said.append)[1].members
    assert said == []
    rest, chosen = without_damaged(task, found, None, 5.0, said.append)
    assert (set(chosen.members), len(rest)) == ({2}, 1)
    why = "as there is no time to fit it again: trials/0001/fold-3 is missing"
    assert said == [f"ensemble: trial 1 is left out, {why}"]
    assert set(without_damaged(task, [damaged], None, 0.0, said.append)[1].members) == {1}, "one is kept in any case"


def test_the_absolute_error_is_what_weights_are_chosen_by_where_it_is_the_metric(tmp_path):
    numbers = Numbers(tmp_path, "mae")
    rare = np.where(np.arange(400) % 50 == 0, 30.0, 0.0)  # small by the absolute error, large by the squared one
    chosen = choose(numbers.task(), [numbers.candidate(1, rare), numbers.candidate(2, noise(2, 1.5))], None)
    assert chosen.weights[1] > 0.8


def test_slow_members_are_left_out_until_the_rest_is_fast_enough(tmp_path):
    numbers = Numbers(tmp_path)
    task = numbers.task()
    scales = {1: 1.0, 2: 1.0, 3: 1.1, 4: 1.2}
    chosen = choose(task, [numbers.candidate(i, noise(i, scale)) for i, scale in scales.items()], None)
    latencies = {1: 7.0, 2: 1.0, 3: 1.0, 4: 3.0}

    def kept(most):
        return set(fast_enough(task, chosen, lambda member: latencies[member.trial.number], most)[0].members)

    assert kept(12.0) == {1, 2, 3, 4}
    assert kept(6.0) == {2, 3, 4}, "the first alone takes longer"
    assert kept(4.5) == {2, 3}
    assert kept(0.1) in ({2}, {3}), "one is kept in any case"


def test_what_a_fit_to_all_rows_takes_follows_from_the_folds(tmp_path):
    numbers = Numbers(tmp_path)
    folds, alone = numbers.task(), replace(numbers.task(), max_epochs=1)
    assert refit_seconds(folds, "lightgbm", [7.0] * 8) == 8.0
    assert refit_seconds(folds, "linear", [9.0, *[0.7] * 7]) == pytest.approx(0.8), "the first waited for imports"
    assert refit_seconds(folds, "realmlp", [7.0] * 8) == 8.0, "the models of the folds were removed"
    assert refit_seconds(folds, "extra_trees", [7.0, *[0.0] * 7]) == 7.0
    assert refit_seconds(alone, "realmlp", [3.0]) > 3.0, "the validation set is trained on too"


@pytest.fixture(scope="module")
def cancer(tmp_path_factory):
    """A task with scikit-learn's table of 569 tumours, and probabilities out of fold of four of its classifiers."""
    place = tmp_path_factory.mktemp("cancer")
    load_breast_cancer(as_frame=True).frame.to_csv(place / "table.csv", index=False)
    prepare(Request(str(place / "table.csv"), "target", no_test=True).checked(), place / "data")
    task = cross_validated(place / "data", 2, None, None)
    splits = load_data(task.data_of(""), None, True)
    return task, np.asarray(splits.x_train, np.float64), np.asarray(splits.y_train)


def classifier(task, y, number, probabilities):
    """A candidate with the probabilities of the second class."""
    predictions = np.stack([1 - probabilities, probabilities], axis=1)
    score = measure(task.metric, y, predictions)
    trial = Trial(number, {"model": "linear"}, metrics={task.metric: [score]})
    trial.losses.append(1 - score)
    return MemberCandidate(trial, Path(), "linear", predictions, 1.0)


def test_log_loss_decides_between_models_that_are_alike_by_the_metric(cancer):
    task, x, y = cancer
    model = make_pipeline(StandardScaler(), LogisticRegression())
    calibrated = cross_val_predict(model, x, y, cv=2, method="predict_proba")[:, 1]
    sure = np.where(calibrated > 0.5, 1 - 1e-9, 1e-9)  # the same classes, without doubts
    wrong = np.flatnonzero((calibrated > 0.5) != y)[0]
    sure[wrong] = y[wrong]  # one row more is right
    found = [classifier(task, y, 1, sure), classifier(task, y, 2, calibrated)]
    chosen = choose(task, found, 1)
    assert set(chosen.members) == {2}
    assert chosen.leader is found[0], "which is told"
    said = description(task, chosen)
    assert said.startswith(f"a single linear; accuracy {chosen.score:.4f} out of fold, chosen by its log loss 0.")
    assert f"(by accuracy alone, the best is {1 - found[0].loss:.4f}, linear of trial 1" in said
    assert choose(task, found[1:], 1).leader is None


@pytest.mark.parametrize("most", [1, None])
def test_a_model_that_is_worse_by_the_metric_is_not_kept_for_its_log_loss(cancer, most):
    task, x, y = cancer
    good = cross_val_predict(ExtraTreesClassifier(50, random_state=0), x, y, cv=2, method="predict_proba")[:, 1]
    timid = 0.5 + 0.01 * (good - 0.5)  # as many right, but no probability far from one half
    poor = cross_val_predict(GaussianNB(), x[:, [4, 9]], y, cv=2, method="predict_proba")[:, 1]
    found = [classifier(task, y, 1, timid), classifier(task, y, 2, poor)]
    assert found[0].loss < found[1].loss
    assert measure("log_loss", y, found[1].predictions) < measure("log_loss", y, found[0].predictions)
    chosen = choose(task, found, most)
    assert chosen.members.keys() == {1}
    assert chosen.score == pytest.approx(1 - found[0].loss)
    assert chosen.loss == chosen.alone == pytest.approx(measure("log_loss", y, found[0].predictions))
    assert chosen.leader is None


def test_an_ensemble_that_is_worse_by_the_metric_is_mixed_with_the_model_that_is_not(cancer):
    task, x, y = cancer
    good = cross_val_predict(ExtraTreesClassifier(50, random_state=0), x, y, cv=2, method="predict_proba")[:, 1]
    timid = 0.5 + 0.4 * (good - 0.5)  # as many right, but no probability above 0.7
    model = make_pipeline(StandardScaler(), LogisticRegression())
    bold = cross_val_predict(model, x[:, [20]], y, cv=2, method="predict_proba")[:, 1]
    found = [classifier(task, y, 1, timid), classifier(task, y, 2, bold)]
    chosen = choose(task, found, None)
    assert chosen.weights == {1: 0.75, 2: 0.25}
    assert chosen.score >= 1 - found[0].loss > 1 - found[1].loss
    assert measure("log_loss", y, found[1].predictions) < chosen.loss < chosen.alone
