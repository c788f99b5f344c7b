"""Supervised tasks: most built-in tasks and those on the user's own data."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.metrics import names_of
from automl.models import ESTIMATORS
from automl.task import Epoch, TrainingFailed
from automl.tasks.built_in import BuiltIn

if TYPE_CHECKING:
    import torch

    from automl.training.base import Training
    from automl.tuning.jobs import Job


@dataclass(frozen=True)
class Supervised(BuiltIn):
    """``model``: one of automl.models.NETWORKS or ESTIMATORS."""

    with_valid: bool = False  # train on the validation set too; validation scores are then meaningless

    def data_of(self, family: str) -> str:
        """The name of the data for a family, as `load_data` takes it."""
        return self.data

    def prepare(self) -> None:
        from automl.data.datasets.registry import load_data
        from automl.training.base import train  # noqa: F401

        load_data(self.data, self.train_size)

    def begin(self, config: Mapping[str, Any], seed: int, device: "torch.device") -> "Training":
        import torch

        if self.family(config) in ESTIMATORS:
            from automl.training.estimator import EstimatorTraining

            return EstimatorTraining(self, config, seed, torch.device("cpu"))
        from automl.training.network import NetworkTraining

        return NetworkTraining(self, config, seed, device)

    def lane_key(self, config: Mapping[str, Any]) -> Hashable | None:
        """The key that trainings must have in common to share a program; None: the config is trained alone."""
        if self.family(config) in ESTIMATORS:
            return None
        from automl.training.lanes import lane_key

        return lane_key(self, config)

    def train_lanes(
        self, lanes: "Sequence[Job]", *, device: str, is_stopped: Callable[[int], bool] = lambda key: False
    ) -> Iterator[tuple[int, Epoch | TrainingFailed]]:
        """Like ``train``, for several trainings of one shape.

        Yields a training's key with each new epoch, or with its failure. ``is_stopped``: called with a key before each
        epoch; True ends that training.
        """
        from automl.training.lanes import train_lanes

        return train_lanes(self, lanes, device=device, is_stopped=is_stopped)

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        from automl.training.base import evaluate

        return evaluate(self, checkpoint, device=device)

    def export(self, checkpoint: Path, out: Path) -> None:
        from automl.training.base import export_model

        export_model(checkpoint, out)
        self.export_rest(out)

    def export_rest(self, out: Path) -> None:
        """Write what a model of this task needs besides its own files."""
        from automl.data.datasets.registry import source_module

        out.mkdir(parents=True, exist_ok=True)
        encoder = getattr(source_module(self.data), "encoder", None)
        if encoder is not None:
            encoder().save(out, {"target": "value" if self.metric in names_of("number") else "class"})


@dataclass(frozen=True)
class Classification(Supervised):
    """The target is one of several classes; the search maximises the accuracy."""

    metric: str = "accuracy"


@dataclass(frozen=True)
class Regression(Supervised):
    """The target is a number; the search minimises the root mean squared error."""

    metric: str = "rmse"
