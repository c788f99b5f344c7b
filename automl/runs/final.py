"""The final of a run: the best configs and the default trained with fresh seeds, the refit and the baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from automl.runs.final_model import refits
from automl.runs.settings import Settings
from automl.runs.time_plan import Clock
from automl.study.contenders import contenders
from automl.study.run_folder import RunFolder
from automl.study.trial import Trial
from automl.task import Task
from automl.tuning.executor import Executor
from automl.tuning.final_evaluation import FinalTraining, Role, final_seed, fit_baseline, refit, to_keep, train_final
from automl.tuning.packs import Write
from automl.tuning.result import Result
from strategies.encoding import Encoding


@dataclass
class Final:
    """What was trained after the search, up to an interruption."""

    trainings: Sequence[FinalTraining] = ()  # of the best configs and the default, with fresh seeds
    contenders: Sequence[Trial] = ()  # the trials with these configs, the best in the search first
    chosen: int | None = None  # the number of the chosen contender
    kept: Role = "chosen"  # which config the run keeps
    config: Mapping[str, Any] | None = None  # the config that the run keeps
    refitted: FinalTraining | None = None  # trained on the validation set too
    baseline: Mapping[str, Any] | None = None
    interrupted: bool = False
    model: Mapping[str, Any] | None = None  # the card of a model that was written already


def has_final(task: Task, settings: Settings) -> bool:
    """Whether the run ends with a final, which requires that results can depend on the seed."""
    return bool(settings.n_final) and getattr(task, "takes_seed", True)


def train_all(
    task: Task,
    result: Result,
    executor: Executor,
    folder: RunFolder,
    settings: Settings,
    watch: Callable[[str], None],
    clock: Clock,
    log: Write = lambda event, **facts: None,
) -> Final:
    """Run the final, the refit and the baseline, one after the other.

    ``watch``: called with a line of progress. It may raise KeyboardInterrupt, which ends the final; what
    was trained so far is returned. ``log``: called with the events of the trainings and their ``stage``.
    """
    final, seed, device = Final(), settings.seed or 0, settings.device or "auto"
    study, default = result.study, Encoding(task.space).default
    final.contenders = contenders(study, default)

    def done(n: int, of: int) -> None:
        watch(f"final: {n} of {of} trainings with fresh seeds")

    try:
        with clock.during("final"):
            final.trainings = train_final(
                task, final.contenders, default, executor, folder.final,
                run_seed=seed, n_seeds=settings.n_final or 0, device=device, searched=study.trials.values(), watch=done,
                log=partial(log, stage="final"),
            )  # fmt: skip
        final.chosen = next(training.trial for training in final.trainings if training.role == "chosen")
        final.kept = to_keep(final.trainings, maximize=task.maximize)
        chosen = next(trial for trial in final.contenders if trial.number == final.chosen)
        final.config = default if final.kept == "default" else chosen.config
        if refits(task, settings):

            def refitting(n: int, of: int) -> None:
                watch(f"refit: training the {final.kept} config on the training and validation sets")

            with clock.during("refit"):
                final.refitted = refit(
                    task, final.config, executor, folder.final / "refit", seed=final_seed(seed, 0), device=device,
                    watch=refitting, log=partial(log, stage="refit"),
                )  # fmt: skip
        watch("fitting the baseline")
        with clock.during("final"):
            final.baseline = fit_baseline(task)
    except KeyboardInterrupt:
        final.interrupted = True
    return final
