"""Labelled sequences of equal or different lengths, in the .ts files of the UCR and UEA archive."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import encoder
from automl.data.ingest.json_examples import MAX_FLOAT32, NUMBER_OR_NULL, Schema, as_number, shown
from automl.data.ingest.request import Request
from automl.data.ingest.split import SplitRows, share
from automl.data.inputs import Array, Dense, Inputs, Padded
from automl.data.splits import stratified
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Sequence = NDArray[np.float32]  # (channels, steps)


class SequencesEncoder(encoder.Encoder):
    """Encodes sequences as one array; shorter ones are padded with NaN."""

    kind = "sequences"
    views = encoder.Views("steps")

    def __init__(self, channels: int, length: int, same_length: bool) -> None:
        self.channels, self.length, self.same_length = channels, length, same_length

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        lengths = {sequence.shape[1] for sequence in frame["sequence"]}
        return cls(frame["sequence"].iloc[0].shape[0], max(lengths), details["same_length"])

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        x = np.full((len(frame), self.channels, self.length), np.nan, np.float32)
        for row, sequence in enumerate(frame["sequence"]):
            if len(sequence) != self.channels:
                raise UserError(
                    f"sequence {row + 1} has {len(sequence)} channels, the model was trained with {self.channels}"
                )
            if self.same_length and sequence.shape[1] != self.length:
                raise UserError(
                    f"sequence {row + 1} has {sequence.shape[1]} steps, the model was trained with {self.length}"
                )
            steps = sequence[:, : self.length]
            x[row, :, : steps.shape[1]] = steps
        return {"steps": x}

    def inputs(self, view: str, x: Array) -> Inputs:
        return Dense.of(x) if self.same_length else Padded.of(x)

    def labelled(self, request: Request) -> encoder.LabelledRows:
        return read(request)

    def to_json(self) -> dict[str, Any]:
        return {"channels": self.channels, "length": self.length, "same_length": self.same_length}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(content["channels"], content["length"], content["same_length"])

    def as_frame(self, examples: Any) -> pd.DataFrame:
        import pandas as pd

        if isinstance(examples, pd.DataFrame):
            return examples
        if isinstance(examples, str | Path):
            return pd.DataFrame({"sequence": read_ts(Path(examples))[0]})
        return pd.DataFrame({"sequence": [_from_array(each, row) for row, each in enumerate(examples, 1)]})

    def from_records(self, records: Any) -> pd.DataFrame:
        return self.as_frame([self._from_record(record, f"example {row}") for row, record in enumerate(records, 1)])

    def _from_record(self, record: Any, where: str) -> Sequence:
        """A sequence with missing values interpolated, as in files."""
        if not isinstance(record, list) or not all(isinstance(channel, list) for channel in record):
            raise UserError(f"{where} must be a list of channels, each a list of numbers, got {shown(record)}")
        lengths = {len(channel) for channel in record}
        if len(record) != self.channels or len(lengths) != 1 or lengths == {0}:
            raise UserError(
                f"{where} must have {self.channels} channels of equal length, got {len(record)} "
                f"with {', '.join(map(str, sorted(lengths)[:5])) or 'no'} steps"
            )
        channels = ([as_number(value, where) for value in channel] for channel in record)
        return np.stack([_interpolated(np.array(channel, np.float32)) for channel in channels])

    def record_schema(self) -> Schema:
        steps = {"minItems": self.length, "maxItems": self.length} if self.same_length else {"minItems": 1}
        channel = {"type": "array", "items": NUMBER_OR_NULL, **steps}
        return {"type": "array", "items": channel, "minItems": self.channels, "maxItems": self.channels}


def _from_array(example: Any, row: int) -> Sequence:
    """A sequence given in Python, with missing values interpolated, as in files. UserError if it is no such array."""
    try:
        found = np.array(example, np.float32)  # a copy
    except (TypeError, ValueError):
        found = np.empty(0, np.float32)
    if found.ndim != 2 or not found.size:
        raise UserError(f"example {row} must be an array of numbers, (channels, steps), got {shown(example)}")
    found[~(np.abs(found) <= MAX_FLOAT32)] = np.nan
    return np.stack([_interpolated(channel) for channel in found])


def read(request: Request) -> encoder.LabelledRows:
    """The sequences of a .ts file; NAME_TEST.ts next to NAME_TRAIN.ts is the test set."""
    import pandas as pd

    sequences, labels = read_ts(request.path)
    n_own, parts, notes = len(sequences), None, []
    if not all(labels):
        raise UserError(f"{str(request.path)!r} has no classes (@classLabel false); put the class after the last colon")
    other = request.path.with_name(re.sub("_train(?=[.])", _as_test, request.path.name, flags=re.IGNORECASE))
    if other != request.path and other.is_file():
        more, more_labels = read_ts(other)
        sequences, labels = sequences + more, labels + more_labels
        codes = np.unique(labels[:n_own], return_inverse=True)[1]
        valid, train = stratified(codes, share(n_own))
        parts = SplitRows(train, valid, np.arange(n_own, len(sequences)), f"test is {other.name}, the rest stratified")
    lengths = {sequence.shape[1] for sequence in sequences}
    if len(lengths) > 1:
        notes.append(f"sequences have {min(lengths):,} to {max(lengths):,} steps: shorter ones are padded and masked")
    return encoder.LabelledRows(
        pd.DataFrame({"sequence": sequences}),
        pd.Series(labels),
        "class",
        np.array([_digest(sequence) for sequence in sequences]),
        notes,
        parts=parts,
        details={"same_length": len(lengths) == 1},
    )


def _digest(sequence: Sequence) -> int:
    """The same in every process, unlike Python's hash of bytes, as the split is drawn by it."""
    return int.from_bytes(hashlib.blake2b(sequence.tobytes(), digest_size=8).digest(), "little", signed=True)


