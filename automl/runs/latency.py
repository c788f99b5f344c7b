"""The prediction time per row of an ensemble's members, and which to leave out if it is too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from automl.data.datasets.registry import load_data
from automl.runs.member_candidates import MemberCandidate
from automl.runs.selection import Selection, choose

if TYPE_CHECKING:
    from automl.models.trained import TrainedModel
    from automl.tasks.cross_validated import CrossValidated

MAX_ROWS = 1_000  # predicted at once in a measurement
N_TIMES = 3  # measurements; the fastest counts, since other processes may use the core


def milliseconds_per_row(task: CrossValidated, models: Sequence[TrainedModel]) -> float:
    """Milliseconds per row when all models of a member predict many rows at once."""
    from automl.deployment.predictor import predictions

    family = models[0].preprocessing.model
    x = load_data(task.data_of(family), None, True).x_train[:MAX_ROWS]
    seconds = []
    for _ in range(N_TIMES):
        start = time.perf_counter()
        for model in models:
            predictions(model, x)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds) / len(x)


def fast_enough(
    task: CrossValidated, chosen: Selection, latency: Callable[[MemberCandidate], float], max_latency: float
) -> tuple[Selection, Mapping[int, float]]:
    """Drop the members that contribute least for their latency, until the ensemble takes at most ``max_latency``.

    ``max_latency``: milliseconds per row. ``latency``: returns that of a member. At least one member remains, the
    fastest if none is fast enough. Also returns the latencies of the members, by trial.
    """
    known = {number: latency(member) for number, member in chosen.members.items()}
    fitting = [member for number, member in chosen.members.items() if known[number] <= max_latency]
    if not fitting:
        fastest = min(known, key=lambda number: known[number])
        return choose(task, [chosen.members[fastest]], None), known
    if len(fitting) < len(known):
        chosen = choose(task, fitting, None)
    while (total := sum(known[number] for number in chosen.members)) > max_latency:
        chosen = min(
            (choose(task, [chosen.members[other] for other in chosen.members if other != number], None)
             for number in chosen.members),
            key=partial(_price, chosen.loss, total, known),
        )  # fmt: skip
    return chosen, known


def _price(loss: float, total: float, known: Mapping[int, float], other: Selection) -> float:
    """The increase in loss per millisecond saved if ``other`` replaces a choice with this loss and latency."""
    return (other.loss - loss) / (total - sum(known[number] for number in other.members))
