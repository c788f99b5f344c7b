"""Past studies: written, read back, isolated from each other, and robust to damaged files."""

import json
import subprocess
import sys

import pytest

import automl
from automl.errors import UserError
from automl.runs.past_studies import SHIPPED, learn, past_studies, task_name, user_folder, which_prior
from automl.runs.settings import Settings
from automl.space.edit import space_to_dict
from automl.space.parse import load_space
from automl.study.run_folder import RunFolder
from automl.study.study import Study
from strategies.base import Outcome, Proposal

FORM = {"x": {"float": [-5.0, 5.0], "default": 4.0}, "y": {"float": [-5.0, 5.0], "default": 4.0}}


def settings(**changes) -> Settings:
    return Settings(**{"task": "mine.py:f", "space": FORM, "started": "2026-01-02T03:04:05+00:00"} | changes)


def finished(n: int, n_failed: int = 0) -> Study:
    """A study of n trials, the last of which failed, and one that was paused early."""
    study = Study(load_space(FORM), 3)
    for trial in range(n + 1):
        config = {"x": float(trial % 5), "y": trial / 10}
        proposal = Proposal(trial, config, 3 if trial < n else 1)
        study.asked(proposal, 0.0)
        error = "too bad" if n - n_failed <= trial < n else None
        study.told(Outcome(proposal, () if error else (9.0, 8.0, config["x"] + config["y"]), 1.0, error), 0.0, 1.0)
    return study


def known() -> list:
    """The user's own studies; any complaint is an error."""

    def complain(line: str) -> None:
        raise AssertionError(line)

    n_shipped = len(list(SHIPPED.glob("*.json")))
    return past_studies("all", complain)[n_shipped:]


def test_what_a_run_found_is_read_again(tmp_path):
    file = learn(finished(8, n_failed=2), settings(), RunFolder(tmp_path))
    assert file.parent == user_folder()
    [study] = known()
    assert study.task == "mine.py:f"
    assert space_to_dict(study.space) == FORM
    assert study.configs == [{"x": float(i % 5), "y": i / 10} for i in range(8)]  # without the one that was paused
    assert study.losses == [i % 5 + i / 10 for i in range(6)] + [None, None]
    assert json.loads(file.read_text())["max_epochs"] == 3


def test_a_run_that_goes_on_replaces_what_it_had_found(tmp_path):
    for n in (6, 9):
        learn(finished(n), settings(), RunFolder(tmp_path))
    assert [len(study.configs) for study in known()] == [9]
    learn(finished(7), settings(), RunFolder(tmp_path / "another"))
    assert sorted(len(study.configs) for study in known()) == [7, 9]


@pytest.mark.parametrize(("n", "n_failed"), [(4, 0), (9, 5)])
def test_a_run_with_few_finished_trials_adds_nothing(tmp_path, n, n_failed):
    assert learn(finished(n, n_failed), settings(), RunFolder(tmp_path)) is None
    assert known() == []


def test_tasks_are_told_apart_by_what_they_train():
    assert task_name(Settings(task="mnist1d-cnn")) == "mnist1d-cnn"
    assert task_name(Settings(task="mnist1d-cnn", train_size=500)) == "mnist1d-cnn-500"
    assert task_name(Settings(command="train --lr {lr}")) == "train --lr {lr}"


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"task": "t", "spa',  # half a file
        "[]",
        "null",
        '{"task": "t", "space": {"x": {"float": [0, 1]}}}',
        '{"task": "t", "space": {"x": {"flot": [0, 1]}}, "trials": []}',
        '{"task": "t", "space": {"x": {"float": [0, 1]}}, "trials": [{"config": {"x": 7.0}, "loss": 1.0}]}',
        '{"task": "t", "space": {"x": {"float": [0, 1]}}, "trials": [{"config": {"x": 0.5}, "loss": "low"}]}',
        '{"task": "t", "space": {"x": {"float": [0, 1]}}, "trials": [{"config": {"x": 0.5}, "loss": NaN}]}',
        "\x00\ud800",
    ],
)
def test_a_damaged_file_is_one_line_and_the_others_are_read(tmp_path, content):
    learn(finished(8), settings(), RunFolder(tmp_path))
    bad = user_folder() / "0.json"
    bad.write_bytes(content.encode("utf-8", "surrogatepass"))
    lines = []
    assert [study.task for study in past_studies("all", lines.append)][-1] == "mine.py:f"
    [line] = lines
    assert str(bad) in line
    assert "is ignored" in line
    assert "\n" not in line


