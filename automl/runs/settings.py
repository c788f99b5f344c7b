"""The settings of a run, of the command line or of ``automl.tune``, kept in its study."""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from automl.devices import cards, check_device
from automl.errors import UserError, whole
from automl.metrics import METRICS
from automl.runs.machines import Machines
from automl.tuning.pickling import MODULE_PREFIX
from automl.tuning.stopping import Within
from strategies import check_spec
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from automl.task import Task

DEFAULT_TASK = "mnist1d-cnn"
DEFAULT_TRIALS = 25
DEFAULT_FINAL = 3
DEFAULT_SECONDS = 300.0  # of a run on a table, for which neither a strategy nor a number of trials was given
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}  # of a time limit, in seconds


@dataclass(frozen=True)
class Rule:
    """The constraints on a setting.

    ``minimum``: of an integer. ``unit``: of a number above 0. ``may_change``: whether a resumed run may have
    another value. ``in_default_plan``: False for one that replaces the default plan. ``option``: of the command line;
    None: the name without ``n_``.
    """

    minimum: int | None = None
    unit: str | None = None
    may_change: bool = False
    in_default_plan: bool = True
    option: str | None = None


@dataclass(frozen=True)
class Settings:
    """The settings of a run. None: not given, use the default."""

    task: str | None = None  # a built-in task, or file.py:name
    command: str | None = None
    data: Mapping[str, Any] | None = None  # the user's own, the fields of automl.data.ingest.request.Request
    folds: int | None = None  # of a table's cross-validation; None: the search scores on the validation set
    model: str | None = None  # model families, for the user's own data
    metric: str | None = None  # replaces the task's
    strategy: Annotated[str | None, Rule(in_default_plan=False)] = None
    n_trials: Annotated[int | None, Rule(minimum=1, may_change=True, in_default_plan=False)] = None
    max_epochs: Annotated[int | None, Rule(minimum=1, in_default_plan=False, option="epochs")] = None
    seed: Annotated[int | None, Rule(minimum=0)] = None
    train_size: Annotated[int | None, Rule(minimum=1, in_default_plan=False)] = None
    space: Mapping[str, Any] | None = None  # in the short form
    time_limit: Annotated[float | None, Rule(unit="seconds", may_change=True)] = None
    target: Annotated[float | None, Rule(may_change=True)] = None
    patience: Annotated[int | None, Rule(minimum=1, may_change=True)] = None
    sure_within: Annotated[Within | None, Rule(may_change=True)] = None
    trial_seconds: Annotated[float | None, Rule(unit="seconds", may_change=True)] = None
    n_workers: Annotated[int | None, Rule(minimum=1, may_change=True)] = None
    lanes: Annotated[int | None, Rule(minimum=1, may_change=True)] = None  # trainings per program; 1: none share one
    device: Annotated[str | None, Rule(may_change=True)] = None
    reproducible: bool | None = None
    maximize: bool | None = None
    # How often the final trains each of the best configs and the default.
    n_final: Annotated[int | None, Rule(minimum=0, may_change=True, option="final_seeds")] = None
    started: str | None = None  # ISO time
    prior: Sequence[Mapping[str, Any]] | None = None  # initial configs, as automl.tuning.warm_start.to_json writes them
    learn: Annotated[bool | None, Rule(may_change=True)] = None  # whether the results are kept for later searches
    # Whether the final model is trained on the validation set too.
    refit: Annotated[bool | None, Rule(may_change=True, in_default_plan=False)] = None
    ensemble: Annotated[int | None, Rule(minimum=1, may_change=True)] = None  # maximum number of trials in an ensemble
    # Of an ensemble's prediction, per row.
    max_latency: Annotated[float | None, Rule(unit="milliseconds", may_change=True)] = None
    track: Annotated[Sequence[str] | None, Rule(may_change=True)] = None  # trackers that trials are logged to
    # The machines that train, as the fields of automl.runs.machines.Machines.
    machines: Annotated[Mapping[str, Any] | None, Rule(may_change=True, option="executor")] = None
    source: Mapping[str, Any] | None = None  # the file of the data or the task at the start, see automl.runs.sources
    from_python: bool = False  # started by automl.tune, which alone has the objective to continue with

    def __post_init__(self) -> None:
        label = str if self.from_python else option
        for name, rule in RULES.items():
            value = getattr(self, name)
            if value is not None and rule.minimum is not None:
                object.__setattr__(self, name, whole(label(name), value, rule.minimum))
            if value is not None and rule.unit is not None:
                if not isinstance(value, Real):
                    raise UserError(f"{label(name)} must be a number of {rule.unit}, got {value!r}")
                if not float(value) > 0:  # also refuses NaN
                    raise UserError(f"{label(name)} must be above 0 {rule.unit}, got {value!r}")
                object.__setattr__(self, name, float(value))
        for name in ("maximize", "reproducible"):
            if getattr(self, name) not in (None, True, False):
                raise UserError(f"{label(name)} must be True or False, got {getattr(self, name)!r}")
        if self.target is not None:
            if not isinstance(self.target, Real) or math.isnan(self.target):
                raise UserError(f"{label('target')} must be a number, got {self.target!r}")
            object.__setattr__(self, "target", float(self.target))
        if self.device is not None:
            check_device(self.device)
        if self.where.is_remote:
            if ":" in (self.device or ""):
                raise UserError(f"other machines have their own GPUs: give auto, cpu or cuda, not {self.device!r}")
            if self.reproducible and self.n_workers is None:
                raise UserError(f"{label('reproducible')} on machines that come and go needs {label('n_workers')}")
        if self.command is not None and not self.command.strip():
            raise UserError("--command is empty; give the command that trains, such as 'python train.py --lr {lr}'")
        if sum(what is not None for what in (self.task, self.command, self.data)) > 1:
            raise UserError("give only one of a task, a command and data")
        if self.refit and self.ensemble:
            raise UserError("--refit and --ensemble exclude each other: give one of them")
        if (self.refit or self.ensemble) and self.n_final == 0:
            raise UserError("--refit and --ensemble need a final; leave --final-seeds 0 out")
        if self.model is not None and self.data is None:
            raise UserError("--model is for your own data (--data), or for those of a built-in task (--task NAME)")
        if self.max_latency is not None and self.data is None:
            raise UserError(f"{label('max_latency')} is for your own data (--data)")
        if self.metric is not None and self.command is not None:
            raise UserError("--metric is for tasks and data; a command prints its own loss")

    def with_defaults(self) -> Settings:
        """These settings, with defaults for what was not given."""
        if self.command and self.space is None:
            raise UserError("a command needs a space: --space space.yaml, e.g. lr: {float: [1.0e-5, 0.1], log: true}")
        return replace(
            self,
            task=self.task or (None if self.command or self.data else DEFAULT_TASK),
            strategy=self.strategy or "auto",
            n_trials=self.n_trials or (DEFAULT_TRIALS if self.time_limit is None else None),
            seed=0 if self.seed is None else self.seed,
            n_workers=self.n_workers or (None if self.where.is_remote else default_workers(self.device or "auto")),
            device=self.device or "auto",
            reproducible=bool(self.reproducible),
            maximize=bool(self.maximize),
            n_final=DEFAULT_FINAL if self.n_final is None else self.n_final,
            learn=self.learn is not False,
        )

    @property
    def where(self) -> Machines:
        """The machines that train."""
        return Machines(**(self.machines or {}))

    @property
    def has_test(self) -> bool:
        """Whether the user's own data keep a test set."""
        return not (self.data or {}).get("no_test")

    @property
    def planned_workers(self) -> int:
        """The number of parallel trainings, as far as known before the run."""
        device = self.device or "auto"
        return self.n_workers or (self.where.n_workers(device) if self.where.is_remote else default_workers(device))

    @property
    def crowded(self) -> str | None:
        """A warning if there are more workers than cores on this machine; None otherwise."""
        n_cores = default_workers("cpu")
        if self.n_workers is None or self.n_workers <= n_cores or self.where.is_remote:
            return None
        return f"workers: {self.n_workers} trainings share {n_cores} cores, so that each is slower"

    def options_given(self, names: Iterable[str]) -> list[str]:
        """The command-line options of those of the settings that were given."""
        values = {name: getattr(self, name) for name in names}
        given = {name: value for name, value in values.items() if value is not None}
        return [option(name).replace("--", "--no-" if value is False else "--") for name, value in given.items()]

    def resumed_with(self, asked: Settings) -> Settings:
        """These settings of an existing run, updated with the options that may change on resume."""
        changes = {}
        before, now = self.to_json(), asked.to_json()  # where a tuple is a list, as in what was stored
        for name, value in now.items():
            if value is None or _given(value) == _given(before[name]):
                continue
            if name not in RULES or not RULES[name].may_change:
                raise UserError(_refusal(name, _given(before[name]), _given(value)))
            changes[name] = getattr(asked, name)
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON, for the study."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """The inverse of ``to_json``."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


