"""Real data that arrive in parts, as user files (images, texts, a series), with test examples for each part."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.datasets.export import write_pictures
from automl.data.datasets.registry import load_data, load_parts
from automl.deployment.predictor import Predictor
from automl.metrics import measure

N_PARTS = 5
IMAGES, TEST_IMAGES = 400, 400  # images per part
TEXTS_PARTS = 4


@dataclass(frozen=True)
class Test:
    """Held-out examples and their targets."""

    examples: Any  # what Predictor.predict takes
    y: NDArray[Any]


@dataclass(frozen=True)
class Arrivals:
    """The parts in the order of their arrival."""

    parts: Sequence[Path]
    tests: Sequence[Test]
    options: Sequence[str]  # command-line options in addition to --data
    epochs: int
    metric: str

    def together(self, n: int, out: Path) -> Path:
        """The first n parts as one file or folder."""
        if self.parts[0].is_dir():
            for number, part in enumerate(self.parts[:n]):
                for file in part.glob("*/*.png"):
                    (out / file.parent.name).mkdir(parents=True, exist_ok=True)
                    os.link(file, out / file.parent.name / f"{number}-{file.name}")
            return out
        file = out.with_suffix(".csv")
        frame = pd.concat([pd.read_csv(part) for part in self.parts[:n]])
        frame.drop_duplicates("Date" if "Date" in frame else None).to_csv(file, index=False)
        return file


def predictions_of(test: Test, model: Predictor) -> NDArray[Any]:
    """A model's predictions for the test examples; for a series, the last ones."""
    predicted: NDArray[Any] = model.predict(test.examples)[-len(test.y) :]
    return predicted


def scored(metric: str, parts: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    """The metric over the test examples of several parts, given as (targets, predictions)."""
    y, predictions = (np.concatenate(side) for side in zip(*parts, strict=True))
    return float((predictions == y).mean()) if metric == "accuracy" else measure(metric, y, predictions)


# --- Fashion-MNIST ----------------------------------------------------------------------------------------------------


def images(folder: Path, classes: Callable[[int], Sequence[int]], brightness: Callable[[int], float]) -> Arrivals:
    """Parts of Fashion-MNIST, with the classes and the brightness factor of each part."""
    splits, rng = load_data("fashion-mnist", None), np.random.default_rng(0)
    order, test_order = rng.permutation(len(splits.y_train)), rng.permutation(len(splits.y_test))
    parts, tests = [], []
    for number in range(N_PARTS):
        known, factor = classes(number), brightness(number)
        own = [i for i in order if splits.y_train[i] in known][:IMAGES]
        order = np.setdiff1d(order, own, assume_unique=True)
        chosen = [i for i in test_order if splits.y_test[i] in known][:TEST_IMAGES]
        test_order = np.setdiff1d(test_order, chosen, assume_unique=True)
        parts.append(folder / f"part-{number}")
        write_pictures(parts[-1], splits.x_train[own] * factor, splits.y_train[own])
        files = write_pictures(folder / f"test-{number}", splits.x_test[chosen] * factor, splits.y_test[chosen])
        tests.append(Test(files, splits.y_test[chosen].astype(str)))
    return Arrivals(parts, tests, ["--model", "cnn"], 5, "accuracy")


def new_classes(folder: Path) -> Arrivals:
    """Six classes at first, one more with each part."""
    return images(folder, lambda number: range(6 + number), lambda number: 1.0)


def darker(folder: Path) -> Arrivals:
    """All classes; from the third part on, the images have 40% of their brightness."""
    return images(folder, lambda number: range(10), lambda number: 0.4 if number >= 2 else 1.0)


def no_shift(folder: Path) -> Arrivals:
    """All classes and no shift."""
    return images(folder, lambda number: range(10), lambda number: 1.0)


# --- 20 Newsgroups ----------------------------------------------------------------------------------------------------


def newsgroups(folder: Path) -> Arrivals:
    """The training and the test set, each split at random into four parts."""
    given, rng = load_parts("newsgroups", None), np.random.default_rng(0)
    folder.mkdir(parents=True)
    parts, tests = [], []
    shares = [np.array_split(rng.permutation(len(part)), TEXTS_PARTS) for part in (given.train, given.test)]
    for number, (own, held) in enumerate(zip(*shares, strict=True)):
        frame = pd.DataFrame({"text": given.train.take(own).x, "group": given.train.take(own).y})
        parts.append(folder / f"part-{number}.csv")
        frame.to_csv(parts[-1], index=False)
        test = given.test.take(held[:TEST_IMAGES])
        tests.append(Test(test.x, np.array(test.y)))
    return Arrivals(parts, tests, ["--text", "text", "--target", "group", "--model", "cnn"], 5, "accuracy")


# --- the S&P 500 ------------------------------------------------------------------------------------------------------

FIRST_YEARS = 8  # before the first update
BEFORE = 64  # rows of the previous year available to a forecast
TEST_FROM = 10  # month from which on the year is used for testing


def sp500(folder: Path) -> Arrivals:
    """The index's daily log range, one day ahead: eight years at first, then one year per part."""
    from automl.data.datasets.sp500 import log_range

    raw = load_parts("sp500", None)
    days = pd.concat([raw.train, raw.valid, raw.test])
    table = pd.DataFrame(
        {
            "range": log_range(days),
            "change": 100 * np.log(days["Close"]).diff().fillna(0.0),
            "volume": np.log(days["Volume"]).diff().fillna(0.0),
        }
    ).rename_axis("Date")
    first = table.index[0].year
    last = first + FIRST_YEARS - 1
    folder.mkdir(parents=True)
    parts, tests = [], []
    for number in range(N_PARTS):
        until = last + number
        since = first if number == 0 else until
        start = table.index.searchsorted(pd.Timestamp(since, 1, 1))
        cut = table.index.searchsorted(pd.Timestamp(until, TEST_FROM, 1))
        end = table.index.searchsorted(pd.Timestamp(until + 1, 1, 1))
        parts.append(folder / f"part-{number}.csv")
        table.iloc[max(0, int(start) - BEFORE) : int(cut)].to_csv(parts[-1])
        # Each forecast is for the next row; that of the last row has no known target and is dropped.
        given = table.iloc[int(cut) - BEFORE : int(end)]
        tests.append(Test(given.iloc[:-1].reset_index(), given["range"].to_numpy()[BEFORE + 1 :]))
    options = ["--time", "Date", "--target", "range", "--horizon", "1", "--model", "mlp,rnn", "--metric", "r2"]
    return Arrivals(parts, tests, options, 10, "r2")


IN_TIME = ("sp500",)  # later parts of these contain the rows of earlier test sets
STREAMS: dict[str, Callable[[Path], Arrivals]] = {
    "fashion, new classes": new_classes,
    "fashion, darker": darker,
    "fashion, no shift": no_shift,
    "newsgroups": newsgroups,
    "sp500": sp500,
}
