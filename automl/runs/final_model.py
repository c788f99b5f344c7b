"""The model that a run keeps: the folder ``model``, from the final's trainings or from the best trials."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.deployment.model_card import ModelDraft, write_card
from automl.errors import UserError
from automl.study.run_folder import replace_folder
from automl.task import Task
from automl.tasks.supervised import Supervised
from automl.tasks.user_data import OwnData
from automl.training.checkpoint import CHECKPOINT

if TYPE_CHECKING:
    from automl.data.splits import Splits
    from automl.models.trained import TrainedModel
    from automl.runs.settings import Settings
    from automl.study.run_folder import RunFolder
    from automl.study.trial import Trial
    from automl.tuning.final_evaluation import FinalTraining, Role


def refits(task: Task, settings: Settings) -> bool:
    """Whether the final model is trained on the validation set too: by default for the user's own data."""
    if settings.refit is not None:
        return settings.refit
    return isinstance(task, OwnData) and not settings.ensemble


def check_can_keep(task: Task, *, refit: bool, ensemble: int | None) -> None:
    """UserError if the task's models cannot be refitted or ensembled."""
    if (refit or ensemble) and not isinstance(task, Supervised):
        option = "--refit" if refit else "--ensemble"
        raise UserError(
            f"{option} needs a classification or regression task, built-in or on your own data, not {task.name!r}"
        )


