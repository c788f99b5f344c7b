"""The function ``tune``: search over an objective from Python."""

from __future__ import annotations

import functools
import inspect
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from automl.analysis.sentences import about_lengths, commonest_error
from automl.devices import cards
from automl.errors import UserError
from automl.integrations.tracking import tracker_names
from automl.runs.machines import Machines
from automl.runs.past_studies import past_studies, which_prior
from automl.runs.search import open_search, strategy_of
from automl.runs.settings import Settings
from automl.runs.shared import SharedRun, check_has_no_executor
from automl.runs.shared_search import share
from automl.runs.time_plan import Clock
from automl.study.open_study import recorded, space_settings
from automl.study.run_folder import RunFolder
from automl.task import Task
from automl.tasks.function import FunctionTask, as_task, check_stops_early
from automl.tuning.executor import Executor, SerialExecutor
from automl.tuning.progress import Progress
from automl.tuning.progress import progress as progress_display
from automl.tuning.result import Result
from automl.tuning.retention import KEPT_AFTER_SEARCH
from automl.tuning.stopping import Within, as_within
from automl.tuning.tuner import Callback
from automl.tuning.warm_start import starts, to_json
from strategies import check_spec
from strategies.base import Strategy
from strategies.errors import UnknownStrategy

if TYPE_CHECKING:
    from automl.runs.past_studies import Prior
    from strategies.portfolio import PastStudy

DEFAULT_TRIALS = 50
SEEDS = 2**31  # random ones are below
KEPT_ON_RESUME = ("seed", "target", "patience", "sure_within", "trial_seconds")  # unless they are given


