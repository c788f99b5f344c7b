"""A search over candidates evaluated fold by fold, which stops candidates that are unlikely to become the best.

O. Maron and A. Moore, Hoeffding Races (NIPS 1993); M. Birattari et al., A Racing Algorithm for Configuring
Metaheuristics (GECCO 2002). Candidates are stopped by their probability of winning, as in stochastic curtailment of
clinical trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automl.space.distributions import Parameters
from strategies.base import Outcome, Proposal, Strategy
from strategies.threads import one_thread

MIN_COMPLETE = 5  # complete candidates needed to estimate the variance between folds, before any is stopped
CHANCE = 0.05  # probability of becoming the best below which a candidate is stopped


@dataclass
class RacingCandidate:
    """Candidate parameters, and the results of scikit-learn's ``_fit_and_score`` for the folds so far, in order."""

    number: int
    proposal: Proposal
    parameters: dict[str, Any]
    fits: list[dict[str, Any]] = field(default_factory=list)
    n_given: int = 0  # folds handed out
    stopped: bool = False


class FoldSearch:
    """Hands out fits of one candidate on one fold each, and reports candidates to the strategy.

    The fits handed out depend on the scores and on the number requested, not on the order of finishing.
    """

    def __init__(
        self,
        strategy: Strategy,
        parameters: Parameters,
        *,
        n_candidates: int,
        n_folds: int,
        metric: str | None,
        early_stopping: bool,
    ) -> None:
        """``metric``: the score to maximise if there are several; the first if none has this name."""
        self.candidates: list[RacingCandidate] = []
        self._strategy = strategy
        self._parameters = parameters
        self._n_candidates = n_candidates
        self._n_folds = n_folds
        self._metric = metric
        self._early_stopping = early_stopping
        self._active: list[RacingCandidate] = []
        self._complete = np.empty((0, n_folds))  # scores of the candidates that were neither stopped nor failed

    def next_fits(self, n: int) -> list[tuple[RacingCandidate, int]]:
        """Up to n fits to run in parallel, as candidates and folds; empty when the search is over.

        New candidates are started only if existing ones do not fill the n, so that the strategy has as many results as
        possible.
        """
        fits: list[tuple[RacingCandidate, int]] = []
        for candidate in self._active:
            fits += self._of(candidate, n - len(fits))
        while len(fits) < n and len(self.candidates) < self._n_candidates:
            with one_thread():
                proposal = self._strategy.ask()
            if proposal is None:
                break
            candidate = RacingCandidate(len(self.candidates), proposal, self._parameters.of(proposal.config))
            self.candidates.append(candidate)
            self._active.append(candidate)
            fits += self._of(candidate, n - len(fits))
        return fits

    def enter(self, fits: list[tuple[RacingCandidate, int]], results: list[dict[str, Any]]) -> None:
        """Enter the results of the fits from ``next_fits``."""
        for (candidate, _), result in zip(fits, results, strict=True):
            candidate.fits.append(result)
        for candidate in list(self._active):
            complete = len(candidate.fits) == self._n_folds
            if not complete and self._early_stopping and candidate.fits:
                candidate.stopped = self._cannot_win(self._scores(candidate))
            if complete or candidate.stopped:
                self._active.remove(candidate)
                self._tell(candidate)

    def _of(self, candidate: RacingCandidate, n: int) -> list[tuple[RacingCandidate, int]]:
        """The candidate's next folds: only one with early stopping, whose score decides whether to continue."""
        n = min(n, self._n_folds - candidate.n_given, 1 if self._early_stopping else self._n_folds)
        candidate.n_given += n
        return [(candidate, fold) for fold in range(candidate.n_given - n, candidate.n_given)]

    def _scores(self, candidate: RacingCandidate) -> np.ndarray:
        scores = [fit["test_scores"] for fit in candidate.fits]
        first = next((score for score in scores if isinstance(score, dict)), {})
        metric = self._metric if self._metric in first else next(iter(first), None)
        return np.array([score[metric] if isinstance(score, dict) else score for score in scores], dtype=float)

    def _cannot_win(self, scores: np.ndarray) -> bool:
        if not np.isfinite(scores).all():
            return True  # its mean will be NaN
        if len(self._complete) < MIN_COMPLETE:
            return False
        return chance_to_win(scores, self._complete) < CHANCE

    def _tell(self, candidate: RacingCandidate) -> None:
        scores = self._scores(candidate)
        error = next((fit["fit_error"] for fit in candidate.fits if fit["fit_error"] is not None), None)
        loss = -float(scores.mean())
        if candidate.stopped and math.isfinite(loss):
            # Some folds are harder than others, so the mean over some is adjusted to the scale of all.
            best = _best(self._complete)
            loss = -float(best.mean() + (scores - best[: len(scores)]).mean())
        elif error is None and math.isfinite(loss):
            self._complete = np.vstack([self._complete, scores])
        seconds = float(sum(fit["fit_time"] + fit["score_time"] for fit in candidate.fits))
        with one_thread():
            self._strategy.tell(Outcome(candidate.proposal, (loss,), seconds, error))


def chance_to_win(scores: np.ndarray, complete: np.ndarray) -> float:
    """The probability that a candidate with these scores on the first k folds ends above the best complete one.

    ``complete``: scores of the complete candidates, shape (m, n). Differences to the best one on the same fold are
    assumed normal, with a common standard deviation s, estimated from the complete candidates. After k of n folds with
    mean d, the mean over all is then d + s sqrt((n - k) / (n k)) t, where t follows Student's distribution with the
    degrees of freedom of s.
    """
    from scipy import stats

    best = _best(complete)
    k, n = len(scores), len(best)
    others = np.delete(complete - best, complete.mean(axis=1).argmax(), axis=0)
    freedom = len(others) * (n - 1)
    deviation = math.sqrt(((others - others.mean(axis=1, keepdims=True)) ** 2).sum() / freedom)
    if deviation == 0.0:
        return 1.0  # the variance between folds cannot be estimated
    gap = float((scores - best[:k]).mean())
    return float(stats.t.cdf(gap / (deviation * math.sqrt((n - k) / (n * k))), freedom))


def _best(complete: np.ndarray) -> np.ndarray:
    row: np.ndarray = complete[complete.mean(axis=1).argmax()]
    return row
