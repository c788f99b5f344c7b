"""One update of a run's model with new data, from reading the data to the decision on promotion."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from automl.continual import SEARCHED, TOLERANCE
from automl.continual.candidates import candidates_for
from automl.continual.drift import Drift, drifts
from automl.continual.new_data import NewData, read_new, request_for, splits_by_family, truth_of, unite
from automl.continual.paired_bootstrap import Truth, has_fallen, interval, score
from automl.continual.promotion import promote
from automl.continual.refitted_ensemble import refitted
from automl.continual.versions import Versions
from automl.data.ingest.encoder import Encoder
from automl.data.targets import levels_of
from automl.errors import UserError
from automl.runs.settings import Settings, build_task
from automl.study.run_folder import RunFolder
from automl.study.snapshot import look
from automl.tasks.cross_validated import CrossValidated
from automl.tasks.user_data import OwnData

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor


def update(
    folder: RunFolder,
    data: Path,
    *,
    n_search: int = SEARCHED,
    tolerance: float = TOLERANCE,
    replay: float = 1.0,
    n_workers: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Update a run's model with new data, and return the content of update.json.

    ``n_search``: full trainings of new configs. ``tolerance``: how much worse a new model may be on old data, as a
    fraction of the metric's scale, or of the error itself. ``replay``: old examples seen per new one.
    UserError for a run or data that cannot be used; the current model is not changed before the last step.
    """
    from automl.deployment.predictor import load_predictor, model_folder

    seen = look(folder)
    settings = Settings.from_json(seen.settings)
    request = request_for(settings.data, data)
    if seen.going_on:  # maybe on another machine, of which the folder's lock knows nothing
        raise UserError(f"the run in {str(folder.path)!r} is still running; wait for it to end or stop it")
    with folder.locked():
        versions = Versions(folder)
        versions.recover()
        before = load_predictor(model_folder(folder.path))
        if not isinstance(before.encoder, Encoder):
            raise UserError("translators cannot be updated; start a new run with all pairs in one file")
        started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        old_data = versions.data
        task = build_task(settings, old_data)
        assert isinstance(task, OwnData | CrossValidated)
        new = read_new(before.encoder, request, _target(task), old_data)
        say(f"{len(new.y):,} new examples: " + ", ".join(f"{len(part):,} {name}" for name, part in _parts(new).items()))
        found = _drift(task, before, new)
        for line in found["said"]:
            say(line)
        writing = versions.begin()
        # The model of a cross-validated run was fitted to its validation examples too.
        n_doubles = unite(old_data, new, writing / "data", fits_valid=isinstance(task, CrossValidated))
        task = replace(task, data=str(writing / "data"), train_size=None)
        if isinstance(task, CrossValidated):
            candidates, spent = [refitted(task, before, settings.seed or 0, settings.device or "auto", say)], None
        else:
            kept = yaml.safe_load(folder.best.read_text(encoding="utf-8")) if folder.best.exists() else None
            candidates, spent = candidates_for(
                task, before, seen.study, kept, settings, writing, n_search, replay, n_workers, say
            )
        facts = promote(task, before, candidates, writing, tolerance, say)
        facts = {
            "data": str(request.path),
            "started": started,
            "seconds": round(time.perf_counter() - clock, 1),
            "rows": {name: len(part) for name, part in _parts(new).items()},
            "new_classes": list(new.new_classes),
            "notes": [*new.notes, *([f"{n_doubles:,} rows were already known"] if n_doubles else [])],
            **found,
            "candidates": [
                {"what": c.what, "config": dict(c.config), "epochs": _rounded(c.epochs)} for c in candidates
            ],
            "epochs": _rounded(spent),
            **facts,
        }
        shutil.rmtree(writing / "work", ignore_errors=True)
        facts["version"] = versions.finish(writing, facts)
        return facts


def _rounded(epochs: float | None) -> float | None:
    return None if epochs is None else round(epochs, 2)


def _parts(new: NewData) -> dict[str, NDArray[np.int64]]:
    return {"to train on": new.parts.train, "to choose by": new.parts.valid, "to test on": new.parts.test}


def _target(task: OwnData | CrossValidated) -> Any:
    return splits_by_family(task)(task.space["model"].default_value).target


def _drift(task: OwnData | CrossValidated, before: Predictor, new: NewData) -> dict[str, Any]:
    """Drift of the examples, by property, and of the model's score, against its interval on the old test set."""
    assert isinstance(before.encoder, Encoder)
    views = before.encoder.views
    family = task.space["model"].default_value
    by_family = splits_by_family(task)
    splits = by_family(family)
    found = drifts(splits.inputs, splits.x_train, new.arrays[views[family]], before.encoder.names)
    on_old, on_new = before.deciding(lambda f: by_family(f).x_test), before.deciding(lambda f: new.arrays[views[f]])
    old_truth, new_truth = truth_of(task, "test"), Truth(new.y, new.weights, levels_of(splits.target))
    low, high = interval(task.metric, old_truth, on_old)
    scored = score(task.metric, new_truth, on_new)
    worse = has_fallen(task.metric, (old_truth, on_old), (new_truth, on_new))
    drifted = [drift for drift in found if drift.is_drift]
    lines = [_in_words(drifted, len(found))]
    if new.new_classes:
        lines.append(f"new classes: {', '.join(new.new_classes)}")
    lines.append(
        f"the current model has {task.metric} {scored:.4g} on all {len(new.y):,} new examples; "
        f"its 95% interval on the old test set is {low:.4g} to {high:.4g}: "
        f"it has {'' if worse else 'not '}become worse"
    )
    return {
        "said": lines,
        "drift": [asdict(drift) for drift in found[:20]],
        "n_drifts": len(drifted),
        "in_use_on_new": scored,
        "old_test_interval": [low, high],
        "worse": worse,
    }


def _in_words(drifted: Sequence[Drift], n: int) -> str:
    if not drifted:
        return f"no drift in the inputs ({n} properties compared)"
    shown = ", ".join(f"{d.name} ({d.old:.4g} to {d.new:.4g})" for d in drifted[:5])
    more = f" and {len(drifted) - 5} more" if len(drifted) > 5 else ""
    return f"drift in {len(drifted)} of {n} properties of the inputs: {shown}{more}"
