"""Pairs of texts, from one column to another, as in translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from automl.data.examples import Examples, Parts
from automl.data.ingest import encoder
from automl.data.ingest.read_table import column_names, read_table
from automl.data.ingest.request import Request, column, listed
from automl.data.ingest.split_columns import groups_and_times
from automl.data.ingest.string_column import StringReader, unread
from automl.data.pairs import Pairs, pairs_of
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MAX_LENGTH = 128  # tokens; longer texts are truncated
FEW, MANY = 2_000, 8_000  # vocabulary size per side, for few and for many pairs
MANY_PAIRS = 20_000


class PairsEncoder(StringReader):
    """Reads the source column; the translator tokenizes it."""

    kind = "pairs"

    def __init__(self, source: str) -> None:
        self.name = source

    def to_json(self) -> dict[str, Any]:
        return {"source": self.name}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(content["source"])


def read(request: Request) -> encoder.LabelledRows:
    """The pairs of a table, without those with an empty side."""
    names = column_names(request.path)
    if request.source is None or request.into is None:
        raise UserError(f"pairs need --source COLUMN and --into COLUMN; the file has: {listed(names)}")
    column(request.source, names, "--source")
    column(request.into, names, "--into")
    wanted = [request.source, request.into]
    table = read_table(request.path, columns=wanted, texts=wanted)
    table.notes.extend(unread(names, [*wanted, request.group, request.time]))
    frame = table.frame.fillna("").apply(lambda side: side.str.strip())
    whole = (frame != "").all(axis=1).to_numpy()
    if not whole.all():
        table.notes.append(f"{(~whole).sum():,} pairs with an empty side are left out")
    frame = frame[whole].reset_index(drop=True)
    groups, times, _ = groups_and_times(request, table.notes)
    return encoder.LabelledRows(
        frame,
        frame[request.into],
        request.into,
        encoder.hashes(frame[[request.source]]),
        table.notes,
        None if times is None else times[whole],
        None if groups is None else groups[whole],
        f"column {request.group!r}",
        details={"source": request.source},
    )


def encoded(frames: Sequence[pd.DataFrame], source: str, into: str) -> Pairs:
    """The rows of the three sets as tokens, truncated to the longest text of the training set."""
    parts = Parts(*(Examples(frame[source].tolist(), frame[into].tolist()) for frame in frames))
    pairs = pairs_of(parts, FEW if len(parts.train) < MANY_PAIRS else MANY, MAX_LENGTH)
    length = pairs.length
    return replace(pairs, valid_source=pairs.valid_source[:, :length], test_source=pairs.test_source[:, :length])
