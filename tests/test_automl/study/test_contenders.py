"""The final compares the best configs of a search on fresh seeds, and keeps the best by validation."""

import json

import pytest
import yaml
from processes import command

from automl.space.parse import load_space
from automl.study.contenders import best_contender, contenders, paired, prefers_default
from automl.study.study import Study
from strategies.base import Outcome, Proposal

SPACE = load_space({"x": {"float": [0, 1]}})
DEFAULT = {"x": 0.99}


def study_of(*trainings, max_epochs=2):
    """A study of trainings (x, loss, epochs, trial that it repeats)."""
    study = Study(SPACE, max_epochs)
    for number, (x, loss, epochs, repeats) in enumerate(trainings):
        info = {} if repeats is None else {"repeats": repeats}
        proposal = Proposal(number, {"x": x}, epochs, info)
        study.asked(proposal, 0.0)
        losses = () if loss is None else (loss,) * epochs
        study.told(Outcome(proposal, losses, 1.0, "failed" if loss is None else None), 0.0, number + 1.0)
    return study


def test_contenders_are_the_best_configs_that_were_trained_whole():
    study = study_of(
        (0.1, 0.5, 2, None), (0.2, 0.2, 2, None), (0.3, 0.0, 1, None), (0.4, 0.3, 2, None), (0.5, None, 2, None),
        (0.6, 0.4, 2, None), (0.7, 0.6, 2, None),
    )  # fmt: skip
    assert [trial.number for trial in contenders(study, DEFAULT)] == [1, 3, 5]
    repeated = study_of((0.1, 0.2, 2, None), (0.2, 0.3, 2, None), (0.1, 0.25, 2, 0))
    assert [trial.config["x"] for trial in contenders(repeated, DEFAULT)] == [0.1, 0.2]
    assert contenders(study_of((0.1, None, 2, None)), DEFAULT) == []
    half = study_of((0.1, 0.3, 1, None), (0.2, 0.1, 1, None))
    assert [trial.number for trial in contenders(half, DEFAULT)] == [1]


def test_the_default_is_a_contender_only_as_the_incumbent():
    study = study_of((0.9, 0.2, 2, None), (0.1, 0.3, 2, None), (0.2, 0.4, 2, None), (0.3, 0.5, 2, None))
    assert [trial.config["x"] for trial in contenders(study, {"x": 0.1})] == [0.9, 0.2, 0.3]
    assert [trial.config["x"] for trial in contenders(study, {"x": 0.9})] == [0.9, 0.1, 0.2]


def test_a_config_that_was_trained_twice_counts_by_its_mean_and_once():
    study = study_of(
        (0.1, 0.2, 2, None), (0.2, 0.3, 2, None), (0.3, 0.4, 2, None), (0.4, 0.1, 2, None), (0.4, 0.9, 2, None),
        (0.1, 0.25, 2, 0),
    )  # fmt: skip
    # The incumbent is the config that was trained again; that of trials 3 and 4 has the mean 0.5.
    assert [trial.config["x"] for trial in contenders(study, DEFAULT)] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("scores", "lower", "higher"),
    [
        ([[0.2, 0.4], [0.1, 0.3], [0.5, 0.5]], 1, 2),
        ([[0.3, 0.3], [0.3, 0.3]], 0, 0),  # a tie is of the better one in the search
        ([[0.3, None], [0.9, 0.9]], 1, 1),  # it failed less often
        ([[0.3, 0.2], [0.24]], 1, 0),  # the same with every seed
        ([[None], [None]], 0, 0),
    ],
)
def test_the_best_contender_has_the_best_mean_on_fresh_seeds(scores, lower, higher):
    assert best_contender(scores, maximize=False) == lower
    assert best_contender(scores, maximize=True) == higher


def test_a_single_score_stands_for_every_seed():
    assert paired([0.5], [0.4, None, 0.7]) == ([0.5, 0.5, 0.5], [0.4, None, 0.7])
    assert not prefers_default([0.5], [0.4, 0.7, 0.5], maximize=False)
    assert prefers_default([0.5], [0.4, 0.7, 0.5], maximize=True)


