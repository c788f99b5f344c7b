"""New labelled data as arrays that a run's models read, and their union with the run's data."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.continual.paired_bootstrap import GroundTruth
from automl.data.ingest.encoder import Encoder, LabelledRows
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.notes import left_out
from automl.data.ingest.number_formats import differing, number_of
from automl.data.ingest.prepare import (
    ENCODER_FOLDER,
    FACTS,
    GROUPS,
    MOMENTS,
    WEIGHTS,
    Facts,
    copies_of,
    draw,
    group_hashes,
    groups_of,
    weights_of,
)
from automl.data.ingest.read_table import plain_text, spelled_text
from automl.data.ingest.request import MissingColumn, Request
from automl.data.ingest.split import MIN_ROWS, SplitRows, check_enough, without_duplicates
from automl.data.ingest.target import MIN_ROWS_PER_CLASS, about_case, numbers
from automl.data.inputs import Array
from automl.data.memory_map import read_array, read_prepared, write_prepared
from automl.data.splits import Splits, held_out
from automl.data.targets import Classes, Target, levels_of
from automl.deployment.predictor import about_unusable
from automl.errors import UserError
from automl.tasks.cross_validated import CrossValidated
from automl.tasks.user_data import OwnData

MAX_REPLAYED = 20_000  # old training examples kept for replay; half as many for validation and for test
OLD = "old.json"  # the number of old examples in each set, which come first
MIN_SHARE = 0.01  # share of the new rows from which a new category is named
MAX_NAMED = 5
PARTS = ("train", "valid", "test")


class TooFewNewExamples(UserError):
    """The run has all or nearly all of the examples already, or they were judged already."""

    def __init__(self, n_new: int, n_known: int, *, tried: bool = False) -> None:
        where = "are already in the run's data"
        if tried:
            where += ", or were refused or rolled back with the same options; to judge these again, change --tolerance"
        reason = f"no new examples: all {n_known:,} {where}"
        if n_new and not n_known:
            reason = f"an update needs at least {MIN_ROWS} new examples, the data have {n_new}"
        elif n_new:
            of = f"{n_known:,} of {n_known + n_new:,}"
            reason = f"an update needs at least {MIN_ROWS} new examples: {of} {where}"
        super().__init__(reason)


@dataclass(frozen=True)
class NewData:
    """Labelled examples that arrived after a model was trained."""

    arrays: Mapping[str, Array]  # by view, (n, ...)
    y: NDArray[Any]
    target: Target  # the old one, with new classes appended
    parts: SplitRows
    new_classes: tuple[str, ...]
    notes: list[str]
    weights: NDArray[np.float32] | None = None  # how much each counts, (n,)
    groups: NDArray[np.uint64] | None = None  # the hash of each one's group, (n,)
    moments: NDArray[np.uint64] | None = None  # of a series: hashes of the time steps in the file


def read_new(
    encoder: Encoder,
    request: Request,
    old: Target,
    folder: Path,
    judges: tuple[str, ...] = ("valid", "test"),
    *,
    older: Sequence[Path] = (),
    tried: Sequence[Path] = (),
) -> NewData:
    """Read, label, encode and split new data in the same way as the run's data in ``folder``.

    Leaves out examples that the run already has, and new training examples of groups in the sets that judge models
    (``judges``). ``older``: data that the run had, of which ``folder`` may lack some. TooFewNewExamples if there are
    few, if the run has nearly all of them, or if an earlier update, with its merged data in ``tried``, had; UserError
    for problems in the new data.
    """
    written = load_encoder(folder / ENCODER_FOLDER)[1].get("formats", {})  # runs of earlier versions lack it
    codes = any(plain_text(number_of(name)) != name for name in old.names)
    try:
        rows = encoder.labelled(replace(request, spelled=codes, **written))
    except MissingColumn as error:  # the option was given to the run, not to the update
        labels = "; for predictions without labels: automl predict" if error.option == "--target" else ""
        needed = f"the new data have no column {error.name!r}, the run's {error.option}: an update needs it{labels}"
        raise UserError(needed) from None
    usable, y, target, notes = _labels(rows, old)
    if 0 < len(usable) < MIN_ROWS:
        raise TooFewNewExamples(len(usable), 0)
    check_enough(len(usable), hints=[*rows.notes, *notes])
    frame = rows.frame.iloc[usable]
    read = encoder.places(encoder.views.usual)
    lost = {name: n for name, n in {**rows.lost, **encoder.unusable(rows.frame)}.items() if name in read}
    if doubt := about_unusable({name: lost.get(name, 0) for name in encoder.strict}, len(rows.frame)):
        raise UserError(doubt)
    notes += _about_new_categories(encoder.new_categories(frame), len(frame))
    if doubt := about_unusable(lost, len(rows.frame)):
        notes.append(f"warning: {doubt}")
    arrays = encoder.encode(frame)
    moments = rows.details.get("moments")
    times = None if moments is None else moments[usable]
    fresh = _fresh(folder, older, tried, arrays, y, times)
    n_known = int((~fresh).sum())
    if n_known:
        notes.append(left_out(n_known, "that the run's data already have", "example"))
        usable, y, arrays = usable[fresh], y[fresh], {view: array[fresh] for view, array in arrays.items()}
        if rows.parts is not None and not all(np.isin(part, usable).any() for part in rows.parts):
            rows = replace(rows, parts=None)  # e.g. if only the training set has grown
    check_enough(len(usable))
    copies = copies_of(rows.keys[usable], Facts.read(folder).kind)
    parts = draw(rows, usable, y, copies)
    if copies is not None:
        parts, n_removed = without_duplicates(parts, copies)
        if n_removed:
            notes.append(left_out(n_removed, "that the new validation or test set has too", "example"))
    groups, judged = None, groups_of(folder, *judges)
    if rows.groups is not None:
        groups = group_hashes(rows.groups[usable])
    if groups is not None and judged is not None:
        parts = _by_groups(parts, groups, judged, _learned((folder, *older), judges), judges, notes)
    weights = None if rows.weights is None else rows.weights[usable]
    return NewData(
        arrays, y, target, parts, target.names[len(old.names) :], [*rows.notes, *notes], weights, groups, moments
    )


def _about_new_categories(found: Mapping[str, Mapping[str, int]], n: int) -> list[str]:
    """A note for each column with categories that are new and frequent. ``n``: the number of rows."""
    notes = []
    for name, counts in found.items():
        frequent = [f"{category!r} ({count:,} rows)" for category, count in counts.items() if count >= MIN_SHARE * n]
        if frequent:
            more = f" and {len(frequent) - MAX_NAMED} more" if len(frequent) > MAX_NAMED else ""
            named = ", ".join(frequent[:MAX_NAMED]) + more
            notes.append(f"column {name!r} has categories that the run's data lack; they count as missing: {named}")
    return notes


def _by_groups(
    parts: SplitRows,
    groups: NDArray[np.uint64],
    judged: NDArray[np.uint64],
    learned: NDArray[np.uint64],
    judges: tuple[str, ...],
    notes: list[str],
) -> SplitRows:
    """The split in which no group both trains and judges a model, with notes. ``judged``, ``learned``: groups of the
    run's sets that judge and of those that train. UserError if nothing is left to train on."""
    apart = _with_learned_groups(parts, np.isin(groups, learned))
    if apart is None:
        notes.append(
            "too few new examples are of groups that the model was not trained on, so their scores are optimistic"
        )
    parts = apart or parts
    is_free, sets = ~np.isin(groups[parts.train], judged), " or ".join(judges).replace("valid", "validation")
    if not is_free.any():
        raise UserError(
            f"all groups of the new training examples are in the run's {sets} set, so nothing is left "
            "to train on; give examples of other groups too"
        )
    if not is_free.all():
        parts = replace(parts, train=parts.train[is_free])
        n = np.count_nonzero(~is_free)
        are = "example of a group" if n == 1 else "examples of groups"
        notes.append(f"{n:,} {are} in the run's {sets} set {'is' if n == 1 else 'are'} not trained on")
    return parts


