"""Prepares the user's file or folder as a folder of arrays, once per run, for all its processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.column_checks import are_texts
from automl.data.ingest.data_report import Report, inspect, write_report
from automl.data.ingest.encoder import Encoder, LabelledRows, Views, n_different
from automl.data.ingest.file_formats import open_source
from automl.data.ingest.folds import TRAIN_ONLY, copy_folds, first_varied, group_folds, random_folds, time_folds
from automl.data.ingest.kinds import encoder_class, kind_module
from automl.data.ingest.number_formats import number_of
from automl.data.ingest.read_table import plain_text
from automl.data.ingest.request import SMILES_NAMES, Request, check_used
from automl.data.ingest.split import (
    MIN_ROWS,
    SplitRows,
    at_random,
    by_copies,
    by_group,
    by_time,
    can_be_grouped,
    check_classes,
    check_enough,
    without_duplicates,
    without_overlaps,
)
from automl.data.ingest.target import Labelled, all_sentences, label
from automl.data.inputs import Padded, Tokens
from automl.data.memory_map import read_array, reading, write_prepared
from automl.data.pairs import write_pairs
from automl.data.splits import Splits
from automl.data.targets import Quantiles, Target
from automl.errors import UserError
from automl.metrics import check_metric, names_of

if TYPE_CHECKING:
    import pandas as pd

FACTS = "facts.json"
ENCODER_FOLDER = "encoder"
FEW_COPIES = 0.01  # share of the rows up to which copies matter little to a prediction out of bag
MIN_ROWS_WITHOUT_TEST = 10  # of all data
FOLDS = "folds.npy"  # the fold of each row of the training set, then of the validation set
OVERLAPS = "overlaps.npy"  # for the same rows, the newest fold that is predicted in part before their labels are known
MOMENTS = "moments.npy"  # hashes of the series and the times of all rows
WEIGHTS = "weights-{}.npy"  # the row weights of a set, if they differ
EXACT_DIGITS = 15  # of a number in double precision
GROUPS = "groups-{}.npy"  # the hash of the group of each row of a set, if it was split by group


@dataclass(frozen=True)
class Facts:
    """What the space and the task need to know about prepared data."""

    kind: str
    target_kind: str  # classes, number, quantiles or sentences
    n_train: int
    views: Views  # the folders of arrays
    imbalanced: bool
    length: int  # of the longest text or sequence; 0 if examples have no length
    ragged: bool  # whether examples differ in length
    name: str
    folds: str = ""  # how FOLDS were drawn: random, group, duplicates (over FEW_COPIES) or time; empty without them

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """The facts of a folder written by ``prepare``. UserError if it was removed or is damaged."""
        try:
            content = (folder / FACTS).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(
                f"the prepared data of the run are missing: there is no {FACTS} in {str(folder)!r}; copy the folder "
                "back, or start a new run"
            ) from None
        with reading(folder / FACTS):
            given = json.loads(content)
            return cls(**given | {"views": Views(**given["views"])})

    def metric(self, asked: str | None) -> str:
        """The requested metric, or the default. UserError if it does not fit the target."""
        return names_of(self.target_kind)[0] if asked is None else check_metric(asked, self.target_kind)


def prepare(request: Request, folder: Path, metric: str | None = None) -> Report:
    """Read, split, encode and write the data. UserError for problems in the data.

    ``metric``: the one to optimise, if it is given; UserError if it does not fit the target.
    """
    request = request.checked()
    kind = request.data_kind
    if kind is None:
        kind, request = kind_of_columns(request)
    check_used(request, kind)
    module = kind_module(kind)
    rows: LabelledRows = module.read(request)
    if kind == "pairs":
        labelled = all_sentences(len(rows.labels))
    else:
        usual = "number" if kind == "series" else None
        labelled = label(rows.labels, rows.target, request.target_kind or usual, rows.offset)
    goal = "quantiles" if request.quantiles else labelled.kind
    if metric is not None:
        check_metric(metric, goal)
    n, hints = len(labelled.rows), list(labelled.notes)
    if not request.no_test and kind not in ("series", "pairs"):
        hints.append(f"with --no-test, which leaves no rows for a test, {MIN_ROWS_WITHOUT_TEST} are enough")
    check_enough(n, MIN_ROWS_WITHOUT_TEST if request.no_test else MIN_ROWS, hints)
    keys = rows.keys[labelled.rows]
    copies = copies_of(keys, kind)
    parts = draw(rows, labelled.rows, labelled.y, copies, hold_out=not request.no_test, n_test=request.n_test)
    n_removed = 0
    if copies is not None and not request.no_test:
        parts, n_removed = without_duplicates(parts, copies)
    elif copies is None and n_different(keys) < len(keys) and not request.no_test:
        rows.notes.append(
            "most rows are duplicates, as in columns with few values: they are kept in all sets, and the test score "
            "may be too optimistic"
        )
    if labelled.classes:
        rows.notes += check_classes(parts, labelled.y, labelled.classes, asked=bool(request.group or request.time))
    report = inspect(kind, rows, labelled, parts, n_removed)

    # One at a time, without keeping any: each is a copy.
    frames = (rows.frame.iloc[labelled.rows[part]] for part in parts)
    if kind == "pairs":
        encoder = encoder_class(kind).from_json(rows.details)
        pairs = module.encoded(list(frames), encoder.name, rows.target)
        write_pairs(pairs, folder)
        length, ragged = pairs.length, True
    else:
        # The columns of a table are encoded for models that are fitted to the validation rows too, in the end.
        fitted = np.concatenate([parts.train, parts.valid]) if kind == "table" else parts.train
        encoder = encoder_class(kind).fit(rows.frame.iloc[labelled.rows[fitted]], rows.details)
        target = labelled.target(labelled.y[parts.train])
        if request.quantiles:
            target = Quantiles.of(labelled.y[parts.train], request.quantiles, labelled.offset)
        length, ragged = _write_arrays(encoder, frames, labelled, target, parts, folder)
    encoder.save(folder / ENCODER_FOLDER, {"target": rows.target, "formats": dict(rows.formats)})
    name = "-".join(filter(None, (request.path.stem, request.into or request.target)))
    how = _write_folds(rows, labelled, parts, copies, folder)
    if rows.weights is not None:
        for part, chosen in zip(("train", "valid", "test"), parts, strict=True):
            np.save(folder / WEIGHTS.format(part), rows.weights[labelled.rows[chosen]])
    if rows.groups is not None:
        for part, chosen in zip(("train", "valid", "test"), parts, strict=True):
            np.save(folder / GROUPS.format(part), group_hashes(rows.groups[labelled.rows[chosen]]))
    if "moments" in rows.details:
        np.save(folder / MOMENTS, rows.details["moments"])
    facts = Facts(kind, goal, len(parts.train), encoder.views, report.imbalanced, length, ragged, name, how)
    (folder / FACTS).write_text(json.dumps(asdict(facts)) + "\n", encoding="utf-8")
    write_report(report, folder)
    return report


def _write_arrays(
    encoder: Encoder,
    frames: Iterable[pd.DataFrame],
    labelled: Labelled,
    target: Target,
    parts: SplitRows,
    folder: Path,
) -> tuple[int, bool]:
    """Write the models' arrays; return the length of the longest example, and whether lengths differ."""
    y_train, y_valid, y_test = (labelled.y[part] for part in parts)
    encoded = [encoder.encode(frame) for frame in frames]
    length, ragged = 0, False
    for view in encoded[0]:
        x_train, x_valid, x_test = (arrays[view] for arrays in encoded)
        inputs = encoder.inputs(view, x_train)
        if isinstance(inputs, Tokens):
            length, ragged = inputs.length, True
        elif x_train.ndim == 3:
            length, ragged = x_train.shape[2], isinstance(inputs, Padded)
        write_prepared(Splits(x_train, y_train, x_valid, y_valid, x_test, y_test, inputs, target), folder / view)
    return length, ragged


