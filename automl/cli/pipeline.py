"""One run of the command line from its settings to its files."""

from __future__ import annotations

import itertools
import re
import shlex
import signal
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from automl.analysis.columns import in_short, reads_columns
from automl.analysis.formatting import failed_in_words
from automl.analysis.sentences import about_lengths, commonest_error
from automl.cli import exit_codes
from automl.cli.live_table import LiveTable
from automl.cli.terminal import OTHERS_GO_ON, show_line, show_paths, show_summary
from automl.errors import TRY_AGAIN, Blocked, UserError, lack_of_space, writes
from automl.runs.final import Final, has_final, train_all
from automl.runs.final_model import check_can_keep
from automl.runs.outputs import Outputs, about_run
from automl.runs.past_studies import learn
from automl.runs.session import Session
from automl.runs.settings import Settings, build_task
from automl.runs.time_plan import Clock
from automl.study.run_folder import RunFolder
from automl.task import epochs_are
from automl.tasks.cross_validated import CrossValidated, described_plan
from automl.tasks.function import FunctionTask
from automl.tasks.shell_command import CommandTask
from automl.tuning.final_evaluation import final_means
from automl.tuning.result import Result
from automl.tuning.retention import KEPT_AFTER_SEARCH
from automl.tuning.tuner import Tuner
from automl.tuning.warm_start import from_json, in_words, recommended
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from rich.console import Console

    from automl.runs.search import Search
    from automl.runs.shared import SharedRun
    from automl.study.run_log import Listener
    from automl.task import Task


MAX_NAME_LENGTH = 48  # characters, of up to 4 bytes each: a folder's name, with more parts, has at most 255 bytes


def run_session(
    settings: Settings,
    out: Path | None,
    *,
    resume: bool,
    console: Console,
    prepared: Path | None = None,
    clock: Clock | None = None,
    listeners: Sequence[Listener] = (),
    shared: SharedRun | None = None,
) -> tuple[RunFolder, int]:
    """Run the search and the final, and write and show the results. Returns the run's folder and the exit code.

    ``prepared``: the folder of the user's own data, which becomes part of a new run's. ``clock``: of the command. The
    time limit is for the whole command; see ``TimePlan`` for what the search leaves for later stages. ``listeners``: to
    the events of the search. ``shared``: the shared run that this process leads.
    """
    clock = clock or Clock()
    session, title = _begun(settings, out, resume=resume, console=console, prepared=prepared, clock=clock)
    folder, live = session.folder, LiveTable(console, title, session.plan)
    try:
        with _full_disk_names_resume(folder), session.searching(
            warn=partial(show_line, console), display=live, data=prepared, resume=resume, listeners=listeners,
            shared=shared,
        ) as search:  # fmt: skip
            tuner = search.tuner
            if resume:
                live.resumed(tuner)
            with _interrupts_end(console, tuner):
                session.plan.begin()
                with clock.during("search"):
                    result = tuner.run()
                for finding in session.strategy.findings:
                    show_line(console, f"{settings.strategy}: {finding}")
                outputs = Outputs(folder, result, tuner, settings, clock)
                first = _write_first(console, outputs)
                final = _final(console, session, search, result, first, live, clock)
                interrupted = tuner.interrupted or final.interrupted
                live.note("writing the model and the report")
                summary = outputs.write(final, complete=not interrupted)
                if not interrupted:
                    tuner.retention.keep_best(max(KEPT_AFTER_SEARCH, settings.ensemble or 0))
    except KeyboardInterrupt:
        if shared is not None:  # whose other processes continue it
            raise
        if folder.can_continue:
            without = "" if folder.model.exists() else " without a model"
            show_line(console, f"stopped{without}; {_resume_hint(folder)}")
        else:
            show_line(console, "stopped before the first trial; give the same command again")
        return folder, 130
    return folder, _finished(console, session, outputs, summary, live, shared)


