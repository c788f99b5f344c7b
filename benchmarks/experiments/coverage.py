"""How often intervals and verdicts are right, in simulations: ``python -m benchmarks.experiments.coverage``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.provenance import commit
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.pages import markdown
from benchmarks.scoring.certainty import expected
from benchmarks.scoring.comparison import AMONG, BEST, compare

BLOCK = "coverage"
UNITS = (5, 8, 12, 17)  # numbers of tasks
N_STRATEGIES, MEAN = 12, 0.15  # of a comparison, and their expected regret
SPREAD, NOISE = 0.5, 0.35  # standard deviations of log regret in comparisons: between tasks, of a strategy on a task
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
REGRETS: dict[str, Draw] = {  # with a mean of 1
    "gamma, shape 2": lambda rng, shape: rng.gamma(2.0, 0.5, shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape),
}


def main(
    samples: Annotated[int, typer.Option(min=1, help="Simulated samples of regrets.")] = 20_000,
    comparisons: Annotated[int, typer.Option(min=1, help="Simulated comparisons of strategies.")] = 300,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/coverage.csv"),
    page: Annotated[Path | None, typer.Option(help=f"Also replace the block {BLOCK!r} of this page.")] = None,
) -> None:
    """Simulate, and write the shares."""
    covered = pd.DataFrame([coverage(name, n, samples) for name in REGRETS for n in UNITS])
    named = pd.DataFrame([verdicts(n_better, n, comparisons) for n_better in (0, 1, 2) for n in UNITS])
    table = pd.concat([covered, named], ignore_index=True).assign(commit=commit())
    write_atomic(out, table.to_csv(index=False, float_format="%.4g"))
    markdown.put(page, BLOCK, [*_covered(covered), "", *_named(named, comparisons)])
    print(out)


def coverage(name: str, n_units: int, n_samples: int) -> dict[str, Any]:
    """The shares of samples whose intervals contain the expected regret."""
    drawn = REGRETS[name](np.random.default_rng(n_units), (n_units, n_samples))
    found = expected(pd.DataFrame(drawn))
    shares = {
        f"covered{level}": float(((found[f"low{level}"] <= 1) & (found[f"high{level}"] >= 1)).mean())
        for level in (80, 95)
    }
    return {"regrets": name, "n_units": n_units, "n_samples": n_samples, **shares}


def verdicts(n_better: int, n_units: int, n_comparisons: int) -> dict[str, Any]:
    """What is said of strategies of which some have half the regret of the others, which are equal.

    ``one``, ``several``: shares of comparisons that call one strategy best, or several; ``wrong``: that name one which
    is not better, though not all as equal.
    """
    rng = np.random.default_rng(n_units)
    means = np.where(np.arange(N_STRATEGIES) < n_better, MEAN / 2, MEAN)
    named: list[set[int]] = []
    for _ in range(n_comparisons):
        units = np.exp(rng.normal(0, SPREAD, (n_units, 1)) - SPREAD**2 / 2)
        own = np.exp(rng.normal(0, NOISE, (n_units, N_STRATEGIES)) - NOISE**2 / 2)
        found = compare(pd.DataFrame(units * own * means).rename(columns=str))
        named.append({int(each) for each in found.leaders} if found.verdict in (BEST, AMONG) else set())
    sizes = np.array([len(each) for each in named])
    wrong = np.mean([bool(each - {*range(n_better)}) and len(each) < N_STRATEGIES for each in named])
    shares = {"one": float((sizes == 1).mean()), "several": float((sizes > 1).mean()), "wrong": float(wrong)}
    return {"n_better": n_better, "n_units": n_units, "n_samples": n_comparisons, **shares}


def _covered(table: pd.DataFrame) -> list[str]:
    rows = []
    for name in REGRETS:
        for level in (95, 80):
            shares = table[table["regrets"] == name].set_index("n_units")[f"covered{level}"]
            rows.append([name, f"{level}%", *(f"{shares[n]:.0%}" for n in UNITS)])
    return markdown.grid(["regrets", "interval", *(f"{n} units" for n in UNITS)], rows)


def _named(table: pd.DataFrame, n_comparisons: int) -> list[str]:
    words = {0: "none", 1: "one", 2: "two"}
    rows = []
    for n_better, word in words.items():
        shares = table[table["n_better"] == n_better].set_index("n_units")[["one", "several", "wrong"]]
        rows.append([word, *(", ".join(f"{share:.0%}" for share in shares.loc[n]) for n in UNITS)])
    text = [
        f"Simulated comparisons ({n_comparisons} each) of {N_STRATEGIES} strategies, of which none, one or two have",
        "half the regret of the others. Each cell: the shares that call one strategy best, that call several best, and",
        "that name one which is not better:",
    ]
    return [*text, "", *markdown.grid(["better", *(f"{n} units" for n in UNITS)], rows)]


if __name__ == "__main__":
    run_command(main)
