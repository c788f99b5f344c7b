"""Registry of the cross-validated model families: learners and networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.models import NETWORKS, own_config
from automl.models.learners import LEARNERS
from automl.models.learners import learner_class as without_network
from automl.models.learners.base import Learner

if TYPE_CHECKING:
    from automl.data.inputs import Inputs
    from automl.data.targets import Target
    from automl.models.trained import Preprocessing, TrainedModel


def learner_class(family: str) -> type[Learner]:
    """The class of a family."""
    if family in LEARNERS:
        return without_network(family)
    from automl.training.network_learner import OF_NETWORKS

    return OF_NETWORKS[family]


def build_learner(
    family: str, config: Mapping[str, Any], inputs: Inputs, target: Target, seed: int, device: str = "cpu"
) -> Learner:
    """An unfitted learner. ``config``: with the family's own names. ``device``: for networks; others ignore it."""
    learner = learner_class(family)(config, inputs, target, seed)
    if family in NETWORKS:
        learner.device = device  # type: ignore[attr-defined]
    return learner


def trained(learner: Learner, config: Mapping[str, Any], rules: Preprocessing) -> TrainedModel:
    """A fitted learner as a deployable model. ``config``: with the names of the space, not of the family."""
    from automl.models.trained import TrainedLearner

    if rules.model in LEARNERS:
        return TrainedLearner(learner, config, rules)
    from automl.models.tensor_models import TrainedNetwork

    return TrainedNetwork(learner.model.module, config, rules)  # type: ignore[attr-defined]


def trained_in(folder: Path, config: Mapping[str, Any], rules: Preprocessing) -> TrainedModel:
    """The same for a learner that was saved in a folder."""
    kind = learner_class(rules.model)
    learner = kind.load(folder, own_config(rules.model, config), rules.inputs, rules.target)
    return trained(learner, config, rules)
