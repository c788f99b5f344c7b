"""One update of a run's model with new data: reading them, training, and the decision on promotion."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.analysis.formatting import at_resolution
from automl.continual import N_SEARCH, TOLERANCE
from automl.continual.candidates import Trainer
from automl.continual.continued_data import can_continue
from automl.continual.drift import Drift, drifts
from automl.continual.new_data import NewData, read_new, request_for, splits_by_family, truth_of, unite
from automl.continual.paired_bootstrap import GroundTruth, has_fallen, interval, score
from automl.continual.promotion import outcome, promote
from automl.continual.refitted_ensemble import refitted
from automl.continual.versions import BUILT_ON, Lineage, Versions
from automl.data.ingest.encoder import Encoder
from automl.data.ingest.request import Request
from automl.data.targets import levels_of
from automl.errors import UserError
from automl.metrics import METRICS
from automl.models.trained import TrainedModel
from automl.runs.settings import Settings, build_task
from automl.study.run_folder import RunFolder
from automl.study.snapshot import RunSnapshot, look
from automl.study.study import Study
from automl.tasks.cross_validated import CrossValidated
from automl.tasks.user_data import OwnData
from automl.tuning.final_evaluation import final_seed
from automl.tuning.warm_start import read_starts

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor


@dataclass(frozen=True)
class UpdateOptions:
    """How an update trains and judges.

    ``n_search``: full trainings of new configs; None: `N_SEARCH`, or none for a run by the default plan, for which it
    cannot be given. ``tolerance``: how much worse a new model may be on old data, as a fraction of the metric's scale,
    or of the error itself.
    """

    n_search: int | None = None
    tolerance: float = TOLERANCE
    n_workers: int = 1

    @property
    def options(self) -> dict[str, float]:
        """The options that may change the decision on the same data."""
        return {"search": self.to_search, "tolerance": self.tolerance}

    @property
    def to_search(self) -> int:
        return N_SEARCH if self.n_search is None else self.n_search


@dataclass(frozen=True)
class UpdateData:
    """New data for the model of a run, as read, and their drift."""

    run: RunFolder
    study: Study
    settings: Settings
    before: Predictor  # the model in use
    task: OwnData | CrossValidated  # on the old data
    new: NewData
    lineage: Lineage
    metric: str  # that decides on promotion
    facts: dict[str, Any]  # for update.json
    seconds: float  # spent on reading and comparing


def update(
    folder: RunFolder,
    data: Path,
    effort: UpdateOptions | None = None,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Update a run's model with new data, and return the content of update.json.

    TooFewNewExamples if the run has nearly all of the data, UserError for a run or data that cannot be used; the model
    in use is not changed before the last step.
    """
    from automl.deployment.predictor import load_predictor, model_folder

    effort = effort or UpdateOptions()
    seen, request = finished_run(folder, data, effort)
    with folder.locked():
        versions = Versions(folder)
        versions.recover()
        before = load_predictor(model_folder(folder.path))
        update_data = read_update(folder, seen, request, before, versions.lineage(effort.options), say)
        with versions.writing() as writing:
            facts = train_and_promote(update_data, writing, effort, say)
            facts["version"] = versions.finish(writing, facts)
        for line in outcome(facts):
            say(line)
        return facts


def finished_run(run: RunFolder, data: Path, effort: UpdateOptions) -> tuple[RunSnapshot, Request]:
    """A finished run, and its data options for new data.

    UserError if it still runs, is not on the user's data, or cannot be updated with these options.
    """
    seen = look(run)
    request = request_for(seen.settings.get("data"), data)
    if seen.is_running:  # maybe on another machine, which the folder's lock does not cover
        raise run.busy()
    if effort.n_search is not None and seen.settings.get("folds") is not None:
        raise UserError("no --search for a run by the default plan, whose models are fitted again; leave it out")
    return seen, request