def tune(
    objective: Any,
    space: Any = None,
    *,
    strategy: str | type[Strategy] | None = None,
    n_trials: int | None = None,
    seed: int | None = 0,
    n_workers: int | None = None,
    lanes: int = 1,
    max_epochs: int | None = None,
    time_limit: float | None = None,
    target: float | None = None,
    patience: int | None = None,
    sure_within: Within | None = None,
    maximize: bool = False,
    study: str | Path | None = None,
    storage: str | None = None,
    resume: bool | Literal["if-exists"] = False,
    start: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    prior: Prior | None = None,
    executor: Executor | Machines | None = None,
    device: str = "auto",
    trial_seconds: float | None = None,
    reproducible: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    track: str | Sequence[str] = (),
) -> Result:
    """Minimize an objective over a search space.

    ``objective``: a function ``config -> loss``, a generator that yields the loss after each epoch, a Task, or the name
        of a built-in task. Functions and generators may also take ``seed``, ``epochs``, ``folder`` and ``device``.
    ``space``: the search space, as anything that ``load_space`` takes; a task has its own.
    ``strategy``: the name of a search strategy, such as ``"bo"`` or ``"tpe+asha"``, or a class. Default: ``"auto"``, or
        that of the run that is resumed.
    ``n_trials``: the budget in full trainings, so n_trials x max_epochs epochs. Default: 50, or unlimited with a
        ``time_limit``. A run that is resumed without either keeps both.
    ``time_limit``: seconds for the search. A single worker trains in this process, where a training that has begun goes
        on to its end; one of several, on a GPU or with ``trial_seconds`` is ended.
    ``seed``: of the search and, derived from it, of each training. None: a random one; a resumed run keeps its own.
    ``n_workers``: trainings in parallel, by default 1. Several, or one on a GPU, run in separate processes; a warning
        is given if they share cores. On other machines, the maximum; by default as many as there is room for.
    ``lanes``: maximum number of configs of one shape that a worker trains in one program, for tasks with ``lane_key``.
        Proposals then come in packs of one shape.
    ``max_epochs``: epochs of a full training, after which a generator is closed. By default the task's, or the default
        of the function's own argument ``epochs``; a generator without one runs to its end.
    ``target``: stop once the task's metric has reached this value.
    ``patience``: stop after this many full trainings' worth of epochs without improvement.
    ``sure_within``: stop once the strategy's model (with ``bo``) is sure that no config is better than the best trial
        by more than this loss, or, with ``"noise"``, by more than the noise between trainings.
    ``maximize``: the objective returns a score; higher is better.
    ``study``: a folder for the run, created if missing; without one, nothing is written. ``resume`` continues the run
        there, with the same ``target``, ``patience``, ``sure_within`` and ``trial_seconds`` unless they are given;
        ``resume="if-exists"`` starts it if there is none. At
        the end it holds trials.csv, best.yaml, summary.json, and the checkpoints of the three best trials and of trials
        that may continue; ``automl report`` adds the report.
    ``storage``: the URL of a PostgreSQL database for the study, which is named after the folder there. Processes that
        call ``tune`` with the same storage and the same shared folder train together: one leads, the others lend it
        ``n_workers`` each and return its result. The password comes from the environment (PGPASSWORD) or a file
        (``~/.pgpass``).
    ``start``: configs to try after the default one.
    ``prior``: past studies whose recommended configs are tried next: ``"none"``, ``"shipped"``, or ``"all"``, which
        includes the user's own. Default: "all" for ``auto``, "none" for a named strategy. A resumed run keeps both.
    ``executor``: other machines to train on, such as ``Machines("ray")``, whose arguments match the command-line
        options; or an Executor of your own.
    ``trial_seconds``: time limit of a training; a longer one is killed and fails. A run resumed with more seconds
        retries it.
    ``reproducible``: handle outcomes in the order of their proposals, so that a parallel run is exactly repeatable.
    ``callbacks``: each is called as ``callback(result, trial)`` once the outcome of a trial is in the study, with the
        Result so far and the Trial. Its ``state`` is complete, stopped, failed or paused; a paused trial may continue
        and be reported again. An exception in a callback ends the run with its traceback, and the study is kept; a
        KeyboardInterrupt ends it like Ctrl-C, and the Result is returned.
    ``progress``: show a progress bar in a terminal or notebook; elsewhere, log each trial to the logger ``automl`` at
        level INFO.
    ``track``: also write the trials of a run with a folder to ``"mlflow"``, ``"tensorboard"`` or ``"wandb"``.

    Raises UserError for errors that the caller can fix, and warns if no trial has succeeded.
    """
    _check(strategy, callbacks, executor, study=study, storage=storage, resume=resume)
    # The objective may change the working directory.
    folder = None if study is None else RunFolder(Path(study).expanduser().absolute())
    if resume == "if-exists":
        resume = folder is not None and folder.can_continue
    stored = recorded(folder) if resume and storage is None and folder is not None else None
    if strategy is None:
        strategy = (stored or {}).get("strategy", "auto")
    if seed is None and storage is not None:
        raise UserError("processes that share a run need the same seed: give one with storage")
    keeps_budget = resume and study is not None and n_trials is None and time_limit is None
    if n_trials is None and time_limit is None and not keeps_budget:
        n_trials = DEFAULT_TRIALS
    task = as_task(objective, space, max_epochs=max_epochs, maximize=maximize)
    kind = None if isinstance(strategy, str) else strategy
    machines, own = (executor, None) if isinstance(executor, Machines) else (None, executor)
    if n_workers is None and machines is None:
        n_workers = 1
    settings = Settings(
        task=task.name, strategy=strategy if isinstance(strategy, str) else strategy.__name__, seed=seed,
        n_trials=n_trials, max_epochs=task.max_epochs, space=space_settings(task.space), n_workers=n_workers,
        lanes=lanes, time_limit=time_limit, trial_seconds=trial_seconds, target=target, patience=patience,
        sure_within=as_within(sure_within), reproducible=reproducible, maximize=maximize, device=device,
        track=_trackers(track, study), machines=None if machines is None else asdict(machines), from_python=True,
    )  # fmt: skip
    assert settings.strategy is not None
    if kind is None:
        try:
            check_spec(settings.strategy)
        except UnknownStrategy as error:
            raise UserError(str(error)) from None
        check_stops_early(task, settings.strategy)
    first = None
    given = to_json(starts(task.space, task.name, n_trials, start))
    if not resume or folder is None:
        first = to_json(starts(task.space, task.name, n_trials, start, _past_studies(prior, settings.strategy)))
    warn = functools.partial(warnings.warn, stacklevel=2)
    if settings.crowded and own is None:
        warn(settings.crowded)
    display = progress_display() if progress else None
    complete = replace(settings, prior=first)
    search = _Search(task, complete, kind, folder, own, keeps_budget, given, display, callbacks, warn)
    result = search(stored) if storage is None else share(storage, folder, task, settings, search, resume=resume)
    if result.stop_reason == "interrupted":
        n = result.study.n_ended
        warn(f"interrupted: the result has {n} finished trial{'s' * (n != 1)}")
    elif result.study.best is None:
        warn(" ".join([f"no trial succeeded ({result.stop_reason}).", *commonest_error(result.study)]))
    elif isinstance(task, FunctionTask):
        for line in about_lengths(result.study, "max_epochs"):
            warn(line)
    return result


