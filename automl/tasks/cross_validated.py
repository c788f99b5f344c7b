"""The user's data, cross-validated: an epoch is a fold, and the losses are those of the predictions out of fold."""

from __future__ import annotations

import functools
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.datasets.registry import load_data
from automl.data.inputs import Array, Columns
from automl.data.splits import Splits, train_read
from automl.data.targets import levels_of
from automl.errors import UserError, install_command
from automl.metrics import METRICS, measure
from automl.task import Epoch
from automl.tasks import field_plans
from automl.tasks.user_data import CHOICES, check_backbone, copy_encoder
from strategies.encoding import Dimension, Encoding
from strategies.fidelity import Fidelity
from strategies.types import Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from automl.data.ingest.prepare import Facts

FAMILIES = {  # by the kind of data; the first is the default
    "table": ("lightgbm", "random_forest", "extra_trees", "linear", "realmlp", "catboost"),
    "series": ("linear", "lightgbm", "extra_trees", "random_forest"),
    **field_plans.FAMILIES,
}


@dataclass(frozen=True)
class CrossValidated:
    """Data in a folder of prepared ones; training and validation set are folds, the test set stays apart."""

    name: str
    data: str  # the folder
    space: ConfigurationSpace
    max_epochs: int  # the number of folds; 1: the validation set is the only one
    metric: str
    folds_how: str  # random, group, duplicates or time; empty where there is only the validation set
    view: str  # of the first family
    most_seconds: float | None = None  # of all folds of a configuration; one that would take longer fails
    leaves_one: bool = True  # the time limit waits for the first configuration, so that there is a model
    epochs_are: str = "folds"
    keeps_files: bool = True  # the predictions of every trial may serve the ensemble
    resumable: bool = True
    train_size: None = None
    views: Mapping[str, str] = field(default_factory=dict)  # of families that read other arrays than the first

    @property
    def maximize(self) -> bool:
        return METRICS[self.metric].best is not None

    def data_of(self, family: str) -> str:
        """The folder of the arrays that a family reads."""
        return str(Path(self.data) / self.views.get(family, self.view))

    def family(self, config: Mapping[str, Any]) -> str:
        """The model family of a config."""
        return str(config["model"])

    def runtime(self, config: Mapping[str, Any]) -> str:
        """Trainings of different runtimes never share a process."""
        from automl.training.fold_learners import learner_class

        return learner_class(self.family(config)).runtime

    @property
    def runtimes(self) -> set[str]:
        """Those of the families in the space."""
        from automl.training.fold_learners import learner_class

        return {learner_class(family).runtime for family in families_of(self.space)}

    def rows(self, family: str) -> Splits:
        """The examples as a family reads them; the training set includes the validation set."""
        from automl.training.fold_learners import learner_class

        return _rows(self.data_of(family), learner_class(family).read)

    def folds(self) -> NDArray[np.int8]:
        """The fold of each row of the training set, then of the validation set."""
        from automl.data.ingest.folds import NEVER, merged
        from automl.data.ingest.prepare import FOLDS

        if self.max_epochs > 1:
            return merged(np.load(Path(self.data) / FOLDS, allow_pickle=False), self.max_epochs)
        splits = load_data(self.data_of(""), None)
        folds = np.full(len(splits.y_train) + len(splits.y_valid), NEVER, np.int8)
        folds[len(splits.y_train) :] = 0
        return folds

    def weights(self, *parts: str) -> NDArray[np.float32] | None:
        """How much each row of some sets counts, by default of the training set, then of the validation set."""
        from automl.data.ingest.prepare import weights_of

        return weights_of(Path(self.data), *(parts or ("train", "valid")))

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        """Some of the folds say something of all; out-of-bag predictions need none."""
        from automl.training.fold_learners import learner_class

        out_of_bag = self.folds_how == "random" and learner_class(self.family(config)).has_out_of_bag
        return Fidelity("whole" if out_of_bag else "resume")

    def prepare(self) -> None:
        """Load what the first training would have to load."""
        import automl.training.folds  # noqa: F401

        load_data(self.data_of(""), None, True)

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        from automl.training.fold_learners import NETWORKS
        from automl.training.folds import train

        if self.family(config) in NETWORKS:
            _warm_up(device)
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
        """Nothing: the ensemble is scored, not its members."""
        return {}

    def baseline(self) -> dict[str, Any] | None:
        """The test score of a constant prediction."""
        from automl.data.ingest.prepare import Facts
        from automl.tasks.baselines.constant import last_value_baseline, majority_baseline

        start = time.perf_counter()
        splits = load_data(self.data_of(""), None, True)
        levels = levels_of(splits.target)
        windows = Facts.read(Path(self.data)).kind == "series" and levels is None
        name, predicted = last_value_baseline(splits) if windows else majority_baseline(splits)
        score = measure(self.metric, splits.y_test, predicted, levels=levels)
        return {"name": name, "score": score, "seconds": time.perf_counter() - start}


def _warm_up(device: str) -> None:
    """Load a card's libraries, so that the first fold is not timed with it."""
    from automl.models.device import find_device
    from automl.training.device import warm_up

    warm_up(find_device(device))


