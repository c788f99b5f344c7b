"""The progress of a search: a bar in a terminal or notebook, log lines elsewhere."""

from __future__ import annotations

import html
import logging
import math
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from automl.analysis.formatting import at_resolution, duration, failure, resolution, values
from automl.study.trial import STATES, TellEntry, Trial, state_of
from automl.task import TOO_SLOW, epochs_are

if TYPE_CHECKING:
    from rich.console import RenderableType

    from automl.tuning.tuner import Tuner

LOGGER = logging.getLogger("automl")
EVERY = 0.1  # seconds between updates


class Progress(Protocol):
    """A display that a Tuner's ``watch`` updates while the context lasts."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, tuner: Tuner) -> None: ...


def progress() -> Progress:
    """The display that fits the environment: a notebook, a terminal (standard error), or a log."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is not None:
        return _NotebookBar()
    return _TerminalBar() if sys.stderr.isatty() else _Log()


def share_done(tuner: Tuner) -> float:
    """The used share of the budget in epochs or of the time limit, whichever is larger; 0 to 1."""
    epochs, budget, limit = _epochs(tuner), tuner.budget_epochs, tuner.search_limit
    shares = [0.0 if budget is None else epochs / budget, 0.0 if not limit else tuner.seconds / limit]
    return min(1.0, max(shares))


def seconds_left(tuner: Tuner) -> float | None:
    """Estimated seconds left of the search, at the pace so far; None if unknown."""
    epochs, budget, limit = _epochs(tuner), tuner.budget_epochs, tuner.search_limit
    left = math.inf if limit is None else limit - tuner.seconds
    if epochs and budget is not None:
        left = min(left, tuner.seconds * (budget - epochs) / epochs)
    return None if math.isinf(left) else max(0.0, left)


def _epochs(tuner: Tuner) -> int:
    """Epochs of the budget used so far; a failed trial counts with its requested epochs."""
    ahead = [max(0, r.proposal.epochs - len(r.losses)) for r in tuner.running.values()]
    waiting = [p for pack in tuner.waiting for p in pack if p.trial not in tuner.running]
    ahead += [max(0, p.epochs - len(tuner.study.trials[p.trial].losses)) for p in waiting]
    return tuner.study.committed_epochs - sum(ahead)


class Values:
    """Formats a run's metric values with enough digits to tell them apart, never with fewer than before."""

    def __init__(self) -> None:
        self._step: float | None = None

    def look(self, tuner: Tuner) -> None:
        """Update the number of digits."""
        self._look(values(tuner.study.trials.values(), tuner.task.metric), tuner.task.maximize)

    def _look(self, seen: list[float], maximize: bool) -> None:
        step = resolution(seen, maximize)
        if step is not None:
            self._step = step if self._step is None else min(step, self._step)

    def show(self, value: float | None) -> str:
        """A value, such as ``0.9512`` or ``21,743.10``."""
        return "-" if value is None else at_resolution(value, self._step)


def trial_line(tuner: Tuner, told: TellEntry, shown: Values) -> str:
    """A line with the outcome of a trial and the best value so far."""
    trial, metric = tuner.study.trials[told.outcome.proposal.trial], tuner.task.metric
    state, n_epochs = state_of(told.outcome, tuner.study.max_epochs), len(told.outcome.losses)
    word = STATES[state]
    if trial.is_too_slow:
        word, reached = TOO_SLOW, failure(trial).removeprefix(f"{TOO_SLOW}: ")
    elif state == "failed":
        reached = failure(trial)
    else:
        reached = f"{metric} {shown.show(_value(trial, metric, n_epochs))}"
        if state in ("paused", "stopped"):
            reached += f" after {n_epochs} of {tuner.study.max_epochs} {epochs_are(tuner.task)}"
    best = tuner.study.best
    incumbent = "" if best is None else f"  best {shown.show(best.mean(metric))}"
    # The mean over the trainings of a config counts, so the best may look worse after this.
    again = "" if trial.repeats is None else f"  repeats trial {trial.repeats}"
    return f"trial {trial.number:3d}  {word:13s}  {reached}{incumbent}  ({duration(told.at)}){again}"


