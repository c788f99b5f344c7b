"""Pairs of texts as arrays for an encoder-decoder: vocabularies of both sides, learnt from the training part."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.data import load_parts
from automl.data.parts import shuffled
from automl.data.tokens import BEGIN, END, FILLING
from automl.data.vocabularies import Subwords, Symbols, Vocabulary

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """The training part as (n, length) tokens; of the other parts the sources as tokens, and the wanted texts."""

    source: Vocabulary
    target: Vocabulary
    train_source: Rows  # each ends with END, as far as it is not cut off
    train_target: Rows  # each begins with BEGIN and ends with END
    valid_source: Rows
    valid_wanted: list[tuple[str, ...]]  # all texts that are right
    test_source: Rows
    test_wanted: list[tuple[str, ...]]


@functools.lru_cache(maxsize=2)
def load_pairs(data: str, subwords: int, max_length: int, train_size: int | None) -> Pairs:
    """The pairs of a data set of automl.data, with `subwords` parts of words a side, or with symbols where that is 0.

    max_length: tokens of a sequence, the special ones included; what is longer is cut off.
    """
    parts = load_parts(data)
    train = parts.train
    if train_size is not None:
        train = train.take(sorted(shuffled(len(train))[:train_size]))
    wanted = [one_or_more(part.y) for part in (train, parts.valid, parts.test)]
    given = [text for text, right in zip(train.x, wanted[0], strict=True) for _ in right]
    told = [text for right in wanted[0] for text in right]
    source = Subwords.fitted(given, subwords) if subwords else Symbols.fitted(given, "")
    target = Subwords.fitted(told, subwords) if subwords else Symbols.fitted(told, " ")
    return Pairs(
        source,
        target,
        rows(source, given, max_length),
        rows(target, told, max_length, first=(BEGIN,)),
        rows(source, parts.valid.x, max_length),
        wanted[1],
        rows(source, parts.test.x, max_length),
        wanted[2],
    )


def one_or_more(texts: Sequence[str | tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(text,) if isinstance(text, str) else text for text in texts]


def rows(vocabulary: Vocabulary, texts: Sequence[str], max_length: int, first: tuple[int, ...] = ()) -> Rows:
    """(n, longest): the numbers of each text's tokens with END behind them."""
    numbers = [[*first, *vocabulary.encode(text), END][:max_length] for text in texts]
    filled = np.full((len(numbers), max(map(len, numbers), default=0)), FILLING, np.int64)
    for row, found in zip(filled, numbers, strict=True):
        row[: len(found)] = found
    return filled
