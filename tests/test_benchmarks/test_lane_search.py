"""Short searches with and without lanes; which is better is not checked."""

import pandas as pd
import pytest

from automl.task import Epoch
from automl.tuning.jobs import EpochDone, Job, JobEnded
from benchmarks.experiments.lane_search import Simulated, main, regrets


def test_a_short_comparison_writes_a_row_for_each_search(tmp_path):
    out = tmp_path / "lanes.csv"
    main(
        tasks="mnist1d-mlp", strategies="random", lanes="1,3", seeds=1, seconds=0.4, train_size=100, out=out, page=None
    )
    table = pd.read_csv(out)
    assert table["lanes"].tolist() == [1, 3]
    assert (table["trainings"] > 0).all()
    assert table["regret_over_time"].between(0, 1).all()


def test_the_regret_is_0_for_the_best_and_1_for_the_default():
    row = {"task": "t", "strategy": "bo", "seed": 0, "epochs": 1.0}
    found = [
        {**row, "lanes": 1, "at": 0.0, "loss": 0.5, "is_default": True},
        {**row, "lanes": 1, "at": 5.0, "loss": 0.1, "is_default": False},
        {**row, "lanes": 2, "at": 1.0, "loss": 0.5, "is_default": True},
        {**row, "lanes": 2, "at": 9.0, "loss": 0.7, "is_default": False},
    ]
    table = regrets(pd.DataFrame(found), seconds=10.0).set_index("lanes")
    assert table["regret_at_the_end"].tolist() == [0, 1]
    assert table.loc[1, "regret_over_time"] == pytest.approx(0.5, abs=0.03)


class Slow:
    """Two epochs of any config."""

    def train(self, config, *, seed, epochs, checkpoint, device):
        for number in range(1, epochs + 1):
            sum(range(200_000))
            yield Epoch(number, 0.5, {}, 0.1)


def test_two_jobs_at_a_time_take_as_long_as_the_longer_one():
    executor = Simulated(Slow(), 2)
    executor.submit(Job(0, {}, 0, 1))
    executor.submit(Job(1, {}, 0, 5))
    assert executor.n_free == 0
    events = [event for _ in range(8) for event in executor.wait()]
    ends = [event.key for event in events if isinstance(event, JobEnded)]
    assert ends == [0, 1]
    assert executor.n_free == 2
    assert sum(isinstance(event, EpochDone) for event in events) == 6
