"""The short form of a space: what it builds, the inverse, and one line per error."""

import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.space.edit import space_to_dict
from automl.space.parse import SpaceError, load_space
from automl.space.yaml_text import dump_yaml, load_yaml

FORM = """
lr:        {float: [1.0e-5, 1.0e-1], log: true, default: 1.0e-3}
layers:    {int: [1, 4], default: 2}
units:     {int: [8, 512], log: true}
width:     {ordinal: [16, 32, 64], default: 32}
dropout:   {float: [0.0, 0.5], step: 0.1, default: 0.2}
heads:     {int: [2, 9], step: 2}
optimizer: {choice: [sgd, adamw], default: adamw}
nesterov:  {choice: [true, false], when: {optimizer: sgd}}
beta:      {float: [0.8, 0.99], when: {optimizer: adamw, layers: [2, 3]}}
version:   {constant: 3}
single:    {int: [5, 5]}
decay:     {float: [1.0e-6, 1.0], log: true, prior: {around: 1.0e-3, sure: 0.5}}
norm:      {choice: [batch, layer], prior: {around: layer, sure: 0.9}}
forbidden:
  - {optimizer: sgd, width: [32, 64]}
  - {layers: 4}
"""


@pytest.fixture
def form() -> dict:
    return yaml.safe_load(FORM)


