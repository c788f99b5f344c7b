"""Letter Recognition (Frey & Slate 1991): 16 features of images of capital letters in 20 distorted fonts.

20,000 rows from the UCI repository (CC BY 4.0), in the Debian package r-cran-mlbench (GPL-2.0). Following the authors,
the first 16,000 are for training and the last 4,000 for test. Training rows whose features are repeated or in the test
set are removed, then a stratified 2,000 are held out for validation.
"""

from typing import TYPE_CHECKING

import numpy as np

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import Debian
from automl.data.datasets.r_files import read_rda
from automl.data.examples import Examples, Parts, hold_out, numbered_classes, without_repeats
from automl.data.inputs import Columns
from automl.data.splits import Splits

if TYPE_CHECKING:
    from pandas import DataFrame

FILES = Files(
    "letter",
    package_files(
        "letter",
        Debian("r-cran-mlbench"),
        (
            "LetterRecognition.rda",
            "usr/lib/R/site-library/mlbench/data/LetterRecognition.rda",
            162_612,
            "111c717790adb653a75298b74eb5766a0a0b0f9c67ab6fd843616e118264ebfd",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch

TARGET = "lettr"
N_VALID, N_TEST = 2_000, 4_000


def parts() -> Parts[Examples[tuple[int, ...], str]]:
    """x: 16 integers from 0 to 15; y: A to Z."""
    frame = read()
    measures = frame.drop(columns=TARGET).astype(int)
    examples = Examples(list(measures.itertuples(index=False, name=None)), [str(letter) for letter in frame[TARGET]])
    given, test = (examples.take(part) for part in (range(len(frame) - N_TEST), range(len(frame) - N_TEST, len(frame))))
    return hold_out(without_repeats(given, seen=test.x), N_VALID, test)


def read() -> "DataFrame":
    FILES.fetch(download=False)
    return read_rda(FILES.files[0].local, "LetterRecognition")


def load() -> Splits:
    """(n, 16) numbers."""
    raw = parts()
    x = Parts(*(np.array(part.x, np.float32) for part in (raw.train, raw.valid, raw.test)))
    y, classes = numbered_classes(raw)
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, Columns.of(x.train, ()), classes)
