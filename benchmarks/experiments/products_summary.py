"""The rows of ``benchmarks.experiments.products`` as a page: errors beside those of an untuned baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.metrics import METRICS, loss_of
from benchmarks.pages import markdown

BASE = "untuned"  # what errors are divided by: for tables gradient boosting of scikit-learn, else see own_scores
N_RESAMPLES = 10_000


def error(line: Any) -> float:
    """The error of a row; for accuracies half an example is added, since they may be 1."""
    least = 0.5 / line["n_test"] if METRICS[line["metric"]].best is not None else 0.0
    return loss_of(line["metric"], line["score"]) + least


def ratios_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors divided by that of the untuned boosting: a row a table and split, a column a product."""
    errors = rows.assign(error=[error(line) for _, line in rows.iterrows()])
    wide = errors.pivot_table(index=["part", "table", "split"], columns="product", values="error")
    return wide.drop(columns=BASE).div(wide[BASE], axis=0)


def summary(rows: pd.DataFrame) -> str:
    """The ratios as Markdown: geometric means with intervals over tables, wins, and every table."""
    lines = [
        "# Whole products on users' files",
        "",
        "By `python -m benchmarks.experiments.products`. A product gets the same training rows and the same wall-clock "
        "on the same cores; `default` is `automl run --data FILE --target NAME` with no other option than the time "
        "limit, `bo` the same with `--strategy bo`. Numbers are test errors (1 - accuracy, or RMSE) divided by that of "
        "an untuned baseline on the same rows: below 1 is better. The baseline is scikit-learn's histogram gradient "
        "boosting for tables, TF-IDF and logistic regression for texts, the better of a support vector machine and a "
        "random forest for pictures, and ridge regression on the window for series. Intervals: bootstrap over files, "
        "95%. Nothing was tuned on the holdout files.",
        "",
    ]
    rows = rows.assign(is_table=rows["kind"] == "table")
    for (seconds, workers, is_table), part in rows.groupby(["seconds", "workers", "is_table"], sort=False):
        ratios = ratios_of(part)
        what = "Tables" if is_table else "Texts, pictures and series"
        lines += [f"## {what}, {seconds:g} seconds on {workers} core{'s' * (workers != 1)}", ""]
        cells = []
        for name in ratios:
            for which in ("holdout", "development"):
                if which in ratios.index.get_level_values("part"):
                    own: pd.Series[Any] = ratios[name].xs(which).dropna()
                    if not own.empty:
                        cells.append(_line_of(str(name), which, own, part))
        heads = ["product", "files", "error / untuned", "95%", "better on", "worst", "wall-clock, longest"]
        lines += [*markdown.grid(heads, cells), "", *_duels(ratios), *_every_table(part, ratios), ""]
    return "\n".join(lines) + "\n"


def _line_of(name: str, which: str, ratios: pd.Series[Any], rows: pd.DataFrame) -> list[str]:
    logs = np.log(ratios.dropna().groupby("table").mean().to_numpy())
    mean, low, high = _geometric(logs)
    own = rows[(rows["product"] == name) & (rows["part"] == which)]
    worst = str(ratios.groupby("table").max().idxmax())
    return [
        name, f"{len(logs)} {which}", f"{mean:.3f}", f"{low:.3f} to {high:.3f}",
        f"{int((logs < 0).sum())} of {len(logs)}", f"{ratios.max():.2f} ({worst})", f"{own['wall'].max():.0f} s",
    ]  # fmt: skip


def _duels(ratios: pd.DataFrame) -> list[str]:
    """The errors of ``default`` divided by those of each other product, on the files that both were run on."""
    cells = []
    for name in ratios.columns.drop("default", errors="ignore") if "default" in ratios else []:
        for which in ("holdout", "development"):
            both = ratios.loc[ratios.index.get_level_values("part") == which, ["default", name]].dropna()
            if len(both) > 1:
                quotients: pd.Series[Any] = both["default"] / both[name]
                logs = np.log(quotients.groupby("table").mean().to_numpy())
                mean, low, high = _geometric(logs)
                own = [f"{mean:.3f}", f"{low:.3f} to {high:.3f}", f"{int((logs < 0).sum())} of {len(logs)}"]
                cells.append([f"default / {name}", f"{len(logs)} {which}", *own])
    return [*markdown.grid(["errors", "files", "ratio", "95%", "default is better on"], cells), ""] if cells else []


def _geometric(logs: NDArray[Any]) -> tuple[float, float, float]:
    """The geometric mean of ratios with the bootstrap's 95% interval. ``logs``: their logarithms, one a file."""
    rng = np.random.default_rng(0)
    means = logs[rng.integers(0, len(logs), (N_RESAMPLES, len(logs)))].mean(1)
    low, high = np.exp(np.percentile(means, [2.5, 97.5]))
    return float(np.exp(logs.mean())), float(low), float(high)


def _every_table(rows: pd.DataFrame, ratios: pd.DataFrame) -> list[str]:
    base = rows[rows["product"] == BASE].drop_duplicates(["table", "split"]).set_index(["table", "split"])
    cells = []
    for line in ratios.sort_index().reset_index().to_dict("records"):
        part, table, split = (line.pop(name) for name in ("part", "table", "split"))
        known = base.loc[(table, split)].to_dict()
        cells.append(
            [str(table), str(part), f"{known['n_train']:,} + {known['n_test']:,}"]
            + [f"{known['metric']} {known['score']:.4g}"]
            + ["" if np.isnan(value) else f"{value:.3f}" for value in line.values()]
        )
    return markdown.grid(["file", "", "rows", "untuned", *map(str, ratios.columns)], cells)
