"""The S&P 500 index from 1999 to 2018, day by day: open, high, low, close, volume.

5,031 days in the PyPI package arch (NCSA; nothing is stated of the data, which are Yahoo Finance's). Split by time: the
last fifth of the days is for test, the tenth before it for validation, so that nothing is learnt from what came later.
"""

import io
from typing import TYPE_CHECKING

from automl.data.files import Files, package_files
from automl.data.packages import PyPI
from automl.data.parts import Parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
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


def load() -> "Parts[DataFrame]":
    """Frames with the columns COLUMNS, by rising dates; each part begins where the one before it ends."""
    from pandas import read_csv

    content = io.BytesIO(FILES.read("sp500/sp500.csv.gz"))
    days = read_csv(content, compression="gzip", parse_dates=["Date"], index_col="Date").sort_index()[list(COLUMNS)]
    first_valid, first_test = len(days) * 7 // 10, len(days) * 8 // 10
    return Parts(days[:first_valid], days[first_valid:first_test], days[first_test:])


def log_range(days: "DataFrame") -> "NDArray[np.float64]":
    """log(100 log(high / low)) of each day: how far the price went, a measure of volatility (Parkinson 1980)."""
    import numpy as np

    ranges: NDArray[np.float64] = np.log(100 * np.log((days["High"] / days["Low"]).to_numpy(np.float64)))
    return ranges
