"""How many trainings share a GPU, from their expected memory use and from those that ran out of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_SHARE = 0.85  # of a card's memory, for the expected peaks of its trainings
N_ALONE = 2  # trainings measured alone before any share a card
RIDGE = 0.1  # ridge penalty, for standardised features


@dataclass(frozen=True)
class Memory:
    """The peak memory of a training on its card, and the card's total, in bytes."""

    peak: int
    total: int


@dataclass(frozen=True)
class Span:
    """A training on a card, between two times on the executor's clock."""

    card: int
    start: float
    end: float
    peak: int  # bytes
    total: int  # of the card


class Admission:
    """Decides which jobs may share a card, and how many.

    The first trainings are alone on their cards. If none reports its memory use, only the slots limit the number.
    """

    def __init__(self, slots: Mapping[int, int]) -> None:
        """``slots``: maximum number of jobs at a time, by card."""
        self._slots = dict(slots)
        self._running: dict[int, dict[int, Mapping[str, Any]]] = {card: {} for card in slots}  # configs, by job
        self._most: dict[int, int] = {}  # by job: most jobs on its card at a time since it began
        self._known: list[tuple[Mapping[str, Any], Memory]] = []
        self._is_silent = False

    def has_room(self, card: int, config: Mapping[str, Any]) -> bool:
        """Whether a job may start on a card now."""
        running = list(self._running[card].values())
        if not running:
            return True
        if len(running) >= self._slots[card]:
            return False
        if self._is_silent:
            return True
        if len(self._known) < N_ALONE:
            return False
        total = self._known[-1][1].total
        return sum(map(self.expected_peak, [*running, config])) < MAX_SHARE * total

    def began(self, card: int, key: int, config: Mapping[str, Any]) -> None:
        """Record that a job has started."""
        running = self._running[card]
        running[key] = config
        self._most.update((job, max(self._most.get(job, 0), len(running))) for job in running)

    def n_running(self, card: int) -> int:
        """The number of jobs on a card."""
        return len(self._running[card])

    def ended(self, card: int, key: int, memory: Memory | None) -> None:
        """Record that a job has ended, and its memory use if known."""
        config = self._running[card].pop(key)
        del self._most[key]
        if memory is not None:
            self._known.append((config, memory))
        self._is_silent = not self._known

    def left(self, card: int, key: int) -> None:
        """Record that a job is gone, for example because its process died."""
        self._running[card].pop(key, None)
        self._most.pop(key, None)

    def ran_out(self, card: int, key: int) -> bool:
        """Record that a job ran out of memory. Returns whether it has shared its card, which may be the reason: then
        fewer jobs will share it. All jobs since it began count, as some may have ended by now.
        """
        del self._running[card][key]
        most = self._most.pop(key)
        if most > 1:
            self._slots[card] = min(self._slots[card], most // 2)
        return most > 1

    def expected_peak(self, config: Mapping[str, Any]) -> float:
        """The expected peak memory of a training in bytes, plus one standard deviation of the errors.

        By ridge regression of its logarithm on the hyperparameters, with numbers on a log scale.
        """
        same = [memory.peak for known, memory in self._known if known == config]
        if same:
            return float(max(same))
        logs = np.log([max(1, memory.peak) for _, memory in self._known])
        X = _features([*(known for known, _ in self._known), config])
        known, new = X[:-1], X[-1]
        centre, scale = known.mean(0), known.std(0) + 1e-9
        varies = scale > 1e-6  # constant features are uninformative
        Z, z = ((known - centre) / scale)[:, varies], ((new - centre) / scale)[varies]
        slopes = np.linalg.solve(Z.T @ Z + RIDGE * np.eye(Z.shape[1]), Z.T @ (logs - logs.mean()))
        errors = logs - logs.mean() - Z @ slopes
        return float(np.exp(logs.mean() + z @ slopes + errors.std()))


def _features(configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Shape (n, features): numbers on a log scale, 0 if inactive, and an indicator of each other value."""
    columns = []
    for name in sorted(set().union(*configs)):
        values = [config.get(name) for config in configs]
        if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
            columns.append([0.0 if value is None else float(np.log1p(abs(value))) for value in values])
        else:
            columns += [[float(str(value) == one) for value in values] for one in sorted(set(map(str, values)))]
    return np.array(columns).T