def _check(
    strategy: Any,
    callbacks: Any,
    executor: Any,
    *,
    study: str | Path | None,
    storage: str | None,
    resume: bool | str,
) -> None:
    if not isinstance(resume, bool) and resume != "if-exists":
        raise UserError(f"resume must be True, False or 'if-exists', got {resume!r}")
    if executor is not None and not isinstance(executor, (Executor, Machines)):
        raise UserError(f"executor must be Machines, such as Machines('ray'), or an Executor, got {executor!r}")
    is_class = isinstance(strategy, type) and issubclass(strategy, Strategy)
    if strategy is not None and not isinstance(strategy, str) and not is_class:
        raise UserError(f"strategy must be a name, such as 'bo', or a subclass of Strategy, got {strategy!r}")
    if is_class and inspect.isabstract(strategy):
        missing = ", ".join(sorted(strategy.__abstractmethods__))
        raise UserError(f"the strategy {strategy.__name__} is abstract; implement {missing}")
    if study is not None and not isinstance(study, (str, Path)):
        raise UserError(f"study must be the path of a folder, got {study!r}")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise UserError(f"callbacks must be a list of functions, got {callbacks!r}")
    if resume and study is None and storage is None:
        raise UserError("resume continues the run in a folder, which is missing: give study='runs/mine'")
    if storage is not None:
        check_has_no_executor(executor)


@dataclass(frozen=True)
class _Search:
    """The search of a call, to be called once it is known whether it continues a run."""

    task: Task
    settings: Settings  # of a new run
    kind: type[Strategy] | None  # the user's own
    folder: RunFolder | None
    executor: Executor | None  # the user's own
    keeps_budget: bool  # whether a resumed run keeps its budget
    starts: Sequence[Mapping[str, Any]]  # the configs given with ``start``, as JSON
    display: Progress | None
    callbacks: Sequence[Callback]
    warn: Callable[[str], None]

    def __call__(self, stored: Mapping[str, Any] | None, shared: SharedRun | None = None) -> Result:
        """``stored``: the settings of the run that it continues. ``shared``: the run that this process leads."""
        clock, folder, complete = Clock(), self.folder, self._settings(stored)
        strategy = strategy_of(self.task, complete, self.kind)
        with open_search(
            self.task, complete, strategy, folder, resume=stored is not None, executor=self._executor(shared),
            display=self.display, callbacks=self.callbacks, warn=self.warn, shared=shared,
        ) as opened:  # fmt: skip
            with clock.during("search"):
                result = opened.tuner.run()
            if folder is not None:
                from automl.runs.final import Final
                from automl.runs.outputs import Outputs

                outputs = Outputs(folder, result, opened.tuner, complete, clock)
                outputs.record(Final(), complete=not opened.tuner.interrupted)
                if shared is not None:
                    shared.keep_summary()
            if not opened.tuner.interrupted:
                opened.tuner.retention.keep_best(KEPT_AFTER_SEARCH)
            return result

    def _settings(self, stored: Mapping[str, Any] | None) -> Settings:
        if stored is None:
            started = datetime.now(UTC).isoformat(timespec="seconds")
            seed = secrets.randbelow(SEEDS) if self.settings.seed is None else self.settings.seed
            return replace(self.settings, started=started, seed=seed)
        kept = KEPT_ON_RESUME + (("n_trials", "time_limit") if self.keeps_budget else ())
        before = Settings.from_json(stored)
        own = [start for start in before.prior or () if start["study"] is None]
        if self.starts and self.starts != own:
            raise UserError(
                f"the run started from {len(own)} given configuration{'s' * (len(own) != 1)}, not from those of start; "
                "a resumed run keeps them: leave start out"
            )
        same = {name: getattr(before, name) for name in kept if getattr(self.settings, name) is None}
        if self.keeps_budget and before.n_trials is None and before.time_limit is None:
            same["n_trials"] = DEFAULT_TRIALS
        return replace(self.settings, prior=before.prior, started=before.started, **same)

    def _executor(self, shared: SharedRun | None) -> Executor | None:
        """The user's own, or this process; None for processes of its own."""
        settings = self.settings
        is_serial = settings.machines is None and settings.n_workers == 1 and settings.trial_seconds is None
        if self.executor is not None or not is_serial or shared is not None:
            return self.executor
        # After some GPU errors, only a new process can use the card.
        return None if cards(settings.device or "auto") else SerialExecutor(self.task)


def _trackers(names: str | Sequence[str], study: str | Path | None) -> Sequence[str] | None:
    if not names:
        return None
    if study is None:
        raise UserError("track needs a folder in which the run is kept, e.g. study='runs/mine'")
    return tracker_names([names] if isinstance(names, str) else names)


def _past_studies(asked: Prior | None, strategy: str) -> list[PastStudy]:
    return past_studies(which_prior(asked, strategy), functools.partial(warnings.warn, stacklevel=4))
