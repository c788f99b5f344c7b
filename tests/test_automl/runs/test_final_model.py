"""The model of a run: calibrated, refitted or an ensemble; loaded, and applied to files."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from processes import command, invoke
from sklearn.datasets import load_breast_cancer, load_diabetes

import automl
from automl.analysis.sentences import beaten_in_words, kept_in_words
from automl.data.datasets.registry import load_data
from automl.deployment.ensemble import greedy_ensemble
from automl.deployment.predictor import predictions
from automl.errors import UserError
from automl.runs.final import train_all
from automl.runs.settings import Settings
from automl.runs.time_plan import Clock
from automl.study.run_folder import RunFolder
from automl.study.run_log import RunLog
from automl.study.study import Study
from automl.tasks.registry import load_task
from automl.training.base import trained_model
from automl.tuning.final_evaluation import FinalTraining, to_keep
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.result import Result
from strategies.base import Outcome, Proposal

# --- ensembles --------------------------------------------------------------------------------------------------------


def test_an_ensemble_of_two_that_err_in_opposite_ways_is_found():
    y = np.linspace(0, 1, 50)
    wrong = np.sin(np.arange(50))
    predictions = [y + wrong, y - wrong, y + 5.0]

    def loss(predicted):
        return float(((predicted - y) ** 2).mean())

    assert greedy_ensemble(predictions, loss, 5) == {0: 0.5, 1: 0.5}
    assert greedy_ensemble(predictions, loss, 1) == {0: 1.0}
    assert greedy_ensemble([y + 2, y + 1, y + 3], loss, 3) == {1: 1.0}


def test_weights_are_as_good_as_their_rounds_allow():
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    first, second = y + rng.normal(size=300), y + 2 * rng.normal(size=300)
    weights = greedy_ensemble([first, second], lambda predicted: float(((predicted - y) ** 2).mean()), 2)
    assert weights[0] == pytest.approx(0.8, abs=0.07)  # inverse variances: 1 against 1/4
    assert sum(weights.values()) == pytest.approx(1)


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """A run with an ensemble of networks that were trained too little to be alike."""
    folder = tmp_path_factory.mktemp("patients")
    load_diabetes(as_frame=True).frame.to_csv(folder / "patients.csv", index=False)
    out, _ = command(
        "run", "--data", folder / "patients.csv", "--target", "target", "--model", "mlp", "--strategy", "random",
        "--trials", 6, "--seed", 7, "--epochs", 4, "--workers", 1, "--final-seeds", 1, "--ensemble", 4, "--no-learn",
        "--out", folder / "run",
    )  # fmt: skip
    return folder, out


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "kind"})
    frame["kind"] = frame["kind"].map({0: "malignant", 1: "benign"})
    frame.to_csv(folder / "cells.csv", index=False)
    command(
        "run", "--data", folder / "cells.csv", "--target", "kind", "--model", "random_forest", "--strategy",
        "random", "--trials", 1, "--epochs", 2, "--workers", 1, "--final-seeds", 1, "--no-learn",
        "--out", folder / "run",
    )  # fmt: skip
    return folder


def test_an_ensemble_is_kept_where_it_is_better_and_its_folder_says_so(patients):
    folder, out = patients
    card = json.loads((folder / "run" / "model" / "model.json").read_text())
    assert card["made"] == "ensemble"
    assert f"the model is an ensemble of {len(card['members'])} trials: rmse" in out
    assert 2 <= len(card["members"]) <= 4
    assert sum(member["weight"] for member in card["members"]) == pytest.approx(1)
    assert json.loads((folder / "run" / "summary.json").read_text())["model"] == card
    assert [card["data"][part] for part in ("train", "valid", "test")] == [266, 88, 88]
    readme = (folder / "run" / "model" / "README.md").read_text()
    assert "an ensemble of" in readme
    assert f"The baseline, training mean, has rmse {card['baseline']['score']:.4g} on the test set" in readme


def test_a_loaded_ensemble_scores_on_the_test_part_what_its_card_says(patients):
    folder, _ = patients
    model = automl.load(folder / "run")
    splits = load_data(str(folder / "run" / "data" / "columns"), None)
    predicted = model.judge(lambda family: splits.x_test)
    assert np.sqrt(((predicted - splits.y_test) ** 2).mean()) == pytest.approx(model.card["test"]["rmse"])
    alone = [predictions(member.model, splits.x_test) for member in model.members]
    assert predicted == pytest.approx(sum(m.weight * p for m, p in zip(model.members, alone, strict=True)))


def test_a_loaded_classifier_has_the_probabilities_that_its_card_scores(cells):
    model = automl.load(cells / "run")
    splits = load_data(str(cells / "run" / "data" / "columns"), None)
    probabilities = model.judge(lambda family: splits.x_test)
    assert -np.log(probabilities[np.arange(113), splits.y_test]).mean() == pytest.approx(model.card["test"]["log_loss"])
    assert (probabilities.argmax(1) == splits.y_test).mean() == pytest.approx(model.card["test"]["accuracy"])


def test_predictions_are_written_to_a_file_in_parts_as_python_gives_them(cells, monkeypatch):
    folder = cells
    out = invoke("predict", folder / "run", "--data", folder / "cells.csv", "--out", folder / "told.csv")
    assert "569 predictions of 'kind' in" in out
    told, frame = pd.read_csv(folder / "told.csv"), pd.read_csv(folder / "cells.csv")
    model = automl.load(folder / "run" / "model")  # the folder alone is enough
    assert told["row"].tolist() == list(range(1, 570))
    assert told["kind"].tolist() == model.predict(frame).tolist()
    assert told["probability of malignant"].to_numpy() == pytest.approx(model.predict_proba(frame)[:, 1])
    monkeypatch.setattr(
        "automl.data.ingest.file_formats.CELLS", 31_000
    )  # a thousand rows, the least there is, would hold them all
    parts = list(model.stream(folder / "cells.csv"))
    assert pd.concat(parts)["kind"].tolist() == told["kind"].tolist()


def test_columns_of_the_file_are_copied_as_spelled_next_to_the_predictions(cells, tmp_path, monkeypatch):
    frame = pd.read_csv(cells / "cells.csv").assign(id=[f"{i:04}" for i in range(569)])
    frame.to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.setattr("automl.data.ingest.file_formats.CELLS", 31_000)  # chunks of a thousand rows
    pd.concat([frame] * 3).to_csv(tmp_path / "long.csv", index=False)
    predict = ["predict", cells / "run", "--out", tmp_path / "told.csv", "--data"]
    invoke(*predict, tmp_path / "long.csv", "--keep", "id,mean area")
    told = pd.read_csv(tmp_path / "told.csv", dtype=str)
    assert list(told)[:4] == ["id", "mean area", "row", "kind"]
    assert told["id"].tolist() == frame["id"].tolist() * 3
    assert told["mean area"].astype(float).tolist() == frame["mean area"].tolist() * 3
    assert told["row"].tolist() == [str(row) for row in range(1, 3 * 569 + 1)]
    with pytest.raises(UserError, match="--keep 'ID' is not a column of the file; did you mean 'id'"):
        invoke(*predict, tmp_path / "new.csv", "--keep", "ID")
    with pytest.raises(UserError, match="--keep 'kind' would be in the output twice"):
        invoke(*predict, tmp_path / "new.csv", "--keep", "kind")


@pytest.mark.parametrize("layout", ["", " "])
def test_copied_columns_have_every_character_of_the_file(layout, cells, tmp_path):
    spelled = ["NA", "null", "?", "N/A", "nan", "None", "", " led", "ends ", "1.50", "true", "007"]
    names, rows = (cells / "cells.csv").read_text().split("\n", 1)
    lines = [f'{key},{layout}"a, b",{row}' for key, row in zip(spelled, rows.splitlines(), strict=False)]
    (tmp_path / "new.csv").write_text("\n".join([f"id,{layout}note,{names}", *lines]) + "\n")
    files = ["--data", tmp_path / "new.csv", "--out", tmp_path / "told.csv"]
    invoke("predict", cells / "run", *files, "--keep", "id,note")
    told = pd.read_csv(tmp_path / "told.csv", dtype=str, keep_default_na=False)
    assert told["id"].tolist() == ([each.lstrip(" ") for each in spelled] if layout else spelled)
    assert told["note"].tolist() == ["a, b"] * len(spelled)


def test_whole_numbers_copied_from_parquet_stay_whole_beside_missing_ones(cells, tmp_path):
    frame = pd.read_csv(cells / "cells.csv")[:3].assign(id=pd.array([2**53 + 1, None, 7], "Int64"))
    frame.to_parquet(tmp_path / "new.parquet")
    invoke("predict", cells / "run", "--out", tmp_path / "told.csv", "--data", tmp_path / "new.parquet", "--keep", "id")
    told = pd.read_csv(tmp_path / "told.csv", dtype=str, keep_default_na=False)
    assert told["id"].tolist() == ["9007199254740993", "", "7"]


def test_columns_that_cannot_be_used_are_named_in_a_warning(cells, tmp_path):
    frame = pd.read_csv(cells / "cells.csv")[:20]
    frame.assign(**{"mean radius": "big", "mean area": ["big", *frame["mean area"][1:]]}).to_csv(
        tmp_path / "new.csv", index=False
    )
    out = invoke("predict", cells / "run", "--data", tmp_path / "new.csv", "--out", tmp_path / "told.csv")
    assert "unseen category): 'mean radius' 20, 'mean area' 1\n" in out
    assert "warning: most values of 'mean radius' (20 of 20 rows) cannot be used" in out


def test_a_column_in_another_case_is_suggested(cells, tmp_path):
    pd.read_csv(cells / "cells.csv").rename(columns=str.upper).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match=r"30 columns are missing: 'mean radius', .*; did you mean 'MEAN RADIUS'"):
        invoke("predict", cells / "run", "--data", tmp_path / "new.csv", "--out", tmp_path / "told.csv")


def test_predictions_go_where_a_link_leads_and_replace_no_device(cells, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for out in ("pipe", "circle"):
        with pytest.raises(UserError, match="--out must be a file in an existing folder"):
            invoke("predict", cells / "run", "--data", cells / "cells.csv", "--out", tmp_path / out)
    (tmp_path / "link.csv").symlink_to("told.csv")
    invoke("predict", cells / "run", "--data", cells / "cells.csv", "--out", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "told.csv").read_text().splitlines()) == 570


def test_predictions_never_replace_the_data_that_they_are_for(cells, tmp_path):
    data = Path(shutil.copy(cells / "cells.csv", tmp_path / "mine.csv"))
    (tmp_path / "link.csv").symlink_to("mine.csv")
    for out in ("mine.csv", "link.csv"):
        with pytest.raises(UserError, match="is the file given by --data; choose another"):
            invoke("predict", cells / "run", "--data", data, "--out", tmp_path / out)
    assert data.read_bytes() == (cells / "cells.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "out", "line"),
    [
        ("nowhere.csv", "told.csv", "there is no file or folder"),
        ("cells.csv", "told.csv.gz", "predictions are written as CSV: give an --out that ends in .csv, not "),
        ("other.csv", "told.csv", "30 columns are missing: 'mean radius', 'mean texture', "),
        ("cells.csv", "no/folder/told.csv", "--out must be a file in an existing folder"),
    ],
)
def test_what_cannot_be_predicted_is_one_line_and_leaves_no_file(cells, data, out, line):
    folder = cells
    (folder / "other.csv").write_text("a,b\n1,2\n")
    before = set(folder.iterdir())
    with pytest.raises(UserError) as error:
        invoke("predict", folder / "run", "--data", folder / data, "--out", folder / out)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert set(folder.iterdir()) == before


@pytest.mark.slow
def test_refitting_trains_on_the_validation_part_too(patients):
    folder, _ = patients
    out, _ = command(
        "run", "--data", folder / "patients.csv", "--target", "target", "--model", "linear", "--strategy",
        "random", "--trials", 2, "--workers", 1, "--final-seeds", 1, "--refit", "--no-learn",
        "--out", folder / "refitted",
    )  # fmt: skip
    assert "the model is the chosen config, trained on the training and validation sets; rmse" in out
    model, data = automl.load(folder / "refitted"), str(folder / "refitted" / "data" / "columns")
    splits, both = load_data(data, None), load_data(data, None, True)
    assert len(both.y_train) == len(splits.y_train) + len(splits.y_valid)
    assert model.model.preprocessing.inputs == both.inputs  # scaled by what it was trained on
    assert model.predict(folder / "patients.csv").shape == (442,)
    with pytest.raises(UserError, match="only classifiers have probabilities"):
        model.predict_proba(folder / "patients.csv")


def final_of(tmp_path, chosen, default):
    scores = {"chosen": chosen, "default": default}
    return [FinalTraining(who, i, v, None, None, 1.0, tmp_path) for who in scores for i, v in enumerate(scores[who])]


@pytest.mark.parametrize(
    ("chosen", "default", "lower", "higher"),
    [
        ([0.1, 0.3], [0.4, 0.1], "chosen", "default"),
        ([0.2, 0.2], [0.2, 0.2], "chosen", "chosen"),
        ([0.1, 0.9, None], [0.4, 0.4, 0.4], "default", "chosen"),
        ([0.5, 0.4, 0.3], [0.44, None, None], "chosen", "chosen"),  # fails more often
        ([None, 0.5], [0.4, None], "chosen", "chosen"),  # never on the same seed
        ([None, None], [0.4, None], "default", "default"),
        ([0.4, None], [None, None], "chosen", "chosen"),
        ([None], [None], "chosen", "chosen"),
    ],
)
def test_the_model_has_the_config_that_is_better_on_validation(tmp_path, chosen, default, lower, higher):
    trainings = final_of(tmp_path, chosen, default)
    assert to_keep(trainings, maximize=False) == lower
    assert to_keep(trainings, maximize=True) == higher


LUCKY_IN_THE_SEARCH = """
from pathlib import Path

