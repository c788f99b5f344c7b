"""An update of a model of several targets: a version has a model of every target, and becomes current as a whole.

``versions/N/`` holds ``targets/NAME/data``, the merged data of each target, and ``model`` if one of the targets has a
new model, with the current ones of the others. The runs in the run's own ``targets`` do not change.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from automl.continual.new_data import TooFewNewExamples
from automl.continual.promotion import outcome
from automl.continual.update import UpdateOptions, finished_run, read_update, train_and_promote
from automl.continual.versions import MODEL, Versions
from automl.errors import UserError
from automl.study.run_folder import RunFolder


def update_all(
    folder: RunFolder, data: Path, effort: UpdateOptions, *, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Update the model of each target with new data, and return the content of update.json.

    The data of all targets are read before anything is trained. TooFewNewExamples if the run has nearly all of them;
    UserError for a run or data that cannot be used for one of them; no model is changed before the last step.
    """
    from automl.deployment.model_card import CARD
    from automl.deployment.model_files import read_card, targets
    from automl.deployment.predictor import load_predictor, model_folder
    from automl.deployment.several_targets import join

    with folder.locked():
        versions = Versions(folder)
        versions.recover()
        model = model_folder(folder.path)
        current = targets(read_card(model / CARD), model)
        if not current:
            raise UserError(f"the run in {str(folder.path)!r} has no model of all its targets; start it again")
        heard = {name: partial(_say, say, name) for name in current}
        updates, known = {}, {}
        for name, place in current.items():
            run, lineage = RunFolder(folder.targets / place.name), versions.lineage(effort.options, place.name)
            try:
                updates[name] = read_update(
                    run, *finished_run(run, data, effort), load_predictor(place), lineage, heard[name]
                )
            except TooFewNewExamples as error:
                known[name] = error
        if known:
            name, reason = next(iter(known.items()))
            raise UserError(f"each target needs new examples; {name}: {reason}") if updates else reason
        with versions.writing() as writing:
            parts = {name: RunFolder(writing).targets / place.name for name, place in current.items()}
            facts = {
                name: {"folder": place.name, **train_and_promote(updates[name], parts[name], effort, heard[name])}
                for name, place in current.items()
            }
            made = {name: parts[name] / MODEL for name in current if facts[name]["promoted"]}
            if made:
                join(current | made, writing / MODEL)
            for place in made.values():
                shutil.rmtree(place)
            whole: dict[str, Any] = {"data": str(data.resolve()), "options": effort.options, "targets": facts}
            whole["promoted"] = list(made)
            whole["version"] = versions.finish(writing, whole)
        for name, say_of in heard.items():
            for line in outcome(facts[name]):
                say_of(line)
        return whole


def _say(say: Callable[[str], None], name: str, line: str) -> None:
    say(f"{name}: {line}")
