"""The final of a run: its best configs and the default, trained on fresh seeds and scored once on the test set.

The search uses only the validation set, so its best loss is optimistically biased. In a large reanalysis about one run
in ten ended worse on test than the default (Schneider, Bischl and Feurer 2025, arXiv 2506.19540): so the default always
takes part.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from automl.errors import UserError
from automl.study.contenders import best_contender, prefers_default
from automl.tuning.jobs import Job
from automl.tuning.packs import TrainingResult, Write, packed, train_jobs

if TYPE_CHECKING:
    from automl.study.trial import Trial
    from automl.task import Task
    from automl.tuning.executor import Executor


Role: TypeAlias = Literal["chosen", "default"]
ROLES: tuple[Role, ...] = ("chosen", "default")


@dataclass(frozen=True)
class FinalTraining:
    """One training of the final: the origin of its config, and its scores."""

    role: Role | Literal["contender"]  # contender: not chosen
    seed: int
    validation: float | None  # the task's metric after the last epoch
    test: float | None  # None if the task has no test set or the training failed
    error: str | None
    seconds: float
    folder: Path
    others: Mapping[str, float] = field(default_factory=dict)  # other metrics on the test set
    trial: int | None = None  # the trial with the config
    any_seed: bool = False  # the trial gave the same result with another seed: this training stands for all seeds


def train_final(
    task: Task,
    contenders: Sequence[Trial],
    default: Mapping[str, Any],
    executor: Executor,
    folder: Path,
    *,
    run_seed: int,
    n_seeds: int,
    device: str = "auto",
    searched: Iterable[Trial] = (),
    watch: Callable[[int, int], None] = lambda done, of: None,
    log: Write = lambda event, **facts: None,
) -> list[FinalTraining]:
    """Train all configs on the same ``n_seeds`` fresh seeds, in ``folder``, and score each on the test set.

    The contender that is best on validation is ``chosen``. ``searched``: the trials, which show whether a training
    depends on its seed; if it does not, a single one stands for all seeds. ``watch`` is called about once a second with
    the number of trainings done and in total, ``log`` with events. If the default is a contender too, its trainings
    serve as both.
    """
    shutil.rmtree(folder, ignore_errors=True)
    configs: dict[int | None, Mapping[str, Any]] = {trial.number: trial.config for trial in contenders}
    own = next((number for number, config in configs.items() if dict(config) == dict(default)), None)
    configs.setdefault(own, default)
    plan = [(number, i) for i in range(n_seeds) for number in configs]
    places = [folder / f"{'default' if number is None else f'trial-{number}'}-{i}" for number, i in plan]
    options: dict[str, Any] = {"epochs": task.max_epochs, "device": device, "test": True}
    jobs = [
        Job(key, configs[number], final_seed(run_seed, i), folder=str(places[key]), **options)
        for key, (number, i) in enumerate(plan)
    ]
    whole = [trial for trial in searched if trial.state == "complete" and trial.fidelity >= task.max_epochs]

    def later_ones(key: int, done: TrainingResult) -> set[int]:
        """The jobs made redundant by a config's first training."""
        number, i = plan[key]
        known = i == 0 and any(trial.config == configs[number] and _repeats(done, trial) for trial in whole)
        return {other for other, (n, j) in enumerate(plan) if n == number and j > 0} if known else set()

    trained = train_jobs(packed(task, jobs, executor.n_workers), executor, watch, later_ones, log)
    by_config: dict[int | None, list[FinalTraining]] = {number: [] for number in configs}
    for key, done in sorted(trained.items()):
        number = plan[key][0]
        made = _training("contender", jobs[key], done, task.metric)
        by_config[number].append(replace(made, trial=number, any_seed=bool(later_ones(key, done))))
    for number, of in by_config.items():
        by_config[number] = of[:1] if of[0].any_seed else of  # others may have run in parallel
    ranked = [by_config[trial.number] for trial in contenders]
    best = best_contender([[training.validation for training in of] for of in ranked], maximize=task.maximize)
    return [
        *(replace(training, role="chosen") for training in ranked[best]),
        *(replace(training, role="default") for training in by_config[own]),
        *(training for place, of in enumerate(ranked) for training in of if place != best),
    ]


def _repeats(done: TrainingResult, trial: Trial) -> bool:
    """Whether a training exactly repeats the result of its config's trial, which had another seed."""
    losses = [epoch.loss for epoch in done.epochs]
    metrics = {name: [epoch.metrics.get(name) for epoch in done.epochs] for name in trial.metrics}
    return done.ended.error is None and losses == trial.losses and metrics == trial.metrics


def _training(role: Role | Literal["contender"], job: Job, done: TrainingResult, metric: str) -> FinalTraining:
    ended, scores, validation = done.ended, done.ended.scores, None
    if done.epochs and ended.error is None:
        validation = done.epochs[-1].metrics.get(metric, done.epochs[-1].loss)
    test = scores.get(metric) if ended.error is None else None
    others = {name: value for name, value in scores.items() if name != metric}
    assert job.folder is not None
    return FinalTraining(role, job.seed, validation, test, ended.error, ended.seconds, Path(job.folder), others)


