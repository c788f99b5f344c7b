"""One run on a table with two targets, and every command that takes its model."""

import hashlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from processes import command, invoke, listens_on_loopback_alone

import automl
from automl.analysis.ensembles import baseline_in_words
from automl.analysis.formatting import at_resolution, show
from automl.continual.new_data import n_old
from automl.continual.update import update as update_one
from automl.data.ingest.prepare import Facts
from automl.data.memory_map import read_prepared
from automl.deployment.several_targets import JointPredictor, folder_names, join, score_rows
from automl.errors import UserError
from automl.study.run_folder import RunFolder


def flats(n, seed, wider=1.0):
    """Prices and rents of flats, which nearly tell each other; half of the flats are wider."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"area": rng.gamma(6.0, 15.0, n).round(1), "town": rng.choice(["Bern", "Basel", "Chur"], n)})
    frame.loc[: n // 2, "area"] *= wider
    worth = frame["area"] * (1.5 + (frame["town"] == "Bern")) + rng.normal(0, 20, n)
    frame["price"], frame["rent"] = 5 * worth, worth + rng.normal(0, 1, n)
    frame.loc[rng.random(n) < 0.02, "area"] = np.nan
    return frame


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a table, new rows for it, and the run: with the shortest limit, one model for each target."""
    place = tmp_path_factory.mktemp("targets")
    flats(300, 0).to_csv(place / "flats.csv", index=False)
    flats(40, 1).drop(columns=["price", "rent"]).to_csv(place / "new.csv", index=False)
    args = ("--data", place / "flats.csv", "--target", "price, rent", "--model", "lightgbm", "--time-limit", 1)
    printed, _ = command("run", *args, "--max-latency", 50, "--out", place / "run")
    (place / "printed.txt").write_text(printed)
    return place


def test_the_scores_of_each_target_are_told_and_their_mean_unless_in_their_units(place):
    summary = json.loads((place / "run/summary.json").read_text())
    both = [summary["targets"][name]["test"]["rmse"] for name in ("price", "rent")]
    assert summary["test"]["rmse"] == pytest.approx(np.mean(both))
    printed = (place / "printed.txt").read_text()
    assert re.search(rf"mean of all +\W +\W .* {at_resolution(summary['test']['r2'], None)} ", printed)
    assert f"{summary['validation']:.4g} " not in printed
    assert both[1] > 15, "without the price, which tells the rent"


def test_the_report_shows_the_scores_of_all_targets_and_links_to_their_reports(place):
    page = (place / "run/report.html").read_text()
    summary = json.loads((place / "run/summary.json").read_text())
    price, rent = (show(summary["targets"][name]["test"]["rmse"]) for name in ("price", "rent"))
    assert f"RMSE {price} of price, {rent} of rent on test" in page
    links = re.findall(r'<a href="([^"]+)">', page)
    assert links == ["targets/price/report.html", "targets/rent/report.html"]
    assert all((place / "run" / link).is_file() for link in links)
    for card in summary["targets"].values():
        assert html.escape(baseline_in_words(card)) in page


def test_the_latency_is_shared_by_the_targets(place):
    assert "--max-latency 50 for a row is 25 for each of the targets" in (place / "printed.txt").read_text()
    cards = [json.loads((place / f"run/model/{name}model.json").read_text()) for name in ("", "price/", "rent/")]
    whole, *parts = [card["milliseconds_per_row"] for card in cards]
    assert whole == pytest.approx(sum(parts), abs=1e-4)
    settings = json.loads((place / "run/targets/rent/summary.json").read_text())["settings"]
    assert settings["max_latency"] == 25


def test_the_readme_of_the_model_tells_of_every_target(place):
    text = (place / "run/model/README.md").read_text()
    summary = json.loads((place / "run/summary.json").read_text())
    for name, told in summary["targets"].items():
        scores = (told["validation"], told["test"]["rmse"])
        assert f"| {name} | {scores[0]:.4g} | {scores[1]:.4g} |" in text
    assert "| mean of all | - | - |" in text, "they are in the units of the targets"
    assert "- rent, in `rent/`: a single lightgbm; rmse" in text
    assert text.count("The baseline, training mean, has rmse") == 2
    assert "automl serve RUN" in text


