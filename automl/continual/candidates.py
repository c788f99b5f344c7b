"""The candidates to replace the model in use: the fine-tuned model, its config retrained, and new configs."""

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
from automl.tuning.final_evaluation import final_seed, train_once
from automl.tuning.process_executor import ProcessExecutor
from strategies.base import Outcome, Proposal
from strategies.types import JSON

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor


@dataclass(frozen=True)
class Candidate:
    """A candidate to replace the model in use."""

    what: str  # continued, retrained or searched
    config: Mapping[str, Any]
    model: Predictor
    epochs: float | None  # in passes over all examples; None if a fit has no epochs
    write: Callable[[Path], list[dict[str, Any]]]  # writes the model to a folder; returns its members if several


def _candidate(task: OwnData, what: str, config: Mapping[str, Any], checkpoint: Path, epochs: float) -> Candidate:
    """The candidate that was trained in a checkpoint folder."""
    from automl.deployment.predictor import Member, Predictor
    from automl.training.base import trained_model

    def write(out: Path) -> list[dict[str, Any]]:
        task.export(checkpoint, out)
        return []

    return Candidate(what, config, Predictor([Member(trained_model(checkpoint))], None, {}), epochs, write)


def candidates_for(
    task: OwnData,
    before: Predictor,
    study: Study,
    kept: Mapping[str, Any] | None,
    settings: Settings,
    writing: Path,
    version: int,
    n_search: int,
    replay: float,
    n_workers: int,
    say: Callable[[str], None],
) -> tuple[list[Candidate], float]:
    """Candidates trained on the merged data: the fine-tuned model, its config from scratch, and new configs.

    ``kept``: the run's config, used for an ensemble; None if unknown.
    Also returns the epochs over all examples that were spent, including those of failed and stopped trainings.
    """
    work, device = writing / "work", settings.device or "auto"
    seed = final_seed(settings.seed or 0, version)
    found: list[Candidate] = []
    spent = float(task.max_epochs)  # of the retrained config
    heaviest = max(before.members, key=lambda member: member.weight).model
    rules = heaviest.preprocessing  # type: ignore[union-attr]
    config = dict(heaviest.config)
    if can_continue(rules.model):
        start = work / "start"
        heaviest.save(start)
        tuned = continued(task, start, n_old(Path(task.data))["train"], replay)
        say(f"fine-tuning the model in use: {tuned.max_epochs} epochs over the new examples, with replay of old ones")
        training = train_once(tuned, config, work / "continued", seed=seed, device=device)
        cost = tuned.max_epochs * seen_a_time(tuned, len(read_prepared(Path(task.data_of(rules.model))).y_train))
        spent += cost
        if training.error is None:
            found.append(_candidate(task, "continued", config, training.folder, cost))
        else:
            say(f"fine-tuning failed: {training.error}")
    own = {name: value for name, value in config.items() if name in task.space}
    chosen = kept if kept is not None and len(before.members) > 1 else own
    say(f"retraining its config from scratch on all examples: {task.max_epochs} epochs")
    training = train_once(task, chosen, work / "retrained", seed=seed, device=device)
    if training.error is None:
        found.append(_candidate(task, "retrained", chosen, training.folder, task.max_epochs))
    else:
        say(f"retraining failed: {training.error}")
    if n_search:
        say(f"searching new configs, starting from the old trials: {n_search} full trainings")
        tried, cost = _searched(task, study, settings, work / "searched", n_search, n_workers)
        found, spent = [*found, *tried], spent + cost
    if not found:
        raise UserError("every training of the update failed; the model in use is unchanged")
    return found, spent


def _searched(
    task: OwnData, study: Study, settings: Settings, folder: Path, n_trials: int, n_workers: int
) -> tuple[list[Candidate], float]:
    """The complete trials of a search warm-started with the old trials, and the epochs of all its trials."""
    from automl.task import fidelity_of
    from automl.tuning.tuner import Tuner
    from strategies import make_strategy

    fidelity = fidelity_of(task)
    strategy = make_strategy(
        settings.strategy or "auto",
        task.space,
        seed=(settings.seed or 0) + 1,
        n_trials=n_trials,  # the old trials cost nothing of this budget
        max_epochs=task.max_epochs,
        resumable=task.resumable,
        fidelity=fidelity,
    )
    for trial in sorted(study.trials.values(), key=lambda trial: trial.number):
        if trial.state in ("complete", "failed"):
            n_epochs = max(1, len(trial.losses))
            # A loss in the middle of a schedule is not a final loss.
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
    logs, device = folder / "logs", settings.device or "auto"
    with ProcessExecutor(task, n_workers, settings.trial_seconds, logs, device=device) as executor:
        result = Tuner(
            task,
            strategy,
            Study(task.space, task.max_epochs),
            executor,
            n_trials=n_trials,
            seed=(settings.seed or 0) + 1,
            device=device,
            folders=TrialFolders(folder / "trials"),
        ).run()
    there = [t for t in result.trials if t.state == "complete" and (folder / "trials" / f"{t.number:04d}").is_dir()]
    found = [
        _candidate(task, "searched", t.config, folder / "trials" / f"{t.number:04d}", float(t.epochs)) for t in there
    ]
    return found, float(sum(trial.epochs for trial in result.trials))
