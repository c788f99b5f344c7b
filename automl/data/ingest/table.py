"""Tables: the input columns, and the reasons why others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from automl.data.ingest import encoder
from automl.data.ingest.column_checks import (
    NO_WARNING,
    determines_target,
    equals_target,
    text_columns,
    useless_columns,
)
from automl.data.ingest.columns import RECURRING, ColumnsEncoder, date_format, recurring_parts
from automl.data.ingest.file_formats import open_source
from automl.data.ingest.json_examples import Schema
from automl.data.ingest.notes import DataWarning
from automl.data.ingest.read_table import check_is_frame, column_names, read_table
from automl.data.ingest.request import Request, column, formats, listed, spelled_group, spelled_target, target_classes
from automl.data.ingest.split_columns import about_dates, about_groups, check_split, row_weights, split_by
from automl.data.inputs import Array, Columns, Inputs
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MOSTLY_MISSING = 0.5


class TableEncoder(encoder.Encoder):
    """Encodes the columns of a table with a ``ColumnsEncoder``."""

    kind = "table"
    views = encoder.Views("columns")

    def __init__(self, table: ColumnsEncoder) -> None:
        self.table = table

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        read = (details[name] for name in ("dates", "decimals", "texts", "recurring"))
        return cls(ColumnsEncoder.fit(frame, *read))

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        return {"columns": self.table.encode(frame)}

    def places(self, view: str) -> Mapping[str, slice]:
        return self.table.places

    def inputs(self, view: str, x: Array) -> Inputs:
        return Columns.of(x, self.table.cardinalities)

    def to_json(self) -> dict[str, Any]:
        return self.table.to_json()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(ColumnsEncoder.from_json(content))

    def as_frame(self, examples: Any) -> pd.DataFrame:
        if isinstance(examples, str | Path):
            table = self.table
            return read_table(Path(examples), numeric=table.numeric, decimals=table.decimals, exact=table.exact).frame
        check_is_frame(examples)
        frame: pd.DataFrame = examples
        return frame

    def unusable(self, frame: pd.DataFrame) -> dict[str, int]:
        return self.table.unusable(frame)

    def new_categories(self, frame: pd.DataFrame) -> dict[str, dict[str, int]]:
        return self.table.new_categories(frame)

    @property
    def strict(self) -> list[str]:
        return [column.name for column in self.table.columns if column.role in ("number", "date")]

    def frames(self, path: Path, unusable: Counter[str]) -> Iterator[pd.DataFrame]:
        numbers = {name for name, is_number in self.table.numeric.items() if is_number}
        written = self.table.numeric.keys() - numbers
        source = open_source(path, self.table.decimals)
        for chunk in source.chunks(written=written, numbers=numbers, unusable=unusable):
            unusable.update(self.table.unknown(chunk))
            yield chunk

    @property
    def features(self) -> tuple[encoder.Feature, ...]:
        return tuple(feature for column in self.table.columns for feature in column.features)

    def labelled(self, request: Request) -> encoder.LabelledRows:
        rows_of = labelled_rows(request, self.table)
        names = (column.name for column in self.table.columns)
        read = [name for name in names if name in rows_of.frame and name != request.time]
        return replace(rows_of, keys=encoder.hashes(rows_of.frame[read]))

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        return self.table.from_records(records)

    def record_schema(self) -> Schema:
        return self.table.record_schema()


def read(request: Request) -> encoder.LabelledRows:
    """The rows of a table with a target column."""
    rows_of = labelled_rows(request)
    frame, notes = rows_of.frame, rows_of.notes
    dates = _dates(frame)
    recurring = rows_of.details["recurring"]
    dates |= dict.fromkeys(recurring, rows_of.formats["time_form"])
    texts = text_columns(frame, dates)
    useless = useless_columns(frame, rows_of.labels, rows_of.target, {*dates, *texts}, as_given=request.as_given)
    for name, why in useless.items():
        del frame[name]
        dates.pop(name, None)
        texts.discard(name)
        left_out = f"column {name!r} is left out: {why}"
        notes.append(left_out if why in NO_WARNING else DataWarning(left_out))
    if set(map(str, frame)) <= {request.time}:
        reasons = "; ".join(f"{name!r}: {why}" for name, why in list(useless.items())[:5])
        of_past = f"; to forecast {rows_of.target!r} from its own past, give --horizon too" if request.time else ""
        raise UserError(
            "no input column is left; the file needs informative columns besides the target"
            + (f" ({reasons})" if reasons else "")
            + of_past
        )
    for name, parts in recurring.items():
        said = ", ".join(RECURRING[part] for part in parts)
        notes.append(f"of {name!r}, models only read what recurs: {said}")
    notes += about_dates(frame, {name: form for name, form in dates.items() if name not in recurring})
    notes += about_groups(frame, request)
    if request.as_given:
        notes += [
            DataWarning(f"column {name!r} equals the target, or maps one-to-one to it: is it known at prediction time?")
            for name in map(str, frame)
            if equals_target(frame[name], rows_of.labels)
        ]
    notes += [
        f"column {name!r} alone determines the target {rows_of.target!r}: is it known at prediction time?"
        for name in map(str, frame)
        if determines_target(frame[name], rows_of.labels)
    ]
    for name in map(str, frame):
        missing = frame[name].isna().mean()
        if missing > MOSTLY_MISSING:
            notes.append(f"column {name!r} is {missing:.0%} missing")
    return replace(
        rows_of,
        keys=encoder.hashes(frame.drop(columns=[*recurring])),
        details=rows_of.details | {"dates": dates, "texts": texts},
    )


def labelled_rows(request: Request, known: ColumnsEncoder | None = None) -> encoder.LabelledRows:
    """All columns except the target and those that rows are split by, but with dates of which something recurs;
    without keys.

    ``known``: the columns of a model, to be read as in its training.
    """
    names = column_names(request.path)
    if request.target is None:
        raise UserError(f"no target column given: --target NAME; the file has: {listed(names)}")
    column(request.target, names, "--target")
    check_split(request, names)
    numeric = {} if known is None else known.numeric
    lost: Counter[str] = Counter()
    table = read_table(
        request.path,
        numeric=numeric | spelled_group(request) | spelled_target(request),
        decimals={**request.decimals, **({} if known is None else known.decimals)},
        exact=[request.time, *(() if known is None else known.exact)],
        classes=target_classes(request),
        unusable=lost,
    )
    frame = table.frame
    labels = frame.pop(request.target)
    groups, times, time_form = split_by(request, frame, table.notes)
    weights = None if request.weight is None else row_weights(frame[request.weight], request.weight)
    others = {request.group, request.time, request.weight, *request.others}
    recurring = {}
    if known is None and times is not None and times.dtype.kind == "M" and (parts := recurring_parts(times)):
        recurring[request.time] = parts
    others -= recurring.keys() if known is None else {column.name for column in known.columns}
    # New rows for a model may lack the columns that other models predict.
    frame = frame.drop(columns=[name for name in others if name is not None], errors="ignore")
    return encoder.LabelledRows(
        frame,
        labels,
        request.target,
        np.zeros(0),
        table.notes,
        times,
        groups,
        f"column {request.group!r}",
        weights=weights,
        details={"decimals": dict(table.decimals), "recurring": recurring},
        formats=formats(request, table.decimals, time_form),
        lost=lost,
    )


def _dates(frame: pd.DataFrame) -> dict[str, str | None]:
    """The columns that hold dates, with their format if they are strings."""
    found: dict[str, str | None] = {}
    for name in map(str, frame):
        if frame[name].dtype.kind == "M":
            found[name] = None
        elif frame[name].dtype == "category" and (form := date_format(frame[name])) is not None:
            found[name] = form
    return found
