"""A run that several processes share: ``automl run --storage URL --out FOLDER``, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.cli import exit_codes
from automl.cli.pipeline import run_session
from automl.cli.terminal import OTHERS_GO_ON, show_line
from automl.errors import UserError
from automl.runs.configure import resumed, settings_of
from automl.runs.run_files import read_summary
from automl.runs.settings import Settings, build_task, default_workers
from automl.runs.shared import SharedRun, check_has_no_executor, take_part
from automl.study.database_errors import ConnectionLost
from automl.study.location import Location, in_database, of_folder
from automl.study.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console

    from automl.runs.time_plan import Clock
    from automl.study.run_log import Listener


def shared_location(storage: str | None, out: Path | None, *, resume: bool) -> Location | None:
    """Where the study of a shared run is; None for a run of a single process, whose study is in its folder."""
    if storage is not None:
        if out is None:
            raise UserError("--storage needs --out: the folder of the run, which all its processes share")
        return in_database(storage, RunFolder(out))
    if resume and out is not None and RunFolder(out).storage.exists():
        return of_folder(RunFolder(out))
    return None


def share(
    location: Location,
    asked: Settings,
    begin: Callable[[SharedRun], tuple[RunFolder, int]],
    *,
    resume: bool,
    console: Console,
    clock: Clock,
    listeners: Sequence[Listener],
) -> tuple[RunFolder, int]:
    """Lead the run, or lend workers to it. Returns its folder and the exit code.

    ``begin``: called if this process is to start the run. ``listeners``: to its events while this process leads it.
    """
    check_has_no_executor(asked.machines if asked.where.is_remote else None)
    folder, say = location.folder, partial(show_line, console)
    assert folder is not None
    device = asked.device or "auto"
    n_workers = asked.n_workers or default_workers(device)

    def lead(stored: dict[str, Any] | None) -> tuple[RunFolder, int]:
        if stored is None and resume:
            raise UserError(f"nothing to resume: there is no run in {location}")
        if stored is None:
            return begin(shared)
        if not resume and shared.stop_reason is not None:
            raise UserError(
                f"the run in {str(folder.path)!r} has ended; extend it with --resume, or choose another folder with "
                "--out"
            )
        settings = _settings(stored, asked, folder)
        return run_session(
            settings, folder.path, resume=True, console=console, clock=clock, listeners=listeners, shared=shared
        )

    def lend(stored: dict[str, Any]) -> bool:
        settings = _settings(stored, asked, folder)
        if settings != settings_of(stored, folder.path):
            raise UserError("the run is still active; its settings can be changed once it has ended")
        workers = f"{n_workers} worker{'s' * (n_workers != 1)}"
        say(f"lending {workers} to the run in {folder.path}, which another process leads")
        leads = shared.lend(build_task(settings, folder.data), settings)
        if leads:
            say("the leader of the run is gone; this process leads it now")
        return leads

    with SharedRun(location, n_workers, device, say) as shared:
        try:
            led = take_part(shared, lead, lend)
        except (KeyboardInterrupt, ConnectionLost):  # the connection, once it was interrupted
            say(f"interrupted; {OTHERS_GO_ON}")
            return folder, 130
    if led is None:
        say(f"the run has ended: {folder.report}")
        summary = read_summary(folder)
        return folder, 0 if summary is None else exit_codes.of_run(summary)
    return led


def _settings(stored: dict[str, Any], asked: Settings, folder: RunFolder) -> Settings:
    """The run's settings with the permitted changes; each process has its own workers and devices."""
    return resumed(settings_of(stored, folder.path), replace(asked, n_workers=None, device=None))
