"""The end of a run: the chosen config and the default, trained on fresh seeds and scored once on the test set.

Search sees the validation part alone, so its best loss flatters. In a large reanalysis about one run in ten ended worse
on test than the default (Schneider, Bischl and Feurer 2025, arXiv 2506.19540): hence the default always takes part.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.worker import EpochDone, Job, JobEnded

if TYPE_CHECKING:
    from automl.executors import Executor
    from automl.tasks.base import Task


@dataclass(frozen=True)
class Training:
    """One training of the final: whose config it was, and what it scored."""

    who: Literal["chosen", "default"]
    seed: int
    validation: float | None  # the task's metric after the last epoch
    test: float | None  # None where the task has no test set, or the training failed
    error: str | None
    seconds: float
    folder: Path


def train_final(
    task: Task,
    chosen: Mapping[str, Any],
    default: Mapping[str, Any],
    executor: Executor,
    folder: Path,
    *,
    run_seed: int,
    n_seeds: int = 3,
    device: str = "auto",
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> list[Training]:
    """Train both configs on the same ``n_seeds`` fresh seeds, in ``folder``, and score each on the test set.

    ``watch`` is told how many of how many trainings are done, about once a second. Where the two configs are the
    same, one set of trainings serves both.
    """
    shutil.rmtree(folder, ignore_errors=True)
    who: list[Literal["chosen", "default"]] = ["chosen"] if dict(chosen) == dict(default) else ["chosen", "default"]
    plan: list[tuple[Literal["chosen", "default"], int]] = [(w, i) for i in range(n_seeds) for w in who]
    waiting = list(enumerate(plan))
    last: dict[int, float] = {}
    ended: dict[int, JobEnded] = {}
    while len(ended) < len(plan):
        while waiting and executor.n_free:
            key, (name, i) = waiting.pop(0)
            place = folder / f"{name}-{i}"
            place.mkdir(parents=True)
            executor.submit(
                Job(
                    key=key,
                    config=chosen if name == "chosen" else default,
                    seed=final_seed(run_seed, i),
                    epochs=task.max_epochs,
                    folder=str(place),
                    device=device,
                    test=True,
                )
            )
        for event in executor.wait(1.0):
            if isinstance(event, EpochDone):
                last[event.key] = event.epoch.metrics.get(task.metric, event.epoch.loss)
            elif isinstance(event, JobEnded):
                ended[event.key] = event
        watch(len(ended), len(plan))
    trainings = []
    for key, (name, i) in enumerate(plan):
        event = ended[key]
        test = event.scores.get(task.metric) if event.error is None else None
        validation = last.get(key) if event.error is None else None
        place = folder / f"{name}-{i}"
        trainings.append(Training(name, final_seed(run_seed, i), validation, test, event.error, event.seconds, place))
    if len(who) == 1:
        trainings += [Training("default", *_rest(training)) for training in trainings]
    return trainings


def _rest(training: Training) -> tuple[int, float | None, float | None, str | None, float, Path]:
    return training.seed, training.validation, training.test, training.error, training.seconds, training.folder


def final_seed(run_seed: int, i: int) -> int:
    """Seeds that no trial of the run has trained with."""
    return int(np.random.SeedSequence((run_seed, 0, i), spawn_key=(1,)).generate_state(1)[0] >> 1)


def final_summary(trainings: list[Training], metric: str) -> dict[str, Any]:
    """Scores of both configs, seed by seed, as summary.json has them; validation where there is no test set."""
    split = "test" if any(training.test is not None for training in trainings) else "validation"

    def scores(who: str, what: str) -> list[float | None]:
        return [getattr(training, what) for training in trainings if training.who == who]

    return {
        "metric": metric,
        "split": split,
        "chosen": scores("chosen", split),
        "default": scores("default", split),
        "chosen_validation": scores("chosen", "validation"),
        "default_validation": scores("default", "validation"),
        "seeds": [training.seed for training in trainings if training.who == "chosen"],
        "errors": [training.error for training in trainings if training.error],
    }
