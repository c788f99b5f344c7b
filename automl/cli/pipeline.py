"""One run of the command line from its settings to its files."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.cli.terminal import LiveTable, show_line, show_paths, show_summary
from automl.errors import UserError
from automl.integrations.tracking import make_trackers, tracking
from automl.runs.final_model import check_can_keep, keep_model, refits
from automl.runs.past_studies import learn
from automl.runs.run_files import summarise, write_best, write_summary, write_trials
from automl.runs.settings import Settings, build_task
from automl.study.contenders import contenders
from automl.study.open_study import opened
from automl.study.run_folder import RunFolder, TrialFolders
from automl.study.trial import Trial
from automl.task import Task, fidelity_of
from automl.tasks.built_in import BuiltIn
from automl.tasks.supervised import Supervised
from automl.tuning.executors import Executor, ProcessExecutor
from automl.tuning.final_evaluation import (
    Training,
    Who,
    contender_summary,
    final_means,
    final_seed,
    final_summary,
    fit_baseline,
    to_keep,
    train_final,
    train_once,
)
from automl.tuning.result import Result, of_trial
from automl.tuning.stopping import check_is_possible
from automl.tuning.tuner import Tuner
from automl.tuning.warm_start import from_json, in_words
from strategies import make_strategy
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Final:
    """What was trained after the search, as far as it came."""

    trainings: Sequence[Training] = ()  # of the best configs and the default, with fresh seeds
    contenders: Sequence[Trial] = ()  # whose configs they are, the best in the search first
    chosen: int | None = None  # of them, by its number
    kept: Who = "chosen"  # whose config the run keeps,
    config: Mapping[str, Any] | None = None  # and the config
    refitted: Training | None = None  # on the validation part too
    baseline: Mapping[str, Any] | None = None
    interrupted: bool = False


def run_session(
    settings: Settings, out: Path | None, *, resume: bool, console: Console, prepared: Path | None = None
) -> tuple[RunFolder, int]:
    """Search, train the final, write and show everything. Gives the run's folder and the exit code.

    ``prepared``: the folder of the user's own data, which becomes part of a new run's.
    """
    assert settings.strategy is not None
    assert settings.n_workers is not None
    if resume and out is not None and RunFolder(out).versions.is_dir():
        raise UserError(
            f"the model of the run in {str(out)!r} has been updated since, so the run does not go on; "
            "start a new one with all data, or update it further"
        )
    trackers = make_trackers(settings.track or ())
    seed, device = settings.seed or 0, settings.device or "auto"
    task = build_task(settings, prepared or (None if out is None else RunFolder(out).data))
    name = task.name if settings.data is not None else (settings.task or "command").rpartition(":")[2]
    folder = RunFolder(out or _new_folder(f"{name}-{settings.strategy}-{seed}"))
    if settings.data is not None:
        assert isinstance(task, BuiltIn)
        task = replace(task, data=str(folder.data))  # where they will be once the folder is made
    prior = from_json(settings.prior)
    check_can_keep(task, refit=bool(settings.refit), ensemble=settings.ensemble)
    strategy = make_strategy(
        settings.strategy,
        task.space,
        seed=seed,
        n_trials=settings.n_trials,
        max_epochs=task.max_epochs,
        resumable=task.resumable,
        fidelity=fidelity_of(task),
        seconds=None if settings.time_limit is None else settings.time_limit * settings.n_workers,
        timed=not settings.reproducible,
        prior=prior,
    )
    check_is_possible(settings.sure_within, strategy, settings.strategy)
    if strategy.why:
        show_line(console, f"{settings.strategy}: {strategy.why}")
    if prior:
        show_line(console, in_words(prior))
    title = f"{name} with {settings.strategy}, seed {seed}, {settings.n_workers} workers, in {folder.path}"
    with (
        opened(folder, task, settings.to_json(), resume=resume, data=prepared) as study,
        ProcessExecutor(task, settings.n_workers, settings.trial_seconds, folder.logs) as executor,
        tracking(trackers, folder, study, task.name, settings.strategy, seed, partial(show_line, console)) as tracked,
        LiveTable(console, title) as live,
    ):
        tuner = Tuner(
            task,
            strategy,
            study,
            executor,
            n_trials=settings.n_trials,
            seed=seed,
            device=device,
            folders=TrialFolders(folder.trials),
            strategy_name=settings.strategy,
            logs=folder.logs,
            time_limit=settings.time_limit,
            target=settings.target,
            patience=settings.patience,
            sure_within=settings.sure_within,
            reproducible=bool(settings.reproducible),
            watch=tracked.after(live.update),
        )
        with _interrupts_end(tuner):
            result = tuner.run()
            for finding in strategy.findings:
                show_line(console, f"{settings.strategy}: {finding}")
            write_outputs(folder, result, tuner, settings, Final())  # before the final, which may be interrupted
            final = Final()
            if result.study.best is not None and not tuner.interrupted and _has_final(task, settings):
                final = _trained_final(task, result, executor, folder, settings, partial(_watch_final, live, tuner))
                if final.trainings:
                    assert final.chosen is not None
                    tracked.final(final_means(final.trainings, task.metric), final.kept, final.chosen)
    interrupted = tuner.interrupted or final.interrupted
    summary = write_outputs(folder, result, tuner, settings, final)
    show_summary(console, summary, Encoding(task.space).default)
    if summary["best"] is not None and settings.n_final and not _has_final(task, settings):
        console.print("no final: the objective takes no seed, so training it again would give the same", soft_wrap=True)
    show_paths(console, folder, resume_hint=interrupted)
    if settings.learn is not False and not tuner.interrupted:
        _learn(console, result, settings, folder)
    return folder, 130 if interrupted else 0 if summary["best"] else 1


def _trained_final(
    task: Task,
    result: Result,
    executor: Executor,
    folder: RunFolder,
    settings: Settings,
    watch: Callable[[str], None],
) -> Final:
    final, seed, device = Final(), settings.seed or 0, settings.device or "auto"
    study, default = result.study, Encoding(task.space).default
    spent = study.committed_epochs / study.max_epochs
    n_trainings = spent if settings.n_trials is None else min(settings.n_trials, spent)
    final.contenders = contenders(study, default, n_trainings)

    def done(n: int, of: int) -> None:
        watch(f"final: {n} of {of} trainings with fresh seeds are done")

    try:
        final.trainings = train_final(
            task,
            final.contenders,
            default,
            executor,
            folder.final,
            run_seed=seed,
            n_seeds=settings.n_final or 0,
            device=device,
            searched=study.trials.values(),
            watch=done,
        )
        final.chosen = next(training.trial for training in final.trainings if training.who == "chosen")
        final.kept = to_keep(final.trainings, maximize=task.maximize)
        chosen = next(trial for trial in final.contenders if trial.number == final.chosen)
        final.config = default if final.kept == "default" else chosen.config
        if refits(task, settings):
            assert isinstance(task, Supervised)
            watch(f"final: the {final.kept} config is trained on the validation part too")
            final.refitted = train_once(
                replace(task, with_valid=True),
                final.config,
                folder.final / "refit",
                seed=final_seed(seed, 0),
                device=device,
                trial_seconds=settings.trial_seconds,
                watch=done,
            )
        watch("final: the baseline is being fitted")
        final.baseline = fit_baseline(task)
    except KeyboardInterrupt:
        final.interrupted = True
    return final


def _new_folder(name: str) -> Path:
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
    return next(path for path in (Path("runs") / name for name in names) if not path.exists())


def _learn(console: Console, result: Result, settings: Settings, folder: RunFolder) -> None:
    """Keep what was found for later searches; where that fails, the run is nonetheless complete."""
    try:
        file = learn(result.study, settings, folder)
    except OSError as error:
        show_line(console, f"knowledge: what was found cannot be kept for later searches: {error}")
        return
    if file is not None:
        show_line(console, f"knowledge    {file}")


def _has_final(task: Task, settings: Settings) -> bool:
    return bool(settings.n_final) and getattr(task, "takes_seed", True)


def _watch_final(live: LiveTable, tuner: Tuner, note: str) -> None:
    if tuner.interrupted:
        raise KeyboardInterrupt
    live.note(note)


def write_outputs(
    folder: RunFolder, result: Result, tuner: Tuner, settings: Settings, trained: Final
) -> dict[str, Any]:
    """Write every file of a run; without trainings, the run has no final."""
    trainings = trained.trainings
    task, final, model = tuner.task, None, None
    if trainings:
        final = final_summary(trainings, task.metric, trained.kept, trained.baseline) | {
            "config": trained.config,
            "trial": trained.chosen,
            "contenders": [of_trial(t) | contender_summary(trainings, t.number) for t in trained.contenders],
        }
    elif result.study.best is not None:
        final, model = _earlier_final(folder, result.study.best.config)
    summary = summarise(result, tuner, settings.to_json(), final)
    write_trials(folder.trials_csv, result)
    if summary["best"] is not None:
        write_best(folder.best, summary)
    about = {name: summary[name] for name in ("strategy", "seed", "n_trials", "started", "versions", "commit")}
    summary["model"] = model or keep_model(
        task,
        trainings,
        folder,
        about,
        who=trained.kept,
        refitted=trained.refitted,
        trials=result.trials,
        ensemble=settings.ensemble,
    )
    shutil.rmtree(folder.final, ignore_errors=True)
    write_summary(folder.summary, summary)
    from automl.analysis.report import write_report

    write_report(folder.report, result.study, summary)
    return summary


def _earlier_final(folder: RunFolder, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Of a run that goes on with the same incumbent: its final and the card of its model, until there are new ones."""
    try:
        earlier = json.loads(folder.summary.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None, None
    final, best = earlier.get("final"), earlier.get("best")
    if not final or "kept" not in final or not best or best["config"] != dict(config):  # or of an older version
        return None, None
    return final, earlier.get("model")


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
