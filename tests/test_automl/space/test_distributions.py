"""Spaces of scikit-learn's searches, converted to ours and back."""

import numpy as np
import pytest
from scipy import stats

from automl.space.distributions import load_parameters
from automl.space.hyperparameters import SpaceError
from strategies import make_strategy


def tried(source, n=40):
    parameters = load_parameters(source)
    strategy = make_strategy("random", parameters.space, seed=0)
    return [parameters.of(proposal.config) for proposal in (strategy.ask() for _ in range(n)) if proposal]


@pytest.mark.parametrize(
    "distribution",
    [stats.uniform(2, 3), stats.loguniform(1e-9, 1e-6), stats.norm(5, 2), stats.expon(), stats.beta(2, 5)],
    ids=lambda distribution: distribution.dist.name,
)
def test_a_distribution_is_drawn_from_as_it_is(distribution):
    drawn = [p["a"] for p in tried({"a": distribution}, 300)]
    assert {type(value) for value in drawn} == {float}
    assert stats.kstest(drawn, distribution.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("distribution", "values"),
    [(stats.randint(3, 6), {3, 4, 5}), (stats.binom(2, 0.5), {0, 1, 2}), (stats.poisson(0.5), {0, 1, 2, 3, 4})],
    ids=["randint", "binom", "poisson"],
)
def test_whole_numbers_stay_whole(distribution, values):
    drawn = [p["a"] for p in tried({"a": distribution})]
    assert {type(value) for value in drawn} == {int}
    assert set(drawn) == values


def test_no_value_of_a_discrete_distribution_is_tried_twice():
    assert sorted(p["a"] for p in tried({"a": stats.geom(0.5)})) == list(range(1, 11))  # and the search then ends
    gaps = stats.rv_discrete(values=([1, 2, 5], [0.2, 0.3, 0.5]))
    assert sorted(p["a"] for p in tried({"a": gaps})) == [1, 2, 5]
    space = load_parameters({"a": stats.poisson(1e5)}).space
    assert (space["a"].lower, space["a"].upper) == pytest.approx((99_000, 101_000), rel=1e-3)


def test_lists_hold_any_objects_as_they_are():
    objects = [None, True, 1, 1.0, "a", (3, 4), print, {"a": 1}, np.float64(2.5), np.zeros(3), np.array([0.5, 0.5])]
    drawn = [p["a"] for p in tried({"a": objects})]
    assert {id(value) for value in drawn} == {id(value) for value in objects}
    choice = {"choice": objects, "default": np.array([0.5, 0.5])}
    assert load_parameters({"a": choice}).space["a"].default_value == len(objects) - 1


def test_numbers_that_rise_or_fall_are_ordered():
    space = load_parameters(
        {"up": np.logspace(-2, 2, 5), "down": [9, 4, 1], "mixed": [1, 3, 2], "two": [0, 1], "flags": [False, True, 2]}
    ).space
    assert {name: type(space[name]).__name__ for name in space} == {
        "up": "OrdinalHyperparameter",
        "down": "OrdinalHyperparameter",
        "mixed": "CategoricalHyperparameter",
        "two": "CategoricalHyperparameter",
        "flags": "CategoricalHyperparameter",
    }


def test_objects_in_the_short_form_with_defaults_conditions_and_forbidden_pairs():
    source = {
        "weight": {"choice": [None, "balanced", (1, 2)], "default": "balanced"},
        "fixed": {"constant": None},
        "power": {"float": [0, 1], "when": {"weight": [None, (1, 2)]}},
        "scale": {"choice": [None, print], "when": {"weight": (1, 2)}},
        "forbidden": [{"weight": None, "fixed": None}],
    }
    configs = tried(source)
    parameters = load_parameters(source)
    assert parameters.of(dict(parameters.space.get_default_configuration())) == {"weight": "balanced", "fixed": None}
    assert {p["weight"] for p in configs} == {"balanced", (1, 2)}
    assert all(("power" in p) == ("scale" in p) == (p["weight"] == (1, 2)) for p in configs)


def test_of_several_spaces_each_candidate_takes_one():
    configs = tried(
        [
            {"kernel": ["rbf", "poly"], "gamma": {"float": [0, 1], "when": {"kernel": "rbf"}}},
            {"kernel": ["linear"], "C": stats.uniform()},
        ]
    )
    assert {tuple(sorted(p)) for p in configs} == {("gamma", "kernel"), ("kernel",), ("C", "kernel")}
    assert all(("C" in p) == (p["kernel"] == "linear") and ("gamma" in p) == (p["kernel"] == "rbf") for p in configs)


def test_one_space_in_a_list_is_itself():
    assert tried([{"a": [1, 2]}]) == tried({"a": [1, 2]})


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ({"a": 3}, "expected a list of values, a distribution or a mapping"),
        ({"a": "word"}, "expected a list of values"),
        ({"a": []}, "needs a list of values"),
        ({"a": type("Draws", (), {"rvs": None})()}, "has only rvs"),
        ({"a": stats.loguniform}, "'a': loguniform needs its arguments"),
        ({"a": stats.randint(3, 3)}, "'a': the distribution has no range, but ends at nan and nan"),
        ({"a": stats.uniform(0, -1)}, "'a': the distribution has no range"),
        ({"a": [None, 1], "b": {"float": [0, 1], "when": {"a": 7}}}, "7 is not one of its values"),
    ],
)
def test_what_cannot_be_a_space_is_refused(source, rule):
    with pytest.raises(SpaceError, match=rule):
        load_parameters(source)


def test_a_belief_about_objects_is_about_the_object_and_not_its_place():
    form = {"choice": [None, 5, 1], "prior": {"around": 1, "sure": 0.8}}
    found = load_parameters({"max_depth": form})
    assert found.space["max_depth"].default_value == 2
    with pytest.raises(SpaceError, match="7 is not one of its values"):
        load_parameters({"max_depth": {**form, "prior": {"around": 7, "sure": 0.8}}})
