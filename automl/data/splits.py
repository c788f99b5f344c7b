"""Fixed train, validation and test parts of a data set, and how they are drawn."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automl.data import check_train_size

Array = NDArray[np.float32] | NDArray[np.uint8]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

SPLIT_SEED = 0  # the validation part is the same in every study, so that results of studies can be compared


@dataclass(frozen=True)
class Splits:
    """Raw examples (n, channels, ...) and labels 0 .. n_classes - 1; mean and std are those of the training part."""

    x_train: Array
    y_train: Labels
    x_valid: Array
    y_valid: Labels
    x_test: Array
    y_test: Labels
    classes: tuple[str, ...]
    mean: tuple[float, ...]  # one per channel
    std: tuple[float, ...]

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, channels first."""
        return self.x_train.shape[1:]


def make_splits(
    x: Array, y: Labels, x_test: Array, y_test: Labels, *, n_valid: int, classes: tuple[str, ...]
) -> Splits:
    """Holds a stratified validation part of n_valid examples out of (x, y)."""
    valid, train = stratified(y, n_valid)
    mean, std = channel_statistics(x[train])
    return Splits(x[train], y[train], x[valid], y[valid], x_test, y_test, classes, mean, std)


def take_train(splits: Splits, train_size: int) -> Splits:
    """The same splits with a stratified part of the training examples, and that part's statistics."""
    check_train_size(train_size, splits.n_classes, len(splits.y_train))
    kept, _ = stratified(splits.y_train, train_size)
    mean, std = channel_statistics(splits.x_train[kept])
    return replace(splits, x_train=splits.x_train[kept], y_train=splits.y_train[kept], mean=mean, std=std)


def stratified(y: Labels, n: int) -> tuple[Indices, Indices]:
    """Indices of n random examples and of the rest, in random order; each class has its share to within one example."""
    rng = np.random.default_rng(SPLIT_SEED)
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    # Evenly spaced places among the examples sorted by class give every class its share, and exactly n in all.
    chosen = np.zeros(len(y), dtype=bool)
    chosen[by_class[np.arange(n) * len(y) // n]] = True
    return order[chosen[order]], order[~chosen[order]]


def channel_statistics(x: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of (n, channels, ...)."""
    axes = (0, *range(2, x.ndim))
    mean, std = x.mean(axes, dtype=np.float64), x.std(axes, dtype=np.float64)
    return tuple(map(float, mean)), tuple(map(float, np.maximum(std, 1e-6)))
