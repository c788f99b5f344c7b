"""The command on a table without a strategy: cross-validation, an ensemble, and all that follows."""

import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from processes import command, invoke

import automl
from automl.errors import UserError


def shops(n, seed, shift=0.0):
    """Sales of shops, by numbers, dates and categories, some of them missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "area": rng.gamma(3.0, 50.0, n).round(1) + shift,
            "staff": rng.integers(1, 20, n).astype(float),
            "town": rng.choice(["Bern", "Basel", "Chur"], n),
            "opened": pd.to_datetime("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, n), "D"),
        }
    )
    sales = 3 * frame["area"] + 40 * frame["staff"] + 200 * (frame["town"] == "Bern") + rng.normal(0, 40, n)
    frame["good"] = np.where(sales > sales.median(), "yes", "no")
    frame.loc[rng.random(n) < 0.1, "staff"] = np.nan
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("table")
    shops(600, 0).to_csv(place / "shops.csv", index=False)
    args = ("--data", place / "shops.csv", "--target", "good", "--time-limit", 20, "--out", place / "run")
    printed, _ = command("run", *args, "--model", "lightgbm,extra_trees,linear")
    return place, printed


def test_the_run_says_what_it_found(run):
    place, printed = run
    summary = json.loads((place / "run/summary.json").read_text())
    assert summary["settings"]["folds"] == 8
    assert summary["settings"]["strategy"] == "auto"
    card = summary["model"]
    assert sum(entry["weight"] for entry in card["members"]) == pytest.approx(1.0)
    assert card["validation"] > 0.85
    assert card["test"]["accuracy"] > 0.85
    assert "accuracy out of fold" in printed
    assert card["said"] in printed
    assert "baseline, majority class: accuracy 0.5" in printed


def test_the_report_lists_the_members_and_the_scores(run):
    place, _ = run
    report, card = (place / "run/report.html").read_text(), json.loads((place / "run/model/model.json").read_text())
    assert "Baseline, majority class: accuracy 0.5" in report
    number = '<td class="number">([0-9.]+)%?</td>'
    listed = re.findall(rf"<tr><th>(\w+)</th>{number * 3}</tr>", report)
    known = {(member["family"], member["trial"]) for member in card["members"]}
    assert sorted((family, int(trial)) for family, trial, _, _ in listed) == sorted(known)
    for _, trial, percent, score in listed:
        entries = [member for member in card["members"] if member["trial"] == int(trial)]
        assert float(percent) == pytest.approx(100 * sum(entry["weight"] for entry in entries), abs=0.51)
        assert float(score) == pytest.approx(entries[0]["score"], abs=6e-4)
    scores = {name: float(score) for name, score in re.findall(rf"<tr><th>(\w+)</th>{number}</tr>", report)}
    assert scores == pytest.approx(card["test"], abs=6e-4)


def test_the_model_predicts_new_rows(run):
    place, _ = run
    new = shops(100, 1)
    new.loc[0, "town"] = "Genf"  # never seen
    new.drop(columns="good").to_csv(place / "new.csv", index=False)
    invoke("predict", place / "run", "--data", place / "new.csv", "--out", place / "predictions.csv")
    predicted = pd.read_csv(place / "predictions.csv")["good"]
    assert (predicted == new["good"]).mean() > 0.8
    assert (automl.load(place / "run").predict(new) == predicted).all()


def test_a_prediction_that_is_terminated_leaves_no_file(run, tmp_path):
    place, _ = run
    pd.concat([shops(20_000, 1)] * 10).to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "out"
    out.mkdir()
    args = ["predict", place / "run", "--data", tmp_path / "new.csv", "--out", out / "predictions.csv"]
    script = [sys.executable, "-m", "automl", *map(str, args)]
    with subprocess.Popen(script, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not list(out.iterdir()) and time.monotonic() < until:
            time.sleep(0.02)
        process.terminate()
        assert (process.wait(60), process.stderr.read()) == (130, "")
    assert not list(out.iterdir())


def test_a_run_without_its_model_has_failed_and_one_that_is_interrupted_keeps_it(run, tmp_path, monkeypatch):
    place, _ = run
    copy = shutil.copytree(place / "run", tmp_path / "run")
    said = json.loads((copy / "summary.json").read_text())["model"]["said"]

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.runs.session.build", interrupted)
    assert "stopped; continue with --resume" in invoke("run", "--resume", "--out", copy, code=130)
    summary = json.loads((copy / "summary.json").read_text())
    assert (summary["model"]["said"], summary["complete"]) == (said, False)

    shutil.rmtree(copy / "model")
    monkeypatch.setattr("automl.runs.session.build", lambda *args, **options: None)
    invoke("run", "--resume", "--out", copy, code=1)


def test_the_model_is_updated_with_new_rows_in_a_copy(run):
    place, _ = run
    shutil.copytree(place / "run", place / "copy")
    shops(300, 2, shift=300.0).to_csv(place / "more.csv", index=False)
    printed, _ = command("update", place / "copy", "--data", place / "more.csv")
    assert "fitting the members of the model again" in printed
    facts = json.loads((place / "copy/versions/2/update.json").read_text())
    assert facts["candidates"][0]["what"] == "retrained"
    invoke("predict", place / "copy", "--data", place / "more.csv", "--out", place / "again.csv")


def test_the_run_is_explained_and_goes_on(run):
    place, _ = run
    printed, _ = command("explain", place / "run")
    assert "The model clearly relies on area" in printed.splitlines()[0]
    names = {column["name"] for column in json.loads((place / "run/columns.json").read_text())["each"]}
    assert names == {"area", "staff", "town", "opened"}
    assert all(f"<th>{name}</th>" in (place / "run/report.html").read_text() for name in names)
    before = json.loads((place / "run/summary.json").read_text())
    command("run", "--resume", "--out", place / "run", "--time-limit", 24)
    after = json.loads((place / "run/summary.json").read_text())
    assert after["n_complete"] >= before["n_complete"]  # those that had no time left are trained again
    assert after["model"]["folds"] == 8


def test_a_named_strategy_still_runs_exactly_that(run):
    place, _ = run
    args = ("--data", place / "shops.csv", "--target", "good", "--strategy", "random", "--trials", 2)
    command("run", *args, "--model", "linear", "--final-seeds", 0, "--out", place / "named")
    summary = json.loads((place / "named/summary.json").read_text())
    assert summary["settings"]["folds"] is None
    assert summary["n_trials"] == 2
    with pytest.raises(UserError, match=r"--no-test needs the default plan: leave out --strategy, --trials$"):
        invoke("run", *args, "--no-test", "--out", place / "other")


def test_all_rows_are_trained_on_where_no_test_set_is_wanted(run):
    place, _ = run
    args = ("--data", place / "shops.csv", "--target", "area", "--no-test", "--model", "linear", "--time-limit", 12)
    command("run", *args, "--ensemble", 1, "--out", place / "all")
    card = json.loads((place / "all/model/model.json").read_text())
    assert card["data"]["test"] == 0
    assert card["data"]["train"] + card["data"]["valid"] == 600
    assert card["test"] == {}
    assert card["validation"] > 0
    (member,) = card["members"]
    summary = json.loads((place / "all/summary.json").read_text())
    assert summary["kept_trial"]["trial"] == member["trial"]
    assert yaml.safe_load((place / "all/best.yaml").read_text()) == member["config"]
