"""LCBench as YAHPO Gym's surrogate: neural networks on OpenML tasks, 7 hyperparameters, curves of 52 epochs.

F. Pfisterer et al., YAHPO Gym (AutoML 2022, arXiv 2109.03670); L. Zimmer et al., Auto-PyTorch (TPAMI 2021) for LCBench.
The environment variable YAHPO_DATA names the folder with the surrogate.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import UserError, install_command
from automl.space.parse import load_space
from benchmarks.suites.base import Curve, SimulatedTask

MAX_EPOCHS = 52
INPUTS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
DEVELOPMENT = (
    "7593", "34539", "126026", "146212", "167104", "167152", "167161", "167185", "167190", "168329", "168331", "168335",
    "189862", "189905", "189906", "189908", "189909",
)  # fmt: skip


@dataclass(frozen=True)
class LCBench(SimulatedTask):
    """One OpenML task. The surrogate is deterministic: seeds make no difference."""

    openml_task: str = ""

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        fixed = tuple(config[name] for name in INPUTS)
        losses, total = self._answers([(epoch, *fixed) for epoch in range(1, MAX_EPOCHS + 1)])
        # The surrogate's seconds are not always increasing.
        return Curve(losses, np.diff(np.maximum.accumulate(total), prepend=0.0))

    def final_loss(self, config: Mapping[str, Any]) -> float:
        return float(self.final_losses([config])[0])

    def final_losses(self, configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self._answers([(MAX_EPOCHS, *(config[name] for name in INPUTS)) for config in configs])[0]

    def _answers(self, rows: Sequence[tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray]:
        """1 - validation accuracy, and the seconds since the start; a row is an epoch and a config."""
        session, encoding = _surrogate()
        task = np.full((len(rows), 1), encoding[self.openml_task], dtype=np.int32)
        output = session.run(None, {"x_cont": np.array(rows, dtype=np.float32), "x_cat": task})[0]
        return 1.0 - np.clip(output[:, 1], 0, 100) / 100.0, np.maximum(output[:, 0], 0.0)


def tasks() -> list[LCBench]:
    """The OpenML tasks in the data folder. Raises UserError if it is missing."""
    return [
        LCBench(
            "yahpo",
            f"lcbench-{openml_task}",
            "development" if openml_task in DEVELOPMENT else "holdout",
            _space(),
            max_epochs=MAX_EPOCHS,
            openml_task=openml_task,
        )
        for openml_task in _surrogate()[1]
        if openml_task != "#na#"
    ]


@functools.cache
def _space() -> Any:
    return load_space(
        {
            "batch_size": {"int": [16, 512], "log": True, "default": 91},
            "learning_rate": {"float": [1e-4, 1e-1], "log": True, "default": 0.0031622777},
            "max_dropout": {"float": [0.0, 1.0], "default": 0.5},
            "max_units": {"int": [64, 1024], "log": True, "default": 256},
            "momentum": {"float": [0.1, 0.99], "default": 0.545},
            "num_layers": {"int": [1, 5], "default": 3},
            "weight_decay": {"float": [1e-5, 1e-1], "default": 0.050005},
        }
    )


@functools.cache
def _surrogate() -> tuple[Any, dict[str, int]]:
    folder = Path(os.environ.get("YAHPO_DATA", "")) / "lcbench"
    if not (folder / "model.onnx").exists():
        raise UserError(
            "the suite 'yahpo' needs YAHPO Gym's data; clone github.com/slds-lmu/yahpo_data and set YAHPO_DATA to it"
        )
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"the suite 'yahpo' needs the package onnxruntime: {install_command('bench')}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    encoding = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))["OpenML_task_id"]
    return session, encoding
