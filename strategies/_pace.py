"""Whether a strategy keeps up with its workers."""

from __future__ import annotations

from collections import deque

FEW_WORKERS = 8  # with at most this many, any cost of a strategy is worth it
WINDOW = 32  # trainings over which both are measured


class Pace:
    """The strategy's and the training seconds per outcome, over the latest outcomes."""

    def __init__(self) -> None:
        self._thinking = self._training = 0.0  # seconds in total
        self._marks: deque[tuple[float, float]] = deque(maxlen=WINDOW + 1)  # both after each of the latest outcomes
        self._n_workers = 1

    def charge(self, seconds: float, n_workers: int) -> None:
        """Add seconds of the strategy."""
        self._thinking += seconds
        self._n_workers = n_workers

    def told(self, seconds: float) -> None:
        """Add an outcome, with the seconds of its training."""
        self._training += seconds
        self._marks.append((self._thinking, self._training))

    def restart(self) -> None:
        """Restart the measurement after a change of strategy."""
        self._marks.clear()

    @property
    def is_too_slow(self) -> bool:
        """Whether workers wait: the strategy needs longer for all of them than one training takes."""
        return self._n_workers > FEW_WORKERS and len(self._marks) > WINDOW and self._share > 1.0

    @property
    def _share(self) -> float:
        """The strategy's seconds for all workers, as a share of a training's."""
        thinking, training = self._spans
        return thinking * self._n_workers / max(1e-9, training)

    @property
    def _spans(self) -> tuple[float, float]:
        """Seconds of the strategy and of training within the window."""
        if not self._marks:
            return 0.0, 0.0
        (thinking, training), (thinking_now, training_now) = self._marks[0], self._marks[-1]
        return thinking_now - thinking, training_now - training

    def __str__(self) -> str:
        thinking, training = (span / WINDOW for span in self._spans)
        return (
            f"the strategy takes {_rounded(thinking)} s per training of {_rounded(training)} s, too long for "
            f"{self._n_workers} workers"
        )


def _rounded(seconds: float) -> str:
    return f"{float(f'{seconds:.2g}'):g}"