def keep_model(
    task: Task,
    trainings: Sequence[FinalTraining],
    folder: RunFolder,
    about: Mapping[str, Any],
    *,
    role: Role = "chosen",
    refitted: FinalTraining | None = None,
    trials: Sequence[Trial] = (),
    ensemble: int | None = None,
    baseline: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Create ``model/`` atomically and return its card; None if there is nothing to keep.

    ``trainings``: of the final; the best on validation with the config of ``role`` is kept. ``refitted``: the same
    config, also trained on the validation set; kept instead. ``ensemble``: the maximum number of ``trials`` in an
    ensemble, which is kept if it is better. ``baseline``: the task's, scored on the test set. ``about``: facts about
    the run.
    """
    good = [t for t in trainings if t.role == role and t.error is None and t.validation is not None]
    if not good:
        return None
    sign = 1 if task.maximize else -1
    best = max(good, key=lambda training: sign * (training.validation or 0.0))
    aside = folder.path / "model.writing"
    shutil.rmtree(aside, ignore_errors=True)
    if isinstance(task, Supervised):
        kept = ModelDraft("single", _description(role, len(good)))
        _choose(kept, task, best, refitted, trials, ensemble, folder.trials, aside)
        # Of the arrays that the first family reads.
        data = fingerprint(_splits(task, task.model or task.space["model"].default_value))
    else:
        if hasattr(task, "export"):
            task.export(best.folder, aside)
        elif any(best.folder.iterdir()):
            shutil.copytree(best.folder, aside)
        else:
            return None
        scores = {} if best.test is None else {task.metric: best.test, **best.others}
        kept, data = ModelDraft("single", _description(role, len(good)), scores=scores), None
    kept.baseline = None if baseline is None else {"split": "test", **baseline}
    card = write_card(aside, task, kept, data, about, best.validation)
    replace_folder(folder.model, aside)
    return card


def _description(role: str, n: int) -> str:
    return _one(role) if n == 1 else f"the best on validation of {n} trainings of the {role} config"


def _one(role: str) -> str:
    return f"one training of the {role} config"


def _choose(
    kept: ModelDraft,
    task: Supervised,
    best: FinalTraining,
    refitted: FinalTraining | None,
    trials: Sequence[Trial],
    ensemble: int | None,
    checkpoints: Path,
    out: Path,
) -> None:
    """Write the model (a single training, the refit or an ensemble), and describe it in ``kept``."""
    from automl.data.splits import held_out
    from automl.deployment.calibration import LabelledProbabilities, temperature_that_helps
    from automl.deployment.predictor import Member, Predictor, predictions
    from automl.metrics import measure, measure_all
    from automl.training.base import trained_model

    single = trained_model(best.folder)
    splits = _splits(task, single.preprocessing.model)
    y, target, source = splits.y_valid, splits.target, best.folder
    on_valid = predictions(single, splits.x_valid)
    choosing, judging = held_out(y, len(y) // 2)
    members = [Member(single)]
    chosen: list[_ChosenMember] = []

    complete = _with_models(trials, checkpoints) if ensemble else []
    if ensemble and not complete:
        kept.description = f"{_one(best.role)}, since there are no fully trained trials to combine"
    elif ensemble:
        chosen = _best_together(task, complete, checkpoints, ensemble, choosing, y)
        together = _mean(chosen)
        alone, joined = (measure(task.metric, y[judging], p[judging]) for p in (on_valid, together))
        scores = f"{task.metric} {joined:.4f} against {alone:.4f} on validation data used to choose neither"
        if len(chosen) > 1 and (joined > alone if task.maximize else joined < alone):
            kept.made, kept.description = "ensemble", f"an ensemble of {len(chosen)} trials: {scores}"
            members, on_valid = [Member(each.model, each.weight) for each in chosen], together
        else:
            reason = scores if len(chosen) > 1 else "a single trial was best"
            kept.description = f"{_one(best.role)}, since an ensemble was no better: {reason}"
    elif refitted is not None and refitted.error is None:
        kept.made, kept.description = "refit", f"the {best.role} config, trained on the training and validation sets"
        members, source = [Member(trained_model(refitted.folder))], refitted.folder
    elif refitted is not None:
        kept.description = f"{_one(best.role)}, since the refit on both sets failed: {refitted.error}"

    if target.names:
        # A refitted model has seen the validation set, so it keeps the temperature of the training that it repeats.
        kept.temperature = temperature_that_helps(
            *(LabelledProbabilities(on_valid[half], y[half]) for half in (choosing, judging))
        )
    whole = Predictor(members, None, {"temperature": kept.temperature})
    on_test = whole.judge(lambda family: _splits(task, family).x_test)
    kept.scores = measure_all(target.kind, splits.y_test, on_test)

    if kept.made != "ensemble":
        task.export(source, out)
        return
    task.export_rest(out)
    for each in chosen:
        place = f"members/{each.trial.number}"
        each.model.save(out / place)
        facts = {"trial": each.trial.number, "config": dict(each.trial.config)}
        kept.members.append({"folder": place, "weight": each.weight, **facts})


@dataclass(frozen=True)
class _ChosenMember:
    """A member of an ensemble, and its predictions on the validation set."""

    trial: Trial
    weight: float
    model: TrainedModel
    on_valid: NDArray[Any]


def _mean(chosen: Sequence[_ChosenMember]) -> NDArray[Any]:
    mean: NDArray[Any] = np.sum([each.weight * each.on_valid for each in chosen], axis=0)
    return mean


def _with_models(trials: Sequence[Trial], checkpoints: Path) -> list[Trial]:
    """The fully trained trials whose checkpoints exist."""
    return [t for t in trials if t.state == "complete" and (checkpoints / f"{t.number:04d}" / CHECKPOINT).exists()]


def _best_together(
    task: Supervised, trials: Sequence[Trial], checkpoints: Path, most: int, choosing: NDArray[Any], y: NDArray[Any]
) -> list[_ChosenMember]:
    """The members of the best ensemble on the choosing examples."""
    from automl.deployment.ensemble import greedy_ensemble
    from automl.deployment.predictor import predictions
    from automl.training.base import trained_model

    models = [trained_model(checkpoints / f"{trial.number:04d}") for trial in trials]
    predicted = [predictions(model, _splits(task, model.preprocessing.model).x_valid) for model in models]
    weights = greedy_ensemble([each[choosing] for each in predicted], _loss(task, y[choosing]), most)
    return [_ChosenMember(trials[i], weight, models[i], predicted[i]) for i, weight in weights.items()]


def _loss(task: Supervised, y: NDArray[Any]) -> Callable[[NDArray[Any]], float]:
    """The loss that an ensemble is chosen by: on few examples, accuracy is too coarse to show small gains."""
    from automl.metrics import graded, loss_of, measure

    metric = graded(task.metric)
    return lambda predicted: loss_of(metric, measure(metric, y, predicted))


def _splits(task: Supervised, family: str) -> Any:
    from automl.data.datasets.registry import load_data

    return load_data(task.data_of(family), task.train_size)


def fingerprint(splits: Splits) -> dict[str, Any]:
    """The sizes of the three sets, and a SHA-256 of all examples and labels."""
    digest = hashlib.sha256()
    for part in ("train", "valid", "test"):
        for array in (getattr(splits, f"x_{part}"), getattr(splits, f"y_{part}")):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            texts = array.dtype.kind == "T"
            digest.update("\0".join(array).encode() if texts else np.ascontiguousarray(array).tobytes())
    sizes = {part: len(getattr(splits, f"y_{part}")) for part in ("train", "valid", "test")}
    return {"sha256": digest.hexdigest(), **sizes}
