"""The trainings of a search: proposals become jobs, and the events of the executor become outcomes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import Blocked, UserError
from automl.study.run_folder import TrialFolders
from automl.study.run_log import RunLog
from automl.study.study import Study
from automl.task import runtime_of
from automl.tuning.executor import Executor
from automl.tuning.jobs import MAX_RETRIES, EpochDone, Event, Job, JobEnded, LaneEnded, Restarted
from automl.tuning.packs import lane_keys, together
from automl.tuning.retention import Retention
from strategies.base import Outcome, Proposal, Strategy

if TYPE_CHECKING:
    from automl.task import Task


@dataclass
class RunningTrial:
    """A proposal in training, with the results of its trial so far."""

    proposal: Proposal
    losses: list[float]
    metrics: dict[str, list[float]]
    seconds: float = 0.0
    reached: int = 0  # epochs
    stopped: bool = False

    @property
    def is_trained(self) -> bool:
        """Whether it has trained its last epoch."""
        return self.reached >= self.proposal.epochs


@dataclass
class OpenTrainings:
    """Proposals from the ask until their outcome. Those of a pack share a program."""

    task: Task
    strategy: Strategy  # asked whether to stop
    study: Study
    executor: Executor
    folders: TrialFolders
    retention: Retention
    log: RunLog
    warn: Callable[[str], object]
    seed: int
    device: str
    lanes: int  # maximum per pack
    left: Callable[[], float | None]  # seconds until the search ends; None: no limit for a job that starts now
    is_limited: Callable[[], bool]  # whether a job that starts now is killed at the time limit of a trial

    def __post_init__(self) -> None:
        self.waiting: deque[list[Proposal]] = deque()  # for a worker, grouped by program
        self.running: dict[int, RunningTrial] = {}  # by trial
        self.programs: dict[int, list[int]] = {}  # trials of each program, by its job
        self.untold: dict[int, Outcome] = {}  # of ended trainings, in the order of their ends
        self.tracebacks: dict[int, str] = {}  # of untold failures, by trial
        self.lane_key = lane_keys(self.task)
        self.begun: set[int] = set()  # trials with an unfinished attempt, whose epochs may be in the study
        self._alone: set[int] = set()  # trials whose program failed: one of them may be the cause
        self._retries: Counter[int] = Counter()  # by trial

    def shares(self, proposal: Proposal) -> bool:
        """Whether a proposal is trained as a lane of a program: a new training whose config allows it."""
        trial = self.study.trials[proposal.trial]
        may = self.lanes > 1 and not trial.losses and trial.number not in self._alone
        return may and self.lane_key(proposal.config) is not None

    def submit_waiting(self) -> None:
        """Start waiting proposals in order, as far as workers are free; a trial waits for its program to end."""
        while self.waiting and self.executor.n_free and not self._is_in_program(self.waiting[0][0].trial):
            self._submit(self.waiting.popleft())

    def _is_in_program(self, trial: int) -> bool:
        """Whether the program of a trial still runs: another job of this trial could not be distinguished from it."""
        return any(trial in trials for trials in self.programs.values())

    def _submit(self, pack: Sequence[Proposal]) -> None:
        shares = self.shares(pack[0])
        jobs = [self._job(proposal) for proposal in pack]
        if shares:
            self.programs[jobs[0].key] = [job.key for job in jobs]
        self.executor.submit(together(jobs) if shares else jobs[0])

    def _job(self, proposal: Proposal) -> Job:
        """The job for a proposal, whose training starts now."""
        trial = self.study.trials[proposal.trial]
        # The checkpoint is gone if the budget was raised after the trial was abandoned: then it starts from scratch.
        continues = self.task.resumable and trial.error is None and bool(trial.losses)
        continues = continues and self.folders.has(trial.number)
        folder = self.folders.begin(trial.number, continues=continues)
        running = RunningTrial(proposal, [], {})
        if continues:
            # A command may print one loss per step, which stands for all its epochs.
            missing = trial.proposals[-2].epochs - len(trial.losses)
            running.losses = _repeated(trial.losses, missing)
            running.metrics = {name: _repeated(values, missing) for name, values in trial.metrics.items()}
        self.running[trial.number] = running
        if trial.number in self.begun:
            self.study.restarted(trial.number, len(running.losses))
        self.begun.add(trial.number)
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
            left=self.left(),
            limited=self.is_limited(),
            runtime=runtime_of(self.task, proposal.config),
        )

    @property
    def any_is_ending(self) -> bool:
        """Whether a training was stopped or has trained its last epoch, so that its end follows."""
        return any(each.stopped or each.is_trained for each in self.running.values())

    def handle(self, event: Event) -> None:
        """Process an event of the executor."""
        if isinstance(event, EpochDone):
            self._epoch_done(event)
        elif isinstance(event, Restarted):
            self._restarted(event)
        elif isinstance(event, LaneEnded):
            self._training_ended(event.lane, event.seconds, event.error)
        elif isinstance(event, JobEnded):
            self._job_ended(event)

    def _epoch_done(self, event: EpochDone) -> None:
        trial = event.training
        running = self.running[trial]
        if running.stopped:
            return  # trained before the stop request arrived, so it does not count
        running.losses.append(event.epoch.loss)
        running.seconds += event.epoch.seconds
        for name, value in event.epoch.metrics.items():
            running.metrics.setdefault(name, []).append(value)
        n_epochs = len(running.losses)  # since the trial began: a continued command counts from 1 again
        running.reached = max(n_epochs, event.epoch.epoch)  # a function gives a single loss for all its epochs
        self.study.trained(trial, n_epochs, event.epoch.loss)
        if not running.is_trained and self.strategy.should_stop(running.proposal, tuple(running.losses)):
            running.stopped = True
            self.executor.stop(trial)

    def _restarted(self, event: Restarted) -> None:
        running = self.running[event.key]
        if running.stopped:
            return  # it ends with what it had when it was stopped
        del running.losses[event.epoch :]
        for values in running.metrics.values():
            del values[event.epoch :]
        running.reached = event.epoch
        self.study.restarted(event.key, event.epoch)
        self.log.write("restart", trial=event.key, after=event.epoch, reason=event.reason)
        self.warn(f"trial {event.key} continues after epoch {event.epoch}: {event.reason}")

    def _job_ended(self, event: JobEnded) -> None:
        if event.fatal:
            raise Blocked(event.error) if event.blocked else UserError(event.error)
        pack = self.programs.pop(event.key, None)
        if pack is not None:
            self._program_ended(event, [trial for trial in pack if trial in self.running])
            return
        running = self.running[event.key]
        if event.lost and not running.stopped and self._retries[event.key] < MAX_RETRIES:
            self._again([running.proposal], event)
            return
        if event.traceback is not None and not running.stopped:
            self.tracebacks[event.key] = event.traceback
        self._training_ended(event.key, event.seconds, event.error)

    def _program_ended(self, event: JobEnded, left: Sequence[int]) -> None:
        """Train the unfinished trials in ``left`` again: alone, or together if the program was killed."""
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
            self.warn(f"trial {trial} is trained again: {event.error}")
        self.waiting.appendleft(list(pack))

    def _training_ended(self, trial: int, seconds: float, error: str | None) -> None:
        running = self.running.pop(trial)
        self.begun.discard(trial)
        if error is None:
            seconds = running.seconds or seconds
        self.untold[trial] = Outcome(
            running.proposal,
            tuple(running.losses),
            max(running.seconds, seconds),
            None if running.stopped else error or (None if running.losses else "the training returned no loss"),
            running.stopped,
            {name: tuple(values) for name, values in running.metrics.items()},
        )


def _repeated(values: list[float], n: int) -> list[float]:
    """The values, with the last one n more times."""
    return [*values, *values[-1:] * n]


def training_seed(run_seed: int, trial: int) -> int:
    """The seed that trial number ``trial`` trains with, whichever worker runs it; 31 bits."""
    return int(np.random.SeedSequence((run_seed, trial)).generate_state(1)[0] >> 1)
