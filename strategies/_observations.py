"""What a model of the loss is fitted to: one observation per trial, or one per trial and rung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies._ladder import Ladder, rungs_of
from strategies.base import LARGEST_LOSS, Outcome

MAX_BEST, MAX_LATEST, MAX_OTHERS = 200, 200, 100  # observations kept if there are more, since fitting is O(n^3)


@dataclass(frozen=True)
class Observed:
    """The model's data: one row per trial or, if trials differ in length, one per trial and rung."""

    trial: np.ndarray  # index of the told trial, (rows,)
    share: np.ndarray  # share of a full training on a log scale: 0 for one epoch, 1 for all, (rows,)
    losses: np.ndarray  # on the scale of a full training, (rows,)
    final: np.ndarray  # each config's loss at its highest rung, (n,); the worst for a failed or promoting trial


def observed(outcomes: list[Outcome], max_epochs: int) -> Observed:
    """Losses at lower rungs are shifted by the median steps to the top; failures get the worst loss."""
    worked = [outcome for outcome in outcomes if outcome.loss is not None]
    ladder = Ladder(rungs_of(worked, max_epochs))
    for outcome in worked:
        ladder.enter(outcome)
    steps = ladder.steps()
    place = {outcome.proposal.trial: i for i, outcome in enumerate(outcomes)}
    rows = [(place[number], rung, loss) for number, losses in ladder.losses.items() for rung, loss in losses.items()]
    trial, rung = (np.array(column, dtype=int) for column in list(zip(*rows, strict=True))[:2])
    rise = np.array([sum(steps[k:]) for k in range(len(ladder.levels))])
    losses = np.clip(np.array([loss for _, _, loss in rows], dtype=float) + rise[rung], -LARGEST_LOSS, LARGEST_LOSS)
    share = np.log(ladder.levels)[rung] / np.log(max_epochs) if len(ladder.levels) > 1 else np.ones(len(rows))
    worst = losses.max()
    final = np.full(len(outcomes), worst)
    upwards = np.argsort(rung, kind="stable")
    final[trial[upwards]] = losses[upwards]  # the last assignment, at the highest rung, wins
    failed = np.array([i for i, outcome in enumerate(outcomes) if outcome.loss is None], dtype=int)
    return Observed(
        np.concatenate([trial, failed]),
        np.concatenate([share, np.ones(len(failed))]),
        np.concatenate([losses, np.full(len(failed), worst)]),
        final,
    )


def chosen(losses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of the observations for the model: all, or if too many, the best, the latest and a random sample."""
    n = len(losses)
    if n <= MAX_BEST + MAX_LATEST + MAX_OTHERS:
        return np.arange(n)
    keep = np.zeros(n, dtype=bool)
    keep[n - MAX_LATEST :] = True
    keep[np.argsort(losses[: n - MAX_LATEST], kind="stable")[:MAX_BEST]] = True
    keep[rng.choice(np.flatnonzero(~keep), size=MAX_OTHERS, replace=False)] = True
    return np.flatnonzero(keep)


def finished_best(outcomes: list[Outcome], max_epochs: int) -> int | None:
    """The index of the lowest loss among this run's own fully trained trials."""
    losses = {
        i: outcome.loss
        for i, outcome in enumerate(outcomes)
        if outcome.loss is not None and not outcome.stopped and outcome.proposal.epochs >= max_epochs
        if outcome.proposal.trial >= 0
    }
    return min(losses, key=lambda i: (losses[i], outcomes[i].proposal.trial), default=None)


def worst_counted(losses: np.ndarray) -> float:
    """The clipping threshold for losses: the median plus twice the distance from the best to the median.

    How bad a bad config is carries no useful information, and one huge loss would dominate the scale.
    """
    best, median = losses.min(), float(np.median(losses))
    spread = median - best or min((loss - best for loss in losses if loss > best), default=0.0)
    return float(median + 2.0 * spread)


def standardised(losses: np.ndarray) -> np.ndarray:
    """Losses clipped at ``worst_counted``, with mean 0 and standard deviation 1."""
    clipped = np.minimum(losses, worst_counted(losses))
    return np.asarray((clipped - clipped.mean()) / (clipped.std() or 1.0))
