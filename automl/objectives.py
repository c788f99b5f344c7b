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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space import load_space
from automl.tasks.base import Epoch, Task, TrainingFailed

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

OWN_PLACEHOLDERS = ("seed", "epochs", "dir", "config")


def as_task(objective: Any, space: Any = None, *, max_epochs: int | None = None, maximize: bool = False) -> Task:
    """A task from whatever the user has: a task, a built-in task's name, a function or a generator with its space.

    ``space`` is anything that ``load_space`` takes. UserError where something is missing.
    """
    if isinstance(objective, str):
        from automl.tasks import load_task

        objective = load_task(objective)
    if isinstance(objective, Task) and not inspect.isclass(objective):
        changes = {"max_epochs": max_epochs} if max_epochs is not None else {}
        return replace(objective, **changes) if changes else objective  # type: ignore[type-var]
    if not callable(objective):
        raise UserError(
            f"an objective must be a function of a config, a generator, a task or a task's name; got {objective!r}"
        )
    if space is None:
        raise UserError("an objective that is a function needs a space, e.g. {'lr': {'float': [1e-5, 0.1]}}")
    return FunctionTask.of(objective, load_space(space), max_epochs=max_epochs, maximize=maximize)


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
        metrics: dict[str, float] = {}
        if isinstance(value, Mapping):
            if self.metric not in value:
                raise TrainingFailed(f"the objective gave {dict(value)!r}, which lacks the key {self.metric!r}")
            metrics = {name: float(v) for name, v in value.items() if name != self.metric}
            value = value[self.metric]
        try:
            number_given = float(value)
        except (TypeError, ValueError):
            raise TrainingFailed(f"the objective must give a number, got {value!r}") from None
        if self.maximize:
            metrics["value"] = number_given
        return Epoch(number, -number_given if self.maximize else number_given, metrics, seconds)


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
    metric: str = "loss"

    def __post_init__(self) -> None:
        known = [*self.space, *OWN_PLACEHOLDERS]
        for name in self._placeholders:
            if name not in known:
                raise UserError(f"unknown placeholder {{{name}}} in the command; known: {', '.join(known)}")
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
    def _placeholders(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.command)

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        own = {"seed": seed, "epochs": epochs, "dir": checkpoint or ".", "config": json.dumps(dict(config))}
        values = dict.fromkeys(self.space, "") | dict(config) | own
        line = re.sub(r"\{(\w+)\}", lambda match: shlex.quote(str(values[match[1]])), self.command)
        number, start, said = 0, time.perf_counter(), deque[str](maxlen=3)
        with tempfile.TemporaryFile("w+", errors="replace") as complaints:
            process = subprocess.Popen(
                line, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, text=True
            )
            assert process.stdout is not None
            try:
                for text in process.stdout:
                    parsed = _loss_and_metrics(text)
                    if parsed is None:
                        said.append(text)
                        continue
                    number += 1
                    yield Epoch(number, *parsed, time.perf_counter() - start)
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


def _loss_and_metrics(text: str) -> tuple[float, dict[str, float]] | None:
    """The loss that a line tells, and its metrics; None for a line that tells none."""
    try:
        content = json.loads(text)
    except ValueError:
        try:
            content = float(text)  # also nan and inf in any spelling
        except ValueError:
            return None
    if isinstance(content, dict) and isinstance(content.get("loss"), (int, float)):
        numbers = {k: float(v) for k, v in content.items() if isinstance(v, (int, float)) and k != "loss"}
        return float(content["loss"]), numbers
    return (float(content), {}) if isinstance(content, (int, float)) and not isinstance(content, bool) else None


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
