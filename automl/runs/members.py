"""The fitted models of an ensemble's members; those with damaged files are fitted again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from automl.runs.member_candidates import with_current_damage
from automl.runs.selection import MIN_SECONDS
from automl.task import CheckpointDamaged
from automl.training.fold_files import check_model, model_places, places_to_fit, read_record, scored_place
from automl.training.fold_learners import learner_class, trained_in
from automl.tuning.jobs import Job
from automl.tuning.packs import Write, train_jobs
from automl.wording import counted

if TYPE_CHECKING:
    from automl.models.trained import TrainedModel
    from automl.runs.member_candidates import MemberCandidate
    from automl.tasks.cross_validated import CrossValidated
    from automl.tuning.executor import Executor

Models: TypeAlias = "Sequence[TrainedModel]"
"""The models of a member: one, or one per fold for a bagged family."""


def fitted_models(
    task: CrossValidated,
    members: Mapping[int, MemberCandidate],
    executor: Executor,
    device: str,
    left: float,
    *,
    as_scored: Collection[int] = (),
    watch: Callable[[str], None],
    say: Callable[[str], None],
    log: Write,
) -> dict[int, Models]:
    """The models of the members, by trial. Those not yet fitted to all rows are fitted, except for the members
    ``as_scored``, which keep the models scored on the validation set.

    Damaged models are refitted once if ``left`` seconds allow it. Members missing from the result failed or are
    damaged, which ``say`` reports.
    """
    models: dict[int, Models] = {}
    for number in as_scored:
        if scored := _as_scored(task, members[number]):
            models[number] = scored
        else:
            say(f"ensemble: trial {number} is left out, since the files of its model are damaged")
    end = time.monotonic() + left

    def has_time(member: MemberCandidate) -> bool:
        try:
            return with_current_damage(task, member).refit_seconds <= max(end - time.monotonic(), MIN_SECONDS)
        except CheckpointDamaged:  # the record of its training
            return False

    waiting, is_first = {n: member for n, member in members.items() if n not in as_scored}, True
    for number, member in waiting.items():
        for line in member.damage:
            say(f"ensemble: trial {number} is damaged and fitted again: {line}")
    most = left + MIN_SECONDS if task.keeps_models else None
    while waiting:
        errors = _fit(task, waiting, executor, device, watch, log, most)
        again = {}
        for number, member in waiting.items():
            try:
                if number not in errors:
                    models[number] = _loaded(task, member)
            except CheckpointDamaged as damage:
                errors[number] = str(damage)
                if is_first and has_time(member):
                    say(f"ensemble: trial {number} is damaged and fitted again: {damage}")
                    again[number] = member
        for number in sorted(waiting.keys() & errors.keys() - again.keys()):
            if task.keeps_models and (scored := _as_scored(task, members[number])):
                why = f"since its fit to all rows failed: {errors[number]}"
                say(f"ensemble: trial {number} keeps the model that was scored, {why}")
                models[number] = scored
            else:
                say(f"ensemble: trial {number} is left out, since its fit to all rows failed: {errors[number]}")
        waiting, is_first = again, False
    return models


def _as_scored(task: CrossValidated, member: MemberCandidate) -> Models:
    """The model that was scored on the validation set; empty if its files are damaged."""
    place = scored_place(member.folder)
    try:
        check_model(place)
    except CheckpointDamaged:
        return []
    return [_trained_in(task, member, place)]


def _fit(
    task: CrossValidated,
    members: Mapping[int, MemberCandidate],
    executor: Executor,
    device: str,
    watch: Callable[[str], None],
    log: Write,
    max_seconds: float | None,
) -> dict[int, str]:
    """Fit members to all rows, in their trials' folders; returns the errors, by trial. Fits that exceed
    ``max_seconds`` fail."""
    jobs, errors = [], {}
    for number, member in members.items():
        try:
            seed, config = read_record(member.folder)["seed"], member.trial.config
        except CheckpointDamaged as error:
            errors[number] = str(error)
            continue
        if not places_to_fit(member.folder, learner_class(member.family), task.max_epochs):
            continue
        jobs.append(
            Job(
                number, config, seed, task.max_epochs + 1, folder=str(member.folder), device=device, limited=False,
                runtime=task.runtime(config),
            )
        )  # fmt: skip
    jobs.sort(key=lambda job: -members[job.key].refit_seconds)  # the longest first

    def done(n: int, of: int) -> None:
        watch(f"refit: {n} of {counted(of, 'member')} fitted to all rows")

    ended = train_jobs(jobs, executor, done, log=log, max_seconds=max_seconds)
    return errors | {number: each.ended.error for number, each in ended.items() if each.ended.error is not None}


def _loaded(task: CrossValidated, member: MemberCandidate) -> Models:
    """The fitted models of a member. CheckpointDamaged if a file has changed: LightGBM, for one, would crash."""
    found = []
    for place in _places(task, member):
        check_model(place)
        found.append(_trained_in(task, member, place))
    return found


def _trained_in(task: CrossValidated, member: MemberCandidate, place: Path) -> TrainedModel:
    from automl.models.trained import Preprocessing

    rules = Preprocessing(task.name, member.family, *task.reads(member.family))
    return trained_in(place, dict(member.trial.config), rules)


def _places(task: CrossValidated, member: MemberCandidate) -> list[Path]:
    return model_places(member.folder, learner_class(member.family), task.max_epochs)


def forget_models(task: CrossValidated, found: Sequence[MemberCandidate], members: set[int]) -> None:
    """Remove the fold models of all but the members; a later ensemble would have to fit them again."""
    for candidate in found:
        if candidate.trial.number not in members and task.keeps_models:
            shutil.rmtree(scored_place(candidate.folder), ignore_errors=True)
        if candidate.trial.number not in members and learner_class(candidate.family).is_bagged:
            for place in _places(task, candidate):
                shutil.rmtree(place, ignore_errors=True)
