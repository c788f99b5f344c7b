"""The end of a run: the chosen config and the default, trained on fresh seeds and scored once on the test set.

Search sees the validation part alone, so its best loss flatters. In a large reanalysis about one run in ten ended worse
on test than the default (Schneider, Bischl and Feurer 2025, arXiv 2506.19540): hence the default always takes part.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from automl.errors import UserError
from automl.worker import EpochDone, Job, JobEnded

if TYPE_CHECKING:
    from automl.executors import Executor
    from automl.tasks.base import Task


Who: TypeAlias = Literal["chosen", "default"]
WHO: tuple[Who, ...] = ("chosen", "default")


@dataclass(frozen=True)
class Training:
    """One training of the final: whose config it was, and what it scored."""

    who: Who
    seed: int
    validation: float | None  # the task's metric after the last epoch
    test: float | None  # None where the task has no test set, or the training failed
    error: str | None
    seconds: float
    folder: Path
    others: Mapping[str, float] = field(default_factory=dict)  # whatever else was measured on the test set


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
    configs: dict[Who, Mapping[str, Any]] = {"chosen": chosen, "default": default}
    if dict(chosen) == dict(default):
        del configs["default"]
    plan = [(who, final_seed(run_seed, i), folder / f"{who}-{i}") for i in range(n_seeds) for who in configs]
    jobs = [
        Job(key, configs[who], seed, task.max_epochs, str(place), device, test=True)
        for key, (who, seed, place) in enumerate(plan)
    ]
    trainings = []
    for (who, seed, place), (last, ended) in zip(plan, _train_all(jobs, task.metric, executor, watch), strict=True):
        validation, test = (last, ended.scores.get(task.metric)) if ended.error is None else (None, None)
        others = {name: value for name, value in ended.scores.items() if name != task.metric}
        trainings.append(Training(who, seed, validation, test, ended.error, ended.seconds, place, others))
    if len(configs) == 1:
        trainings += [replace(training, who="default") for training in trainings]
    return trainings


def _train_all(
    jobs: list[Job], metric: str, executor: Executor, watch: Callable[[int, int], None]
) -> list[tuple[float | None, JobEnded]]:
    """Of each job, numbered by its key, the metric after its last epoch and its end."""
    waiting = deque(jobs)
    last: dict[int, float] = {}
    ended: dict[int, JobEnded] = {}
    while len(ended) < len(jobs):
        while waiting and executor.n_free:
            job = waiting.popleft()
            assert job.folder is not None
            Path(job.folder).mkdir(parents=True)
            executor.submit(job)
        for event in executor.wait(1.0):
            if isinstance(event, EpochDone):
                last[event.key] = event.epoch.metrics.get(metric, event.epoch.loss)
            elif isinstance(event, JobEnded):
                ended[event.key] = event
        watch(len(ended), len(jobs))
    return [(last.get(job.key), ended[job.key]) for job in jobs]


def train_once(
    task: Task,
    config: Mapping[str, Any],
    folder: Path,
    *,
    seed: int,
    device: str = "auto",
    trial_seconds: float | None = None,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> Training:
    """Train a config of a task in a process of its own, and score it on the test set."""
    from automl.executors import ProcessExecutor

    job = Job(0, config, seed, task.max_epochs, str(folder), device, test=True)
    with ProcessExecutor(task, 1, trial_seconds) as executor:
        [(last, ended)] = _train_all([job], task.metric, executor, watch)
    others = {name: value for name, value in ended.scores.items() if name != task.metric}
    test = ended.scores.get(task.metric)
    return Training("chosen", seed, last, test, ended.error, ended.seconds, folder, others)


def fit_baseline(task: Task) -> Mapping[str, Any] | None:
    """The score of the task's baseline on the test set, or under `error` why there is none; None without one."""
    fit: Callable[[], Mapping[str, Any] | None] = getattr(task, "baseline", lambda: None)
    try:
        return fit()
    except UserError as error:  # a package or a file that only the baseline needs
        return {"error": str(error)}


def final_seed(run_seed: int, i: int) -> int:
    """Seeds that no trial of the run has trained with."""
    return int(np.random.SeedSequence((run_seed, 0, i), spawn_key=(1,)).generate_state(1)[0] >> 1)


def to_keep(trainings: Sequence[Training], *, maximize: bool) -> Who:
    """Whose config the run keeps: the default's where it is better on validation, without a look at the test set.

    The chosen one was the best of many, partly by luck or because others were stopped early, and may be worse than the
    default once both are trained to the end. The mean over the seeds with which neither failed decides. A tie is the
    chosen one's; where all its trainings failed, the default is kept, but not where more of its own failed.
    """
    chosen, default = (_scores(trainings, who, "validation") for who in WHO)
    gains = [d - c for c, d in zip(chosen, default, strict=True) if c is not None and d is not None]
    if gains and default.count(None) <= chosen.count(None):
        gain = float(np.mean(gains))
        return "default" if (gain if maximize else -gain) > 0 else "chosen"
    none_left = all(score is None for score in chosen) and any(score is not None for score in default)
    return "default" if none_left else "chosen"


def final_summary(
    trainings: Sequence[Training], metric: str, kept: Who, baseline: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Scores of both configs, seed by seed, as summary.json has them; validation where there is no test set.

    kept: of `to_keep`. baseline: what the task's `baseline` gives, or the reason why it could not be fitted.
    """
    split = _split(trainings)
    return {
        "metric": metric,
        "split": split,
        "chosen": _scores(trainings, "chosen", split),
        "default": _scores(trainings, "default", split),
        "chosen_validation": _scores(trainings, "chosen", "validation"),
        "default_validation": _scores(trainings, "default", "validation"),
        "kept": kept,
        "others": _means(trainings),
        "baseline": baseline,
        "seeds": [training.seed for training in trainings if training.who == "chosen"],
        "errors": [training.error for training in trainings if training.error],
    }


def final_means(trainings: Sequence[Training], metric: str) -> dict[Who, dict[str, float]]:
    """Of either config, means over its trainings that did not fail: ``test_accuracy``, or ``validation_accuracy``."""
    split, other_means = _split(trainings), _means(trainings)
    found: dict[Who, dict[str, float]] = {}
    for who in WHO:
        scores = [score for score in _scores(trainings, who, split) if score is not None]
        if scores:
            others = {f"test_{name}": means[who] for name, means in other_means.items() if who in means}
            found[who] = {f"{split}_{metric}": float(np.mean(scores)), **others}
    return found


def _split(trainings: Sequence[Training]) -> Literal["test", "validation"]:
    return "test" if any(training.test is not None for training in trainings) else "validation"


def _scores(trainings: Sequence[Training], who: Who, split: Literal["test", "validation"]) -> list[float | None]:
    return [getattr(training, split) for training in trainings if training.who == who]


def _means(trainings: Sequence[Training]) -> dict[str, dict[str, float]]:
    """Of each other metric on the test set, the mean over the seeds of either config."""
    found: dict[str, dict[str, list[float]]] = {}
    for training in trainings:
        for name, value in training.others.items():
            found.setdefault(name, {}).setdefault(training.who, []).append(value)
    return {name: {who: float(np.mean(values)) for who, values in of.items()} for name, of in found.items()}
