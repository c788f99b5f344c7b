"""The comparison of whole products."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from automl.errors import UserError
from automl.metrics import loss_of
from benchmarks.experiments import products, quantiles
from benchmarks.experiments.products_summary import behind, duel_of, geometric_of, ratios_of, summary
from benchmarks.suites.own_files import OfScikitLearn, UsersFile

WINE, DIABETES = (
    UsersFile(name, "holdout", "table", OfScikitLearn(f"load_{name}"), {"target": "target"})
    for name in ("wine", "diabetes")
)


def rows(scores):
    """Rows of accuracies on tables with 100 test rows: product -> score by table."""
    about = {"kind": "table", "part": "holdout", "split": 0, "seconds": 60.0, "workers": 1, "metric": "accuracy"}
    return pd.DataFrame(
        {
            **about,
            "table": f"table {i}",
            "product": product,
            "score": score,
            "log_loss": np.nan,
            "wall": 61.0,
            "n_train": 400,
            "n_test": 100,
            "noise": 0.1,
        }
        for product, each in scores.items()
        for i, score in enumerate(each)
    )


def test_errors_are_divided_by_those_of_the_untuned_baseline():
    ratios = ratios_of(rows({"untuned": [0.9, 0.8], "default": [0.95, 0.8]}))
    assert ratios["default"].tolist() == pytest.approx([5.5 / 10.5, 1.0])  # half an example is added
    text = summary(rows({"untuned": [0.9, 0.8], "default": [0.95, 0.8]}))
    mean = np.sqrt(5.5 / 10.5)
    assert f"| default | 2 held-out | {mean:.3f} |" in text
    assert "1 of 2 | 1.00 (table 1) | 0 of 2 | 61 s |" in text
    assert "## Tables, 60 seconds on 1 core" in text


def test_the_interval_is_students_over_files_and_only_for_enough_of_them():
    scores = [0.95, 0.8, 0.85, 0.9, 0.7]
    few, enough = (rows({"untuned": [0.8] * n, "default": scores[:n]}) for n in (4, 5))
    assert np.isnan(geometric_of(few, "default")[2:]).all()
    n, mean, low, high = geometric_of(enough, "default")
    logs = np.log((1 - np.array(scores) + 0.005) / 0.205)
    interval = stats.t.interval(0.95, 4, logs.mean(), stats.sem(logs))
    assert (n, mean, low, high) == (5, *map(pytest.approx, np.exp([logs.mean(), *interval])))


def test_splits_of_a_file_count_as_one_and_noise_decides_what_is_clearly_worse():
    first = rows({"untuned": [0.9, 0.9], "default": [0.8, 0.9]})
    second = rows({"untuned": [0.8, 0.8], "default": [0.8, 0.7]}).assign(split=1)
    ratios = [(20.5 / 10.5) ** 0.5, (30.5 / 20.5) ** 0.5]
    text = summary(pd.concat([first, second]))
    assert f"| default | 2 held-out, 2 splits | {np.prod(ratios) ** 0.5:.3f} |" in text
    assert f"| 0 of 2 | {ratios[0]:.2f} (table 0) | 2 of 2 |" in text
    assert "| 0 of 2 | 61 s |" in summary(pd.concat([first, second]).assign(noise=0.5))


def test_the_files_on_which_a_product_is_behind_another_one():
    scores = {"untuned": [0.8] * 3, "default": [0.8, 0.9, 0.7], "flaml": [0.85, 0.8, 0.75]}
    found = behind(rows(scores), "default", "flaml")
    assert found.to_dict() == pytest.approx({"table 0": 20.5 / 15.5, "table 2": 30.5 / 25.5})
    assert behind(rows(scores), "flaml", "default").index.tolist() == ["table 1"]


def test_log_losses_of_classes_are_compared_too():
    scores = {"untuned": [0.8] * 2, "default": [0.8] * 2, "flaml": [0.8] * 2}
    lines = rows(scores).assign(log_loss=[0.5, 0.6, 0.2, 0.4, 0.4, 0.2])
    n, mean, low, high = duel_of(lines, "default", "flaml", log_loss=True)
    assert (n, mean) == (2, pytest.approx(1.0))
    assert np.isnan([low, high]).all(), "of two files"
    text = summary(lines)
    assert "| log losses of classes |" in text
    assert "| default / flaml | 2 held-out | 1.000 |  | 1 of 2 |" in text
    assert "log losses" not in summary(rows(scores)), "numbers have none"


def test_the_noise_of_equal_predictions_is_none_and_falls_with_the_rows():
    rng = np.random.default_rng(0)
    y, base, other = rng.normal(size=(3, 400))
    assert products.noise_of("rmse", y, base, base) == 0
    assert products.noise_of("rmse", y, other, base) == pytest.approx(
        products.noise_of("rmse", y[:100], other[:100], base[:100]) / 2, rel=0.3
    )


def test_untuned_boosting_has_the_test_rows_of_a_run(tmp_path):
    found = products.rows_of(WINE, 0, 60.0, 1, ["lightgbm"], {})
    assert [line["product"] for line in found] == ["untuned", "lightgbm"]
    assert all(line["n_test"] == 35 and line["score"] > 0.9 for line in found)
    other = products.rows_of(WINE, 1, 60.0, 1, ["lightgbm"], {})
    assert [line["score"] for line in other] != [line["score"] for line in found], "another split, other test rows"
    assert products.rows_of(WINE, 0, 60.0, 1, [], {}) == []


@pytest.mark.parametrize(("file", "without_model"), [(WINE, 0.6), (DIABETES, 75.0)])
def test_a_random_search_on_lightgbm_ends_in_time(file, without_model):
    _, found = products.rows_of(file, 0, 4.0, 1, ["lightgbm-random"], {"random": Path(sys.executable)})
    assert found["wall"] < 20  # a limit of 4 seconds, on a busy machine, which is enough for a configuration or two
    assert loss_of(found["metric"], found["score"]) < without_model


def test_flaml_needs_a_python_of_its_own(tmp_path):
    with pytest.raises(UserError, match="flaml needs an environment of its own: --flaml-python"):
        products.main(products="flaml", flaml_python=None, autogluon_python=None, out=tmp_path / "products.csv")


def test_an_unknown_product_is_named(tmp_path):
    with pytest.raises(UserError, match=r"must be of default, .* not 'tpot'"):
        products.main(products="tpot", out=tmp_path / "products.csv")


def test_what_ran_with_one_number_of_cores_is_run_with_another_one(tmp_path, monkeypatch):
    asked = []

    def none_of(file, split, seconds, workers, missing, pythons):
        asked.append((workers, missing))
        return []

    monkeypatch.setattr(products, "rows_of", none_of)
    monkeypatch.setattr(products, "files_of", lambda only: [WINE])
    out = tmp_path / "products.csv"
    rows({"untuned": [0.9], "default": [0.9]}).assign(table="wine").to_csv(out, index=False)
    for workers in (1, 2):
        products.main(60.0, workers, 1, 0, None, "default,bo", again=False, out=out)
    products.main(60.0, 1, 1, 0, None, "default", again=True, out=out)
    assert asked == [(1, ["bo"]), (2, ["default", "bo"]), (1, ["default"])]


@pytest.mark.parametrize("main", [products.main, quantiles.main])
def test_an_unknown_table_is_named(main, tmp_path):
    with pytest.raises(UserError, match="must name tables of the suites own and products, not wines"):
        main(only="credit, wines", out=tmp_path / "table.csv")


def test_the_default_is_compared_with_each_product_on_the_files_of_both():
    scores = {"untuned": [0.9, 0.8, 0.7], "default": [0.95, 0.8, 0.9], "flaml": [0.9, 0.9]}
    mean = np.sqrt(5.5 / 10.5 * 20.5 / 10.5)
    assert f"| default / flaml | 2 held-out | {mean:.3f} |" in summary(rows(scores))
    more = rows({"untuned": [0.9], "default": [0.9]}).assign(table="development", part="development")
    assert "| flaml | 1 development |" not in summary(pd.concat([rows(scores), more]))