def _as_test(found: re.Match[str]) -> str:
    return "_TEST" if found[0].isupper() else "_test"


def read_ts(path: Path) -> tuple[list[Sequence], list[str]]:
    """The sequences of a file: see ``parse_ts``."""
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}")
    return parse_ts(path.read_text(encoding="utf-8-sig", errors="replace"), repr(str(path)))


def parse_ts(content: str, name: str) -> tuple[list[Sequence], list[str]]:
    """The sequences, (channels, steps) each, and their classes, empty for a file without (@classLabel false).

    Missing and infinite values are interpolated linearly within a sequence.
    UserError naming the line if the file is malformed.
    """
    sequences, labels = list[Sequence](), list[str]()
    has_times, has_classes = False, True
    for number, line in enumerate(content.splitlines(), 1):
        text = line.strip()
        if text.lower().startswith("@classlabel"):
            has_classes = text.lower().split()[1:2] != ["false"]
        if text.lower().startswith("@timestamps"):
            has_times = text.lower().split()[-1] == "true"
        if not text or text[0] in "#@":
            continue
        if has_times:
            raise UserError(f"{name} has time stamps, which are not supported; write the values at equal steps")
        *channels, label = text.split(":") if has_classes else (*text.split(":"), "")
        try:
            values = [np.array([_value(value) for value in channel.split(",")], np.float32) for channel in channels]
        except ValueError as error:
            raise UserError(f"{name} line {number:,}: {error}; expected numbers, commas, colons and a class") from None
        if not values or (has_classes and not label):
            raise UserError(f"{name} line {number:,} has no class after the last colon")
        length = max(map(len, values))
        sequence = np.stack([_interpolated(np.pad(channel, (0, length - len(channel)), "edge")) for channel in values])
        if sequences and len(sequence) != len(sequences[0]):
            raise UserError(f"{name} line {number:,} has {len(sequence)} channels, the first {len(sequences[0])}")
        sequences.append(sequence)
        labels.append(label.strip())
    if not sequences:
        raise UserError(f"{name} has no sequences")
    return sequences, labels


def _value(text: str) -> float:
    value = np.nan if text.strip() in ("?", "NaN", "") else float(text)
    return value if abs(value) <= MAX_FLOAT32 else np.nan


def _interpolated(values: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = np.isnan(values)
    if missing.all():
        return np.zeros_like(values)
    if missing.any():
        places = np.arange(len(values))
        values[missing] = np.interp(places[missing], places[~missing], values[~missing])
    return values