def _learned(folders: Sequence[Path], judges: tuple[str, ...]) -> NDArray[np.uint64]:
    """The groups in the sets of these folders that do not judge."""
    trained = [part for part in PARTS if part not in judges]
    found = [groups for folder in folders if (groups := groups_of(folder, *trained)) is not None]
    return np.concatenate(found)


def _fresh(
    folder: Path,
    older: Sequence[Path],
    tried: Sequence[Path],
    arrays: Mapping[str, Array],
    y: NDArray[Any],
    times: NDArray[np.uint64] | None,
) -> NDArray[np.bool_]:
    """Which labelled examples are not in the run's data, (n,). TooFewNewExamples as in ``read_new``."""
    fresh = _unseen(folder, arrays, y, times)
    for place in older if times is None else ():  # ``folder`` has the times of all data
        fresh &= _unseen(place, arrays, y, times, n_old(place))
    n_fresh, n = int(fresh.sum()), len(fresh)
    if n_fresh < min(MIN_ROWS, n):
        raise TooFewNewExamples(n_fresh, n - n_fresh)
    for place in tried:
        n_other = int((fresh & _unseen(place, arrays, y, times, n_old(place))).sum())
        if n_other < min(MIN_ROWS, n_fresh):
            raise TooFewNewExamples(n_other, n - n_other, tried=True)
    return fresh


