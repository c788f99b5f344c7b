"""Where each data set comes from: one file a source, all with the same functions."""

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from automl.errors import UserError

if TYPE_CHECKING:
    from automl.data.splits import Splits


class DataMissing(UserError):
    """A data set is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Source:
    """What is known about a data set without loading it."""

    description: str
    module: str
    n_classes: int  # 0 where the target is a number
    n_train: int
    n_valid: int
    n_test: int


class SourceModule(Protocol):
    def where(self) -> str: ...  # DataMissing when they are not on this machine
    def fetch(self, *, download: bool) -> str: ...  # puts them where load looks, tells what was done; or DataMissing
    def load(self) -> "Splits": ...


SOURCES = {
    "mnist1d": Source("signals of 40 steps", "mnist1d", 10, 3_200, 800, 1_000),
    "digits": Source("8x8 digits", "digits", 10, 1_077, 360, 360),
    "fashion-mnist": Source("28x28 clothes", "fashion_mnist", 10, 55_000, 5_000, 10_000),
}


def source_module(name: str) -> SourceModule:
    return cast(SourceModule, importlib.import_module(f"automl.data.{SOURCES[name].module}"))


@functools.cache
def load_data(name: str, train_size: int | None) -> "Splits":
    """The splits of a data set, loaded once per process; train_size takes a stratified part of the training split.

    name: one of SOURCES, or the folder in which `automl.data.prepared` has put the user's own data.
    """
    from automl.data.prepared import read_prepared
    from automl.data.splits import take_train

    if train_size is not None:
        return take_train(load_data(name, None), train_size)
    return source_module(name).load() if name in SOURCES else read_prepared(Path(name))


def check_train_size(train_size: int, n_classes: int, n_train: int) -> None:
    least = max(n_classes, 2)
    if not least <= train_size <= n_train:
        why = "one example a class" if n_classes else "two examples"
        raise UserError(
            f"train_size must be between {least} ({why}) and {n_train:,} (the whole training part), "
            f"got {train_size:,}; leave it out to train on everything"
        )
