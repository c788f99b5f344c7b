"""Where the time of a command goes, and how much of its limit the search must leave for what follows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from automl.study.contenders import contenders
from automl.study.trial import TellEntry, Trial
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from automl.tuning.tuner import Tuner

STAGES = ("search", "strategy", "final", "refit", "rest")
MARGIN = 1.3  # trainings of the final run side by side and score the test set, which trials do not
RESERVED = 0.75  # maximum share of the time limit, so that the search gets some even if trainings are long
RESERVED_FOR_SEEDS = 0.5  # the same for a final with more than one seed
FILES_SECONDS = 3.0  # to write the files, plus FILES_SECONDS_A_TRIAL for each trial
FILES_SECONDS_A_TRIAL = 0.03
COLUMNS_SECONDS, COLUMNS_SHARE = 2.0, 0.03  # maximum for column importances, absolute and of the time limit
TOLERANCE = 0.1  # of the time limit


class Clock:
    """Seconds since a command began, by stage."""

    def __init__(self, start: float | None = None) -> None:
        """``start``: of the command, on the monotonic clock; by default now."""
        self._start = time.monotonic() if start is None else start
        self._stages: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._start

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Add the seconds of this context to a stage."""
        start = self.seconds
        try:
            yield
        finally:
            self._stages[stage] = self._stages.get(stage, 0.0) + self.seconds - start

    def table(self, strategy_seconds: float) -> dict[str, float]:
        """Seconds by stage, which add up to ``total``. ``strategy_seconds``: of the search, in ask and tell."""
        stages = dict.fromkeys(STAGES, 0.0) | self._stages
        stages["strategy"] = min(strategy_seconds, stages["search"])
        stages["search"] -= stages["strategy"]
        total = self.seconds
        stages["rest"] = total - sum(stages.values())
        return {stage: round(seconds, 2) for stage, seconds in (stages | {"total": total}).items()}