def weights_of(folder: Path, *parts: str) -> NDArray[np.float32] | None:
    """The row weights of some sets, concatenated, (n,); None if all rows have the same weight."""
    return _of_parts(folder, WEIGHTS, parts)


def groups_of(folder: Path, *parts: str) -> NDArray[np.uint64] | None:
    """The ``group_hashes`` of the rows of some sets, concatenated, (n,); None if there are no groups."""
    return _of_parts(folder, GROUPS, parts)


def _of_parts(folder: Path, name: str, parts: Sequence[str]) -> NDArray[Any] | None:
    if not (folder / name.format(parts[0])).exists():
        return None
    return np.concatenate([read_array(folder / name.format(part)) for part in parts])


def group_hashes(groups: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash for each row, equal for rows of the same group in any file, also if one has 01 or 1.0 for 1."""
    names, places = np.unique(groups.astype(str), return_inverse=True)
    digests = b"".join(hashlib.blake2b(_shortest(name).encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, np.uint64)[places]


def _shortest(name: str) -> str:
    """The shortest spelling of a number; another name, or a number too long to be exact, as it is."""
    number = number_of(name) if len(name) <= EXACT_DIGITS else np.nan
    return name if np.isnan(number) else plain_text(number)


def _write_folds(rows: LabelledRows, labelled: Labelled, parts: SplitRows, copies: Any, folder: Path) -> str:
    """Draw the folds as the test set was drawn, and return how; ``copies``: as of ``copies_of``."""
    places = np.concatenate([parts.train, parts.valid])
    if labelled.sentences:
        return ""
    how, folds, y = "random", None, labelled.y[places]
    if rows.times is not None:
        how, folds = "time", time_folds(rows.times[labelled.rows][places], y)
    elif rows.groups is not None:
        how, folds = "group", group_folds(rows.groups[labelled.rows][places])
    else:
        if copies is not None:  # None again if nearly all rows are copies of a few
            folds = copy_folds(y, copies[places])
        if folds is None:
            folds = random_folds(y)
        elif len(y) - n_different(copies[places]) > FEW_COPIES * len(y):
            how = "duplicates"
    if folds is not None and how != "time":
        folds = first_varied(folds, y)
    if folds is None:
        return ""
    np.save(folder / FOLDS, folds)
    if rows.overlaps is not None:
        every = labelled.rows[places]
        there, fold_of = np.full(len(rows.labels), -1), np.full(len(rows.labels), TRAIN_ONLY, np.int8)
        there[every], fold_of[every] = every, folds
        newest = np.maximum.accumulate(there)[rows.overlaps[every]]  # rows before a set may have been left out
        np.save(folder / OVERLAPS, fold_of[newest])
    return how


def copies_of(keys: NDArray[Any], kind: str) -> NDArray[Any] | None:
    """The keys, equal for equal examples, if copies of an example must stay in one set. None if there are no copies, or
    if most rows are, as in a table with few values, or with too few different examples for three sets."""
    n = n_different(keys)
    keeps_all = n < len(keys) / 2 and (kind == "table" or not can_be_grouped(keys))
    return None if n == len(keys) or keeps_all else keys


def draw(
    rows: LabelledRows,
    usable: Any,
    y: Any,
    copies: NDArray[Any] | None = None,
    *,
    hold_out: bool = True,
    n_test: int | None = None,
) -> SplitRows:
    """The split of the usable rows, as indices among them; ``y`` are their labels.

    ``copies``: as of ``copies_of``, for rows that are split at random. Without ``hold_out``, the test set is empty.
    ``n_test``: number of last rows that are the test set.
    """
    if n_test is not None:
        is_test = usable >= len(rows.labels) - n_test
        rest, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        kept = None if copies is None else copies[rest]
        found = draw(replace(rows, parts=None), usable[rest], y[rest], kept, hold_out=False)
        how = f"test is the last {n_test:,}, the rest {found.how}"
        return SplitRows(rest[found.train], rest[found.valid], test, how)
    if rows.parts is not None:
        place = np.full(len(rows.labels), -1)
        place[usable] = np.arange(len(usable))
        train, valid, test = (place[part][place[part] >= 0] for part in rows.parts)
        if not hold_out:
            return SplitRows(np.concatenate([train, test]), valid, test[:0], "all examples are trained on")
        if not min(len(train), len(valid), len(test)):
            counts = ", ".join(str(len(part)) for part in (train, valid, test))
            raise UserError(f"{rows.parts.how}: the training, validation or test set is empty ({counts})")
        return SplitRows(train, valid, test, rows.parts.how)
    if rows.groups is not None and rows.times is not None:
        raise UserError("--group and --time exclude each other: give one of them; for several series, --horizon too")
    if rows.groups is not None:
        return by_group(rows.groups[usable], rows.group_name, hold_out=hold_out)
    if rows.times is not None:
        found = by_time(rows.times[usable], hold_out=hold_out)
        if rows.overlaps is None:
            return found
        place = np.full(len(rows.labels), -1)
        place[usable] = np.arange(len(usable))
        newest = np.maximum.accumulate(place)[rows.overlaps[usable]]
        return without_overlaps(found, newest)
    if copies is not None and can_be_grouped(copies):
        return by_copies(y, copies, hold_out=hold_out)
    return at_random(y, hold_out=hold_out)


def kind_of_columns(request: Request) -> tuple[str, Request]:
    """The inferred kind of a file of columns where only the target is given, and the request completed with it."""
    source = open_source(request.path)
    smiles = next((name for name in source.names if name.lower() in SMILES_NAMES), None)
    if smiles is not None and smiles != request.target:
        return "molecules", replace(request, smiles=smiles)
    known = (request.target, request.time, request.group, *request.others)
    others = [name for name in source.names if name not in known]
    if len(others) == 1:
        values = next(source.chunks(others))[others[0]].dropna().astype(str)
        different = values.unique().tolist()
        if len(different) > len(values) / 2 and are_texts(different):
            return "text", replace(request, text=others[0])
    return "table", request
