"""One run on a table with two targets, and every command that takes its model."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest
from processes import command, listens_on_loopback_alone
from typer.testing import CliRunner

import automl
from automl.cli import predict, run
from automl.errors import UserError


def flats(n, seed, dearer=1.0):
    """Prices and rents of flats, which nearly tell each other."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"area": rng.gamma(6.0, 15.0, n).round(1), "town": rng.choice(["Bern", "Basel", "Chur"], n)})
    worth = dearer * frame["area"] * (1.5 + (frame["town"] == "Bern")) + rng.normal(0, 20, n)
    frame["price"], frame["rent"] = 5 * worth, worth + rng.normal(0, 1, n)
    frame.loc[rng.random(n) < 0.1, "area"] = np.nan
    return frame


def invoke(module, *arguments):
    """A command in this process; gives what it prints."""
    return CliRunner().invoke(module.app, [*map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "200"}).output


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a table, new rows for it, and the run: with the shortest limit, one model for each target."""
    place = tmp_path_factory.mktemp("targets")
    flats(300, 0).to_csv(place / "flats.csv", index=False)
    flats(40, 1).drop(columns=["price", "rent"]).to_csv(place / "new.csv", index=False)
    args = ("--data", place / "flats.csv", "--target", "price, rent", "--model", "lightgbm", "--time-limit", 1)
    printed, _ = command("run", *args, "--out", place / "run")
    (place / "printed.txt").write_text(printed)
    return place


def test_the_scores_of_each_target_are_told_and_their_mean(place):
    summary = json.loads((place / "run/summary.json").read_text())
    both = [summary["targets"][name]["test"]["rmse"] for name in ("price", "rent")]
    assert summary["test"]["rmse"] == pytest.approx(np.mean(both))
    assert re.search(rf"mean +\W +{summary['validation']:.4g} ", (place / "printed.txt").read_text())
    assert both[1] > 15, "without the price, which tells the rent"


def test_a_file_gets_a_column_for_each_target(place, tmp_path):
    assert "40 predictions of 'price, rent'" in invoke(
        predict, place / "run", "--data", place / "new.csv", "--out", tmp_path / "all.csv"
    )
    invoke(predict, place / "run/model/rent", "--data", place / "new.csv", "--out", tmp_path / "rent.csv")
    found, rent = pd.read_csv(tmp_path / "all.csv"), pd.read_csv(tmp_path / "rent.csv")
    assert list(found) == ["row", "price", "rent"]
    assert found["rent"].tolist() == rent["rent"].tolist()


@pytest.mark.parametrize(
    ("target", "options", "line"),
    [
        (
            "price,rent",
            ["--strategy", "bo", "--quantiles", "0.5"],
            "by the default plan: leave --strategy, --quantiles",
        ),
        ("price,rant", [], "--target 'rant' is not a column of the file"),
    ],
)
def test_what_several_targets_cannot_have_is_one_line(place, tmp_path, target, options, line):
    with pytest.raises(UserError) as error:
        invoke(run, "--data", place / "flats.csv", "--target", target, *options, "--out", tmp_path / "other")
    assert line in str(error.value)


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(place):
    """The address of the run's model, served by the command."""
    args = [sys.executable, "-m", "automl", "serve", str(place / "run"), "--port", "0", "--max-rows", "50"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert line.startswith("flats-price-rent: POST http://127.0.0.1:"), process.stderr.read()
        yield line.split("POST ")[1].split("/predict")[0]
        process.terminate()
        assert (process.wait(60), process.stderr.read()) == (0, "")


def ask(url, examples=None):
    """Status and content of an answer; a GET where nothing is sent."""
    body = None if examples is None else json.dumps({"examples": examples}).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=60
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_each_row_is_answered_with_an_object_by_target(place, service):
    new = pd.read_csv(place / "new.csv")
    status, answer = ask(f"{service}/predict", json.loads(new.to_json(orient="records")))
    own = automl.load(place / "run").predict(new).tolist()
    assert (status, list(answer)) == (200, ["predictions"])
    assert answer["predictions"] == [{"price": price, "rent": rent} for price, rent in own]
    assert listens_on_loopback_alone(int(service.rpartition(":")[2]))


def test_health_and_schema_name_every_target(place, service):
    _, health = ask(f"{service}/health")
    assert (health["status"], health["target"], health["made"]) == ("ok", "price, rent", "joint")
    card = json.loads((place / "run/model/rent/model.json").read_text())
    assert health["targets"]["rent"] == {name: card[name] for name in health["targets"]["rent"]}
    assert health["targets"]["price"]["made"] == "ensemble"
    _, schema = ask(f"{service}/openapi.json")
    post = schema["paths"]["/predict"]["post"]
    examples = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["examples"]
    assert (examples["maxItems"], examples["items"]["required"]) == (50, ["area", "town"])
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["predictions"]
    assert answer["items"]["properties"] == {"price": {"type": "number"}, "rent": {"type": "number"}}
    with urllib.request.urlopen(f"{service}/", timeout=60) as page:
        assert "Predicts <b>price, rent</b>" in page.read().decode()


@pytest.mark.parametrize(
    ("examples", "status", "reason"),
    [
        ([{"area": 50, "town": "Bern"}] * 51, 413, "51 examples; at most 50 are allowed"),
        ([{"area": "wide", "town": "Bern"}], 422, "example 1, 'area' must be a number or null, got 'wide'"),
        ([{"area": 50}], 422, "example 1 lacks 'town', an input of the model"),
    ],
)
def test_what_is_no_request_is_refused_as_for_one_target(service, examples, status, reason):
    found, answer = ask(f"{service}/predict", examples)
    assert (found, reason in answer["detail"]) == (status, True), answer
