"""The training of a scikit-learn estimator: each epoch fits a share of the trees."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from automl.data.targets import Classes
from automl.models.sklearn_estimators import build_estimator, fit_further
from automl.models.skops_format import estimator_bytes, estimator_from
from automl.models.tensor_models import TrainedEstimator, as_tensor
from automl.training.base import SupervisedTraining
from automl.training.spec import SupervisedTask


class EstimatorTraining(SupervisedTraining):
    """Estimator and history of one config."""

    model: TrainedEstimator

    def __init__(self, task: SupervisedTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        rules, x, y = self.rules, self.splits.x_train, self.splits.y_train
        estimator = build_estimator(self.family, self.own, rules.inputs, rules.target, seed % 2**32)
        self.model = TrainedEstimator(estimator, self.config, rules)
        self.x, self.y = self.model.features(x), self.model.labels(x, y)
        self.weights = None  # of the examples
        if self.own.get("class_weight") and isinstance(rules.target, Classes):
            self.weights = rules.target.weights(y, self.own["class_weight"])[y]

    def train_epoch(self) -> dict[str, float]:
        share = (self.epoch + 1) / self.task.max_epochs
        fit_further(self.model.estimator, self.family, self.own, self.x, self.y, self.weights, share)
        return {}

    def tensors(self) -> dict[str, Tensor]:
        return {"estimator": as_tensor(estimator_bytes(self.model.estimator))}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        estimator = estimator_from(tensors["estimator"].numpy().tobytes())
        self.model = TrainedEstimator(estimator, self.config, self.rules)
