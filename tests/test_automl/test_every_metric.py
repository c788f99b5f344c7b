"""Each registered metric, and three registered for these tests alone, wherever a metric is asked for something."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from planned_runs import Request, planned_run
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.analysis.ensembles import not_better_than_baseline
from automl.analysis.formatting import as_heading, at_resolution
from automl.continual import paired_bootstrap
from automl.continual.paired_bootstrap import GroundTruth, gain, has_fallen, interval
from automl.continual.update import _judging, update
from automl.data.datasets.registry import load_data
from automl.data.ingest.prepare import prepare
from automl.data.targets import levels_of
from automl.deployment.column_importance import column_importances
from automl.deployment.predictor import load_predictor
from automl.estimators import AutoMLClassifier, AutoMLRegressor
from automl.metrics import METRICS, Metric, graded, is_defined, loss_of, measure, names_of
from automl.runs.ensemble import description
from automl.runs.member_candidates import MemberCandidate
from automl.runs.selection import choose
from automl.study.run_folder import RunFolder
from automl.study.trial import Trial
from automl.tasks.cross_validated import cross_validated

LEVELS = (0.1, 0.5, 0.9)
LEARNED = ("classes", "number", "quantiles")  # kinds of which ensembles are made and models updated


def median_error(y, predicted, weights=None):
    return float(np.median(abs(predicted - y)))


def brier(y, probabilities, weights=None):
    return float(np.average(((probabilities - np.eye(probabilities.shape[1])[y]) ** 2).sum(1), weights=weights))


NEW = {
    "cubic_error": Metric(
        "number", row_loss=lambda y, p: abs(p - y) ** 3, of_mean=lambda mean: mean ** (1 / 3), has_unit=True
    ),
    "median_error": Metric("number", median_error, stand_in="mae", has_unit=True),
    "brier": Metric("classes", brier, stand_in="log_loss"),
}
EVERY = METRICS | NEW
DATA = {  # the kind of target, and the columns to use
    "two classes": ("classes", load_breast_cancer, range(1, 30, 4)),
    "three classes": ("classes", partial(load_digits, n_class=3), range(18, 46, 4)),
    "number": ("number", load_diabetes, range(8)),
    "quantiles": ("quantiles", load_diabetes, range(8)),
}
CASES = [(data, name) for data, (kind, *_) in DATA.items() for name in EVERY if EVERY[name].kind == kind]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(paired_bootstrap, "DRAWS", 100)
    for name, metric in NEW.items():
        monkeypatch.setitem(METRICS, name, metric)


def table(data):
    """Its rows in random order, with a column ``target``; few columns are enough."""
    kind, load, columns = DATA[data]
    frame = load(as_frame=True).frame.sample(400, random_state=0).iloc[:, [*columns, -1]]
    return frame.assign(target=frame["target"].map("class {}".format)) if kind == "classes" else frame


def request(data, place):
    levels = LEVELS if data == "quantiles" else None
    return Request(str(place), "target", quantiles=levels)


@pytest.mark.parametrize("name", EVERY)
def test_the_fields_fit_together(name):
    metric = EVERY[name]
    assert (metric.measured is None) != (metric.row_loss is None)
    if metric.kind in LEARNED:
        assert (metric.stand_in is None) == (metric.row_loss is not None)
    if metric.stand_in is not None:
        stand_in = METRICS[metric.stand_in]
        assert (stand_in.kind, stand_in.is_relative, stand_in.decides) == (metric.kind, False, False)
        assert stand_in.row_loss is not None
    assert metric.kind == "classes" or not (metric.decides or metric.is_share or metric.of_second)
    assert metric.decides or not (metric.is_share or metric.at_thresholds)


def perfect_and_poor(kind):
    """Targets, two predictions of them, and levels."""
    if kind == "classes":
        y = load_wine().target
        return y, np.eye(3)[y], np.roll(np.eye(3)[y] * 0.7 + 0.1, 1, axis=1), None
    if kind in ("number", "quantiles"):
        y = load_diabetes().target
        if kind == "number":
            return y, y, y[::-1], None
        return y, *(np.column_stack([each] * len(LEVELS)) for each in (y, y[::-1])), LEVELS
    if kind == "sentences":
        y = ["en el principio era el verbo", "sea la luz y fue la luz"]
        return y, y, ["verbo", "luz"], None
    return "abcd", np.zeros(4), np.log2([0.5, 0.25, 0.5, 0.5]), None


@pytest.mark.parametrize("name", EVERY)
def test_perfect_predictions_have_no_loss_and_poor_ones_have_some(name):
    y, perfect, poor, levels = perfect_and_poor(EVERY[name].kind)
    assert measure(name, y, perfect, levels=levels) == pytest.approx(EVERY[name].best or 0.0, abs=1e-9)
    assert loss_of(name, measure(name, y, poor, levels=levels)) > 0.1


@pytest.mark.parametrize("name", [name for name in EVERY if EVERY[name].kind in LEARNED])
def test_the_fields_are_true(name):
    metric = EVERY[name]
    y, _, poor, levels = perfect_and_poor(metric.kind)
    same = np.full(len(y), y[0])
    assert math.isnan(measure(name, same, poor, levels=levels)) == metric.is_relative
    if metric.kind == "classes":
        y = load_breast_cancer().target
        first = measure(name, y, np.tile([1.0, 0.0], (len(y), 1)))
        assert (first == 0) == metric.of_second
        told = np.eye(2)[np.where(np.arange(len(y)) < 9, y, 1 - y)]  # nine rows are right
        assert measure(name, y, told) == 9 / len(y) or not metric.is_share
        doubt = 0.5 - np.random.default_rng(0).uniform(0.01, 0.02, (len(y), 1))  # the same classes
        assert (measure(name, y, told) == measure(name, y, np.abs(told - doubt))) == metric.decides
    else:
        ten_times = measure(name, 10 * y, 10 * poor, levels=levels) / measure(name, y, poor, levels=levels)
        assert (ten_times == pytest.approx(10.0)) == metric.has_unit


@pytest.mark.parametrize(("data", "name"), CASES)
def test_a_model_is_chosen_told_compared_explained_and_updated(data, name, tmp_path):
    frame = table(data)
    n = int(0.8 * len(frame))
    frame[:n].to_csv(tmp_path / "old.csv", index=False)
    frame[n:].to_csv(tmp_path / "new.csv", index=False)
    run, card = planned_run(
        request(data, tmp_path / "old.csv"), tmp_path, folds=2, n_trials=1, model="linear", metric=name
    )
    assert f"{name} {at_resolution(card['validation'], None)} out of fold" in card["said"]
    assert card["test"].keys() == set(names_of(DATA[data][0]))
    assert loss_of(name, card["test"][name]) < loss_of(name, card["baseline"]["score"])
    assert card["baseline"]["beaten"]
    told = not_better_than_baseline(card | {"baseline": card["baseline"] | {"beaten": False}})
    assert ("a few extreme values" in told) == METRICS[name].is_squared
    found = column_importances(load_predictor(run / "model"), run / "data", name)
    assert found.metric == graded(name)
    assert max(column.worse for column in found.each) > 0
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["metric"] == name
    assert math.isfinite(facts["gain_on_new"])


def halves(data, y, x):
    """Out-of-fold predictions of two models, each of every second column."""
    if DATA[data][0] == "classes":
        model, method = make_pipeline(StandardScaler(), LogisticRegression()), "predict_proba"
    else:
        model, method = make_pipeline(StandardScaler(), Ridge()), "predict"
    found = [cross_val_predict(model, x[:, start::2], y, cv=5, method=method) for start in (0, 1)]
    return [each[:, None] + np.quantile(y - each, LEVELS) for each in found] if data == "quantiles" else found


@pytest.mark.parametrize(("data", "name"), CASES)
def test_members_are_chosen_by_the_row_loss_and_it_is_named(data, name, tmp_path):
    table(data).to_csv(tmp_path / "table.csv", index=False)
    prepare(request(data, tmp_path / "table.csv").checked(), tmp_path / "data")
    task = cross_validated(tmp_path / "data", 4, "linear", name)
    splits = load_data(task.data_of(""), None, True)
    y, levels = np.asarray(splits.y_train), levels_of(splits.target)
    found = []
    for number, predicted in enumerate(halves(data, y, np.asarray(splits.x_train, float))):
        value = measure(name, y, predicted, levels=levels)
        trial = Trial(number, {"model": "linear"}, losses=[loss_of(name, value)], metrics={name: [value]})
        found.append(MemberCandidate(trial, Path(), "linear", predicted, 1.0))
    chosen, judge = choose(task, found, None), METRICS[name].stand_in or name
    mean = sum(weight * found[i].predictions for i, weight in chosen.weights.items())
    together = measure(judge, y, mean, levels=levels)
    best = min(measure(judge, y, each.predictions, levels=levels) for each in found)
    assert METRICS[judge].of_mean(chosen.loss) == pytest.approx(together)
    assert METRICS[judge].of_mean(chosen.alone) == pytest.approx(best)
    assert together < best
    by = "" if judge == name else f"{judge.replace('_', ' ')} {at_resolution(together, None)}, "
    assert description(task, chosen).endswith(f" out of fold ({by}the best alone {at_resolution(best, None)})")


@pytest.mark.parametrize(("data", "name"), CASES)
def test_two_models_are_compared_on_the_same_examples(data, name):
    frame = table(data)
    y = frame["target"].astype("category").cat.codes.to_numpy(int) if "classes" in data else frame["target"].to_numpy()
    good, other = halves(data, y, frame.drop(columns="target").to_numpy())
    poor = np.roll(good, 1, axis=0)
    truth = GroundTruth(
        y, levels=LEVELS if data == "quantiles" else None, n_classes=len(set(y)) if "classes" in data else 0
    )
    low, high = interval(name, truth, other)
    assert low <= measure(name, y, other, levels=truth.levels) <= high
    assert has_fallen(name, (truth, good), (truth, poor))
    assert not has_fallen(name, (truth, good), (truth, good))
    assert gain(name, truth, poor, good, 0.8).low > 0


@pytest.mark.parametrize(("data", "name"), CASES)
def test_new_examples_that_are_alike_are_judged_by_a_metric_that_is_defined(data, name):
    y = np.zeros(20, int if "classes" in data else float)
    new = SimpleNamespace(y=y, parts=SimpleNamespace(valid=slice(0, 5), test=slice(5, 10)))
    judge, why = _judging(name, new)
    assert is_defined(judge, y)
    assert (judge == name) == is_defined(name, y) == (not why)


@pytest.mark.parametrize("name", EVERY)
def test_a_heading_begins_with_a_capital_and_has_no_underscore(name):
    assert as_heading(name)[:1].isupper() or EVERY[name].label
    assert "_" not in as_heading(name)
    assert as_heading(name).casefold().replace(" ", "_") == name


@pytest.mark.parametrize("name", METRICS)
def test_the_documentation_names_it(name):
    if METRICS[name].kind != "text":  # only of the built-in tasks
        assert name in (Path(__file__).parents[2] / "docs/how-to/own-data.md").read_text()
    if METRICS[name].kind in LEARNED:
        assert name in (AutoMLClassifier if METRICS[name].kind == "classes" else AutoMLRegressor).__doc__
