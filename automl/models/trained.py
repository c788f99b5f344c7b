"""A trained model: a network or an estimator with its preprocessing, and its three files.

A model is stored as weights (model.safetensors, or model.skops for scikit-learn, a format that cannot contain code),
config.json and preprocessing.json; nothing is pickled.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from automl.data.inputs import Columns, Inputs, inputs_from_json, inputs_to_json
from automl.data.targets import Target, target_from_json
from automl.models import own_config
from automl.models.description import write_description
from automl.models.integrity import check_files, checksums
from automl.models.learners import learner_class
from automl.models.learners.base import Learner

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LEARNER = "learner.json"  # in the folder of a model that is a Learner, with checksums of its files


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing that a model was trained with, and the meaning of its outputs."""

    task: str
    model: str  # one of automl.models.NETWORKS or ESTIMATORS
    inputs: Inputs
    target: Target

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls(fields["task"], fields["model"], inputs_from_json(fields), target_from_json(fields))

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "model": self.model, **inputs_to_json(self.inputs), **self.target.to_json()}

    def __call__(self, x: Tensor) -> Tensor:
        """Transform raw examples (n, *shape) of any number type to the network's inputs."""
        return self.inputs(x)


class TrainedModel(ABC):
    """A model that takes raw examples."""

    config: Mapping[str, Any]
    preprocessing: Preprocessing

    @abstractmethod
    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Probabilities (n, n_classes) or numbers (n,) for raw examples (n, *shape)."""

    def to(self, device: torch.device) -> None:  # noqa: B027
        """Move the model to a device, if it has torch weights."""

    @abstractmethod
    def save_weights(self, folder: Path) -> None: ...

    def save(self, folder: Path) -> None:
        """Write the model's three files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.save_weights(folder)
        write_description(folder, self.config, self.preprocessing.to_json())


@dataclass(frozen=True)
class TrainedLearner(TrainedModel):
    """A family that is fitted in one go."""

    learner: Learner
    config: Mapping[str, Any]
    preprocessing: Preprocessing

    @classmethod
    def of_folder(cls, folder: Path, config: Mapping[str, Any], rules: Preprocessing) -> Self:
        """The learner that was saved in a folder."""
        own = own_config(rules.model, config)
        check_files(folder, json.loads((folder / LEARNER).read_text(encoding="utf-8"))["files"])
        return cls(learner_class(rules.model).load(folder, own, rules.inputs, rules.target), config, rules)

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        return self.predict_read(self.learner.read(x))

    def predict_read(self, rows: Any) -> NDArray[Any]:
        """As ``predict``, for what ``Learner.read`` returns for the examples."""
        inputs = self.preprocessing.inputs
        return self.learner.predict(inputs.filled(rows) if isinstance(inputs, Columns) else rows)

    def save_weights(self, folder: Path) -> None:
        self.learner.save(folder)
        facts = {"rounds": self.learner.rounds, "files": checksums(folder)}
        (folder / LEARNER).write_text(json.dumps(facts) + "\n", encoding="utf-8")
