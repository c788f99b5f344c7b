"""Logs the trials of a run to experiment trackers: MLflow, TensorBoard, W&B.

Only the tuner's process writes, with one thread per tracker, so that a slow server does not delay the search. A tracker
always receives the complete state of a trial, so that the next write makes up for a failed one.
"""

from __future__ import annotations

import importlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from automl.errors import UserError, install_command
from automl.integrations.tracker import Snapshot, TrackedRun, Tracker, one_line
from automl.study.run_folder import write_atomic
from automl.study.trial import AskEntry, TellEntry
from automl.tuning.trainings import training_seed
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder
    from automl.study.study import Study
    from automl.study.trial import Trial
    from automl.tuning.final_evaluation import Role
    from automl.tuning.trainings import RunningTrial
    from automl.tuning.tuner import Tuner

TRACKERS = {  # name -> its module, its class
    "mlflow": ("automl.integrations.mlflow", "MLflow"),
    "tensorboard": ("automl.integrations.tensorboard", "TensorBoard"),
    "wandb": ("automl.integrations.wandb", "WeightsAndBiases"),
}
RETRY_SECONDS = 20.0
CLOSE_SECONDS = 60.0  # timeout of a write at the end of the run


def tracker_names(texts: Iterable[str]) -> tuple[str, ...]:
    """The trackers in ``--track a,b --track c``. UserError for an unknown one."""
    names = tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",")))
    for name in names:
        if name not in TRACKERS:
            hint = did_you_mean(name, TRACKERS)
            raise UserError(f"unknown tracker {name!r}; {hint}choose one of: {', '.join(TRACKERS)}")
    return names


def make_trackers(names: Iterable[str]) -> list[Tracker]:
    """The trackers of these names. UserError if an extra is missing or a tracker is not usable."""
    trackers = []
    for name in names:
        module, kind = TRACKERS[name]
        try:
            trackers.append(getattr(importlib.import_module(module), kind)())
        except ImportError as error:
            raise UserError(
                f"tracking with {name} needs a package that is missing ({error}); "
                f"install it with: {install_command(name)}"
            ) from None
        except UserError as error:
            raise UserError(one_line(error)) from None
    return trackers


class Tracking:
    """Passes a run's events on to its trackers."""

    def __init__(self, trackers: Sequence[Tracker], run: TrackedRun, study: Study, warn: Callable[[str], None]) -> None:
        self._writers = [_Writer(tracker, run) for tracker in trackers]
        self._run = run
        self._study = study
        self._warn = warn
        self._tuner: Tuner | None = None
        self._place = 0  # position in the study's log up to which everything is passed on
        self._n_epochs: dict[int, int] = {}  # passed on, by running trial
        self._best: tuple[int, int, float] | None = None  # trial, epochs, and the loss that ranks it
        self._tell({})  # the existing trials of a resumed run

    def update(self, tuner: Tuner) -> None:
        """Call after every change of the tuner."""
        self._tuner = tuner
        self._tell(tuner.running)
        for writer in self._writers:
            error = writer.new_error()
            if error is not None:
                self._warn_of(writer, error)

    def after(self, watch: Callable[[Tuner], None] | None) -> Callable[[Tuner], None]:
        """A callback for a Tuner that calls ``watch``, then ``update``."""

        def watch_both(tuner: Tuner) -> None:
            if watch is not None:
                watch(tuner)
            self.update(tuner)

        return watch_both

    def final(self, means: Mapping[Role, Mapping[str, float]], kept: Role, chosen: int) -> None:
        """Call after the final: its mean scores by config and metric, the config that the run keeps, and the trial of
        the chosen config."""
        for writer in self._writers:
            writer.put_final(chosen, means, kept)

    def close(self) -> None:
        """Write everything that is pending."""
        left = [trial for trial in self._study.trials.values() if trial.state == "running"]
        for writer in self._writers:
            writer.put([self._snapshot(trial, None, "interrupted") for trial in left])
            writer.end(interrupted=self._tuner is not None and self._tuner.interrupted)
        for writer in self._writers:
            writer.join()
            error = writer.new_error()
            if error is not None:
                self._warn_of(writer, error)

    def _tell(self, running: Mapping[int, RunningTrial]) -> None:
        if not self._writers:
            return
        entries = self._study.log[self._place :]
        self._place += len(entries)
        changed = {_trial_of(entry): None for entry in entries}  # in the order of the log
        for number, training in running.items():
            if len(training.losses) != self._n_epochs.get(number, 0):
                changed[number] = None
                self._n_epochs[number] = len(training.losses)
        trials = [self._snapshot(self._study.trials[number], running.get(number)) for number in changed]
        best = self._study.best
        loss = None if best is None else best.mean()
        new_best = None if best is None or loss is None else (best.number, len(best.losses), loss)
        for writer in self._writers:
            writer.put(trials)
            if best is not None and loss is not None and new_best != self._best:
                writer.put_best(self._snapshot(best, None), loss, len(self._study.trials))
        self._best = new_best

    def _snapshot(
        self, trial: Trial, running: RunningTrial | None, state: Literal["interrupted"] | None = None
    ) -> Snapshot:
        known: Trial | RunningTrial = running or trial
        return Snapshot(
            trial.number,
            trial.config,
            tuple(known.losses),
            {name: tuple(values) for name, values in known.metrics.items()},
            state or trial.state,
            training_seed(self._run.seed, trial.number),
            trial.arm,
            trial.error,
        )

    def _warn_of(self, writer: _Writer, error: str) -> None:
        self._warn(
            f"cannot write to {writer.name} ({error}); the search continues, "
            "and missing data are written later, or when the run is resumed"
        )