@functools.cache
def _rows(data: str, read: Callable[[Array], Any]) -> Splits:
    return train_read(load_data(data, None, True), read)


def cross_validated(
    folder: Path,
    n_folds: int,
    model: str | None,
    metric: str | None,
    time_limit: float | None = None,
    n_workers: int | None = None,
) -> CrossValidated:
    """The task on the prepared data in a folder. UserError for families that do not suit them.

    ``time_limit``: of the run, in seconds, of which a configuration gets a share at most.
    """
    from automl.data.ingest.prepare import Facts
    from automl.space.parse import load_space

    facts = Facts.read(folder)
    families = chosen_families(facts, model)
    seconds = (time_limit or math.inf) * (n_workers or 1)
    if facts.kind in field_plans.FAMILIES and (model is None or model == "auto"):
        families = field_plans.families(facts.kind, facts.n_train, seconds)
    if time_limit is not None and time_limit < SHORT:
        families = tuple(sorted(families, key=lambda family: family != CHEAPEST))
    if facts.kind in field_plans.FAMILIES:
        arrays = {family: load_data(str(folder / facts.views[family]), None) for family in families}
        form = field_plans.space_of(facts.kind, families, facts, arrays, seconds)
    else:
        inputs = load_data(str(folder / facts.views[families[0]]), None).inputs
        form = space_of(
            families,
            classes=facts.target_kind == "classes",
            with_levels=isinstance(inputs, Columns) and bool(inputs.cardinalities),
            lags=facts.kind == "series",
        )
    view = facts.views[families[0]]
    views = {family: facts.views[family] for family in families if facts.views[family] != view}
    most = None if time_limit is None else seconds_of_a_trial(time_limit)
    return CrossValidated(
        facts.name, str(folder), load_space(form), n_folds, facts.metric(metric), facts.folds, view, most,
        views=views,
    )  # fmt: skip


# Tried in this order: the default of each family, and settings that are often better or complement them. Those of
# LightGBM and CatBoost are from AutoGluon's portfolio, which was learnt on 200 data sets (D. Salinas and N. Erickson,
# TabRepo: A Large Scale Repository of Tabular Model Evaluations and its AutoML Applications, 2024).
PRESETS: tuple[dict[str, Any], ...] = (
    {"model": "lightgbm"},
    {"model": "linear"},
    {"model": "extra_trees"},
    {"model": "catboost"},
    {"model": "realmlp"},
    {"model": "lightgbm", "lightgbm_extra_trees": True},
    {"model": "random_forest"},
    {"model": "catboost", "catboost_learning_rate": 0.069, "catboost_l2": 2.15},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.032, "lightgbm_leaves": 16, "lightgbm_columns": 0.83,
     "lightgbm_min_rows": 40, "lightgbm_extra_trees": True},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.047, "lightgbm_leaves": 89, "lightgbm_columns": 0.62,
     "lightgbm_min_rows": 56},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.03, "lightgbm_leaves": 128, "lightgbm_columns": 0.9,
     "lightgbm_min_rows": 3},
    {"model": "catboost", "catboost_learning_rate": 0.049, "catboost_depth": 4, "catboost_l2": 4.56},
    {"model": "linear", "linear_c": 0.03},
    {"model": "linear", "linear_numbers": "standard"},
)  # fmt: skip


def presets(space: ConfigurationSpace, kind: str = "table") -> list[Config]:
    """The presets for a kind of data that lie in the space, complete with its defaults."""
    encoding, found = Encoding(space), []
    for preset in field_plans.PRESETS.get(kind, PRESETS):
        config = encoding.build(functools.partial(_value_of, preset))
        try:
            encoding.check(config)
        except ValueError:  # a family that was not asked for
            continue
        if preset.items() <= config.items() and config not in found:
            found.append(config)
    return found


def families_of(space: ConfigurationSpace) -> list[str]:
    """The families among which a space chooses."""
    return next(list(map(str, dim.values)) for dim in Encoding(space).dimensions if dim.name == "model")


def described_plan(task: CrossValidated, seconds: float | None, *, has_test: bool) -> str:
    """One line on what a run does, before it starts."""
    families = families_of(task.space)
    if seconds is not None and seconds < LEAST_LIMIT:
        return (
            f"plan: one model, {families[0]}, scored by the validation set; {seconds:g} seconds will be exceeded, as "
            f"starting, reading and writing take about {OVERHEAD:g}: give {LEAST_LIMIT:g} or more"
        )
    scored = f"{task.max_epochs}-fold cross-validation" if task.max_epochs > 1 else "the validation set"
    hows = {"time": ", forward in time", "group": ", groups kept together", "duplicates": ", duplicates kept together"}
    how = hows.get(task.folds_how, "") if task.max_epochs > 1 else ""
    within = "" if seconds is None else f", all within {seconds:g} seconds"
    return (
        f"plan: presets of {', '.join(families)}, scored by {scored}{how}; then a search in each family; "
        f"then an ensemble of the best, fitted to all rows{' but the test set' * has_test}{within}"
    )


