"""A task whose trainings are looked up instead of run."""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.tasks.base import Epoch

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

CONSTANTS = Path(__file__).with_name("constants.json")


@dataclass(frozen=True)
class Curve:
    """A full training of one config: loss after each epoch and seconds of each epoch, both of shape (max_epochs,)."""

    losses: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class SimulatedTask(ABC):
    """Has the members of ``automl.Task``, so it can be tuned like any other, and answers at once."""

    suite: str
    name: str
    split: Literal["development", "holdout"]
    space: ConfigurationSpace
    max_epochs: int = 1
    resumable: bool = True
    metric: str = "loss"
    maximize: bool = False

    @abstractmethod
    def curve(self, config: Mapping[str, Any], seed: int) -> Curve:
        """The training of a config with a seed."""

    @abstractmethod
    def worth(self, config: Mapping[str, Any]) -> float:
        """What a config is worth: its final loss, averaged over what seeds there are."""

    @property
    def best(self) -> float:
        """The best known loss."""
        return float(self._constants["best"])

    @property
    def reference(self) -> float:
        """The median loss of a random config."""
        return float(self._constants["reference"])

    @property
    def provenance(self) -> str:
        """Where best and reference come from."""
        return str(self._constants["provenance"])

    @property
    def _constants(self) -> dict[str, Any]:
        return constants()[f"{self.suite}/{self.name}"]

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        curve = self.curve(config, seed)
        for epoch in range(epochs):
            yield Epoch(epoch + 1, float(curve.losses[epoch]), {}, float(curve.seconds[epoch]))

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        return {}


@functools.cache
def constants() -> dict[str, dict[str, Any]]:
    """Best and reference losses by suite/task, as ``python -m benchmarks.constants`` wrote them."""
    found: dict[str, dict[str, Any]] = json.loads(CONSTANTS.read_text(encoding="utf-8"))
    return found
