"""Functions and generators as tasks. Shell commands are in automl.tasks.shell_command."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from automl.devices import cards
from automl.errors import UserError, whole
from automl.space.parse import load_space
from automl.task import Epoch, NoLoss, Task, TrainingFailed, vary

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def as_task(objective: Any, space: Any = None, *, max_epochs: int | None = None, maximize: bool = False) -> Task:
    """A task from a task, the name of a built-in one, or a function or generator with its space.

    ``space``: anything that ``load_space`` takes. ``max_epochs``: epochs of a full training; by default the task's, or
    the default of the function's own argument ``epochs``. ``maximize``: the function returns a score, higher is better.
    Raises UserError where something is missing.
    """
    if max_epochs is not None:
        max_epochs = whole("max_epochs", max_epochs, 1)
    if isinstance(objective, str):
        from automl.tasks.registry import load_task

        objective = load_task(objective)
    if isinstance(objective, Task) and not inspect.isclass(objective):
        if maximize:
            raise UserError("maximize is for functions and commands; a task has its own direction")
        if space is None:
            _check_space(objective)
        if isinstance(objective, FunctionTask) and max_epochs is not None:
            own, maximize = objective.space, objective.maximize
            objective = FunctionTask.of(objective.function, own, max_epochs=max_epochs, maximize=maximize)
        return vary(objective, space=None if space is None else load_space(space), max_epochs=max_epochs)
    if not callable(objective):
        raise UserError(
            f"the objective must be a function of a config, a generator, a task or the name of one; got {objective!r}"
        )
    if space is None:
        raise UserError(
            "a function needs a space: --space FILE on the command line, in Python e.g. {'lr': {'float': [1e-5, 0.1]}}"
        )
    return FunctionTask.of(objective, load_space(space), max_epochs=max_epochs, maximize=maximize)


def _check_space(task: Task) -> None:
    """Raise UserError unless the task has a ConfigurationSpace."""
    from ConfigSpace import ConfigurationSpace

    if not isinstance(task.space, ConfigurationSpace):
        raise UserError(
            f"the space of the task {task.name!r} must be a ConfigurationSpace, got {task.space!r}; automl.load_space "
            "makes one from a dict"
        )


@dataclass(frozen=True)
class FunctionTask:
    """A function ``config -> loss``, or a generator ``config -> a loss after each epoch``.

    It may also take ``seed``, ``epochs``, ``folder`` and ``device``, by these names; the device is ``cpu`` or ``cuda``,
    or as given to the run. Instead of a number it may give a mapping with the key ``loss`` (``value`` under
    ``maximize``) and further metrics. A generator of known length is closed after ``max_epochs`` yields; other
    generators, and functions, run to completion.
    """

    reads_space: ClassVar[bool] = False
    function: Callable[..., Any]
    space: ConfigurationSpace
    name: str
    max_epochs: int  # 1 where the length is unknown
    is_length_known: bool
    arguments: tuple[str, ...]  # those of seed, epochs, folder and device that the function takes
    maximize: bool = False
    resumable: bool = False
    metric: str = "loss"

    @classmethod
    def of(
        cls, function: Callable[..., Any], space: ConfigurationSpace, *, max_epochs: int | None, maximize: bool
    ) -> FunctionTask:
        """Read the signature. Without ``max_epochs``, an int default of ``epochs`` is the length of a full training.

        Any other default, such as None, is left to the function, and so are a seed, folder and device that are set by
        ``functools.partial``. UserError if ``epochs`` has no default either, or if the function needs other arguments.
        """
        signature = None
        with contextlib.suppress(TypeError, ValueError):  # builtins without a signature
            signature = inspect.signature(function)
        parameters = {} if signature is None else signature.parameters
        name = getattr(function, "__name__", type(function).__name__).strip("<>")
        bound = {*function.keywords} - {"epochs"} if isinstance(function, functools.partial) else set()
        takes = tuple(name for name in ("seed", "epochs", "folder", "device") if name in parameters.keys() - bound)
        if max_epochs is None and "epochs" in takes:
            own = parameters["epochs"].default
            if own is inspect.Parameter.empty:
                raise UserError(
                    f"{name}() takes epochs but has no default for it: give max_epochs (--epochs on the command line), "
                    "or a default such as epochs=10"
                )
            if isinstance(own, int) and not isinstance(own, bool) and own > 0:
                max_epochs = own
            else:
                takes = tuple(argument for argument in takes if argument != "epochs")
        if signature is not None:
            try:
                signature.bind({}, **dict.fromkeys(takes))
            except TypeError as error:
                raise UserError(
                    f"{name}() cannot be called with a config: {error}; the objective takes the config and, by these "
                    "names, seed, epochs, folder and device"
                ) from None
        return cls(
            function,
            space,
            name,
            max_epochs or 1,
            max_epochs is not None,
            takes,
            maximize,
            metric="value" if maximize else "loss",
        )

    @property
    def takes_seed(self) -> bool:
        """Whether the loss can depend on the seed."""
        return "seed" in self.arguments

    @property
    def uses_folder(self) -> bool:
        """Whether a trial needs a folder of its own."""
        return "folder" in self.arguments

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        given: dict[str, Any] = {"seed": seed, "epochs": epochs, "folder": checkpoint}
        if "device" in self.arguments:
            given["device"] = device if device != "auto" else "cuda" if cards(device) else "cpu"
        start = time.perf_counter()
        try:
            result = self.function(dict(config), **{name: given[name] for name in self.arguments})
        except StopIteration as error:  # which would end this generator
            raise RuntimeError("StopIteration: next() was called on an iterator that has no more items") from error
        if not inspect.isgenerator(result):
            yield self._epoch(epochs, result, time.perf_counter() - start)
            return
        try:
            for number, value in enumerate(result, 1):
                yield self._epoch(number, value, time.perf_counter() - start)
                if self.is_length_known and number >= epochs:
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
            raise NoLoss(f"the objective returned {dict(value)!r}, without the key {self.metric!r}{self._hint(value)}")
        try:
            given = _number(value[self.metric])
        except (TypeError, ValueError, OverflowError):
            raise NoLoss(f"the objective must return a number, got {value[self.metric]!r}") from None
        return epoch_of(number, given, value, seconds, self.maximize)

    def _hint(self, result: Mapping[str, Any]) -> str:
        """A hint for a result of the opposite direction."""
        if self.maximize and "loss" in result:
            return "; rename the score to 'value', or leave maximize out to minimize 'loss'"
        if not self.maximize and "value" in result:
            return "; rename it to 'loss', or give maximize (--maximize on the command line) to maximize 'value'"
        return ""


def _number(value: Any) -> float:
    """A result as a number. Tensors that require gradients would warn."""
    return float(value.detach() if hasattr(value, "detach") else value)


def epoch_of(number: int, given: float, result: Mapping[str, Any], seconds: float, maximize: bool) -> Epoch:
    """An epoch from an objective's result: its loss (under ``maximize``, its score), and all other numbers in it."""
    metrics = {}
    for name, value in result.items():
        try:
            metrics[name] = _number(value)
        except (TypeError, ValueError, OverflowError):
            continue
    if not math.isfinite(given):
        raise TrainingFailed(f"the {'value' if maximize else 'loss'} is {given} at epoch {number}")
    metrics.pop("loss", None)
    if maximize:
        metrics["value"] = given
    return Epoch(number, -given if maximize else given, metrics, seconds)


def check_stops_early(task: Task, strategy: str) -> None:
    """Raise UserError if a strategy such as ``bo+asha`` would stop trials of unknown length early."""
    _, *wrappers = strategy.split("+")
    if wrappers and not getattr(task, "is_length_known", True):
        raise UserError(
            f"{strategy} stops trials early and needs the epochs of a full training: give max_epochs (--epochs on the "
            "command line), and a generator that yields the loss, or a command that prints it, after each epoch"
        )
