"""The constants of the simulated tasks: the best known loss and the median loss of a random config.

``python -m benchmarks.experiments.constants SUITE`` adds missing ones to suites/constants.json and never changes
existing ones. Holdout tasks are only included with ``--split holdout``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import typer
from scipy.optimize import differential_evolution

from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.runner.plan import TaskSource
from benchmarks.runner.simulate import Run, simulate
from benchmarks.suites import LIVE_REFERENCES
from benchmarks.suites.base import CONSTANTS, SimulatedTask
from benchmarks.suites.live_task import LiveTask
from benchmarks.suites.sklearn import SklearnTask
from benchmarks.suites.synthetic import Bbob
from benchmarks.suites.tables import TableOfTrainings
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from strategies.types import Config

N_RANDOM = 1_000
N_STARTS, N_STEPS = 20, 5_000
N_EVOLUTIONS, N_GENERATIONS, N_POPULATION = 4, 500, 60  # population size per hyperparameter
N_RANDOM_FITS, N_GUIDED_FITS = 100, 60  # trainings of scikit-learn's models
GUIDES = ("bo", "tpe")
SEED = 1_000_000


def main(
    suite: Annotated[str, typer.Argument(help="Suite whose missing constants are computed.")],
    split: Annotated[str, typer.Option(help="development or holdout")] = "development",
) -> None:
    """Compute and write the missing constants."""
    known = json.loads(CONSTANTS.read_text(encoding="utf-8")) if CONSTANTS.exists() else {}
    for task in TaskSource(suite, split).tasks():
        name = f"{task.suite}/{task.name}"
        if name not in known:
            known[name] = measure(task)
            print(f"{name}: best {known[name]['best']:.6g}, reference {known[name]['reference']:.6g}", flush=True)
            write_atomic(CONSTANTS, json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def measure(task: SimulatedTask) -> dict[str, Any]:
    """Best and reference of one task, and how they were computed."""
    if isinstance(task, LiveTask):
        return measure_live(task)
    if isinstance(task, SklearnTask):
        return measure_sklearn(task)
    rng = np.random.default_rng(0)
    encoding = Encoding(task.space)
    configs = [encoding.decode(point) for point in rng.random((N_RANDOM, len(encoding.dimensions)))]
    losses = task.final_losses(configs)
    reference = float(np.median(losses))
    seconds = float(np.mean([task.curve(config, 0, task.max_epochs).seconds.sum() for config in configs[:200]]))
    facts = {"reference": reference, "seconds": seconds}
    how = f"reference: median of {N_RANDOM} random configs; best: "
    if isinstance(task, TableOfTrainings):
        return {**facts, "best": float(task.all_final_losses().min()), "provenance": how + "of the whole table"}
    if isinstance(task, Bbob) and not task.mixed:
        return {**facts, "best": 0.0, "provenance": how + "by construction"}
    climbed = min(climb(task, encoding, configs[i], rng) for i in np.argsort(losses)[:N_STARTS])
    evolved = min(evolve(task, encoding, seed) for seed in range(N_EVOLUTIONS))
    how += f"{N_STEPS} local steps from each of the best {N_STARTS} of them, and {N_EVOLUTIONS} differential evolutions"
    return {**facts, "best": min(climbed, evolved), "provenance": how}


def measure_live(task: LiveTask) -> dict[str, Any]:
    """The same from real trainings, with a seed not used in comparisons."""
    losses, seconds = {}, []
    for strategy, n_trials in LIVE_REFERENCES.items():
        run = Run(task.suite, task.name, strategy, SEED, n_trials)
        rows = pd.DataFrame(simulate(run, task, lambda n_steps: 0.0))
        losses[strategy] = rows["worth"].dropna()
        seconds.append(rows["at_seconds"].max() / n_trials)
    what, (n_random, n_tpe) = "test loss of a training, where there is a test set", LIVE_REFERENCES.values()
    how = f"{what}; reference: median of {n_random} random configs; best: of these and {n_tpe} of tpe"
    best = float(min(values.min() for values in losses.values()))
    reference = float(losses["random"].iloc[1:].median())  # the first is the default
    return {"reference": reference, "seconds": float(seconds[0]), "best": best, "provenance": how}


def measure_sklearn(task: SklearnTask) -> dict[str, Any]:
    """The best of all stored trainings, including those of two strategies with an otherwise unused seed."""
    rng = np.random.default_rng(SEED)
    encoding = Encoding(task.space)
    found = [task.training(encoding.decode(rng.random(len(encoding.dimensions)))) for _ in range(N_RANDOM_FITS)]
    reference = float(np.median([np.inf if training.loss is None else training.loss for training in found]))
    for strategy in GUIDES:
        simulate(Run(task.suite, task.name, strategy, SEED, N_GUIDED_FITS), task, lambda n_steps: 0.0)
    losses = task.kept.losses()
    how = f"reference: median of {N_RANDOM_FITS} random configs; best: of {len(losses)} different configs, "
    how += f"{N_GUIDED_FITS} each of {' and '.join(GUIDES)} with the seed {SEED} among them"
    seconds = float(np.mean([training.seconds for training in found]))
    return {"reference": reference, "seconds": seconds, "best": min(losses), "provenance": how}


def climb(task: SimulatedTask, encoding: Encoding, config: Config, rng: np.random.Generator) -> float:
    """The lowest loss found by N_STEPS random local changes of the best config so far, at several scales."""
    best = _final_loss(task, config)
    places = [i for i, dimension in enumerate(encoding.dimensions) if dimension.n_values > 1]
    for _ in range(N_STEPS):
        point = encoding.encode(config)
        for i in rng.choice(places, size=min(len(places), int(rng.integers(1, 4))), replace=False):
            moved = point[i] + rng.normal() * 10 ** rng.uniform(-4, 0)
            point[i] = moved if encoding.dimensions[i].numeric and 0 <= moved <= 1 else rng.random()
        neighbour = encoding.decode(point)
        loss = _final_loss(task, neighbour) if encoding.allows(neighbour) else np.inf
        if loss <= best:
            config, best = neighbour, loss
    return best


def evolve(task: SimulatedTask, encoding: Encoding, seed: int) -> float:
    """The lowest loss found by differential evolution in the unit cube (R. Storn and K. Price 1997; scipy).

    With random base vectors, since with the best one it converges to a local optimum too early.
    """

    def losses(points: np.ndarray) -> np.ndarray:
        configs = [encoding.decode(point) for point in points.T]
        allowed = np.array([encoding.allows(config) for config in configs])
        result = np.full(len(configs), np.inf)
        result[allowed] = task.final_losses([config for config, is_in in zip(configs, allowed, strict=True) if is_in])
        return result

    bounds = [(0.0, 1.0)] * len(encoding.dimensions)
    found = differential_evolution(
        losses, bounds, strategy="rand1bin", mutation=(0.3, 0.9), maxiter=N_GENERATIONS, popsize=N_POPULATION,
        tol=1e-10, polish=False, rng=seed, vectorized=True, updating="deferred",
    )  # fmt: skip
    return float(found.fun)


def _final_loss(task: SimulatedTask, config: Config) -> float:
    loss = task.final_loss(config)
    assert loss is not None
    return loss


if __name__ == "__main__":
    run_command(main)
