"""The rows of ``benchmarks.experiments.products`` as a page: errors relative to an untuned baseline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from automl.metrics import METRICS, loss_of
from benchmarks.pages import markdown
from benchmarks.scoring.certainty import between, geometric_mean
from benchmarks.scoring.cohorts import SPLITS

BASE = "untuned"  # errors are divided by its: scikit-learn's gradient boosting for tables, else see own_scores
TOLERATED = 1.02  # of errors divided by the baseline's
ONE_SIDED = 1.645  # standard errors, for 95%


def error_of(metric: str, score: float, n_test: int) -> float:
    """The error of a score on test rows; half an example is added for accuracies, since they may be 1."""
    return loss_of(metric, score) + (0.5 / n_test if METRICS[metric].best is not None else 0.0)


def ratios_of(rows: pd.DataFrame, *, log_loss: bool = False) -> pd.DataFrame:
    """Errors, or the log losses of classes, divided by that of the untuned baseline: a row per file and split, a column
    per product."""
    if log_loss:
        errors = rows.dropna(subset="log_loss").rename(columns={"log_loss": "error"})
    else:
        errors = rows.assign(error=list(map(error_of, rows["metric"], rows["score"], rows["n_test"])))
    wide = errors.pivot_table(index=["part", "table", "split"], columns="product", values="error")
    return wide.drop(columns=BASE).div(wide[BASE], axis=0)


def geometric_of(rows: pd.DataFrame, product: str) -> tuple[int, float, float, float]:
    """The number of files of a product, and the geometric mean of its ratios with a 95% interval over files."""
    ratios = ratios_of(rows)[[product]].dropna()
    return len(of_files(ratios)), *geometric_mean(np.log(of_files(ratios)[product].to_numpy()))


def duel_of(rows: pd.DataFrame, product: str, rival: str, *, log_loss: bool = False) -> tuple[int, float, float, float]:
    """As ``geometric_of``, for the errors or log losses of a product divided by those of another one."""
    files = _quotients(ratios_of(rows, log_loss=log_loss), product, rival)
    return len(files), *geometric_mean(np.log(files.to_numpy()))


def behind(rows: pd.DataFrame, product: str, rival: str) -> pd.Series[Any]:
    """The errors of a product divided by those of another one, where above TOLERATED: by file, the largest first."""
    files = _quotients(ratios_of(rows), product, rival).droplevel("part").sort_values(ascending=False)
    return files[files > TOLERATED]


def _quotients(ratios: pd.DataFrame, product: str, rival: str) -> pd.Series[Any]:
    """The ratios of two products by file, on the splits of both."""
    both = ratios[[product, rival]].dropna()
    return of_files((both[product] / both[rival]).to_frame("quotient"))["quotient"]


def of_files(ratios: pd.DataFrame) -> pd.DataFrame:
    """The geometric mean over the splits of each file."""
    return ratios.apply(np.log).groupby(["part", "table"]).mean().apply(np.exp)


def summary(rows: pd.DataFrame) -> str:
    """The ratios as Markdown: geometric means with intervals over files, wins, and every file."""
    lines = [
        "# Whole products on users' files",
        "",
        "By `python -m benchmarks.experiments.products`. A product gets the same training rows and the same wall-clock "
        "on the same cores; `default` is `automl run --data FILE --target NAME` with no other option than the time "
        "limit, `bo` the same with `--strategy bo`; `lightgbm-random` is a random search on LightGBM with five folds. "
        "Numbers are test errors (1 - accuracy, or RMSE) divided by that of an untuned baseline on the same rows: "
        "below 1 is better. The baseline is scikit-learn's histogram gradient boosting for tables, TF-IDF and logistic "
        "regression for texts, the better of a support vector machine and a random forest for pictures, and ridge "
        "regression on the window for series. Where a file was split several times, its number is the geometric mean. "
        "Intervals: 95%, by Student's t over files. Clearly worse: files on which the ratio is above "
        f"{TOLERATED} with a probability of 95% by the choice of test rows. Nothing was tuned on the held-out files. "
        "All except those of modeldata were measured with several versions, and losses on those with long-tailed "
        "numbers led to development files of that kind. FLAML has no row on leaves, where it had not "
        "ended after 28 minutes.",
        "",
    ]
    rows = rows.assign(is_table=rows["kind"] == "table")
    for (seconds, workers, is_table), part in rows.groupby(["seconds", "workers", "is_table"], sort=False):
        ratios = ratios_of(part)
        what = "Tables" if is_table else "Texts, pictures and series"
        lines += [f"## {what}, {seconds:g} seconds on {workers} core{'s' * (workers != 1)}", ""]
        lines += [
            *_means(part, ratios, SPLITS),
            "",
            *_duels(ratios, "errors"),
            *_log_losses(part),
            *_every_file(part, ratios),
            "",
        ]
    return "\n".join(lines) + "\n"


def held_out(rows: pd.DataFrame) -> list[str]:
    """A table with the mean of each product on the held-out files of these rows."""
    return _means(rows, ratios_of(rows), ("holdout",))


def _means(rows: pd.DataFrame, ratios: pd.DataFrame, parts: Iterable[str]) -> list[str]:
    cells = []
    for name in ratios:
        for which in parts:
            own = ratios.loc[ratios.index.get_level_values("part") == which, [str(name)]].dropna()
            if not own.empty:
                cells.append(_line_of(str(name), which, own, rows))
    heads = ["product", "files", "error / untuned", "95%", "better on", "worst", "clearly worse", "wall-clock, longest"]
    return markdown.grid(heads, cells)


def _line_of(name: str, which: str, ratios: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """``ratios``: one column, for the files of a part."""
    files = of_files(ratios)[name].droplevel("part")
    mean, low, high = geometric_mean(np.log(files.to_numpy()))
    own = rows[(rows["product"] == name) & (rows["part"] == which)]
    return [
        name, _how_many(ratios, which), f"{mean:.3f}", between(low, high),
        f"{int((files < 1).sum())} of {len(files)}", f"{files.max():.2f} ({files.idxmax()})",
        _clearly_worse(own, files), f"{own['wall'].max():.0f} s",
    ]  # fmt: skip


def _how_many(ratios: pd.DataFrame, which: str) -> str:
    """The number of files in a part, and of splits per file if there are several."""
    splits = ratios.groupby("table").size()
    few, most = splits.min(), splits.max()
    shown = SPLITS[which]
    if most == 1:
        return f"{len(splits)} {shown}"
    return f"{len(splits)} {shown}, {f'{few} to ' if few < most else ''}{most} splits"


def _clearly_worse(rows: pd.DataFrame, files: pd.Series[Any]) -> str:
    """How many of the files with known noise are clearly worse."""
    known = rows.dropna(subset="noise")
    if known.empty:
        return ""
    of_file = known.groupby("table")["noise"]
    noise = (of_file.agg(lambda each: float((each**2).sum())) ** 0.5 / of_file.size()).to_numpy()
    logs = np.log(files[sorted(set(known["table"]))].to_numpy())
    n_worse = int((logs - ONE_SIDED * noise > np.log(TOLERATED)).sum())
    return f"{n_worse} of {len(noise)}"


def _log_losses(rows: pd.DataFrame) -> list[str]:
    """The duels by log loss, on files with classes."""
    if rows["log_loss"].isna().all():
        return []
    return _duels(ratios_of(rows, log_loss=True), "log losses of classes")


def _duels(ratios: pd.DataFrame, what: str) -> list[str]:
    """The errors of ``default`` divided by those of each other product, on the files and splits of both."""
    cells = []
    for name in ratios.columns.drop("default", errors="ignore") if "default" in ratios else []:
        for which in SPLITS:
            both = ratios.loc[ratios.index.get_level_values("part") == which, ["default", name]].dropna()
            if len(both) > 1:
                files = _quotients(both, "default", str(name))
                mean, low, high = geometric_mean(np.log(files.to_numpy()))
                own = [f"{mean:.3f}", between(low, high), f"{int((files < 1).sum())} of {len(files)}"]
                cells.append([f"default / {name}", _how_many(both, which), *own])
    return [*markdown.grid([what, "files", "ratio", "95%", "default is better on"], cells), ""] if cells else []


def _every_file(rows: pd.DataFrame, ratios: pd.DataFrame) -> list[str]:
    base = rows[rows["product"] == BASE].groupby("table").agg(
        {"n_train": "first", "n_test": "first", "metric": "first", "score": "mean"}
    )  # fmt: skip
    cells = []
    for line in of_files(ratios).reset_index().to_dict("records"):
        part, table = line.pop("part"), line.pop("table")
        known = base.loc[table]
        cells.append(
            [str(table), str(part), f"{known['n_train']:,} + {known['n_test']:,}"]
            + [f"{known['metric']} {known['score']:.4g}"]
            + ["" if np.isnan(value) else f"{value:.3f}" for value in line.values()]
        )
    return markdown.grid(["file", "", "rows", "untuned", *map(str, ratios.columns)], cells)
