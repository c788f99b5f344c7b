"""Protocols between tasks and trainings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from automl.data.pairs import Pairs
    from automl.data.splits import Splits
    from automl.task import Epoch


class Resumable(Protocol):
    """A training that runs epoch by epoch, with checkpoints."""

    epoch: int  # number of epochs done

    def next_epoch(self) -> "Epoch": ...
    def save(self, folder: Path) -> None: ...
    def restore(self, folder: Path) -> None: ...


class TrainedTask(Protocol):
    """What all trainings read of a task: names, sizes and the metric."""

    @property
    def name(self) -> str: ...
    @property
    def max_epochs(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def train_size(self) -> int | None: ...
    def family(self, config: Mapping[str, Any]) -> str: ...
    def begin(self, config: Mapping[str, Any], seed: int, device: "torch.device") -> Resumable: ...


class SupervisedTask(TrainedTask, Protocol):
    """Labelled examples, in a view that may depend on the model family."""

    @property
    def with_valid(self) -> bool: ...
    def data_of(self, family: str) -> str: ...


class FoldsTask(Protocol):
    """Data whose training and validation set are cross-validated."""

    @property
    def max_epochs(self) -> int: ...  # the number of folds
    @property
    def metric(self) -> str: ...
    @property
    def max_seconds(self) -> float | None: ...  # limit for all folds of a configuration
    @property
    def seconds_left(self) -> float | None: ...  # of the search, when the training begins or resumes
    @property
    def aborts_if_late(self) -> bool: ...  # whether a training that cannot end in time is aborted
    @property
    def keeps_models(self) -> bool: ...  # whether models scored on the validation set are kept
    @property
    def folds_how(self) -> str: ...  # random, group, duplicates, time, or empty
    def family(self, config: Mapping[str, Any]) -> str: ...
    def uses_out_of_bag(self, family: str) -> bool: ...  # predictions of one model in place of folds
    def is_bagged(self, family: str) -> bool: ...  # the models of the folds are kept and averaged
    def rows(self, family: str) -> "Splits": ...  # as the family reads them; training includes the validation set
    def folds(self) -> "NDArray[Any]": ...  # the fold of each row, (n,); negative: only trained on
    def overlaps(self) -> "NDArray[Any]": ...  # the newest fold that is partly predicted before a row's label is known
    def weights(self) -> "NDArray[Any] | None": ...  # row weights, (n,), mean 1; None: equal
    def groups(self) -> "NDArray[Any] | None": ...  # a number for the group of each row, (n,); None: no groups


class TranslationTask(TrainedTask, Protocol):
    """Pairs of texts. Sizes are in pairs, ``max_length`` in tokens."""

    @property
    def epoch_size(self) -> int | None: ...
    @property
    def valid_size(self) -> int | None: ...
    @property
    def test_size(self) -> int | None: ...
    @property
    def max_length(self) -> int: ...
    def pairs(self) -> "Pairs": ...


class LanguageTask(TrainedTask, Protocol):
    """One long text. Sizes are in characters."""

    @property
    def data(self) -> str: ...
    @property
    def epoch_size(self) -> int: ...
    @property
    def valid_size(self) -> int | None: ...
    @property
    def test_size(self) -> int | None: ...