LUCK = """
from pathlib import Path

from automl.tuning.final_evaluation import final_seed


def objective(config, seed, folder):
    (Path(folder) / "model.txt").write_text(str(config["x"]))
    return config["x"] if seed in [final_seed(0, i) for i in range(2)] else 1 - config["x"]
"""


@pytest.mark.slow
def test_what_is_kept_is_the_contender_that_is_best_on_fresh_seeds(tmp_path):
    (tmp_path / "luck.py").write_text(LUCK)
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1], default: 1.0}\n")
    run = tmp_path / "run"
    out, _ = command(
        "run", "--task", f"{tmp_path / 'luck.py'}:objective", "--space", tmp_path / "space.yaml", "--strategy",
        "random", "--trials", 6, "--final-seeds", 2, "--no-learn", "--out", run,
    )  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    final = summary["final"]
    xs = [entry["config"]["x"] for entry in final["contenders"]]
    assert len(xs) == 3
    assert xs == sorted(xs, reverse=True)  # as the search ranked them
    assert xs[0] == summary["best"]["config"]["x"] == 1.0
    chosen = final["contenders"][2]
    assert [entry["chosen"] for entry in final["contenders"]] == [False, False, True]
    assert [entry["validation"] for entry in final["contenders"]] == [[x, x] for x in xs]
    assert (final["kept"], final["trial"], final["config"]) == ("chosen", chosen["trial"], chosen["config"])
    assert final["chosen"] == chosen["validation"]
    assert final["default"] == [1.0, 1.0]  # a contender too: trained once, shown twice
    assert yaml.safe_load((run / "best.yaml").read_text()) == chosen["config"]
    assert (run / "model" / "model.txt").read_text() == str(chosen["config"]["x"])
    assert f"best hyperparameters (trial {chosen['trial']})" in out
    said = f"The chosen config, of trial {chosen['trial']}, was the best of 3 contenders"
    assert said in out
    assert said in (run / "report.html").read_text()
    assert "the best of 3 contenders" in (run / "best.yaml").read_text()

    command("run", "--out", run, "--resume", "--final-seeds", 0, "--no-learn")
    assert yaml.safe_load((run / "best.yaml").read_text()) == chosen["config"]
    assert json.loads((run / "summary.json").read_text())["final"] == final


FAMILIES = """
from pathlib import Path


def objective(config, seed, folder):
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write(config["family"][0])
    return 0.1 + config["x"] if config["family"] == "ridge" else 2 + seed % 1000 / 1000
"""


def test_a_training_that_does_not_depend_on_its_seed_is_run_once(tmp_path):
    (tmp_path / "families.py").write_text(FAMILIES)
    (tmp_path / "space.yaml").write_text(
        "family: {choice: [forest, ridge]}\nx: {float: [0, 1], when: {family: ridge}}\n"
    )
    run = tmp_path / "run"
    out, _ = command(
        "run", "--task", f"{tmp_path / 'families.py'}:objective", "--space", tmp_path / "space.yaml",
        "--strategy", "random", "--trials", 8, "--workers", 1, "--final-seeds", 3, "--no-learn",
        "--out", run,
    )  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    final = summary["final"]
    assert final["any_seed"] == ["chosen"]
    assert final["chosen"] == [summary["best"]["loss"]]
    assert len(final["default"]) == len(final["seeds"]) == 3
    assert [entry["any_seed"] for entry in final["contenders"]] == [True, True, True]
    calls = (tmp_path / "calls").read_text()[summary["n_trials"] :]
    assert sorted(calls) == ["f", "f", "f", "r", "r", "r"]  # one each of three ridges, three of the default
    assert out.count("the same") == 2
    page = (run / "report.html").read_text()
    assert "the training of chosen gives the same with every seed and was run once" in page
    assert "Better than the default with each of 3 fresh seeds." in page
