"""Tasks of a suite: trainings are looked up, or run once and stored, and their time passes on a virtual clock."""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.task import Epoch, TrainingFailed
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

CONSTANTS = Path(__file__).with_name("constants.json")


@dataclass(frozen=True)
class Curve:
    """A training of one config: loss after each epoch and seconds of each epoch, both of shape (n_epochs,).

    With an ``error``, it failed in the epoch after the last one.
    """

    losses: np.ndarray
    seconds: np.ndarray
    error: str | None = None


@dataclass(frozen=True)
class SimulatedTask(ABC):
    """Implements ``automl.Task``, so it can be tuned like any other task, under a virtual clock."""

    suite: str
    name: str
    split: Literal["development", "holdout"]
    space: ConfigurationSpace
    max_epochs: int = 1
    resumable: bool = True
    metric: str = "loss"
    maximize: bool = False

    @abstractmethod
    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        """The training of a config with a seed, for at least ``epochs`` epochs unless it failed."""

    def short_curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        """The training of a config with a complete schedule of ``epochs``; for the fidelity kind ``restart``."""
        raise NotImplementedError(f"{self.name} has no trainings with short schedules")

    def curve_within(
        self, config: Mapping[str, Any], seed: int, epochs: int, seconds: float, *, short: bool = False
    ) -> Curve:
        """Like ``curve`` or ``short_curve``, but a training that takes more than ``seconds`` may be truncated.

        The seconds of a truncated curve add up to more than the limit; the rest of it is undefined.
        """
        return (self.short_curve if short else self.curve)(config, seed, epochs)

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        """What a short training of a config means; by default, any epoch of the curve can be used."""
        return Fidelity("resume" if self.resumable else "stop")

    @abstractmethod
    def final_loss(self, config: Mapping[str, Any]) -> float | None:
        """The quality of a config: its final loss, averaged over the available seeds; None if unknown."""

    def final_losses(self, configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """``final_loss`` of many configs, all known, shape (n_configs,)."""
        return np.array([self.final_loss(config) for config in configs], dtype=float)

    def test_loss(self, config: Mapping[str, Any], seed: int, epochs: int) -> float | None:
        """Test loss after these epochs of a training, on the scale of the validation loss; None without a test set."""
        return None

    def retrained(self, config: Mapping[str, Any], seeds: Sequence[int]) -> float | None:
        """Mean test loss of full trainings with these seeds; None without a test set."""
        losses = [self.test_loss(config, seed, len(self.curve(config, seed, self.max_epochs).losses)) for seed in seeds]
        found = [loss for loss in losses if loss is not None]
        return float(np.mean(found)) if found else None

    @property
    def looked_up(self) -> bool:
        """Whether trainings are looked up at no cost rather than run."""
        return True

    @property
    def unit(self) -> str:
        """The group of variants the task belongs to: variants are not independent evidence."""
        return self.name

    @property
    def kind(self) -> Literal["numeric", "mixed", "discrete"]:
        """The kind of its space."""
        return Encoding(self.space).kind

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
        """How best and reference were computed."""
        return str(self._constants["provenance"])

    @property
    def _constants(self) -> dict[str, Any]:
        return constants()[f"{self.suite}/{self.name}"]

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        curve = self.curve(config, seed, epochs)
        for epoch in range(min(epochs, len(curve.losses))):
            yield Epoch(epoch + 1, float(curve.losses[epoch]), {}, float(curve.seconds[epoch]))
        if curve.error is not None and len(curve.losses) < epochs:
            raise TrainingFailed(curve.error)

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        return {}


@functools.cache
def constants() -> dict[str, dict[str, Any]]:
    """Best and reference losses by suite/task, written by ``python -m benchmarks.experiments.constants``."""
    found: dict[str, dict[str, Any]] = json.loads(CONSTANTS.read_text(encoding="utf-8"))
    return found