RULES: Mapping[str, Rule] = {
    name: rule
    for name, annotation in get_type_hints(Settings, include_extras=True).items()
    for rule in getattr(annotation, "__metadata__", ())
}
BEYOND_DEFAULT_PLAN = tuple(name for name, rule in RULES.items() if not rule.in_default_plan)


def _given(value: Any) -> Any:
    """A request without empty fields, as an earlier version may have stored fewer; any other value as it is."""
    return {name: each for name, each in value.items() if each} if isinstance(value, dict) else value


def _refusal(name: str, before: Any, requested: Any) -> str:
    """Why a setting of a run cannot be changed; of a request, the first field that differs."""
    if isinstance(before, Mapping) and isinstance(requested, Mapping):
        name = next(key for key in {**requested, **before} if requested.get(key) != before.get(key))
        before, requested = before.get(name), requested.get(name)
    if before in (None, False):
        return f"the run was started without {option(name)}; a resumed run keeps that: leave it out"
    value = "none" if requested is None else repr(requested)
    return f"the run has {option(name)} {before!r}, not {value}; a resumed run keeps it"


def option(name: str) -> str:
    """The command-line option of a setting."""
    known = RULES[name].option if name in RULES else None
    return "--" + (known or name.removeprefix("n_")).replace("_", "-")


