"""A search from its settings: the engine of ``automl.tune`` and of the command line."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.integrations.tracking import Tracking, make_trackers, tracking
from automl.study.open_study import opened, recorded
from automl.study.run_folder import RunFolder, TrialFolders
from automl.study.run_log import Listener, RunLog
from automl.study.study import Study
from automl.task import Task, fidelity_of
from automl.tuning.executor import Executor
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.remote import WorkerSettings
from automl.tuning.shared_executor import SharedFolders
from automl.tuning.stopping import check_is_possible
from automl.tuning.tuner import Callback, Tuner
from automl.tuning.warm_start import from_json
from strategies import make_strategy
from strategies.base import Strategy

if TYPE_CHECKING:
    from automl.runs.settings import Settings
    from automl.runs.shared import SharedRun
    from automl.study.postgres import LeaderConnection
    from automl.tuning.progress import Progress


def strategy_of(task: Task, settings: Settings, kind: type[Strategy] | None = None) -> Strategy:
    """The strategy named in the settings, or one of the user's own class. UserError if it cannot meet a setting."""
    assert settings.strategy is not None
    options: dict[str, Any] = {
        "seed": settings.seed or 0,
        "n_trials": settings.n_trials,
        "max_epochs": task.max_epochs,
    }
    if settings.prior:
        options["prior"] = from_json(settings.prior)
    if kind is not None:
        strategy = kind(task.space, **options)
    else:
        strategy = make_strategy(
            settings.strategy, task.space, resumable=task.resumable, fidelity=fidelity_of(task),
            seconds=None if settings.time_limit is None else settings.time_limit * settings.planned_workers,
            timed=not settings.reproducible, **options,
        )  # fmt: skip
    check_is_possible(settings.sure_within, strategy, settings.strategy)
    return strategy


@dataclass
class Search:
    """A search that is ready to run."""

    tuner: Tuner
    tracking: Tracking | None  # None: no experiment trackers


@contextmanager
def open_search(
    task: Task,
    settings: Settings,
    strategy: Strategy,
    folder: RunFolder | None,
    *,
    warn: Callable[[str], None],
    resume: bool = False,
    data: Path | None = None,
    executor: Executor | None = None,
    display: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    reserve: Callable[[Tuner], float] | None = None,
    listeners: Sequence[Listener] = (),
    shared: SharedRun | None = None,
) -> Iterator[Search]:
    """Open a search's study, training processes, trackers and display for the duration of the context.

    ``folder``: the run's, existing with ``resume``, else new; None to write nothing. ``warn``: called with a line if a
    tracker fails or a training restarts. ``data``: the user's prepared data, which are moved into a new run's folder.
    ``executor``: by default, one with its own processes. ``reserve``: seconds of the time limit to leave for later
    stages. ``listeners``: to the events of the log. ``shared``: the shared run that this process leads.

    A run resumed with more seconds per trial retrains the trials that were too slow.
    """
    assert settings.strategy is not None
    seed = settings.seed or 0
    trackers = make_trackers(settings.track or ())
    with ExitStack() as stack:
        leader = None if shared is None else shared.connection
        if folder is None:
            kept = stack.enter_context(_without_folder(task, listeners))
        else:
            kept = stack.enter_context(_in_folder(folder, task, settings, listeners, resume, data, leader))
        study, trials, tracked = kept.study, kept.trials, None
        folders = TrialFolders(trials)
        if shared is not None:
            executor = stack.enter_context(others := shared.executor(task, settings, study))
            folders = SharedFolders(trials, others)
        elif executor is None:
            executor = stack.enter_context(_executor(task, settings, kept.logs, trials, folder, warn))
        if folder is not None and trackers:
            tracked = stack.enter_context(tracking(trackers, folder, study, task.name, settings.strategy, seed, warn))
        watch = None if display is None else stack.enter_context(display).update
        tuner = Tuner(
            task, strategy, study, executor,
            n_trials=settings.n_trials, seed=seed, device=settings.device or "auto", lanes=settings.lanes or 1,
            folders=folders, strategy_name=settings.strategy, logs=kept.logs, time_limit=settings.time_limit,
            target=settings.target,
            patience=settings.patience, sure_within=settings.sure_within, reproducible=bool(settings.reproducible),
            n_pending=settings.n_workers if settings.reproducible else None,
            reserve=reserve, retries=kept.retries, callbacks=callbacks, log=kept.log, warn=warn,
            watch=watch if tracked is None else tracked.after(watch),
        )  # fmt: skip
        if shared is not None:
            shared.is_leaving = lambda: tuner.interrupted
        yield Search(tuner, tracked)
        if tuner.stop_reason is not None:
            study.end(tuner.stop_reason)  # after the final and the files too


@dataclass(frozen=True)
class _SearchOutputs:
    """What a search writes to."""

    study: Study
    log: RunLog
    logs: Path | None = None  # folder of the logs of trainings
    trials: Path | None = None  # folder of the folders of trials, if the task uses any
    retries: Callable[[], None] | None = None  # called once trials that were too slow were asked for again


@contextmanager
def _without_folder(task: Task, listeners: Sequence[Listener]) -> Iterator[_SearchOutputs]:
    study, log = Study(task.space, task.max_epochs), RunLog(None, listeners)
    if not getattr(task, "uses_folder", True):
        yield _SearchOutputs(study, log)
        return
    with tempfile.TemporaryDirectory(prefix="automl-") as place:
        yield _SearchOutputs(study, log, trials=Path(place))


@contextmanager
def _in_folder(
    folder: RunFolder,
    task: Task,
    settings: Settings,
    listeners: Sequence[Listener],
    resume: bool,
    data: Path | None,
    leader: LeaderConnection | None,
) -> Iterator[_SearchOutputs]:
    """The arguments are those of ``open_search``; ``leader``: the connection of a shared run's leader."""
    written, retries = settings.to_json(), None
    before = recorded(folder, leader) if resume else {}
    is_longer = resume and (settings.trial_seconds or 0.0) > (before.get("trial_seconds") or math.inf)
    if is_longer:  # until the slow trials are asked for again, since the run may end before
        written["trial_seconds"] = before["trial_seconds"]
    with opened(folder, task, written, resume=resume, data=data, leader=leader) as study:
        if is_longer:
            retries = partial(study.change_settings, {**before, **settings.to_json()})
        log = RunLog(folder.log, listeners)
        with closing(log):
            trials = folder.trials if getattr(task, "uses_folder", True) else None
            yield _SearchOutputs(study, log, folder.logs, trials, retries)


def _executor(
    task: Task,
    settings: Settings,
    logs: Path | None,
    trials: Path | None,
    folder: RunFolder | None,
    warn: Callable[[str], None],
) -> Executor:
    device, reproducible = settings.device or "auto", bool(settings.reproducible)
    if not settings.where.is_remote:
        n_workers = settings.planned_workers
        return ProcessExecutor(task, n_workers, settings.trial_seconds, logs, device=device, reproducible=reproducible)
    worker_settings = WorkerSettings(
        settings.trial_seconds, device, reproducible,
        logs=None if logs is None else str(logs), folder=None if trials is None else str(trials),
    )  # fmt: skip
    data = None
    if folder is not None and settings.data is not None:
        data = folder.data.resolve()
        task = replace(task, data=str(data))  # type: ignore[type-var]
    return settings.where.make_executor(task, worker_settings, max_workers=settings.n_workers, data=data, say=warn)
