"""Cross-validation of the user's data: an epoch is a fold, and losses are those of the out-of-fold predictions."""

from __future__ import annotations

import functools
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.analysis.formatting import scored_on
from automl.data.datasets.registry import forget_splits, load_data
from automl.data.inputs import Array, Columns, Inputs, Texts
from automl.data.memory_map import read_array
from automl.data.splits import Splits, train_read
from automl.data.targets import Target, levels_of
from automl.metrics import METRICS, measure
from automl.task import Epoch
from automl.tasks import field_plans
from automl.tasks.families import chosen_families, families_of, space_of
from automl.tasks.time_limit import (
    CHEAPEST,
    MIN_TIME_LIMIT,
    OVERHEAD_SECONDS,
    SHORT_RUN_SECONDS,
    STARTUP_SECONDS,
    has_no_time,
    min_seconds,
    seconds_of_a_trial,
)
from automl.tasks.user_data import check_is_defined, copy_encoder
from strategies.fidelity import Fidelity

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from automl.data.ingest.encoder import Views


@dataclass(frozen=True)
class CrossValidated:
    """Prepared data in a folder: the training and validation sets form the folds, the test set is held out."""

    name: str
    data: str  # the folder
    space: ConfigurationSpace
    max_epochs: int  # the number of folds; 1: the validation set is the only one
    metric: str
    folds_how: str  # random, group, duplicates or time; empty if there is only the validation set
    views: Views  # subfolders of the data
    max_seconds: float | None = None  # limit for all folds of a configuration; slower ones fail
    leaves_one: bool = True  # the time limit waits for the first configuration, so that there is a model
    epochs_are: str = "folds"
    keeps_files: bool = True  # the ensemble may use the predictions of every trial
    resumable: bool = True
    train_size: None = None
    kind: str = "table"  # of the data
    seconds_left: float | None = None  # of the search, when a training begins or resumes
    aborts_if_late: bool = False  # whether a training that cannot end in time is aborted

    @property
    def maximize(self) -> bool:
        return METRICS[self.metric].best is not None

    def data_of(self, family: str) -> str:
        """The folder of the arrays that a family reads; for an empty name, of the usual ones."""
        return str(Path(self.data) / self.views.of(family))

    def family(self, config: Mapping[str, Any]) -> str:
        """The model family of a config."""
        return str(config["model"])

    def runtime(self, config: Mapping[str, Any]) -> str:
        """Trainings of different runtimes never share a process."""
        from automl.training.fold_learners import learner_class

        return learner_class(self.family(config)).runtime

    @property
    def runtimes(self) -> set[str]:
        """The runtimes of the families in the space."""
        from automl.training.fold_learners import learner_class

        return {learner_class(family).runtime for family in families_of(self.space)}

    @property
    def keeps_models(self) -> bool:
        """Whether the model scored on the validation set is kept, in case there is no time to fit one to all rows."""
        return self.max_epochs == 1 and self.kind in field_plans.FAMILIES

    def within(self, seconds: float | None) -> CrossValidated:
        """The task with ``seconds`` left for a training; None: no limit. A training that cannot end in time is aborted
        early, if the space has a family that never is."""
        if seconds is None:
            return replace(self, max_seconds=None)
        aborts_if_late = bool(field_plans.NEVER_SLOW & {*families_of(self.space)})
        return replace(self, seconds_left=seconds, aborts_if_late=aborts_if_late)

    def reads(self, family: str) -> tuple[Inputs, Target]:
        """The description of a family's rows, and the target; does not read texts."""
        splits = load_data(self.data_of(family), None, True)
        if not isinstance(splits.inputs, Texts):
            splits = self.rows(family)
        return splits.inputs, splits.target

    def rows(self, family: str) -> Splits:
        """The examples as a family reads them; the training set includes the validation set."""
        from automl.training.fold_learners import learner_class

        return _rows(self.data_of(family), learner_class(family).read)

    def folds(self) -> NDArray[np.int8]:
        """The fold of each row of the training set, then of the validation set."""
        from automl.data.ingest.folds import TRAIN_ONLY, merged
        from automl.data.ingest.prepare import FOLDS

        if self.max_epochs > 1:
            return merged(read_array(Path(self.data) / FOLDS), self.max_epochs)
        splits = load_data(self.data_of(""), None)
        folds = np.full(len(splits.y_train) + len(splits.y_valid), TRAIN_ONLY, np.int8)
        folds[len(splits.y_train) :] = 0
        return folds

    def overlaps(self) -> NDArray[np.int8]:
        """For each row, as in ``folds``, the newest fold with predictions from before the row's label is known: its own
        fold, unless forecasts are several steps ahead."""
        from automl.data.ingest.folds import merged
        from automl.data.ingest.prepare import OVERLAPS

        file = Path(self.data) / OVERLAPS
        if self.max_epochs == 1 or not file.exists():
            return self.folds()
        return merged(read_array(file), self.max_epochs)

    def groups(self) -> NDArray[np.uint64] | None:
        """The hash of each row's group, as in ``folds``; None if there are no groups."""
        from automl.data.ingest.prepare import groups_of

        return groups_of(Path(self.data), "train", "valid")

    def weights(self, *parts: str) -> NDArray[np.float32] | None:
        """Row weights of the given sets, by default the training set, then the validation set.

        They have mean 1, since regularisation depends on their scale.
        """
        from automl.data.ingest.prepare import weights_of

        found = weights_of(Path(self.data), *(parts or ("train", "valid")))
        return None if found is None else (found / found.mean(dtype=np.float64)).astype(np.float32)

    def uses_out_of_bag(self, family: str) -> bool:
        """Whether out-of-bag predictions of one model replace the folds.

        Not if rows have weights: nearly every bootstrap sample has a heavy row.
        """
        from automl.data.ingest.prepare import WEIGHTS
        from automl.training.fold_learners import learner_class

        is_weighted = (Path(self.data) / WEIGHTS.format("train")).exists()
        return self.folds_how == "random" and learner_class(family).has_out_of_bag and not is_weighted

    def is_bagged(self, family: str) -> bool:
        """Whether the fold models are averaged instead of fitting one to all rows.

        Not if folds are in time order: the first models have then seen only old rows, and none has seen the newest.
        """
        from automl.training.fold_learners import learner_class

        return self.max_epochs > 1 and self.folds_how != "time" and learner_class(family).is_bagged

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        """The first folds are informative about all of them; out-of-bag predictions need no folds."""
        return Fidelity("whole" if self.uses_out_of_bag(self.family(config)) else "resume")

    def check_metric(self) -> None:
        """UserError if the metric is undefined on the first fold, with which scores begin, or on the test set."""
        if METRICS[self.metric].is_relative:
            splits = load_data(self.data_of(""), None, True)
            first = "first fold" if self.max_epochs > 1 else "validation set"
            check_is_defined(self.metric, {first: splits.y_train[self.folds() == 0], "test set": splits.y_test})

    def prepare(self) -> None:
        """Load what the first training would have to load."""
        import automl.training.folds  # noqa: F401

        load_data(self.data_of(""), None, True)

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        from automl.models import NETWORKS
        from automl.training.folds import train

        if self.family(config) in NETWORKS:  # so that the first fold is not timed with a card's libraries
            from automl.models.device import find_device
            from automl.training.device import warm_up

            warm_up(find_device(device))
        if checkpoint is None:
            with tempfile.TemporaryDirectory() as folder:
                yield from train(self, config, seed=seed, epochs=epochs, folder=Path(folder), device=device)
        else:
            checkpoint.mkdir(parents=True, exist_ok=True)
            yield from train(self, config, seed=seed, epochs=epochs, folder=checkpoint, device=device)

    def export_rest(self, out: Path) -> None:
        """Write what a model of this task needs besides its own files."""
        copy_encoder(self.data, out)

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        """No scores: the ensemble is tested, not its members."""
        return {}

    def baseline(self) -> dict[str, Any]:
        """The score of a prediction without a model: on the test set or, without one, on the rows in a fold."""
        from automl.tasks.baselines.constant import constant_baseline, score_without_model

        start = time.perf_counter()
        splits = load_data(self.data_of(""), None, True)
        if len(splits.y_test):
            found = score_without_model(splits, Path(self.data), self.metric, "train", "valid")
        else:
            known, counts = self.folds() >= 0, self.weights()
            y, levels = np.asarray(splits.y_train)[known], levels_of(splits.target)
            name, predicted = constant_baseline(splits, self.metric, len(y), counts)
            score = measure(self.metric, y, predicted, weights=None if counts is None else counts[known], levels=levels)
            found = {"name": name, "score": score, "split": scored_on(self.max_epochs)}
        return found | {"seconds": time.perf_counter() - start}