def read_update(
    run: RunFolder,
    seen: RunSnapshot,
    request: Request,
    before: Predictor,
    lineage: Lineage,
    say: Callable[[str], None],
) -> UpdateData:
    """Read new data for a model, and compare them with the old.

    TooFewNewExamples if too few are new, UserError for data that cannot be used.
    """
    if not isinstance(before.encoder, Encoder):
        raise UserError("translators cannot be updated; start a new run with all pairs in one file")
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    settings = Settings.from_json(seen.settings)
    task = build_task(settings, lineage.data)
    assert isinstance(task, OwnData | CrossValidated)
    judges = ("test",) if isinstance(task, CrossValidated) else ("valid", "test")
    known = {"older": lineage.older, "tried": lineage.tried}
    new = read_new(before.encoder, request, _target(task), lineage.data, judges, **known)
    say(f"{len(new.y):,} new examples: " + ", ".join(f"{len(part):,} {name}" for name, part in _parts(new).items()))
    metric, why = _judging(task.metric, new)
    new.notes.extend(why)
    found = _drift(replace(task, metric=metric), before, new)
    for line in (*(f"note: {note}" for note in new.notes), *found["said"]):
        say(line)
    facts = {"data": str(request.path), "started": started, BUILT_ON: lineage.current, **found}
    return UpdateData(run, seen.study, settings, before, task, new, lineage, metric, facts, time.perf_counter() - clock)


def _judging(metric: str, new: NewData) -> tuple[str, list[str]]:
    """The metric to judge by: the run's or, if that is undefined on new examples, its stand-in; and a note why."""
    sets = {"": new.y, "validation ": new.y[new.parts.valid], "test ": new.y[new.parts.test]}
    alike = next((name for name, y in sets.items() if len(np.unique(y)) == 1), None)
    stand_in = METRICS[metric].stand_in
    if alike is None or stand_in is None or not METRICS[metric].is_relative:
        return metric, []
    what = "class" if METRICS[metric].kind == "classes" else "value"
    why = f"{metric} is undefined, as the new {alike}examples have a single {what}; {stand_in} is used instead"
    return stand_in, [why]


def train_and_promote(
    update_data: UpdateData, writing: Path, effort: UpdateOptions, say: Callable[[str], None]
) -> dict[str, Any]:
    """Train candidates on old and new data and judge them; returns the content of update.json.

    ``writing``: where the merged data are written, and ``model`` if one is promoted.
    """
    clock, new, before, settings = time.perf_counter(), update_data.new, update_data.before, update_data.settings
    # The model of a cross-validated run was fitted to its validation examples too.
    fits_valid = isinstance(update_data.task, CrossValidated)
    n_doubles = unite(Path(update_data.task.data), new, writing / "data", fits_valid=fits_valid)
    task = replace(update_data.task, data=str(writing / "data"), train_size=None)
    if isinstance(task, CrossValidated):
        candidates, spent = [refitted(task, before, settings.seed or 0, settings.device or "auto", say)], None
    else:
        trainer = _trained(update_data, task, writing / "work", effort, say)
        candidates, spent = trainer.candidates, trainer.spent
    judging = replace(task, metric=update_data.metric)
    judged = promote(judging, before, update_data.lineage, candidates, writing, effort.tolerance, task.metric)
    shutil.rmtree(writing / "work", ignore_errors=True)
    return {
        **update_data.facts,
        "options": effort.options,
        "seconds": round(update_data.seconds + time.perf_counter() - clock, 1),
        "rows": {name: len(part) for name, part in _parts(new).items()},
        "new_classes": list(new.new_classes),
        "notes": [
            *new.notes,
            *([f"{n_doubles:,} {'row was' if n_doubles == 1 else 'rows were'} already known"] if n_doubles else []),
        ],
        "candidates": [{"what": c.what, "config": dict(c.config), "epochs": _rounded(c.epochs)} for c in candidates],
        "epochs": _rounded(spent),
        **judged,
    }