ADD = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_past_studies import RunFolder, finished, learn, settings
for run in range(20):
    learn(finished(8), settings(), RunFolder(Path("/runs") / sys.argv[1] / str(run)))
    learn(finished(9), settings(), RunFolder(Path("/runs/same")))
"""


def test_two_processes_add_at_once():
    from pathlib import Path

    code = ADD.format(here=str(Path(__file__).parent))
    both = [subprocess.Popen([sys.executable, "-c", code, name]) for name in ("a", "b")]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(len(study.configs) for study in known()) == [8] * 40 + [9]
    assert len(list(user_folder().iterdir())) == 41  # nothing half written is left


def test_the_shipped_studies_are_what_learn_makes_of_the_recorded_trainings(tmp_path):
    from benchmarks.experiments.publish_studies import main
    from benchmarks.suites.recorded import FOLDER

    main(FOLDER, tmp_path)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_text() for file in SHIPPED.iterdir()}
    assert made


def test_a_named_strategy_uses_past_studies_only_when_asked_and_auto_by_itself(tmp_path):
    def f(config):
        return (config["x"] - 1) ** 2 + (config["y"] + 2) ** 2

    space = load_space(FORM)
    study = automl.tune(f, space, strategy="sobol", n_trials=30).study
    learn(study, settings(task="elsewhere"), RunFolder(tmp_path))
    without = automl.tune(f, space, strategy="sobol", n_trials=10)
    assert not any(trial.proposals[0].info["from"] == "prior" for trial in without.trials)
    result = automl.tune(f, space, strategy="sobol", n_trials=10, prior="all")
    assert result.trials[1].proposals[0].info == {"from": "prior", "study": "elsewhere"}
    assert result.trials[1].loss < 0.5 * without.best_loss
    assert sum(trial.proposals[0].info["from"] == "prior" for trial in result.trials) <= 2
    by_itself = automl.tune(f, space, n_trials=10)
    assert by_itself.trials[1].config == result.trials[1].config
    for fixed in ("none", "shipped"):  # with which auto is the same search on every machine
        alone = automl.tune(f, space, n_trials=10, prior=fixed)
        assert not any(trial.proposals[0].info["from"] == "prior" for trial in alone.trials)


def test_the_shipped_studies_can_be_had_without_ones_own(tmp_path):
    learn(finished(8), settings(), RunFolder(tmp_path))
    shipped = [study.task for study in past_studies("shipped", pytest.fail)]
    assert len(shipped) == len(list(SHIPPED.glob("*.json"))) > 0
    assert [study.task for study in past_studies("all", pytest.fail)] == [*shipped, "mine.py:f"]
    assert past_studies("none", pytest.fail) == []


@pytest.mark.parametrize(
    ("asked", "strategy", "which"),
    [
        (None, None, "all"),
        (None, "auto", "all"),
        (None, "bo", "none"),
        (None, "bo+asha+stop", "none"),
        ("all", "bo", "all"),
        ("all", "auto", "all"),
        ("shipped", "bo+asha", "shipped"),
        ("none", "auto", "none"),
    ],
)
def test_which_past_studies_a_search_starts_from(asked, strategy, which):
    assert which_prior(asked, strategy) == which


def test_an_unknown_word_is_refused():
    with pytest.raises(UserError, match="prior must be none, shipped or all, got 'yes'"):
        automl.tune(lambda config: config["x"], FORM, n_trials=1, prior="yes")


def test_tune_warns_of_a_damaged_file_and_goes_on():
    user_folder().mkdir(parents=True)
    (user_folder() / "0.json").write_text("{")
    with pytest.warns(UserWarning, match="is ignored"):
        automl.tune(lambda config: config["x"], FORM, n_trials=1)


def test_a_resumed_study_goes_on_with_the_prior_that_it_has(tmp_path):
    """Though much was learnt in the meantime."""

    def f(config):
        return config["x"] ** 2 + config["y"] ** 2

    options = {"strategy": "tpe", "n_trials": 12, "seed": 1}
    given = [{"x": 1.0}, {"x": 2.0, "y": 2.0}, {"x": 3.0}]
    straight = automl.tune(f, FORM, start=given, **options)
    automl.tune(f, FORM, start=given, study=tmp_path / "run", **(options | {"n_trials": 2}))
    learn(finished(30), settings(), RunFolder(tmp_path))
    resumed = automl.tune(f, FORM, start=given, prior="all", study=tmp_path / "run", resume=True, **options)
    assert [t.config for t in resumed.trials] == [t.config for t in straight.trials]
    assert [t.config for t in resumed.trials][1:4] == [{"x": 1.0, "y": 4.0}, {"x": 2.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]
