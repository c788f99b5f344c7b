"""Updates of a model by the command and in Python: what is learnt, promoted, refused, told."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from delays import delays
from PIL import Image
from planned_runs import Request, planned_run
from processes import command, invoke
from sklearn.datasets import load_diabetes, load_digits

import automl
from automl.analysis.versions import version_table
from automl.continual.new_data import TooFewNewExamples, n_old
from automl.continual.update import UpdateOptions, update
from automl.continual.versions import Versions
from automl.data.ingest.prepare import Facts, weights_of
from automl.data.memory_map import read_prepared
from automl.errors import UserError
from automl.study.run_folder import RunFolder


def digits(folder, labels, rows):
    data = load_digits()
    for i in range(*rows):
        if data.target[i] in labels:
            place = folder / str(data.target[i])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray((data.images[i] * 15).astype(np.uint8)).resize((16, 16)).save(place / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that knows three digits, and two batches that came later: one with a new digit, one with none."""
    folder = tmp_path_factory.mktemp("digits")
    digits(folder / "first", (0, 1, 2), (0, 700))
    digits(folder / "new", (0, 1, 2, 3), (700, 1797, 2))
    digits(folder / "same", (0, 1, 2, 3), (701, 1797, 2))
    command(
        "run", "--data", folder / "first", "--model", "cnn", "--strategy", "random", "--trials", 1,
        "--epochs", 8, "--workers", 1, "--final-seeds", 1, "--set", "lr=0.01", "--no-learn", "--no-refit",
        "--out", folder / "run",
    )  # fmt: skip
    return folder


@pytest.mark.slow
def test_an_update_learns_a_new_class_and_every_version_can_be_used_again(run):
    before = automl.load(run / "run")
    out, _ = command("update", run / "run", "--data", run / "new", "--search", 0, "--workers", 1)
    assert "new classes: 3" in out
    assert "it has become worse" in out
    assert "promoted: " in out
    facts = json.loads((run / "run" / "versions" / "2" / "update.json").read_text())
    assert [c["what"] for c in facts["candidates"]] == ["continued", "retrained"]
    assert facts["candidates"][0]["epochs"] <= 0.25 * facts["candidates"][1]["epochs"]
    assert facts["test"]["new"]["candidate"] > facts["test"]["new"]["in_use"] + 0.1
    assert (run / "run" / "model").is_symlink()
    assert "Version 2 of the model is in use" in (run / "run" / "report.html").read_text()
    after = automl.load(run / "run")
    assert before.classes == ("0", "1", "2")
    assert after.classes == ("0", "1", "2", "3")
    threes = sorted((run / "same" / "3").iterdir())
    assert (after.predict(threes) == "3").mean() > 0.8
    assert after.card["made"] == "updated"

    united = run / "run" / "versions" / "2" / "data"
    splits, old = read_prepared(united / "pixels"), n_old(united)
    first = read_prepared(run / "run" / "data" / "pixels")
    assert np.array_equal(splits.x_train[: old["train"]], first.x_train)
    assert splits.classes == ("0", "1", "2", "3")

    out = invoke("update", run / "run", "--rollback", 1)
    assert "version 1 is now in use" in out
    assert "1 in use" in out
    assert "version 1 is already in use" in invoke("update", run / "run", "--rollback", 1)
    assert automl.load(run / "run").predict(threes).tolist() == before.predict(threes).tolist()
    command("update", run / "run", "--rollback", 2)

    out, _ = command("update", run / "run", "--data", run / "same", "--search", 0, "--workers", 1)
    assert "it has not become significantly worse" in out
    assert "not promoted" in out
    assert Versions(RunFolder(run / "run")).current == 2
    with pytest.raises(UserError, match="version 3 has no model; choose one of: 1, 2"):
        invoke("update", run / "run", "--rollback", 3)
    _, error = command("run", "--resume", "--out", run / "run", "--trials", 2, code=2)
    assert "has been updated with new data since" in error


