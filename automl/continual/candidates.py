"""The candidates to replace the model in use: the fine-tuned model, its config retrained, and new configs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.continual.continued_data import continued, epoch_cost
from automl.continual.new_data import n_old
from automl.data.memory_map import read_prepared
from automl.runs.settings import Settings
from automl.study.run_folder import TrialFolders
from automl.study.study import Study
from automl.task import fidelity_of
from automl.tasks.user_data import OwnData
from automl.tuning.final_evaluation import train_once
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.tuner import Tuner
from automl.wording import counted
from strategies import make_strategy
from strategies.base import Outcome, Proposal, Strategy
from strategies.types import JSON

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor
    from automl.models.trained import TrainedModel


@dataclass(frozen=True)
class Candidate:
    """A candidate to replace the model in use."""

    what: str  # continued, retrained or searched
    config: Mapping[str, Any]
    model: Predictor
    epochs: float | None  # in passes over all examples; None if a fit has no epochs
    write: Callable[[Path], list[dict[str, Any]]]  # writes the model to a folder; returns its members if several


@dataclass
class Trainer:
    """Trains candidates on the merged data: the fine-tuned model, its config from scratch, and new configs."""

    task: OwnData
    folder: Path  # for the trainings
    seed: int
    device: str
    say: Callable[[str], None]
    candidates: list[Candidate] = field(default_factory=list)
    spent: float = 0.0  # epochs over all examples, including those of failed and stopped trainings

    def fine_tune(self, model: TrainedModel) -> None:
        """Continue the training of a network on the new examples and as many old ones."""
        start, family, config = self.folder / "start", model.preprocessing.model, dict(model.config)
        model.save(start)
        tuned = continued(self.task, start, n_old(Path(self.task.data))["train"])
        n = tuned.max_epochs
        self.say(
            f"fine-tuning the model in use: {n} epoch{'s' * (n != 1)} over the new examples, with replay of old ones"
        )
        n_train = len(read_prepared(Path(self.task.data_of(family))).y_train)
        self._train(tuned, "continued", config, n * epoch_cost(tuned, n_train), "fine-tuning")

    def retrain(self, config: Mapping[str, Any]) -> None:
        """Train a config from scratch."""
        n_epochs = self.task.max_epochs
        self.say(f"retraining its config from scratch on all examples: {counted(n_epochs, 'epoch')}")
        self._train(self.task, "retrained", config, n_epochs, "retraining")

    def search(self, study: Study, settings: Settings, n_trials: int, n_workers: int) -> None:
        """Train new configs, proposed by the run's strategy after the trials of its study."""
        self.say(f"searching new configs, starting from the old trials: {counted(n_trials, 'full training')}")
        strategy = _strategy_after(study, self.task, settings, n_trials)
        trials, logs = self.folder / "searched" / "trials", self.folder / "searched" / "logs"
        trials.mkdir(parents=True)
        with ProcessExecutor(self.task, n_workers, settings.trial_seconds, logs, device=self.device) as executor:
            result = Tuner(
                self.task,
                strategy,
                Study(self.task.space, self.task.max_epochs),
                executor,
                n_trials=n_trials,
                seed=(settings.seed or 0) + 1,
                device=self.device,
                folders=TrialFolders(trials),
            ).run()
        for trial in result.trials:
            checkpoint = trials / f"{trial.number:04d}"
            if trial.state == "complete" and checkpoint.is_dir():
                self._add("searched", trial.config, checkpoint, float(trial.epochs))
        self.spent += float(sum(trial.epochs for trial in result.trials))

    def _train(self, task: OwnData, what: str, config: Mapping[str, Any], epochs: float, doing: str) -> None:
        training = train_once(task, config, self.folder / what, seed=self.seed, device=self.device)
        self.spent += epochs
        if training.error is None:
            self._add(what, config, training.folder, epochs)
        else:
            self.say(f"{doing} failed: {training.error}")

    def _add(self, what: str, config: Mapping[str, Any], checkpoint: Path, epochs: float) -> None:
        """Add the candidate that was trained in a checkpoint folder."""
        from automl.deployment.predictor import Member, Predictor
        from automl.training.base import trained_model

        def write(out: Path) -> list[dict[str, Any]]:
            self.task.export(checkpoint, out)
            return []

        model = Predictor([Member(trained_model(checkpoint))], None, {})
        self.candidates.append(Candidate(what, config, model, epochs, write))


def _strategy_after(study: Study, task: OwnData, settings: Settings, n_trials: int) -> Strategy:
    """The run's strategy, warm-started with the trials of its study, which do not count towards its budget."""
    fidelity = fidelity_of(task)
    strategy = make_strategy(
        settings.strategy or "auto",
        task.space,
        seed=(settings.seed or 0) + 1,
        n_trials=n_trials,
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
    return strategy