@functools.cache
def _rows(data: str, read: Callable[[Array], Any]) -> Splits:
    return train_read(load_data(data, None, True), read)


def forget_data() -> None:
    """Free the data that this process has loaded."""
    _rows.cache_clear()
    forget_splits()


def cross_validated(
    folder: Path,
    n_folds: int,
    model: str | None,
    metric: str | None,
    time_limit: float | None = None,
    n_workers: int | None = None,
) -> CrossValidated:
    """The task on the prepared data in a folder. UserError for families that do not suit them.

    ``time_limit``: of the run, in seconds; a configuration gets at most a share of it.
    """
    from automl.data.ingest.prepare import Facts
    from automl.models.learners.long_tail import is_long_tailed
    from automl.space.parse import load_space

    facts = Facts.read(folder)
    families, is_field = chosen_families(facts, model), facts.kind in field_plans.FAMILIES
    seconds = (time_limit or math.inf) * (n_workers or 1)
    cheaper = is_field and time_limit is not None and has_no_time(facts, folder, time_limit, n_workers or 1, model)
    if is_field and (model is None or model == "auto"):
        families = field_plans.families(facts.kind, facts.n_train, seconds)
    if cheaper or (time_limit is not None and time_limit < SHORT_RUN_SECONDS):
        families = tuple(sorted(families, key=lambda family: family != CHEAPEST))
    if is_field:
        of_training = seconds
        if time_limit is not None:
            of_training = field_plans.seconds_for_networks(max(0.0, time_limit - OVERHEAD_SECONDS), n_workers or 1)
        arrays = {family: load_data(str(folder / facts.views.of(family)), None) for family in families}
        form = field_plans.space_of(facts.kind, families, facts, arrays, of_training, cheaper=cheaper)
    else:
        splits = load_data(str(folder / facts.views.of(families[0])), None)
        inputs, is_table = splits.inputs, facts.kind == "table"
        form = space_of(
            families,
            classes=facts.target_kind == "classes",
            with_levels=isinstance(inputs, Columns) and bool(inputs.cardinalities),
            metric=facts.metric(metric),
            of_series=not is_table,
            long_tailed=is_table and facts.target_kind == "number" and is_long_tailed(splits.y_train),
        )
    most = None if time_limit is None else seconds_of_a_trial(time_limit)
    return CrossValidated(
        facts.name, str(folder), load_space(form), n_folds, facts.metric(metric), facts.folds, facts.views, most,
        kind=facts.kind,
    )  # fmt: skip


