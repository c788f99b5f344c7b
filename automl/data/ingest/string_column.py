"""Examples that are one string each, in a column of a table: shared by texts, molecules and pairs of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import encoder
from automl.data.ingest.columns import texts_of
from automl.data.ingest.file_formats import open_source
from automl.data.ingest.json_examples import Schema, as_strings, strings_schema
from automl.data.ingest.read_table import check_there, column_names, read_table
from automl.data.ingest.request import Request, column, listed, spelled_target, target_classes
from automl.data.ingest.tokenizers import load_tokenizer, token_ids
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from tokenizers import Tokenizer


class StringReader(encoder.Reader):
    """Reads a column of strings. ``name``: of the column."""

    name: str

    def as_frame(self, examples: Any) -> pd.DataFrame:
        return column_frame(examples, self.name)

    def frames(self, path: Path, unusable: Counter[str]) -> Iterator[pd.DataFrame]:
        yield from open_source(path).chunks(written=[self.name])

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        return column_frame(as_strings(records, self.name), self.name)

    def record_schema(self) -> Schema:
        return strings_schema(self.name)


class StringEncoder(StringReader, encoder.Encoder):
    """Encodes strings as tokens. ``name``: of the column; ``length``: tokens to which an example is truncated."""

    role: ClassVar[str]  # the key of the column's name in the saved encoder

    def __init__(self, name: str, tokenizer: Tokenizer, length: int) -> None:
        self.name, self.tokenizer, self.length = name, tokenizer, length

    @property
    def n_ids(self) -> int:
        """Number of token ids, including padding and unknown."""
        return int(self.tokenizer.get_vocab_size())

    def ids(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The token ids of each text, (n, length), truncated or padded."""
        return token_ids(self.tokenizer, texts, self.length)

    def to_json(self) -> dict[str, Any]:
        return {self.role: self.name, "tokenizer": self.tokenizer.to_str(), "length": self.length}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(content[cls.role], load_tokenizer(content["tokenizer"]), content["length"])


def text_and_labels(
    request: Request, text: str, option: str, names: list[str]
) -> tuple[pd.DataFrame, pd.Series[Any], Mapping[str, str], list[str]]:
    """A column of strings (empty if missing) and the target, with the file's decimal signs and notes on it."""
    column(text, names, option)
    if request.target is None:
        raise UserError(f"no target column given: --target NAME; the file has: {listed(names)}")
    column(request.target, names, "--target")
    wanted = [text, request.target]
    table = read_table(
        request.path,
        columns=wanted,
        texts=[text],
        numeric=spelled_target(request),
        decimals=request.decimals,
        classes=target_classes(request),
    )
    table.notes.extend(unread(names, [*wanted, request.group, request.time]))
    return table.frame[[text]].fillna(""), table.frame[request.target], table.decimals, table.notes


def unread(names: Sequence[str], used: Sequence[str | None]) -> list[str]:
    """A note on columns that are not used, if there are any."""
    others = [name for name in names if name not in used]
    shown = ", ".join(others[:10]) + (", ..." if len(others) > 10 else "")
    return [f"columns not used: {shown}"] if others else []


def as_texts(frame: pd.DataFrame, name: str) -> list[str]:
    """A column as strings, empty if missing. UserError if there is no such column."""
    check_there(frame.columns, [name])
    return texts_of(frame[name])


def column_frame(examples: Any, name: str) -> pd.DataFrame:
    """Examples that are one string each, from a file's path, a frame or a list, as a frame of one column."""
    import pandas as pd

    if isinstance(examples, str | Path):
        path = Path(examples)
        check_there(column_names(path), [name])
        return read_table(path, columns=[name], texts=[name]).frame
    if isinstance(examples, pd.DataFrame):
        return examples
    texts = list(examples)
    for row, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise UserError(f"example {row} must be a string, got {type(text).__name__}")
    return pd.DataFrame({name: texts})