def build_task(settings: Settings, prepared: Path | None = None) -> Task:
    """The task that the settings name, with their space. UserError if there is none.

    ``prepared``: the folder of the user's prepared data.
    """
    from automl.space.parse import load_space
    from automl.tasks.function import as_task
    from automl.tasks.registry import load_task
    from automl.tasks.shell_command import CommandTask

    maximize = bool(settings.maximize)
    if settings.command is not None:
        assert settings.space is not None
        return CommandTask(settings.command, load_space(settings.space), settings.max_epochs or 1, maximize=maximize)
    if settings.data is not None:
        from automl.tasks.user_data import own_task

        assert prepared is not None
        if settings.folds is not None:
            from automl.tasks.cross_validated import cross_validated

            workers = settings.planned_workers if settings.space is None else None  # they only affect the space
            folds = cross_validated(
                prepared, settings.folds, settings.model, settings.metric, settings.time_limit, workers
            )
            return as_task(folds, settings.space, maximize=maximize)
        task: Task = own_task(prepared, settings.model, settings.metric).prepared(settings.train_size)
        return as_task(task, settings.space, max_epochs=settings.max_epochs, maximize=maximize)
    assert settings.task is not None
    if ".py:" in settings.task:
        if settings.train_size is not None:
            raise UserError("--train-size is for built-in tasks; your own task defines its data")
        if settings.metric is not None:
            raise UserError("--metric is for built-in tasks and data; your own task defines its metric")
        objective = load_from_file(settings.task)
        return as_task(objective, settings.space, max_epochs=settings.max_epochs, maximize=maximize)
    task = load_task(settings.task, train_size=settings.train_size).with_metric(settings.metric)
    return as_task(task, settings.space, max_epochs=settings.max_epochs, maximize=maximize)


def check_names(asked: Settings) -> None:
    """Raise UserError or UnknownStrategy for a strategy or metric that does not exist, before any data are read."""
    if asked.strategy is not None:
        check_spec(asked.strategy)
    if asked.data is not None and asked.metric is not None and asked.metric not in METRICS:
        hint = did_you_mean(asked.metric, METRICS)
        raise UserError(f"unknown metric {asked.metric!r}; {hint}choose one of: {', '.join(METRICS)}")


def as_number(text: str) -> float:
    """``--target`` as a score to reach. UserError if it is not a number."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--target must be a number, got {text!r}; a column to predict needs --data FILE") from None


def as_seconds(text: str | None, option: str) -> float | None:
    """A time limit such as 90, 90s, 5m or 1.5h. UserError if it is something else."""
    if text is None:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        seconds = float(number) * UNITS[unit]
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UserError(f"{option} must be a number of seconds, or a time such as 90s, 5m or 1h, got {text!r}")
    return seconds


def load_from_file(spec: str) -> Any:
    """The object ``name`` in ``file.py:name``: a task, a function or a generator."""
    file, _, name = spec.rpartition(":")
    if not name:
        raise UserError(f"no object of {file!r} given; use {file}:NAME")
    path = Path(file)
    if not path.is_file():
        where = "" if path.is_absolute() else f" in {str(Path.cwd())!r}"
        raise UserError(f"there is no file {file!r}{where}")
    try:
        module = _module_of(path.resolve(), path.stat().st_mtime_ns)
    except SystemExit:
        raise UserError(
            f"{file!r} exits when it is imported; put what it does as a script under if __name__ == '__main__':"
        ) from None
    except Exception as error:
        raise UserError(f"{file!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        hint = did_you_mean(name, vars(module))
        raise UserError(f"{file!r} has no {name!r}; {hint}give the name of an object in it: {file}:NAME")
    return getattr(module, name)


@functools.cache
def _module_of(path: Path, changed: int) -> ModuleType:
    """The module in a file, run once per version of the file, as it may load data. ``changed``: its mtime in ns."""
    # Under a private module name: a file named queue.py must not replace the library's module.
    module_name = f"{MODULE_PREFIX}{path.stem}"
    module_spec = importlib.util.spec_from_file_location(module_name, path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    sys.path.append(str(path.parent))  # for its sibling modules
    module_spec.loader.exec_module(module)
    # Pickled by value, so that workers do not need to import the file.
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)
    return module


def default_workers(device: str) -> int:
    """One training process per GPU, since more would have to share it; without a GPU one per core, with one thread."""
    n_cards = len(cards(device))
    if n_cards:
        return n_cards
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
