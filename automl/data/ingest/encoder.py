"""The interface of a kind of data: its rows and labels, and an encoder fitted to the training set."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.json_examples import Schema
from automl.data.ingest.split import SplitRows
from automl.data.inputs import Array, Inputs

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.ingest.request import Request

ENCODER = "encoder.json"
NOTES = "notes"  # attribute of a frame that was read: lines about its file
N_READ = "n_read"  # attribute of a frame of examples that are not one a row: the number of rows


@dataclass(frozen=True)
class Views:
    """The folders of the arrays that model families read, within that of the data, which is meant by an empty name."""

    usual: str = ""
    others: Mapping[str, str] = field(default_factory=dict)  # by family

    def of(self, family: str) -> str:
        return self.others.get(family, self.usual)

    @property
    def names(self) -> list[str]:
        return sorted({self.usual, *self.others.values()})


@dataclass(frozen=True)
class Feature:
    """A column of an encoder's array, or a channel."""

    name: str
    offset: float = 0.0  # subtracted from the numbers
    unit: float = 1.0  # by which the numbers were divided then
    categories: tuple[str, ...] = ()  # of the codes from 1 on


@dataclass
class LabelledRows:
    """Examples as read, before anything is fitted to them."""

    frame: pd.DataFrame  # the inputs
    labels: pd.Series[Any]
    target: str  # the label's name
    keys: NDArray[Any]  # one value per row, equal for equal examples
    notes: list[str] = field(default_factory=list)  # notes and warnings for the report
    times: NDArray[Any] | None = None  # to split by, if requested
    groups: NDArray[Any] | None = None
    group_name: str = ""
    parts: SplitRows | None = None  # if the data come with a test set
    details: dict[str, Any] = field(default_factory=dict)  # what the encoder needs from reading
    weights: NDArray[np.float32] | None = None  # how much each row counts
    offset: float | None = None  # of the target, if it is an input too; None: as ``offset_of`` finds
    formats: Mapping[str, Any] = field(default_factory=dict)  # as of ``request.formats``
    lost: Mapping[str, int] = field(default_factory=dict)  # values per column of numbers that could not be read
    overlaps: NDArray[np.int64] | None = None  # per row: the newest one predicted before its label is known


class Reader(ABC):
    """Reads new examples for a model; stored with the model, as JSON."""

    kind: ClassVar[str]
    views: ClassVar[Views] = Views()
    id_columns: tuple[str, ...] = ()  # columns that identify an example in a frame; empty: the row number
    prediction_id_columns: tuple[str, ...] = ()  # those that identify a prediction, if not one per record

    @abstractmethod
    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    @abstractmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self: ...

    @abstractmethod
    def as_frame(self, examples: Any) -> pd.DataFrame:
        """New examples as a frame, from a file's path, a frame or a list."""

    def unusable(self, frame: pd.DataFrame) -> Mapping[str, int]:
        """The number of present values per column of a frame that count as missing."""
        return {}

    def new_categories(self, frame: pd.DataFrame) -> Mapping[str, Mapping[str, int]]:
        """The categories that the training data lack and their number of rows, most first, by column."""
        return {}

    @property
    def strict(self) -> Collection[str]:
        """The columns of numbers and dates, in which a value that cannot be read is an error of the file."""
        return ()

    @abstractmethod
    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        """Examples parsed from JSON, as a frame like that of ``as_frame``. Strings are never treated as paths.

        UserError naming the first example that does not match ``record_schema``.
        """

    @abstractmethod
    def record_schema(self) -> Schema:
        """The JSON schema of an example."""

    def readable(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows of ``as_frame`` or ``frames`` can be read, (n,); the others get no prediction."""
        return np.ones(len(frame), bool)

    @property
    def about_predictions(self) -> str | None:
        """A line that explains the predictions for a file; None if none is needed."""
        return None

    def without_prediction(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows of ``as_frame`` or ``frames`` can be read but have no prediction, (n,)."""
        return np.zeros(len(frame), bool)

    @property
    def why_none(self) -> str:
        """Which examples have no prediction, in words that follow the noun."""
        return "that cannot be read"

    def frames(self, path: Path, unusable: Counter[str]) -> Iterator[pd.DataFrame]:
        """The examples of a file as frames; a file of rows is read in chunks.

        ``unusable``: incremented, by column, by the number of values that are present but treated as missing.
        Lines about the file, if there are any, are in ``attrs[NOTES]`` of a frame; see also N_READ.
        """
        yield self.as_frame(path)

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the encoder, with other facts needed to use the model."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"kind": self.kind, **facts, **self.to_json()}
        (folder / ENCODER).write_text(json.dumps(content) + "\n", encoding="utf-8")


class Encoder(Reader):
    """Encodes raw examples as arrays; fitted to the training set."""

    @classmethod
    @abstractmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        """Fit to the rows of the training set, with the ``LabelledRows.details``."""

    @abstractmethod
    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        """An array (n, ...) for each view."""

    @abstractmethod
    def labelled(self, request: Request) -> LabelledRows:
        """New labelled rows for an existing model, in the form that ``read`` returns.

        ``read`` infers from the file which columns are inputs; an encoder keeps the earlier decision.
        """

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns or channels of the usual view, if they have names."""
        return ()

    def places(self, view: str) -> Mapping[str, slice]:
        """Where each column of a file is on the second axis of a view; empty if it has none."""
        return {}

    @abstractmethod
    def inputs(self, view: str, x: Array) -> Inputs:
        """The inputs of a view; ``x`` are the training examples."""


def n_different(keys: NDArray[Any]) -> int:
    """The number of distinct keys. On millions, sorting takes a twentieth of the time of np.unique."""
    ordered = np.sort(keys)
    return int(len(keys) > 0) + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def hashes(frame: pd.DataFrame) -> NDArray[Any]:
    """A hash per row, equal for equal rows."""
    import pandas as pd

    keys: NDArray[Any] = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return keys
