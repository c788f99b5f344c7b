"""What short trainings mean. It imports nothing heavy, as tasks name it before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fidelity:
    """What training a config for fewer epochs than a full training means.

    ``whole``: nothing, it is trained whole. ``stop``: the training can be stopped, not continued. ``resume``: it can be
    paused and resumed, and its loss on the way is that of a training of this length. ``restart``: the learning rate
    depends on the length, so a short training has its own complete schedule, and a longer one starts from scratch.
    """

    kind: Literal["whole", "stop", "resume", "restart"]
    min_epochs: int = 1  # a shorter training tells nothing
