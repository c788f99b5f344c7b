"""Which checkpoints of a search are kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from automl.study.run_folder import TrialFolders
from automl.study.trial import Trial, rank

KEPT_CHECKPOINTS = 10  # of the best finished trials, during the search
KEPT_AFTER_SEARCH = 3  # of them, after an uninterrupted search
RECHECK_EVERY = 200  # abandoned trials are looked up again after n / 200 more outcomes


class Retention:
    """Keeps the checkpoints of the best finished trials, and of trials that may continue."""

    def __init__(self, folders: TrialFolders, *, keeps_all: bool) -> None:
        """``keeps_all``: files in trials' folders belong to the user."""
        self._folders, self._keeps_all = folders, keeps_all
        self._finished: list[Trial] = []  # whose checkpoints are kept
        self._removed: set[int] = set()  # paused trials whose checkpoints are not
        self._n_told = self._n_looked = 0  # outcomes, in total and at the last look

    def restored(self, trials: Iterable[Trial]) -> None:
        """Register the trials of a resumed run."""
        for trial in trials:
            if trial.state != "running":
                self._folders.commit(trial.number)  # killed between an outcome and its commit
                if trial.state != "paused":
                    self._finished.append(trial)

    def submitted(self, trial: Trial) -> None:
        """Register that a trial is trained again, so it has a checkpoint."""
        self._removed.discard(trial.number)

    def told(self, trial: Trial, best: Trial | None, abandoned: Callable[[], set[int]]) -> None:
        """Remove unneeded checkpoints after an outcome. ``abandoned``: returns paused trials that will not continue."""
        self._folders.commit(trial.number)
        if self._keeps_all:
            return
        if trial.state != "paused" and all(trial is not known for known in self._finished):  # not a second attempt
            self._finished.append(trial)
        self._n_told += 1
        if RECHECK_EVERY * (self._n_told - self._n_looked) >= self._n_told:
            self._n_looked = self._n_told
            for number in abandoned() - self._removed:
                if best is None or number != best.number:
                    self._folders.remove(number)
                    self._removed.add(number)
        self.keep_best(KEPT_CHECKPOINTS)

    def keep_best(self, n: int) -> None:
        """Remove the checkpoints of all finished trials but the best n."""
        if self._keeps_all:
            return
        self._finished.sort(key=rank)
        while len(self._finished) > n:
            self._folders.remove(self._finished.pop().number)
