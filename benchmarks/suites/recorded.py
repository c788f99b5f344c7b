"""The built-in tasks, replayed from the real trainings in results/recorded/: ``benchmarks.experiments.record``.

Same space, epochs, metric and noise between seeds as the live tasks. Configs between the recorded ones are predicted by
a model if it ranks unseen ones well enough, else by the nearest recorded one: see the JSON file of each table.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl.errors import UserError
from automl.tasks.registry import TASKS
from automl.tasks.supervised import Classification
from benchmarks.suites.base import Curve, SimulatedTask
from benchmarks.suites.recordings import CurveModel, Recording
from strategies.fidelity import Fidelity

FOLDER = Path(__file__).parents[2] / "results" / "recorded"


@dataclass(frozen=True)
class RecordedTask(SimulatedTask):
    """One table of trainings."""

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        losses, _, seconds, error = _model(self.name).training(dict(config), seed)
        trained = np.isfinite(losses)
        return Curve(losses[trained], seconds[trained], error)

    def short_curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        losses, _, seconds, error = _model(self.name, epochs).training(dict(config), seed)
        trained = np.isfinite(losses)
        return Curve(losses[trained], seconds[trained], error)

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        return live_task(self.name).fidelity(config)

    def final_loss(self, config: Mapping[str, Any]) -> float:
        return float(self.final_losses([config])[0])

    def final_losses(self, configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return _model(self.name).final_losses([dict(config) for config in configs])

    def test_loss(self, config: Mapping[str, Any], seed: int, epochs: int) -> float | None:
        if epochs == 0:
            return None
        loss = float(_model(self.name).training(dict(config), seed)[1][epochs - 1])
        return loss if np.isfinite(loss) else None


def tasks() -> list[RecordedTask]:
    """The tasks with recorded tables."""
    return [
        RecordedTask("recorded", facts.stem, "development", live.space, live.max_epochs, metric="loss")
        for facts in sorted(FOLDER.glob("*.json"))
        for live in [live_task(facts.stem)]
    ]


def live_task(name: str) -> Classification:
    """The built-in task behind a table: ``fashion-cnn``, or ``fashion-cnn-10000`` on that many examples."""
    task, _, size = name.rpartition("-")
    module, attribute = TASKS[task if size.isdigit() else name][1].split(":")
    live: Classification = getattr(importlib.import_module(module), attribute)
    return live


@functools.cache
def _model(name: str, short: int | None = None) -> CurveModel:
    """The model of full trainings, or of trainings with complete schedules of ``short`` epochs."""
    live = live_task(name)
    file = FOLDER / (f"{name}.parquet" if short is None else f"{name}-{short}-epochs.parquet")
    if not file.exists():
        raise UserError(
            f"trainings of {short} epochs of {name} are not recorded; record them with "
            f"python -m benchmarks.experiments.record --task {name} --short {short}"
        )
    facts = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    recording = Recording.of(pd.read_parquet(file), short or live.max_epochs, live.metric, live.maximize)
    return CurveModel(recording, facts, live.space)
