"""Raw examples of a data set in a fixed split: texts, pairs, molecules, series or frames."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np

from automl.data.splits import SPLIT_SEED, Indices, stratified
from automl.data.targets import Classes, Labels
from automl.errors import UserError

T = TypeVar("T")
X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(frozen=True)
class Parts(Generic[T]):
    """The training set, validation set and test set."""

    train: T
    valid: T
    test: T


@dataclass(frozen=True)
class Examples(Generic[X, Y]):
    """Inputs x[i] and targets y[i]: a label, a value, a translation."""

    x: list[X]
    y: list[Y]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: Iterable[int]) -> "Examples[X, Y]":
        chosen = list(indices)
        return Examples([self.x[i] for i in chosen], [self.y[i] for i in chosen])


def without_repeats(examples: Examples[X, Y], seen: Iterable[X] = ()) -> Examples[X, Y]:
    """The examples whose x is neither in ``seen`` nor a repetition, in order. Each x must be hashable."""
    known: set[Hashable] = set(seen)
    kept = []
    for i, x in enumerate(examples.x):
        if x not in known:
            known.add(x)
            kept.append(i)
    return examples.take(kept)


def hold_out(examples: Examples[X, str], n_valid: int, test: Examples[X, str]) -> Parts[Examples[X, str]]:
    """Hold out a stratified validation set of n_valid labelled examples; both sets keep the given order."""
    _, labels = np.unique(examples.y, return_inverse=True)
    valid, train = stratified(labels, n_valid)
    return Parts(examples.take(sorted(train)), examples.take(sorted(valid)), test)


def take_examples(given: T, n: int, *, labelled: bool) -> T:
    """n of the examples: the beginning of a text, a stratified sample if y are classes or numbers, else random ones."""
    if isinstance(given, str):
        return cast(T, given[:n])
    if not isinstance(given, Examples):
        raise UserError("a time series cannot be subsampled; leave train_size out")
    if labelled or isinstance(given.y[0], float):
        # Numbers as networks read them: some that differ in float64 are equal in float32.
        labels = np.array(given.y, None if labelled else np.float32)
        _, places = np.unique(labels, return_inverse=True)
        return cast(T, given.take(stratified(places, n)[0]))
    return cast(T, given.take(sorted(shuffled(len(given))[:n])))


def shuffled(n: int) -> Indices:
    """A fixed permutation of 0 to n - 1."""
    return np.random.default_rng(SPLIT_SEED).permutation(n)


def numbered_classes(parts: Parts[Examples[X, str]]) -> tuple[Parts[Labels], Classes]:
    """The labels as indices into the sorted class names."""
    examples = (parts.train, parts.valid, parts.test)
    names = sorted({label for part in examples for label in part.y})
    place = {name: i for i, name in enumerate(names)}
    return Parts(*(np.array([place[label] for label in part.y], np.int64) for part in examples)), Classes(tuple(names))
