"""From the options of a command to a task and its space."""

import json
import math
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from automl.data.ingest.encoder import Views
from automl.data.ingest.prepare import FACTS, Facts, prepare
from automl.data.ingest.request import Request
from automl.errors import UserError
from automl.runs.configure import new_settings, planned
from automl.runs.settings import Settings, as_seconds, build_task, load_from_file
from automl.space.edit import fix, merge
from automl.space.parse import SpaceError, load_space

FORM = {
    "lr": {"float": [1e-4, 1.0], "log": True},
    "optimizer": {"choice": ["sgd", "adamw"]},
    "momentum": {"float": [0.0, 0.9], "when": {"optimizer": "sgd"}},
    "nesterov": {"choice": [True, False], "when": {"momentum": [0.0, 0.5], "optimizer": "sgd"}},
    "beta": {"float": [0.8, 0.99], "when": {"optimizer": ["adamw"]}},
    "depth": {"int": [1, 4]},
    "forbidden": [{"optimizer": "adamw", "depth": [3, 4]}, {"depth": 4, "optimizer": "sgd"}],
}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("5m", 300.0), ("1.5h", 5400.0), ("0.5", 0.5), (None, None)]
)
def test_a_time_limit_may_have_a_unit(text, seconds):
    assert as_seconds(text, "--time-limit") == seconds


@pytest.mark.parametrize("text", ["", "m", "5 minutes", "1h30m", "nan"])
def test_a_time_limit_in_another_form_is_refused(text):
    rule = f"--time-limit must be a number of seconds, or a time such as 90s, 5m or 1h, got {text!r}"
    with pytest.raises(UserError, match=re.escape(rule)):
        as_seconds(text, "--time-limit")


def test_fixing_a_parent_leaves_the_children_that_still_exist():
    form = fix(FORM, "optimizer", "adamw")
    assert list(form) == ["lr", "optimizer", "beta", "depth", "forbidden"]
    assert form["optimizer"] == {"constant": "adamw"}
    assert "when" not in form["beta"]
    assert form["forbidden"] == [{"depth": [3, 4]}]
    assert "optimizer" in load_space(form).get_default_configuration()
    form = fix(FORM, "optimizer", "sgd")
    assert list(form) == ["lr", "optimizer", "momentum", "nesterov", "depth", "forbidden"]
    assert form["nesterov"]["when"] == {"momentum": [0.0, 0.5]}
    assert form["forbidden"] == [{"depth": 4}]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("optimzer", "sgd", "did you mean 'optimizer'"),
        ("optimizer", "adam", "'adam' is not one of its values"),
        ("lr", 7, "7 is not one of its values"),
    ],
)
def test_fixing_what_is_not_there(name, value, rule):
    with pytest.raises(SpaceError, match=rule):
        fix(FORM, name, value)


def test_a_fixed_number_is_of_its_hyperparameters_type():
    assert fix(FORM, "depth", 2.0)["depth"] == {"constant": 2}
    assert isinstance(fix(FORM, "depth", 2.0)["depth"]["constant"], int)
    assert isinstance(fix(FORM, "lr", 1)["lr"]["constant"], float)
    with pytest.raises(SpaceError, match="a value must be a finite number"):
        fix(FORM, "depth", 10**400)


def test_numbers_are_set_as_python_writes_them():
    settings = new_settings(Settings(task="digits-cnn"), None, ["lr=1e-3"])
    assert build_task(settings).space["lr"].value == 1e-3


def test_a_fixed_value_that_is_forbidden_by_itself_is_refused():
    with pytest.raises(SpaceError, match="is forbidden by the space"):
        fix({"a": {"int": [1, 3]}, "b": {"int": [1, 3]}, "forbidden": [{"a": 3}]}, "a", 3)


def test_a_space_file_changes_part_of_a_built_in_space(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("lr: {float: [0.001, 0.01], log: true}\n")
    settings = new_settings(Settings(task="digits-cnn"), file, ["optimizer=adamw", "batch_size=64"])
    space = build_task(settings).space
    assert (space["lr"].lower, space["lr"].upper) == (0.001, 0.01)
    assert space["optimizer"].value == "adamw"
    assert "momentum" not in space
    file.write_text("lrr: {float: [0.001, 0.01]}\n")
    with pytest.raises(SpaceError, match="no such hyperparameter; did you mean 'lr'"):
        new_settings(Settings(task="digits-cnn"), file, [])


def test_merging_keeps_the_rest():
    assert merge(load_space(FORM), {"depth": {"int": [1, 2]}})["depth"] == {"int": [1, 2]}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"n_trials": 0}, "trials must be 1 or more, got 0"),
        ({"seed": -1}, "--seed must be 0 or more"),
        ({"time_limit": 0.0}, "--time-limit must be above 0 seconds, got 0"),
        ({"time_limit": math.nan}, "--time-limit must be above 0 seconds, got nan"),
        ({"trial_seconds": math.nan}, "--trial-seconds must be above 0 seconds, got nan"),
        ({"target": math.nan}, "--target must be a number, got nan"),
        ({"n_trials": "3"}, "--trials must be a whole number, got '3'"),
        ({"seed": 1.5}, "--seed must be a whole number, got 1.5"),
        ({"time_limit": "60", "from_python": True}, "time_limit must be a number of seconds, got '60'"),
        ({"task": "a", "command": "b {lr}"}, "give only one of a task, a command and data"),
    ],
)
def test_settings_that_make_no_sense(options, rule):
    with pytest.raises(UserError, match=rule):
        Settings(**options)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("table", {"n_trials": 3, "refit": False}, "--weight needs the default plan: leave out --trials, --no-refit"),
        ("table", {"max_epochs": 3, "refit": True}, "--weight needs the default plan: leave out --epochs, --refit"),
        ("table", {"model": "mlp"}, "--weight needs the default plan: leave out --model mlp"),
        ("pairs", {}, "--weight needs the default plan, which pairs do not have"),
    ],
)
def test_what_only_the_default_plan_can_do_is_refused_by_name(tmp_path, kind, options, message):
    facts = Facts(kind, "number", 100, Views(), imbalanced=False, length=0, ragged=False, name="shops")
    (tmp_path / FACTS).write_text(json.dumps(asdict(facts)))
    asked = Settings(data=asdict(Request("shops.csv", "price", weight="area")), **options)
    with pytest.raises(UserError) as error:
        planned(asked, tmp_path)
    assert str(error.value) == message