from automl.tuning.final_evaluation import final_seed


def objective(config, seed, folder):
    (Path(folder) / "model.txt").write_text(str(config["x"]))
    if config["x"] == 0.5:
        return 0.5
    return 0.9 if seed in [final_seed(0, i) for i in range(2)] else 0.1
"""


@pytest.mark.slow
def test_a_chosen_config_that_was_lucky_gives_way_to_the_default(tmp_path):
    (tmp_path / "lucky.py").write_text(LUCKY_IN_THE_SEARCH)
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1], default: 0.5}\n")
    out, _ = command(
        "run", "--task", f"{tmp_path / 'lucky.py'}:objective", "--space", tmp_path / "space.yaml", "--strategy",
        "random", "--trials", 3, "--final-seeds", 2, "--no-learn", "--out", tmp_path / "run",
    )  # fmt: skip
    said = "on validation it did better in the final than the chosen one (0.500 against 0.900)"
    assert f"The run keeps the default config, in best.yaml and for its model: {said}." in out
    assert "the model is one training of the default config" in out  # whose loss is the same with every seed
    assert (tmp_path / "run" / "model" / "model.txt").read_text() == "0.5"
    best = (tmp_path / "run" / "best.yaml").read_text()
    assert yaml.safe_load(best) == {"x": 0.5}
    assert "the default, which was better in the final than trial" in best
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["final"]["kept"] == "default"
    assert summary["final"]["config"] == {"x": 0.5}
    assert summary["best"]["loss"] == 0.1
    assert said in (tmp_path / "run" / "report.html").read_text()

    command("run", "--out", tmp_path / "run", "--resume", "--final-seeds", 0, "--no-learn")  # no other incumbent
    assert (tmp_path / "run" / "best.yaml").read_text() == best
    again = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (again["final"], again["model"]) == (summary["final"], summary["model"])


def test_the_default_is_kept_in_words_without_a_model_and_where_all_others_failed():
    final = {"kept": "default", "chosen_validation": [None], "default_validation": [0.5]}
    said = "The run keeps the default config, in best.yaml: all final trainings of the chosen config failed."
    assert kept_in_words({"final": final, "model": None}) == said
    assert kept_in_words({"final": final | {"kept": "chosen"}, "model": None}) is None
    assert kept_in_words({"final": None, "model": None}) is None


def test_a_baseline_that_is_better_than_what_is_kept_is_reported():
    final = {"kept": "chosen", "split": "test", "chosen": [0.7, None, 0.8], "default": [0.9, 0.9, 0.9]}
    summary = {"final": final | {"baseline": {"name": "a forest", "score": 0.8}}, "maximize": True}
    assert "better on test than the chosen config (0.800 against 0.750)" in beaten_in_words(summary)
    assert beaten_in_words(summary | {"maximize": False}) is None
    assert beaten_in_words({"final": summary["final"] | {"kept": "default"}, "maximize": True}) is None
    for other in ({"baseline": None}, {"baseline": {"error": "none"}}, {"split": "validation"}, {"chosen": [None]}):
        assert beaten_in_words({"final": summary["final"] | other, "maximize": True}) is None
    assert beaten_in_words({"final": None, "maximize": True}) is None


@pytest.mark.slow
def test_what_is_refitted_is_the_config_that_is_kept(tmp_path):
    task = replace(load_task("digits-cnn", train_size=200), max_epochs=1)
    default = dict(task.space.get_default_configuration())
    study = Study(task.space, task.max_epochs)
    hopeless = Proposal(0, {**default, "lr": task.space["lr"].lower, "batch_size": 128}, task.max_epochs)
    study.asked(hopeless, 0.0)
    study.told(Outcome(hopeless, (0.0,), 1.0), 0.0, 1.0)
    result = Result(study, "budget spent", 1.0, task.name, "random", task.metric, task.maximize, 0)
    with ProcessExecutor(task, 1) as executor:
        folder = RunFolder(tmp_path)
        final = train_all(task, result, executor, folder, Settings(n_final=1, refit=True), lambda note: None, Clock())
    assert to_keep(final.trainings, maximize=True) == "default"
    assert trained_model(final.refitted.folder).config["lr"] == default["lr"]


def test_an_interrupted_refit_leaves_the_final_before_it(tmp_path, monkeypatch):
    task = replace(load_task("digits-cnn", train_size=100), max_epochs=1)
    folder = RunFolder(tmp_path / "run")
    result = automl.tune(task, strategy="random", n_trials=1, study=folder.path)
    settings = Settings(n_final=1, refit=True)

    def interrupted(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.runs.final.refit", interrupted)
    with ProcessExecutor(task, 1) as executor:
        log = RunLog(folder.log)
        final = train_all(task, result, executor, folder, settings, lambda note: None, Clock(), log.write)
        log.close()
    lines = [json.loads(line) for line in folder.log.read_text().splitlines()]
    after = [(line["stage"], line["event"], line["training"]) for line in lines if "stage" in line]
    assert after[:2] == [("final", "start", "trial-0-0"), ("final", "tell", "trial-0-0")]
    assert final.interrupted
    assert [training.role for training in final.trainings] == ["chosen", "default"]
    assert final.refitted is None


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--task", "digits-cnn", "--refit", "--ensemble", 3], "--refit and --ensemble exclude each other"),
        (["--task", "digits-cnn", "--ensemble", 0], "--ensemble must be 1 or more, got 0"),
        (["--task", "digits-cnn", "--refit", "--final-seeds", 0], "--refit and --ensemble need a final"),
    ],
)
def test_what_cannot_be_kept_is_said_before_the_search(tmp_path, arguments, line):
    with pytest.raises(UserError, match=f"^{line}"):
        invoke("run", *arguments, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_built_in_tasks_model_reads_its_raw_arrays_and_says_their_shape(tmp_path):
    command(
        "run", "--task", "digits-cnn", "--strategy", "random", "--trials", 1, "--epochs", 2, "--workers", 1,
        "--final-seeds", 1, "--no-learn", "--out", tmp_path / "run",
    )  # fmt: skip
    model, splits = automl.load(tmp_path / "run"), load_data("digits", None)
    right = model.predict(splits.x_test) == np.array(splits.classes)[splits.y_test]
    assert right.mean() == pytest.approx(model.card["test"]["accuracy"])
    with pytest.raises(UserError, match=r"numbers of shape \(n, 1, 8, 8\), got float64 \(3, 8\)"):
        model.predict(np.zeros((3, 8)))
    with pytest.raises(UserError, match="takes arrays, not files"):
        next(model.stream(tmp_path))


def test_folders_without_a_model_are_one_line(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        automl.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"there is no run in .*: it has no study\.db"):
        automl.load(tmp_path)
    (tmp_path / "study.db").touch()
    with pytest.raises(UserError, match="has no model: an interrupted run gets it when it is continued, automl run"):
        automl.load(tmp_path)
