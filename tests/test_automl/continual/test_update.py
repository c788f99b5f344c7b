"""Updates of a model: drift, fine-tuning, promotion and versions."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from planned_runs import Request, planned_run
from processes import command, invoke
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import f1_score

import automl
from automl.analysis.versions import version_table
from automl.cli.update import _despite_the_test
from automl.continual.drift import drifts
from automl.continual.fine_tuning import take_over
from automl.continual.new_data import TooFewNew, n_old, read_new, request_for, unite
from automl.continual.paired_bootstrap import (
    Gain,
    Truth,
    allowance,
    follows,
    gain,
    has_fallen,
    interval,
    score,
    without_forgetting,
)
from automl.continual.promotion import _best, saw_validation
from automl.continual.update import UpdateOptions, update
from automl.continual.versions import Versions
from automl.data.ingest.encoder import load_encoder
from automl.data.ingest.prepare import Facts, group_hashes, groups_of, prepare, weights_of
from automl.data.inputs import Columns, Dense, Padded, Tokens
from automl.data.memory_map import read_prepared
from automl.deployment.model_card import CARD
from automl.errors import UserError
from automl.models.mlp import MLP
from automl.study.run_folder import RunFolder

# --- drift ------------------------------------------------------------------------------------------------------------


def table(n, seed, shift=0.0, rare=0.2):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 2))
    numbers[:, 0] += shift
    return np.column_stack([numbers, rng.random(n) < rare]).astype(np.float32)


def test_drift_is_found_where_it_is_and_named_by_its_column():
    old = table(1_000, 0)
    inputs = Columns.of(old, (3,))
    found = drifts(inputs, old, table(500, 1, shift=0.5), ("age", "size", "town"))
    assert [drift.name for drift in found if drift.is_drift] == ["age"]
    assert found[0].new - found[0].old == pytest.approx(0.5, abs=0.15)
    found = drifts(inputs, old, table(500, 1, rare=0.5), ("age", "size", "town"))
    assert [drift.name for drift in found if drift.is_drift] == ["town"]
    assert found[0].distance == pytest.approx(0.3, abs=0.07)
    missing = table(500, 1)
    missing[:100, 1] = np.nan
    found = drifts(inputs, old, missing, ("age", "size", "town"))
    assert [drift.name for drift in found if drift.is_drift] == ["size missing"]
    assert (found[0].old, found[0].new) == (0.0, 0.2)
    (back,) = (drift for drift in drifts(inputs, missing, old, ("age", "size", "town")) if drift.is_drift)
    assert (back.old, back.new) == (0.2, 0.0)


def test_without_drift_one_in_twenty_comparisons_at_most_finds_any():
    alarms = 0
    for seed in range(200):
        old, new = table(200, 2 * seed), table(150, 2 * seed + 1)
        alarms += any(drift.is_drift for drift in drifts(Columns.of(old, (3,)), old, new))
    assert alarms <= 18  # of 200 at 5%, 99.9% of the time


def test_pictures_signals_and_texts_are_compared_by_what_tells_them_apart():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 200, (300, 3, 8, 8)).astype(np.uint8)
    brighter = pictures.copy()
    brighter[:, 1] += 40
    found = drifts(Dense.of(pictures), pictures[:150], brighter[150:])
    assert found[0].name == "mean of channel 1"
    assert sum(drift.is_drift for drift in found) == 1
    names = ("open", "close", "volume")  # of a series
    assert drifts(Dense.of(pictures), pictures[:150], brighter[150:], names)[0].name == "mean of close"

    signals = rng.normal(size=(300, 1, 20)).astype(np.float32)
    shorter = signals.copy()
    shorter[150:, :, 12:] = np.nan
    names = {drift.name for drift in drifts(Padded.of(shorter), shorter[:150], shorter[150:]) if drift.is_drift}
    assert "length" in names

    texts = rng.integers(2, 50, (300, 30)).astype(np.int32)
    unknown = np.where(rng.random((150, 30)) < 0.3, 1, texts[150:])
    assert drifts(Tokens(30, 50), texts[:150], unknown)[0].name == "share of unknown tokens"


# --- judging ----------------------------------------------------------------------------------------------------------


def test_a_gain_is_sure_where_it_is_large_and_not_where_it_is_chance():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    sure = np.eye(2)[y] * 0.8 + 0.1
    guess = np.full((400, 2), 0.5)
    good, bad = (
        np.where(rng.random((400, 1)) < 0.9, sure, 1 - sure),
        np.where(rng.random((400, 1)) < 0.6, sure, 1 - sure),
    )
    assert gain("accuracy", Truth(y), bad, good, 0.95).low > 0.2
    assert gain("accuracy", Truth(y), good, bad, 0.95).low < gain("accuracy", Truth(y), good, bad, 0.95).value < 0
    assert gain("log_loss", Truth(y), guess, sure, 0.95).value == pytest.approx(np.log(0.9) - np.log(0.5))
    same = gain("accuracy", Truth(y), good, good, 0.95)
    assert (same.value, same.low) == (0, 0)
    low, high = interval("accuracy", Truth(y), good)
    assert low < score("accuracy", Truth(y), good) < high


def test_all_right_is_not_certainty():
    y = Truth(np.zeros(260, int))
    right, wrong = np.tile([0.9, 0.1], (260, 1)), np.tile([0.1, 0.9], (260, 1))
    low, high = interval("accuracy", y, right)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 260)), 1.0)  # Clopper and Pearson
    assert interval("accuracy", y, wrong) == (0.0, pytest.approx(1 - low))

    def but(n):
        return np.concatenate([wrong[:n], right[n:]])

    assert not has_fallen("accuracy", (y, right), (y, but(3)))
    assert has_fallen("accuracy", (y, right), (y, but(8)))


def test_a_model_has_fallen_where_the_difference_is_more_than_chance():
    rng = np.random.default_rng(0)
    y = Truth(np.zeros(300, int))

    def right(share):
        return np.where(rng.random((300, 1)) < share, [0.9, 0.1], [0.1, 0.9])

    assert has_fallen("accuracy", (y, right(0.9)), (y, right(0.7)))
    assert not has_fallen("accuracy", (y, right(0.7)), (y, right(0.9)))
    false = sum(has_fallen("accuracy", (y, right(0.9)), (y, right(0.9))) for _ in range(20))
    assert false <= 4  # one in twenty, by chance


def test_classes_that_a_model_does_not_know_have_no_probability():
    y = Truth(np.array([0, 1, 2, 2]))
    assert score("accuracy", y, np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])) == 0.5


def test_models_of_two_and_of_three_classes_are_compared_by_one_f1():
    """That of the second of two classes is none of the mean over three, also on rows that lack the third."""
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 200), rng.random(200)
    truth, two, three = Truth(y, n_classes=3), np.column_stack([1 - p, p]), np.column_stack([1 - p, p, 0 * p])
    assert score("f1", truth, two) == score("f1", truth, three) == f1_score(y, p > 0.5, average="macro")
    assert gain("f1", truth, two, three, 0.8) == Gain(0.0, 0.0)
    assert interval("f1", truth[:100], two[:100]) == interval("f1", truth[:100], three[:100])
    assert score("f1", Truth(y), two) == f1_score(y, p > 0.5)


@pytest.mark.parametrize(
    ("new", "both", "lost", "promoted"),
    [
        (Gain(0.1, 0.02), Gain(0.01, -0.01), Gain(-0.01, -0.02), True),  # likely on new data
        (Gain(0.1, -0.02), Gain(0.08, 0.01), Gain(-0.05, -0.07), True),  # likely on all together
        (Gain(0.1, -0.02), Gain(0.03, -0.01), Gain(-0.01, -0.02), False),  # chance
        (Gain(-0.01, -0.1), Gain(0.08, 0.03), Gain(-0.1, -0.12), False),  # better on old data alone
        (Gain(0.1, 0.02), Gain(0.05, 0.01), Gain(0.03, 0.02), False),  # surely too much is lost
        (Gain(0.1, 0.02), Gain(0.05, 0.01), Gain(0.03, -0.01), True),  # which may be chance
        (Gain(0.1, 0.02), Gain(0.05, 0.01), Gain(0.005, 0.002), True),  # no more than is allowed
    ],
)
def test_a_model_follows_where_it_is_likely_better_and_loses_little(new, both, lost, promoted):
    assert follows(new, both, lost, allowed=0.01) is promoted


def test_rows_count_as_much_as_they_weigh():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    wrong = np.arange(200) < 100
    good_on_some, good_on_others = np.where(wrong, 5.0, y), np.where(wrong, y, 5.0)
    truth = Truth(y, np.where(wrong, 1e-3, 1.0))
    assert score("rmse", truth, good_on_some) < 0.2 * score("rmse", truth, good_on_others)
    assert gain("rmse", truth, good_on_others, good_on_some, 0.95).low > 3
    assert gain("rmse", Truth(y), good_on_others, good_on_some, 0.95).low < 0
    assert has_fallen("rmse", (truth, good_on_some), (truth, good_on_others))
    assert not has_fallen("rmse", (truth, good_on_others), (truth, good_on_some))
    both = truth[:50] + truth[150:]
    assert (both.weights == truth.weights[[*range(50), *range(150, 200)]]).all()


def test_what_forgets_is_no_candidate_unless_all_do():
    surely, perhaps, little = Gain(0.03, 0.02), Gain(0.03, -0.01), Gain(0.005, 0.002)
    assert without_forgetting([surely, perhaps, little], allowed=0.01) == [1, 2]
    assert without_forgetting([surely, surely], allowed=0.01) == [0, 1]


def test_a_tolerance_is_a_share_of_the_scale_or_of_the_error_itself():
    assert allowance("accuracy", 0.01, 0.5) == 0.01
    assert allowance("rmse", 0.01, 50.0) == 0.5


# --- going on ---------------------------------------------------------------------------------------------------------


def test_a_network_with_more_classes_keeps_what_it_said_of_the_old_ones():
    config = {"width": 8, "layers": 1, "dropout": 0.0}
    torch.manual_seed(0)
    old, new = MLP(config, (4,), 2), MLP(config, (4,), 5)
    take_over(new, old.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(old(x), new(x)[:, :2])
    assert not torch.equal(new(x)[:, 2], torch.zeros(3))


# --- the command ------------------------------------------------------------------------------------------------------


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
    assert "was updated with new data since" in error


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


def test_a_kill_between_the_two_steps_of_the_first_change_loses_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.model_before.mkdir()
    (folder.model_before / "config.json").write_text("{}")
    Versions(folder).recover()
    assert (folder.model / "config.json").exists()
    assert not folder.model_before.exists()


def test_a_kill_after_the_first_change_leaves_no_copy_of_the_model_behind(tmp_path):
    folder = RunFolder(tmp_path)
    for place in (folder.model_before, folder.path / "versions" / "2" / "model"):
        place.mkdir(parents=True)
    folder.model.symlink_to("versions/2/model")
    Versions(folder).recover()
    assert folder.model.is_symlink()
    assert not folder.model_before.exists()


def test_after_that_kill_every_version_can_be_used(tmp_path):
    folder, versions = RunFolder(tmp_path), Versions(RunFolder(tmp_path))
    for place in (folder.model_before, versions.place(1) / "model", versions.place(2) / "model"):
        place.mkdir(parents=True)
    (tmp_path / ".model.1").symlink_to("versions/2/model")
    versions.use(2)
    assert versions.current == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "versions"]


@pytest.mark.parametrize("target", ["", "price"])
def test_a_copy_without_links_has_the_same_version_in_use(target, tmp_path):
    """As from a ZIP archive, or by shutil.copytree."""
    run, copy = tmp_path / "run", tmp_path / "copy"
    for number in (1, 2):
        model = Versions(RunFolder(run)).place(number) / "model" / target
        model.mkdir(parents=True)
        (model / "model.json").write_text(json.dumps({"version": number} if number > 1 else {}))
    (run / "model").symlink_to("versions/2/model")
    shutil.copytree(run, copy)
    versions = Versions(RunFolder(copy))
    assert not versions.folder.model.is_symlink()
    assert versions.current == 2
    versions.use(1)
    assert versions.current == 1
    shutil.copytree(run, tmp_path / "small", ignore=shutil.ignore_patterns("versions"))
    assert Versions(RunFolder(tmp_path / "small")).current == 1  # none but the model that is there


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
        (["--data", "few.csv"], "at least 40 usable rows are needed"),
        (["--data", "other.csv"], "the new data have no column 'target', the run's --target: an update needs it"),
        (["--data", "columns.csv"], "the column 'bmi' is missing; the model was trained with it"),
        (["--data", "old.csv", "--rollback", 1], "--data and --rollback exclude each other"),
    ],
)
def test_what_cannot_update_is_one_line(forest, arguments, line):
    frame = pd.read_csv(forest / "old.csv")
    frame[:20].assign(target=frame["target"] + 1).to_csv(forest / "few.csv", index=False)
    frame.drop(columns="target").to_csv(forest / "other.csv", index=False)
    frame.drop(columns="bmi").to_csv(forest / "columns.csv", index=False)
    arguments = [forest / str(a) if str(a).endswith(".csv") else a for a in arguments]
    with pytest.raises(UserError) as error:
        invoke("update", forest / "run", *arguments)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def delays(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"distance": rng.uniform(0, 1, n), "counts": rng.choice([0.01, 1.0, 5.0], n)})
    return frame.assign(delay=frame["distance"] * (1 + shift) + rng.normal(0, 0.1, n) + (frame["counts"] < 0.1))


def test_an_update_of_weighted_rows_scores_them_by_their_weights(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    new = delays(200, 1, shift=0.5)
    new.to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", weight="counts", kind="table")
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    errors = automl.load(run).predict(new) - new["delay"]
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["in_use_on_new"] == pytest.approx(np.sqrt(np.average(errors**2, weights=new["counts"])), rel=1e-4)
    assert facts["promoted"]
    assert facts["gain_on_new"] > 0
    card = (run / "model" / "README.md").read_text()
    assert "This is the model before, trained again on old and new data; compared with" in card
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
    with pytest.raises(TooFewNew):
        update(RunFolder(run), tmp_path / "new.csv")
    delays(100, 2, shift=-4).to_csv(tmp_path / "turned.csv", index=False)
    strict, generous = UpdateOptions(tolerance=0.0), UpdateOptions(tolerance=9.0)
    refused = update(RunFolder(run), tmp_path / "turned.csv", strict)
    with pytest.raises(TooFewNew):
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
    with pytest.raises(TooFewNew, match=f"no new examples: all {same}"):
        updated("copy", turned[:60])
    with pytest.raises(TooFewNew, match=f"needs at least 40 new examples: 60 of 90 {same[3:]}"):
        updated("growing", turned[:90])
    facts = updated("growing", turned)
    assert (sum(facts["rows"].values()), Versions(run).numbers) == (140, [1, 2, 3])


def test_an_update_after_a_rollback_builds_on_the_data_of_the_version_in_use(tmp_path):
    run, updated = delayed_run(tmp_path)
    rolled_back = delays(200, 1, shift=0.5)
    assert updated("february", rolled_back)["promoted"]
    Versions(run).use(1)
    with pytest.raises(TooFewNew):
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
    with pytest.raises(TooFewNew):
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


def test_it_is_said_that_validation_data_refused_what_is_better_on_test(tmp_path):
    versions = Versions(RunFolder(tmp_path))
    test = {"new": {"in_use": 45.5, "candidate": 43.0}}
    facts = {"metric": "rmse", "promoted": False, "gain_on_new": -0.1, "test": test}
    versions.finish(versions.begin(), facts)
    assert list(_despite_the_test(versions)) == [
        "version 2 is better on the new test set, but only validation data decide, and there it was not better"
    ]
    versions.finish(versions.begin(), facts | {"gain_on_new": 0.1})  # refused for its loss on old data
    assert list(_despite_the_test(versions)) == []
    test["new"]["candidate"] = 46.0
    versions.finish(versions.begin(), facts)
    assert list(_despite_the_test(versions)) == []


def test_a_model_of_quantiles_is_updated(tmp_path):
    delays(300, 0).to_csv(tmp_path / "old.csv", index=False)
    new = delays(300, 1, shift=2.0)
    new.to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", quantiles=(0.1, 0.5, 0.9))
    run, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    facts = update(RunFolder(run), tmp_path / "new.csv")
    assert facts["metric"] == "pinball"
    assert facts["gain_on_new"] > 0
    assert facts["test"]["new"]["candidate"] < facts["test"]["new"]["in_use"]
    assert automl.load(run).predict(new).shape == (300, 3)


@pytest.mark.parametrize(("metric", "judge", "line"), [("auc", "log_loss", "one class"), ("r2", "rmse", "one value")])
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
    assert f"note: {metric} is undefined, as the new examples have {line} only: {judge} judges" in said
    assert facts["metric"] == judge
    assert facts["test"]["new"]["candidate"] < facts["test"]["new"]["in_use"]
    assert "NaN" not in (run / "versions" / "2" / "update.json").read_text()
    table = version_table(Versions(RunFolder(run)).history(), {"metric": metric, "started": None})
    assert f"{judge} on 24 new test rows" in table.sides


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
    assert "which made version 1; version 1 is in use." in invoke("explain", folder.path)
    assert "Version 1 of the model is in use" in words()


def test_a_version_that_is_not_there_changes_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.model.mkdir()
    with pytest.raises(UserError, match="version 5 has no model; choose one of: 1"):
        Versions(folder).use(5)
    assert not folder.versions.exists()


def test_a_run_without_a_model_has_no_version(tmp_path):
    run = tmp_path / "run"
    automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=1, study=run)
    for options in ([], ["--rollback", 1]):
        with pytest.raises(UserError, match="has no model: continue it with --resume"):
            invoke("update", run, *options)


def test_a_run_without_its_prepared_data_is_neither_updated_nor_continued(tmp_path):
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "a.csv", index=False)
    request = Request(str(tmp_path / "a.csv"), "target")
    folder, _ = planned_run(request, tmp_path, folds=2, n_trials=1, model="linear")
    shutil.rmtree(folder / "data")
    for command_line in (("update", folder, "--data", tmp_path / "a.csv"), ("run", "--resume", "--out", folder)):
        with pytest.raises(UserError, match="the prepared data of the run are missing"):
            invoke(*command_line)


def test_a_run_that_is_not_on_own_data_is_not_updated(tmp_path):
    with pytest.raises(UserError, match="only runs on your own data"):
        request_for(None, tmp_path)
    with pytest.raises(UserError, match="there is no run in"):
        invoke("update", tmp_path)


def test_copies_and_rows_of_groups_that_judge_are_not_trained_on(tmp_path):
    def visits(customers, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=len(customers))
        return pd.DataFrame({"customer": customers, "x": x, "y": x + rng.normal(0, 0.1, len(customers))})

    visits(np.repeat(np.arange(60), 4), 0).to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "y", group="customer", kind="regression")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    target = read_prepared(tmp_path / "data" / "columns").target

    known = visits(np.repeat(np.arange(60), 2), 1)
    news = visits(np.repeat(np.arange(60, 120), 2), 2)
    pd.concat([known, news, news]).to_csv(tmp_path / "new.csv", index=False)
    new = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    held_out = groups_of(tmp_path / "data", "valid", "test")
    assert len(set(held_out)) > 10
    assert not np.isin(new.groups[new.parts.train], held_out).any()
    assert any("of groups in the run's validation or test set are not trained on" in note for note in new.notes)
    learned = groups_of(tmp_path / "data", "train")
    judging = np.concatenate([new.parts.valid, new.parts.test])
    assert not np.isin(new.groups[judging], learned).any(), "the model in use knows these groups"
    assert np.isin(new.groups[new.parts.train], learned).any()

    unite(tmp_path / "data", new, tmp_path / "united")
    for part in ("train", "valid", "test"):
        united = read_prepared(tmp_path / "united" / "columns")
        assert len(groups_of(tmp_path / "united", part)) == len(getattr(united, f"y_{part}"))
    assert not np.isin(groups_of(tmp_path / "united", "train"), held_out).any()

    judges = groups_of(tmp_path / "data", "test")
    all_but_test = read_new(
        encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data", ("test",)
    )
    trained_on = all_but_test.groups[all_but_test.parts.train]
    assert not np.isin(trained_on, judges).any()
    assert np.isin(trained_on, held_out).any(), (
        "a model that was fitted to the validation set is judged by the test set"
    )
    unite(tmp_path / "data", all_but_test, tmp_path / "fitted", fits_valid=True)
    assert np.isin(groups_of(tmp_path / "data", "valid"), groups_of(tmp_path / "fitted", "train")).all()

    judging = known[np.isin(group_hashes(known["customer"].to_numpy()), held_out)]
    pd.concat([judging] * 3).assign(x=lambda f: np.arange(len(f))).to_csv(tmp_path / "judging.csv", index=False)
    with pytest.raises(UserError, match="all groups of the new training examples are in the run's validation or test"):
        read_new(encoder, replace(request, data=str(tmp_path / "judging.csv")), target, tmp_path / "data")


@pytest.mark.parametrize(("fits_valid", "n"), [(False, 10), (True, 240)])
def test_only_a_model_that_is_fitted_to_all_rows_is_trained_on_all_old_ones(fits_valid, n, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.continual.new_data.KEPT", 10)
    frame = delays(300, 0).drop(columns="counts")
    frame.to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", kind="table")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    delays(100, 1).drop(columns="counts").to_csv(tmp_path / "new.csv", index=False)
    target = read_prepared(tmp_path / "data" / "columns").target
    new = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    unite(tmp_path / "data", new, tmp_path / "united", fits_valid=fits_valid)
    assert n_old(tmp_path / "united")["train"] == n


def test_copies_of_a_new_row_are_on_one_side(tmp_path):
    frame = delays(300, 0).drop(columns="counts")
    frame.to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", kind="table")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    news = delays(100, 1).drop(columns="counts")
    pd.concat([news, news.head(60)]).to_csv(tmp_path / "new.csv", index=False)
    target = read_prepared(tmp_path / "data" / "columns").target
    new = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    train, valid, test = (set(new.arrays["columns"][part].ravel().tolist()) for part in new.parts)
    assert not train & valid
    assert not (train | valid) & test
    assert sum(map(len, new.parts)) == 160


def test_examples_that_a_candidate_was_trained_on_do_not_choose_it():
    assert saw_validation({"made": "refit"})
    assert saw_validation({"made": "updated", "saw_valid": True})
    assert not saw_validation({"made": "updated", "saw_valid": False})
    y = np.arange(80.0)
    memorised = np.where(np.arange(80) < 40, y, y + 3)  # of a model that has seen the first 40
    honest = y + 2
    halves = [np.arange(40, 80, 2), np.arange(41, 80, 2)]
    place, crossed = _best("rmse", Truth(y), [memorised, honest], halves, 40)
    assert place == 1
    assert (crossed == honest).all()
    assert _best("rmse", Truth(y), [memorised, honest], [np.arange(0, 80, 2), np.arange(1, 80, 2)], 40)[0] == 0


def prepared_version(folder: RunFolder):
    folder.model.mkdir()
    (folder.model / CARD).write_text("{}")
    writing = Versions(folder).begin()
    (writing / "model").mkdir()
    return writing


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"promoted": tr', None])
def test_a_version_whose_facts_are_damaged_is_one_line_and_another_can_be_used(content, tmp_path):
    run = tmp_path / "run"
    automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=1, study=run)
    versions = Versions(RunFolder(run))
    versions.finish(prepared_version(RunFolder(run)), {"promoted": True})
    file = run / "versions" / "2" / "update.json"
    file.unlink() if content is None else file.write_text(content)
    line = rf"'{file}' is damaged \(.*\); copy it back, or use an earlier version with --rollback and delete '{run}/"
    for name in ("update", "report"):
        with pytest.raises(UserError, match=line):
            invoke(name, run)
    assert versions.current == 2
    said = invoke("update", run, "--rollback", 1)
    assert said.startswith("version 1 is now in use\nthe versions cannot be listed: ")
    assert versions.current == 1
    shutil.rmtree(file.parent)
    assert "version 1" in invoke("update", run)


def test_an_update_killed_before_its_switch_is_completed_by_the_next(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    writing = prepared_version(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Versions, "use", lambda self, number: None)  # as if killed here
        Versions(folder).finish(writing, {"promoted": True})
    assert Versions(folder).current == 1
    Versions(folder).recover()
    assert Versions(folder).current == 2
    Versions(folder).use(1)
    Versions(folder).recover()
    assert Versions(folder).current == 1  # a rollback is not undone


def test_without_room_for_a_copy_of_the_first_version_there_is_no_second(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    writing = prepared_version(folder)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        with pytest.raises(OSError, match="No space"):
            Versions(folder).finish(writing, {"promoted": True})
    assert Versions(folder).numbers == [1]
