"""Whole products on users' files, by wall-clock: ``python -m benchmarks.experiments.products``.

The same rows are given to this project's command, with its defaults and with a named strategy, to an untuned baseline
and, for tables, to a random search on LightGBM and to FLAML and AutoGluon in environments of their own. All are scored
on the same test rows.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from automl.data.inputs import Columns
from automl.data.memory_map import read_prepared
from automl.data.splits import Splits, with_valid_in_train
from automl.errors import UserError
from automl.metrics import measure
from automl.provenance import commit
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.experiments.products_summary import BASE, error_of, summary
from benchmarks.suites.own_files import UsersFile
from benchmarks.suites.product_tables import files_of

OWN = {"default": (), "bo": ("--strategy=bo",)}  # our command: further options
RIVALS = {  # the name of the script, rival_NAME.py, and further arguments
    "lightgbm-random": ("random",),
    "flaml": ("flaml",),
    **{f"autogluon-{quality}": ("autogluon", quality) for quality in ("medium", "good", "best")},
}
PRODUCTS = (*OWN, "lightgbm", *RIVALS)
KEY = ["table", "split", "seconds", "workers", "product"]  # of a row
N_BOOTSTRAP = 400


def main(
    seconds: Annotated[float, typer.Option(help="Wall-clock budget per product and table.")] = 60.0,
    workers: Annotated[int, typer.Option(help="Cores per product.")] = 1,
    at_once: Annotated[int, typer.Option(help="Tables to run in parallel.")] = 2,
    split: Annotated[int, typer.Option(help="Index of the random train/test split.")] = 0,
    only: Annotated[str | None, typer.Option(help="Tables, separated by commas. [default: all]")] = None,
    products: Annotated[str, typer.Option(help=f"Some of {', '.join(PRODUCTS)}.")] = "default,lightgbm",
    again: Annotated[bool, typer.Option("--again", help="Replace rows that these products have.")] = False,
    flaml_python: Annotated[Path | None, typer.Option(help="Python with flaml[automl,catboost].")] = None,
    autogluon_python: Annotated[
        Path | None, typer.Option(help="Python with autogluon.tabular[lightgbm,catboost,xgboost,fastai].")
    ] = None,
    out: Annotated[Path, typer.Option(help="Table to extend; the summary gets the suffix .md.")] = Path(
        "results/products.csv"
    ),
) -> None:
    """Run the products that have no row yet for a table, this split, time and number of cores, and write the table."""
    known = pd.read_csv(out) if out.exists() else pd.DataFrame()
    lines = [{str(name): value for name, value in line.items()} for line in known.to_dict("records")]
    wanted = [name.strip() for name in products.split(",")]
    pythons = {"random": Path(sys.executable), "flaml": flaml_python, "autogluon": autogluon_python}
    for name in wanted:
        if name not in PRODUCTS:
            raise UserError(f"--products must be of {', '.join(PRODUCTS)}, not {name!r}")
        if name in RIVALS and pythons[RIVALS[name][0]] is None:
            raise UserError(f"{name} needs an environment of its own: --{RIVALS[name][0]}-python PYTHON")
    jobs = files_of(only)
    done = set[tuple[Any, ...]]() if again else {_key(line) for line in lines}

    def run(file: UsersFile) -> list[dict[str, Any]]:
        suiting = wanted if file.kind == "table" else [name for name in wanted if name in OWN]
        missing = [name for name in suiting if (file.name, split, seconds, workers, name) not in done]
        return rows_of(file, split, seconds, workers, missing, pythons)

    with ThreadPoolExecutor(at_once) as pool:
        for found in pool.map(run, jobs):
            replaced = {_key(line) for line in found if again or line["product"] != BASE}
            lines = [line for line in lines if _key(line) not in replaced] + found
            for line in found:
                print(f"{line['table']}: {line['product']} {line['score']:.4g} in {line['wall']:.0f} s", flush=True)
            write_atomic(out, table_of(lines).to_csv(index=False, float_format="%.6g"))
    write_atomic(out.with_suffix(".md"), summary(pd.read_csv(out)))  # rounded, so that equal scores compare equal
    print(out.with_suffix(".md"))


def table_of(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a frame; the baseline, which every call computes, is kept only once."""
    return pd.DataFrame(lines).drop_duplicates(KEY)


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in KEY)


def rows_of(
    file: UsersFile, split: int, seconds: float, workers: int, wanted: list[str], pythons: dict[str, Path | None]
) -> list[dict[str, Any]]:
    """A row for each product on a file, and one for the untuned baseline."""
    if not wanted:
        return []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        csv = shuffled(file, split, folder)
        splits, metric = prepared(file, csv, folder / "data")
        arrays = with_valid_in_train(splits)
        results = {BASE: _untuned(arrays, BASE) if file.kind == "table" else _practitioners(file, splits, arrays)}
        for product in wanted:
            place_of = folder / product
            place_of.mkdir()
            if product in OWN:
                results[product] = _ours(file, csv, place_of, seconds, workers, OWN[product])
            elif product in RIVALS:
                python = pythons[RIVALS[product][0]]
                assert python is not None
                results[product] = _rivals(arrays, metric, place_of, seconds, workers, python, product)
            else:
                results[product] = _untuned(arrays, product)
    y = arrays.y_test
    about = {
        "table": file.name, "kind": file.kind, "part": file.split, "split": split,
        "seconds": seconds, "workers": workers,
        "metric": metric, "n_train": len(arrays.y_train), "n_test": len(y), "commit": commit(),
    }  # fmt: skip
    rows = []
    for product, (predicted, wall) in results.items():
        losses = measure("log_loss", y, predicted) if arrays.n_classes else np.nan
        score, noise = measure(metric, y, predicted), noise_of(metric, y, predicted, results[BASE][0])
        rows.append({**about, "product": product, "score": score, "log_loss": losses, "wall": wall, "noise": noise})
    return rows