@contextmanager
def tracking(
    trackers: Sequence[Tracker],
    folder: RunFolder,
    study: Study,
    task: str,
    strategy: str,
    seed: int,
    warn: Callable[[str], None],
) -> Iterator[Tracking]:
    """Log a run to trackers within the context; ``warn`` is called with a line if a write fails."""
    path = folder.path.resolve()
    run = TrackedRun(_run_id(folder) if trackers else "", path.name, path, task, strategy, seed)
    tracking = Tracking(trackers, run, study, warn)
    try:
        yield tracking
    finally:
        tracking.close()


def _run_id(folder: RunFolder) -> str:
    if not folder.tracking.exists():
        write_atomic(folder.tracking, json.dumps({"id": uuid.uuid4().hex[:12]}) + "\n")
    try:
        return str(json.loads(folder.tracking.read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, LookupError, TypeError):
        raise UserError(f"{str(folder.tracking)!r} is damaged; copy it back, or delete it to log to new runs") from None


def _trial_of(entry: AskEntry | TellEntry) -> int:
    return (entry.proposal if isinstance(entry, AskEntry) else entry.outcome.proposal).trial


class _Writer:
    """A tracker in its own thread, which writes the latest snapshots of changed trials."""

    def __init__(self, tracker: Tracker, run: TrackedRun) -> None:
        self.name = tracker.name
        self._tracker = tracker
        self._run = run
        self._changed = threading.Condition()
        self._trials: dict[int, Snapshot] = {}  # to be written
        self._best: tuple[Snapshot, float, int] | None = None  # to be written
        self._final: tuple[int, Mapping[Role, Mapping[str, float]], Role] | None = None  # to be written
        self._ending = self._interrupted = False
        self._error: str | None = None
        self._has_failed = False
        self._n_writes = 0
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def put(self, trials: Sequence[Snapshot]) -> None:
        with self._changed:
            self._trials.update((trial.number, trial) for trial in trials)
            self._changed.notify()

    def put_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        with self._changed:
            self._best = best, loss, n_trials
            self._changed.notify()

    def put_final(self, chosen: int, means: Mapping[Role, Mapping[str, float]], kept: Role) -> None:
        with self._changed:
            self._final = chosen, means, kept
            self._changed.notify()

    def end(self, *, interrupted: bool) -> None:
        with self._changed:
            self._ending, self._interrupted = True, interrupted
            self._changed.notify()

    def join(self) -> None:
        before = -1
        while self._thread.is_alive() and self._n_writes > before:
            before = self._n_writes
            self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._note_error(f"no progress for {CLOSE_SECONDS:g} s")

    def new_error(self) -> str | None:
        """The first error; reported once."""
        error, self._error = self._error, None
        return error

    def _write_all(self) -> None:
        is_open = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._trials or self._best or self._final or self._ending)
                ending = self._ending
                if ending and not self._trials and not self._best and not self._final:
                    break
            try:
                if not is_open:
                    self._tracker.open(self._run)
                    is_open = True
                self._write_next()
                self._n_writes += 1
            except Exception as error:
                self._note_error(one_line(error))
                if ending:
                    return
                with self._changed:
                    self._changed.wait_for(lambda: self._ending, timeout=RETRY_SECONDS)
        if is_open:
            try:
                self._tracker.close(interrupted=self._interrupted)
            except Exception as error:
                self._note_error(one_line(error))

    def _write_next(self) -> None:
        """Write one pending item; it stays pending if it has changed meanwhile."""
        trial = next(iter(self._trials.values()), None)
        best = self._best
        if trial is not None:
            self._tracker.write(trial)
            with self._changed:
                if self._trials[trial.number] is trial:
                    del self._trials[trial.number]
        elif best is not None:
            self._tracker.write_best(*best)
            with self._changed:
                if self._best is best:
                    self._best = None
        elif self._final is not None:
            self._tracker.write_final(*self._final)
            with self._changed:
                self._final = None

    def _note_error(self, error: str) -> None:
        if not self._has_failed:
            self._error, self._has_failed = error, True
