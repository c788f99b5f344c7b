"""What is tuned, given as a function or a generator: it becomes a task. Shell commands are in automl.commands."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.parse import load_space
from automl.task import Epoch, Task, TrainingFailed, vary

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def as_task(objective: Any, space: Any = None, *, max_epochs: int | None = None, maximize: bool = False) -> Task:
    """A task from whatever the user has: a task, a built-in task's name, a function or a generator with its space.

    ``space`` is anything that ``load_space`` takes. UserError where something is missing.
    """
    if isinstance(objective, str):
        from automl.tasks.registry import load_task

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
        return epoch_of(number, given, value, seconds, self.maximize)


def epoch_of(number: int, given: float, told: Mapping[str, Any], seconds: float, maximize: bool) -> Epoch:
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