def _with_learned_groups(parts: SplitRows, is_learned: NDArray[np.bool_]) -> SplitRows | None:
    """The split, with rows of groups that the model was trained on moved to the training set; None if too few others
    are left to judge by."""
    valid, test = (part[~is_learned[part]] for part in (parts.valid, parts.test))
    if min(len(valid), len(test)) < MIN_ROWS // 5:
        return None
    moved = [part[is_learned[part]] for part in (parts.valid, parts.test)]
    return replace(parts, train=np.concatenate([parts.train, *moved]), valid=valid, test=test)


def _unseen(
    folder: Path,
    arrays: Mapping[str, Array],
    y: NDArray[Any],
    times: NDArray[np.uint64] | None,
    first: Mapping[str, int] = MappingProxyType({}),
) -> NDArray[np.bool_]:
    """Which labelled examples are not in the prepared data in ``folder``, (n,).

    All, if most of the prepared data are duplicates of each other. ``times``: for a series, the hash of the time step
    of each example, by which it is recognised. ``first``: where to begin in each set; 0 if missing.
    """
    if times is not None:
        return ~np.isin(times, read_array(folder / MOMENTS))
    view = Facts.read(folder).views.names[0]
    splits = read_prepared(folder / view)
    old = [
        _digest(row, label)
        for part in PARTS
        for row, label in zip(
            *(getattr(splits, f"{array}_{part}")[first.get(part, 0) :] for array in ("x", "y")), strict=True
        )
    ]
    known = set(old)
    if len(known) < len(old) / 2:
        return np.ones(len(y), bool)
    return np.array([_digest(row, label) not in known for row, label in zip(arrays[view], y, strict=True)], bool)


def _digest(row: Array, label: Any) -> bytes:
    return hashlib.blake2b(_key(row) + repr(float(label)).encode(), digest_size=16).digest()


def _labels(rows: LabelledRows, old: Target) -> tuple[NDArray[np.int64], NDArray[Any], Target, list[str]]:
    """The usable rows, their labels, the target with new classes, and notes."""
    if not isinstance(old, Classes):
        found = numbers(rows.labels, rows.target, old.offset)
        return found.rows, found.y, old, found.notes
    labelled = np.flatnonzero(rows.labels.notna().to_numpy())
    places, different = differing(rows.labels.iloc[labelled])
    names = np.array([_name(value, old.names) for value in different])[places]
    known, counts = np.unique(names, return_counts=True)
    added = tuple(
        name for name, n in zip(known, counts, strict=True) if name not in old.names and n >= MIN_ROWS_PER_CLASS
    )
    target = Classes((*old.names, *map(str, added)))
    place = {name: i for i, name in enumerate(target.names)}
    good = np.array([name in place for name in names], dtype=bool)
    if len(labelled) and not good.any():
        shown = ", ".join(old.names[:MAX_NAMED]) + ", ..." * (len(old.names) > MAX_NAMED)
        raise UserError(
            f"{rows.target!r} has none of the classes of the model, {shown}, and no other with "
            f"{MIN_ROWS_PER_CLASS} rows: row {labelled[0] + 1:,} has {names[0]}; write the classes as in the run's data"
        )
    notes = about_case(added, old.names)
    if len(labelled) < len(rows.labels):
        notes.append(left_out(len(rows.labels) - len(labelled), f"without a value of {rows.target!r}"))
    if not good.all():
        notes.append(left_out(int(np.count_nonzero(~good)), f"of classes with fewer than {MIN_ROWS_PER_CLASS} rows"))
    return labelled[good], np.array([place[name] for name in names[good]], np.int64), target, notes


def _name(value: Any, known: Collection[str]) -> str:
    """The name of a class as spelled or, if only another spelling is known, in that one: True for true, 1 for 01 or 1.0
    (what 1 becomes in a column with missing values)."""
    name, plain = spelled_text(value), plain_text(value)
    whole = plain_text(number_of(plain))
    others = {plain_text(each.lstrip("0") or each): each for each in known}
    found = (each if each in known else others.get(each) for each in (name, plain, whole))
    return next((each for each in found if each is not None), name)