def _begun(
    settings: Settings, out: Path | None, *, resume: bool, console: Console, prepared: Path | None, clock: Clock
) -> tuple[Session, str]:
    """Announce a run that can start or continue; returns its session and title."""
    if resume and out is not None and RunFolder(out).versions.is_dir():
        raise UserError(
            f"the run in {str(out)!r} has been updated with new data since (promoted or not), so it cannot be resumed; "
            "start a new one with all data, or update it again"
        )
    task = build_task(settings, prepared or (None if out is None else RunFolder(out).data))
    name = task.name if settings.data is not None else (settings.task or "command").rpartition(":")[2]
    folder = RunFolder(out or new_folder(name, settings.strategy, settings.seed))
    if not isinstance(task, CrossValidated):
        check_can_keep(task, refit=bool(settings.refit), ensemble=settings.ensemble)
    session = Session.of(settings, task, folder, clock)
    return session, _announced(console, name, session, task)


def _finished(
    console: Console,
    session: Session,
    outputs: Outputs,
    summary: Mapping[str, Any],
    live: LiveTable,
    shared: SharedRun | None,
) -> int:
    """Show the results, and learn from them. Returns the exit code."""
    settings, folder, result, tuner = session.settings, session.folder, outputs.result, outputs.tuner
    if shared is not None:
        shared.keep_summary()
        if summary["complete"]:
            shared.end(result.stop_reason)
    hint = None if summary["complete"] else _resume_hint(folder, shared)
    _show_end(console, session, result, summary, live, tuner, resume_hint=hint)
    if reads_columns(summary["model"]):
        show_line(console, f"columns      {in_short(outputs.columns, folder.path)}")
    if settings.learn is not False and not tuner.interrupted:
        _learn(console, result, settings, folder)
    return exit_codes.of_run(summary)


def _announced(console: Console, name: str, session: Session, task: Task) -> str:
    """Print what will be done and why. ``task``: with the data in their current place. Returns the title of the run."""
    settings = session.settings
    if settings.crowded:
        show_line(console, settings.crowded)
    if isinstance(task, CommandTask) and task.doubt:
        show_line(console, task.doubt)
    if isinstance(task, CrossValidated):
        has_test, spent = settings.has_test, session.plan.spent
        n = 1 + len((settings.data or {}).get("others", ()))
        show_line(console, described_plan(task, settings.time_limit, has_test=has_test, spent=spent, n_targets=n))
        for source in recommended(from_json(settings.prior)):
            show_line(console, f"after the presets, {source}")
    else:
        if why := session.strategy.why(epochs_are(task)):
            show_line(console, f"{settings.strategy}: {why}")
        if settings.prior:
            show_line(console, in_words(from_json(settings.prior)))
    n = settings.planned_workers
    n_workers = f"{n} worker{'s' * (n != 1)}{' at first' * (settings.n_workers is None)}"
    return f"{name} with {settings.strategy}, seed {settings.seed}, {n_workers}, in {session.folder.path}"


def _final(
    console: Console,
    session: Session,
    search: Search,
    result: Result,
    summary: Mapping[str, Any],
    live: LiveTable,
    clock: Clock,
) -> Final:
    """Run what follows the search: the trainings of the best configs on fresh seeds, or the ensemble of a
    cross-validated table. ``summary``: of the search."""
    settings, task, plan, tuner = session.settings, session.task, session.plan, search.tuner
    final = Final()
    if result.study.best is not None and isinstance(task, CrossValidated):
        with clock.during("refit"):
            final.model = session.ensemble(tuner, about_run(summary), watch=live.note, say=partial(show_line, console))
    elif result.study.best is not None and not tuner.interrupted and session.ends_with_final:
        n_seeds = plan.seeds_within(tuner, settings.time_limit)
        if n_seeds < plan.n_seeds:
            show_line(console, f"final: {n_seeds} of {plan.n_seeds} seeds, as more may not fit in the time limit")
        watch = partial(_watch_final, live, tuner)
        settings = replace(settings, n_final=n_seeds)
        final = train_all(task, result, tuner.executor, session.folder, settings, watch, clock, tuner.log.write)
        if final.trainings and search.tracking is not None:
            assert final.chosen is not None
            search.tracking.final(final_means(final.trainings, task.metric), final.kept, final.chosen)
    return final