@pytest.mark.slow
def test_an_update_that_is_killed_leaves_the_model_in_use(run, tmp_path):
    folder = tmp_path / "run"
    subprocess.run(["cp", "-r", run / "run", folder], check=True)
    before = automl.load(folder).card
    numbers = Versions(RunFolder(folder)).numbers
    options = ("--search", "0", "--tolerance", "0.3")  # an update refused with the same options would not be repeated
    with subprocess.Popen(
        [sys.executable, "-m", "automl", "update", folder, "--data", run / "same", *options],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "fine-tuning the model in use" in line:
                time.sleep(0.5)
                os.killpg(process.pid, signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL, "".join(said)
    assert automl.load(folder).card == before
    versions = Versions(RunFolder(folder))
    assert versions.numbers == numbers
    assert list(versions.begin().iterdir()) == []  # what was left of it goes


def test_an_update_that_cannot_be_written_promotes_nothing_and_leaves_nothing(forest, tmp_path, monkeypatch):
    shutil.copytree(forest / "run", tmp_path / "run", ignore=shutil.ignore_patterns("versions"), symlinks=False)
    folder, said = RunFolder(tmp_path / "run"), []

    def full(self, writing, facts):
        assert facts["promoted"]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Versions, "finish", full)
    with pytest.raises(OSError, match="No space left"):
        update(folder, forest / "turned.csv", UpdateOptions(n_search=0, tolerance=9.0), say=said.append)
    assert not any(line.startswith("promoted") for line in said)
    assert list(folder.versions.iterdir()) == []


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    frame = load_diabetes(as_frame=True).frame
    frame[:250].to_csv(folder / "old.csv", index=False)
    frame[250:].assign(target=lambda f: 400 - f["target"], always=1).to_csv(folder / "turned.csv", index=False)
    command(
        "run", "--data", folder / "old.csv", "--target", "target", "--model", "random_forest", "--strategy",
        "random", "--trials", 2, "--epochs", 2, "--workers", 1, "--final-seeds", 1, "--no-learn",
        "--out", folder / "run",
    )  # fmt: skip
    return folder


@pytest.mark.slow
def test_what_is_good_on_new_data_alone_is_not_promoted_when_it_is_bad_on_old(forest):
    out, _ = command("update", forest / "run", "--data", forest / "turned.csv", "--search", 1)
    facts = json.loads((forest / "run" / "versions" / "2" / "update.json").read_text())
    assert [c["what"] for c in facts["candidates"]] == [
        "retrained",
        "searched",
    ]  # a forest has no weights to go on from
    assert facts["worse"]
    assert facts["loss_on_old"] > facts["allowed_on_old"]
    assert "not promoted" in out
    generous = command("update", forest / "run", "--data", forest / "turned.csv", "--search", 0, "--tolerance", 9)
    assert "promoted: " in generous[0]
    assert "rows were already known" not in generous[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--data", "nowhere.csv"], "there is no file or folder"),
        (["--data", "none.csv"], "the target 'target' has no values"),
        (["--data", "other.csv"], "the new data have no column 'target', the run's --target: an update needs it"),
        (["--data", "columns.csv"], "the column 'bmi' is missing; the model was trained with it"),
        (["--data", "age.csv"], "9 columns are missing: 'sex', 'bmi', 'bp', "),
        (["--data", "old.csv", "--rollback", 1], "--data and --rollback exclude each other"),
        (["--tolerance", 0.1], "--tolerance is about an update, which needs new data: give --data too"),
    ],
)
def test_what_cannot_update_is_one_line(forest, arguments, line):
    frame = pd.read_csv(forest / "old.csv")
    frame.assign(target=np.nan).to_csv(forest / "none.csv", index=False)
    frame[["age", "target"]].to_csv(forest / "age.csv", index=False)
    frame.drop(columns="target").to_csv(forest / "other.csv", index=False)
    frame.drop(columns="bmi").to_csv(forest / "columns.csv", index=False)
    arguments = [forest / str(a) if str(a).endswith(".csv") else a for a in arguments]
    with pytest.raises(UserError) as error:
        invoke("update", forest / "run", *arguments)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_few_rows_are_no_update_and_no_error(forest):
    frame = pd.read_csv(forest / "old.csv")
    frame[:20].assign(target=frame["target"] + 1).to_csv(forest / "few.csv", index=False)
    said = invoke("update", forest / "run", "--data", forest / "few.csv")
    assert "an update needs at least 40 new examples, the data have 20" in said


