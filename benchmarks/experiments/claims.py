"""The numbers in README and docs, from the tables in results/: ``python -m benchmarks.experiments.claims``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
import typer

from benchmarks.command import run_command
from benchmarks.experiments.products_summary import TOLERATED, behind, duel_of, geometric_of, held_out
from benchmarks.experiments.strategy_claims import ahead, parts_of_auto, past_studies
from benchmarks.experiments.streams import gaps
from benchmarks.pages.markdown import grid, put
from benchmarks.scoring.cohorts import counted
from benchmarks.suites.product_tables import OF_MODELDATA

PRODUCTS_FILE = "products.csv"
BLOCK, PRODUCTS, AHEAD, PAST, PARTS = "claims", "products", "ahead", "past-studies", "parts"
FOUND = ("yes", "inconclusive", "no")  # whether the interval excludes equality
RIVALS = {
    "lightgbm-random": "random search on LightGBM",
    "flaml": "FLAML",
    "autogluon-medium": "AutoGluon, medium quality",
    "autogluon-good": "AutoGluon, good quality",
    "autogluon-best": "AutoGluon, best quality",
}
SECONDS = 60  # of the comparison with the most products


class Claim(NamedTuple):
    """A row of the table."""

    compared: str
    is_better: str
    number: str
    source: str  # a file in results/

    def cells(self, results: Path) -> list[str]:
        """The row with the source as a link."""
        place = results / self.source
        return [self.compared, self.is_better, self.number, f"[{place.name}]({place.as_posix()})"]


def main(
    results: Annotated[Path, typer.Option(help="Folder with the tables.")] = Path("results"),
    readme: Annotated[Path, typer.Option(help="Page whose block 'claims' is replaced.")] = Path("README.md"),
    tables: Annotated[Path, typer.Option(help="Page whose block 'products' is replaced.")] = Path(
        "docs/how-to/tables.md"
    ),
    bo: Annotated[Path, typer.Option(help="Page whose blocks 'ahead' and 'past-studies' are replaced.")] = Path(
        "docs/strategies/bo.md"
    ),
    auto: Annotated[Path, typer.Option(help="Page whose block 'parts' is replaced.")] = Path("docs/strategies/auto.md"),
) -> None:
    """Write the claims, the comparison of products on held-out tables, and tables on the pages of bo and auto."""
    put(readme, BLOCK, table(results))
    put(tables, PRODUCTS, products_of(results))
    put(bo, AHEAD, ahead(results))
    put(bo, PAST, past_studies(results))
    put(auto, PARTS, parts_of_auto(results))
    print(readme, tables, bo, auto, sep="\n")


def table(results: Path) -> list[str]:
    """The lines of the table."""
    claims = [
        _duel(results, "raw-optuna", "default sampler"),
        _duel(results, "raw-optuna-gp", "Gaussian-process sampler"),
        *_products(results),
        _updates(results),
    ]
    header = ["compared", "automl better?", "numbers (95% interval)", "source"]
    return grid(header, [claim.cells(results) for claim in claims])


def _duel(results: Path, rival: str, what: str) -> Claim:
    source = "peers/duels-auto.csv"
    rows = pd.read_csv(results / source)
    row = rows[(rows["rival"] == rival) & (rows["suite"] == "networks") & (rows["budget"] == 20)].iloc[0]
    retrained = ", returned configurations retrained with new seeds" * bool(row["fresh_tasks"] == row["n_tasks"])
    return Claim(
        f"`auto` against Optuna's {what}: 20 trainings of networks, {row['n_tasks']} development tasks of "
        f"{row['n_units']} units{retrained}",
        _found(row["low"], row["high"], 0),
        f"regret {row['regret']:.3f} against {row['rival_regret']:.3f}, difference "
        + _interval(row["difference"], row["low"], row["high"]),
        source,
    )


def held_out_tables(results: Path, seconds: float = SECONDS) -> pd.DataFrame:
    """The rows of the products on held-out tables, with this time limit."""
    rows = pd.read_csv(results / PRODUCTS_FILE)
    return rows[(rows["kind"] == "table") & (rows["part"] == "holdout") & (rows["seconds"] == seconds)]


def products_of(results: Path) -> list[str]:
    """The comparisons of products on held-out tables."""
    rows, longer = held_out_tables(results), held_out_tables(results, 300)
    latest = rows[rows["table"].isin([file.name for file in OF_MODELDATA])]
    lines = [*held_out(rows), "", *quotients(rows), "", *lost(rows)]
    lines += [
        "",
        f"The {latest['table'].nunique()} tables of the R package modeldata were added last and evaluated with two "
        "versions of automl only:",
    ]
    lines += ["", *quotients(latest)]
    if len(longer):
        n = longer["table"].nunique()
        lines += ["", f"With 300 seconds, on {n} of the tables:", "", *held_out(longer), "", *quotients(longer)]
    return lines


def rivals_in(rows: pd.DataFrame) -> dict[str, str]:
    """The other products with rows, by name."""
    return {rival: name for rival, name in RIVALS.items() if rival in set(rows["product"])}


def quotients(rows: pd.DataFrame) -> list[str]:
    """The errors of ``default`` divided by those of the other products."""
    n, *untuned = geometric_of(rows, "default")
    found = {"untuned": untuned}
    for rival, name in rivals_in(rows).items():
        n_shared, *each = duel_of(rows, "default", rival)
        found[f"{name}{'' if n_shared == n else f', on {n_shared} tables'}"] = each
    return ["- `default` / {}: {:.3f} ({:.3f} to {:.3f})".format(name, *each) for name, each in found.items()]


def lost(rows: pd.DataFrame) -> list[str]:
    """The tables on which ``default`` is behind another product, and the comparison of log losses."""
    rivals = rivals_in(rows)
    lines = [f"Tables on which the errors of `default` are more than {TOLERATED - 1:.0%} above another product's:", ""]
    for rival, name in rivals.items():
        files = behind(rows, "default", rival)
        n = len(rows[rows["product"] == rival]["table"].unique())
        each = ", ".join(f"{table} ({quotient - 1:.0%})" for table, quotient in files.items())
        lines.append(f"- {name}: {len(files)} of {n}{': ' if each else ''}{each}")
    about = (
        "All products were asked for accuracy, which ignores how sure a model is; only the random search on LightGBM "
        "was asked for log loss. Log losses of `default`, divided by those of another product:"
    )
    lines += ["", about, ""]
    for rival, name in rivals.items():
        n, *found = duel_of(rows, "default", rival, log_loss=True)
        lines.append("- {}: {:.3f} ({:.3f} to {:.3f}), on {} tables with classes".format(name, *found, n))
    return lines


def _products(results: Path) -> list[Claim]:
    rows = held_out_tables(results)
    latest = rows[rows["table"].isin([file.name for file in OF_MODELDATA])]
    n, *found = geometric_of(rows, "default")
    first = f"`--data` against untuned gradient boosting: {SECONDS} seconds on one core, {n} held-out tables"
    claims = [_errors(first, found, geometric_of(latest, "default"))]
    for rival, name in rivals_in(rows).items():
        n_shared, *found = duel_of(rows, "default", rival)
        which = f"on {n_shared} of " * (n_shared != n)
        claims.append(
            _errors(f"`--data` against {name}, {which}these tables", found, duel_of(latest, "default", rival))
        )
    return claims


def _errors(compared: str, found: Sequence[float], latest: tuple[int, float, float, float]) -> Claim:
    """``found``: the mean ratio and its interval; ``latest``: the number of the tables added last, and theirs."""
    last = f"on the {latest[0]} tables added last"
    verdict, alone = (_found(low, high, 1) for _, low, high in (found, latest[1:]))
    is_better = verdict if alone == verdict else f"{alone} {last}; {verdict} on all"
    return Claim(
        compared, is_better, f"error ratio {_ratio(*latest[1:])} {last}; {_ratio(*found)} on all", PRODUCTS_FILE
    )


def _ratio(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def _updates(results: Path) -> Claim:
    source = "streams.csv"
    rows = pd.read_csv(results / source)
    found, n_seeds = gaps(rows), rows["seed"].nunique()
    others = found[found["points"] > 1]
    forms = {"points": "{:.1f}", "share": "{:.0%}", "time": "{:.1f}"}
    behind, share, time = (_range((found if name == "time" else others)[name], form) for name, form in forms.items())
    return Claim(
        f"`automl update` against a new search on all data: {len(found)} streams of data, {counted(n_seeds, 'seed')}",
        f"at most 1 point worse on {len(found) - len(others)} of {len(found)} streams",
        (f"{behind} points worse on the other {len(others)}, at {share} of the epochs; " if len(others) else "")
        + f"{time} times the seconds of the search; a point is 0.01 of accuracy or r2",
        source,
    )


def _range(values: pd.Series, form: str) -> str:
    return " to ".join(dict.fromkeys(form.format(value) for value in (values.min(), values.max())))


def _found(low: float, high: float, equal: float) -> str:
    """Whether a quantity is below ``equal``, its value if both are equal."""
    return FOUND[0] if high < equal else FOUND[2] if low > equal else FOUND[1]


def _interval(mean: float, low: float, high: float) -> str:
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    run_command(main)
