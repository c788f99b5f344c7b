"""When boosting stops: as AutoGluon's, by how long the validation loss has hardly improved."""

from __future__ import annotations

import math

MOST_ROUNDS = 10_000
PATIENCE, ROWS = 300, 10_000  # rounds without clear improvement before a fit stops, up to so many rows; then fewer
LEAST_PATIENCE = 20
GROWTH = 0.3  # of the patience, per round until then: later bests are further apart
CLEAR = 1e-3  # of the loss: a smaller improvement does not prolong a fit


class EarlyStopping:
    """Told the validation loss of each round, from 0; keeps the best round of all."""

    def __init__(self, n_rows: int) -> None:
        """``n_rows``: that the model is fitted to."""
        self.best_round = 0
        self._best = math.inf
        self._clear, self._since = math.inf, 0  # the last clear improvement
        self._patience = max(LEAST_PATIENCE, PATIENCE * min(1.0, ROWS / n_rows))

    @property
    def least_rounds(self) -> int:
        """The rounds of the fit in all, if no better one comes."""
        return int(self._since + self._patience + GROWTH * self._since) + 1

    def ends(self, round_: int, loss: float) -> bool:
        """Whether the fit stops after this round."""
        if loss < self._best:
            self._best, self.best_round = loss, round_
        if loss < (1.0 - CLEAR) * self._clear:
            self._clear, self._since = loss, round_
        return round_ - self._since > self._patience + GROWTH * self._since
