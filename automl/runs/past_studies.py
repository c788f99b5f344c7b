"""Results of past studies, one JSON file each: those shipped with the package, and the user's own."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from platformdirs import user_data_dir

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.run_folder import write_atomic
from strategies.portfolio import PastStudy

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from automl.runs.settings import Settings
    from automl.study.run_folder import RunFolder
    from automl.study.study import Study

SHIPPED = Path(__file__).with_name("shipped_studies")  # written by python -m benchmarks.experiments.publish_studies
MIN_TRIALS = 5  # finished trials that a run needs to be kept

Prior = Literal["none", "shipped", "all"]
"""The past studies that a search starts from: none, those shipped with the package, or also the user's own."""


def user_folder() -> Path:
    """The folder of the user's own studies: $AUTOML_PAST_STUDIES, or in the platform's data folder."""
    given = os.environ.get("AUTOML_PAST_STUDIES")
    return Path(given) if given else Path(user_data_dir("automl")) / "past-studies"


def which_prior(asked: str | None, strategy: str | None) -> Prior:
    """The past studies that a search starts from; by default all for ``auto`` (or no strategy).

    A named strategy uses none, so that a search does not depend on earlier runs. UserError for an unknown value.
    """
    if asked is None:
        return "all" if strategy in (None, "auto") else "none"
    for known in get_args(Prior):
        if asked == known:
            return cast(Prior, known)
    raise UserError(f"prior must be none, shipped or all, got {asked!r}")


def past_studies(which: Prior, tell: Callable[[str], None]) -> list[PastStudy]:
    """The studies to start from, the shipped ones first, then the user's, oldest first.

    ``tell``: called with a line about each file that cannot be used.
    """
    folders = {"none": (), "shipped": (SHIPPED,), "all": (SHIPPED, user_folder())}
    found = []
    for folder in folders[which]:
        for file in sorted(folder.glob("*.json")):
            try:
                found.append(_read(file))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                tell(f"past studies: {str(file)!r} is ignored, it is not a past study ({reason}); delete it")
    return found


def learn(study: Study, settings: Settings, folder: RunFolder) -> Path | None:
    """Add a run to the user's own studies; an extended run replaces its earlier entry.

    Returns the file, or None for a run with too few trials. Raises OSError if it cannot be written.
    """
    trials = [trial for trial in study.trials.values() if trial.state in ("complete", "failed")]
    if sum(trial.state == "complete" for trial in trials) < MIN_TRIALS:
        return None
    task = task_name(settings)
    content = {
        "task": task,
        "max_epochs": study.max_epochs,
        "space": settings.space,
        "trials": [{"config": trial.config, "loss": trial.loss} for trial in trials],
    }
    run = hashlib.sha256(f"{folder.path.resolve()} {settings.started}".encode()).hexdigest()[:12]
    started = "".join(c for c in settings.started or "" if c.isdigit())[:14]
    file = user_folder() / f"{started}-{run}.json"  # sorts by time
    file.parent.mkdir(parents=True, exist_ok=True)
    write_study(file, content)
    return file


def write_study(file: Path, content: Mapping[str, Any]) -> None:
    """Write one trial per line, for readable diffs."""
    head = json.dumps({name: part for name, part in content.items() if name != "trials"})
    trials = ",\n".join(json.dumps(trial, allow_nan=False) for trial in content["trials"])
    write_atomic(file, f'{head[:-1]}, "trials": [\n{trials}\n]}}\n')


def task_name(settings: Settings) -> str:
    """The name of a study's task: the command itself, or with the training size as benchmarks.record names it."""
    name = settings.command or settings.task or (settings.data or {}).get("data") or ""
    return name if settings.train_size is None else f"{name}-{settings.train_size}"


def _read(file: Path) -> PastStudy:
    """A study from a file. Raises ValueError or KeyError, among others, if it is malformed."""
    content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    study = PastStudy(
        str(content["task"]),
        _space(json.dumps(content["space"])),
        [dict(trial["config"]) for trial in content["trials"]],
        [None if trial["loss"] is None else float(trial["loss"]) for trial in content["trials"]],
    )
    for config in study.configs:
        study.encoding.check(config)
    return study


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a loss")


@functools.cache  # many studies share one
def _space(form: str) -> ConfigurationSpace:
    return load_space(json.loads(form))
