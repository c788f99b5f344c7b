"""Configs recommended by past studies: matching of spaces, and selection of the portfolio."""

import numpy as np
import pytest

from automl.space.parse import load_space
from strategies._matching import carried, known_part, shared
from strategies.encoding import Encoding
from strategies.portfolio import PastStudy, portfolio

PAST = {
    "lr": {"float": [1e-5, 1e-1], "log": True, "default": 1e-4},
    "width": {"ordinal": [16, 32, 64], "default": 16},
    "optimizer": {"choice": ["sgd", "adamw"], "default": "adamw"},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": "sgd"}},
}


def encoding(form: dict) -> Encoding:
    return Encoding(load_space(form))


def loss(config: dict, lr: float = 1e-2) -> float:
    """Lowest at lr, and for wide networks with sgd."""
    return abs(np.log10(config["lr"] / lr)) + (64 - config["width"]) / 64 + 0.5 * (config["optimizer"] == "adamw")


def study(task: str = "past", form: dict = PAST, n: int = 40, seed: int = 0, loss=loss) -> PastStudy:
    space, rng = load_space(form), np.random.default_rng(seed)
    configs = [Encoding(space).decode(rng.random(len(form))) for _ in range(n)]
    return PastStudy(task, space, configs, [loss(config) for config in configs])


@pytest.mark.parametrize(
    ("name", "form", "common"),
    [
        ("lr", {"float": [1e-3, 1.0]}, True),
        ("lr", {"float": [0.5, 1.0]}, False),  # no value in common
        ("lr", {"choice": ["a", "b"]}, False),
        ("lr", {"constant": 0.01}, True),
        ("width", {"int": [8, 20]}, True),
        ("width", {"ordinal": [128, 256]}, False),
        ("optimizer", {"choice": ["sgd", "lion"]}, True),
        ("optimizer", {"choice": ["lion", "rmsprop"]}, False),
        ("optimizer", {"choice": [True, False]}, False),
        ("other", {"float": [0.0, 1.0]}, False),
    ],
)
def test_hyperparameters_match_by_name_type_and_range(name, form, common):
    assert shared(encoding({name: form}), encoding(PAST)) == ([name] if common else [])


def test_a_config_is_mapped_to_another_space():
    to = encoding({
        "lr": {"float": [1e-3, 1e-2]}, "width": {"int": [20, 100]}, "depth": {"int": [1, 9], "default": 7},
        "optimizer": {"choice": ["sgd", "lion"]},
    })  # fmt: skip
    names = shared(to, encoding(PAST))
    config = {"lr": 0.1, "width": 16, "optimizer": "sgd", "momentum": 0.5}
    assert carried(config, to, names) == {"lr": 1e-2, "width": 20, "depth": 7, "optimizer": "sgd"}  # clipped, default
    assert carried({"lr": 0.1, "width": 16, "optimizer": "adamw"}, to, names) is None  # a choice that is not there
    assert known_part({"lr": 5e-3, "width": 40, "depth": 3, "optimizer": "lion"}, encoding(PAST), names) == {
        "lr": 5e-3, "width": 32,
    }  # fmt: skip


def test_forbidden_configs_are_not_mapped():
    to = encoding(
        {"width": PAST["width"], "optimizer": PAST["optimizer"], "forbidden": [{"width": 64, "optimizer": "sgd"}]}
    )
    names = shared(to, encoding(PAST))
    assert carried({"lr": 0.1, "width": 64, "optimizer": "sgd", "momentum": 0.5}, to, names) is None


def test_the_first_config_is_good_on_all_past_studies():
    studies = [study(str(i), seed=i) for i in range(3)]
    first = portfolio(load_space(PAST), studies, "new", 5)[0]
    best_known = min(min(one.losses) for one in studies)
    assert loss(first.config) <= best_known + 0.1
    assert first.study in {"0", "1", "2"}


def test_a_second_config_covers_the_studies_for_which_the_first_is_bad():
    def low(config):
        return loss(config, lr=1e-5)

    def high(config):
        return loss(config, lr=1e-1)

    studies = [study("low", loss=low, seed=1), study("low", loss=low, seed=2), study("high", loss=high, seed=3)]
    chosen = portfolio(load_space(PAST), studies, "new", 5)
    values = [start.config["lr"] for start in chosen[:3]]
    assert min(values) < 1e-4
    assert max(values) > 1e-2


def test_no_more_configs_than_requested_and_none_without_gain():
    studies = [study(str(i), seed=i) for i in range(2)]
    assert len(portfolio(load_space(PAST), studies, "new", 1)) == 1
    assert portfolio(load_space(PAST), studies, "new", 0) == []
    assert len(portfolio(load_space(PAST), studies[:1], "new", 50)) < 10  # no gain beyond its best config


def test_studies_without_predictable_losses_are_ignored():
    noise = np.random.default_rng(0)
    assert portfolio(load_space(PAST), [study(n=100, loss=lambda config: noise.random())], "new", 5) == []


def test_studies_of_the_same_task_outweigh_the_others():
    def high(config):
        return loss(config, lr=1e-1)

    others = [study(f"other{i}", seed=i) for i in range(6)]
    with_own = portfolio(load_space(PAST), [*others, study("own", loss=high, seed=9)], "own", 1)[0]
    assert high(with_own.config) < high(portfolio(load_space(PAST), others, "own", 1)[0].config)


def test_a_study_of_a_mostly_different_space_is_ignored():
    space = load_space({"lr": PAST["lr"]} | {f"x{i}": {"float": [0, 1]} for i in range(4)})
    assert portfolio(space, [study()], "new", 5) == []


def test_a_narrower_space_gets_configs_of_its_own():
    space = load_space(PAST | {"lr": {"constant": 0.05}, "width": {"ordinal": [16, 32]}})
    check = Encoding(space)
    chosen = portfolio(space, [study()], "new", 5)
    assert chosen
    for start in chosen:
        check.check(start.config)
        assert start.config["lr"] == 0.05
    assert chosen[0].config["width"] == 32
    assert chosen[0].config["optimizer"] == "sgd"


def test_failures_count_as_the_worst():
    def failing(config):
        return None if config["optimizer"] == "sgd" else loss(config)

    assert all(s.config["optimizer"] == "adamw" for s in portfolio(load_space(PAST), [study(loss=failing)], "new", 3))
    assert portfolio(load_space(PAST), [study(loss=lambda config: None)], "new", 3) == []
    assert portfolio(load_space(PAST), [study(loss=lambda config: 1.0)], "new", 3) == []


def test_the_same_studies_give_the_same_configs():
    studies = [study(str(i), seed=i) for i in range(3)]
    again = [study(str(i), seed=i) for i in range(3)]
    assert portfolio(load_space(PAST), studies, "new", 4) == portfolio(load_space(PAST), again, "new", 4)


@pytest.mark.parametrize(("worst", "best"), [(1.7e308, 0.0), (1.7e308, -1.7e308)])
def test_penalties_near_the_largest_number_count_as_the_worst(worst, best):
    space = load_space(PAST)
    configs = study(n=5).configs
    scaled = PastStudy("past", space, configs, [best, 1.0, 2.0, worst, None]).scaled
    assert scaled is not None
    assert np.isfinite(scaled).all()
    assert scaled[0] == 0.0
    assert scaled[4] == scaled.max()


def test_losses_that_differ_by_less_than_numbers_can_tell_are_no_past_study():
    assert PastStudy("past", load_space(PAST), study(n=3).configs, [0.0, 5e-324, 5e-324]).scaled is None
