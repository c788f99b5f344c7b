"""What the model of a default plan says of itself, on scikit-learn's data."""

import numpy as np
import pandas as pd
import pytest
import small_models
from planned_runs import Request, planned_run
from sklearn.datasets import load_diabetes, load_wine

import automl
from automl.analysis.ensembles import baseline_in_words, not_better_than_baseline, result_in_words
from automl.data.datasets.registry import load_data
from automl.data.splits import with_valid_in_train


def model_of(frame, place, **options):
    """The card of a linear model of the column ``target``, and the README beside it."""
    place.mkdir()
    frame.to_csv(place / "table.csv", index=False)
    request = Request(str(place / "table.csv"), "target", **options)
    run, card = planned_run(request, place, folds=2, n_trials=1, model="linear")
    return card, (run / "model/README.md").read_text()


@pytest.mark.parametrize("no_test", [False, True])
def test_a_model_of_noise_is_not_better_than_the_baseline_and_says_so(tmp_path, no_test):
    frame = load_wine(as_frame=True).frame
    rng = np.random.default_rng(0)
    frame["target"] = rng.permutation(np.where(np.arange(len(frame)) < 0.7 * len(frame), "often", "seldom"))
    card, readme = model_of(frame, tmp_path / "noise", no_test=no_test)
    on = "out of fold" if no_test else "on test"
    assert card["baseline"]["score"] == pytest.approx(0.7, abs=0.03)
    assert baseline_in_words(card).startswith("baseline, majority class: accuracy 0.")
    assert baseline_in_words(card).endswith(on)
    assert f"The model is not better {on} than the baseline" in not_better_than_baseline(card)
    assert "and the model is not better" in readme


def test_a_model_that_finds_rare_rows_but_decides_for_none_is_told_what_helps(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3_000, 2))
    rare = rng.random(3_000) < 1 / (1 + np.exp(6 - 2 * x[:, 0]))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(target=np.where(rare, "yes", "no"))
    card, _ = model_of(frame, tmp_path / "rare")
    card |= {"baseline": card["baseline"] | {"beaten": False}}
    assert "but it ranks rows well (auc 0." in not_better_than_baseline(card)
    assert "give --metric f1 or balanced_accuracy" in not_better_than_baseline(card)
    assert "may carry no information" in not_better_than_baseline(card | {"test": card["test"] | {"auc": 0.55}})
    for metric in ("log_loss", "f1"):
        assert "may carry no information" in not_better_than_baseline(card | {"metric": metric})


@pytest.mark.parametrize("no_test", [False, True])
def test_a_model_that_learnt_something_is_better_than_the_baseline(tmp_path, no_test):
    card, readme = model_of(load_diabetes(as_frame=True).frame, tmp_path / "sick", no_test=no_test)
    assert card["baseline"]["name"] == "training mean"
    assert card["baseline"]["score"] == pytest.approx(77, rel=0.1), "the standard deviation"
    assert card["test"].get("rmse", card["validation"]) < 70
    assert not_better_than_baseline(card) is None
    assert "The baseline, training mean, has rmse 7" in readme
    assert "not better" not in readme


def test_a_series_is_compared_with_its_value_of_a_season_ago(tmp_path):
    small_models.sales(tmp_path / "given")
    request = Request(str(tmp_path / "given/sales.csv"), "volume", time="date", horizon=2)
    _, card = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    assert baseline_in_words(card).startswith("baseline, value 7 days earlier: rmse 1.")
    assert not_better_than_baseline(card) is None


def test_quantiles_of_a_series_are_compared_with_its_value_of_a_season_ago_and_those_of_its_errors(tmp_path):
    small_models.sales(tmp_path / "given")
    request = Request(str(tmp_path / "given/sales.csv"), "volume", time="date", horizon=2, quantiles=(0.1, 0.5, 0.9))
    run, card = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    assert card["baseline"]["name"] == "value 7 days earlier plus quantiles of its errors"
    splits = with_valid_in_train(load_data(str(run / "data/windows"), None))
    week_ago, levels = splits.x_test[:, 0, -6], np.array([0.1, 0.5, 0.9])
    errors = np.quantile(splits.y_train - splits.x_train[:, 0, -6], levels)
    errors = splits.y_test[:, None] - (week_ago[:, None] + errors)
    assert card["baseline"]["score"] == pytest.approx(
        np.maximum(levels * errors, (levels - 1) * errors).mean(), rel=0.05
    )
    rows = load_data(str(run / "data/rows"), None).x_test
    below = (splits.y_test[:, None] <= automl.load(run).judge(lambda _: rows)).mean(0)
    assert list(card["below_quantiles"].values()) == pytest.approx(below)
    told = ", ".join(f"{share:.1%} ({level:g})" for share, level in zip(below, levels, strict=True))
    line = f"Shares of the test rows below its quantiles: {told}."
    assert line in (run / "model/README.md").read_text()
    summary = {"model": card, "metric": "pinball", "max_epochs": 2, "best": None, "default": None}
    assert line in result_in_words(summary)[1]
