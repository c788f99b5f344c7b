"""The pictures of the leaderboard; the only module of the benchmarks that imports a plotting library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

# Okabe and Ito's colours, told apart by colour-blind people too; yardsticks are grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B"]
MARKERS = "os^vDP*X"
GREY = {"random": "-", "random x2": "--", "default": ":"}


def regret_over_budget(regrets: pd.DataFrame, file: Path, title: str) -> None:
    """Mean normalised regret of each strategy against the budget, both logarithmic, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import ScalarFormatter

    curves = regrets.groupby(["suite", "task", "strategy"]).mean().groupby("strategy").mean()
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    names = [name for name in curves.index if name not in GREY]
    for name in [*names, *(name for name in GREY if name in curves.index)]:
        values = np.maximum(curves.loc[name].to_numpy(dtype=float), 1e-4)
        if name in GREY:
            axes.plot(curves.columns, values, GREY[name], color="0.5", label=name)
        else:
            i = names.index(name)
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            axes.plot(curves.columns, values, label=name, color=colour, marker=marker)
    axes.set(xscale="log", yscale="log", xlabel="budget (full trainings)", ylabel="mean normalised regret", title=title)
    axes.set_xticks(list(curves.columns))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    plt.close(figure)