SECONDS_OF_A_FOLD = 0.5  # of LightGBM on few rows; more of them take so many seconds a number in the table and class:
SECONDS_A_NUMBER = 4e-6
SHARE_OF_A_TRIAL = 0.5  # of the time limit, at most, for a configuration, but never less than
LEAST_SECONDS = 10.0  # since a limit that no configuration keeps would leave no model
SHARE_OF_A_MODEL = 0.4  # of the budget, at most, for all folds of one
OVERHEAD = 8.0  # seconds of a command in which nothing is trained: start, reading, processes, files
SHORT = 20.0  # seconds of a run that begins with the cheapest family
LEAST_LIMIT = 10.0  # seconds of a run that has time for more than one model
CHEAPEST = "linear"


def seconds_of_a_trial(time_limit: float) -> float:
    """The seconds of a configuration, at most, in a run of ``time_limit`` seconds."""
    return max(LEAST_SECONDS, SHARE_OF_A_TRIAL * time_limit)


def n_folds_within(folder: Path, time_limit: float, n_workers: int) -> int:
    """The number of folds for the prepared data in a folder: 8, 4, or 1, which is the validation set.

    ``time_limit``: of the command, in seconds.
    """
    from automl.data.ingest.folds import N_FOLDS
    from automl.data.ingest.prepare import Facts

    facts, seconds = Facts.read(folder), max(0.0, time_limit - OVERHEAD) * n_workers
    splits = load_data(str(folder / facts.views[FAMILIES[facts.kind][0]]), None)
    n_trees = splits.n_classes if splits.n_classes > 2 else 1  # a round
    if facts.kind in field_plans.FAMILIES:
        of_a_fold = field_plans.slowness() * field_plans.seconds_of_a_fold(facts.kind, splits, seconds)
    else:
        of_a_fold = SECONDS_OF_A_FOLD + SECONDS_A_NUMBER * splits.x_train.size * n_trees
    if not facts.folds:
        return 1
    return next((n for n in (N_FOLDS, N_FOLDS // 2) if n * of_a_fold <= SHARE_OF_A_MODEL * seconds), 1)


def _value_of(preset: Mapping[str, Any], dim: Dimension) -> Any:
    return preset.get(dim.name, dim.default)


def chosen_families(facts: Facts, asked: str | None) -> tuple[str, ...]:
    """The families of ``--model``. UserError for one that is not cross-validated on this kind of data and target, or
    whose package is missing; without being asked for, it is left out."""
    from automl.models.learners import EXTRAS, is_installed
    from automl.training.fold_learners import learner_class

    quantiles = facts.target_kind == "quantiles"
    fitting = tuple(name for name in FAMILIES[facts.kind] if not quantiles or learner_class(name).takes_quantiles)
    if asked is None or asked == "auto":
        return tuple(name for name in fitting if is_installed(name) and name in facts.views)
    names = tuple(dict.fromkeys(name.strip() for name in asked.split(",")))
    for name in names:
        if name not in fitting:
            kind = f"{'quantiles of ' * quantiles}{facts.kind}"
            raise UserError(f"--model {name!r} does not suit {kind}; choose auto or some of: {', '.join(fitting)}")
        if not is_installed(name):
            extra = EXTRAS[name]
            raise UserError(f"--model {name} needs the package {extra}; install it with: {install_command(extra)}")
    check_backbone(names)
    return names


def suits(kind: str, asked: str | None) -> bool:
    """Whether data of this kind are cross-validated, with the families of ``--model``.

    UserError for families of which some are cross-validated and others are not.
    """
    if kind not in FAMILIES:
        return False
    wanted = [] if asked is None or asked == "auto" else [name.strip() for name in asked.split(",")]
    folds, others = FAMILIES[kind], [name for name in CHOICES[kind] if name not in FAMILIES[kind]]
    strange = next((name for name in wanted if name not in folds and name not in others), None)
    if strange is not None or ({*wanted} & {*folds} and {*wanted} & {*others}):
        raise UserError(
            f"--model {strange or asked!r} does not suit {kind}; choose auto, some of: {', '.join(folds)}, or, scored "
            f"by one validation set, some of: {', '.join(others)}"
        )
    return set(wanted) <= set(folds)


def space_of(families: tuple[str, ...], *, classes: bool, with_levels: bool, lags: bool = False) -> dict[str, Any]:
    """The space in the short form: `model`, and the hyperparameters of each family conditional on it.

    ``with_levels``: whether the table has categories. ``lags``: whether its columns are past values of a series.
    """
    from automl.models.learners import learner_class

    form: dict[str, Any] = {"model": {"choice": list(families), "default": families[0]}}
    for family in families:
        for name, entry in learner_class(family).space(classes=classes, with_levels=with_levels).items():
            form[f"{family}_{name}"] = {**entry, "when": {"model": family}}
    if lags and "linear" in families:
        form["linear_numbers"] |= {"default": "standard"}  # a forecast is nearly linear in the values themselves
    return form
