"""Columns of a table that carry no information, or leak the target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.ingest.read_table import plain_text
from automl.data.ingest.request import MAX_WHOLE_CLASSES
from automl.data.ingest.target import MIN_ROWS_PER_CLASS, target_kind
from automl.data.words import words

if TYPE_CHECKING:
    import pandas as pd

NUMBERED = 0.9  # least share of distinct values in a column that numbers the rows; duplicated rows repeat a number
LABELS_OF_ROWS = re.compile(r"Unnamed: 0|__index_level_\d+__|row[._ ]?names?")  # names that pandas and R give
IDS = re.compile(r"id|row|index|case|obs|observation|n[ro]|num|number", re.IGNORECASE)  # of rows, possibly with gaps
TIMES = re.compile(r"(.*[^a-z])?(year|quarter|month|week|day|date|hour|time)", re.IGNORECASE)  # that may count on
LEAKAGE_CORRELATION = 0.9999  # above which a column counts as the target in other units
MAX_COMPARED_VALUES = 500  # different values up to which a column is compared with the labels
MIN_ROWS, MAX_ROWS = 20, 20_000  # rows; with fewer, a column can separate the classes by chance
WORDS_OF_SENTENCES = 4  # minimum mean number of words in a column of sentences
LETTERS_OF_WORD = 3  # of a word that makes a short text, unless its script has no spaces
MIN_DISTINCT = 50  # values up to which a column is not mostly distinct
SAMPLE = 1_000  # of the distinct values
NO_WARNING = EMPTY, CONSTANT = "it has no values", "it is constant"  # reasons to leave out a column that lose nothing


def useless_columns(
    frame: pd.DataFrame, labels: pd.Series[Any], target: str, read: Collection[str], *, as_given: bool = False
) -> dict[str, str]:
    """Columns that are useless or leak the target, with the reason. ``read``: those that hold dates or texts.

    ``as_given``: numbers are ids only if they are named so, and a leak is the caller's choice.
    """
    found = {}
    n = len(frame)
    for name in map(str, frame):
        values = frame[name]
        present = values.dropna()
        n_unique = present.nunique()
        if not n_unique:
            found[name] = EMPTY
        elif n_unique == 1 and n - len(present) < MIN_ROWS_PER_CLASS:  # else, a missing value may say something
            found[name] = CONSTANT
        elif not as_given and equals_target(values, labels):
            found[name] = f"it equals the target {target!r}, or maps one-to-one to it (a leak)"
        elif name in read:
            continue
        elif _mostly_distinct(values) and _mostly_unique(values):
            found[name] = "most of its values occur only once (an id?)"
        elif LABELS_OF_ROWS.fullmatch(name) and n_unique == n:
            found[name] = "it is a saved row index"
        elif values.dtype.kind not in "fiu" or n_unique < NUMBERED * n or (as_given and not IDS.fullmatch(name)):
            continue
        elif _numbers_rows(name, present, n_unique):
            found[name] = f"it numbers the rows (an id){'; to keep it, rename it' * as_given}"
    return found


def text_columns(frame: pd.DataFrame, dates: Collection[str]) -> set[str]:
    """The columns that hold texts, most of them distinct."""
    columns = (name for name in map(str, frame) if name not in dates and _mostly_distinct(frame[name]))
    return {name for name in columns if are_texts(frame[name].cat.categories.tolist())}


def are_texts(values: Sequence[str]) -> bool:
    """Whether distinct values are texts: sentences, or words of which most values share some with a few others, as
    products or comments do and identifiers do not."""
    chosen = np.linspace(0, len(values) - 1, min(len(values), SAMPLE)).astype(int)
    sample = [str(values[place]) for place in chosen]
    if np.mean([value.count(" ") for value in sample]) + 1 >= WORDS_OF_SENTENCES:
        return True
    of_value = [{word for word in words(value) if _is_telling(word)} for value in sample]
    counts = Counter(word for each in of_value for word in each)
    shared = {word for word, n in counts.items() if 1 < n <= len(sample) / 2}  # what all have in common says nothing
    return sum(bool(each & shared) for each in of_value) > len(sample) / 2


def _is_telling(word: str) -> bool:
    """Whether a word is not likely part of a code."""
    is_short = word.isascii() and len(word) < LETTERS_OF_WORD
    return not is_short and not any(character.isdigit() for character in word)


def _mostly_distinct(values: pd.Series[Any]) -> bool:
    n = values.nunique()
    return values.dtype == "category" and n > 0.5 * values.notna().sum() and n > MIN_DISTINCT


def _mostly_unique(values: pd.Series[Any]) -> bool:
    """Whether most rows have a value that no other has."""
    return bool((values.value_counts() == 1).sum() > 0.5 * values.notna().sum())


def _numbers_rows(name: str, values: pd.Series[Any], n_unique: int) -> bool:
    """Whether numbers are consecutive integers, or increasing ones in a column that is named like an id; times are not
    ids."""
    whole = values.to_numpy(np.float64)
    if np.any(whole % 1) or TIMES.fullmatch(name):
        return False
    is_increasing = bool(IDS.fullmatch(name)) and bool(np.all(np.diff(whole) > 0))
    return is_increasing or bool(whole.max() - whole.min() == n_unique - 1)


def determines_target(values: pd.Series[Any], labels: pd.Series[Any]) -> bool:
    """Whether numbers are a linear function of a numeric target, or lie in a separate range for each class."""
    if values.dtype.kind not in "fiu":
        return False
    if len(values) > MAX_ROWS:
        drawn = np.random.default_rng(0).choice(len(values), MAX_ROWS, replace=False)
        values, labels = values.iloc[drawn], labels.iloc[drawn]
    both = (values.notna() & labels.notna()).to_numpy()
    if both.sum() < MIN_ROWS:
        return False
    x = values.to_numpy(np.float64)[both]
    if target_kind(labels[both]) == "number":
        y = labels.to_numpy(np.float64)[both]
        return bool(np.ptp(x) > 0 and np.ptp(y) > 0 and abs(np.corrcoef(x, y)[0, 1]) > LEAKAGE_CORRELATION)
    classes = labels[both].astype("str").to_numpy()
    counts = np.unique(classes, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < MIN_ROWS_PER_CLASS:
        return False
    order = np.argsort(x, kind="stable")
    x, classes = x[order], classes[order]
    change = classes[1:] != classes[:-1]
    # Sorted, the class changes n_classes - 1 times, and never between equal numbers.
    return bool(change.sum() == len(counts) - 1 and (x[1:] > x[:-1])[change].all())


def equals_target(values: pd.Series[Any], labels: pd.Series[Any]) -> bool:
    """Whether a column equals the labels or maps one-to-one to them, where it has values or with missing as one."""
    values, labels = values[labels.notna()], labels[labels.notna()]
    present = values.notna()
    n_labels, enough = labels.nunique(), present.sum() >= min(MIN_ROWS, len(labels))
    if not present.any():
        return False
    one, other = values[present], labels[present]
    if enough and one.dtype.kind in "fiu" and other.dtype.kind in "fiu" and bool((one == other).all()):
        return True
    if labels.dtype.kind in "fiu" and n_labels > MAX_WHOLE_CLASSES:
        return False
    if enough and _one_to_one(one, other, n_labels):
        return True
    return not present.all() and _one_to_one(values, labels, n_labels)


def _one_to_one(values: pd.Series[Any], labels: pd.Series[Any], n_labels: int) -> bool:
    """Whether each value, missing ones included, has one of the n labels of its own.

    Values that occur about once each do so trivially.
    """
    n = values.nunique(dropna=False)
    if n != n_labels or not 1 < n <= min(MAX_COMPARED_VALUES, len(values) / 2):
        return False
    written = ["" if gone else plain_text(value) for value, gone in zip(values, values.isna(), strict=True)]
    return len(set(zip(written, labels.map(plain_text), strict=True))) == n