def _value(trial: Trial, metric: str, epoch: int) -> float | None:
    curve = trial.metrics.get(metric) or trial.losses
    return curve[epoch - 1] if 0 < epoch <= len(curve) else None


class _Snapshot:
    """The content of a bar; its time advances between updates."""

    def __init__(self, tuner: Tuner, shown: Values) -> None:
        shown.look(tuner)
        study, best, metric = tuner.study, tuner.study.best, tuner.task.metric
        done = len(study.trials) - study.counts["running"]
        whole = tuner.n_trials if study.max_epochs == 1 else None  # otherwise there may be more, shorter trials
        self.trials = f"{done}{f'/{whole}' if whole else ''} trial{'s' * ((whole or done) != 1)}"
        slow = study.n_too_slow
        for n, word in ((study.counts["failed"] - slow, "failed"), (slow, "too slow")):
            self.trials += f", {n} {word}" if n else ""
        self.best = ""
        if best is not None:
            self.best = f"best {metric} {shown.show(best.mean(metric))} (trial {best.number})"
        self.share = share_done(tuner)
        self._elapsed, self._left, self._at = tuner.seconds, seconds_left(tuner), time.monotonic()
        self._ended = False

    def end(self) -> None:
        """The search is over: no time is left."""
        self._elapsed, self._ended = self._elapsed + time.monotonic() - self._at, True

    @property
    def time(self) -> str:
        if self._ended:
            return duration(self._elapsed)
        since = time.monotonic() - self._at
        left = "" if self._left is None else f", {duration(max(0.0, self._left - since))} left"
        return duration(self._elapsed + since) + left

    @property
    def text(self) -> str:
        return "  ".join(filter(None, (self.trials, self.time, self.best)))


class _Bar:
    """Updates at most ten times a second."""

    def __init__(self) -> None:
        self._shown = Values()
        self._snapshot: _Snapshot | None = None
        self._tuner: Tuner | None = None
        self._next = 0.0

    def update(self, tuner: Tuner) -> None:
        self._tuner = tuner
        if time.monotonic() >= self._next:
            self._snapshot = _Snapshot(tuner, self._shown)
            self._next = time.monotonic() + EVERY
            self._draw()

    def _end(self) -> None:
        if self._tuner is not None:
            self._snapshot = _Snapshot(self._tuner, self._shown)
            self._snapshot.end()
            self._draw()

    def _draw(self) -> None:
        """Show the new snapshot, unless the display refreshes itself."""


class _TerminalBar(_Bar):
    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__()
        self._live = Live(
            get_renderable=self._rendered, console=Console(stderr=True, markup=False), refresh_per_second=5
        )

    def __enter__(self) -> _TerminalBar:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._live.stop()

    def _rendered(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        snapshot = self._snapshot
        if snapshot is None:
            return Text("the first trial is running", style="dim")
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(total=1.0, completed=snapshot.share, width=12), Text(snapshot.text, no_wrap=True))
        return line


class _NotebookBar(_Bar):
    """HTML that is replaced in its cell, without widgets."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None

    def __enter__(self) -> _NotebookBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _draw(self) -> None:
        from IPython.display import HTML, display

        assert self._snapshot is not None
        bar = f'<progress value="{self._snapshot.share:.3f}" max="1"></progress>'
        shown = HTML(f"<div>{bar} {html.escape(self._snapshot.text)}</div>")
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class _Log:
    """A line for each outcome, at level INFO."""

    def __init__(self) -> None:
        self._shown = Values()
        self._place: int | None = None  # position in the study's log

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, tuner: Tuner) -> None:
        if not LOGGER.isEnabledFor(logging.INFO):
            return
        new, self._place = new_outcomes(tuner, self._place)
        if new:
            self._shown.look(tuner)
        for told in new:
            LOGGER.info(trial_line(tuner, told, self._shown))


def new_outcomes(tuner: Tuner, place: int | None) -> tuple[list[TellEntry], int]:
    """The outcomes in the study's log from a position on, and the position after them.

    ``place``: None for the first position after the entries that a resumed run has restored.
    """
    log = tuner.study.log
    start = tuner.n_restored if place is None else place
    return [entry for entry in log[start:] if isinstance(entry, TellEntry)], len(log)