def unite(old: Path, new: NewData, out: Path, *, fits_valid: bool = False) -> int:
    """Write old and new data as one folder; returns the number of new training examples dropped as known.

    Old examples come first in each set; if more than MAX_REPLAYED, they are subsampled, stratified by class. New
    examples that are in the old validation or test set are left out of training. ``fits_valid``: the old validation
    examples follow the old training examples in the training set, which keeps all of them, as in the fit of a
    cross-validated model.
    """
    facts = Facts.read(old)
    before: dict[str, tuple[str, ...]] = {part: (part,) for part in PARTS}  # the old sets in each set
    first = read_prepared(old / facts.views.names[0])
    most = {"train": MAX_REPLAYED, "valid": MAX_REPLAYED // 2, "test": MAX_REPLAYED // 2}
    if fits_valid:
        before |= {"train": ("train", "valid"), "valid": ()}
        most["train"] = len(first.y_train) + len(first.y_valid)
    kept = {part: _thinned(_joined(first, "y", before[part]), most[part]) for part in PARTS}
    rows = dict(zip(PARTS, new.parts, strict=True))
    judges = [part for part in ("valid", "test") if before[part]]
    fresh = np.ones(len(rows["train"]), bool)
    if new.moments is None:  # else they were recognised by their times
        seen = {_key(row) for part in judges for row in getattr(first, f"x_{part}")}
        fresh = np.array([_key(row) not in seen for row in new.arrays[facts.views.names[0]][rows["train"]]], dtype=bool)
    rows["train"] = rows["train"][fresh]
    for view in facts.views.names:
        splits = read_prepared(old / view)
        joined = {}
        for part in PARTS:
            x_old, y_old = (_joined(splits, array, before[part])[kept[part]] for array in ("x", "y"))
            joined[f"x_{part}"] = np.concatenate([x_old, new.arrays[view][rows[part]].astype(x_old.dtype)])
            joined[f"y_{part}"] = np.concatenate([y_old, new.y[rows[part]].astype(y_old.dtype)])
        inputs, target = splits.inputs.refitted(joined["x_train"]), new.target.refitted(joined["y_train"])
        write_prepared(Splits(**joined, inputs=inputs, target=target), out / view)
        n_train = len(joined["y_train"])
    for part in PARTS:
        counts = weights_of(old, *before[part]) if before[part] else new.weights
        if counts is not None and new.weights is not None:
            np.save(out / WEIGHTS.format(part), np.concatenate([counts[kept[part]], new.weights[rows[part]]]))
        groups = groups_of(old, *before[part]) if before[part] else new.groups
        if groups is not None and new.groups is not None:
            np.save(out / GROUPS.format(part), np.concatenate([groups[kept[part]], new.groups[rows[part]]]))
    if new.moments is not None:
        known = read_array(old / MOMENTS)
        np.save(out / MOMENTS, np.union1d(known, new.moments))
    shutil.copytree(old / ENCODER_FOLDER, out / ENCODER_FOLDER)
    (out / OLD).write_text(json.dumps({part: len(kept[part]) for part in PARTS}) + "\n", encoding="utf-8")
    (out / FACTS).write_text(json.dumps(asdict(replace(facts, n_train=n_train, folds=""))) + "\n", encoding="utf-8")
    return int((~fresh).sum())


def n_old(folder: Path) -> dict[str, int]:
    """The number of old examples in each set of merged data; empty for a run's own data."""
    file = folder / OLD
    counts: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return counts


def splits_by_family(task: OwnData | CrossValidated) -> Callable[[str], Splits]:
    """A function from a model family to the arrays that it reads."""
    known: dict[str, Splits] = {}

    def splits(family: str) -> Splits:
        place = task.data_of(family)
        if place not in known:
            known[place] = read_prepared(Path(place))
        return known[place]

    return splits


def truth_of(task: OwnData | CrossValidated, part: str) -> GroundTruth:
    """The ground truth for a set of the task's data."""
    splits = splits_by_family(task)(task.space["model"].default_value)
    return GroundTruth(
        getattr(splits, f"y_{part}"),
        weights_of(Path(task.data), part),
        levels_of(splits.target),
        len(splits.target.names),
    )


def _joined(splits: Splits, array: str, parts: tuple[str, ...]) -> NDArray[Any]:
    """The inputs (``x``) or labels (``y``) of several sets, concatenated; empty without sets."""
    if not parts:
        empty: NDArray[Any] = getattr(splits, f"{array}_train")[:0]
        return empty
    return np.concatenate([getattr(splits, f"{array}_{part}") for part in parts])


def _thinned(y: NDArray[Any], n_kept: int) -> NDArray[np.int64]:
    if len(y) <= n_kept:
        return np.arange(len(y))
    chosen, _ = held_out(y, n_kept)
    return np.sort(chosen)


def _key(row: Array) -> bytes:
    return np.ascontiguousarray(row).tobytes()


def request_for(settings: Mapping[str, Any] | None, path: Path) -> Request:
    """The run's data options applied to a new file. UserError for a run that is not on the user's own data."""
    if settings is None:
        raise UserError("only runs on your own data (--data) can be updated, not those of a built-in task or a command")
    return replace(Request(**settings), data=str(path)).checked()
