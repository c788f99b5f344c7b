"""The training, validation and test set of a data set, and stratified sampling."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array, Columns, Dense, Inputs, Texts
from automl.data.targets import Classes, Labels, Target
from automl.errors import UserError

Indices = NDArray[np.int64]

SPLIT_SEED = 0  # the validation set is the same in every study, so that studies can be compared


@dataclass(frozen=True)
class Splits:
    """Raw examples (n, ...) and labels (n,) of the three sets, with the training set's statistics of both."""

    x_train: Array
    y_train: Labels
    x_valid: Array
    y_valid: Labels
    x_test: Array
    y_test: Labels
    inputs: Inputs  # the kind of the examples
    target: Target  # the kind of the labels

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names; empty if the target is a number."""
        return self.target.names

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
    """Splits of dense (x, y), with a stratified validation set of n_valid examples held out."""
    valid, train = stratified(y, n_valid)
    return Splits(x[train], y[train], x[valid], y[valid], x_test, y_test, Dense.of(x[train]), Classes(classes))


def take_train(splits: Splits, train_size: int) -> Splits:
    """The same splits with a stratified sample of the training set, and its statistics."""
    check_train_size(train_size, splits.n_classes, len(splits.y_train))
    kept, _ = stratified(splits.y_train, train_size)
    x, y = splits.x_train[kept], splits.y_train[kept]
    return replace(splits, x_train=x, y_train=y, inputs=splits.inputs.refitted(x), target=splits.target.refitted(y))


def with_valid_in_train(splits: Splits) -> Splits:
    """The same splits with the validation set appended to the training set, and their joint statistics."""
    x, y = (
        np.concatenate([splits.x_train, splits.x_valid]),
        np.concatenate([splits.y_train, splits.y_valid]),
    )
    return replace(splits, x_train=x, y_train=y, inputs=splits.inputs.refitted(x), target=splits.target.refitted(y))


def train_read(splits: Splits, read: Callable[[Array], Any]) -> Splits:
    """The same splits with the training examples as a learner reads them; rows of numbers become a table.

    ``read``: see ``automl.models.learners.base.Learner``.
    """
    x = read(splits.x_train)
    if x is splits.x_train or isinstance(splits.inputs, Columns | Texts):
        return replace(splits, x_train=x)
    steps = splits.shape[-1] if len(splits.shape) == 2 else None
    return replace(splits, x_train=x, inputs=Columns.of(x, (), steps))


def stratified(y: Labels, n: int) -> tuple[Indices, Indices]:
    """Indices of n examples and of the rest, in random order.

    They are drawn at random within each class, which has its share to within one example. Of numbers, every m-th in
    sorted order is taken, from the lowest on, which is good enough for examples to train on; to judge models on, use
    ``held_out``.
    """
    order, by_class = _orders(y)
    # Evenly spaced positions among the examples sorted by class give every class its share, and exactly n in total.
    return _split(order, by_class[np.arange(n) * len(y) // n])


def held_out(y: Labels, n: int) -> tuple[Indices, Indices]:
    """Indices of n random examples to judge models on and of the rest, in random order; stratified.

    One number of each range is drawn. If it were always the lowest, the highest number of all would never be held out,
    and for a long-tailed target errors would be too low. The draw depends on the order of the examples.
    """
    if not n or not np.issubdtype(y.dtype, np.floating):
        return stratified(y, n)
    order, by_value = _orders(y)
    place = np.empty(len(y), np.int64)
    place[order] = np.arange(len(y))
    first = np.minimum.reduceat(place[by_value], np.arange(n) * len(y) // n)  # the first of each range in random order
    return _split(order, order[first])


def _orders(y: Labels) -> tuple[Indices, Indices]:
    """The examples in random order, and sorted by class or number, equal ones in random order."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(y))
    return order, order[np.argsort(y[order], kind="stable")]


def _split(order: Indices, chosen: Indices) -> tuple[Indices, Indices]:
    """The chosen examples and the others, in the given order."""
    is_chosen = np.zeros(len(order), dtype=bool)
    is_chosen[chosen] = True
    return order[is_chosen[order]], order[~is_chosen[order]]


def check_train_size(train_size: int, n_classes: int, n_train: int) -> None:
    least = max(n_classes, 2)
    if not least <= train_size <= n_train:
        why = "one example per class" if n_classes else "two examples"
        raise UserError(
            f"the number of training examples must be between {least} ({why}) and {n_train:,} (all of them), "
            f"got {train_size:,}; leave it out to use all"
        )
