"""The gain from tuning: the command on a small real task, and its summary of a synthetic table."""

import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.experiments import tuned


@pytest.mark.experiment
def test_a_run_is_a_row_and_is_not_repeated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuned, "N_FINAL", 1)
    out = tmp_path / "tuned.csv"
    tuned.main(["digits-cnn"], "random", 1, 1, out)
    [row] = pd.read_csv(out).to_dict("records")
    assert (row["task"], row["strategy"], row["metric"], row["epochs"]) == ("digits-cnn", "random", "accuracy", 8)
    assert row["tuned"] == row["default"] > 0.8  # the one trial is the default
    before = out.read_bytes()
    page = tmp_path / "page.md"
    page.write_text("Above.\n<!-- tuned -->\n<!-- /tuned -->\nBelow.\n")
    tuned.main(["digits-cnn"], "random", 1, 1, out, page)
    assert out.read_bytes() == before
    above, header, _, line, below = page.read_text().replace("<!-- tuned -->\n", "").split("\n", 4)
    assert (above, below) == ("Above.", "<!-- /tuned -->\nBelow.\n")
    assert header.startswith("| task | examples")
    assert line.startswith("| digits-cnn | all | 8 | accuracy")
    assert capsys.readouterr().out.count("digits-cnn random") == 1


def test_an_unknown_task_is_rejected(tmp_path):
    with pytest.raises(UserError, match="unknown task 'digits'; choose one of: digits-cnn"):
        tuned.main(["digits"], "bo", 20, 1, tmp_path / "tuned.csv")
    assert not list(tmp_path.iterdir())


def test_the_summary_has_means_over_seeds_and_names_losses_to_the_baseline():
    shared = {
        "trials": 20,
        "train_size": None,
        "epochs": 5,
        "kept": "chosen",
        "first_try": "forest",
        "search_seconds": 10.0,
    }
    rows = [
        {
            "task": "up",
            "strategy": "bo",
            "seed": 0,
            "metric": "accuracy",
            "baseline": 0.95,
            "default": 0.8,
            "tuned": 0.9,
        },
        {
            "task": "up",
            "strategy": "bo",
            "seed": 1,
            "metric": "accuracy",
            "baseline": 0.95,
            "default": 0.8,
            "tuned": 0.92,
        },
        {"task": "down", "strategy": "bo", "seed": 0, "metric": "rmse", "baseline": 0.7, "default": 0.8, "tuned": 0.6},
        {"task": "none", "strategy": "bo", "seed": 0, "metric": "rmse", "baseline": None, "default": 0.8, "tuned": 0.6},
    ]
    text = tuned.summary(pd.DataFrame([row | shared for row in rows]))
    assert "| up | all | 5 | accuracy, higher is better | 0.95 | 0.8 | 0.91 | 10 | 2 |" in text
    assert "| none | all | 5 | rmse, lower is better |  | 0.8 | 0.6 | 10 | 1 |" in text
    assert text.count("is better (") == 1
    assert "- up: the baseline, forest, is better (0.95) than bo (0.91)." in text
    worse = {
        "task": "worse",
        "strategy": "bo",
        "seed": 0,
        "metric": "rmse",
        "baseline": 0.9,
        "default": 0.8,
        "tuned": 0.85,
    }
    text = tuned.summary(pd.DataFrame([worse | shared]))
    assert "| 0.9 | 0.8 | 0.85 |" in text
    assert "- worse: the default is better (0.8) than bo (0.85)." in text


def test_a_run_that_keeps_the_default_is_marked():
    row = {"task": "t", "strategy": "bo", "seed": 0, "metric": "rmse", "baseline": 0.9, "default": 0.8, "tuned": 0.8}
    shared = {"trials": 20, "train_size": None, "epochs": 5, "kept": "default", "first_try": "f", "search_seconds": 1.0}
    text = tuned.summary(pd.DataFrame([row | shared]))
    assert "| 0.9 | 0.8 | 0.8* |" in text
    assert "Tuning is never worse" in text
