"""Early stopping for boosting, as in AutoGluon: stop when the validation loss has hardly improved for long."""

from __future__ import annotations

import math

from automl.models.learners.fit_watch import FitWatch

MAX_ROUNDS = 10_000
USEFUL_ROUNDS = 100  # from which a fit is worth keeping when its time is up
PATIENCE = 300  # rounds without clear improvement before a fit stops, for up to ROWS rows; then fewer
PATIENCE_FOR_CLASSES = 150  # on eight development tables, log loss was never lower after more
ROWS = 10_000
MIN_PATIENCE = 20
GROWTH = 0.3  # patience added per round until the last clear improvement: later ones are further apart
MIN_IMPROVEMENT = 1e-3  # relative to the loss: smaller improvements do not extend a fit


class EarlyStopping:
    """Receives the validation loss of each round, counted from 0, and remembers the best round."""

    def __init__(
        self, n_rows: int, max_seconds: float | None = None, aborts_if_late: bool = True, *, classes: bool = False
    ) -> None:
        """``n_rows``: number of training rows. ``max_seconds`` and ``aborts_if_late``: those of the learner."""
        self._watch, self._aborts_if_late = FitWatch(0, max_seconds, "rounds"), aborts_if_late
        self.best_round = 0
        self._best = math.inf
        self._clear, self._since = math.inf, 0  # the last clear improvement
        self._patience = max(MIN_PATIENCE, (PATIENCE_FOR_CLASSES if classes else PATIENCE) * min(1.0, ROWS / n_rows))

    @property
    def _least_rounds(self) -> int:
        """The total number of rounds if there is no further improvement."""
        return int(self._since + self._patience + GROWTH * self._since) + 1

    def ends(self, round_: int, loss: float) -> bool:
        """Whether the fit stops after this round. TooSlow if it would be of no use when its time is up."""
        if loss < self._best:
            self._best, self.best_round = loss, round_
        if loss < (1.0 - MIN_IMPROVEMENT) * self._clear:
            self._clear, self._since = loss, round_
        n_done = round_ + 1
        if round_ - self._since > self._patience + GROWTH * self._since:
            return True
        if n_done >= USEFUL_ROUNDS:
            return self._watch.is_over
        if self._aborts_if_late:
            self._watch.done(n_done, min(USEFUL_ROUNDS, self._least_rounds))
        return False
