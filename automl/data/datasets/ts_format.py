"""Built-in time series in the .ts format of the UEA and UCR archives (timeseriesclassification.com)."""

import numpy as np
from numpy.typing import NDArray

from automl.data.examples import Examples, Parts, hold_out, numbered_classes
from automl.data.ingest.sequences import parse_ts
from automl.data.inputs import Dense, Padded
from automl.data.splits import Splits

Series = NDArray[np.float32]


def read_ts(content: bytes) -> Examples[Series, str]:
    """x: (channels, length), where the length may differ; y: the label."""
    return Examples(*parse_ts(content.decode(), "the data set"))


def series_parts(train: bytes, test: bytes) -> Parts[Examples[Series, str]]:
    """The given test set; a fifth of the training set, stratified, is held out for validation."""
    given = read_ts(train)
    return hold_out(given, len(given) // 5, read_ts(test))


def series_splits(parts: Parts[Examples[Series, str]]) -> Splits:
    """Series as (n, channels, longest), padded with NaN."""
    every = [*parts.train.x, *parts.valid.x, *parts.test.x]
    longest, shortest = (pick(series.shape[1] for series in every) for pick in (max, min))
    x = Parts(*(filled_up(part.x, longest) for part in (parts.train, parts.valid, parts.test)))
    y, classes = numbered_classes(parts)
    inputs = (Dense if shortest == longest else Padded).of(x.train)
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, inputs, classes)


def filled_up(series: list[Series], length: int) -> Series:
    rows = np.full((len(series), len(series[0]), length), np.nan, np.float32)
    for row, values in zip(rows, series, strict=True):
        row[:, : values.shape[1]] = values
    return rows
