"""Which configs of a search are compared once more on fresh seeds, and which of them a run returns.

The lowest of many noisy losses is partly luck. With a small budget the search cannot afford to train its best configs
again, so the best few are compared on seeds that none of them was chosen by. The final of a run and the benchmarks
follow the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from automl.study.study import Study
from automl.study.trial import Trial, incumbent

MAX_CONTENDERS = 3
MANY_TRAININGS = 50  # a budget that pays for repeats in the search itself: a best config that had them stands alone

Scores = Sequence[float | None]  # one a seed, None where the training failed; a single one may stand for all seeds


def contenders(study: Study, default: Mapping[str, Any], n_trainings: float) -> list[Trial]:
    """A trial for each of the configs to compare, the best in the search first; empty where no trial has a loss.

    The incumbent and the configs with the next lowest losses among those trained whole, MAX_CONTENDERS in all; the
    incumbent alone where a search of MANY_TRAININGS full trainings' worth of epochs repeated it. A config that was
    trained several times counts by its mean; the default, which takes part in any case, is among them only as the
    incumbent.
    """
    best = study.best
    if best is None:
        return []
    is_repeated = n_trainings >= MANY_TRAININGS and len(best.trainings) > 1
    if is_repeated or best.epochs < study.max_epochs:
        return [best]
    by_config: dict[str, list[Trial]] = {}
    for trial in study.trials.values():
        is_whole = trial.loss is not None and trial.state != "running" and trial.epochs >= study.max_epochs
        if is_whole and trial.config != default:
            by_config.setdefault(repr(sorted(trial.config.items())), []).append(trial)
    others = [trials for trials in by_config.values() if best not in trials]
    others.sort(key=lambda trials: (np.mean([trial.loss for trial in trials]), trials[0].number))
    rest = [incumbent(trials) for trials in others[: MAX_CONTENDERS - 1]]
    return [best, *(trial for trial in rest if trial is not None)]


def best_contender(scores: Sequence[Scores], *, maximize: bool) -> int:
    """The place of the contender to return: of those that failed least often, the one with the best mean score.

    ``scores``: of each contender on the same seeds, on validation data. A tie goes to the earlier one.
    """
    sign = -1.0 if maximize else 1.0

    def key(place: int) -> tuple[float, float]:
        known = [score for score in scores[place] if score is not None]
        return 1 - len(known) / len(scores[place]), sign * float(np.mean(known)) if known else np.inf

    return min(range(len(scores)), key=key)


def prefers_default(chosen: Scores, default: Scores, *, maximize: bool) -> bool:
    """Whether a run returns the default config: where it is better on validation, without a look at the test set.

    The mean over the seeds with which neither failed decides. A tie is the chosen one's; where all its trainings
    failed, the default is returned, but not where more of its own failed.
    """
    chosen, default = paired(chosen, default)
    gains = [d - c for c, d in zip(chosen, default, strict=True) if c is not None and d is not None]
    if gains and default.count(None) <= chosen.count(None):
        gain = float(np.mean(gains))
        return (gain if maximize else -gain) > 0
    return all(score is None for score in chosen) and any(score is not None for score in default)


def paired(a: Scores, b: Scores) -> tuple[list[float | None], list[float | None]]:
    """Both seed by seed: the single score of a training that does not depend on its seed stands for every seed."""
    n = max(len(a), len(b))
    return [*a] * (n if len(a) == 1 else 1), [*b] * (n if len(b) == 1 else 1)
