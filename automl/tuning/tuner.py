"""The loop: the strategy proposes, an executor trains, the outcome is told and kept. The only caller of both sides."""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from automl.errors import UserError
from automl.study.run_folder import TrialFolders
from automl.study.run_log import RunLog
from automl.study.study import Study
from automl.study.trial import Asked, Trial
from automl.task import TOO_SLOW, runtime_of
from automl.tuning.executor import Executor
from automl.tuning.packs import lane_keys, together
from automl.tuning.result import Result
from automl.tuning.retention import Retention
from automl.tuning.stopping import Within, sure
from automl.tuning.worker import MAX_RETRIES, EpochDone, Job, JobEnded, LaneEnded, Restarted
from strategies.base import Outcome, Proposal, Strategy
from strategies.threads import one_thread

if TYPE_CHECKING:
    from automl.task import Task

Callback: TypeAlias = Callable[[Result, Trial], object]
"""Called with the result so far and the trial whose outcome has just been written to the study."""

GIVE_UP_AFTER = 10  # failures, if nothing else has happened since the start


@dataclass
class Running:
    """A proposal in training, with what its trial has shown so far."""

    proposal: Proposal
    losses: list[float]
    metrics: dict[str, list[float]]
    seconds: float = 0.0
    stopped: bool = False


