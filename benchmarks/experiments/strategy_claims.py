"""The tables on the pages of ``bo`` and ``auto`` that come from the tables in results/."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.experiments.ablation import described, difference_of
from benchmarks.experiments.duels import as_table
from benchmarks.pages.markdown import grid
from benchmarks.scoring.cohorts import EVERY_SUITE

DUELS = {"duels.csv": "", "holdout/duels.csv": ", held-out", "peers/duels-bo.csv": ""}  # of bo, and what they add
PARTS = ("ablation-auto", "ablation-curves")  # each with an `auto` of its own
PAST_BUDGETS = (10, 20, 40, 50)


def ahead(results: Path) -> list[str]:
    """The suites on which the mean regret of another library is lower than that of ``bo``, as a table."""
    parts = []
    for source, about in DUELS.items():
        rows = pd.read_csv(results / source)
        rows = rows[rows["rival"].str.startswith("raw-") & (rows["suite"] != EVERY_SUITE) & (rows["difference"] > 0)]
        retrained = rows["fresh_tasks"].gt(0).map({True: ", retrained", False: ""})
        parts.append(rows.assign(suite=rows["suite"] + about + retrained))
    found = pd.concat(parts).drop_duplicates(["rival", "suite", "budget"])
    return as_table(found.sort_values(["budget", "rival", "suite"]))


def parts_of_auto(results: Path) -> list[str]:
    """What happens to the regret of ``auto`` if one part is removed or replaced, as a table."""
    tables = [pd.read_csv(results / f"{name}.csv").assign(source=name) for name in PARTS]
    rows = pd.concat(tables).query("suite == @EVERY_SUITE")
    budgets, cells = sorted(rows["budget"].unique()), []
    for (source, variant), found in rows.groupby(["source", "rival"], sort=False):
        shown = {row["budget"]: "{} ({})".format(*difference_of(row)) for row in found.to_dict("records")}
        cells.append(
            [
                f"`{variant}`: {described(str(variant))}",
                *(shown.get(budget, "") for budget in budgets),
                f"[{source}.md](../../results/{source}.md)",
            ]
        )
    return grid(["variant", *(f"after {budget} trainings" for budget in budgets), "source"], cells)


def past_studies(results: Path) -> list[str]:
    """The regret of ``bo`` without past studies, starting from their best, and with them as its mean, as a table."""
    rows = pd.read_csv(results / "transfer-model.csv").set_index("what")
    values, cells = rows["value"], []
    for budget in PAST_BUDGETS:
        difference = rows.loc[f"both {budget} - prior {budget}"]
        cells.append(
            [
                str(budget),
                *(f"{values[f'{what} {budget}']:.3f}" for what in ("none", "prior", "both")),
                "{:+.3f} ({:+.3f} to {:+.3f})".format(*difference[["value", "low", "high"]]),
            ]
        )
    return grid(["trainings", "without past studies", "starts", "starts and mean", "mean against starts"], cells)
