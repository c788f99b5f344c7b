"""What is tuned, given as a function, a generator or a shell command: each becomes a task."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space import load_space
from automl.tasks.base import Epoch, Task, TrainingFailed

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

OWN_PLACEHOLDERS = ("seed", "epochs", "dir", "config")
# {name}, but not the shell's ${name}; or, as the first alternative, {{...}}, which stands for {...}. Blanks and quotes
# inside mean that the braces are somebody else's, such as awk's.
PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}|(?<!\$)\{([^{}\s'\",;$]+)\}")


def as_task(objective: Any, space: Any = None, *, max_epochs: int | None = None, maximize: bool = False) -> Task:
    """A task from whatever the user has: a task, a built-in task's name, a function or a generator with its space.

    ``space`` is anything that ``load_space`` takes. UserError where something is missing.
    """
    if isinstance(objective, str):
        from automl.tasks import load_task

        objective = load_task(objective)
    if isinstance(objective, Task) and not inspect.isclass(objective):
        if maximize:
            raise UserError("maximize is for functions and commands; a task says itself what is better")
        return vary(objective, space=None if space is None else load_space(space), max_epochs=max_epochs)
    if not callable(objective):
        raise UserError(
            f"an objective must be a function of a config, a generator, a task or a task's name; got {objective!r}"
        )
    if space is None:
        raise UserError("an objective that is a function needs a space, e.g. {'lr': {'float': [1e-5, 0.1]}}")
    return FunctionTask.of(objective, load_space(space), max_epochs=max_epochs, maximize=maximize)


def vary(task: Task, *, space: ConfigurationSpace | None = None, max_epochs: int | None = None) -> Task:
    """The same task over another space, or with another length of a full training."""
    asked = {"space": space, "max_epochs": max_epochs}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if not changes:
        return task
    if is_dataclass(task) and changes.keys() <= {field.name for field in fields(task)}:
        varied: Task = replace(task, **changes)
        return varied
    return Variation(task, space or task.space, max_epochs or task.max_epochs)


@dataclass(frozen=True)
class Variation:
    """A task of whatever class, with another space or length."""

    task: Task
    space: ConfigurationSpace
    max_epochs: int

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # while it is being unpickled
            raise AttributeError(name)
        return getattr(self.task, name)


@dataclass(frozen=True)
class FunctionTask:
    """A function ``config -> loss``, or a generator ``config -> a loss after each epoch``.

    It may also take ``seed``, ``epochs``, ``folder`` and ``device``, by these names. In place of a number it may give
    a mapping with the key ``loss`` (``value`` under ``maximize``) and any metrics beside it.
    """

    function: Callable[..., Any]
    space: ConfigurationSpace
    name: str
    max_epochs: int
    curve_length_known: bool  # a generator's epochs are counted against max_epochs only where that was given
    arguments: tuple[str, ...]  # of seed, epochs, folder, device: those that the function takes
    maximize: bool = False
    resumable: bool = False
    metric: str = "loss"

    @classmethod
    def of(
        cls, function: Callable[..., Any], space: ConfigurationSpace, *, max_epochs: int | None, maximize: bool
    ) -> FunctionTask:
        """Look at what the function takes. ``maximize``: what it gives is a score, higher is better."""
        try:
            parameters = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # builtins that tell no signature
            parameters = []
        takes = tuple(name for name in ("seed", "epochs", "folder", "device") if name in parameters)
        return cls(
            function,
            space,
            getattr(function, "__name__", type(function).__name__).strip("<>"),
            max_epochs or 1,
            max_epochs is not None,
            takes,
            maximize,
            metric="value" if maximize else "loss",
        )

    @property
    def takes_seed(self) -> bool:
        """Whether another seed can give another loss."""
        return "seed" in self.arguments

    @property
    def uses_folder(self) -> bool:
        """Whether a trial needs a folder of its own."""
        return "folder" in self.arguments

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        given = {"seed": seed, "epochs": epochs, "folder": checkpoint, "device": device}
        start = time.perf_counter()
        result = self.function(dict(config), **{name: given[name] for name in self.arguments})
        if not inspect.isgenerator(result):
            yield self._epoch(epochs, result, time.perf_counter() - start)
            return
        try:
            for number, value in enumerate(result, 1):
                yield self._epoch(number, value, time.perf_counter() - start)
                if self.curve_length_known and number >= epochs:
                    return
                start = time.perf_counter()
        finally:
            result.close()

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        return {}

    def _epoch(self, number: int, value: Any, seconds: float) -> Epoch:
        if not isinstance(value, Mapping):
            value = {self.metric: value}
        if self.metric not in value:
            raise TrainingFailed(f"the objective gave {dict(value)!r}, which lacks the key {self.metric!r}")
        try:
            given = float(value[self.metric])
        except (TypeError, ValueError):
            raise TrainingFailed(f"the objective must give a number, got {value[self.metric]!r}") from None
        return _epoch_of(number, given, value, seconds, self.maximize)


def _epoch_of(number: int, given: float, told: Mapping[str, Any], seconds: float, maximize: bool) -> Epoch:
    """An epoch from what an objective gave: a loss, or under ``maximize`` a score; of the rest, what is a number."""
    metrics = {}
    for name, value in told.items():
        try:
            metrics[name] = float(value)
        except (TypeError, ValueError):
            continue
    metrics.pop("loss", None)
    if maximize:
        metrics["value"] = given
    return Epoch(number, -given if maximize else given, metrics, seconds)


@dataclass(frozen=True)
class CommandTask:
    """A shell command with placeholders, which prints its losses: one number a line, or JSON lines with ``loss``.

    ``{lr}`` and the like are the config's values (empty for an inactive one), ``{config}`` all of it as JSON,
    ``{seed}``, ``{epochs}`` and ``{dir}``, the trial's own folder, which stays. Values are quoted for the shell.
    """

    command: str
    space: ConfigurationSpace
    max_epochs: int = 1
    name: str = "command"
    maximize: bool = False

    def __post_init__(self) -> None:
        for name in OWN_PLACEHOLDERS:
            if name in self.space and f"{{{name}}}" in self.command:
                raise UserError(f"the hyperparameter {name!r} has the name of a placeholder; call it something else")
        known = [*self.space, *OWN_PLACEHOLDERS]
        for name in self._placeholders:
            if name not in known:
                raise UserError(
                    f"unknown placeholder {{{name}}} in the command; known: {', '.join(known)}; "
                    f"write {{{{{name}}}}} if the braces are the shell's"
                )
        if not set(self._placeholders) & {*self.space, "config"}:
            raise UserError(f"the command uses no hyperparameter; put e.g. {{{next(iter(self.space))}}} into it")

    @property
    def resumable(self) -> bool:
        """Only a command that is told where and how far can go on from where it was."""
        return {"dir", "epochs"} <= set(self._placeholders)

    @property
    def takes_seed(self) -> bool:
        """Whether another seed can give another loss."""
        return "seed" in self._placeholders

    @property
    def metric(self) -> str:
        """What is printed."""
        return "value" if self.maximize else "loss"

    @property
    def uses_folder(self) -> bool:
        """Whether a trial needs a folder of its own."""
        return "dir" in self._placeholders

    @property
    def _placeholders(self) -> list[str]:
        return [name for name in PLACEHOLDER.findall(self.command) if name]

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        own = {"seed": seed, "epochs": epochs, "dir": checkpoint or ".", "config": json.dumps(dict(config))}
        values = dict.fromkeys(self.space, "") | dict(config) | own
        line = PLACEHOLDER.sub(
            lambda match: shlex.quote(str(values[match[1]])) if match[1] else match[0][1:-1], self.command
        )
        number, start, said = 0, time.perf_counter(), deque[str](maxlen=3)
        with tempfile.TemporaryFile("w+", errors="replace") as complaints:
            process = subprocess.Popen(
                line,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                encoding="utf-8",
                errors="replace",
            )
            assert process.stdout is not None
            try:
                for text in process.stdout:
                    told = self._told(text)
                    if told is None:
                        said.append(text)
                        continue
                    number += 1
                    seconds = time.perf_counter() - start
                    yield _epoch_of(number, float(told[self.metric]), told, seconds, self.maximize)
                    start = time.perf_counter()
            finally:
                process.stdout.close()
                if process.poll() is None and not _ends_soon(process):
                    _kill_tree(process.pid)
                process.wait()
            complaints.seek(0)
            said.extend(complaints)
        last_words = " | ".join(filter(None, map(str.strip, said)))
        reason = f": {last_words}" if last_words else ""
        if process.returncode != 0:
            raise TrainingFailed(f"the command ended with exit status {process.returncode}{reason}")
        if number == 0:
            raise TrainingFailed(f"the command printed no loss (one number a line, or JSON lines){reason}")

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        return {}

    def _told(self, text: str) -> dict[str, Any] | None:
        """What a line tells: the loss (or value) and metrics beside it; None for a line that tells none."""
        try:
            content = json.loads(text)
        except ValueError:
            try:
                content = float(text)  # also nan and inf in any spelling
            except ValueError:
                return None
        if isinstance(content, dict):
            return content if _is_number(content.get(self.metric)) else None
        return {self.metric: content} if _is_number(content) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ends_soon(process: subprocess.Popen[str]) -> bool:
    """Whether it ends by itself now that its output is closed, as it does at the end of a normal run."""
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_tree(pid: int) -> None:
    import psutil

    try:
        root = psutil.Process(pid)
        family = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
