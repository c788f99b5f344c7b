"""A model family trained to classify a data set: the shape of all built-in tasks so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.data import SOURCES, check_train_size, source_module
from automl.tasks.base import Epoch

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


@dataclass(frozen=True)
class Classification:
    """Names its data and model instead of holding them, so that it travels lightly and loads them where it trains."""

    name: str
    data: str  # a key of automl.data.SOURCES
    model: str  # one of automl.models.FAMILIES
    space: "ConfigurationSpace"
    max_epochs: int
    train_size: int | None = None  # None: the whole training part
    resumable: bool = True
    metric: str = "accuracy"
    maximize: bool = True

    def prepared(self, train_size: int | None) -> "Classification":
        """This task on part of the training examples, its data being on this machine (else DataMissing)."""
        source = SOURCES[self.data]
        source_module(self.data).fetch(download=False)
        if train_size is not None:
            check_train_size(train_size, source.n_classes, source.n_train)
        return replace(self, train_size=train_size)

    def prepare(self) -> None:
        """Load what a first training would have to load, so that it does not count as the training's time."""
        from automl.data import load_data
        from automl.training import train  # noqa: F401

        load_data(self.data, self.train_size)

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        from automl.training import train

        return train(self, config, seed=seed, epochs=epochs, checkpoint=checkpoint, device=device)

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        from automl.training import evaluate

        return evaluate(self, checkpoint, device=device)

    def export(self, checkpoint: Path, out: Path) -> None:
        """Write the model of a checkpoint into a folder of its own: weights, config, preprocessing."""
        from automl.training import export_model

        export_model(checkpoint, out)