def test_a_target_called_mean_has_its_own_scores():
    cards = {name: {"validation": loss, "test": {"rmse": loss, "r2": 0.5}} for name, loss in (("mean", 2), ("max", 4))}
    joint = {"metric": "rmse", "validation": 3, "test": {"rmse": 3, "r2": 0.5}}
    assert score_rows(joint, cards) == [
        ("mean", [2, 2, 0.5]), ("max", [4, 4, 0.5]), ("mean of all", [None, None, 0.5])
    ]  # fmt: skip


def test_a_score_that_is_undefined_has_no_mean(place, tmp_path):
    """As r2 after an update with a single new value of one target."""
    models = {name: shutil.copytree(place / "run/model" / name, tmp_path / name) for name in ("price", "rent")}
    card = json.loads((models["rent"] / "model.json").read_text())
    (models["rent"] / "model.json").write_text(json.dumps(card | {"validation": None}))
    joint = join(models, tmp_path / "model")
    assert (joint["metric"], joint["validation"]) == ("rmse", None)
    assert joint["test"]["r2"] == pytest.approx(json.loads((place / "run/summary.json").read_text())["test"]["r2"])
    assert re.search(r"\| rent \| - \| [0-9.]+ \|", (tmp_path / "model/README.md").read_text())


def test_the_run_on_each_target_is_explained_and_reported(place, tmp_path):
    copy = shutil.copytree(place / "run", tmp_path / "run")
    reports = [copy / f"targets/{name}/report.html" for name in ("price", "rent")]
    for file in (*reports, copy / "report.html"):
        file.unlink()
    assert invoke("report", copy).split() == [str(file) for file in (*reports, copy / "report.html")]
    assert all("<html" in file.read_text() for file in reports)
    printed = invoke("explain", copy)
    assert re.findall(r"the run in .*/targets/(\w+)", printed) == ["price", "rent"]
    assert printed.count("The model clearly relies on area, then on town.") == 2
    assert all("The model clearly relies on area, then on town." in file.read_text() for file in reports)
    shutil.rmtree(copy / "model/rent/members")
    (copy / "targets/rent/columns.json").unlink()
    assert re.search("Which columns matter is not known: .*rent.* has no model that predicts", invoke("explain", copy))
    with pytest.raises(UserError, match=r"--png is for one run, and .* has one for each target; give one: .*price'"):
        invoke("report", copy, "--png", tmp_path / "curve.png")
    with pytest.raises(UserError, match=r"has a run on each of several targets; give one of them: .*price', .*rent'"):
        invoke("watch", copy)
    with pytest.raises(UserError, match="a run on several targets cannot be resumed; start a new one"):
        invoke("run", "--resume", "--out", copy)


def test_probabilities_are_refused_as_for_one_number(place):
    with pytest.raises(UserError, match="only classifiers have probabilities"):
        automl.load(place / "run").predict_proba(place / "new.csv")


def test_a_file_gets_a_column_for_each_target(place, tmp_path):
    assert "40 predictions of 'price, rent'" in invoke(
        "predict", place / "run", "--data", place / "new.csv", "--out", tmp_path / "all.csv"
    )
    invoke("predict", place / "run/model/rent", "--data", place / "new.csv", "--out", tmp_path / "rent.csv")
    found, rent = pd.read_csv(tmp_path / "all.csv"), pd.read_csv(tmp_path / "rent.csv")
    assert list(found) == ["row", "price", "rent"]
    invoke("predict", place / "run", "--data", place / "new.csv", "--out", tmp_path / "all.csv", "--keep", "town")
    assert list(pd.read_csv(tmp_path / "all.csv")) == ["town", "row", "price", "rent"]
    assert found["rent"].tolist() == rent["rent"].tolist()


def test_the_number_of_a_row_is_no_target(place, tmp_path):
    parts = automl.load(place / "run").parts
    parts["rent"].card["target"] = "row"
    joint = JointPredictor({"price": parts["price"], "row": parts["rent"]}, {})
    (found,) = joint.stream(place / "new.csv")
    assert list(found) == ["row number", "price", "row"]


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["price", "rent-2"], ["price", "rent-2"]),
        (["price", "größe"], ["price", "target-2"]),
        (["target-2", "größe"], ["target-1", "target-2"]),
        (["rent", "Rent"], ["target-1", "target-2"]),
        (["model", "rent"], ["target-1", "target-2"]),
    ],
)
def test_every_target_has_a_folder_of_its_own(names, folders):
    assert list(folder_names(names).values()) == folders


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
        invoke("run", "--data", place / "flats.csv", "--target", target, *options, "--out", tmp_path / "other")
    assert line in str(error.value)