def described_plan(
    task: CrossValidated, seconds: float | None, *, has_test: bool, spent: float = 0.0, n_targets: int = 1
) -> str:
    """One line on what a run does, before it starts.

    ``spent``: seconds of the command so far. ``n_targets``: that share the time limit given by the user.
    """
    families, limit = families_of(task.space), "" if seconds is None else f"{round(seconds, 1):g}"
    if seconds is not None and task.kind in field_plans.FAMILIES:
        from automl.data.ingest.prepare import Facts

        default, folder = task.space.get_default_configuration(), Path(task.data)
        cheaper = families[0] == CHEAPEST or default.get("tfidf_ngrams") == "words"
        least = min_seconds(Facts.read(folder), folder, spent, families[0], cheaper=cheaper)
        if seconds < least:
            return (
                f"plan: one model, {families[0]}, scored by {_scored_by(task)}; {limit} seconds will be exceeded: "
                f"at least {math.ceil(least)} are needed; starting and reading have already taken {spent:.0f}"
            )
    if seconds is not None and seconds < MIN_TIME_LIMIT:
        needed = f"{MIN_TIME_LIMIT:g} or more"
        if n_targets > 1:
            needed = f"{n_targets * MIN_TIME_LIMIT + STARTUP_SECONDS:g} or more for all {n_targets} targets"
        return (
            f"plan: {families[0]}, then others if there is time, scored by the validation set; {limit} seconds "
            f"may be exceeded, as starting, reading and writing take about {OVERHEAD_SECONDS:g}: give {needed}"
        )
    hows = {"time": ", forward in time", "group": ", groups kept together", "duplicates": ", duplicates kept together"}
    how = hows.get(task.folds_how, "") if task.max_epochs > 1 else ""
    within = "" if seconds is None else f", all within {limit} seconds"
    return (
        f"plan: presets of {', '.join(families)}, scored by {_scored_by(task)}{how}; then a search in each family; "
        f"then an ensemble of the best, fitted to all rows{' but the test set' * has_test}{within}"
    )


def _scored_by(task: CrossValidated) -> str:
    return f"{task.max_epochs}-fold cross-validation" if task.max_epochs > 1 else "the validation set"