def _trained(
    update_data: UpdateData, task: OwnData, folder: Path, effort: UpdateOptions, say: Callable[[str], None]
) -> Trainer:
    """The candidates on the merged data. UserError if every training fails."""
    before, settings = update_data.before, update_data.settings
    seed = final_seed(settings.seed or 0, update_data.lineage.coming)
    trainer = Trainer(task, folder, seed, settings.device or "auto", say)
    heaviest = max(before.members, key=lambda member: member.weight).model
    assert isinstance(heaviest, TrainedModel)
    if can_continue(heaviest.preprocessing.model):
        trainer.fine_tune(heaviest)
    config = {name: value for name, value in heaviest.config.items() if name in task.space}
    best = update_data.run.best
    if len(before.members) > 1 and best.exists():  # the config of an ensemble's run is not that of a member
        config = {name: value for name, value in _config_in(best).items() if name in task.space}
    trainer.retrain(config)
    if effort.to_search:
        trainer.search(update_data.study, settings, effort.to_search, effort.n_workers)
    if not trainer.candidates:
        raise UserError("every training of the update failed; the model in use is unchanged")
    return trainer


def _config_in(file: Path) -> Mapping[str, Any]:
    config = read_starts(file)
    if not isinstance(config, Mapping):
        raise UserError(f"{str(file)!r} has no hyperparameters; copy it back, or delete it to use a member's instead")
    return config


def _rounded(epochs: float | None) -> float | None:
    return None if epochs is None else round(epochs, 2)


def _parts(new: NewData) -> dict[str, NDArray[np.int64]]:
    return {"for training": new.parts.train, "for validation": new.parts.valid, "for testing": new.parts.test}


def _target(task: OwnData | CrossValidated) -> Any:
    return splits_by_family(task)(task.space["model"].default_value).target


def _drift(task: OwnData | CrossValidated, before: Predictor, new: NewData) -> dict[str, Any]:
    """Drift of the examples, by property, and of the model's score, compared with its interval on the old test set."""
    assert isinstance(before.encoder, Encoder)
    views = task.views
    family = task.space["model"].default_value
    by_family = splits_by_family(task)
    splits = by_family(family)
    found = drifts(splits.inputs, splits.x_train, new.arrays[views.of(family)], before.encoder.features)
    on_old, on_new = before.deciding(lambda f: by_family(f).x_test), before.deciding(lambda f: new.arrays[views.of(f)])
    n_classes = len(splits.target.names) + len(new.new_classes)
    old_truth = replace(truth_of(task, "test"), n_classes=n_classes)
    new_truth = GroundTruth(new.y, new.weights, levels_of(splits.target), n_classes)
    scored = score(task.metric, new_truth, on_new)
    known, worse, compared = None, False, "the run has no test set to compare with"
    if len(old_truth):
        known = interval(task.metric, old_truth, on_old)
        worse = has_fallen(task.metric, (old_truth, on_old), (new_truth, on_new))
        ends = (at_resolution(end, None) for end in known)
        on_test = at_resolution(score(task.metric, old_truth, on_old), None)
        compared = f"{on_test} on the old test set (95% interval {' to '.join(ends)}): "
        compared += "it has become worse" if worse else "it has not become significantly worse"
    drifted = [drift for drift in found if drift.is_drift]
    lines = [_in_words(drifted, len(found))]
    if new.new_classes:
        lines.append(f"new classes: {', '.join(new.new_classes)}")
    reached = f"{task.metric} {at_resolution(scored, None)}"
    lines.append(f"the model in use has {reached} on all {len(new.y):,} new examples; {compared}")
    return {
        "said": lines,
        "drift": [asdict(drift) for drift in found[:20]],
        "n_drifts": len(drifted),
        "in_use_on_new": scored,
        "old_test_interval": known,
        "worse": worse,
    }


def _in_words(drifted: Sequence[Drift], n: int) -> str:
    if not drifted:
        return f"no drift in the inputs ({n} properties compared)"
    shown = ", ".join(map(str, drifted[:5]))
    more = f" and {len(drifted) - 5} more" if len(drifted) > 5 else ""
    return f"drift in {len(drifted)} of {n} properties of the inputs: {shown}{more}"
