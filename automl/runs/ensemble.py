"""The end of a cross-validated run: greedy weights by predictions out of fold, and members fitted to all rows."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.data.datasets.registry import load_data
from automl.data.targets import levels_of
from automl.deployment.model_card import Kept, write_card
from automl.metrics import measure, names_of
from automl.runs.final_model import fingerprint
from automl.runs.latency import fast_enough, milliseconds_per_row
from automl.runs.selection import MOST_MEMBERS, Candidate, Chosen, affordable, candidates, choose, refit_seconds
from automl.training.fold_learners import learner_class, trained_in
from automl.training.folds import models_in, read_record
from automl.tuning.jobs import Job
from automl.tuning.packs import Write, train_jobs

if TYPE_CHECKING:
    from automl.models.trained import TrainedModel
    from automl.study.run_folder import RunFolder
    from automl.tasks.cross_validated import CrossValidated
    from automl.tuning.executor import Executor
    from automl.tuning.tuner import Tuner

LIKELY_MEMBERS = MOST_MEMBERS  # of the best trials, whose fits to all rows the search leaves time for


def build(
    task: CrossValidated,
    tuner: Tuner,
    folder: RunFolder,
    about: Mapping[str, Any],
    *,
    most: int | None,
    left: float,
    milliseconds: float | None,
    watch: Callable[[str], None],
    say: Callable[[str], None],
) -> dict[str, Any] | None:
    """Choose the members, fit them to all rows, write ``model/`` and return its card; None if no trial is complete.

    ``most``: members. ``left``: seconds for the fits to all rows. ``milliseconds``: for a row, at most. ``watch``:
    called with a line about what is going on, ``say`` with what the user should know afterwards.
    """
    found = candidates(task, list(tuner.study.trials.values()), folder, say)
    if not found:
        return None
    chosen = choose(task, found, most)
    chosen = affordable(task, found, chosen, max(1, tuner.executor.n_workers), left)
    if chosen.wanted:
        say(f"ensemble: {_cut(chosen)}")
    errors = fit_members(task, chosen, tuner.executor, tuner.device, watch, partial(tuner.log.write, stage="refit"))
    for error in errors:
        say(f"a fit to all rows failed: {error}")
    if milliseconds is not None:
        chosen = _within(task, chosen, milliseconds, say)
    watch("scoring the model on the test set")
    card = write_model(task, chosen, folder, about)
    forget_networks(found, set(chosen.members))
    return card


def _within(task: CrossValidated, chosen: Chosen, milliseconds: float, say: Callable[[str], None]) -> Chosen:
    """The choice without members that are too slow together; of those whose fit failed nothing is known."""
    fitted = [member for member in chosen.members.values() if models_of(member)]
    if not fitted:
        return chosen
    before = chosen if len(fitted) == len(chosen.members) else choose(task, fitted, None)

    def latency(member: Candidate) -> float:
        return milliseconds_per_row(task, _loaded(task, member))

    after, known = fast_enough(task, before, latency, milliseconds)
    took, takes = (sum(known[number] for number in each.members) for each in (before, after))
    if len(after.members) < len(before.members):
        n = f"{len(after.members)} of {len(before.members)} members"
        say(f"--max-latency {milliseconds:g}: {n}, {takes:.3g} instead of {took:.3g} milliseconds per row")
    if takes > milliseconds:
        say(f"--max-latency {milliseconds:g}: the fastest member takes {takes:.3g} milliseconds per row")
    return after


def expected_seconds(tuner: Tuner) -> float:
    """Of fitting the likely members to all rows."""
    task = tuner.task
    complete = sorted((t for t in tuner.study.trials.values() if t.state == "complete"), key=lambda t: t.loss or 0.0)
    seconds = [
        refit_seconds(task, task.family(t.config), [t.seconds / task.max_epochs] * task.max_epochs)  # type: ignore[attr-defined, arg-type]
        for t in complete[:LIKELY_MEMBERS]
        if task.max_epochs == 1 or not learner_class(task.family(t.config)).is_bagged  # type: ignore[attr-defined]
    ]
    return max(sum(seconds) / max(1, tuner.executor.n_workers), max(seconds)) if seconds else 0.0


def fit_members(
    task: CrossValidated,
    chosen: Chosen,
    executor: Executor,
    device: str,
    watch: Callable[[str], None],
    log: Write,
) -> list[str]:
    """Fit the members to all rows, in their trials' folders; return the errors."""
    jobs = [
        Job(
            number, member.trial.config, read_record(member.folder)["seed"], task.max_epochs + 1,
            folder=str(member.folder), device=device, limited=False, runtime=task.runtime(member.trial.config),
        )
        for number, member in chosen.members.items()
    ]  # fmt: skip
    jobs.sort(key=lambda job: -chosen.members[job.key].refit_seconds)  # the longest first

    def done(n: int, of: int) -> None:
        watch(f"refit: {n} of {of} members fitted to all rows")

    ended = train_jobs(jobs, executor, done, log=log)
    return [f"trial {number}: {each.ended.error}" for number, each in ended.items() if each.ended.error is not None]


