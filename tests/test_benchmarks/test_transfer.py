"""The value of past studies: the components of the command on fast tasks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from automl.errors import UserError
from automl.space.parse import load_space
from benchmarks.experiments.transfer import N_KNOWN, differences, main, past_study, ratios, regrets, shuffled
from benchmarks.suites.base import Curve, SimulatedTask

SPACE = load_space({"x": {"float": [0, 1], "default": 0.1}, "y": {"float": [0, 1], "default": 0.1}})


@dataclass(frozen=True)
class Bowl(SimulatedTask):
    """The minimum is near (0.8, 0.8); its exact location depends on the task."""

    lowest: float = 0.8
    best = 0.0
    reference = 0.5

    def curve(self, config, seed, epochs):
        return Curve(np.array([self.final_loss(config)]), np.ones(1))

    def final_loss(self, config):
        return (config["x"] - self.lowest) ** 2 + (config["y"] - 0.8) ** 2


TASKS = [Bowl("bowls", f"bowl-{i}", "development", SPACE, lowest=0.75 + 0.05 * i) for i in range(3)]


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return regrets(TASKS, "sobol", 0)


def test_a_search_starts_from_configs_found_on_other_tasks(rows):
    assert all(row["prior 2"] < 0.1 * row["none 2"] for row in rows)
    assert all(row["none configs"] == row["random configs"] == 0 < row["prior configs"] for row in rows)


def test_shuffled_studies_are_ignored_and_reversed_ones_do_little_harm(rows):
    assert all(row["shuffled configs"] == 0 and row["shuffled 50"] == row["none 50"] for row in rows)
    assert all(row["reversed 50"] <= row["none 40"] for row in rows)


def test_shuffling_keeps_the_losses_and_the_configs():
    study = past_study(TASKS[0], 0, 0)
    other = shuffled(study, 0, 0)
    assert len(study.configs) == N_KNOWN
    assert other.configs == study.configs
    assert other.losses != study.losses
    assert sorted(other.losses) == sorted(study.losses)


def test_ratios_are_of_mean_regrets_with_an_interval():
    index = pd.MultiIndex.from_product([["s"], ["a", "b"], [0, 1]], names=["suite", "task", "seed"])
    names = ["none", "random", "prior", "shuffled", "reversed"]
    columns = [f"{name} {count}" for name in names for count in (2, 20, 40, 50)]
    regret = pd.DataFrame(1.0, index=index, columns=columns)
    regret["prior 2"] = [0.1, 0.2, 0.3, 0.4]
    found = ratios(regret).set_index("what")
    assert found.loc["prior 2 / random 40", "value"] == pytest.approx(0.25)
    assert 0.1 <= found.loc["prior 2 / random 40", "low"] < 0.25 < found.loc["prior 2 / random 40", "high"] <= 0.4
    assert list(found.loc["shuffled 50 / none 50"]) == [1.0, 1.0, 1.0]
    regret["both 20"], regret["prior 20"] = 0.2, [0.1, 0.1, 0.4, 0.4]
    found = differences(regret).set_index("what")
    assert list(found.index) == ["both 20 - prior 20"]  # the others were not run
    assert found.loc["both 20 - prior 20", "value"] == pytest.approx(-0.05)
    assert found.loc["both 20 - prior 20", "low"] == pytest.approx(-0.2)


def test_an_unknown_search_is_one_line():
    with pytest.raises(UserError, match="unknown search 'priors'; choose one of: none, random, prior"):
        main(searches=["none", "priors"])
