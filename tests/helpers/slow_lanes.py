"""A task whose trainings take a while, alone and in a program."""

import time
from dataclasses import dataclass

from automl.space.parse import load_space
from automl.task import Epoch


@dataclass(frozen=True)
class SlowLanes:
    """Its epochs take 20 milliseconds."""

    name: str = "slow"
    max_epochs: int = 1_000
    resumable: bool = False
    metric: str = "loss"
    maximize: bool = False

    @property
    def space(self):
        return load_space({"x": {"float": [0, 1]}})

    def train(self, config, *, seed, epochs, checkpoint, device):
        for number in range(1, epochs + 1):
            time.sleep(0.02)
            yield Epoch(number, config["x"], {}, 0.02)

    def train_lanes(self, lanes, *, device, is_stopped):
        number = 1
        while lanes := [lane for lane in lanes if number <= lane.epochs and not is_stopped(lane.key)]:
            time.sleep(0.02)
            for lane in lanes:
                yield lane.key, Epoch(number, lane.config["x"], {}, 0.02)
            number += 1

    def test(self, checkpoint, device):
        return {}
