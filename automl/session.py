"""One run of the command line from its settings to its files."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.display import LiveTable, show_summary
from automl.errors import UserError
from automl.executors import Executor, ProcessExecutor
from automl.final import Training, final_summary, train_final
from automl.folders import RunFolder, TrialFolders
from automl.outputs import summarise, write_best, write_summary, write_trials
from automl.result import Result
from automl.settings import Settings, build_task
from automl.short_form import fix, merge, space_to_dict
from automl.space import read_yaml
from automl.store import Store, sqlite_url
from automl.tuner import Tuner, open_study
from strategies import make_strategy
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from rich.console import Console

    from automl.tasks.base import Task


def new_settings(asked: Settings, space_file: Path | None, fixed: list[str]) -> Settings:
    """The settings of a new run: defaults filled in, and the space after ``--space`` and ``--set``."""
    form: dict[str, Any] | None = None
    if space_file is not None:
        form = dict(read_yaml(space_file))
        if asked.command is None and ".py:" not in (asked.task or ""):
            form = merge(build_task(asked.with_defaults()).space, form)
    settings = replace(asked, space=form).with_defaults()
    task = build_task(settings)
    form = space_to_dict(task.space)
    for assignment in fixed:
        name, value = _assignment(assignment)
        form = fix(form, name, value)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(settings, space=form, max_epochs=task.max_epochs, started=now)


def stored_settings(folder: Path) -> Settings:
    """The settings of the run in a folder."""
    if not RunFolder(folder).study.exists():
        raise UserError(f"nothing to resume: there is no study.db in {str(folder)!r}")
    return Settings.from_json(Store.settings(sqlite_url(RunFolder(folder).study)))


def run_session(
    settings: Settings, out: Path | None, *, resume: bool, n_final: int, console: Console
) -> tuple[RunFolder, int]:
    """Search, train the final, write and show everything. Gives the run's folder and the exit code."""
    assert settings.strategy is not None
    assert settings.n_trials is not None
    assert settings.n_workers is not None
    task = build_task(settings)
    name = (settings.task or "command").rpartition(":")[2]
    folder = RunFolder(out or Path("runs") / f"{name}-{settings.strategy}-{time.strftime('%Y%m%d-%H%M%S')}")
    seed = settings.seed or 0
    strategy = make_strategy(
        settings.strategy, task.space, seed=seed, n_trials=settings.n_trials, max_epochs=task.max_epochs
    )
    study = open_study(folder, task, settings.to_json(), resume=resume)
    workers = ProcessExecutor(task, settings.n_workers, trial_seconds=settings.trial_seconds, logs=folder.logs)
    title = f"{name} with {settings.strategy}, seed {seed}, {settings.n_workers} workers, in {folder.path}"
    with workers as executor, LiveTable(console, title) as live:
        tuner = Tuner(
            task,
            strategy,
            study,
            executor,
            n_trials=settings.n_trials,
            seed=seed,
            device=settings.device or "auto",
            folders=TrialFolders(folder.trials),
            time_limit=settings.time_limit,
            target=settings.target,
            reproducible=bool(settings.reproducible),
            watch=live.update,
        )
        with _interrupts_end(tuner):
            result = tuner.run()
        trainings = []
        if result.study.best is not None and result.stop_reason != "interrupted" and n_final > 0:
            trainings = _final(task, result, executor, folder, settings, n_final, live)
    summary = _write(folder, result, tuner, settings, trainings)
    show_summary(console, summary, Encoding(task.space).default)
    _show_paths(console, folder, resume_hint=result.stop_reason == "interrupted")
    if result.stop_reason == "interrupted":
        return folder, 130
    return folder, 0 if summary["best"] else 1


def _final(
    task: Task, result: Result, executor: Executor, folder: RunFolder, settings: Settings, n_seeds: int, live: LiveTable
) -> list[Training]:
    if not getattr(task, "takes_seed", True):
        live.note("no final: the objective takes no seed, so training it again would give the same")
        return []
    try:
        return train_final(
            task,
            result.best_config,
            Encoding(task.space).default,
            executor,
            folder.final,
            run_seed=settings.seed or 0,
            n_seeds=n_seeds,
            device=settings.device or "auto",
            watch=lambda done, of: live.note(f"final: {done} of {of} trainings with fresh seeds are done"),
        )
    except KeyboardInterrupt:
        return []


def _write(
    folder: RunFolder, result: Result, tuner: Tuner, settings: Settings, trainings: list[Training]
) -> dict[str, Any]:
    final = final_summary(trainings, tuner.task.metric) if trainings else None
    summary = summarise(result, tuner, settings.to_json(), final)
    write_trials(folder.trials_csv, result)
    if summary["best"] is not None:
        write_best(folder.best, summary)
    _keep_model(tuner.task, trainings, folder)
    write_summary(folder.summary, summary)
    from automl.report import write_report

    write_report(folder.report, result.study, summary)
    return summary


def _keep_model(task: Task, trainings: list[Training], folder: RunFolder) -> None:
    """Of the final trainings of the chosen config, the best on validation becomes model/; the others go."""
    good = [t for t in trainings if t.who == "chosen" and t.error is None and t.validation is not None]
    if good:
        sign = 1 if task.maximize else -1
        best = max(good, key=lambda training: sign * (training.validation or 0.0))
        aside = folder.path / "model.writing"
        shutil.rmtree(aside, ignore_errors=True)
        if hasattr(task, "export"):
            task.export(best.folder, aside)
        elif any(best.folder.iterdir()):
            shutil.copytree(best.folder, aside)
        if aside.exists():
            shutil.rmtree(folder.model, ignore_errors=True)
            aside.rename(folder.model)
    shutil.rmtree(folder.final, ignore_errors=True)


@contextmanager
def _interrupts_end(tuner: Tuner) -> Iterator[None]:
    """Ctrl-C and a polite kill end the search after the current step; a second Ctrl-C at once."""

    def end(*_: object) -> None:
        if tuner.interrupted:
            raise KeyboardInterrupt
        tuner.interrupted = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_paths(console: Console, folder: RunFolder, *, resume_hint: bool) -> None:
    files = {
        "report": folder.report,
        "model": folder.model,
        "best config": folder.best,
        "trials": folder.trials_csv,
        "summary": folder.summary,
        "study": folder.study,
    }
    for label, file in files.items():
        if file.exists():
            console.print(f"{label:12s} {file}", soft_wrap=True, highlight=False, markup=False)
    if resume_hint:
        console.print(
            f"interrupted; continue with --resume --out {folder.path}", soft_wrap=True, highlight=False, markup=False
        )


def _assignment(text: str) -> tuple[str, Any]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--set needs KEY=VALUE, got {text!r}")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value
