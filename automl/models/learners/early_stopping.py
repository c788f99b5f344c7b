"""Early stopping for boosting, as in AutoGluon: stop when the validation loss has hardly improved for long."""

from __future__ import annotations

import math

MOST_ROUNDS = 10_000
PATIENCE, ROWS = 300, 10_000  # rounds without clear improvement before a fit stops, for up to ROWS rows; then fewer
LEAST_PATIENCE = 20
GROWTH = 0.3  # patience added per round until the last clear improvement: later ones are further apart
CLEAR = 1e-3  # relative to the loss: smaller improvements do not extend a fit


class EarlyStopping:
    """Receives the validation loss of each round, counted from 0, and remembers the best round."""

    def __init__(self, n_rows: int) -> None:
        """``n_rows``: number of training rows."""
        self.best_round = 0
        self._best = math.inf
        self._clear, self._since = math.inf, 0  # the last clear improvement
        self._patience = max(LEAST_PATIENCE, PATIENCE * min(1.0, ROWS / n_rows))

    @property
    def least_rounds(self) -> int:
        """The total number of rounds if there is no further improvement."""
        return int(self._since + self._patience + GROWTH * self._since) + 1

    def ends(self, round_: int, loss: float) -> bool:
        """Whether the fit stops after this round."""
        if loss < self._best:
            self._best, self.best_round = loss, round_
        if loss < (1.0 - CLEAR) * self._clear:
            self._clear, self._since = loss, round_
        return round_ - self._since > self._patience + GROWTH * self._since
