"""Which run ``automl run`` works on: a new one, a resumed one, or one shared by several processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.cli import exit_codes
from automl.cli.pipeline import run_session
from automl.cli.prepared_data import prepared_for
from automl.cli.several_targets import names_of, run_each
from automl.cli.shared_session import share, shared_location
from automl.cli.terminal import show_line
from automl.errors import UserError
from automl.runs.configure import check_repeated, new_settings, planned, resumed, stored_settings
from automl.runs.past_studies import past_studies, which_prior
from automl.runs.run_files import read_summary
from automl.runs.settings import Settings
from automl.runs.sources import about_changes
from automl.runs.time_plan import Clock
from automl.study.run_folder import RunFolder
from automl.tasks.families import check_known

if TYPE_CHECKING:
    from rich.console import Console

    from automl.data.ingest.request import Request
    from automl.runs.shared import SharedRun
    from automl.study.run_log import Listener


@dataclass(frozen=True)
class NewRun:
    """Options for new runs only; a resumed run keeps its own."""

    space: Path | None
    fixed: list[str]  # KEY=VALUE
    start: Path | None
    prior: str | None


def dispatch(
    asked: Settings,
    request: Request | None,
    new: NewRun,
    *,
    out: Path | None,
    storage: str | None,
    resume: bool,
    is_repeated: bool,
    console: Console,
    clock: Clock,
    listeners: Sequence[Listener],
) -> tuple[RunFolder, int]:
    """Start, resume or join a run. Returns its folder and the exit code.

    ``request``: for the user's own data. ``is_repeated``: whether the options are those that the run was started with.
    """
    if (resume or is_repeated) and out is None:
        raise UserError(f"{'--resume-if-exists' if is_repeated else '--resume'} needs --out, the folder of the run")
    kept = {"--space": new.space, "--set": new.fixed, "--start": new.start, "--prior": new.prior}
    if resume and not is_repeated and (given := [option for option, value in kept.items() if value]):
        raise UserError(f"leave out {' and '.join(given)}: with --resume, a run keeps what it was started with")
    if resume and is_repeated and out is not None:
        folder = RunFolder(out)
        prepared = folder.data if folder.data.exists() else None
        check_repeated(stored_settings(out), new.space, new.fixed, new.start, prepared)

    def run_once(
        request: Request | None, asked: Settings, out: Path | None, clock: Clock, shared: SharedRun | None = None
    ) -> tuple[RunFolder, int]:
        check_known(asked.model)
        studies = past_studies(which_prior(new.prior, asked.strategy), lambda line: show_line(console, line))
        with prepared_for(request, out, console, asked.metric) as prepared:
            wanted = asked if prepared is None else planned(asked, prepared)
            settings = new_settings(wanted, new.space, new.fixed, new.start, studies, prepared)
            return run_session(
                settings, out, resume=False, console=console, prepared=prepared, clock=clock, listeners=listeners,
                shared=shared,
            )  # fmt: skip

    def begin_run(shared: SharedRun | None = None) -> tuple[RunFolder, int]:
        return run_once(request, asked, out, clock, shared)

    if resume and storage is None and out is not None and (changed := about_changes(stored_settings(out))):
        show_line(console, changed)
    if resume and is_repeated and out is not None and (summary := _complete(out, asked)):
        show_line(console, f"the run in {out} is complete; a larger budget extends it")
        return RunFolder(out), exit_codes.of_run(summary)
    location, targets = shared_location(storage, out, resume=resume), names_of(request)
    if request is not None and targets:
        if location is not None or resume or is_repeated:
            raise UserError(f"--target {request.target} excludes --storage and resuming: such a run has one target")

        def run_target(request: Request, asked: Settings, out: Path) -> tuple[RunFolder, int]:
            return run_once(request, asked, out, Clock())

        return run_each(targets, request, asked, out, run_target, console, clock)
    if location is not None:
        return share(location, asked, begin_run, resume=resume, console=console, clock=clock, listeners=listeners)
    if resume:
        assert out is not None
        settings = resumed(stored_settings(out), asked)
        return run_session(settings, out, resume=True, console=console, clock=clock, listeners=listeners)
    return begin_run()


def _complete(out: Path, asked: Settings) -> dict[str, Any] | None:
    """The summary of the run in a folder, if nothing of it is left to do with these settings."""
    settings, summary = resumed(stored_settings(out), asked), read_summary(RunFolder(out))
    is_complete = summary is not None and summary.get("complete") and summary["settings"] == settings.to_json()
    return summary if is_complete else None
