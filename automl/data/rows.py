"""Examples as rows of a table: series as lags, images as gradients and colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array

CELLS = (4, 2)  # cells per side of the grids of gradient histograms
ANGLES = 9  # bins of a gradient histogram, as in the paper
COLOUR_CELLS = 4  # cells per side of the grid of mean colours
LEVELS = 8  # bins of a colour histogram
IMAGES_AT_ONCE = 1_000


def as_rows(x: Array) -> Array:
    """Examples (n, ...) as rows of numbers, (n, columns) of float32; rows of a table remain as they are."""
    if x.ndim == 4:
        parts = [image_features(x[start : start + IMAGES_AT_ONCE]) for start in range(0, len(x), IMAGES_AT_ONCE)]
        return np.concatenate(parts) if parts else image_features(x)
    return np.asarray(x, np.float32).reshape(len(x), -1)


def image_features(images: NDArray[Any]) -> NDArray[np.float32]:
    """Histograms of gradients, mean colours on a grid and histograms of colours, (n, features).

    ``images``: (n, channels, height, width), with sides of 8 pixels or more. The gradients are those of the grey image,
    weighted by magnitude, in histograms scaled to length 1 (N. Dalal and B. Triggs, Histograms of Oriented Gradients
    for Human Detection, CVPR 2005).
    """
    x = np.asarray(images, np.float32)
    grey = x.mean(1)
    down, right = np.gradient(grey, axis=(1, 2))
    sizes = np.hypot(down, right)
    angles = np.mod(np.arctan2(down, right), np.pi) * (ANGLES / np.pi)
    low = np.floor(angles).astype(np.int64) % ANGLES
    share = angles - np.floor(angles)
    planes = np.zeros((len(x), ANGLES, *grey.shape[1:]), np.float32)  # each gradient counts for the two nearest angles
    np.put_along_axis(planes, low[:, None], (sizes * (1 - share))[:, None], 1)
    above = ((low + 1) % ANGLES)[:, None]
    np.put_along_axis(planes, above, np.take_along_axis(planes, above, 1) + (sizes * share)[:, None], 1)
    found = []
    for cells in CELLS:
        counts = on_grid(planes, cells)
        lengths = np.linalg.norm(counts, axis=1, keepdims=True) + 1.0  # keeps the noise of a uniform image small
        found.append((counts / lengths).reshape(len(x), ANGLES * cells**2))
    found.append(on_grid(x, COLOUR_CELLS).reshape(len(x), x.shape[1] * COLOUR_CELLS**2))
    levels = np.linspace(0, 256, LEVELS + 1)[1:-1]
    shares = [(x > level).mean((2, 3)) for level in levels]
    return np.concatenate([*found, *shares], 1, dtype=np.float32)


def on_grid(planes: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """The means over the cells of a grid, (n, channels, cells, cells)."""
    height, width = planes.shape[2:]
    rows, columns = (np.linspace(0, side, cells + 1).astype(int)[:-1] for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(planes, rows, 2), columns, 3)
    heights, widths = (np.diff([*starts, side]) for starts, side in ((rows, height), (columns, width)))
    means: NDArray[np.float32] = sums / (heights[:, None] * widths)
    return means
