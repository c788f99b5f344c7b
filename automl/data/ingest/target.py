"""The target column: classes or a number, and the checks of its values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.columns import date_format
from automl.data.ingest.json_examples import MAX_FLOAT32
from automl.data.ingest.notes import DataWarning, left_out
from automl.data.ingest.number_formats import are_too_large, as_numbers, differing
from automl.data.ingest.offsets import offset_of
from automl.data.ingest.read_table import NUMERIC_SHARE, plain_text, spelled_text
from automl.data.ingest.request import MAX_CLASSES, MAX_WHOLE_CLASSES
from automl.data.targets import Classes, Number, Target
from automl.errors import UserError
from automl.wording import counted

if TYPE_CHECKING:
    import pandas as pd

MANY_WHOLE_CLASSES = 8  # distinct integers from which a note says that they are treated as classes
MIN_ROWS_PER_CLASS = 5  # rows, so that each set has some
MIN_STD, MAX_STD = 1e-12, 1e18  # of a number: squared errors must not leave the range of float32


@dataclass(frozen=True)
class Labelled:
    """The usable rows and their labels."""

    rows: NDArray[np.int64]
    y: NDArray[Any]
    classes: tuple[str, ...]  # empty if the target is a number
    notes: list[str]
    sentences: bool = False  # whether texts are predicted; y is then the row numbers
    offset: float = 0.0  # subtracted from the numbers in y

    @property
    def kind(self) -> str:
        """The kind of target: sentences, classes or number."""
        return "sentences" if self.sentences else "classes" if self.classes else "number"

    def target(self, y_train: NDArray[Any]) -> Target:
        """The target, with the statistics of the training set."""
        return Classes(self.classes) if self.classes else Number.of(y_train, self.offset)


def label(values: pd.Series[Any], name: str, asked: str | None, offset: float | None = None) -> Labelled:
    """The labels of a target column. ``asked``: classes or number, if the user gave it. ``offset``: see ``numbers``."""
    present, notes = _present(values, name)
    kind = asked or target_kind(values[present])
    if kind == "number":
        found = numbers(values, name, offset)
        _check_spread(as_numbers(values[present]), name)
        if asked is None and not np.any(found.y % 1) and len(np.unique(found.y)) <= MAX_WHOLE_CLASSES:
            found.notes.append(f"{name!r} is treated as a number; if it is a class, give --kind classification")
        return found
    if asked is None and values.dtype.kind in "fiu" and values.nunique() >= MANY_WHOLE_CLASSES:
        notes.append(
            f"the {values.nunique()} whole numbers of {name!r} are treated as classes; if their order matters, as of "
            "counts or grades, give --kind regression"
        )
    if asked is None:
        _check_are_no_dates(values[present], name)
        _check_are_no_numbers(values[present], name)
    return _classes(values, name, present, notes)


def _check_are_no_dates(values: pd.Series[Any], name: str) -> None:
    """UserError for dates, too many to be meant as classes."""
    many = values.nunique() > MAX_WHOLE_CLASSES
    if many and (values.dtype.kind == "M" or (values.dtype == "category" and date_format(values) is not None)):
        raise UserError(
            f"the target {name!r} holds dates or times, such as {values.iloc[0]!s}: write them as numbers, such as the "
            "days since a certain date, or give --kind classification if each is a class"
        )


def _present(values: pd.Series[Any], name: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Which rows have a value of the target, (n,), with a note on the others. UserError if none has."""
    present = values.notna().to_numpy()
    if not present.any():
        raise UserError(f"the target {name!r} has no values")
    return present, [] if present.all() else [left_out(int(np.count_nonzero(~present)), f"without a value of {name!r}")]


def all_sentences(n: int) -> Labelled:
    """All of n rows, whose labels are sentences."""
    return Labelled(np.arange(n), np.arange(n), (), [], sentences=True)


