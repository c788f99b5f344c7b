"""The candidate for a cross-validated run: the current members with their weights, fitted to old and new rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.continual.candidates import Candidate
from automl.data.memory_map import read_prepared
from automl.data.splits import train_read
from automl.errors import UserError
from automl.metrics import DEFAULT_THRESHOLD
from automl.task import TrainingFailed

if TYPE_CHECKING:
    from automl.deployment.predictor import Member, Predictor
    from automl.tasks.cross_validated import CrossValidated


def refitted(task: CrossValidated, before: Predictor, seed: int, device: str, say: Callable[[str], None]) -> Candidate:
    """Refit each member for as many rounds as it has; the models of a bagged member become one.

    UserError if a fit fails.
    """
    from automl.deployment.predictor import Member, Predictor
    from automl.models import own_config
    from automl.models.learners.base import Rows, mean_rounds
    from automl.models.trained import Preprocessing, TrainedLearner, TrainedModel
    from automl.training.fold_learners import build_learner, learner_class, trained

    found: list[Member] = []
    for same in _together(before):
        model = same[0].model
        assert isinstance(model, TrainedModel)
        family = model.preprocessing.model
        splits = train_read(read_prepared(Path(task.data_of(family))), learner_class(family).read)
        if not found:
            say(f"fitting the members of the model again, to {len(splits.y_train):,} rows")
        own = own_config(family, model.config)
        learner = build_learner(family, own, splits.inputs, splits.target, seed, device)
        rounds = [each.model.learner.rounds for each in same if isinstance(each.model, TrainedLearner)]
        train = Rows(splits.x_train, np.asarray(splits.y_train), task.weights("train"))
        try:
            learner.fit(train, rounds=mean_rounds(rounds, splits.target))
        except TrainingFailed as error:
            raise UserError(
                f"the member {family} cannot be fitted to the old and new rows, so the model in use stays: {error}"
            ) from None
        rules = Preprocessing(task.name, family, splits.inputs, splits.target)
        found.append(Member(trained(learner, model.config, rules), sum(each.weight for each in same)))
    threshold = before.threshold if splits.n_classes == 2 else DEFAULT_THRESHOLD
    predictor = Predictor(found, None, {"threshold": threshold, "shifts": before.shifts})

    def write(out: Path) -> list[dict[str, Any]]:
        out.mkdir(parents=True)
        task.export_rest(out)
        entries = []
        for place, member in enumerate(predictor.members):
            assert isinstance(member.model, TrainedModel)
            member.model.save(out / f"members/{place}")
            entries.append(
                {
                    "folder": f"members/{place}",
                    "weight": member.weight,
                    "family": member.model.preprocessing.model,
                    "config": dict(member.model.config),
                }
            )
        return entries

    return Candidate("retrained", dict(before.members[0].model.config), predictor, None, write)


def _together(before: Predictor) -> list[list[Member]]:
    """The members, grouped by config."""
    groups: dict[str, list[Member]] = {}
    for member in before.members:
        groups.setdefault(repr(sorted(member.model.config.items())), []).append(member)
    return list(groups.values())