def write_model(
    task: CrossValidated, chosen: Chosen, folder: RunFolder, about: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Create ``model/`` atomically and return its card; members whose fit failed are left out."""
    from automl.deployment.predictor import Member, Predictor

    start = time.perf_counter()
    found = {number: _loaded(task, member) for number, member in chosen.members.items()}
    total = sum(chosen.weights[number] for number, models in found.items() if models)
    if not total:
        return None
    aside = folder.path / "model.writing"
    shutil.rmtree(aside, ignore_errors=True)
    task.export_rest(aside)
    members, entries = [], []
    for number, models in found.items():
        member = chosen.members[number]
        for i, model in enumerate(models):
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
    kept = Kept("ensemble", description(task, chosen), entries, threshold=chosen.threshold)
    splits = load_data(task.data_of(""), None)
    has_test, begin = len(splits.y_test) > 0, time.perf_counter()
    part = "x_test" if has_test else "x_valid"
    predicted = Predictor(members, None, {}).judge(lambda family: getattr(load_data(task.data_of(family), None), part))
    seconds = time.perf_counter() - begin
    if has_test:
        names, counts = names_of(splits.target.kind), task.weights("test")
        about_y = (chosen.threshold, counts, levels_of(splits.target))
        kept.scores = {name: measure(name, splits.y_test, predicted, *about_y) for name in names}
    kept.baseline = task.baseline()
    facts = dict(about) | {
        "folds": task.max_epochs,
        "milliseconds_per_row": round(1000 * seconds / len(predicted), 4),
        "seconds_to_write": round(time.perf_counter() - start, 2),
    }
    card = write_card(aside, task, kept, fingerprint(splits), facts, chosen.score)
    shutil.rmtree(folder.model, ignore_errors=True)
    aside.rename(folder.model)
    return card


def _loaded(task: CrossValidated, member: Candidate) -> list[TrainedModel]:
    from automl.models.trained import Preprocessing

    read = task.rows(member.family)
    rules = Preprocessing(task.name, member.family, read.inputs, read.target)
    return [trained_in(place, dict(member.trial.config), rules) for place in models_of(member)]


def models_of(member: Candidate) -> list[Path]:
    """The folders of the fitted models: one, or one a fold for a family that is bagged; none where the fit failed."""
    return models_in(member.folder, learner_class(member.family))


def forget_networks(found: Sequence[Candidate], members: set[int]) -> None:
    """Remove the models of the folds of all but the members, which a later ensemble would have to fit again."""
    for candidate in found:
        if candidate.trial.number not in members and learner_class(candidate.family).is_bagged:
            for place in models_of(candidate):
                shutil.rmtree(place)


def _cut(chosen: Chosen) -> str:
    return f"{len(chosen.members)} of {chosen.wanted} members, as the time limit leaves no time to fit more"


def description(task: CrossValidated, chosen: Chosen) -> str:
    """What the model is, in words, with its scores out of fold, and whether it lacks members."""
    return _members_in_words(task, chosen) + (f"; {_cut(chosen)}" if chosen.wanted else "")


def _members_in_words(task: CrossValidated, chosen: Chosen) -> str:
    if len(chosen.members) == 1:
        (member,) = chosen.members.values()
        said, leader = f"a single {member.family}; {task.metric} {chosen.score:.4g} out of fold", chosen.leader
        if leader is None:
            return said
        best = f"{leader.trial.metrics[task.metric][-1]:.4g}, {leader.family} of trial {leader.trial.number}"
        return (
            f"{said}, chosen by its log loss {chosen.loss:.4g} (by {task.metric} alone, the best is {best}, which is "
            "within the noise)"
        )
    parts: dict[str, float] = {}
    for number, member in chosen.members.items():
        parts[member.family] = parts.get(member.family, 0.0) + chosen.weights[number]
    names = ", ".join(f"{family} {weight:.0%}" for family, weight in sorted(parts.items(), key=lambda part: -part[1]))
    what, together, alone = "log loss", chosen.loss, chosen.alone
    if task.metric in ("mae", "pinball"):
        what = task.metric
    elif task.metric not in names_of("classes"):
        what, together, alone = "rmse", math.sqrt(together), math.sqrt(alone)
    return (
        f"an ensemble of {len(chosen.members)} models ({names}); {task.metric} {chosen.score:.4g} out of fold "
        f"({what} {together:.4g}, the best alone {alone:.4g})"
    )