def target_kind(values: pd.Series[Any]) -> str:
    """The inferred kind of a column without missing values: ``classes`` or ``number``."""
    if values.dtype.kind not in "fiu":
        return "classes"
    found, counts = np.unique(values.to_numpy(), return_counts=True)
    if np.any(found % 1) or len(found) > min(MAX_WHOLE_CLASSES, max(2, len(values) // 10)):
        return "number"
    has_tail = (
        min(counts[0], counts[-1]) < MIN_ROWS_PER_CLASS
    )  # as of counts; the rows would be left out as rare classes
    return "number" if len(found) >= MANY_WHOLE_CLASSES and has_tail else "classes"


def numbers(values: pd.Series[Any], name: str, offset: float | None) -> Labelled:
    """The labels of a target column of numbers. ``offset``: subtracted from them; None: as they need it."""
    present, notes = _present(values, name)
    found = as_numbers(values)
    unusable = present & np.isnan(found)
    if unusable.any():
        raise _unusable(values, name, unusable)
    known = found[present]
    offset = offset_of(known) if offset is None else offset
    return Labelled(np.flatnonzero(present), (known - offset).astype(np.float32), (), notes, offset=offset)


def _check_spread(found: NDArray[np.float64], name: str) -> None:
    """UserError for numbers (n,) that are all alike, or too small or large for squared errors in float32."""
    if found.min() == found.max():
        raise UserError(f"the target {name!r} is always {found[0]:g}: there is nothing to predict")
    std = float(found.std())
    if not MIN_STD <= std <= MAX_STD:
        raise UserError(
            f"the target {name!r} has a standard deviation of {std:.2g}; give it in another unit, so that it is "
            f"between {MIN_STD:g} and {MAX_STD:g}"
        )


def _unusable(values: pd.Series[Any], name: str, which: NDArray[np.bool_]) -> UserError:
    """The error for values that cannot be numbers of the target."""
    first = int(which.argmax())
    row, value = f"row {first + 1:,}", str(values.iloc[first])
    if are_too_large(values.iloc[[first]])[0]:
        return UserError(
            f"the target {name!r} must be a number of at most {MAX_FLOAT32:.2g} in size: {row} has {value}; correct "
            "it, or give it in another unit"
        )
    return UserError(
        f"the target {name!r} is not numeric: {row} has {value!r}; correct it, or predict classes "
        "(--kind classification) or another --target"
    )


def _check_are_no_numbers(values: pd.Series[Any], name: str) -> None:
    """UserError for numbers among which a few values are not, such as #DIV/0!, that would be classes otherwise."""
    import pandas as pd

    found = as_numbers(values)
    usable = ~np.isnan(found)
    if NUMERIC_SHARE <= usable.mean() < 1 and target_kind(pd.Series(found[usable])) == "number":
        first, n = int(usable.argmin()), int(np.count_nonzero(~usable))
        are = "is" if n == 1 else "are"
        raise UserError(
            f"the target {name!r} has numbers, but {n:,} of its {len(usable):,} values {are} not, "
            f"such as {str(values.iloc[first])!r}; correct or empty these, or give --kind classification if each value "
            "is a class"
        )


def _classes(values: pd.Series[Any], name: str, present: NDArray[np.bool_], notes: list[str]) -> Labelled:
    places, different = differing(values[present])
    strings = np.array([plain_text(value) for value in different])[places]
    _, first, codes, counts = np.unique(strings, return_index=True, return_inverse=True, return_counts=True)
    names = np.array([spelled_text(value) for value in different[places[first]]])
    rare = counts < MIN_ROWS_PER_CLASS
    if rare.any() and not rare.all():
        shown, n = ", ".join(names[rare][:5]), int(counts[rare].sum())
        notes.append(
            DataWarning(
                f"classes with fewer than {MIN_ROWS_PER_CLASS} rows are left out: {shown}"
                f"{', ...' if rare.sum() > 5 else ''} ({rare.sum()}, with {counted(n, 'row')} in all)"
            )
        )
    kept = names[~rare]
    if not len(kept) and len(names) > len(strings) / 2:
        raise UserError(
            f"most values of {name!r} are different ({len(names):,} in {len(strings):,} rows), as in a column of "
            "identifiers, texts or dates: there are no classes to learn; choose another target"
        )
    if len(names) == 1:
        raise UserError(f"the target {name!r} is always {names[0]}: there is nothing to predict")
    if len(kept) < 2:
        raise UserError(
            f"the target {name!r} needs two classes with at least {MIN_ROWS_PER_CLASS} rows each, it has {len(kept)}; "
            f"{_way_out(values[present], 'give more rows or another --target')}"
        )
    if len(kept) > MAX_CLASSES:
        raise UserError(
            f"the target {name!r} has {len(kept):,} classes, at most {MAX_CLASSES} are supported; "
            f"{_way_out(values[present], 'give another --target')}"
        )
    notes += about_case(map(str, kept))
    new = np.cumsum(~rare) - 1
    good = ~rare[codes]
    return Labelled(np.flatnonzero(present)[good], new[codes[good]].astype(np.int64), tuple(map(str, kept)), notes)


def about_case(names: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """A note if one of the classes differs only in case from another, or from a known one."""
    spelled = {name.casefold(): name for name in known}
    for name in names:
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            return [f"classes that differ only in case are treated as different: {other}, {name}"]
    return []


def _way_out(values: pd.Series[Any], otherwise: str) -> str:
    """The way out for a target that cannot be classes: regression only if its values are numbers."""
    is_text = bool(np.isnan(as_numbers(values)).any())
    return otherwise if is_text else f"if it is a number, give --kind regression, else {otherwise}"
