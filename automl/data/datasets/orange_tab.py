"""Labelled texts in Orange's .tab format: tab-separated, three lines of header, then the label and the text."""

import csv
import io

from automl.data.examples import Examples, Parts, hold_out, without_repeats

MAX_FIELD_LENGTH = 1_000_000  # characters in a field


def read_tab(content: bytes) -> Examples[str, str]:
    """x: the text, y: the label; rows without one of them are left out."""
    before = csv.field_size_limit(MAX_FIELD_LENGTH)
    try:
        rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter="\t"))[3:]
    finally:
        csv.field_size_limit(before)
    whole = [(row[1], row[0]) for row in rows if len(row) > 1 and row[0] and row[1].strip()]
    return Examples([text for text, _ in whole], [label for _, label in whole])


def text_parts(train: bytes, test: bytes) -> Parts[Examples[str, str]]:
    """The given test set; the training set without repeated and test texts, a tenth of it held out for validation."""
    tested = read_tab(test)
    rest = without_repeats(read_tab(train), seen=tested.x)
    return hold_out(rest, len(rest) // 10, tested)