def noise_of(metric: str, y: NDArray[Any], predicted: NDArray[Any], base: NDArray[Any]) -> float:
    """The standard error of the log ratio of a product's error to the baseline's, due to the choice of test rows: from
    a bootstrap over them, the same for both.
    """
    rng, logs = np.random.default_rng(0), []
    for _ in range(N_BOOTSTRAP):
        rows = rng.integers(0, len(y), len(y))
        errors = [error_of(metric, measure(metric, y[rows], found[rows]), len(y)) for found in (predicted, base)]
        logs.append(np.log(errors[0] / errors[1]))
    return float(np.std(logs))


def shuffled(file: UsersFile, split: int, folder: Path) -> Path:
    """The table as a CSV file, with its rows shuffled by ``split``, since the order decides the split."""
    csv = file.data.write(folder, file.target)
    if split and csv.is_file():
        pd.read_csv(csv).sample(frac=1.0, random_state=split).to_csv(csv, index=False)
    return csv


def prepared(file: UsersFile, csv: Path, folder: Path) -> tuple[Splits, str]:
    """The rows as encoded by this project for its first family, and the metric."""
    from automl.data.ingest.prepare import Facts, prepare
    from automl.data.ingest.request import Request

    prepare(Request(str(csv), **file.options).checked(), folder)
    facts = Facts.read(folder)
    return read_prepared(folder / facts.views.usual), facts.metric(None)


def _ours(
    file: UsersFile, csv: Path, folder: Path, seconds: float, workers: int, more: tuple[str, ...]
) -> tuple[NDArray[Any], float]:
    """Run this project's command; returns its model's predictions and the seconds."""
    from automl.data.ingest.prepare import Facts
    from automl.deployment.predictor import load_predictor, model_folder

    start, run = time.perf_counter(), folder / "run"
    options = [f"--{name}={value}" for name, value in file.options.items()]
    subprocess.run(
        [sys.executable, "-m", "automl", "run", "--data", str(csv), *options, *more, f"--time-limit={seconds:g}",
         f"--workers={workers}", f"--out={run}", "--prior=none", "--no-learn"],
        check=True, capture_output=True,
    )  # fmt: skip
    wall = time.perf_counter() - start
    views = Facts.read(run / "data").views
    predictor = load_predictor(model_folder(run))
    return predictor.judge(lambda family: read_prepared(run / "data" / views.of(family)).x_test), wall


def _practitioners(file: UsersFile, splits: Splits, with_valid: Splits) -> tuple[NDArray[Any], float]:
    """The untuned baseline for files that are not tables."""
    from benchmarks.experiments.own_scores import baseline

    start = time.perf_counter()
    return baseline(file.kind, splits, with_valid).predictions[0], time.perf_counter() - start


def _rivals(
    arrays: Splits, metric: str, folder: Path, seconds: float, workers: int, python: Path, product: str
) -> tuple[NDArray[Any], float]:
    assert isinstance(arrays.inputs, Columns)
    n_numbers = arrays.inputs.n_numbers
    np.savez(
        folder / "rows.npz", x=arrays.x_train, y=arrays.y_train, x_test=arrays.x_test, metric=metric,
        n_classes=arrays.n_classes, kind="classification" if arrays.n_classes else "regression",
        categories=np.arange(n_numbers, arrays.inputs.shape[0]),
    )  # fmt: skip
    start = time.perf_counter()
    name, *more = RIVALS[product]
    script = Path(__file__).with_name(f"rival_{name}.py")
    subprocess.run(
        [str(python), str(script), str(folder), f"{seconds:g}", str(workers), *more],
        check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": str(workers)}, cwd=folder,
    )  # fmt: skip
    return np.load(folder / "predictions.npy"), time.perf_counter() - start


def _untuned(arrays: Splits, product: str) -> tuple[NDArray[Any], float]:
    """Gradient boosting with its defaults: scikit-learn's, or LightGBM's."""
    start = time.perf_counter()
    assert isinstance(arrays.inputs, Columns)
    categories = list(range(arrays.inputs.n_numbers, arrays.inputs.shape[0]))
    x, x_test = (np.array(part, np.float64) for part in (arrays.x_train, arrays.x_test))
    for part in (x, x_test):
        codes = part[:, arrays.inputs.n_numbers :]
        codes[codes == 0] = np.nan
    if product == "lightgbm":
        import lightgbm

        model: Any = (lightgbm.LGBMClassifier if arrays.n_classes else lightgbm.LGBMRegressor)(n_jobs=1, verbose=-1)
        model.fit(x, arrays.y_train, categorical_feature=categories)
    else:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        few = [place for place in categories if arrays.inputs.cardinalities[place - arrays.inputs.n_numbers] <= 255]
        kind = HistGradientBoostingClassifier if arrays.n_classes else HistGradientBoostingRegressor
        model = kind(categorical_features=few or None, random_state=0).fit(x, arrays.y_train)
    if not arrays.n_classes:
        return np.asarray(model.predict(x_test)), time.perf_counter() - start
    found = np.zeros((len(x_test), arrays.n_classes))
    found[:, np.asarray(model.classes_, int)] = model.predict_proba(x_test)
    return found, time.perf_counter() - start


if __name__ == "__main__":
    run_command(main)
