"""Pairs of sentences: from those of one column to those of another, as in translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from automl.data.inputs import Array, Inputs, Tokens
from automl.data.sentences import END, Sentences
from automl.data.targets import Target
from automl.errors import UserError
from automl.own import rows
from automl.own.labels import Labelled
from automl.own.reading import column_names, read_table
from automl.own.request import Request, column
from automl.own.text import as_texts, column_frame
from automl.own.tokens import longest, sentence_tokenizer, token_ids

if TYPE_CHECKING:
    import pandas as pd
    from tokenizers import Tokenizer

MAX_TOKENS = 128  # of a sentence; what comes behind them is not read


class Encoder(rows.Encoder):
    """Tokens of both languages, each with a tokenizer of its own."""

    kind = "pairs"
    views: ClassVar = dict.fromkeys(("transformer", "rnn"), "tokens")

    def __init__(
        self, source: str, into: str, tokenizers: tuple[Tokenizer, Tokenizer], lengths: tuple[int, int]
    ) -> None:
        self.source, self.into, self.tokenizers, self.lengths = source, into, tokenizers, lengths

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        source, into = details["source"], details["into"]
        sides = [frame[name].tolist() for name in (source, into)]
        one, other = (sentence_tokenizer(side) for side in sides)
        n_source, n_into = (min(MAX_TOKENS, longest(t, side) + 1) for t, side in zip((one, other), sides, strict=True))
        return cls(source, into, (one, other), (n_source, n_into))

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        return {"tokens": with_ends(self.tokenizers[0], as_texts(frame, self.source), self.lengths[0])}

    def inputs(self, view: str, x: Array) -> Inputs:
        return Tokens(self.lengths[0], self.tokenizers[0].get_vocab_size())

    def labels(self, frame: pd.DataFrame, y: NDArray[Any]) -> NDArray[Any]:
        return with_ends(self.tokenizers[1], frame[self.into].tolist(), self.lengths[1])

    def target(self, labelled: Labelled, y_train: NDArray[Any]) -> Target:
        return Sentences(self.tokenizers[1].to_str(), self.lengths[1], self.tokenizers[1].get_vocab_size())

    def to_json(self) -> dict[str, Any]:
        texts = [tokenizer.to_str() for tokenizer in self.tokenizers]
        return {"source": self.source, "into": self.into, "tokenizers": texts, "lengths": self.lengths}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        from tokenizers import Tokenizer

        one, other = (Tokenizer.from_str(text) for text in content["tokenizers"])
        n_source, n_into = content["lengths"]
        return cls(content["source"], content["into"], (one, other), (n_source, n_into))

    def as_frame(self, examples: Any) -> pd.DataFrame:
        return column_frame(examples, self.source)


def read(request: Request) -> rows.Rows:
    """The pairs of a table, without those of which a side is empty."""
    names = column_names(request.path)
    if request.source is None or request.into is None:
        raise UserError(f"pairs need --source COLUMN and --into COLUMN; the file has: {', '.join(names[:20])}")
    column(request.source, names, "--source")
    column(request.into, names, "--into")
    wanted = [request.source, request.into]
    table = read_table(request.path, columns=wanted, texts=wanted)
    frame = table.frame.fillna("").apply(lambda side: side.str.strip())
    whole = (frame != "").all(axis=1)
    if not whole.all():
        table.notes.append(f"{(~whole).sum():,} pairs without one of their sides are left out")
    frame = frame[whole].reset_index(drop=True)
    return rows.Rows(
        frame,
        frame[request.into],
        request.into,
        rows.hashes(frame[[request.source]]),
        table.notes,
        details={"source": request.source, "into": request.into},
    )


def with_ends(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> NDArray[Any]:
    """(n, length): tokens and an END; of a sentence too long, as many as fit."""
    ids = token_ids(tokenizer, texts, length)
    ends = (ids != 0).sum(1).clip(max=length - 1)
    ids[range(len(ids)), ends] = END
    return ids