def test_the_file_the_dict_and_the_space_are_the_same(form, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(FORM)
    space = load_space(form)
    assert load_space(file) == load_space(str(file)) == space
    assert load_space(space) is space


def test_there_and_back_again(form):
    space = load_space(form)
    assert load_space(space_to_dict(space)) == space
    assert list(space_to_dict(space)) == list(form)


def test_what_was_written_is_what_may_vary(form):
    space = load_space(form)
    assert list(space["dropout"].sequence) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert list(space["heads"].sequence) == [2, 4, 6, 8]
    assert space["single"].value == 5
    assert dict(space.get_default_configuration()) == {
        "lr": 1e-3, "layers": 2, "units": 64, "width": 32, "dropout": 0.2, "heads": 4,
        "optimizer": "adamw", "beta": 0.895, "version": 3, "single": 5,
        "decay": 1e-3, "norm": "layer",
    }  # fmt: skip
    for config in space.sample_configuration(200):
        assert ("nesterov" in config) == (config["optimizer"] == "sgd")
        assert ("beta" in config) == (config["optimizer"] == "adamw" and config["layers"] in (2, 3))
        assert not (config["optimizer"] == "sgd" and config["width"] in (32, 64))
        assert config["layers"] != 4


@pytest.mark.parametrize(
    ("name", "broken", "rule"),
    [
        ("lr", {"float": ["1e-5", 0.1]}, "got the string '1e-5'; write it without quotes"),
        ("lr", {"float": [0, 10**400]}, "a bound must be a finite number, got 1000"),
        ("lr", {"float": [0.1]}, r"float needs \[low, high\], got \[0.1\]"),
        ("lr", {"float": [0.1, 0.01]}, "must not exceed the upper"),
        ("lr", {"float": [0.0, 1.0], "log": True}, "log scale needs a lower bound above 0, got 0"),
        ("lr", {"float": [0.1, 1.0], "log": "yes"}, "log must be true or false, got 'yes'"),
        ("lr", {"float": [0.1, 1.0], "default": 2}, r"default must lie in \[0.1, 1.0\], got 2"),
        ("lr", {"float": [0.1, float("nan")]}, "must be a finite number"),
        ("lr", {"float": [0.1, 1.0], "step": 0.1, "log": True}, "step and log exclude each other"),
        ("lr", {"float": [0.0, 1.0], "step": 1e-9}, "at most 10000"),
        ("lr", {"float": [0.0, 1.0], "step": 2.0}, "step must lie in"),
        ("lr", {"float": [0.1, 1.0], "defualt": 0.2}, "unknown option 'defualt' for float; did you mean 'default'"),
        ("lr", {"float": [0.1, 1.0], "int": [1, 2]}, "exactly one of float, int"),
        ("lr", {"flaot": [0.1, 1.0]}, "did you mean 'float'.*exactly one of float, int"),
        ("lr", 3, "expected a mapping such as"),
        ("lr", {"float": [1e-12, 1e-3], "log": True}, "ConfigSpace keeps 9 decimals of a bound"),
        ("lr", {"float": [-1e308, 1e308]}, "too wide for floating-point numbers"),
        ("lr", {"float": [0, 1e300]}, r"\[0.0, 1e\+300\] is too wide for floating-point numbers"),
        ("n", {"int": [0, 2**70]}, "a bound of an int must lie within"),
        ("c", {"choice": [1.0, float("nan")]}, "a value must be finite"),
        ("", {"float": [0, 1]}, "a non-empty string"),
        ("n", {"int": [1, 2.5]}, "must be whole, got 2.5"),
        ("n", {"int": [True, 3]}, "must be a finite number, got True"),
        ("c", {"choice": []}, r"choice needs a list of values, got \[\]"),
        ("c", {"choice": "ab"}, "needs a list of values, got 'ab'"),
        ("c", {"choice": 5, "prior": {"around": 1, "sure": 0.5}}, "choice needs a list of values, got 5"),
        ("c", {"choice": ["a", "a"]}, "values must differ"),
        ("c", {"choice": ["a", None]}, r"a number or a string, got null; name the values, and map the names in your"),
        ("c", {"choice": ["a", [1]]}, r"a number or a string, got \[1\]; name the values, and map the names in your"),
        ("c", {"constant": None}, "a number or a string, got null; name the values"),
        ("c", {"choice": [[0] * 99, [1]]}, r"got \[0, 0, .{0,90} 0\]; name the values"),
        ("c", {"choice": [False, "maybe"]}, "quote those that are names, as in 'true'"),
        ("c", {"choice": [True, 1]}, "true/false are mixed with other values"),
        ("c", {"choice": ["a", "b"], "default": "d"}, r"default must be one of \['a', 'b'\], got 'd'"),
        ("c", {"choice": [1, 2], "default": True}, r"default must be one of \[1, 2\], got True"),
        ("c", {"ordinal": [0, 1], "default": False}, r"default must be one of \[0, 1\], got False"),
        ("c", {"choice": [1, 2], "prior": {"around": True, "sure": 0.5}}, "around one of .*, got True"),
        ("c", {"choice": ["a", "b"], "log": True}, "unknown option 'log' for choice"),
        ("m", {"float": [0, 1], "when": "sgd"}, "when needs {parent: value}"),
        ("m", {"float": [0, 1], "when": {"optimzer": "sgd"}}, "names 'optimzer'.*did you mean 'optimizer'"),
        (
            "m",
            {"float": [0, 1], "when": {"optimizer": "adam"}},
            "optimizer = 'adam', which is not a value of 'optimizer'",
        ),
        ("m", {"float": [0, 1], "when": {"optimizer": []}}, "gives no value"),
        ("m", {"float": [0, 1], "when": {"optimizer": {"sgd": 1}}}, "needs a value or a list of values of 'optimizer'"),
        ("m", {"float": [0, 1], "when": {"m": 0.5}}, "must not name the hyperparameter itself"),
        ("lr", {"float": [0, 1], "prior": 0.5}, "prior needs {around: value, sure: share}, got 0.5"),
        ("lr", {"float": [0, 1], "prior": {"around": 2, "sure": 0.5}}, r"around a value in \[0.0, 1.0\], got 2"),
        ("lr", {"float": [0, 1], "prior": {"around": 0.5, "sure": 1}}, "sure must lie between 0 .* and 1 .*, got 1"),
        ("n", {"int": [0, 9], "step": 3, "prior": {"around": 3, "sure": 0.5}}, "step and prior exclude each other"),
        ("c", {"choice": ["a", "b"], "prior": {"around": "d", "sure": 0.5}}, "around one of .*, got 'd'"),
    ],
)
def test_a_broken_rule_names_the_hyperparameter_and_the_rule(name, broken, rule):
    with pytest.raises(SpaceError, match=f"(?s)'{name}'.*{rule}"):
        load_space({"optimizer": {"choice": ["sgd", "adamw"]}, name: broken})


@pytest.mark.parametrize(
    ("clause", "rule"),
    [
        ({"a": 1}, "forbids the default config"),
        ({"a": 9}, "is not a value of"),
        ({"a": [[2]]}, "needs a value or a list of values of 'a'"),
        ({"z": 1}, "which is not in this space"),
        ("a", "each entry needs"),
    ],
)
def test_forbidden_entries(clause, rule):
    with pytest.raises(SpaceError, match=rule):
        load_space({"a": {"choice": [1, 2]}, "forbidden": [clause]})


def test_forbidden_without_a_list_is_told_its_form():
    with pytest.raises(SpaceError, match=r"expected a list of entries such as \[\{name: value\}\], got \{'a': 1\}"):
        load_space({"a": {"choice": [1, 2]}, "forbidden": {"a": 1}})


@pytest.mark.parametrize(
    ("bounds", "step", "values"),
    [
        ([0, 0.5], 0.1, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        ([1234567.891234, 1234568.891234], 0.5, (1234567.891234, 1234568.391234, 1234568.891234)),
        ([1e9, 1e9 + 0.003], 0.001, (1e9, 1000000000.001, 1000000000.002, 1000000000.003)),
    ],
)
def test_a_grid_is_as_exact_as_its_bounds(bounds, step, values):
    assert load_space({"x": {"float": bounds, "step": step}})["x"].sequence == values


def test_large_whole_numbers_are_exact():
    values = load_space({"x": {"int": [1234567890123, 1234567900123], "step": 5000}})["x"].sequence
    assert list(values) == [1234567890123, 1234567895123, 1234567900123]
    assert load_space({"x": {"int": [0, 3 * 10**12 - 1], "step": 10**12}})["x"].sequence[-1] == 2 * 10**12


def test_numbers_of_numpy_are_plain_ones():
    space = load_space(
        {
            "n": {"int": [np.int64(1), np.int32(9)], "default": np.int64(2)},
            "lr": {"float": [np.float32(0.5), np.float64(2)]},
            "c": {"choice": [np.int64(1), np.str_("a")]},
            "m": {"int": [1, 2], "when": {"c": np.int64(1)}},
        }
    )
    assert json.loads(json.dumps(space_to_dict(space))) == {
        "n": {"int": [1, 9], "default": 2},
        "lr": {"float": [0.5, 2.0], "default": 1.25},
        "c": {"choice": [1, "a"], "default": 1},
        "m": {"int": [1, 2], "default": 2, "when": {"c": 1}},
    }


def test_numbers_in_a_file_need_no_dot(tmp_path):
    (tmp_path / "space.yaml").write_text("lr: {float: [1e-5, 1E-1], log: true}\nname: {choice: ['1e3', 1e3]}\n")
    space = load_space(tmp_path / "space.yaml")
    assert (space["lr"].lower, space["lr"].upper, space["name"].choices) == (1e-5, 0.1, ("1e3", 1000.0))
    assert load_yaml(dump_yaml({"name": "1e3", "lr": 1e-5})) == {"name": "1e3", "lr": 1e-5}


def test_words_and_ratios_are_strings():
    assert load_yaml("on: [yes, No, OFF, true, False]") == {"on": ["yes", "No", "OFF", True, False]}
    assert load_yaml("[16:9, 4:3.5, 12, 0x10, 1_000, 1.5]") == ["16:9", "4:3.5", 12, 16, 1000, 1.5]
    content = {"on": ["yes", "16:9", True]}
    assert load_yaml(dump_yaml(content)) == content


def test_a_cycle_of_conditions_is_refused():
    with pytest.raises(SpaceError, match="nested in more than 12 levels, or circular"):
        load_space(
            {"a": {"choice": [1, 2], "when": {"b": 1}}, "b": {"choice": [1, 2], "when": {"a": 1}}},
        )


def test_conditions_are_nested_in_twelve_levels_at_most():
    chain = {f"a{i}": {"choice": [0, 1]} | ({"when": {f"a{i - 1}": 0}} if i else {}) for i in range(40)}
    assert len(load_space({name: chain[name] for name in list(chain)[:13]})) == 13
    with pytest.raises(SpaceError, match="'a13': its conditions are nested in more than 12 levels"):
        load_space(chain)


def test_a_range_that_configspace_would_round_to_one_value_is_refused():
    with pytest.raises(SpaceError, match=r"too few for \[1.0, 1.000000000000001\]; rescale it"):
        load_space({"x": {"float": [1.0, 1.0 + 1e-15]}})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: [", "is not YAML: line 1, column 5: expected the node content, but found '<stream end>'$"),
        ("- 1", "must map names"),
        ("{}", "at least one hyperparameter"),
        ("a: {int: [1, 2]}\nb: {int: [1, 2]}\na: {float: [0, 1]}", "line 3, column 1: the key 'a' occurs twice$"),
        ("a: {int: [1, 2], default: 1, int: [1, 9]}", "the key 'int' occurs twice"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, text, rule):
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=rule) as error:
        load_space(file)
    assert "\n" not in str(error.value)


def test_what_is_no_space_is_one_line(tmp_path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="is not text"):
        load_space(tmp_path / "binary")
    with pytest.raises(ValueError, match="a space must be a YAML file, a mapping"):
        load_space([1])


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="cannot read the space file"):
        load_space(tmp_path / "none.yaml")


def test_python_objects_in_yaml_are_refused(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(ValueError, match="is not YAML"):
        load_space(file)


numbers = st.floats(1e-6, 1e6).filter(lambda x: x == float(f"{x:.9g}"))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text("abcxyz", min_size=1, max_size=4),
        st.one_of(
            st.tuples(numbers, numbers).map(lambda b: {"float": [min(b), max(b) + 1.0]}),
            st.tuples(numbers, numbers).map(lambda b: {"float": [min(b), max(b) + 1.0], "log": True}),
            st.tuples(st.integers(-50, 50), st.integers(1, 99)).map(lambda b: {"int": [b[0], b[0] + b[1]]}),
            st.lists(st.text("pqrs", min_size=1), min_size=2, unique=True).map(lambda v: {"choice": v}),
            st.lists(st.integers(0, 99), min_size=2, unique=True).map(lambda v: {"ordinal": sorted(v)}),
            st.booleans().map(lambda v: {"constant": v}),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_space_survives_the_way_there_and_back(form):
    space = load_space(form)
    assert load_space(space_to_dict(space)) == space
