"""Initial configs: those given by the user, and how they are stored."""

import numpy as np
import pandas as pd
import pytest

from automl.errors import UserError
from automl.space.parse import load_space
from automl.tuning.warm_start import from_json, in_words, read_starts, recommended, starts, to_json
from strategies.base import Start

SPACE = load_space(
    {
        "lr": {"float": [1e-5, 10.0], "log": True, "default": 1e-3},
        "layers": {"int": [1, 4], "default": 2},
        "optimizer": {"choice": ["sgd", "adamw"], "default": "adamw"},
        "momentum": {"float": [0.0, 0.99], "default": 0.9, "when": {"optimizer": "sgd"}},
    }
)


def test_what_a_config_does_not_name_takes_its_default():
    given = [{"lr": 1, "layers": 3.0}, {"optimizer": "sgd"}]
    found = starts(SPACE, "mine", 10, given)
    assert [start.config for start in found] == [
        {"lr": 1.0, "layers": 3, "optimizer": "adamw"},
        {"lr": 1e-3, "layers": 2, "optimizer": "sgd", "momentum": 0.9},
    ]
    assert [type(value) for value in found[0].config.values()] == [float, int, str]
    assert {start.study for start in found} == {None}


def test_a_row_of_a_table_is_a_config():
    space = load_space({"lr": {"float": [0, 1]}, "n": {"int": [1, 9]}, "width": {"ordinal": [16, 32, 64]}})
    frame = pd.DataFrame({"lr": [0.5], "n": [3], "width": [32]})
    numbers = {name: frame[name].to_numpy()[0] for name in frame}  # NumPy's
    for row in (numbers, dict(frame.iloc[0]), frame.astype(np.float32).iloc[0].to_dict()):
        (start,) = starts(space, "mine", 10, row)
        assert start.config == {"lr": 0.5, "n": 3, "width": 32}
        assert [type(value) for value in start.config.values()] == [float, int, int]


def test_what_is_inactive_in_a_table_of_trials_is_nan():
    trials = pd.DataFrame([{"lr": 0.1, "optimizer": "adamw"}, {"lr": 0.2, "optimizer": "sgd", "momentum": 0.5}])
    found = starts(SPACE, "mine", 10, trials.to_dict("records"))
    assert [start.config.get("momentum") for start in found] == [None, 0.5]


def test_one_config_may_stand_alone(tmp_path):
    file = tmp_path / "best.yaml"
    file.write_text("# mnist1d-cnn, bo, seed 0: trial 3, loss 0.1\nlr: 0.01\nlayers: 1\n")
    assert starts(SPACE, "mine", 10, read_starts(file))[0].config["layers"] == 1


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([{"lrr": 0.1}], "no hyperparameter 'lrr'; did you mean 'lr'"),
        ([{"lr": 100.0}], r"'lr' must be a number in \[1e-05, 10.0\], got 100.0"),
        ([{"lr": "1e-3"}], "'lr' must be a number in .*, got '1e-3'"),
        ([{"lr": [0.1, 0.2]}], "'lr' needs one value"),
        ([{"layers": 1.5}], "must be a whole number"),
        ([{"optimizer": "lion"}], "must be one of"),
        ([{"momentum": 0.5}], "although it is inactive"),
        ("lr", "must be a list of mappings"),
        ([0.1], "must be a list of mappings"),
        (None, "must be a list of mappings"),
    ],
)
def test_a_config_that_does_not_fit_is_one_line(given, line):
    with pytest.raises(UserError, match=line) as caught:
        starts(SPACE, "mine", 10, given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "line"), [(None, "No such file"), (b"{", "is not YAML"), (b"\xff", "is not YAML")])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, line):
    if content is not None:
        (tmp_path / "configs.yaml").write_bytes(content)
    with pytest.raises(UserError, match=line) as caught:
        read_starts(tmp_path / "configs.yaml")
    assert "\n" not in str(caught.value)


def test_it_is_kept_as_json_and_told_in_a_line():
    prior = [Start({"lr": 0.1}), Start({"lr": 0.2}, "mnist1d-cnn"), Start({"lr": 0.3}, "/home/me/patients.csv")]
    assert from_json(to_json(prior)) == prior
    assert from_json(None) == []
    assert in_words(prior) == (
        "starts from the default configuration, 1 configuration of yours, "
        "2 configurations recommended by past studies (hyperparameters only); --prior none leaves them out"
    )
    assert "--prior" not in in_words(prior[:1])
    assert recommended(prior[:1]) == []
