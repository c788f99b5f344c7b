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
from automl.cli.time_plan import Clock, TimePlan
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

    from automl.analysis.explanation import Explanation


@dataclass
class Final:
    """What was trained after the search, up to an interruption."""

    trainings: Sequence[Training] = ()  # of the best configs and the default, with fresh seeds
    contenders: Sequence[Trial] = ()  # whose configs they are, the best in the search first
    chosen: int | None = None  # of them, by its number
    kept: Who = "chosen"  # whose config the run keeps,
    config: Mapping[str, Any] | None = None  # and the config
    refitted: Training | None = None  # on the validation part too
    baseline: Mapping[str, Any] | None = None
    interrupted: bool = False


def run_session(
    settings: Settings,
    out: Path | None,
    *,
    resume: bool,
    console: Console,
    prepared: Path | None = None,
    clock: Clock | None = None,
) -> tuple[RunFolder, int]:
    """Search, train the final, write and show everything. Returns the run's folder and the exit code.

    ``prepared``: the folder of the user's own data, which becomes part of a new run's. ``clock``: of the command. The
    time limit is that of the command: see ``TimePlan`` for what the search leaves to the rest.
    """
    assert settings.strategy is not None
    assert settings.n_workers is not None
    clock = clock or Clock()
    if resume and out is not None and RunFolder(out).versions.is_dir():
        raise UserError(
            f"the model of the run in {str(out)!r} was updated since, so the run cannot continue; "
            "start a new one with all data, or update it again"
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
    n_workers = f"{settings.n_workers} worker{'s' * (settings.n_workers != 1)}"
    title = f"{name} with {settings.strategy}, seed {seed}, {n_workers}, in {folder.path}"
    has_final = _has_final(task, settings)
    plan = TimePlan(
        clock,
        n_seeds=(settings.n_final or 0) if has_final else 0,
        refits=has_final and refits(task, settings),
        keeps_model=has_final and isinstance(task, Supervised),
    )
    with (
        opened(folder, task, settings.to_json(), resume=resume, data=prepared) as study,
        ProcessExecutor(task, settings.n_workers, settings.trial_seconds, folder.logs) as executor,
        tracking(trackers, folder, study, task.name, settings.strategy, seed, partial(show_line, console)) as tracked,
        LiveTable(console, title, plan) as live,
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
            reserve=plan.reserve,
            watch=tracked.after(live.update),
        )
        if resume:
            live.resumed(tuner)
        with _interrupts_end(tuner):
            plan.begin()
            with clock.during("search"):
                result = tuner.run()
            for finding in strategy.findings:
                show_line(console, f"{settings.strategy}: {finding}")
            outputs = Outputs(folder, result, tuner, settings, clock)
            outputs.write(Final())  # before the final, which may be interrupted
            final = Final()
            if result.study.best is not None and not tuner.interrupted and has_final:
                n_seeds = plan.seeds_within(tuner, settings.time_limit)
                if n_seeds < plan.n_seeds:
                    show_line(console, f"final: {n_seeds} of {plan.n_seeds} seeds, as the time limit leaves no more")
                settings_of_final = replace(settings, n_final=n_seeds)
                watch = partial(_watch_final, live, tuner)
                final = _trained_final(task, result, executor, folder, settings_of_final, watch, clock)
                if final.trainings:
                    assert final.chosen is not None
                    tracked.final(final_means(final.trainings, task.metric), final.kept, final.chosen)
    interrupted = tuner.interrupted or final.interrupted
    summary = outputs.write(final)
    show_summary(console, summary, Encoding(task.space).default, live.values)
    if summary["best"] is not None and settings.n_final and not has_final:
        show_line(console, "no final: the objective takes no seed, so training it again would give the same result")
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
    clock: Clock,
) -> Final:
    final, seed, device = Final(), settings.seed or 0, settings.device or "auto"
    study, default = result.study, Encoding(task.space).default
    spent = study.committed_epochs / study.max_epochs
    n_trainings = spent if settings.n_trials is None else min(settings.n_trials, spent)
    final.contenders = contenders(study, default, n_trainings)

    def done(n: int, of: int) -> None:
        watch(f"final: {n} of {of} trainings with fresh seeds")

    try:
        with clock.during("final"):
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

            def refitting(n: int, of: int) -> None:
                watch(f"refit: training the {final.kept} config on the training and validation sets")

            with clock.during("refit"):
                final.refitted = train_once(
                    replace(task, with_valid=True),
                    final.config,
                    folder.final / "refit",
                    seed=final_seed(seed, 0),
                    device=device,
                    trial_seconds=settings.trial_seconds,
                    watch=refitting,
                )
        watch("fitting the baseline")
        with clock.during("final"):
            final.baseline = fit_baseline(task)
    except KeyboardInterrupt:
        final.interrupted = True
    return final


def _new_folder(name: str) -> Path:
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
    return next(path for path in (Path("runs") / name for name in names) if not path.exists())


def _learn(console: Console, result: Result, settings: Settings, folder: RunFolder) -> None:
    """Keep what was found for later searches; the run is complete without it."""
    try:
        file = learn(result.study, settings, folder)
    except OSError as error:
        show_line(console, f"knowledge: the result cannot be kept for later searches: {error}")
        return
    if file is not None:
        show_line(console, f"knowledge    {file}")


def _has_final(task: Task, settings: Settings) -> bool:
    return bool(settings.n_final) and getattr(task, "takes_seed", True)


def _watch_final(live: LiveTable, tuner: Tuner, note: str) -> None:
    if tuner.interrupted:
        raise KeyboardInterrupt
    live.note(note)


class Outputs:
    """Writes every file of a run: once after the search, and again after the final."""

    def __init__(self, folder: RunFolder, result: Result, tuner: Tuner, settings: Settings, clock: Clock) -> None:
        self._folder, self._result, self._tuner, self._settings = folder, result, tuner, settings
        self._clock = clock
        log = result.study.log[tuner.n_restored :]
        self._strategy_seconds = sum(entry.seconds for entry in log)
        self._explanation: Explanation | None = None  # of the search, so the final does not change it

    def write(self, trained: Final) -> dict[str, Any]:
        """Write the files and return the summary; without trainings, the run has no final."""
        from automl.analysis.explanation import explain
        from automl.analysis.report import write_report

        folder, result, task = self._folder, self._result, self._tuner.task
        trainings, final, model = trained.trainings, None, None
        if trainings:
            final = final_summary(trainings, task.metric, trained.kept, trained.baseline) | {
                "config": trained.config,
                "trial": trained.chosen,
                "contenders": [of_trial(t) | contender_summary(trainings, t.number) for t in trained.contenders],
            }
        elif result.study.best is not None:
            final, model = _earlier_final(folder, result.study.best.config)
        summary = summarise(result, self._tuner, self._settings.to_json(), final)
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
            ensemble=self._settings.ensemble,
        )
        shutil.rmtree(folder.final, ignore_errors=True)
        self._explanation = self._explanation or explain(result.study, summary)
        summary["time"] = self._clock.table(self._strategy_seconds)
        write_summary(folder.summary, summary)
        write_report(folder.report, result.study, summary, self._explanation)
        return summary


def _earlier_final(folder: RunFolder, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The final and the model card of the earlier session, where the incumbent is still the same."""
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
    """Ctrl-C and SIGTERM end the search after the current step, a second one at once."""

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