@dataclass
class Tuner:
    """One run of the loop. Its public attributes are there for those who watch."""

    task: Task
    strategy: Strategy
    study: Study
    executor: Executor
    n_trials: int | None  # None: as many as there is time for
    seed: int
    device: str = "auto"
    lanes: int = 1  # trainings of one shape that share a program; 1: none does
    folders: TrialFolders = field(default_factory=lambda: TrialFolders(None))
    strategy_name: str | None = None  # for the result; by default that of its class
    logs: Path | None = None  # a folder for the tracebacks of failed trials
    time_limit: float | None = None
    target: float | None = None
    patience: int | None = None  # in trials
    sure_within: Within | None = None
    reproducible: bool = False
    n_pending: int | None = None  # proposals without an outcome, at most; None: as many as there are workers
    reserve: Callable[[Tuner], float] | None = None  # seconds of the time limit to leave for what follows the search
    tries_again: bool = False  # of a continued run: trials that failed as they were too slow
    callbacks: Sequence[Callback] = ()
    watch: Callable[[Tuner], None] | None = None  # called after each round of the loop
    log: RunLog = field(default_factory=RunLog)
    warn: Callable[[str], object] = warnings.warn  # called with one line where a training has to go back
    running: dict[int, Running] = field(default_factory=dict, init=False)  # by trial
    interrupted: bool = field(default=False, init=False)  # set it to have the search end

    def __post_init__(self) -> None:
        self.waiting: deque[list[Proposal]] = deque()  # for a worker, those of a program together
        self._n_workers = self.executor.n_workers  # when it was last noted
        self._outstanding: dict[int, int] = {}  # trials asked and not told, in the order of the asks: to a pack's first
        self._packs: dict[int, list[int]] = {}  # the trials in a program, by its job
        self._alone: set[int] = set()  # trials whose program broke: one of them may be the cause
        self._lane_key = lane_keys(self.task)
        self._untold: dict[int, Outcome] = {}
        self._tracebacks: dict[int, str] = {}  # of the untold
        self._retries: Counter[int] = Counter()  # by trial
        self.retention = Retention(self.folders, keeps_all=getattr(self.task, "keeps_files", False))
        self._sure: str | None = None  # why there is nothing more to gain
        self._origin = self.executor.now() - self.study.clock
        self.n_restored = len(self.study.log)  # entries of the log, of a run that is continued

    @property
    def seconds(self) -> float:
        """The run's clock: seconds of running, without those between a kill and a resume."""
        return self.executor.now() - self._origin

    @property
    def budget_epochs(self) -> int | None:
        """What may be trained in total; None: whatever there is time for."""
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
        """Go on until a stop. What is in training then is dropped, and comes again when the run is resumed."""
        self._restore()
        self.log.write(
            "begin", strategy=self.strategy_name, seed=self.seed, n_workers=self.executor.n_workers,
            restored=self.n_restored,
        )  # fmt: skip
        try:
            reason = self._loop()
        except KeyboardInterrupt:
            self.interrupted, reason = True, "interrupted"
        self._end()
        self.log.write("end", reason=reason)
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
            if reason is not None:
                return reason
            outcome = self._next_outcome()
            if outcome is not None:
                self._tell(outcome)
            else:
                limit = self.search_limit
                left = 1.0 if limit is None else limit - self.seconds
                for event in self.executor.wait(min(1.0, left) if left > 0 else 1.0):
                    if isinstance(event, EpochDone):
                        self._epoch_done(event)
                    elif isinstance(event, Restarted):
                        self._restarted(event)
                    elif isinstance(event, LaneEnded):
                        self._training_ended(event.lane, event.seconds, event.error)
                    elif isinstance(event, JobEnded):
                        self._job_ended(event)
                self._note_workers()
                self.study.flush()
            if self.watch is not None:
                self.watch(self)

    def _restore(self) -> None:
        for entry in self.study.log:
            if isinstance(entry, Asked):
                self.strategy.restore(entry.proposal)
            else:
                self.strategy.tell(entry.outcome)
            self.strategy.charge(entry.seconds, self.executor.n_workers)
        with one_thread():
            self._sure = self._is_sure()
        self.retention.restored(self.study.trials.values())
        packs: dict[int, list[Proposal]] = {}
        for proposal in self.study.pending:
            first = self._pack_of(proposal) if self._shares(proposal) else proposal.trial
            packs.setdefault(first, []).append(proposal)
        self.waiting.extend(packs.values())
        self._outstanding |= {p.trial: first for first, pack in packs.items() for p in pack}
        if packs and isinstance(self.study.log[-1], Asked):  # killed while it asked for this pack
            self._fill_up(self.waiting[-1])
        if self.tries_again:
            for proposal in self._asked_again():
                self.waiting.append([proposal])
                self._outstanding[proposal.trial] = proposal.trial

    def _asked_again(self) -> Iterator[Proposal]:
        """The last proposals of trials that failed as they were too slow, each asked once more."""
        for trial in list(self.study.trials.values()):
            if trial.state == "failed" and (trial.error or "").startswith(TOO_SLOW):
                proposal = trial.proposals[-1]
                self.strategy.restore(proposal)
                self.study.asked(proposal, 0.0)
                yield proposal

    def _fill(self) -> None:
        """Keep every worker busy. At most as many packs are untold as there are workers, whichever is faster."""
        self._submit_waiting()
        while self._has_room() and not self._spent and self._stopped_early() is None:
            first = self._ask(self.strategy.ask)
            if first is None:
                return
            pack = [first]
            self._fill_up(pack)
            self.waiting.append(pack)
            self._submit_waiting()

    def _has_room(self) -> bool:
        n_packs = len(set(self._outstanding.values()))
        if self.n_pending is not None:
            return n_packs < self.n_pending
        return n_packs < self.executor.n_workers and self.executor.n_free > 0

    def _submit_waiting(self) -> None:
        while self.waiting and self.executor.n_free:
            self._submit(self.waiting.popleft())

    def _fill_up(self, pack: list[Proposal]) -> None:
        """Ask for more proposals like the first of a pack, each of which is in the study before the next is made."""
        first = pack[0]
        while len(pack) < self._most_lanes(pack) and self._shares(first) and not self._spent:
            proposal = self._ask(lambda: self.strategy.ask_alike(first, self._lane_key))
            if proposal is None:
                return
            pack.append(proposal)

    def _most_lanes(self, pack: Sequence[Proposal]) -> int:
        """How large a pack may become: towards the end of the budget, each worker shall have one."""
        if self.budget_epochs is None:
            return self.lanes
        left = self.budget_epochs - self.study.committed_epochs + sum(proposal.epochs for proposal in pack)
        others = len(set(self._outstanding.values()) - {self._pack_of(pack[0])})
        return min(self.lanes, math.ceil(left / self.task.max_epochs / max(1, self.executor.n_workers - others)))

    def _shares(self, proposal: Proposal) -> bool:
        """Whether it is trained in a program with others: a new training that is of the kind."""
        trial = self.study.trials[proposal.trial]
        may = self.lanes > 1 and not trial.losses and trial.number not in self._alone
        return may and self._lane_key(proposal.config) is not None

    def _pack_of(self, proposal: Proposal) -> int:
        """The first trial of its pack."""
        return proposal.trial if proposal.alike is None else proposal.alike

    def _ask(self, ask: Callable[[], Proposal | None]) -> Proposal | None:
        start = time.perf_counter()
        with one_thread():
            proposal = ask()
        if proposal is not None:
            seconds = time.perf_counter() - start
            self._charge(seconds)
            self.study.asked(proposal, seconds)
            self.log.write("ask", trial=proposal.trial, epochs=proposal.epochs, seconds=round(seconds, 4))
            self._outstanding[proposal.trial] = self._pack_of(proposal)
        return proposal

    def _submit(self, pack: Sequence[Proposal]) -> None:
        shares = self._shares(pack[0])
        jobs = [self._job(proposal) for proposal in pack]
        if shares:
            self._packs[jobs[0].key] = [job.key for job in jobs]
        self.executor.submit(together(jobs) if shares else jobs[0])

    def _job(self, proposal: Proposal) -> Job:
        """The training of a proposal, which begins."""
        trial = self.study.trials[proposal.trial]
        # Its checkpoint is gone where it was abandoned, and the budget was raised after that: then all over again.
        continues = self.task.resumable and trial.error is None and bool(trial.losses)
        continues = continues and self.folders.has(trial.number)
        folder = self.folders.begin(trial.number, continues=continues)
        running = Running(proposal, [], {})
        if continues:
            running.losses.extend(trial.losses)
            running.metrics.update({name: list(values) for name, values in trial.metrics.items()})
        self.running[trial.number] = running
        self.log.write("start", trial=trial.number, after=len(running.losses), epochs=proposal.epochs)
        self.retention.submitted(trial)
        return Job(
            key=trial.number,
            config=proposal.config,
            seed=training_seed(self.seed, trial.number),
            epochs=proposal.epochs,
            schedule=proposal.schedule,
            folder=None if folder is None else str(folder),
            device=self.device,
            trained=len(running.losses),
            limited=not (self._is_late and self._needs_one),
            runtime=runtime_of(self.task, proposal.config),
        )

    def _epoch_done(self, event: EpochDone) -> None:
        trial = event.training
        running = self.running[trial]
        if running.stopped:
            return  # trained before the request to stop arrived: as if it had not been
        running.losses.append(event.epoch.loss)
        running.seconds += event.epoch.seconds
        for name, value in event.epoch.metrics.items():
            running.metrics.setdefault(name, []).append(value)
        n_epochs = len(running.losses)  # since the trial began: a continued command counts from 1 again
        self.study.trained(trial, n_epochs, event.epoch.loss)
        if n_epochs < running.proposal.epochs and self.strategy.should_stop(running.proposal, tuple(running.losses)):
            running.stopped = True
            self.executor.stop(trial)

    def _restarted(self, event: Restarted) -> None:
        running = self.running[event.key]
        del running.losses[event.epoch :]
        for values in running.metrics.values():
            del values[event.epoch :]
        self.log.write("restart", trial=event.key, after=event.epoch, reason=event.reason)
        self.warn(f"trial {event.key} goes on after epoch {event.epoch}: {event.reason}")

    def _job_ended(self, event: JobEnded) -> None:
        if event.fatal:
            raise UserError(event.error)
        pack = self._packs.pop(event.key, None)
        if pack is not None:
            self._program_ended(event, [trial for trial in pack if trial in self.running])
            return
        running = self.running[event.key]
        if event.lost and not running.stopped and self._retries[event.key] < MAX_RETRIES:
            self._again([running.proposal], event)
            return
        if event.traceback is not None and not running.stopped:
            self._tracebacks[event.key] = event.traceback
        self._training_ended(event.key, event.seconds, event.error)

    def _program_ended(self, event: JobEnded, left: Sequence[int]) -> None:
        """Those ``left``, whose trainings did not end, are trained alone, or together if the program was killed."""
        for trial in [trial for trial in left if self.running[trial].stopped]:
            self._training_ended(trial, 0.0, None)
        proposals = [self.running[trial].proposal for trial in left if trial in self.running]
        if not proposals:
            return
        if event.lost and self._retries[proposals[0].trial] < MAX_RETRIES:
            self._again(proposals, event)
            return
        self.log.write("apart", trials=left, reason=event.error)
        self._alone.update(left)
        self.waiting.extendleft([proposal] for proposal in reversed(proposals))

    def _again(self, pack: Sequence[Proposal], event: JobEnded) -> None:
        for proposal in pack:
            trial = proposal.trial
            self._retries[trial] += 1
            self.log.write("retry", trial=trial, attempt=self._retries[trial] + 1, reason=event.error)
            self.warn(f"trial {trial} is trained again from where it began: {event.error}")
        self.waiting.appendleft(list(pack))

    def _training_ended(self, trial: int, seconds: float, error: str | None) -> None:
        running = self.running.pop(trial)
        self._untold[trial] = Outcome(
            running.proposal,
            tuple(running.losses),
            running.seconds or seconds,
            None if running.stopped else error or (None if running.losses else "the training gave no loss"),
            running.stopped,
            {name: tuple(values) for name, values in running.metrics.items()},
        )

    def _note_workers(self) -> None:
        before, self._n_workers = self._n_workers, self.executor.n_workers
        if self._n_workers != before:
            self.log.write("workers", n=self._n_workers)
            if self._n_workers == 0:
                self.warn("no worker is left; the run goes on when one joins")

    def _next_outcome(self) -> Outcome | None:
        if not self._untold:
            return None
        # The next pack is asked for once a told one has left its worker, before anything else is told.
        if self.reproducible and any(self._outstanding.keys().isdisjoint(pack) for pack in self._packs.values()):
            return None
        trial = next(iter(self._outstanding if self.reproducible else self._untold))
        return self._untold.pop(trial, None)

    def _tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        start = time.perf_counter()
        with one_thread():
            self.strategy.tell(outcome)
            self._sure = self._is_sure()
        seconds = time.perf_counter() - start
        traceback = self._tracebacks.pop(trial, None)
        if traceback is not None and self.logs is not None:
            self.logs.mkdir(parents=True, exist_ok=True)
            (self.logs / f"trial-{trial:04d}.log").write_text(traceback, encoding="utf-8")
        self.study.told(outcome, seconds, self.seconds, traceback)
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
        if self._target_reached():
            return f"target of {self.target:g} reached"
        if self._gave_up():
            return f"the first {GIVE_UP_AFTER} trials all failed"
        if self._out_of_patience():
            return f"no better trial within the epochs of {self.patience} full training{'s' * (self.patience != 1)}"
        return self._sure

    def _stop_reason(self) -> str | None:
        early = self._stopped_early()
        if early is not None:
            return early
        if self._outstanding or self._packs:  # a program that ends may be all that keeps a worker from the next one
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
    def _needs_one(self) -> bool:
        return getattr(self.task, "leaves_one", False) and not self.study.counts["complete"]

    def _target_reached(self) -> bool:
        best = self.study.best
        if self.target is None or best is None:
            return False
        value = best.mean(self.task.metric)
        assert value is not None
        return value >= self.target if self.task.maximize else value <= self.target

    def _gave_up(self) -> bool:
        failed = self.study.counts["failed"]
        return failed >= GIVE_UP_AFTER and failed + self.study.counts["running"] == len(self.study.trials)

    def _out_of_patience(self) -> bool:
        if self.patience is None or self.study.best is None:
            return False
        return self.study.epochs_since_best >= self.patience * self.task.max_epochs

    def _is_sure(self) -> str | None:
        return None if self.sure_within is None else sure(self.strategy.regret_bound(), self.sure_within)


def training_seed(run_seed: int, trial: int) -> int:
    """The seed that trial number ``trial`` trains with, whichever worker runs it; 31 bits."""
    return int(np.random.SeedSequence((run_seed, trial)).generate_state(1)[0] >> 1)
