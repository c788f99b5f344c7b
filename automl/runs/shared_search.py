"""A search from Python that several processes share, each of which calls ``tune`` in the same way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.runs.settings import Settings
from automl.runs.shared import SharedRun, take_part
from automl.study.database_errors import ConnectionLost
from automl.study.location import in_database
from automl.study.run_folder import RunFolder
from automl.tuning.result import Result

if TYPE_CHECKING:
    from automl.task import Task


def share(
    storage: str,
    folder: RunFolder | None,
    task: Task,
    settings: Settings,
    search: Callable[[Mapping[str, Any] | None, SharedRun], Result],
    *,
    resume: bool,
) -> Result:
    """Lead a run that others may take part in, or lend workers to it until it has ended."""
    if folder is None:
        raise UserError("storage needs a folder that all processes of the run share, e.g. study='runs/mine'")
    assert settings.n_workers is not None

    def lead(stored: dict[str, Any] | None) -> Result:
        if stored is None and resume:
            raise UserError(f"nothing to resume: there is no run in {shared.location}")
        if stored is not None and not resume:
            if shared.stop_reason is not None:
                raise UserError(f"the run in {str(folder.path)!r} has ended; resume=True extends it")
            _check_same(stored, settings)
        result = search(stored, shared)
        if result.stop_reason != "interrupted":
            shared.end(result.stop_reason)
        return result

    def lend(stored: dict[str, Any]) -> bool:
        _check_same(stored, settings)
        return shared.lend(task, settings)

    location = in_database(storage, folder)
    say = logging.getLogger("automl").info
    with SharedRun(location, settings.n_workers, settings.device or "auto", say) as shared:
        try:
            result = take_part(shared, lead, lend)
        except ConnectionLost:  # once it was interrupted
            shared.reconnect()
            return replace(shared.result(task, settings), stop_reason="interrupted")
        return result or shared.result(task, settings)


def _check_same(stored: Mapping[str, Any], settings: Settings) -> None:
    """UserError if this process was started with other settings than the run's."""
    asked = settings.to_json()
    if settings.n_trials is None and settings.time_limit is None:  # resumed with its own budget
        asked["n_trials"] = stored.get("n_trials")
    for name in ("task", "strategy", "seed", "space", "n_trials", "max_epochs", "time_limit", "target", "maximize"):
        if stored.get(name) != asked[name]:
            raise UserError(
                f"the run has {name} = {stored.get(name)!r}, not {asked[name]!r}; its processes need the same settings"
            )