def train_once(
    task: Task,
    config: Mapping[str, Any],
    folder: Path,
    *,
    seed: int,
    device: str = "auto",
    reproducible: bool = False,
) -> FinalTraining:
    """Train a config of a task in a separate process, and score it on the test set."""
    from automl.tuning.process_executor import ProcessExecutor

    job = Job(0, config, seed, task.max_epochs, folder=str(folder), device=device, test=True)
    with ProcessExecutor(task, 1, device=device, reproducible=reproducible) as executor:
        return _training("chosen", job, train_jobs([job], executor)[0], task.metric)


def refit(
    task: Task,
    config: Mapping[str, Any],
    executor: Executor,
    folder: Path,
    *,
    seed: int,
    device: str = "auto",
    watch: Callable[[int, int], None] = lambda done, of: None,
    log: Write = lambda event, **facts: None,
) -> FinalTraining:
    """Train a config on the training and validation sets, and score it on the test set; see ``task.with_valid``."""
    job = Job(0, config, seed, task.max_epochs, folder=str(folder), device=device, test=True, with_valid=True)
    return _training("chosen", job, train_jobs([job], executor, watch, log=log)[0], task.metric)


def fit_baseline(task: Task) -> Mapping[str, Any] | None:
    """The test score of the task's baseline, or the reason under `error` if it failed; None if it has no baseline."""
    fit: Callable[[], Mapping[str, Any] | None] = getattr(task, "baseline", lambda: None)
    try:
        return fit()
    except UserError as error:  # a missing package or file that only the baseline needs
        return {"error": str(error)}


def final_seed(run_seed: int, i: int) -> int:
    """The i-th seed for the final; no trial of the run uses it."""
    return int(np.random.SeedSequence((run_seed, 0, i), spawn_key=(1,)).generate_state(1)[0] >> 1)


def to_keep(trainings: Sequence[FinalTraining], *, maximize: bool) -> Role:
    """The config that the run keeps: the chosen one, or the default if that is better on validation.

    The chosen one was the best of many, partly by chance or because others were stopped early, and may be worse than
    the default once both are fully trained.
    """
    chosen, default = (_scores(trainings, role, "validation") for role in ROLES)
    return "default" if prefers_default(chosen, default, maximize=maximize) else "chosen"


def final_summary(
    trainings: Sequence[FinalTraining], metric: str, kept: Role, baseline: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Scores of both configs, per seed, for summary.json; validation scores if there is no test set.

    A config whose training does not depend on the seed has a single score, and is listed under ``any_seed``. ``kept``:
    from `to_keep`. ``baseline``: from the task's `baseline`, or the reason why it could not be fitted.
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
        "seeds": max(([t.seed for t in trainings if t.role == role] for role in ROLES), key=len),
        "any_seed": [role for role in ROLES if any(t.any_seed for t in trainings if t.role == role)],
        "errors": [training.error for training in trainings if training.error],
    }


def contender_summary(trainings: Sequence[FinalTraining], number: int) -> dict[str, Any]:
    """The final's scores of the contender with a trial's config, for summary.json."""
    own = [training for training in trainings if training.trial == number and training.role != "default"]
    return {
        "validation": [training.validation for training in own],
        "any_seed": any(training.any_seed for training in own),
        "chosen": any(training.role == "chosen" for training in own),
    }


def final_means(trainings: Sequence[FinalTraining], metric: str) -> dict[Role, dict[str, float]]:
    """Means over the successful trainings of each config: ``test_accuracy``, or ``validation_accuracy``."""
    split, other_means = _split(trainings), _means(trainings)
    found: dict[Role, dict[str, float]] = {}
    for role in ROLES:
        scores = [score for score in _scores(trainings, role, split) if score is not None]
        if scores:
            others = {f"test_{name}": means[role] for name, means in other_means.items() if role in means}
            found[role] = {f"{split}_{metric}": float(np.mean(scores)), **others}
    return found


def _split(trainings: Sequence[FinalTraining]) -> Literal["test", "validation"]:
    return "test" if any(training.test is not None for training in trainings) else "validation"


def _scores(trainings: Sequence[FinalTraining], role: Role, split: Literal["test", "validation"]) -> list[float | None]:
    return [getattr(training, split) for training in trainings if training.role == role]


def _means(trainings: Sequence[FinalTraining]) -> dict[str, dict[str, float]]:
    """The mean over seeds of each other test metric, per config."""
    found: dict[str, dict[str, list[float]]] = {}
    for training in trainings:
        for name, value in training.others.items() if training.role in ROLES else ():
            found.setdefault(name, {}).setdefault(training.role, []).append(value)
    return {name: {role: float(np.mean(values)) for role, values in of.items()} for name, of in found.items()}
