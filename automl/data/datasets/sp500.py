"""The S&P 500 index from 1999 to 2018, daily: open, high, low, close, volume.

5,031 days in the PyPI package arch (NCSA; no licence is stated for the data, from Yahoo Finance). Split by time: the
last fifth of the days is for test, the tenth before it for validation, so that no model is trained on later data.
"""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import PyPI
from automl.data.examples import Parts
from automl.data.inputs import Dense
from automl.data.splits import Splits
from automl.data.targets import Number

if TYPE_CHECKING:
    from pandas import DataFrame

FILES = Files(
    "sp500",
    package_files(
        "sp500",
        PyPI("arch", "8.0.0"),
        (
            "sp500.csv.gz",
            "arch/data/sp500/sp500.csv.gz",
            102_735,
            "1e028cbb9c400cc018c816ccc439b33c919387e726c3ed5ca2c05c82746059de",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch

COLUMNS = ("Open", "High", "Low", "Close", "Volume")
WINDOW = 66  # days before the predicted one that a model sees: a quarter of a year


def parts() -> "Parts[DataFrame]":
    """Frames with the columns COLUMNS, in order of date; each set begins where the one before it ends."""
    from pandas import read_csv

    content = io.BytesIO(FILES.read("sp500/sp500.csv.gz"))
    days = read_csv(content, compression="gzip", parse_dates=["Date"], index_col="Date").sort_index()[list(COLUMNS)]
    first_valid, first_test = len(days) * 7 // 10, len(days) * 8 // 10
    return Parts(days[:first_valid], days[first_valid:first_test], days[first_test:])


def log_range(days: "DataFrame") -> "NDArray[np.float64]":
    """log(100 log(high / low)) of each day, the range, a measure of volatility (Parkinson 1980)."""
    ranges: NDArray[np.float64] = np.log(100 * np.log((days["High"] / days["Low"]).to_numpy(np.float64)))
    return ranges


def load() -> Splits:
    """x: (n, 4, WINDOW), the days before; y: the log range of the next day. Windows may begin in the set before.

    Channels: log range; the log returns from close to close, in percent; from open to close, in percent; log volume
    less its mean over the window.
    """
    from pandas import concat

    raw = parts()
    days = concat([raw.train, raw.valid, raw.test])
    ranges, close, opened = log_range(days), np.log(days["Close"].to_numpy()), np.log(days["Open"].to_numpy())
    volume = np.log(days["Volume"].to_numpy(np.float64))
    channels = np.stack([ranges, 100 * np.diff(close, prepend=close[0]), 100 * (close - opened), volume])
    windows = np.lib.stride_tricks.sliding_window_view(channels[:, :-1], WINDOW, axis=1).swapaxes(0, 1).copy()
    windows[:, 3] -= windows[:, 3].mean(1, keepdims=True)
    x, y = windows.astype(np.float32), ranges[WINDOW:].astype(np.float32)
    first_valid = len(raw.train) - WINDOW
    first_test = first_valid + len(raw.valid)
    train, valid, test = slice(first_valid), slice(first_valid, first_test), slice(first_test, None)
    return Splits(x[train], y[train], x[valid], y[valid], x[test], y[test], Dense.of(x[train]), Number.of(y[train]))