def _show_end(
    console: Console,
    session: Session,
    result: Result,
    summary: Mapping[str, Any],
    live: LiveTable,
    tuner: Tuner,
    *,
    resume_hint: str | None,
) -> None:
    settings, task, folder = session.settings, session.task, session.folder
    show_summary(console, summary, Encoding(task.space).default, live.values)
    for line in commonest_error(result.study) if summary["n_failed"] > result.study.n_without_time else ():
        failed = failed_in_words(summary["n_failed"], summary["n_too_slow"], summary["n_trials"])
        show_line(console, f"{failed}. {line}")
    if isinstance(task, CommandTask | FunctionTask):
        for line in about_lengths(result.study, "--epochs"):
            show_line(console, line)
    if summary["best"] is not None and settings.n_final and not has_final(task, settings):
        show_line(console, f"no final comparison: {_without_seed(task)}")
    show_paths(console, folder, resume_hint=resume_hint)
    if tuner.folders.n_bytes:
        show_line(console, f"checkpoints  {folder.trials}, {tuner.folders.n_bytes / 1e6:,.1f} MB")
    overrun = session.plan.overrun(settings.time_limit)
    if overrun is not None:
        show_line(console, overrun)


def _without_seed(task: Task) -> str:
    if isinstance(task, CommandTask):
        return "the command has no {seed}, with which the best configurations would be trained again"
    return "the objective has no argument seed, with which the best configurations would be trained again"


def _resume_hint(folder: RunFolder, shared: SharedRun | None = None) -> str:
    """How to continue an interrupted run, or that other processes continue it."""
    if shared is not None and shared.has_others:
        return OTHERS_GO_ON
    return f"continue with --resume --out {shlex.quote(str(folder.path))}"


def _write_first(console: Console, outputs: Outputs) -> Mapping[str, Any]:
    """Write the files before the final, which may be interrupted; without the report, by far the largest of them, if
    it does not fit on the disk."""
    try:
        return outputs.write(Final())
    except OSError as error:
        reason = lack_of_space(error)
        if reason is None:
            raise
        show_line(console, f"the report is written after the final only: {reason}")
        return outputs.record(Final())


@contextmanager
def _full_disk_names_resume(folder: RunFolder) -> Iterator[None]:
    """Turn errors for lack of space into a UserError with the option that continues the run."""
    try:
        with writes(folder.path):
            yield
    except Blocked as error:
        if not str(error).endswith(TRY_AGAIN) or not folder.has_run or folder.starting.exists():
            raise
        raise UserError(f"{error} with --resume --out {shlex.quote(str(folder.path))}") from error


def new_folder(name: str, *about: Any) -> Path:
    """An unused folder in ``runs``, named after ``name`` (any text), ``about`` and the time."""
    stem = "-".join([_plain(name), *map(str, about), time.strftime("%Y%m%d-%H%M%S")])
    names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
    return next(path for path in (Path("runs") / name for name in names) if not path.exists())


def _plain(name: str) -> str:
    """The name as part of a folder's name: at most MAX_NAME_LENGTH letters, digits, dots, dashes and underscores."""
    kept = (c if c in "._" or unicodedata.category(c)[0] in "LMN" else "-" for c in unicodedata.normalize("NFC", name))
    return re.sub("-+", "-", "".join(kept)).strip("-.")[:MAX_NAME_LENGTH].rstrip("-.") or "run"


def _learn(console: Console, result: Result, settings: Settings, folder: RunFolder) -> None:
    """Save the result for later searches; the run is complete without it."""
    try:
        file = learn(result.study, settings, folder)
    except OSError as error:
        show_line(console, f"past studies: the result cannot be kept for later searches: {error}")
        return
    if file is not None:
        show_line(console, f"past study   {file}")


def _watch_final(live: LiveTable, tuner: Tuner, note: str) -> None:
    if tuner.interrupted:
        raise KeyboardInterrupt
    live.note(note)


@contextmanager
def _interrupts_end(console: Console, tuner: Tuner) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the search after the current step, and a second one the run at once."""
    notes: SimpleQueue[str | None] = SimpleQueue()  # a signal handler must not print, as it may interrupt a print

    def end(*_: object) -> None:
        if tuner.interrupted:
            raise KeyboardInterrupt
        tuner.interrupted = True
        n = tuner.study.counts["complete"] if isinstance(tuner.task, CrossValidated) else 0
        what = f"building the model from {n} trial{'s' * (n != 1)}" if n else "writing the report"
        notes.put(f"interrupted: {what}; Ctrl-C again stops now")

    def tell() -> None:
        while (note := notes.get()) is not None:
            show_line(console, note)

    thread = Thread(target=tell, daemon=True)
    thread.start()
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        notes.put(None)
        thread.join()