@pytest.mark.parametrize(("first", "name"), [(264, "validation set"), (352, "test set")])
def test_a_metric_that_is_undefined_on_the_users_data_is_refused_and_others_are_not(first, name, tmp_path):
    data, frame = tmp_path / "data", load_diabetes(as_frame=True).frame[:440].assign(day=range(440))
    frame.loc[first : first + 87, "target"] = 150.0
    frame.to_csv(tmp_path / "patients.csv", index=False)
    request = Request(str(tmp_path / "patients.csv"), "target", time="day")
    prepare(request, data)
    asked = Settings(data=asdict(request), model="gradient_boosting", metric="r2", strategy="random", n_trials=1)
    with pytest.raises(UserError, match=f"r2 is undefined on the {name}, whose targets are all equal"):
        new_settings(asked, None, [], prepared=data)
    task = build_task(new_settings(replace(asked, metric="rmse"), None, [], prepared=data), data)
    config = dict(task.space.get_default_configuration())
    (epoch,) = task.train(config, seed=0, epochs=1, checkpoint=tmp_path / "one", device="cpu")
    assert ("r2" in epoch.metrics) == (name == "test set")
    assert ("r2" in task.test(tmp_path / "one", "cpu")) == (name == "validation set")


def test_a_metric_that_is_undefined_is_refused_for_folds_too(tmp_path):
    data, frame = tmp_path / "data", load_diabetes(as_frame=True).frame[:440].assign(day=range(440))
    frame.loc[352:, "target"] = 150.0
    frame.to_csv(tmp_path / "patients.csv", index=False)
    request = Request(str(tmp_path / "patients.csv"), "target", time="day")
    prepare(request, data)
    with pytest.raises(UserError, match="r2 is undefined on the test set"):
        new_settings(planned(Settings(data=asdict(request), metric="r2"), data), None, [], prepared=data)


def test_numbers_of_numpy_are_settings_too():
    given = {"seed": np.int64(3), "n_trials": np.int32(2), "time_limit": np.float32(60), "target": np.float64(0.5)}
    assert Settings(**given).to_json() == Settings(seed=3, n_trials=2, time_limit=60.0, target=0.5).to_json()


def test_a_command_needs_a_space():
    with pytest.raises(UserError, match="a command needs a space: --space"):
        new_settings(Settings(command="train {lr}"), None, [])


def test_lanes_are_for_networks_of_ours(tmp_path):
    (tmp_path / "space.yaml").write_text("lr: {float: [0.1, 1.0]}\n")
    command = Settings(command="train {lr}", lanes=4)
    with pytest.raises(UserError, match="--lanes 4 is for networks tuned by epochs; here it has no effect"):
        new_settings(command, tmp_path / "space.yaml", [])
    assert new_settings(replace(command, lanes=1), tmp_path / "space.yaml", []).lanes == 1
    assert new_settings(Settings(task="digits-cnn", lanes=4), None, []).lanes == 4


@pytest.mark.parametrize("text", ["lr", "=3", ""])
def test_set_needs_an_assignment(text):
    with pytest.raises(UserError, match="--set needs KEY=VALUE"):
        new_settings(Settings(task="digits-cnn"), None, [text])


def test_set_fixes_a_hyperparameter_once():
    with pytest.raises(UserError, match="--set has two values for 'width'"):
        new_settings(Settings(task="digits-cnn"), None, ["width=16", "width=32"])


def test_fixing_does_not_depend_on_the_order_of_the_space():
    form = {
        "k": {"int": [1, 2], "when": {"m": 1}},
        "m": {"int": [1, 2], "when": {"opt": "sgd"}},
        "opt": {"choice": ["sgd", "adam"]},
    }
    assert list(fix(form, "opt", "adam")) == ["opt"]
    with pytest.raises(SpaceError, match="True is not one of its values"):
        fix({"b": {"choice": [1, 2]}}, "b", True)
    with pytest.raises(SpaceError, match="needs one value"):
        fix({"b": {"choice": [1, 2]}}, "b", [1, 2])


