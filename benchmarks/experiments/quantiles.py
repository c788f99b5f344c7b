"""The calibration of predicted quantiles on users' tables: ``python -m benchmarks.experiments.quantiles``.

A model of quantiles is made of a part of each table's rows, and scored on the others twice: as it is, and without the
shifts that were fitted out of fold.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from automl import AutoMLRegressor
from automl.data.ingest.request import MAX_WHOLE_CLASSES
from automl.deployment.predictor import Predictor
from automl.errors import UserError
from automl.metrics import measure
from automl.provenance import commit
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.pages import markdown
from benchmarks.scoring.cohorts import SPLITS, counted
from benchmarks.suites.own_files import UsersFile
from benchmarks.suites.product_tables import files_of

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
MAX_ROWS = 4_000  # of a table, a random sample
SHARE = 0.6  # of the rows for the model


def main(
    seconds: Annotated[float, typer.Option(help="Time limit of a run.")] = 20.0,
    seeds: Annotated[int, typer.Option(min=1, help="Random splits of each table.")] = 1,
    only: Annotated[str | None, typer.Option(help="Tables, separated by commas. [default: all of numbers]")] = None,
    out: Annotated[Path, typer.Option(help="Table to write; the summary gets the suffix .md.")] = Path(
        "results/quantiles.csv"
    ),
) -> None:
    """Make and score the models, and write the table and its summary."""
    lines: list[dict[str, Any]] = []
    for file in files_of(only):
        if file.kind != "table":
            continue
        frame = _frame(file)
        if _has_numbers(file, frame[file.target]):
            lines += [_line(file, frame, seed, seconds) for seed in range(seeds)]
            print(f"{file.name}: scored", flush=True)
            table = pd.DataFrame(lines).assign(commit=commit())
            write_atomic(out, table.to_csv(index=False, float_format="%.5g"))
    if not lines:
        raise UserError("none of these tables has numbers as target")
    write_atomic(out.with_suffix(".md"), summary(pd.read_csv(out)))
    print(out.with_suffix(".md"))


def _has_numbers(file: UsersFile, target: pd.Series[Any]) -> bool:
    """Whether a run on the file is a regression."""
    if "kind" in file.options:
        return bool(file.options["kind"] == "regression")
    return bool(pd.api.types.is_numeric_dtype(target)) and target.nunique() > MAX_WHOLE_CLASSES


def _frame(file: UsersFile) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as place:
        return pd.read_csv(file.data.write(Path(place), file.target))


def _line(file: UsersFile, frame: pd.DataFrame, seed: int, seconds: float) -> dict[str, Any]:
    rows = np.random.default_rng(seed).permutation(len(frame))[:MAX_ROWS]
    fitting, judging = np.split(rows, [round(SHARE * len(rows))])
    x, y = frame.drop(columns=file.target), frame[file.target]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about members that the time limit leaves out
        model = AutoMLRegressor(quantiles=LEVELS, time_limit=seconds, n_jobs=1, random_state=seed)
        model.fit(x.iloc[fitting], y.iloc[fitting])
    whole, truth = model.predictor_, y.iloc[judging].to_numpy(np.float64)
    plain = Predictor(whole.members, whole.encoder, {**whole.card, "shifts": []})
    line: dict[str, Any] = {
        "table": file.name, "split": file.split, "seed": seed, "seconds": seconds,
        "n_rows": len(fitting), "n_judged": len(judging),
    }  # fmt: skip
    for name, predictor in (("shifted", whole), ("plain", plain)):
        predicted = predictor.predict(x.iloc[judging])
        line |= {f"{name}_{interval}": _share_within(truth, predicted, interval) for interval in (80, 90)}
        line[f"{name}_pinball"] = measure("pinball", truth, predicted, levels=LEVELS)
    return line


def _share_within(y: NDArray[Any], predicted: NDArray[Any], interval: int) -> float:
    """The share of the rows in the central interval of so many percent."""
    tail = (1 - interval / 100) / 2
    low, high = (LEVELS.index(round(level, 3)) for level in (tail, 1 - tail))
    return float(np.mean((predicted[:, low] <= y) & (y <= predicted[:, high])))


def summary(table: pd.DataFrame) -> str:
    """The means over the seeds as Markdown."""
    means = table.groupby(["split", "table"], sort=False, as_index=False).mean(numeric_only=True)
    means["ratio"] = means["shifted_pinball"] / means["plain_pinball"]
    cells = [
        [mean["table"], SPLITS[mean["split"]], f"{mean['n_rows']:,.0f}", *_shares(mean), f"{mean['ratio']:.3f}"]
        for _, mean in means.iterrows()
    ]
    for split, of in means.groupby("split", sort=False):
        mean, ratio = of.mean(numeric_only=True), float(np.exp(np.log(of["ratio"]).mean()))
        cells.append([f"**{counted(len(of), 'table')}**", SPLITS[str(split)], "", *_shares(mean), f"{ratio:.3f}"])
    seconds, n = table["seconds"].iloc[0], table["seed"].nunique()
    lines = [
        "# Calibration of quantiles",
        "",
        "By `python -m benchmarks.experiments.quantiles`. Shares of test rows within intervals of 80% and 90%, with",
        "the shifts fitted out of fold and without, and the ratio of the pinball losses (below 1: the shifts help).",
        f"Default plan with `--quantiles {','.join(map(str, LEVELS))}`, {seconds:g} seconds on a core, "
        f"{counted(n, 'seed')}.",
        "",
        *markdown.grid(
            ["table", "split", "rows", "80%, shifted", "80%, plain", "90%, shifted", "90%, plain", "pinball ratio"],
            cells,
        ),
    ]
    return "\n".join(lines) + "\n"


def _shares(mean: Any) -> list[str]:
    return [f"{mean[f'{name}_{interval}']:.1%}" for interval in (80, 90) for name in ("shifted", "plain")]


if __name__ == "__main__":
    run_command(main)