def test_every_target_is_checked_before_one_is_trained(tmp_path):
    frame = flats(60, 4).assign(town=[f"t{i % 7}" for i in range(60)])
    frame.to_csv(tmp_path / "flats.csv", index=False)
    with pytest.raises(UserError, match=r"'town' is not numeric: row 1 has 't0'; several targets must all be numbers"):
        invoke("run", "--data", tmp_path / "flats.csv", "--target", "price,town", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


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
    rent = health["targets"]["rent"]
    assert rent == {"version": 1, **{name: card[name] for name in rent if name != "version"}}
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


# --- updates ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def updated(place):
    """A copy of the run, and what its update printed: half of the flats are wider than any before, and rents turned.

    An update before it was killed when it had made the new model of the first target.
    """
    new = flats(300, 2, wider=4.0)
    new["rent"] = new["rent"].max() - new["rent"]
    new.to_csv(place / "year.csv", index=False)
    copy = shutil.copytree(place / "run", place / "updated")
    args = [sys.executable, "-m", "automl", "update", copy, "--data", place / "year.csv"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        next(line for line in process.stdout if line.startswith("rent: fitting"))
        os.killpg(process.pid, signal.SIGKILL)
    assert (copy / "versions/2.writing/targets/price/model").is_dir()
    before, after = (automl.load(run).predict(place / "new.csv") for run in (place / "run", copy))
    assert before.tolist() == after.tolist()
    return copy, invoke("update", copy, "--data", place / "year.csv")


def test_each_target_is_updated_by_itself_and_all_come_into_use_at_once(place, updated):
    copy, printed = updated
    assert re.search("^price: promoted: the model, trained again, is better in rmse", printed, re.MULTILINE)
    assert re.search("^rent: not promoted: the model, trained again, .* worse by .* on old", printed, re.MULTILINE)
    for target, second in (("price", "2 in use .* year.csv .* promoted"), ("rent", "2 .* year.csv .* refused")):
        table = printed.partition(f"versions of the model of {target} ")[2].partition("versions of")[0]
        assert re.search(rf"\n{second}", table)
        assert re.findall(r"\n(\d) in use", table) == ["2" if target == "price" else "1"]
    assert str((copy / "model").readlink()) == "versions/2/model"
    assert sorted(path.name for path in (copy / "versions").iterdir()) == ["1", "2"]
    facts = json.loads((copy / "versions/2/update.json").read_text())
    assert facts["promoted"] == ["price"]
    assert facts["targets"]["price"]["test"]["new"]["candidate"] < facts["targets"]["price"]["test"]["new"]["in_use"]
    before, after = (automl.load(run).predict(place / "new.csv") for run in (place / "run", copy))
    assert np.array_equal(before[:, 1], after[:, 1])
    assert not np.array_equal(before[:, 0], after[:, 0])
    cards = {name: json.loads((copy / f"model/{name}/model.json").read_text()) for name in ("price", "rent")}
    assert (cards["price"]["made"], cards["rent"]["made"]) == ("updated", "ensemble")
    whole = json.loads((copy / "model/model.json").read_text())
    assert whole["test"]["rmse"] == pytest.approx(np.mean([card["test"]["rmse"] for card in cards.values()]))


def test_the_model_of_a_target_that_was_not_promoted_is_the_earlier_one_in_its_report(updated):
    told = (updated[0] / "targets/rent/report.html").read_text(encoding="utf-8")
    assert "Version 1 of the model is in use, made by the run" in told


def test_a_target_is_not_updated_by_itself(place, updated, monkeypatch):
    copy, _ = updated
    with pytest.raises(UserError, match=r"targets/rent' is a part of the run on several targets in '.*'; update that"):
        invoke("update", copy / "targets/rent", "--data", place / "year.csv")
    monkeypatch.chdir(copy / "targets/rent")
    with pytest.raises(UserError, match=r"'\.' is a part of the run on several targets in '.*'; update that one"):
        invoke("update", ".", "--rollback", 1)


def test_known_examples_make_no_version_of_any_target(place, updated, tmp_path):
    copy = shutil.copytree(updated[0], tmp_path / "run", symlinks=True)
    said = invoke("update", copy, "--data", place / "year.csv")  # one is like a test row and was left out
    assert said == "an update needs at least 40 new examples: 299 of 300 are already in the run's data\n"
    flats(300, 2, wider=4.0).to_csv(tmp_path / "mixed.csv", index=False)  # other rents
    with pytest.raises(UserError, match="each target needs new examples; price: an update needs at least 40"):
        invoke("update", copy, "--data", tmp_path / "mixed.csv")
    assert sorted(path.name for path in (copy / "versions").iterdir()) == ["1", "2"]


def test_every_version_of_all_targets_can_be_used_again(place, updated):
    copy, _ = updated
    assert "version 1 is now in use" in invoke("update", copy, "--rollback", 1)
    assert "Version 1 of the model is in use" in (copy / "targets/rent/report.html").read_text(encoding="utf-8")
    assert (copy / "report.html").read_text() == (place / "run/report.html").read_text()
    before, after = (automl.load(run).predict(place / "new.csv") for run in (place / "run", copy))
    assert before.tolist() == after.tolist()
    assert "version 2 is now in use" in invoke("update", copy, "--rollback", 2)
    told = (copy / "targets/price/report.html").read_text(encoding="utf-8")
    assert "Version 2 of the model is in use" in told
    assert "against" in told.split("Version 2 of the model is in use")[1].split("</p>")[0]  # the first one's score


def test_columns_are_explained_on_the_test_rows_of_the_version_in_use(updated):
    copy, _ = updated
    printed = invoke("explain", copy / "targets/price")
    n_test = [len(read_prepared(run / "targets/price/data/columns").y_test) for run in (copy, copy / "versions/2")]
    assert n_test[0] < n_test[1]
    assert f"on {n_test[1]} test rows" in printed
    page = copy / "targets/price/report.html"
    assert f"on {n_test[1]} test rows" in page.read_text(encoding="utf-8")
    invoke("update", copy, "--rollback", 1)
    assert "Not computed yet for the model in use" in page.read_text(encoding="utf-8")
    assert f"on {n_test[0]} test rows" in invoke("explain", copy / "targets/price")
    invoke("update", copy, "--rollback", 2)


def test_an_update_learns_from_the_data_of_the_model_in_use_of_each_target(place, updated, tmp_path):
    copy = shutil.copytree(updated[0], tmp_path / "run", symlinks=True)
    flats(100, 3).to_csv(tmp_path / "more.csv", index=False)
    invoke("update", copy, "--data", tmp_path / "more.csv")
    for name, origin in (("price", copy / "versions/2"), ("rent", copy)):  # the rents of version 2 were refused
        first, second = (at / f"targets/{name}/data" for at in (origin, copy / "versions/3"))
        n_chosen = len(read_prepared(first / "columns").y_valid)
        assert n_old(second)["train"] == Facts.read(first).n_train + n_chosen, "they are trained on now"


def test_new_data_that_lack_a_target_change_nothing(place, tmp_path):
    flats(100, 3).drop(columns="rent").to_csv(tmp_path / "prices.csv", index=False)
    with pytest.raises(UserError, match="the new data have no column 'rent', the run's --target"):
        invoke("update", place / "run", "--data", tmp_path / "prices.csv")
    assert not (place / "run/versions").exists()
    copy = shutil.copytree(place / "run/targets/price", tmp_path / "price")
    assert update_one(RunFolder(copy), tmp_path / "prices.csv")["rows"]["for training"] > 40


# --- ONNX -------------------------------------------------------------------------------------------------------------


def test_each_target_has_an_onnx_file_that_predicts_what_its_model_does(place, tmp_path):
    printed = invoke("export", place / "run", "--onnx", "--out", tmp_path / "onnx")
    assert len(re.findall(r"onnxruntime and the model differ by at most .* on \d+ validation examples", printed)) == 2
    manifest = json.loads((tmp_path / "onnx/manifest.json").read_text())
    assert list(manifest["targets"]) == ["price", "rent"]
    assert manifest["task"] == "flats-price-rent"
    new, whole = pd.read_csv(place / "new.csv"), automl.load(place / "run")
    for i, (name, told) in enumerate(manifest["targets"].items()):
        content = (tmp_path / "onnx" / told["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == told["sha256"]
        assert told["largest_difference"] <= told["allowed"]
        [x] = whole.parts[name].encoder.encode(new).values()
        assert told["inputs"] == {"columns": ["n", x.shape[1]]}
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        [found] = session.run([told["output"]], {"columns": x.astype(np.float32)})
        assert np.allclose(found, whole.predict(new)[:, i], rtol=1e-4)
    with pytest.raises(UserError, match="--out must be a new folder, as the model has several targets"):
        invoke("export", place / "run", "--onnx", "--out", tmp_path / "onnx")
