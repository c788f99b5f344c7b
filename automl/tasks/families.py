"""The families of models that are cross-validated on own data: their presets and their search space."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.errors import UserError, install_command
from automl.tasks import field_plans
from automl.tasks.user_data import CHOICES, check_backbone
from strategies.encoding import Dimension, Encoding
from strategies.errors import did_you_mean
from strategies.types import Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from automl.data.ingest.prepare import Facts

FAMILIES = {  # by the kind of data; the first is the default
    "table": ("lightgbm", "random_forest", "extra_trees", "linear", "realmlp", "catboost"),
    "series": ("linear", "lightgbm", "extra_trees", "random_forest"),
    **field_plans.FAMILIES,
}

# Tried in this order: the default of each family, and settings that are often better or complement them. Most of
# LightGBM's are from AutoGluon's portfolio, which was learnt on 200 data sets (D. Salinas and N. Erickson, TabRepo: A
# Large Scale Repository of Tabular Model Evaluations and its AutoML Applications, 2024). Its small trees with leaves of
# few rows are quick, and better on small or long-tailed tables, whose extremes would otherwise share a leaf.
PRESETS: tuple[dict[str, Any], ...] = (
    {"model": "lightgbm"},
    {"model": "linear"},
    {"model": "linear", "linear_numbers": "standard"},  # quick, and by up to a third better or worse than by rank
    {"model": "linear", "linear_target": "log"},
    {"model": "linear", "linear_lags": "raw"},
    {"model": "linear", "linear_lags": "relative", "linear_c": 1e-4},  # hardly more than the last value
    {"model": "extra_trees"},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.1, "lightgbm_leaves": 6, "lightgbm_min_rows": 3},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.1, "lightgbm_leaves": 6, "lightgbm_min_rows": 3,
     "lightgbm_loss": "tweedie"},
    {"model": "catboost"},
    {"model": "catboost", "catboost_depth": 4, "catboost_loss": "tweedie"},
    {"model": "realmlp"},
    {"model": "lightgbm", "lightgbm_extra_trees": True},
    {"model": "random_forest"},
    {"model": "extra_trees", "extra_trees_features": 1.0},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.032, "lightgbm_leaves": 16, "lightgbm_columns": 0.83,
     "lightgbm_min_rows": 40, "lightgbm_extra_trees": True},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.047, "lightgbm_leaves": 89, "lightgbm_columns": 0.62,
     "lightgbm_min_rows": 56},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.03, "lightgbm_leaves": 128, "lightgbm_columns": 0.9,
     "lightgbm_min_rows": 3},
    {"model": "catboost", "catboost_depth": 4},
    {"model": "linear", "linear_c": 0.03},
    {"model": "extra_trees", "extra_trees_lags": "raw"},
    {"model": "lightgbm", "lightgbm_learning_rate": 0.1, "lightgbm_leaves": 6, "lightgbm_min_rows": 3,
     "lightgbm_lags": "raw"},
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
        return tuple(name for name in fitting if is_installed(name))
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


def check_known(asked: str | None) -> None:
    """Raise UserError for a family of ``--model`` that no kind of data has, before the data are read."""
    known = dict.fromkeys(name for families in (*FAMILIES.values(), *CHOICES.values()) for name in families)
    for name in _listed(asked):
        if name not in known:
            raise UserError(
                f"unknown --model {name!r}; {did_you_mean(name, known)}choose auto or some of: {', '.join(known)}"
            )


def suits(kind: str, asked: str | None) -> bool:
    """Whether data of this kind are cross-validated, with the families of ``--model``.

    UserError for families of which some are cross-validated and others are not.
    """
    if kind not in FAMILIES:
        return False
    wanted = _listed(asked)
    folds, others = FAMILIES[kind], [name for name in CHOICES[kind] if name not in FAMILIES[kind]]
    unknown = next((name for name in wanted if name not in folds and name not in others), None)
    if unknown is not None or ({*wanted} & {*folds} and {*wanted} & {*others}):
        raise UserError(
            f"--model {unknown or asked!r} does not suit {kind}; choose auto, some of: {', '.join(folds)}, or, scored "
            f"by one validation set, some of: {', '.join(others)}"
        )
    return set(wanted) <= set(folds)


def cross_validated_alone(kind: str, asked: str | None) -> list[str]:
    """The families of ``--model`` that suit data of this kind, but only with cross-validation."""
    return [name for name in _listed(asked) if name in FAMILIES.get(kind, ()) and name not in CHOICES[kind]]


def _listed(asked: str | None) -> list[str]:
    return [] if asked is None or asked == "auto" else [name.strip() for name in asked.split(",")]


def space_of(
    families: tuple[str, ...],
    *,
    classes: bool,
    with_levels: bool,
    metric: str,
    of_series: bool = False,
    long_tailed: bool = False,
) -> dict[str, Any]:
    """The space in the short form: `model`, and the hyperparameters of each family conditional on it.

    ``with_levels``: whether the table has categories. ``of_series``: whether its columns are past values of a series.
    ``long_tailed``: whether ``long_tail.is_long_tailed`` of the target.
    """
    from automl.models import lags
    from automl.models.learners import learner_class, losses

    form: dict[str, Any] = {"model": {"choice": list(families), "default": families[0]}}
    for family in families:
        own = learner_class(family).space(classes=classes, with_levels=with_levels)
        own = own | losses.space(family, long_tailed=long_tailed, metric=metric)
        own = own | (lags.SPACES.get(family, {}) if of_series else {})
        for name, entry in own.items():
            form[f"{family}_{name}"] = {**entry, "when": {"model": family}}
    if of_series and "linear" in families:
        form["linear_numbers"] |= {"default": "standard"}  # a forecast is nearly linear in the values themselves
    return form
