"""How many trainings share a graphics card: by what they are expected to take of its memory, and what ran out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SHARE = 0.85  # of a card, that the expected peaks of its trainings may add up to
N_ALONE = 2  # trainings that are measured before any has neighbours
RIDGE = 0.1  # penalty of the slopes, for standardised features


@dataclass(frozen=True)
class Memory:
    """What a training took of its card at most, and what the card has, in bytes."""

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
    """Which jobs may start beside others, and how many share each card.

    The first trainings are alone on their cards. Where none says what it took, there is no limit but the slots.
    """

    def __init__(self, slots: Mapping[int, int]) -> None:
        """``slots``: how many jobs may run at a time, by card."""
        self._slots = dict(slots)
        self._running: dict[int, dict[int, Mapping[str, Any]]] = {card: {} for card in slots}  # configs, by job
        self._most: dict[int, int] = {}  # by job: on its card at a time since it began, itself included
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
        return sum(map(self.expected_peak, [*running, config])) < SHARE * total

    def began(self, card: int, key: int, config: Mapping[str, Any]) -> None:
        """A job has started."""
        running = self._running[card]
        running[key] = config
        self._most.update((job, max(self._most.get(job, 0), len(running))) for job in running)

    def n_running(self, card: int) -> int:
        """How many jobs a card has."""
        return len(self._running[card])

    def ended(self, card: int, key: int, memory: Memory | None) -> None:
        """A job has ended, and says what it took if it can."""
        config = self._running[card].pop(key)
        del self._most[key]
        if memory is not None:
            self._known.append((config, memory))
        self._is_silent = not self._known

    def left(self, card: int, key: int) -> None:
        """A job is gone, such as one whose process has died."""
        self._running[card].pop(key, None)
        self._most.pop(key, None)

    def ran_out(self, card: int, key: int) -> bool:
        """A job has run out of memory. Returns whether it has had others beside it since it began, which may be why:
        then fewer will be. Those that are there now say nothing, as one may have ended since.
        """
        del self._running[card][key]
        most = self._most.pop(key)
        if most > 1:
            self._slots[card] = min(self._slots[card], most // 2)
        return most > 1

    def expected_peak(self, config: Mapping[str, Any]) -> float:
        """Bytes that a training is expected to take, and one standard deviation of the errors more.

        By a ridge regression of the logarithm on the hyperparameters, numbers on a log scale.
        """
        same = [memory.peak for known, memory in self._known if known == config]
        if same:
            return float(max(same))
        logs = np.log([max(1, memory.peak) for _, memory in self._known])
        X = _features([*(known for known, _ in self._known), config])
        known, new = X[:-1], X[-1]
        centre, scale = known.mean(0), known.std(0) + 1e-9
        varies = scale > 1e-6  # what was the same in all says nothing
        Z, z = ((known - centre) / scale)[:, varies], ((new - centre) / scale)[varies]
        slopes = np.linalg.solve(Z.T @ Z + RIDGE * np.eye(Z.shape[1]), Z.T @ (logs - logs.mean()))
        errors = logs - logs.mean() - Z @ slopes
        return float(np.exp(logs.mean() + z @ slopes + errors.std()))


def _features(configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(n, features): numbers on a log scale, 0 where they are inactive, and an indicator of each other value."""
    columns = []
    for name in sorted(set().union(*configs)):
        values = [config.get(name) for config in configs]
        if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
            columns.append([0.0 if value is None else float(np.log1p(abs(value))) for value in values])
        else:
            columns += [[float(str(value) == one) for value in values] for one in sorted(set(map(str, values)))]
    return np.array(columns).T
