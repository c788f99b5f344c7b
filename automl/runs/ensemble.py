"""The end of a cross-validated run: greedy weights by predictions out of fold, and members fitted to all rows."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.datasets.registry import load_data
from automl.deployment.ensemble import greedy_ensemble
from automl.deployment.model_card import Kept, write_card
from automl.metrics import measure, names_of
from automl.runs.final_model import fingerprint
from automl.training.fold_learners import learner_class, trained_in
from automl.training.folds import RECORD, models_in, read_predictions, read_record
from automl.tuning.packs import train_jobs
from automl.tuning.worker import Job

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder
    from automl.study.trial import Trial
    from automl.tasks.cross_validated import CrossValidated
    from automl.tuning.executors import Executor
    from automl.tuning.tuner import Tuner

MOST_CANDIDATES = 30  # trials that the weights are chosen from: the best, and the best of each family
VALID_SHARE = 0.34  # more training rows than without the validation set
LIKELY_MEMBERS = 5  # of the best trials, whose fits to all rows the search leaves time for


def build(
    task: CrossValidated,
    tuner: Tuner,
    folder: RunFolder,
    about: Mapping[str, Any],
    *,
    most: int | None,
    left: float,
    watch: Callable[[str], None],
    say: Callable[[str], None],
) -> dict[str, Any] | None:
    """Choose the members, fit them to all rows, write ``model/`` and return its card; None if no trial is complete.

    ``left``: seconds for the fits to all rows. ``watch``: called with a line about what is going on, ``say`` with what
    the user should know afterwards.
    """
    found = candidates(task, list(tuner.study.trials.values()), folder)
    if not found:
        return None
    chosen = choose(task, found, most)
    n_wanted = len(chosen.members)
    chosen = affordable(task, found, chosen, tuner.executor.n_workers, left)
    if len(chosen.members) < n_wanted:
        say(f"ensemble: {len(chosen.members)} of {n_wanted} members, as the time limit leaves no time to fit more")
    errors = fit_members(task, chosen, tuner.executor, tuner.device, watch)
    for error in errors:
        say(f"a fit to all rows failed: {error}")
    watch("scoring the model on the test set")
    card = write_model(task, chosen, folder, about)
    forget_networks(task, found, set(chosen.members))
    return card


def expected_seconds(tuner: Tuner) -> float:
    """Of fitting the likely members to all rows."""
    task = tuner.task
    complete = sorted((t for t in tuner.study.trials.values() if t.state == "complete"), key=lambda t: t.loss or 0.0)
    seconds = [
        refit_seconds(task, task.family(t.config), [t.seconds / task.max_epochs] * task.max_epochs)  # type: ignore[attr-defined, arg-type]
        for t in complete[:LIKELY_MEMBERS]
    ]
    return max(sum(seconds) / tuner.executor.n_workers, max(seconds)) if seconds else 0.0


@dataclass(frozen=True)
class Candidate:
    """A trial that predicted all folds."""

    trial: Trial
    folder: Path
    family: str
    predictions: NDArray[Any]  # out of fold, of the rows that are in a fold
    refit_seconds: float  # expected: one fit to all rows

    @property
    def loss(self) -> float:
        """Out of fold, by the task's metric."""
        assert self.trial.loss is not None
        return self.trial.loss


@dataclass(frozen=True)
class Chosen:
    """The members of a model with their weights, which sum to 1, and scores out of fold."""

    members: Mapping[int, Candidate]  # by trial
    weights: Mapping[int, float]
    score: float  # of the members together, by the task's metric
    loss: float  # that the weights are chosen by, of the members together,
    alone: float  # and of the best single candidate
    noise: float  # standard error over rows of their difference

    @property
    def refit_seconds(self) -> list[float]:
        """Of each member."""
        return [member.refit_seconds for member in self.members.values()]


