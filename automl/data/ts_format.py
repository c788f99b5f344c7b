"""Time series in the .ts format of the UEA and UCR archives (timeseriesclassification.com).

A line a series: the values of each channel with commas between them, a colon after each channel, the label at the end.
"""

import numpy as np
from numpy.typing import NDArray

from automl.data.parts import Examples, Parts, hold_out

Series = NDArray[np.float32]


def read_ts(content: bytes) -> Examples[Series, str]:
    """x: (channels, length), where the length may differ from series to series; y: the label."""
    lines = [line.strip() for line in content.decode().splitlines()]
    rows = [line.split(":") for line in lines if line and line[0] not in "#@"]
    return Examples([np.array([channel.split(",") for channel in row[:-1]], np.float32) for row in rows],
                    [row[-1] for row in rows])  # fmt: skip


def series_parts(train: bytes, test: bytes) -> Parts[Examples[Series, str]]:
    """The given test part; a fifth of the given training part, stratified, is held out for validation."""
    given = read_ts(train)
    return hold_out(given, len(given) // 5, read_ts(test))