def test_dates_and_numbers_that_cannot_be_read_are_no_update(tmp_path):
    frame = delays(300, 0)
    frame["day"] = pd.date_range("2024-01-01", periods=len(frame)).strftime("%Y-%m-%d")
    frame.to_csv(tmp_path / "old.csv", index=False)
    run, _ = planned_run(Request(str(tmp_path / "old.csv"), "delay", kind="table"), tmp_path, folds=2, n_trials=1)
    new = delays(100, 1).assign(day=[f"the {n}th" for n in range(100)])
    new.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match=r"most values of 'day' \(100 of 100 rows\) cannot be used"):
        update(RunFolder(run), tmp_path / "new.csv")
    delays(100, 1).assign(day="2025-01-01", distance="far").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match=r"most values of 'distance' \(100 of 100 rows\) cannot be used"):
        update(RunFolder(run), tmp_path / "new.csv")
    assert Versions(RunFolder(run)).current == 1


def test_an_update_of_weighted_rows_scores_them_by_their_weights(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    new = delays(200, 1, shift=0.5)
    new.to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", weight="counts", kind="table")
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    errors = automl.load(run).predict(new) - new["delay"]
    with pytest.raises(UserError, match="no --search for a run by the default plan"):
        update(RunFolder(run), tmp_path / "new.csv", UpdateOptions(n_search=1))
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["in_use_on_new"] == pytest.approx(np.sqrt(np.average(errors**2, weights=new["counts"])), rel=1e-4)
    assert facts["promoted"]
    assert facts["gain_on_new"] > 0
    card = (run / "model" / "README.md").read_text()
    assert "This is the previous model, trained again on old and new data; compared with" in card
    assert "Made by `auto` with seed 0: 1 trial, started today. Updated with new data at 2" in card
    assert card.count(": version 2.") == 1
    listed = set(re.findall(r"^\| `([a-z._]+)/?` \|", card, re.MULTILINE))
    assert listed == {path.name for path in (run / "model").iterdir()} - {"README.md"}
    data = Versions(RunFolder(run)).data(2)
    splits = read_prepared(data / Facts.read(data).views.of("linear"))
    errors = splits.y_test - np.average(splits.y_train, weights=weights_of(data, "train"))
    baseline = np.sqrt(np.average(errors**2, weights=weights_of(data, "test")))
    assert facts["baseline"]["all"] == pytest.approx(baseline, rel=1e-4)
    assert (
        f"The baseline, training mean, has rmse {baseline:.4g} on the test set. Both are scored on 60 earlier" in card
    )


def test_known_examples_make_no_version_unless_they_were_refused_with_other_options(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    delays(200, 1, shift=0.5).to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", weight="counts", kind="table")
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    said = invoke("update", run, "--data", tmp_path / "old.csv")
    assert said == "no new examples: all 300 are already in the run's data\n"
    versions = Versions(RunFolder(run))
    assert versions.numbers == [1]
    assert update(RunFolder(run), tmp_path / "new.csv")["promoted"]
    versions.use(1)
    with pytest.raises(TooFewNewExamples):
        update(RunFolder(run), tmp_path / "new.csv")
    delays(100, 2, shift=-4).to_csv(tmp_path / "turned.csv", index=False)
    strict, generous = UpdateOptions(tolerance=0.0), UpdateOptions(tolerance=9.0)
    refused = update(RunFolder(run), tmp_path / "turned.csv", strict)
    with pytest.raises(TooFewNewExamples):
        update(RunFolder(run), tmp_path / "turned.csv", strict)
    again = update(RunFolder(run), tmp_path / "turned.csv", generous)
    assert (refused["promoted"], again["promoted"], versions.numbers) == (False, True, [1, 2, 3, 4])
    assert again["rows_in_all"] == refused["rows_in_all"]


def delayed_run(tmp_path):
    """A run on 300 delays, and a function that updates it with others, named after a file."""
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", kind="table")
    run = RunFolder(planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")[0])

    def updated(name, frame, say=lambda line: None, **options):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        return update(run, tmp_path / f"{name}.csv", UpdateOptions(**options), say=say)

    return run, updated


def test_two_wrong_files_are_refused_and_leave_no_trace_in_the_next_update(tmp_path):
    run, updated = delayed_run(tmp_path)
    said, seconds = [], [delays(n, n).assign(delay=lambda f: 60 * f["delay"]) for n in (120, 300)]
    wrong = [updated(f"wrong{len(frame)}", frame, said.append) for frame in seconds]
    assert [facts["promoted"] for facts in wrong] == [False, False]
    assert said[-1].endswith("is allowed); later updates do not use these rows unless they are given again")
    right = updated("right", delays(100, 4, shift=0.3))
    assert right["promoted"]
    assert sum(right["rows_in_all"].values()) == 400
    assert wrong[1]["old_test_interval"] == right["old_test_interval"]
    united = read_prepared(Versions(run).data(4) / "columns")
    assert max(united.y_train.max(), united.y_valid.max(), united.y_test.max()) < 5


def test_a_drift_is_learnt_although_its_first_rows_were_refused(tmp_path):
    _, updated = delayed_run(tmp_path)
    assert not updated("few", delays(45, 7, shift=0.1))["promoted"]  # by chance
    more = updated("more", delays(300, 9, shift=0.1))
    assert more["promoted"]
    assert sum(more["rows_in_all"].values()) == 600


def test_a_drift_that_contradicts_the_old_rows_is_learnt_once_these_are_given_up(tmp_path):
    _, updated = delayed_run(tmp_path)
    months = [delays(300, seed, shift=0.8) for seed in (1, 2, 3)]
    assert not updated("first", months[0])["promoted"]
    assert not updated("second", months[1])["promoted"]
    again = updated("first", months[0], tolerance=9.0)
    assert again["promoted"]
    assert sum(again["rows_in_all"].values()) == 600
    later = [updated("second", months[1]), updated("third", months[2])]  # judged against another model: as new
    assert [facts["promoted"] for facts in later] == [True, True]
    assert sum(later[1]["rows_in_all"].values()) == 1200


def test_refused_rows_are_judged_again_with_enough_others(tmp_path):
    run, updated = delayed_run(tmp_path)
    turned = delays(140, 2, shift=-4)
    assert not updated("growing", turned[:60])["promoted"]
    same = "60 are already in the run's data, or were refused or rolled back with the same options"
    with pytest.raises(TooFewNewExamples, match=f"no new examples: all {same}"):
        updated("copy", turned[:60])
    with pytest.raises(TooFewNewExamples, match=f"needs at least 40 new examples: 60 of 90 {same[3:]}"):
        updated("growing", turned[:90])
    facts = updated("growing", turned)
    assert (sum(facts["rows"].values()), Versions(run).numbers) == (140, [1, 2, 3])


def test_an_update_after_a_rollback_builds_on_the_data_of_the_version_in_use(tmp_path):
    run, updated = delayed_run(tmp_path)
    rolled_back = delays(200, 1, shift=0.5)
    assert updated("february", rolled_back)["promoted"]
    Versions(run).use(1)
    with pytest.raises(TooFewNewExamples):
        updated("february", rolled_back)
    facts = updated("march", pd.concat([rolled_back, delays(100, 2, shift=0.5)]))
    assert (sum(facts["rows"].values()), sum(facts["rows_in_all"].values())) == (300, 600)
    assert list(facts["scores"]) == ["1", "3"]  # the second was trained on some of these test rows
    assert [each["number"] for each in Versions(run).history() if each["in_use"]] == [3]


def test_versions_of_earlier_releases_include_all_data_before_them(tmp_path):
    run, updated = delayed_run(tmp_path)
    turned = delays(60, 2, shift=-4)
    assert not updated("turned", turned)["promoted"]
    assert updated("new", delays(200, 1, shift=0.5))["promoted"]

    def without_origin(number):
        file = Versions(run).place(number) / "update.json"
        facts = json.loads(file.read_text())
        assert facts.pop("built_on") == 1
        file.write_text(json.dumps(facts))

    without_origin(3)
    assert list(Versions(run).lineage({}).models) == [1, 3]
    Versions(run).use(1)
    without_origin(2)
    assert not updated("turned", turned)["promoted"]  # judged once more
    with pytest.raises(TooFewNewExamples):
        updated("turned", turned)


def test_what_a_cross_validated_model_was_fitted_to_is_kept_in_every_update(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", weight="counts", kind="table")
    run, card = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    folder, view = Versions(RunFolder(run)), Facts.read(run / "data").views.of("linear")
    fitted = card["data"]["train"] + card["data"]["valid"]
    for version, seed in ((2, 1), (3, 2)):
        delays(200, seed, shift=0.5).to_csv(tmp_path / "new.csv", index=False)
        facts = update(RunFolder(run), tmp_path / "new.csv")
        united = read_prepared(folder.place(version) / "data" / view)
        fitted += facts["rows"]["for training"]
        assert len(united.y_train) == fitted
        assert len(united.y_valid) == facts["rows"]["for validation"]
        for part, rows in (("train", united.y_train), ("valid", united.y_valid), ("test", united.y_test)):
            assert len(weights_of(folder.place(version) / "data", part)) == len(rows)
        fitted += facts["rows"]["for validation"]
    assert len(facts["scores"]) == 3
    for version, model in folder.models.items():  # all on the same rows
        predicted = automl.load(model).judge(lambda _: united.x_test)
        errors = np.average((predicted - united.y_test) ** 2, weights=weights_of(folder.data(3), "test"))
        assert facts["scores"][str(version)]["all"] == pytest.approx(np.sqrt(errors), rel=1e-4)
    old = read_prepared(run / "data" / view)
    both = np.concatenate([old.y_train, old.y_valid])
    assert np.array_equal(united.y_train[: len(both)], both)


def test_a_model_of_quantiles_is_updated(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    new = delays(300, 1, shift=2.0)
    new.to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", quantiles=(0.1, 0.5, 0.9))
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    in_use = automl.load(run)
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["metric"] == "pinball"
    assert facts["gain_on_new"] > 0
    assert facts["test"]["new"]["candidate"] < facts["test"]["new"]["in_use"]
    before, after = ({**predictor.card} for predictor in (in_use, automl.load(run)))
    assert after["shifts"] == before["shifts"] != []
    assert after["below_quantiles"].keys() == {"0.1", "0.5", "0.9"}
    assert automl.load(run).predict(new).shape == (300, 3)


@pytest.mark.parametrize(
    ("metric", "judge", "line"), [("auc", "log_loss", "a single class"), ("r2", "rmse", "a single value")]
)
def test_new_data_without_different_targets_are_judged_by_a_metric_that_is_defined(metric, judge, line, tmp_path):
    old, new = delays(300, 0), delays(120, 1)
    late = old["delay"] > old["delay"].median()
    old = old.assign(delay=np.where(late, "late", "soon") if metric == "auc" else old["delay"])
    old.to_csv(tmp_path / "old.csv", index=False)
    new.assign(delay="soon" if metric == "auc" else 0.5).to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay")
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear", metric=metric)
    said = []
    facts = update(RunFolder(run), tmp_path / "new.csv", say=said.append)
    assert f"note: {metric} is undefined, as the new examples have {line}; {judge} is used instead" in said
    assert facts["metric"] == judge
    assert facts["test"]["new"]["candidate"] < facts["test"]["new"]["in_use"]
    assert "NaN" not in (run / "versions" / "2" / "update.json").read_text()
    table = version_table(Versions(RunFolder(run)).history(), {"metric": metric, "started": None})
    assert f"{judge} on 24 new test rows" in table.sides
    card = automl.load(run).card
    assert card["metric"] == metric
    assert (card["baseline"]["score"] > 0.3) == (metric == "auc"), "the baseline is scored by it too"


def test_an_update_keeps_the_offset_of_the_numbers(tmp_path):
    far, parts = 1.7e9, [delays(300, 0), delays(300, 1, shift=2.0)]
    for part, name in zip(parts, ("old", "new"), strict=True):
        part.assign(delay=far + part["delay"]).to_csv(tmp_path / f"{name}.csv", index=False)
    run, _ = planned_run(Request(str(tmp_path / "old.csv"), "delay"), tmp_path, folds=2, n_trials=1, model="linear")
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["test"]["new"]["candidate"] < facts["test"]["new"]["in_use"] < 100
    assert automl.load(run).predict(parts[1]).mean() - far == pytest.approx(parts[1]["delay"].mean(), abs=1.0)


def test_a_run_without_a_test_set_is_judged_by_the_new_rows_alone(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    delays(200, 1, shift=0.5).to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", no_test=True)
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["said"][-1].endswith("the run has no test set to compare with")
    assert facts["why"].endswith("; there is no test set of the run to compare on")
    assert facts["promoted"]
    assert facts["n_test"] == {"old": 0, "new": 40, "all": 40}
    assert "old" not in facts["test"]


def test_the_report_tells_which_version_is_in_use_and_the_score_of_each_on_the_same_rows(forest, tmp_path):
    shutil.copytree(forest / "run", tmp_path / "run", ignore=shutil.ignore_patterns("versions"), symlinks=False)
    folder = RunFolder(tmp_path / "run")
    versions = Versions(folder)
    facts = {
        "started": "2026-03-01T10:00:00+00:00", "data": "march.csv", "metric": "rmse", "epochs": 2, "notes": [],
        "rows": {"for training": 30, "for validation": 10, "for testing": 10},
        "rows_in_all": {"train": 180, "valid": 60, "test": 60}, "n_test": {"old": 50, "new": 10, "all": 60},
        "scores": {"1": {"old": 55.0, "new": 71.0}, "2": {"old": 56.0, "new": 62.0}}, "why": "better",
        "chosen": {"what": "retrained"},
        "test": {side: {"in_use": 71.0, "candidate": 62.0} for side in ("old", "new")}, "promoted": True,
        "baseline": {"name": "training mean", "old": 77.0, "new": 79.0},
    }  # fmt: skip
    writing = versions.begin()
    shutil.copytree(folder.model, writing / "model")
    versions.finish(writing, facts)

    def words():
        return " ".join(re.sub("<[^>]*>", " ", folder.report.read_text().partition("<body>")[2]).split())

    listed = [re.split(r" {2,}", line.strip()) for line in invoke("update", folder.path).splitlines()]
    assert ["2 in use", "2026-03-01", "march.csv", "300, 50 of them new", "62.00", "56.00", "promoted"] in listed
    invoke("report", folder.path)
    assert "Version 2 of the model is in use, made by the update of 2026-03-01: rmse 62.00 on the new test" in words()
    assert "against 71.00 of version 1 and 79.00 of the baseline." in words()
    assert "version 2 2026-03-01 march.csv 300, 50 of them new 62.00 56.00 promoted: better; in use" in words()
    out, _ = command("update", folder.path, "--rollback", 1)
    assert "version 1 is now in use" in out
    assert "Version 1 of the model is in use, made by the run: rmse 71.00 on the new test rows" in words()
    assert "which produced version 1; version 1 is in use." in invoke("explain", folder.path)
    assert "Version 1 of the model is in use" in words()
    command("update", folder.path, "--rollback", 2)
    writing = versions.begin()
    shutil.copytree(folder.model, writing / "model")
    versions.finish(writing, facts)
    shutil.rmtree(folder.versions / "3")  # the one in use
    assert "the folder of the version in use is missing: copy it back, or use an earlier" in invoke(
        "update", folder.path
    )


def test_a_run_without_its_prepared_data_is_neither_updated_nor_continued(tmp_path):
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "a.csv", index=False)
    request = Request(str(tmp_path / "a.csv"), "target")
    folder, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    shutil.rmtree(folder / "data")
    for command_line in (("update", folder, "--data", tmp_path / "a.csv"), ("run", "--resume", "--out", folder)):
        with pytest.raises(UserError, match="the prepared data of the run are missing"):
            invoke(*command_line)