def candidates(task: CrossValidated, trials: Sequence[Trial], folder: RunFolder) -> list[Candidate]:
    """The complete trials that weights are chosen from, the best first."""
    known = task.folds() >= 0
    complete = sorted((t for t in trials if t.state == "complete" and t.loss is not None), key=lambda t: t.loss or 0.0)
    best_of: dict[str, Trial] = {}
    for trial in complete:
        best_of.setdefault(task.family(trial.config), trial)
    wanted = {trial.number for trial in [*complete[:MOST_CANDIDATES], *best_of.values()]}
    found = []
    for trial in complete:
        place = folder.trials / f"{trial.number:04d}"
        if trial.number in wanted and (place / RECORD).exists():
            predictions = read_predictions(place)[known].astype(np.float64)
            seconds = 0.0
            if not models_in(place, learner_class(task.family(trial.config))):
                seconds = refit_seconds(task, task.family(trial.config), read_record(place)["seconds"])
            found.append(Candidate(trial, place, task.family(trial.config), predictions, seconds))
    return found


def refit_seconds(task: CrossValidated, family: str, seconds: Sequence[float]) -> float:
    """Expected seconds of a fit to all rows, from those of the folds."""
    kind, n = learner_class(family), task.max_epochs
    if kind.is_bagged and n > 1:
        return 0.0
    if n == 1:  # a validation set, to be trained on too
        return (1 + VALID_SHARE) * sum(seconds)
    if kind.has_out_of_bag and task.folds_how == "random":
        return sum(seconds)
    return float(np.mean(seconds)) * n / max(1, n - 1)


def choose(task: CrossValidated, found: Sequence[Candidate], most: int | None) -> Chosen:
    """The weights with which the predictions out of fold are best together, of at most ``most`` members.

    The best candidate stays alone where the others improve on it by less than one standard error over rows (the
    one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984).
    """
    known = task.folds() >= 0
    y = np.asarray(load_data(task.data_of(""), None, True).y_train)[known]
    by_row = _losses(task, y)
    shown = [_seen_by_loss(task, candidate.predictions, y) for candidate in found]
    weights = greedy_ensemble(shown, lambda predicted: float(by_row(predicted).mean()), most or len(found))
    best = min(range(len(found)), key=lambda i: by_row(shown[i]).mean())
    together = np.sum([weight * shown[i] for i, weight in weights.items()], axis=0)
    gains = by_row(shown[best]) - by_row(together)
    gain, noise = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    if gain <= noise:
        weights, gain = {best: 1.0}, 0.0
    predicted = np.sum([weight * found[i].predictions for i, weight in weights.items()], axis=0)
    return Chosen(
        {found[i].trial.number: found[i] for i in weights},
        {found[i].trial.number: weight for i, weight in weights.items()},
        measure(task.metric, y, predicted),
        float(by_row(shown[best]).mean()) - gain,
        float(by_row(shown[best]).mean()),
        noise,
    )


