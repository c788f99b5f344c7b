"""The settings of a new or resumed run, from the options given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.runs.past_studies import task_name
from automl.runs.settings import BEYOND_DEFAULT_PLAN, DEFAULT_SECONDS, Settings, build_task, load_from_file
from automl.runs.sources import source_of
from automl.space.edit import fix, merge, space_to_dict
from automl.space.parse import load_space, read_yaml
from automl.study.open_study import recorded
from automl.study.run_folder import RunFolder
from automl.task import Task
from automl.tasks.cross_validated import CrossValidated
from automl.tasks.function import FunctionTask, check_stops_early
from automl.tasks.shell_command import CommandTask
from automl.tasks.user_data import OwnData
from automl.tuning.warm_start import read_starts, starts, to_json

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.portfolio import PastStudy


def planned(asked: Settings, prepared: Path) -> Settings:
    """The settings of a run on the user's data, with cross-validation unless options such as a strategy or a number of
    trials ask for another plan.

    ``prepared``: the folder of the data.
    """
    from automl.data.ingest.prepare import Facts
    from automl.tasks.families import cross_validated_alone

    kind = Facts.read(prepared).kind
    obstacle = _why_not_default_plan(asked, kind)
    if obstacle is None:
        return with_folds(asked, prepared)
    needing: dict[str, Any] = {"--no-test": None if asked.has_test else True, "--max-latency": asked.max_latency}
    needing |= {f"--{name}": (asked.data or {}).get(name) for name in ("weight", "quantiles")}
    needing |= {f"--model {name}": name for name in cross_validated_alone(kind, asked.model)}
    for name, value in needing.items():
        if value is not None:
            raise UserError(f"{name} needs the default plan{obstacle}")
    return asked


def _why_not_default_plan(asked: Settings, kind: str) -> str | None:
    """Why a run on this kind of data does not follow the default plan, as the end of a message; None if it does."""
    from automl.tasks.families import FAMILIES, suits

    given = asked.options_given(BEYOND_DEFAULT_PLAN)
    if not given and suits(kind, asked.model):
        return None
    if kind not in FAMILIES:
        return f", which {kind} do not have"
    return f": leave out {', '.join(given or [f'--model {asked.model}'])}"


def with_folds(asked: Settings, prepared: Path) -> Settings:
    """The settings with cross-validation of the data in a folder, within the time limit or the default one."""
    from automl.tasks.time_limit import MIN_TIME_LIMIT, n_folds_within, seconds_of_a_trial, seconds_of_the_first

    limit = asked.time_limit or DEFAULT_SECONDS
    if limit < MIN_TIME_LIMIT and not asked.where.is_remote:
        asked = replace(asked, n_workers=asked.n_workers or 1)  # there is only one model, so one process is enough
    of_first = seconds_of_the_first(prepared, limit, asked.planned_workers, asked.model)
    trial_seconds = asked.trial_seconds or max(seconds_of_a_trial(limit), of_first)
    folds = n_folds_within(prepared, limit, asked.planned_workers, asked.model)
    return replace(asked, time_limit=limit, trial_seconds=trial_seconds, folds=folds)


def new_settings(
    asked: Settings,
    space_file: Path | None,
    fixed: list[str],
    start_file: Path | None = None,
    studies: Sequence[PastStudy] = (),
    prepared: Path | None = None,
) -> Settings:
    """The settings of a new run: defaults filled in, ``--space`` and ``--set`` applied, and the initial configurations.

    ``studies``: past studies, whose best configurations may be tried first. ``prepared``: folder of the user's data.
    """
    if asked.command is not None and asked.train_size is not None:
        raise UserError("--train-size is for built-in tasks and data; a command reads its own data")
    settings = replace(asked, space=_space_in(space_file, asked, prepared)).with_defaults()
    task = build_task(settings, prepared)
    if isinstance(task, OwnData | CrossValidated):
        task.check_metric()
    assert settings.strategy is not None
    check_stops_early(task, settings.strategy)
    if (settings.lanes or 1) > 1 and not hasattr(task, "lane_key"):
        raise UserError(
            f"--lanes {settings.lanes} is for networks tuned by epochs; here it has no effect: leave it out"
        )
    form = _fixed(task, fixed)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # A generator or command of unknown length runs to completion; a number here would cut it short.
    is_unknown = isinstance(task, CommandTask) or (isinstance(task, FunctionTask) and not task.is_length_known)
    length = settings.max_epochs if is_unknown else task.max_epochs
    settings = replace(settings, space=form, source=None if settings.from_python else source_of(settings))
    return replace(settings, max_epochs=length, started=now, prior=_starts(settings, start_file, prepared, studies))


def check_repeated(
    before: Settings, space_file: Path | None, fixed: list[str], start_file: Path | None, prepared: Path | None
) -> None:
    """UserError if a run, which keeps its space and initial configurations, was not started with these."""
    kept = []
    if space_file is not None or fixed:
        space = _space_in(space_file, before, prepared)
        if _fixed(build_task(replace(before, space=space), prepared), fixed) != before.space:
            kept += [name for name, given in (("--space", space_file), ("--set", fixed)) if given]
    if start_file is not None:
        own = [start for start in before.prior or () if start["study"] is None]
        if _starts(before, start_file, prepared) != own:
            kept.append("--start")
    if kept:
        raise UserError(
            f"the run was started with another value of {', '.join(kept)}, which a resumed run keeps: leave "
            f"{'it' if len(kept) == 1 else 'them'} out, or start a new run with another --out"
        )


def _space_in(file: Path | None, asked: Settings, prepared: Path | None) -> dict[str, Any] | None:
    """The space in a file, in the short form, with what it leaves out of the task's; None without a file."""
    if file is None:
        return None
    form, known = dict(read_yaml(file)), _space_of(asked, prepared)
    return form if known is None else merge(known, form)