class TimePlan:
    """The expected time of the final, the refit and the files, estimated from the trials so far.

    The final trains each contender and the default with ``n_seeds`` seeds, each for as long as its own trial took,
    scaled to a full training; the sum is divided by the number of workers, but is at least the longest training. The
    refit takes as long as the longest of these, in a process of the final. Both are multiplied by MARGIN. A process
    takes as long to start as the search took to its first epoch, without the training: once for the final, as the
    search ends with trainings under way, and twice for building the model, which loads it and scores the test set.
    Writing the files takes FILES_SECONDS, and FILES_SECONDS_A_TRIAL for each trial. Column importances get
    COLUMNS_SECONDS, or COLUMNS_SHARE of the limit if that is less. All of this, and the time before the search, is
    reserved, but at most a share RESERVED of the limit, and for more than one seed at most RESERVED_FOR_SEEDS.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        n_seeds: int,
        refits: bool,
        keeps_model: bool,
        refit_seconds: Callable[[Tuner], float] | None = None,
        has_columns: bool = False,
    ) -> None:
        """``refit_seconds``: of the refit, if it is not a training like those of the final. ``has_columns``: whether
        column importances follow."""
        self.n_seeds = n_seeds
        self._refit_seconds = refit_seconds
        self._refits = refits
        self._keeps_model = keeps_model
        self._has_columns = has_columns
        self._clock = clock
        self._before = 0.0  # seconds of the command before the search
        self._startup: float | None = None
        self._known: tuple[int, float, float] = (-1, 0.0, 0.0)  # log entries, and the result of ``_expected`` for them

    @property
    def spent(self) -> float:
        """Seconds of the command so far."""
        return self._clock.seconds

    def begin(self) -> None:
        """Mark the beginning of the search."""
        self._before = self._clock.seconds

    def overrun(self, limit: float | None) -> str | None:
        """A line on where the time went, if the command exceeded its limit by more than TOLERANCE."""
        if limit is None or self._clock.seconds <= (1 + TOLERANCE) * limit:
            return None
        table = self._clock.table(0.0)
        is_late = self._before < limit < self._before + table["search"]
        waited = ", which waits for its first result," if is_late and not self.n_seeds else ""
        parts = {
            "starting and reading": self._before,
            f"the search{waited}": table["search"],
        }
        if self.n_seeds:
            parts |= {"the final": table["final"], "the refit": table["refit"]}
        else:
            parts["fits to all rows and their scores"] = table["refit"] + table["final"]
        parts["writing the files"] = max(0.0, table["total"] - sum(parts.values()))
        breakdown = ", ".join(
            f"{what} {seconds:.1f} s" for what, seconds in sorted(parts.items(), key=lambda part: -part[1])
        )
        return f"time limit: the run took {table['total']:.1f} s, longer than its {limit:g} s: {breakdown}"

    def reserve(self, tuner: Tuner) -> float:
        """Seconds of the time limit that the search leaves for later stages; passed to a Tuner."""
        assert tuner.time_limit is not None
        limit = tuner.time_limit
        columns = min(COLUMNS_SECONDS, COLUMNS_SHARE * limit) if self._has_columns else 0.0
        per_seed, rest = self._expected(tuner)
        least = self._before + per_seed + rest + columns
        return max(min(RESERVED * limit, least), min(RESERVED_FOR_SEEDS * limit, least + (self.n_seeds - 1) * per_seed))

    def after(self, tuner: Tuner) -> float:
        """Expected seconds after the search, at most what it leaves; 0 until a trial has ended."""
        per_seed, rest = self._expected(tuner)
        expected = self.n_seeds * per_seed + rest
        return expected if tuner.time_limit is None else min(expected, self.reserve(tuner) - self._before)

    def left_for_refit(self, tuner: Tuner, limit: float | None) -> float:
        """Seconds of the time limit for fits to all rows."""
        after = FILES_SECONDS + FILES_SECONDS_A_TRIAL * len(tuner.study.trials) + (self._startup or 0.0)
        return math.inf if limit is None else max(0.0, limit - self._clock.seconds - after)

    def seeds_within(self, tuner: Tuner, limit: float | None) -> int:
        """The number of seeds that the final has time for: at least 1, at most ``n_seeds``."""
        per_seed, rest = self._expected(tuner)
        if limit is None or per_seed <= 0:
            return self.n_seeds
        return max(1, min(self.n_seeds, int((limit - self._clock.seconds - rest) / per_seed)))

    def _expected(self, tuner: Tuner) -> tuple[float, float]:
        """Seconds of the final for each seed, and of everything else."""
        study, n = tuner.study, len(tuner.study.log)
        if n != self._known[0]:
            if self._startup is None:
                self._startup = _startup(tuner)
            self._known = (n, 0.0, 0.0)
            if study.best is not None:
                seconds = _final_seconds(tuner)
                per_seed = MARGIN * max(sum(seconds) / max(1, tuner.executor.n_workers), max(seconds))
                startup = self._startup or 0.0
                files = FILES_SECONDS + FILES_SECONDS_A_TRIAL * len(study.trials)
                starts = bool(self.n_seeds) + 2 * self._keeps_model
                refit = MARGIN * max(seconds) if self._refits else 0.0
                if self._refit_seconds is not None:
                    refit = MARGIN * self._refit_seconds(tuner)
                self._known = (n, per_seed if self.n_seeds else 0.0, files + starts * startup + refit)
        return self._known[1:]


def _startup(tuner: Tuner) -> float | None:
    """Seconds from the start of the search to the first epoch; None before the first outcome."""
    log = tuner.study.log
    before = max((entry.at for entry in log[: tuner.n_restored] if isinstance(entry, TellEntry)), default=0.0)
    tells = [entry for entry in log[tuner.n_restored :] if isinstance(entry, TellEntry)]
    return max(0.0, tells[0].at - before - tells[0].outcome.seconds) if tells else None


def _final_seconds(tuner: Tuner) -> list[float]:
    """Seconds of a full training of each contender and of the default, from their trials."""
    study, default = tuner.study, Encoding(tuner.study.space).default
    chosen = contenders(study, default)
    seconds = [_training_seconds(trial, study.max_epochs) for trial in chosen]
    if all(trial.config != default for trial in chosen):
        own = [t for t in study.trials.values() if t.config == default and t.loss is not None and t.state != "running"]
        seconds.append(_training_seconds(own[0], study.max_epochs) if own else max(seconds))
    return seconds


def _training_seconds(trial: Trial, max_epochs: int) -> float:
    return trial.seconds / max(1, trial.fidelity) * max_epochs
