"""The numbers in README and docs, from the tables in results/: ``python -m benchmarks.experiments.claims``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
import typer

from benchmarks.command import run_command
from benchmarks.experiments.products_summary import TOLERATED, behind, duel_of, geometric_of, held_out
from benchmarks.experiments.streams import gaps
from benchmarks.pages.markdown import grid, put
from benchmarks.scoring.cohorts import EVERY_SUITE

PRODUCTS_FILE = "products.csv"
BLOCK, PRODUCTS = "claims", "products"
FOUND = ("yes", "no difference is shown", "no, the opposite")  # whether the interval excludes equality
RIVALS = {
    "lightgbm-random": "random search on LightGBM",
    "flaml": "FLAML",
    "autogluon-medium": "AutoGluon, medium quality",
    "autogluon-good": "AutoGluon, good quality",
}


class Claim(NamedTuple):
    """A row of the table."""

    claim: str
    holds: str
    number: str
    source: str  # a file in results/

    def cells(self, results: Path) -> list[str]:
        """The row with the source as a link."""
        place = results / self.source
        return [self.claim, self.holds, self.number, f"[{place.name}]({place.as_posix()})"]


def main(
    results: Annotated[Path, typer.Option(help="Folder with the tables.")] = Path("results"),
    readme: Annotated[Path, typer.Option(help="Page whose block 'claims' is replaced.")] = Path("README.md"),
    tables: Annotated[Path, typer.Option(help="Page whose block 'products' is replaced.")] = Path(
        "docs/how-to/tables.md"
    ),
) -> None:
    """Write the claims, and the comparison of products on held-out tables."""
    put(readme, BLOCK, table(results))
    rows = held_out_tables(results)
    put(tables, PRODUCTS, [*held_out(rows), "", *lost(rows)])
    print(readme, tables, sep="\n")


def table(results: Path) -> list[str]:
    """The lines of the table."""
    duels = [
        _duel(results, "raw-optuna", "default sampler"),
        _duel(results, "raw-optuna-gp", "Gaussian-process sampler"),
    ]
    claims = [
        duels[0],
        *_products(results),
        _early_stopping(results),
        duels[1],
        _past_studies(results),
        _updates(results),
    ]
    return grid(["claim", "holds", "numbers (95% interval)", "source"], [claim.cells(results) for claim in claims])


def _duel(results: Path, rival: str, what: str) -> Claim:
    source = "peers/duels-auto.csv"
    rows = pd.read_csv(results / source)
    row = rows[(rows["rival"] == rival) & (rows["suite"] == EVERY_SUITE) & (rows["budget"] == 20)].iloc[0]
    return Claim(
        f"`auto` beats Optuna's {what} with 20 trainings, on {row['n_tasks']} real tasks, by fresh seeds",
        _found(row["low"], row["high"], 0),
        f"regret {row['regret']:.3f} against {row['rival_regret']:.3f}: "
        + _interval(row["difference"], row["low"], row["high"]),
        source,
    )


def held_out_tables(results: Path) -> pd.DataFrame:
    """The rows of the products on held-out tables, with 60 seconds each."""
    rows = pd.read_csv(results / PRODUCTS_FILE)
    return rows[(rows["kind"] == "table") & (rows["part"] == "holdout") & (rows["seconds"] == 60)]


def lost(rows: pd.DataFrame) -> list[str]:
    """The tables on which ``default`` is behind another product, and the comparison of log losses."""
    rivals = {rival: name for rival, name in RIVALS.items() if rival in set(rows["product"])}
    lines = [f"Tables on which the errors of `default` are more than {TOLERATED - 1:.0%} above another product's:", ""]
    for rival, name in rivals.items():
        files = behind(rows, "default", rival)
        n = len(rows[rows["product"] == rival]["table"].unique())
        each = ", ".join(f"{table} ({quotient - 1:.0%})" for table, quotient in files.items())
        lines.append(f"- {name}: {len(files)} of {n}{': ' if each else ''}{each}")
    about = (
        "All products were asked for accuracy, which ignores how sure a model is. Log losses of `default`, divided by "
        "those of another product:"
    )
    lines += ["", about, ""]
    for rival, name in rivals.items():
        n, *found = duel_of(rows, "default", rival, log_loss=True)
        lines.append("- {}: {:.3f} ({:.3f} to {:.3f}), on {} tables with classes".format(name, *found, n))
    return lines


def _products(results: Path) -> list[Claim]:
    rows = held_out_tables(results)
    n, mean, low, high = geometric_of(rows, "default")
    what, number = "in 60 seconds on one core, `--data` has a lower test error than", "{:.3f} ({:.3f} to {:.3f})".format
    rivals = {name: duel_of(rows, "default", rival) for rival, name in RIVALS.items() if rival in set(rows["product"])}
    return [
        Claim(
            f"{what} untuned gradient boosting, on {n} held-out tables",
            _found(low, high, 1),
            f"ratio of test errors {number(mean, low, high)}",
            PRODUCTS_FILE,
        ),
        Claim(
            f"{what} other products, on these tables",
            "; ".join(f"{name}: {_found(low, high, 1)}" for name, (_, _, low, high) in rivals.items()),
            "; ".join(f"{name}: {number(*found)}" for name, (_, *found) in rivals.items()),
            PRODUCTS_FILE,
        ),
    ]


def _early_stopping(results: Path) -> Claim:
    source = "ablation-auto.csv"
    rows = pd.read_csv(results / source)
    rows = rows[(rows["rival"] == "auto~no-early-stopping") & (rows["suite"] == EVERY_SUITE)].set_index("budget")
    numbers = [
        f"after {budget}: {row['regret']:.3f} against {row['rival_regret']:.3f}, "
        f"{_interval(row['difference'], row['low'], row['high'])}"
        for budget, row in rows.loc[[20, 50]].iterrows()
    ]
    first = rows.loc[20].to_dict()
    return Claim(
        f"early stopping helps `auto`, here with 20 trainings on {first['n_tasks']} tasks with learning curves",
        _found(first["low"], first["high"], 0),
        "; ".join(numbers),
        source,
    )


def _past_studies(results: Path) -> Claim:
    source = "transfer.csv"
    rows = pd.read_csv(results / source).set_index("what").to_dict("index")
    ratio = rows["prior 20 / none 20"]
    return Claim(
        f"past studies of other tasks with the same space speed up `bo`, here 20 trainings on {ratio['n_tasks']} tasks",
        _found(ratio["low"], ratio["high"], 1),
        f"regret {rows['prior 20']['value']:.3f} against {rows['none 20']['value']:.3f}: "
        f"ratio {ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})",
        source,
    )


def _updates(results: Path) -> Claim:
    source = "streams.csv"
    found = gaps(pd.read_csv(results / source))
    close = found["points"] <= 1
    return Claim(
        "an update of a model is within 1 point of a full search, at a fifth of its epochs",
        f"on {close.sum()} of {len(found)} streams",
        f"{found['points'][~close].min():.1f} to {found['points'][~close].max():.1f} points behind on the others, with "
        f"{found['share'].min():.0%} to {found['share'].max():.0%} of the epochs",
        source,
    )


def _found(low: float, high: float, equal: float) -> str:
    """Whether the claim holds that a quantity is below ``equal``, its value if both are equal."""
    return FOUND[0] if high < equal else FOUND[2] if low > equal else FOUND[1]


def _interval(mean: float, low: float, high: float) -> str:
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    run_command(main)
