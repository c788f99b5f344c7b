"""Trained models with tensors as inputs and outputs: networks, and scikit-learn estimators trained by epochs."""

from __future__ import annotations

from abc import abstractmethod
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
from automl.data.inputs import Columns, Windows
from automl.data.targets import Classes
from automl.models import ESTIMATORS, build_for, own_config, skops_format
from automl.models.lags import Lags
from automl.models.sklearn_estimators import features, outputs_of
from automl.models.trained import Preprocessing, TrainedModel

WEIGHTS = "model.safetensors"
SCORING_BATCH = 1_000
SEQUENCES_AT_ONCE = 100  # small enough that the attention's activations fit in a core's cache


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
        # Initial weights are drawn, then overwritten: the caller's generator keeps its state.
        with torch.random.fork_rng([]):
            own = own_config(rules.model, config)
            module = build_for(rules.inputs, rules.model, own, rules.target)
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
        save_file(self.module.state_dict(), folder / WEIGHTS)


@dataclass(frozen=True)
class TrainedEstimator(TensorModel):
    """A scikit-learn estimator."""

    estimator: Any
    config: Mapping[str, Any]
    preprocessing: Preprocessing

    @property
    def lags(self) -> Lags:
        """What the estimator reads of the windows of a series."""
        rules = self.preprocessing
        return Lags(self.config, rules.inputs, keeps_levels=rules.model != "linear")

    def features(self, x: NDArray[Any]) -> Any:
        """What the estimator reads of raw examples."""
        rules = self.preprocessing
        found = self.lags.columns(features(rules.model, rules.inputs, x))
        is_series = isinstance(rules.inputs, Windows) or (isinstance(rules.inputs, Columns) and rules.inputs.steps)
        exact = rules.model == "linear" and is_series  # the steps of a window are collinear
        return found.astype(np.float64) if exact else found

    def labels(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """What the estimator predicts for raw examples: classes, or numbers or their changes in units of the spread."""
        target = self.preprocessing.target
        return y if isinstance(target, Classes) else (y - self._levels(x)) / target.std

    def __call__(self, x: Tensor) -> Tensor:
        target, examples = self.preprocessing.target, x.cpu().numpy()
        outputs = outputs_of(self.estimator, target, self.features(examples))
        if self.lags.is_relative:
            assert not isinstance(target, Classes)
            outputs += (self._levels(examples)[:, None] - target.mean) / target.std
        return torch.from_numpy(outputs)

    def _levels(self, x: NDArray[Any]) -> Any:
        """What is subtracted from the labels of raw examples."""
        target = self.preprocessing.target
        assert not isinstance(target, Classes)
        return self.lags.levels(x.reshape(len(x), -1)) if self.lags.is_relative else target.mean

    def save_weights(self, folder: Path) -> None:
        (folder / skops_format.FILE).write_bytes(skops_format.estimator_bytes(self.estimator))


def load_tensor_model(folder: Path, config: Mapping[str, Any], rules: Preprocessing) -> TensorModel:
    """Load the weights that ``save`` wrote, on the CPU."""
    if rules.model in ESTIMATORS:
        return TrainedEstimator(skops_format.estimator_from((folder / skops_format.FILE).read_bytes()), config, rules)
    return TrainedNetwork.rebuild(load_file(folder / WEIGHTS), config, rules)


def rebuilt(tensors: Mapping[str, Tensor], config: Mapping[str, Any], fields: Mapping[str, Any]) -> TensorModel:
    """The model of a checkpoint's tensors."""
    rules = Preprocessing.from_json(fields)
    if rules.model in ESTIMATORS:
        return TrainedEstimator(skops_format.estimator_from(tensors["estimator"].numpy().tobytes()), config, rules)
    return TrainedNetwork.rebuild(weights_in(tensors), config, rules)


def weights_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The module's weights among the tensors of a checkpoint."""
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}


def as_tensor(content: bytes) -> Tensor:
    """Bytes as a tensor, for a checkpoint."""
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())
