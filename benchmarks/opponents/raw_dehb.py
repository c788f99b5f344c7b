"""DEHB: differential evolution in the brackets of Hyperband, through its ask-and-tell interface.

https://automl.github.io/DEHB/latest/getting_started/ask_tell/
"""

from __future__ import annotations

import math
import tempfile
from typing import Any

from dehb import DEHB
from loguru import logger

from benchmarks.opponents.base import FailuresAsWorst, Isolated, need_epochs
from strategies.base import Proposal
from strategies.types import Config


class RawDEHB(FailuresAsWorst):
    """It searches the unit cube, since it has no forbidden configs, and cannot start from the default config. Promoted
    configs are resumed if the task allows it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        need_epochs("raw-dehb", self.max_epochs)
        self._isolated = Isolated(self.seed)
        self._trials: dict[int, tuple[int, int]] = {}  # by DEHB's config id: trial and epochs
        with self._isolated(), tempfile.TemporaryDirectory(prefix="dehb-") as folder:
            self._dehb = DEHB(
                dimensions=len(self.encoding.dimensions), min_fidelity=1, max_fidelity=self.max_epochs, n_workers=1,
                seed=self.seed, output_path=folder, save_freq="end",
            )  # fmt: skip
            logger.remove()  # its log in that folder and on the terminal

    def _ask(self) -> tuple[Config, dict[str, Any]]:
        with self._isolated():
            job = self._dehb.ask()
        return self.encoding.decode(job["config"]), job

    def _proposal(self, config: Config, asked: dict[str, Any]) -> Proposal:
        epochs = math.ceil(asked["fidelity"] - 1e-9)
        trial, trained = self._trials.get(asked["config_id"], (self._n_proposed, 0))
        if not self.resumable or trial in self.pending or trained >= epochs:
            trial = self._n_proposed
        self._trials[asked["config_id"]] = trial, epochs
        return Proposal(trial, config, epochs)

    def _tell_loss(self, asked: dict[str, Any], loss: float, failed: bool) -> None:
        with self._isolated():
            self._dehb.tell(asked, {"fitness": loss, "cost": asked["fidelity"]})
