"""Pairs of texts as arrays for an encoder-decoder, with vocabularies of both sides from the training set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.examples import Examples, Parts
from automl.data.memory_map import read_array, reading
from automl.data.tokens import BEGIN, END, PADDING
from automl.data.vocabularies import Subwords, Symbols, Vocabulary, vocabulary_from_json

Rows = NDArray[np.int64]

ARRAYS = ("train_source", "train_target", "valid_source", "test_source")
REST = "pairs.json"


@dataclass(frozen=True)
class Pairs:
    """The training set as token ids (n, length); for validation and test, source token ids and reference texts."""

    source: Vocabulary
    target: Vocabulary
    train_source: Rows  # each ends with END, unless truncated
    train_target: Rows  # each begins with BEGIN and ends with END
    valid_source: Rows
    valid_references: list[tuple[str, ...]]  # all references
    test_source: Rows
    test_references: list[tuple[str, ...]]

    @property
    def length(self) -> int:
        """Tokens of the longest training sequence, on either side."""
        return int(max(self.train_source.shape[1], self.train_target.shape[1]))


def pairs_of(parts: Parts[Examples[str, Any]], subwords: int, max_length: int) -> Pairs:
    """Texts as tokens, with a vocabulary of `subwords` per side, or of symbols if that is 0.

    ``max_length``: tokens to which a sequence is truncated, including special tokens.
    """
    train = parts.train
    wanted = [one_or_more(part.y) for part in (train, parts.valid, parts.test)]
    given = [text for text, right in zip(train.x, wanted[0], strict=True) for _ in right]
    references = [text for right in wanted[0] for text in right]
    source = Subwords.fitted(given, subwords) if subwords else Symbols.fitted(given, "")
    target = Subwords.fitted(references, subwords) if subwords else Symbols.fitted(references, " ")
    return Pairs(
        source,
        target,
        rows(source, given, max_length),
        rows(target, references, max_length, first=(BEGIN,)),
        rows(source, parts.valid.x, max_length),
        wanted[1],
        rows(source, parts.test.x, max_length),
        wanted[2],
    )


def write_pairs(pairs: Pairs, folder: Path) -> None:
    """Write one file per array, and the rest as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(pairs, name))
    rest = {
        "source": pairs.source.to_json(),
        "target": pairs.target.to_json(),
        "valid_wanted": pairs.valid_references,
        "test_wanted": pairs.test_references,
    }
    (folder / REST).write_text(json.dumps(rest) + "\n", encoding="utf-8")


def read_pairs(folder: Path) -> Pairs:
    """Read what write_pairs wrote. Blocked, naming the file, if one is missing or damaged."""
    arrays = {name: read_array(folder / f"{name}.npy") for name in ARRAYS}
    with reading(folder / REST) as file:
        rest = json.loads(file.read_text(encoding="utf-8"))
        return Pairs(
            source=vocabulary_from_json(rest["source"]),
            target=vocabulary_from_json(rest["target"]),
            valid_references=[tuple(texts) for texts in rest["valid_wanted"]],
            test_references=[tuple(texts) for texts in rest["test_wanted"]],
            **arrays,
        )


def one_or_more(texts: Sequence[str | tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(text,) if isinstance(text, str) else text for text in texts]


def rows(vocabulary: Vocabulary, texts: Sequence[str], max_length: int, first: tuple[int, ...] = ()) -> Rows:
    """The token ids of each text, followed by END, (n, longest)."""
    numbers = [[*first, *vocabulary.encode(text), END][:max_length] for text in texts]
    filled = np.full((len(numbers), max(map(len, numbers), default=0)), PADDING, np.int64)
    for row, found in zip(filled, numbers, strict=True):
        row[: len(found)] = found
    return filled
