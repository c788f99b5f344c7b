"""Kinds of targets (classes, numbers and their quantiles), with their losses and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import constants
from automl.metrics import is_defined, measure, names_of

if TYPE_CHECKING:
    from torch import Tensor

Labels = NDArray[Any]


@dataclass(frozen=True)
class Classes:
    """One of several classes: labels (n,) of int64 from 0 on. A model outputs one logit per class."""

    kind: ClassVar = "classes"
    offset: ClassVar = 0.0
    names: tuple[str, ...]

    @property
    def n_outputs(self) -> int:
        return len(self.names)

    def refitted(self, y: Labels) -> Self:
        """The same target for other training labels."""
        return self

    def weights(self, y: Labels, strength: float) -> NDArray[np.float64]:
        """Class weights: 1 at strength 0; at strength 1 all classes have the same total weight."""
        counts = np.maximum(np.bincount(y, minlength=len(self.names)), 1)
        weights: NDArray[np.float64] = (len(y) / (len(self.names) * counts)) ** strength
        return weights

    def loss(self, outputs: Tensor, y: Tensor, config: Mapping[str, Any], weights: Tensor | None) -> Tensor:
        """The training loss: cross-entropy, with the config's label smoothing."""
        import torch.nn.functional as F

        return F.cross_entropy(outputs, y, weight=weights, label_smoothing=config.get("label_smoothing", 0.0))

    def tally(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The number of correct predictions: summed over an epoch's batches for ``of_training``."""
        return (outputs.argmax(1) == y).sum()

    def of_training(self, loss: float, tally: float, n: int) -> dict[str, float]:
        """The training metrics of an epoch, from the mean loss and the tally over n examples."""
        return {"train_cross_entropy": loss, "train_accuracy": tally / n}

    def scores(self, outputs: Tensor, y: Tensor, metric: str | None) -> dict[str, float]:
        """Accuracy, cross-entropy and the metric; all metrics that are defined if it is None."""
        import torch.nn.functional as F

        accuracy = (outputs.argmax(1) == y).double().mean().item()
        scores = {"accuracy": accuracy, "cross_entropy": F.cross_entropy(outputs, y).item()}
        wanted = [name for name in (names_of("classes") if metric is None else (metric,)) if name not in scores]
        if wanted and math.isfinite(scores["cross_entropy"]):
            probabilities, labels = outputs.double().softmax(1).cpu().numpy(), y.cpu().numpy()
            wanted = [name for name in wanted if name == metric or is_defined(name, labels)]
            scores |= {name: measure(name, labels, probabilities) for name in wanted}
        return scores

    def predictions(self, outputs: Tensor) -> NDArray[Any]:
        """Probabilities, (n, n_classes)."""
        probabilities: NDArray[Any] = outputs.double().softmax(1).cpu().numpy()
        return probabilities

    def to_json(self) -> dict[str, Any]:
        return {"classes": self.names}


@dataclass(frozen=True)
class Number:
    """A number: (n,) of float32. A model outputs it standardised."""

    kind: ClassVar = "number"
    mean: float  # of the training set
    std: float
    offset: float = 0.0  # of what is predicted over the (n,) numbers, which float32 would otherwise round

    names: ClassVar[tuple[str, ...]] = ()
    n_outputs: ClassVar = 1

    @classmethod
    def of(cls, y: Labels, offset: float = 0.0) -> Self:
        """With the statistics of the training labels."""
        return cls(float(y.mean(dtype=np.float64)), max(float(y.std(dtype=np.float64)), 1e-12), offset)

    def refitted(self, y: Labels) -> Self:
        return type(self).of(y, self.offset)

    def loss(self, outputs: Tensor, y: Tensor, config: Mapping[str, Any], weights: Tensor | None) -> Tensor:
        import torch.nn.functional as F

        return F.mse_loss(outputs[:, 0].to(y.dtype), (y - self.mean) / self.std)

    def tally(self, outputs: Tensor, y: Tensor) -> Tensor:
        return ((outputs[:, 0].float() * self.std + self.mean - y) ** 2).sum()

    def of_training(self, loss: float, tally: float, n: int) -> dict[str, float]:
        return {"train_rmse": math.sqrt(tally / n)}

    def scores(self, outputs: Tensor, y: Tensor, metric: str | None) -> dict[str, float]:
        """The metric and, since they are cheap, all others that are defined."""
        predicted, wanted = self.predictions(outputs), y.cpu().numpy()
        if not np.isfinite(predicted).all():
            return dict.fromkeys(names_of("number"), math.nan)
        names = [name for name in names_of("number") if name == metric or is_defined(name, wanted)]
        return {name: measure(name, wanted, predicted) for name in names}

    def predictions(self, outputs: Tensor) -> NDArray[Any]:
        """The numbers, (n,)."""
        numbers: NDArray[Any] = outputs[:, 0].double().cpu().numpy() * self.std + self.mean
        return numbers

    def to_json(self) -> dict[str, Any]:
        return {"target_mean": self.mean, "target_std": self.std, "target_offset": self.offset}


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of a number: (n,) of float32. A model outputs one for each level, standardised, in ascending order."""

    kind: ClassVar = "quantiles"
    mean: float  # of the training set
    std: float
    levels: tuple[float, ...]  # between 0 and 1, ascending
    offset: float = 0.0  # as of ``Number``

    names: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, y: Labels, levels: Sequence[float], offset: float = 0.0) -> Self:
        """With the statistics of the training labels."""
        number = Number.of(y)
        return cls(number.mean, number.std, tuple(levels), offset)

    @property
    def n_outputs(self) -> int:
        return len(self.levels)

    def refitted(self, y: Labels) -> Self:
        return type(self).of(y, self.levels, self.offset)

    def loss(self, outputs: Tensor, y: Tensor, config: Mapping[str, Any], weights: Tensor | None) -> Tensor:
        return self._pinball(outputs.to(y.dtype), (y - self.mean) / self.std).mean()

    def tally(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self._pinball(outputs.float() * self.std + self.mean, y).mean(1).sum()

    def _pinball(self, predicted: Tensor, y: Tensor) -> Tensor:
        above = y[:, None] - predicted
        levels = constants(self.levels, above.device)
        return (levels * above).maximum((levels - 1) * above)

    def of_training(self, loss: float, tally: float, n: int) -> dict[str, float]:
        return {"train_pinball": tally / n}

    def scores(self, outputs: Tensor, y: Tensor, metric: str | None) -> dict[str, float]:
        predicted, wanted, names = self.predictions(outputs), y.cpu().numpy(), names_of("quantiles")
        if not np.isfinite(predicted).all():
            return dict.fromkeys(names, math.nan)
        return {name: measure(name, wanted, predicted, levels=self.levels) for name in names}

    def predictions(self, outputs: Tensor) -> NDArray[Any]:
        """The quantiles, (n, n_levels), in ascending order."""
        numbers: NDArray[Any] = outputs.double().cpu().numpy() * self.std + self.mean
        return np.sort(numbers, axis=1)

    def to_json(self) -> dict[str, Any]:
        return {**Number(self.mean, self.std, self.offset).to_json(), "quantiles": self.levels}


Target = Classes | Number | Quantiles


def levels_of(target: Target) -> tuple[float, ...] | None:
    """The levels of quantiles; None for another target."""
    return target.levels if isinstance(target, Quantiles) else None


def target_from_json(fields: Mapping[str, Any]) -> Target:
    """The target among the fields of preprocessing.json."""
    if "classes" in fields:
        return Classes(tuple(fields["classes"]))
    mean, std, offset = fields["target_mean"], fields["target_std"], fields["target_offset"]
    if "quantiles" in fields:
        return Quantiles(mean, std, tuple(fields["quantiles"]), offset)
    return Number(mean, std, offset)
