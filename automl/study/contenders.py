"""The configs of a search that are compared again on fresh seeds, and the choice among them.

The lowest of many noisy losses is optimistically biased, so the best few configs are compared on seeds that were not
used to choose them. The final of a run and the benchmarks follow the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from automl.study.study import Study
from automl.study.trial import Trial, incumbent

MAX_CONTENDERS = 3

Scores = Sequence[float | None]  # one per seed, None for a failed training; a single one may stand for all seeds


def contenders(study: Study, default: Mapping[str, Any]) -> list[Trial]:
    """A trial for each of the configs to compare, the best in the search first; empty if no trial has a loss.

    The incumbent and the configs with the next lowest losses among complete trials, at most MAX_CONTENDERS. A config
    that was trained several times counts by its mean. The default config always takes part, so it is included only as
    the incumbent.
    """
    best = study.best
    if best is None:
        return []
    if best.fidelity < study.max_epochs:
        return [best]
    by_config: dict[str, list[Trial]] = {}
    for trial in study.trials.values():
        is_whole = trial.loss is not None and trial.state != "running" and trial.fidelity >= study.max_epochs
        if is_whole and trial.config != default:
            by_config.setdefault(repr(sorted(trial.config.items())), []).append(trial)
    others = [trials for trials in by_config.values() if best not in trials]
    others.sort(key=lambda trials: (np.mean([trial.loss for trial in trials]), trials[0].number))
    rest = [incumbent(trials) for trials in others[: MAX_CONTENDERS - 1]]
    return [best, *(trial for trial in rest if trial is not None)]


def best_contender(scores: Sequence[Scores], *, maximize: bool) -> int:
    """The index of the contender to return: of those with the fewest failures, the one with the best mean score.

    ``scores``: of each contender on the same seeds, on validation data. Ties go to the earlier one.
    """
    sign = -1.0 if maximize else 1.0

    def key(place: int) -> tuple[float, float]:
        known = [score for score in scores[place] if score is not None]
        return 1 - len(known) / len(scores[place]), sign * float(np.mean(known)) if known else np.inf

    return min(range(len(scores)), key=key)


def prefers_default(chosen: Scores, default: Scores, *, maximize: bool) -> bool:
    """Whether a run returns the default config: if it is better on validation data; the test set is not used.

    Compares the means over the seeds with which neither failed. Ties go to the chosen config; if all its trainings
    failed, the default is returned, but not if more of the default's failed.
    """
    chosen, default = paired(chosen, default)
    gains = [d - c for c, d in zip(chosen, default, strict=True) if c is not None and d is not None]
    if gains and default.count(None) <= chosen.count(None):
        gain = float(np.mean(gains))
        return (gain if maximize else -gain) > 0
    return all(score is None for score in chosen) and any(score is not None for score in default)


def paired(a: Scores, b: Scores) -> tuple[list[float | None], list[float | None]]:
    """Both with one score per seed: a single score of a training that does not depend on its seed is repeated."""
    n = max(len(a), len(b))
    return [*a] * (n if len(a) == 1 else 1), [*b] * (n if len(b) == 1 else 1)
