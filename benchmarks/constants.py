"""The constants of the simulated tasks: the best known loss and the median loss of a random config.

``python -m benchmarks.constants SUITE`` adds those that are missing to suites/constants.json; existing ones are never
moved. Holdout tasks are left out unless named by ``--split holdout``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from automl.outputs import write_aside
from benchmarks.suites import load_suite
from benchmarks.suites.base import CONSTANTS, SimulatedTask
from benchmarks.suites.synthetic import Bbob
from benchmarks.suites.tables import Table
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from strategies.base import Config

N_RANDOM = 1_000
N_SEARCH = 10_000


def main(
    suite: Annotated[str, typer.Argument(help="Suite whose missing constants are to be found.")],
    split: Annotated[str, typer.Option(help="development or holdout")] = "development",
) -> None:
    """Find and write them."""
    known = json.loads(CONSTANTS.read_text(encoding="utf-8")) if CONSTANTS.exists() else {}
    for task in load_suite(suite):
        name = f"{task.suite}/{task.name}"
        if task.split == split and name not in known:
            known[name] = measure(task)
            print(f"{name}: best {known[name]['best']:.6g}, reference {known[name]['reference']:.6g}", flush=True)
            write_aside(CONSTANTS, json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def measure(task: SimulatedTask) -> dict[str, Any]:
    """Best and reference of one task, and how they were found."""
    rng = np.random.default_rng(0)
    encoding = Encoding(task.space)
    configs = [encoding.decode(point) for point in rng.random((N_RANDOM, len(encoding.dimensions)))]
    worths = np.array([task.worth(config) for config in configs])
    reference = float(np.median(worths))
    seconds = float(np.mean([task.curve(config, 0).seconds.sum() for config in configs[:200]]))
    facts = {"reference": reference, "seconds": seconds}
    how = f"reference: median of {N_RANDOM} random configs; best: "
    if isinstance(task, Table):
        return {**facts, "best": float(task.all_worths().min()), "provenance": how + "of the whole table"}
    if isinstance(task, Bbob) and not task.mixed:
        return {**facts, "best": 0.0, "provenance": how + "by construction"}
    best = climb(task, encoding, configs[int(worths.argmin())], rng)
    return {**facts, "best": best, "provenance": how + f"random search, then {N_SEARCH} local steps"}


def climb(task: SimulatedTask, encoding: Encoding, config: Config, rng: np.random.Generator) -> float:
    """The lowest loss that N_SEARCH random changes of the best config so far find."""
    best = task.worth(config)
    for _ in range(N_SEARCH):
        neighbour = encoding.neighbour(config, rng, n_changes=int(rng.integers(1, 3)))
        loss = task.worth(neighbour)
        if loss <= best:
            config, best = neighbour, loss
    return best


if __name__ == "__main__":
    typer.run(main)
