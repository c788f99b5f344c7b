"""The training of one config by cross-validation: an epoch per fold, and one more for the fit to all rows.

Only networks import torch, which LightGBM should not share a process with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.folds import N_FOLDS
from automl.data.targets import Number, levels_of
from automl.errors import UserError
from automl.metrics import METRICS, best_threshold, loss_of, measure, names_of
from automl.models import own_config
from automl.models.learners.base import Learner, Rounds, Rows, mean_rounds
from automl.task import OF_THE_SEARCH, Epoch, TooSlow, TrainingFailed
from automl.training.fold_files import (
    MODEL,
    OUT_OF_BAG,
    PREDICTIONS,
    RECORD,
    check_array,
    checksum,
    places_to_fit,
    read_predictions,
    read_record,
    reading,
    write_model,
    write_training,
)
from automl.training.fold_learners import build_learner, learner_class
from automl.training.spec import FoldsTask

LATER_FOLDS = 1.5  # times the mean seconds of earlier folds


def train(
    task: FoldsTask, config: Mapping[str, Any], *, seed: int, epochs: int, folder: Path, device: str = "cpu"
) -> Iterator[Epoch]:
    """Train on the first ``epochs`` folds; one epoch more than there are folds also fits the model to all rows.

    ``folder``: written after each fold; a training that it already holds is resumed. ``device``: for networks.
    """
    training = FoldsTraining(task, config, seed, folder, device)
    while training.n_done < min(epochs, task.max_epochs):
        yield training.next_fold()
    if epochs > task.max_epochs:
        start = time.perf_counter()
        training.fit_all()
        yield Epoch(epochs, training.losses[-1], {}, time.perf_counter() - start)


class FoldsTraining:
    """The training of one config: out-of-fold predictions, and the losses, rounds and seconds of its folds."""

    def __init__(
        self, task: FoldsTask, config: Mapping[str, Any], seed: int, folder: Path, device: str = "cpu"
    ) -> None:
        self.task, self.config, self.seed, self._folder, self._device = task, dict(config), seed, folder, device
        self._family = task.family(config)
        self._own = own_config(self._family, config)
        self._splits = task.rows(self._family)
        self._folds, self._weights = task.folds(), task.weights()
        self._overlaps = task.overlaps() if task.folds_how == "time" else self._folds
        self._kind = learner_class(self._family)
        self._out_of_bag: NDArray[Any] | None = None
        self.losses: list[float] = []
        self.rounds: list[Rounds] = []
        self.seconds: list[float] = []
        self._before = 0.0  # seconds of the folds that were done before the training was resumed
        n, target = len(self._splits.y_train), self._splits.target
        shape = (n,) if isinstance(target, Number) else (n, target.n_outputs)
        self.predictions = np.full(shape, np.nan, np.float32)
        """Out of fold, (n,), (n, n_classes) or (n, n_levels); NaN for the rows of pending folds."""
        if (folder / RECORD).exists():
            self._restore()

    @property
    def n_done(self) -> int:
        """The number of folds done."""
        return len(self.losses)

    def next_fold(self) -> Epoch:
        """Predict the rows of the next fold with a model fitted to the others."""
        start, fold = time.perf_counter(), self.n_done
        held = np.flatnonzero(self._folds == fold)
        if self.task.uses_out_of_bag(self._family):
            rounds = self.rounds[-1] if self.rounds else ()
            if self._out_of_bag is None:
                learner = self._learner()
                learner.max_seconds = self._seconds_left(self._kind.share_of_seconds or 1.0)
                learner.fit(self._rows(slice(None)))
                rounds = learner.rounds
                self._out_of_bag = learner.out_of_bag().astype(np.float32)
                if self.task.keeps_models:
                    write_model(learner, self._folder / f"fold-{fold}")
            self.predictions[held] = self._out_of_bag[held]
        else:
            learner = self._fitted_without(fold)
            self.predictions[held] = learner.predict(self._rows(held).x)
            rounds = learner.rounds
            if self.task.keeps_models or self.task.is_bagged(self._family):
                write_model(learner, self._folder / f"fold-{fold}")
        if not np.isfinite(self.predictions[held]).all():
            raise TrainingFailed("predictions are not finite")
        self.rounds.append(rounds)
        metrics = self._scores()
        self.losses.append(loss_of(self.task.metric, metrics[self.task.metric]))
        self.seconds.append(time.perf_counter() - start)
        self._save()
        self._check_time()
        return Epoch(self.n_done, self.losses[-1], metrics, self.seconds[-1])

    def _fitted_without(self, fold: int, rounds: Rounds | None = None) -> Learner:
        """A model fitted to the rows of all folds but this one. ``rounds``: of the same fit before, which is repeated
        without a time limit."""
        held = self._folds == fold
        before = np.flatnonzero(self._overlaps < fold if self.task.folds_how == "time" else ~held)
        stopping = np.flatnonzero(held)
        if self._kind.keeps_best:
            # Choosing the best epoch on the fold itself would make its predictions optimistic.
            before, stopping = self._set_aside(before, fold)
        learner = self._learner(fold)
        if rounds is None:
            learner.aborts_if_late = self.task.aborts_if_late and not self.n_done
            learner.max_seconds = self._max_seconds(fold)
        try:
            learner.fit(self._rows(before), self._rows(stopping), rounds or ())
        except TooSlow as error:
            if not self._run_is_short:
                raise
            raise TooSlow(f"{error.reason}, a share {OF_THE_SEARCH}") from None
        return learner

    def _max_seconds(self, fold: int) -> float | None:
        """The time limit of a fit: an equal share of what is left. If it would give up at the limit, and with it the
        earlier folds, it gets at least LATER_FOLDS."""
        share = self._kind.share_of_seconds
        if not self.task.aborts_if_late and share is None:
            return None
        left = self._seconds_left(share or 1.0)
        if left is None:
            return None
        equal = max(0.0, left) / (self.task.max_epochs - fold)
        if share is not None or not self.seconds:
            return equal
        return max(equal, LATER_FOLDS * sum(self.seconds) / len(self.seconds))

    def _seconds_left(self, share: float) -> float | None:
        """What remains of a share of the configuration's limit, and of the time left when the training (re)started."""
        done, limits = sum(self.seconds), []
        if self.task.max_seconds is not None:
            limits.append(share * self.task.max_seconds - done)
        if (self.task.aborts_if_late or self._kind.share_of_seconds is not None) and self.task.seconds_left is not None:
            limits.append(share * self.task.seconds_left - (done - self._before))
        return min(limits, default=None)

    @property
    def _run_is_short(self) -> bool:
        """Whether less is left of the run than of the configuration's limit."""
        if self.task.seconds_left is None:
            return False
        own = math.inf if self.task.max_seconds is None else self.task.max_seconds - self._before
        return self.task.seconds_left < own

    def _set_aside(self, rows: NDArray[Any], fold: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The training rows without another fold, and that fold: the next one or, in order of time, the one before.

        Without such a fold, an eighth of the rows, drawn in the same way: the newest, whole groups, or at random.
        """
        n = self.task.max_epochs
        other = fold - 1 if self.task.folds_how == "time" else (fold + 1) % n
        aside = self._folds[rows] == other
        if not 0 < aside.sum() < len(rows) or other == fold:
            aside = self._eighth(rows)
        return rows[~aside], rows[aside]

    def _eighth(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """An eighth of the rows, which are in order of time if the folds are, (n,)."""
        n, rng = max(1, len(rows) // N_FOLDS), np.random.default_rng(self.seed)
        if self.task.folds_how == "time":
            return np.arange(len(rows)) >= len(rows) - n
        groups = self.task.groups() if self.task.folds_how == "group" else None
        if groups is None or len(np.unique(groups[rows])) < 2:
            return rng.permutation(len(rows)) < n
        names, sizes = np.unique(groups[rows], return_counts=True)
        order = rng.permutation(len(names))
        n_groups = 1 + int(np.searchsorted(sizes[order].cumsum(), n))
        return np.isin(groups[rows], names[order[: min(n_groups, len(names) - 1)]])

    def _check_time(self) -> None:
        """TooSlow after the second fold if all would take too long; the first may wait for imports."""
        most, n = self.task.max_seconds, self.task.max_epochs
        if self.task.aborts_if_late:
            left = self._seconds_left(1.0)
            most = None if left is None else sum(self.seconds) + left
        ends_by_itself = self._kind.share_of_seconds is not None and not self.task.aborts_if_late
        if most is None or ends_by_itself or self._out_of_bag is not None or self.n_done != 2:
            return
        expected = self.seconds[0] + (n - 1) * self.seconds[1]
        if expected > most:
            whose = f"left {OF_THE_SEARCH}" if self.task.aborts_if_late and self._run_is_short else "of a configuration"
            raise TooSlow(f"{n} folds would take {expected:.3g} s, longer than the {most:.3g} s {whose}")

    def fit_all(self) -> None:
        """Fit the model to all rows, for the mean rounds of the folds; if it is bagged, refit the fold models whose
        files are missing or damaged."""
        for place in places_to_fit(self._folder, self._kind, self.task.max_epochs):
            if place.name == MODEL:
                learner = self._learner()
                learner.fit(self._rows(slice(None)), rounds=mean_rounds(self.rounds, self._splits.target))
            else:
                fold = int(place.name.removeprefix("fold-"))
                learner = self._fitted_without(fold, self.rounds[fold])
            write_model(learner, place)

    def _learner(self, fold: int = 0) -> Learner:
        return build_learner(
            self._family, self._own, self._splits.inputs, self._splits.target, self.seed + fold, self._device
        )

    def _rows(self, places: Any) -> Rows:
        weights = None if self._weights is None else self._weights[places]
        return Rows(self._splits.x_train[places], np.asarray(self._splits.y_train[places]), weights)

    def _scores(self) -> dict[str, float]:
        """Over the rows predicted so far: the task's metric, the default of its kind, and those with a row loss."""
        known = ~np.isnan(self.predictions.reshape(len(self.predictions), -1)[:, 0])
        y, predicted = self._splits.y_train[known], self.predictions[known].astype(np.float64)
        weights = None if self._weights is None else self._weights[known]
        levels = levels_of(self._splits.target)
        first, *others = names_of(self._splits.target.kind)
        names = dict.fromkeys((self.task.metric, first, *(name for name in others if METRICS[name].row_loss)))
        thresholds = {name: best_threshold(name, y, predicted, weights) for name in names}
        return {name: measure(name, y, predicted, each, weights, levels) for name, each in thresholds.items()}

    def _save(self) -> None:
        arrays = {PREDICTIONS: self.predictions}
        checksums = {PREDICTIONS: checksum(self.predictions[self._rows_done])}
        if self._out_of_bag is not None:
            checksums[OUT_OF_BAG] = checksum(self._out_of_bag)
            if self.n_done < self.task.max_epochs:
                arrays[OUT_OF_BAG] = self._out_of_bag
        record = {
            "config": self.config, "seed": self.seed, "losses": self.losses, "rounds": self.rounds,
            "seconds": self.seconds, "checksums": checksums,
        }  # fmt: skip
        write_training(self._folder, arrays, record)

    @property
    def _rows_done(self) -> NDArray[np.bool_]:
        """The rows of the folds done, (n,)."""
        done: NDArray[np.bool_] = (self._folds >= 0) & (self._folds < self.n_done)
        return done

    def _restore(self) -> None:
        record = read_record(self._folder)
        if record["config"] != self.config or record["seed"] != self.seed:
            raise UserError(f"the checkpoint in {self._folder} belongs to another training; use another folder")
        self.losses, self.seconds = record["losses"], record["seconds"]
        self.rounds, self._before = [tuple(each) for each in record["rounds"]], sum(self.seconds)
        self.predictions = read_predictions(self._folder, self._rows_done)
        self.predictions[self._folds >= self.n_done] = np.nan  # if killed between writing the two files
        if (self._folder / OUT_OF_BAG).exists():
            with reading(self._folder):
                self._out_of_bag = np.load(self._folder / OUT_OF_BAG, allow_pickle=False)
                check_array(record, OUT_OF_BAG, self._out_of_bag)
