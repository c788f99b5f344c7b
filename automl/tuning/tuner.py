"""The search loop: ask the strategy, train with the executor, tell and store the outcome. Only it calls both."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from automl.study.run_folder import TrialFolders
from automl.study.run_log import RunLog
from automl.study.study import Study
from automl.study.trial import AskEntry, Trial
from automl.tuning.executor import Executor
from automl.tuning.packs import first_of_pack
from automl.tuning.result import Result
from automl.tuning.resume import ask_again, pending_packs, replay
from automl.tuning.retention import Retention
from automl.tuning.stopping import StoppingRules, Within
from automl.tuning.trainings import OpenTrainings
from strategies.base import Outcome, Proposal, Strategy
from strategies.threads import one_thread

if TYPE_CHECKING:
    from automl.task import Task

Callback: TypeAlias = Callable[[Result, Trial], object]
"""Called with the result so far and the trial whose outcome has just been written to the study."""


@dataclass
class Tuner:
    """One run of the loop. Its public attributes are for observers."""

    task: Task
    strategy: Strategy
    study: Study
    executor: Executor
    n_trials: int | None  # None: as many as time allows
    seed: int
    device: str = "auto"
    lanes: int = 1  # maximum trainings of one shape that share a program
    folders: TrialFolders = field(default_factory=lambda: TrialFolders(None))
    strategy_name: str | None = None  # for the result; by default the class name
    logs: Path | None = None  # a folder for the tracebacks of failed trials
    time_limit: float | None = None
    target: float | None = None
    patience: int | None = None  # in full trainings
    sure_within: Within | None = None
    reproducible: bool = False
    n_pending: int | None = None  # maximum proposals without an outcome; None: one per worker
    reserve: Callable[[Tuner], float] | None = None  # seconds of the time limit to leave for later stages
    retries: Callable[[], None] | None = None
    """If set, a resumed run retries the trials that failed for being too slow; called once they are asked for."""
    callbacks: Sequence[Callback] = ()
    watch: Callable[[Tuner], None] | None = None  # called after each round of the loop
    log: RunLog = field(default_factory=RunLog)
    warn: Callable[[str], object] = warnings.warn  # called with a line if a training is restarted
    interrupted: bool = field(default=False, init=False)  # set to True to end the search
    stop_reason: str | None = field(default=None, init=False)  # why it has ended

    def __post_init__(self) -> None:
        self._n_workers = self.executor.n_workers  # as last logged
        self._outstanding: dict[int, int] = {}  # trials asked and not told, in order of asks -> first of the pack
        self.retention = Retention(self.folders, keeps_all=getattr(self.task, "keeps_files", False))
        self.trainings = OpenTrainings(
            self.task, self.strategy, self.study, self.executor, self.folders, self.retention, self.log, self.warn,
            seed=self.seed, device=self.device, lanes=self.lanes,
            left=lambda: self._left, is_limited=lambda: not (self._is_late and self._needs_one),
        )  # fmt: skip
        self.waiting, self.running = self.trainings.waiting, self.trainings.running
        self._rules = StoppingRules(self.study, self.task, self.target, self.patience, self.sure_within)
        self._origin = self.executor.now() - self.study.clock
        self.n_restored = len(self.study.log)  # log entries of a resumed run

    @property
    def seconds(self) -> float:
        """The run's clock: seconds of running, without the time between a kill and a resume."""
        return self.executor.now() - self._origin

    @property
    def budget_epochs(self) -> int | None:
        """The budget in epochs; None: only time is limited."""
        return None if self.n_trials is None else self.n_trials * self.task.max_epochs

    @property
    def search_limit(self) -> float | None:
        """Seconds on the run's clock at which the search ends."""
        if self.time_limit is None:
            return None
        return self.time_limit - (0.0 if self.reserve is None else self.reserve(self))

    @property
    def _spent(self) -> bool:
        return self.budget_epochs is not None and self.study.committed_epochs >= self.budget_epochs

    def run(self) -> Result:
        """Run until the search ends. Trainings still running are dropped, and repeated when the run is resumed."""
        self._restore()
        self.log.write(
            "begin", strategy=self.strategy_name, seed=self.seed, n_workers=self.executor.n_workers,
            restored=self.n_restored,
        )  # fmt: skip
        try:
            reason = self._loop()
        except KeyboardInterrupt:
            if self.interrupted:  # a second interrupt ends more than the search
                self._end()
                raise
            self.interrupted, reason = True, "interrupted"
        self._end()
        self.log.write("end", reason=reason)
        self.stop_reason = reason
        return self.result(reason)

    def _end(self) -> None:
        self.running.clear()
        self.executor.cancel()
        self.study.close()

    def result(self, reason: str = "running") -> Result:
        """The result so far. ``reason``: why the search has ended."""
        name, task = self.strategy_name or type(self.strategy).__name__, self.task
        return Result(self.study, reason, self.seconds, task.name, name, task.metric, task.maximize, self.seed)

    def _loop(self) -> str:
        while True:
            self._fill()
            reason = self._stop_reason()
            if reason is not None and self._is_late and self.trainings.any_is_ending:
                self._handle_events(1.0)
            # Trainings that have ended count, even if the time limit has passed.
            outcome = self._next_outcome() if reason is None or self._is_late else None
            if outcome is not None:
                self._tell(outcome)
            elif reason is not None:
                return reason
            else:
                limit = self.search_limit
                left = 1.0 if limit is None else limit - self.seconds
                self._handle_events(min(1.0, left) if left > 0 else 1.0)
                self._note_workers()
                self.study.flush()
            if self.watch is not None:
                self.watch(self)

    def _handle_events(self, seconds: float) -> None:
        """Wait for events, at most this many seconds, and process them."""
        for event in self.executor.wait(seconds):
            self.trainings.handle(event)

    def _restore(self) -> None:
        replay(self.study, self.strategy, self.executor.n_workers)
        with one_thread():
            self._rules.update(self.strategy)
        self.retention.restored(self.study.trials.values())
        packs = pending_packs(self.study, self.trainings.shares)
        self.waiting.extend(packs.values())
        self._outstanding |= {p.trial: first for first, pack in packs.items() for p in pack}
        self.trainings.begun.update(self._outstanding)
        if packs and isinstance(self.study.log[-1], AskEntry):  # killed while it asked for this pack
            self._fill_up(self.waiting[-1])
        if self.retries is not None:
            for proposal in ask_again(self.study, self.strategy):
                self.waiting.append([proposal])
                self._outstanding[proposal.trial] = proposal.trial
            self.retries()

    def _fill(self) -> None:
        """Keep every worker busy, with at most one untold pack per worker or ``n_pending`` in total."""
        self.trainings.submit_waiting()
        while self._has_room() and not self._spent and self._stopped_early() is None:
            first = self._ask(self.strategy.ask)
            if first is None:
                return
            pack = [first]
            self._fill_up(pack)
            self.waiting.append(pack)
            self.trainings.submit_waiting()

    def _has_room(self) -> bool:
        n_packs = len(set(self._outstanding.values()))
        if self.n_pending is not None:
            return n_packs < self.n_pending
        return n_packs < self.executor.n_workers and self.executor.n_free > 0

    def _fill_up(self, pack: list[Proposal]) -> None:
        """Ask for more proposals like the first of a pack; each is in the study before the next is asked for."""
        first = pack[0]
        while len(pack) < self._most_lanes(pack) and self.trainings.shares(first) and not self._spent:
            proposal = self._ask(lambda: self.strategy.ask_alike(first, self.trainings.lane_key))
            if proposal is None:
                return
            pack.append(proposal)

    def _most_lanes(self, pack: Sequence[Proposal]) -> int:
        """The maximum size of a pack: towards the end of the budget, each worker should get one."""
        if self.budget_epochs is None:
            return self.lanes
        left = self.budget_epochs - self.study.committed_epochs + sum(proposal.epochs for proposal in pack)
        others = len(set(self._outstanding.values()) - {first_of_pack(pack[0])})
        return min(self.lanes, math.ceil(left / self.task.max_epochs / max(1, self.executor.n_workers - others)))

    def _ask(self, ask: Callable[[], Proposal | None]) -> Proposal | None:
        start = time.perf_counter()
        with one_thread():
            proposal = ask()
        if proposal is not None:
            seconds = time.perf_counter() - start
            self._charge(seconds)
            self.study.asked(proposal, seconds)
            self.log.write("ask", trial=proposal.trial, epochs=proposal.epochs, seconds=round(seconds, 4))
            self._outstanding[proposal.trial] = first_of_pack(proposal)
        return proposal

    def _note_workers(self) -> None:
        before, self._n_workers = self._n_workers, self.executor.n_workers
        if self._n_workers != before:
            self.log.write("workers", n=self._n_workers)
            if self._n_workers == 0:
                self.warn("no workers are left; the run continues when one joins")

    def _next_outcome(self) -> Outcome | None:
        untold = self.trainings.untold
        if not untold:
            return None
        # The next pack is asked for once a fully told one has left its worker, before anything else is told.
        programs = self.trainings.programs.values()
        if self.reproducible and any(self._outstanding.keys().isdisjoint(trials) for trials in programs):
            return None
        trial = next(iter(self._outstanding if self.reproducible else untold))
        return untold.pop(trial, None)

    def _tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        start = time.perf_counter()
        with one_thread():
            self.strategy.tell(outcome)
            self._rules.update(self.strategy)
        seconds = time.perf_counter() - start
        traceback = self.trainings.tracebacks.pop(trial, None)
        self.study.told(outcome, seconds, self.seconds, traceback)
        if traceback is not None and self.logs is not None:
            with suppress(OSError):  # such as a full disk: the study has it too
                self.logs.mkdir(parents=True, exist_ok=True)
                (self.logs / f"trial-{trial:04d}.log").write_text(traceback, encoding="utf-8")
        best = self.study.best
        self.log.write(
            "tell", trial=trial, state=self.study.trials[trial].state, epochs=len(outcome.losses), loss=outcome.loss,
            training_seconds=round(outcome.seconds, 3), seconds=round(seconds, 4), error=outcome.error,
            best=None if best is None else best.loss,
        )  # fmt: skip
        self._charge(seconds)
        del self._outstanding[trial]
        self.retention.told(self.study.trials[trial], self.study.best, self.strategy.abandoned)
        try:
            for callback in self.callbacks:
                callback(self.result(), self.study.trials[trial])
        except Exception:
            self._end()
            raise

    def _charge(self, seconds: float) -> None:
        self.executor.charge(seconds)
        self.strategy.charge(seconds, self.executor.n_workers)

    def _stopped_early(self) -> str | None:
        if self.interrupted:
            return "interrupted"
        if self._is_late and not self._needs_one:
            return f"time limit of {self.time_limit:g} s"
        return self._rules.reason

    def _stop_reason(self) -> str | None:
        early = self._stopped_early()
        if early is not None:
            return early
        # A program whose trials are all told may still occupy a worker.
        if self._outstanding or self.trainings.programs:
            return None
        if self._spent:
            return "budget spent"
        if self.strategy.exhausted:
            return "every config of the space was tried"
        if not self.executor.n_workers:
            return None
        raise RuntimeError(f"{type(self.strategy).__name__} proposes nothing, waits for nothing and is not exhausted")

    @property
    def _is_late(self) -> bool:
        limit = self.search_limit
        return limit is not None and self.seconds >= limit

    @property
    def _left(self) -> float | None:
        """Seconds until the search ends; None: no limit."""
        limit = self.search_limit
        return None if limit is None or (self._is_late and self._needs_one) else max(0.0, limit - self.seconds)

    @property
    def _needs_one(self) -> bool:
        return getattr(self.task, "leaves_one", False) and not self.study.counts["complete"]
