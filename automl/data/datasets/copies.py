"""Copies of the built-in data sets as prepared arrays, so that each is generated or parsed once on a machine.

They lie in the data folder, in ``prepared``, and are memory-mapped: all processes share their memory. A copy made by
another version of this code, or of the packages that generate data, is not used.
"""

import contextlib
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from automl.data.datasets.data_folder import data_folder
from automl.data.memory_map import read_prepared, write_prepared
from automl.data.splits import Splits
from automl.errors import UserError

FOLDER = "prepared"
GENERATORS = ("mnist1d", "numpy", "rdkit", "scikit-learn", "tokenizers")  # their versions decide on the arrays
UNUSED = 7 * 24 * 3600.0  # seconds after which copies of other versions, and remains of killed writers, go


def copied(name: str, make: Callable[[], Splits]) -> Splits:
    """The splits of a data set, from its copy; without one, those that ``make`` returns, of which one is written.

    A folder that cannot be written to gets no copy.
    """
    folder = data_folder() / FOLDER / name / _made_by()
    with contextlib.suppress(UserError, OSError):  # missing, damaged or not readable
        return read_prepared(folder)
    splits = make()
    with contextlib.suppress(UserError, OSError):
        return read_prepared(folder)  # another process was quicker
    with contextlib.suppress(OSError):
        _write(splits, folder)
    return splits


def _write(splits: Splits, folder: Path) -> None:
    """Write the copy, atomically, and remove a damaged one and old ones of other versions."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="aside-") as aside:
        write_prepared(splits, Path(aside) / "copy")
        for other in folder.parent.iterdir():
            if other == folder or time.time() - other.stat().st_mtime > UNUSED:
                shutil.rmtree(other, ignore_errors=True)
        (Path(aside) / "copy").rename(folder)


@functools.cache
def _made_by() -> str:
    """A hash of the code in ``automl.data`` and of the versions of GENERATORS."""
    digest = hashlib.sha256(" ".join(map(_version, GENERATORS)).encode())
    package = Path(__file__).parents[1]
    for file in sorted(package.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
