"""How long the members of an ensemble take for a row, and which of them to leave out where that is too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from automl.data.datasets.registry import load_data
from automl.runs.candidates import Candidate
from automl.runs.selection import Chosen, choose

if TYPE_CHECKING:
    from automl.models.trained import TrainedModel
    from automl.tasks.cross_validated import CrossValidated

MOST_ROWS = 1_000  # that are predicted to measure, in one go
N_TIMES = 3  # of which the fastest counts: others may use the same core


def milliseconds_per_row(task: CrossValidated, models: Sequence[TrainedModel]) -> float:
    """Of predicting many rows at once by all of a member's models."""
    from automl.deployment.predictor import predictions

    family = models[0].preprocessing.model
    x = load_data(task.data_of(family), None, True).x_train[:MOST_ROWS]
    seconds = []
    for _ in range(N_TIMES):
        start = time.perf_counter()
        for model in models:
            predictions(model, x)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds) / len(x)


def fast_enough(
    task: CrossValidated, chosen: Chosen, latency: Callable[[Candidate], float], most: float
) -> tuple[Chosen, Mapping[int, float]]:
    """The choice without the members that cost least for the time that they take, until it keeps ``most``.

    ``most``: milliseconds per row. ``latency``: those of a member. One member remains in any case, the fastest where
    none is fast enough. Returns also the latencies of the members, by trial.
    """
    known = {number: latency(member) for number, member in chosen.members.items()}
    fitting = [member for number, member in chosen.members.items() if known[number] <= most]
    if not fitting:
        fastest = min(known, key=lambda number: known[number])
        return choose(task, [chosen.members[fastest]], None), known
    if len(fitting) < len(known):
        chosen = choose(task, fitting, None)
    while (total := sum(known[number] for number in chosen.members)) > most:
        chosen = min(
            (choose(task, [chosen.members[other] for other in chosen.members if other != number], None)
             for number in chosen.members),
            key=partial(_price, chosen.loss, total, known),
        )  # fmt: skip
    return chosen, known


def _price(loss: float, total: float, known: Mapping[int, float], other: Chosen) -> float:
    """The loss of another choice over one with this loss and latency, for each millisecond that it saves."""
    return (other.loss - loss) / (total - sum(known[number] for number in other.members))
