"""What every kind of the user's data becomes on its way to arrays: rows with labels, and an encoder fitted to some."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

ENCODERS = {  # kind of data -> module in this package, which has read(request), and its encoder
    "table": "table:TableEncoder",
    "text": "text:TextEncoder",
    "molecules": "molecules:MoleculesEncoder",
    "images": "images:ImagesEncoder",
    "sequences": "sequences:SequencesEncoder",
    "series": "series:SeriesEncoder",
    "pairs": "pairs:PairsEncoder",
}
ENCODER = "encoder.json"


@dataclass
class Rows:
    """Examples as read, before anything is learnt from them."""

    frame: pd.DataFrame  # what a model may know of an example
    labels: pd.Series[Any]
    target: str  # the label's name
    keys: NDArray[Any]  # a value a row, equal for equal examples
    notes: list[str] = field(default_factory=list)  # for the report; warnings among them
    times: NDArray[Any] | None = None  # to split by, where that is wanted
    groups: NDArray[Any] | None = None
    group_name: str = ""
    parts: SplitRows | None = None  # where the data have their own test part
    details: dict[str, Any] = field(default_factory=dict)  # what reading has found out for the encoder


class Reader(ABC):
    """New examples for a model; it lies beside the model, as JSON."""

    kind: ClassVar[str]
    views: ClassVar[Mapping[str, str]] = {}  # model family -> the arrays that it reads; empty: all read the same
    told_by: ClassVar[tuple[str, ...]] = ()  # columns of its frames that say which example it is; else its number does
    answers_by: ClassVar[tuple[str, ...]] = ()  # columns that say what a prediction is of, where it is not a record's

    @abstractmethod
    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    @abstractmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self: ...

    @abstractmethod
    def as_frame(self, examples: Any) -> pd.DataFrame:
        """New examples as rows like those that were read: from a file's path, a frame or a list."""

    @abstractmethod
    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        """Examples as JSON has them, as rows like those of ``as_frame``. No string in them is taken for a path.

        UserError naming the first example that is not as ``record_schema`` says.
        """

    @abstractmethod
    def record_schema(self) -> Schema:
        """What an example is in JSON."""

    def readable(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """(n,): which rows of ``as_frame`` or ``frames`` hold an example; the others have no prediction."""
        return np.ones(len(frame), bool)

    def frames(self, path: Path, strange: Counter[str]) -> Iterator[pd.DataFrame]:
        """The examples of a file, as rows of a frame; of a file of rows a part after the other.

        strange: to it is added by column how many values are there, but tell the model nothing.
        """
        yield self.as_frame(path)

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Writes it, with other facts that using the model needs."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"kind": self.kind, **facts, **self.to_json()}
        (folder / ENCODER).write_text(json.dumps(content) + "\n", encoding="utf-8")


class Encoder(Reader):
    """Raw examples to arrays, as learnt from the training part."""

    @classmethod
    @abstractmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        """From the rows of the training part, and the details that reading has found out."""

    @abstractmethod
    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        """An array (n, ...) for each view."""

    def labelled(self, request: Request) -> Rows:
        """New rows with labels, for a model that is there: as ``read`` gives them, whatever the new file's columns are.

        Where ``read`` decides by the file what a model may read, an encoder does as was decided before.
        """
        rows: Rows = kind_module(self.kind).read(request)
        return rows

    @property
    def names(self) -> tuple[str, ...]:
        """Of what the arrays hold, where each place of them has a name."""
        return ()

    @abstractmethod
    def inputs(self, view: str, x: Array) -> Inputs:
        """What the arrays of a view are; x are the training examples."""


def kind_module(kind: str) -> Any:
    """The module of a kind of data, with its function ``read``."""
    return importlib.import_module(f"automl.data.ingest.{ENCODERS[kind].partition(':')[0]}")


def encoder_class(kind: str) -> Any:
    """The encoder of a kind of data."""
    return getattr(kind_module(kind), ENCODERS[kind].partition(":")[2])


def load_encoder(folder: Path) -> tuple[Reader, dict[str, Any]]:
    """The encoder that was saved in a folder, and the facts beside it."""
    content = json.loads((folder / ENCODER).read_text(encoding="utf-8"))
    encoder: Reader = encoder_class(content["kind"]).from_json(content)
    return encoder, content


def n_different(keys: NDArray[Any]) -> int:
    """How many different keys there are. Of millions, sorting takes a twentieth of the time of np.unique."""
    ordered = np.sort(keys)
    return int(len(keys) > 0) + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def hashes(frame: pd.DataFrame) -> NDArray[Any]:
    """A number a row, equal for equal rows."""
    import pandas as pd

    keys: NDArray[Any] = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return keys