def test_a_file_named_like_a_library_does_not_replace_it(tmp_path):
    (tmp_path / "json.py").write_text("def f(config): return 0.0\n")
    import json

    load_from_file(f"{tmp_path}/json.py:f")
    import sys

    assert sys.modules["json"] is json


TASK_OF_ONES_OWN = """
from automl import Epoch
from automl.space.parse import load_space

class Mine:
    name, max_epochs, resumable, metric, maximize = "mine", 3, False, "loss", False
    space = load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}})
    def train(self, config, *, seed, epochs, checkpoint, device):
        for epoch in range(epochs):
            yield Epoch(epoch + 1, config["x"] + config["y"], {}, 0.1)
    def test(self, checkpoint, device):
        return {}

task = Mine()
"""


@pytest.mark.parametrize("task", ["digits-cnn", "mine.py:task"])
def test_a_task_is_not_maximised_against_its_own_direction(tmp_path, monkeypatch, task):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TASK_OF_ONES_OWN)
    with pytest.raises(UserError, match="a task has its own direction"):
        build_task(Settings(task=task, maximize=True).with_defaults())


def test_a_task_of_any_class_takes_another_space_and_another_length(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(TASK_OF_ONES_OWN)
    (tmp_path / "space.yaml").write_text("x: {float: [0.5, 0.6]}\n")
    asked = Settings(task=f"{file}:task", max_epochs=2)
    task = build_task(new_settings(asked, tmp_path / "space.yaml", ["y=0.25"]))
    assert (task.space["x"].lower, task.space["y"].value, task.max_epochs, task.name) == (0.5, 0.25, 2, "mine")


def test_tasks_from_files(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import nonexistent_library\n")
    with pytest.raises(UserError, match="cannot be imported: ModuleNotFoundError"):
        load_from_file(f"{file}:task")
    file.write_text("def objective(config): return 0.0\n")
    assert load_from_file(f"{file}:objective")({}) == 0.0
    with pytest.raises(UserError, match="has no 'objectiv'; did you mean 'objective'"):
        load_from_file(f"{file}:objectiv")
    with pytest.raises(UserError, match=r"no object of .* given; use "):
        build_task(Settings(task=f"{file}").with_defaults())
    with pytest.raises(UserError, match="there is no file"):
        load_from_file(f"{tmp_path}/none.py:task")
    with pytest.raises(UserError, match=re.escape(f"there is no file 'none.py' in {str(Path.cwd())!r}")):
        load_from_file("none.py:task")
    (tmp_path / "script.py").write_text("import sys\ndef train(config): return 0.0\nsys.exit(0)\n")
    with pytest.raises(UserError, match="exits when it is imported; put what it does as a script under if __name__"):
        load_from_file(f"{tmp_path}/script.py:train")
    with pytest.raises(UserError, match="needs a space"):
        build_task(Settings(task=f"{file}:objective").with_defaults())


def test_a_resumed_run_changes_only_what_may_change():
    run = Settings(task="digits-cnn", n_trials=10).with_defaults()
    assert run.resumed_with(Settings(n_trials=20, time_limit=5.0)).n_trials == 20
    with pytest.raises(UserError, match="the run has --strategy 'auto', not 'tpe'"):
        run.resumed_with(Settings(strategy="tpe"))
    with pytest.raises(UserError, match="the run was started without --metric; a resumed run keeps that: leave it out"):
        replace(run, metric=None).resumed_with(Settings(metric="log_loss"))
    assert Settings.from_json(run.to_json()) == run


def test_the_command_of_a_run_resumes_it_though_json_knows_no_tuples():
    asked = Settings(data=asdict(Request("table.csv", "price", quantiles=(0.1, 0.9))), track=("mlflow", "tensorboard"))
    stored = Settings.from_json(json.loads(json.dumps(asked.to_json())))
    assert stored.resumed_with(asked) == stored
    earlier = replace(stored, data={"data": "a.csv", "target": "price"})  # of a version whose requests had fewer fields
    assert earlier.resumed_with(Settings(data=asdict(Request("a.csv", "price")))) == earlier
    with pytest.raises(UserError, match=r"^the run has --data 'table.csv', not 'other.csv'; a resumed run keeps it$"):
        stored.resumed_with(Settings(data=asdict(Request("other.csv", "price"))))


def test_a_file_is_run_once_until_it_changes(tmp_path):
    file, log = tmp_path / "mine.py", tmp_path / "log"
    read = f"with open({str(log)!r}, 'a') as log: log.write"
    file.write_text(f"{read}('x')\ndef loss(config): return 1\n")
    loaded = [load_from_file(f"{file}:loss") for _ in range(3)]
    assert loaded[0] is loaded[2]
    assert log.read_text() == "x"
    file.write_text(f"{read}('y')\ndef loss(config): return 2\n")
    os.utime(file, (1, 1))
    assert load_from_file(f"{file}:loss")({}) == 2
    assert log.read_text() == "xy"
