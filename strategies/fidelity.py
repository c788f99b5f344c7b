"""What short trainings mean. No heavy imports: tasks use it before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fidelity:
    """What it means to train a config for fewer epochs than a full training.

    ``whole``: only full trainings are possible. ``stop``: a training can be stopped but not resumed. ``resume``: it can
    be paused and resumed, and an intermediate loss equals that of a training of that length. ``restart``: the learning
    rate schedule depends on the length, so a short training has its own complete schedule and a longer one starts from
    scratch.
    """

    kind: Literal["whole", "stop", "resume", "restart"]
    min_epochs: int = 1  # shorter trainings are uninformative
