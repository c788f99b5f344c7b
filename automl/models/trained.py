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
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from automl.data.batches import by_length
from automl.data.inputs import Columns, Inputs, inputs_from_json, inputs_to_json
from automl.data.targets import Target, target_from_json
from automl.models import ESTIMATORS, build_for, own_config, skops_format
from automl.models.integrity import check_files, checksums
from automl.models.learners import learner_class
from automl.models.learners.base import Learner
from automl.models.sklearn_estimators import features, outputs_of

LEARNER = "learner.json"  # in the folder of a model that is a Learner, with checksums of its files
SCORING_BATCH = 1_000
SEQUENCES_AT_ONCE = 100  # small enough that the attention's activations fit in a core's cache


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing that a model was trained with, and the meaning of its outputs."""

    task: str
    model: str  # one of automl.models.FAMILIES or ESTIMATORS
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
        for name, content in (("config", dict(self.config)), ("preprocessing", self.preprocessing.to_json())):
            (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


class TensorModel(TrainedModel):
    """Maps raw examples (n, *shape) as tensors to (n, n_outputs): logits, or the standardised target."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor: ...

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        outputs = self.in_parts(torch.from_numpy(np.ascontiguousarray(x)))
        return self.preprocessing.target.predictions(outputs)

    def in_parts(self, x: Tensor, device: torch.device | None = None) -> Tensor:
        """The outputs for any number of examples, in batches of an efficient size.

        ``device``: of the model, if it is not that of the examples.
        """
        device = device or x.device
        lengths = self.preprocessing.inputs.lengths(x)
        if lengths is None or not len(x):
            return torch.cat([self(part.to(device)) for part in torch.split(x, SCORING_BATCH)])
        places = list(by_length(lengths, SCORING_BATCH if device.type == "cuda" else SEQUENCES_AT_ONCE))
        found = torch.cat([self(x[part].to(device)) for part in places])
        outputs = torch.empty_like(found)
        outputs[torch.cat(places).to(device)] = found
        return outputs


@dataclass(frozen=True)
class TrainedNetwork(TensorModel):
    """A torch module."""

    module: nn.Module
    config: Mapping[str, Any]
    preprocessing: Preprocessing

    @classmethod
    def rebuild(cls, weights: Mapping[str, Tensor], config: Mapping[str, Any], rules: Preprocessing) -> Self:
        with torch.random.fork_rng(
            []
        ):  # initial weights are drawn, then overwritten: keep the caller's generator state
            own = own_config(rules.model, config)
            module = build_for(rules.inputs, rules.model, own, rules.target.n_outputs)
        module.load_state_dict(weights)
        return cls(module, config, rules)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, with the module's current mode and gradients."""
        mask = self.preprocessing.inputs.mask(x)
        inputs = self.preprocessing(x)
        outputs: Tensor = self.module(inputs) if mask is None else self.module(inputs, mask)
        return outputs

    def to(self, device: torch.device) -> None:
        self.module.to(device)

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        self.module.eval()
        return self.forward(x).float()

    def save_weights(self, folder: Path) -> None:
        save_file(self.module.state_dict(), folder / "model.safetensors")


@dataclass(frozen=True)
class TrainedEstimator(TensorModel):
    """A scikit-learn estimator."""

    estimator: Any
    config: Mapping[str, Any]
    preprocessing: Preprocessing

    def __call__(self, x: Tensor) -> Tensor:
        rules = self.preprocessing
        rows = features(rules.model, rules.inputs, x.cpu().numpy())
        return torch.from_numpy(outputs_of(self.estimator, rules.target, rows))

    def save_weights(self, folder: Path) -> None:
        (folder / skops_format.FILE).write_bytes(skops_format.estimator_bytes(self.estimator))


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
        check_files(folder, json.loads((folder / LEARNER).read_text(encoding="utf-8")).get("files", {}))
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


def load_model(folder: Path) -> TrainedModel:
    """Load a model that TrainedModel.save wrote, on the CPU."""
    config, fields = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "preprocessing")
    )
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    rules = Preprocessing.from_json(fields)
    if (folder / LEARNER).exists():
        return TrainedLearner.of_folder(folder, config, rules)
    if rules.model in ESTIMATORS:
        return TrainedEstimator(skops_format.estimator_from((folder / skops_format.FILE).read_bytes()), config, rules)
    return TrainedNetwork.rebuild(load_file(folder / "model.safetensors"), config, rules)


def rebuilt(tensors: Mapping[str, Tensor], config: Mapping[str, Any], fields: Mapping[str, Any]) -> TensorModel:
    """The model of a checkpoint's tensors."""
    rules = Preprocessing.from_json(fields)
    if rules.model in ESTIMATORS:
        return TrainedEstimator(skops_format.estimator_from(tensors["estimator"].numpy().tobytes()), config, rules)
    prefix = "model."
    weights = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return TrainedNetwork.rebuild(weights, config, rules)


def as_tensor(content: bytes) -> Tensor:
    """Bytes as a tensor, for a checkpoint."""
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())