def _fixed(task: Task, assignments: Sequence[str]) -> dict[str, Any]:
    """The space of a task in the short form, with the values of ``--set``."""
    form = space_to_dict(task.space)
    for name, value in _assignments(assignments).items():
        form = fix(form, name, value)
    return form


def _starts(
    settings: Settings, file: Path | None, prepared: Path | None, studies: Sequence[PastStudy] = ()
) -> list[dict[str, Any]]:
    """The initial configurations, as JSON: those in a file, the presets of a cross-validated run, past studies'."""
    assert settings.space is not None
    space, given = load_space(settings.space), [] if file is None else read_starts(file)
    if settings.folds is not None:
        from automl.data.ingest.prepare import Facts
        from automl.tasks.families import presets

        assert prepared is not None
        given = [*(given if isinstance(given, list) else [given]), *presets(space, Facts.read(prepared).kind)]
    return to_json(starts(space, task_name(settings), settings.n_trials, given, studies))


def _space_of(asked: Settings, prepared: Path | None) -> ConfigurationSpace | None:
    """The task's space, or None for a function or a command, which has none."""
    if asked.command is not None:
        return None
    if asked.task is not None and ".py:" in asked.task:
        found = load_from_file(asked.task)
        return found.space if isinstance(found, Task) else None
    return build_task(replace(asked, space=None).with_defaults(), prepared).space


def resumed(before: Settings, asked: Settings) -> Settings:
    """The settings of a resumed run; more time for a cross-validated run also means more time per trial."""
    from automl.tasks.time_limit import seconds_of_a_trial

    settings = before.resumed_with(asked)
    if settings.folds is not None and asked.trial_seconds is None and settings.time_limit is not None:
        most = max(before.trial_seconds or 0.0, seconds_of_a_trial(settings.time_limit))
        settings = replace(settings, trial_seconds=most)
    return settings


def stored_settings(folder: Path) -> Settings:
    """The settings of the run in a folder."""
    return settings_of(recorded(RunFolder(folder)), folder)


def settings_of(content: Mapping[str, Any], folder: Path) -> Settings:
    """The settings in a study. UserError if the run was not started from the command line."""
    if content["from_python"]:
        raise UserError(
            f"the run in {str(folder)!r} was started from Python; automl.tune(..., study={str(folder)!r}, resume=True) "
            "continues it"
        )
    return Settings.from_json(content)


def _assignments(texts: Sequence[str]) -> dict[str, Any]:
    import yaml

    from automl.space.yaml_text import load_yaml

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--set needs KEY=VALUE, got {text!r}")
        if name in found:
            raise UserError(f"--set has two values for {name!r}; give one, or a space in which it has both")
        try:
            found[name] = load_yaml(value)
        except yaml.YAMLError:
            found[name] = value
    return found
