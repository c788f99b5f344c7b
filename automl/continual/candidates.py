"""The models that may follow the one in use: itself gone on with, its config trained anew, and new configs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.continual.fine_tuning import can_continue, continued, seen_a_time
from automl.continual.new_data import n_old
from automl.data.memory_map import read_prepared
from automl.errors import UserError
from automl.runs.settings import Settings
from automl.study.run_folder import TrialFolders
from automl.study.study import Study
from automl.tasks.user_data import OwnData
from automl.tuning.executors import ProcessExecutor
from automl.tuning.final_evaluation import final_seed, train_once
from strategies.base import Outcome, Proposal
from strategies.types import JSON

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor


@dataclass(frozen=True)
class Candidate:
    """A model that may follow the one in use."""

    what: str  # continued, retrained or searched
    config: Mapping[str, Any]
    folder: Path  # of its checkpoint
    epochs: float  # over all examples


def candidates_for(
    task: OwnData,
    before: Predictor,
    study: Study,
    kept: Mapping[str, Any] | None,
    settings: Settings,
    writing: Path,
    n_search: int,
    replay: float,
    n_workers: int,
    say: Callable[[str], None],
) -> tuple[list[Candidate], float]:
    """Trained on the united data: the model in use gone on with, its config from the start, and new configs.

    kept: the run's config, which stands for an ensemble's; None where it is not known.
    Gives also the epochs over all examples that were spent, those of failed and stopped trainings included.
    """
    work, device = writing / "work", settings.device or "auto"
    seed = final_seed(settings.seed or 0, int(writing.name.removesuffix(".writing")))
    found: list[Candidate] = []
    spent = float(task.max_epochs)  # of the config trained anew
    heaviest = max(before.members, key=lambda member: member.weight).model
    rules = heaviest.preprocessing  # type: ignore[union-attr]
    config = dict(heaviest.config)
    if can_continue(rules.model):
        start = work / "start"
        heaviest.save(start)
        goes_on = continued(task, start, n_old(Path(task.data))["train"], replay)
        say(f"going on with the model in use: {goes_on.max_epochs} epochs over the new examples, with old ones beside")
        training = train_once(goes_on, config, work / "continued", seed=seed, device=device)
        cost = goes_on.max_epochs * seen_a_time(goes_on, len(read_prepared(Path(task.data_of(rules.model))).y_train))
        spent += cost
        if training.error is None:
            found.append(Candidate("continued", config, training.folder, cost))
        else:
            say(f"going on failed: {training.error}")
    own = {name: value for name, value in config.items() if name in task.space}
    chosen = kept if kept is not None and len(before.members) > 1 else own
    say(f"its config from the start, on all examples: {task.max_epochs} epochs")
    training = train_once(task, chosen, work / "retrained", seed=seed, device=device)
    if training.error is None:
        found.append(Candidate("retrained", chosen, training.folder, task.max_epochs))
    else:
        say(f"that training failed: {training.error}")
    if n_search:
        say(f"new configs, with the old trials in mind: {n_search} full trainings")
        tried, cost = _searched(task, study, settings, work / "searched", n_search, n_workers)
        found, spent = [*found, *tried], spent + cost
    if not found:
        raise UserError("every training of the update has failed; the model in use stays")
    return found, spent


def _searched(
    task: OwnData, study: Study, settings: Settings, folder: Path, n_trials: int, n_workers: int
) -> tuple[list[Candidate], float]:
    """The whole trainings of a new search that knows the old trials as found elsewhere, and the epochs of all."""
    from automl.task import fidelity_of
    from automl.tuning.tuner import Tuner
    from strategies import make_strategy

    fidelity = fidelity_of(task)
    strategy = make_strategy(
        settings.strategy or "auto",
        task.space,
        seed=(settings.seed or 0) + 1,
        n_trials=n_trials + len(study.trials),
        max_epochs=task.max_epochs,
        resumable=task.resumable,
        fidelity=fidelity,
    )
    for trial in sorted(study.trials.values(), key=lambda trial: trial.number):
        if trial.state in ("complete", "failed"):
            n_epochs = max(1, len(trial.losses))
            # The middle of a schedule is no final loss.
            info: dict[str, JSON] = {"schedule": n_epochs} if fidelity(trial.config).kind == "restart" else {}
            strategy.tell(
                Outcome(
                    Proposal(-1 - trial.number, trial.config, n_epochs, info),
                    tuple(trial.losses),
                    trial.seconds,
                    trial.error,
                )
            )
    (folder / "trials").mkdir(parents=True)
    with ProcessExecutor(task, n_workers, settings.trial_seconds, folder / "logs") as executor:
        result = Tuner(
            task,
            strategy,
            Study(task.space, task.max_epochs),
            executor,
            n_trials=n_trials,
            seed=(settings.seed or 0) + 1,
            device=settings.device or "auto",
            folders=TrialFolders(folder / "trials"),
        ).run()
    there = [t for t in result.trials if t.state == "complete" and (folder / "trials" / f"{t.number:04d}").is_dir()]
    found = [Candidate("searched", t.config, folder / "trials" / f"{t.number:04d}", float(t.epochs)) for t in there]
    return found, float(sum(trial.epochs for trial in result.trials))