def _losses(task: CrossValidated, y: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The loss of each row: the log loss for classes, else the absolute or squared error."""
    if task.metric in names_of("classes"):
        return lambda predicted: -np.log(np.maximum(predicted, 1e-15))
    if task.metric == "mae":
        return lambda predicted: np.abs(predicted - y)
    return lambda predicted: (predicted - y) ** 2


def _seen_by_loss(task: CrossValidated, predictions: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """The part of the predictions that the loss depends on: for classes, the probability of the right one."""
    return predictions[np.arange(len(y)), y] if task.metric in names_of("classes") else predictions


def affordable(task: CrossValidated, found: Sequence[Candidate], chosen: Chosen, n_workers: int, left: float) -> Chosen:
    """The choice, or one of fewer members that can be fitted to all rows within ``left`` seconds; at least one."""
    while len(chosen.members) > 1:
        seconds = chosen.refit_seconds
        if max(sum(seconds) / n_workers, max(seconds)) <= left:
            break
        chosen = choose(task, found, len(chosen.members) - 1)
    return chosen


def fit_members(
    task: CrossValidated,
    chosen: Chosen,
    executor: Executor,
    device: str,
    watch: Callable[[str], None],
) -> list[str]:
    """Fit the members to all rows, in their trials' folders; return the errors."""
    jobs = []
    for number, member in chosen.members.items():
        seed = read_record(member.folder)["seed"]
        jobs.append(
            Job(number, member.trial.config, seed, task.max_epochs + 1, folder=str(member.folder), device=device)
        )
    jobs.sort(key=lambda job: -chosen.members[job.key].refit_seconds)  # the longest first

    def done(n: int, of: int) -> None:
        watch(f"refit: {n} of {of} members fitted to all rows")

    ended = train_jobs(jobs, executor, done)
    return [f"trial {number}: {each.ended.error}" for number, each in ended.items() if each.ended.error is not None]


def write_model(
    task: CrossValidated, chosen: Chosen, folder: RunFolder, about: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Create ``model/`` atomically and return its card; members whose fit failed are left out."""
    from automl.deployment.predictor import Member, Predictor
    from automl.models.trained import Preprocessing

    start = time.perf_counter()
    places = {number: models_of(member) for number, member in chosen.members.items()}
    total = sum(chosen.weights[number] for number, models in places.items() if models)
    if not total:
        return None
    aside = folder.path / "model.writing"
    shutil.rmtree(aside, ignore_errors=True)
    task.export_rest(aside)
    members, entries = [], []
    for number, models in places.items():
        member = chosen.members[number]
        read = task.rows(member.family)
        rules = Preprocessing(task.name, member.family, read.inputs, read.target)
        for i, place in enumerate(models):
            model = trained_in(place, dict(member.trial.config), rules)
            weight = chosen.weights[number] / total / len(models)
            name = f"members/{number}" + (f"-{i}" if len(models) > 1 else "")
            model.save(aside / name)
            members.append(Member(model, weight))
            entries.append(
                {
                    "folder": name,
                    "weight": weight,
                    "trial": number,
                    "family": member.family,
                    "score": member.trial.metrics[task.metric][-1],
                    "config": dict(member.trial.config),
                }
            )
    kept = Kept("ensemble", _description(task, chosen), entries)
    splits = load_data(task.data_of(""), None)
    has_test, begin = len(splits.y_test) > 0, time.perf_counter()
    part = "x_test" if has_test else "x_valid"
    predicted = Predictor(members, None, {}).judge(lambda family: getattr(load_data(task.data_of(family), None), part))
    seconds = time.perf_counter() - begin
    if has_test:
        kept.scores = {name: measure(name, splits.y_test, predicted) for name in names_of(splits.target.kind)}
    facts = dict(about) | {
        "folds": task.max_epochs,
        "milliseconds_per_row": round(1000 * seconds / len(predicted), 4),
        "seconds_to_write": round(time.perf_counter() - start, 2),
    }
    card = write_card(aside, task, kept, fingerprint(splits), facts, chosen.score)
    shutil.rmtree(folder.model, ignore_errors=True)
    aside.rename(folder.model)
    return card


def models_of(member: Candidate) -> list[Path]:
    """The folders of the fitted models: one, or one a fold for a family that is bagged; none where the fit failed."""
    return models_in(member.folder, learner_class(member.family))


def forget_networks(task: CrossValidated, found: Sequence[Candidate], members: set[int]) -> None:
    """Remove the models of the folds of all but the members, which a later ensemble would have to fit again."""
    for candidate in found:
        if candidate.trial.number not in members and learner_class(candidate.family).is_bagged:
            for place in models_of(candidate):
                shutil.rmtree(place)


def _description(task: CrossValidated, chosen: Chosen) -> str:
    if len(chosen.members) == 1:
        (member,) = chosen.members.values()
        return f"a single {member.family}; {task.metric} {chosen.score:.4g} out of fold"
    parts: dict[str, float] = {}
    for number, member in chosen.members.items():
        parts[member.family] = parts.get(member.family, 0.0) + chosen.weights[number]
    names = ", ".join(f"{family} {weight:.0%}" for family, weight in sorted(parts.items(), key=lambda part: -part[1]))
    what, together, alone = "log loss", chosen.loss, chosen.alone
    if task.metric == "mae":
        what = "mae"
    elif task.metric not in names_of("classes"):
        what, together, alone = "rmse", math.sqrt(together), math.sqrt(alone)
    return (
        f"an ensemble of {len(chosen.members)} models ({names}); {task.metric} {chosen.score:.4g} out of fold "
        f"({what} {together:.4g}, the best alone {alone:.4g})"
    )
