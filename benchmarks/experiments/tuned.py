"""The gain from tuning on the built-in tasks: ``python -m benchmarks.experiments.tuned``, results/tuned.csv and .md.

Each task is tuned with the main command, with a budget of 20 full trainings and without known-good configs. The test
scores of a practitioner's first try, the default config, and the config that each strategy's run keeps are compared:
the chosen config, or the default if it is better on validation in the final evaluation. Runs with rows in the table are
skipped, and interrupted ones are resumed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from automl.metrics import METRICS
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.pages import markdown

BLOCK = "tuned"  # of docs/benchmarks/built-in-tasks.md
KEPT = Path("runs/tuned")  # the runs, each in a folder of its own
STRATEGIES = ("bo", "auto")
N_FINAL = 3  # trainings of the chosen and the default config, whose scores are averaged


@dataclass(frozen=True)
class Setting:
    """How a built-in task is run here."""

    seeds: int = 1
    train_size: int | None = None  # None: all training examples
    epochs: int | None = None  # None: those of the task

    @property
    def options(self) -> list[str]:
        """The command-line options."""
        given = {"--train-size": self.train_size, "--epochs": self.epochs}
        return [str(part) for name, value in given.items() if value is not None for part in (name, value)]


SETTINGS = {  # slowest last; subsets are chosen so that a training takes a minute at most
    "digits-cnn": Setting(seeds=3),
    "mnist1d-cnn": Setting(seeds=3),
    "vowels-rnn": Setting(seeds=3),
    "osuleaf-cnn": Setting(),
    "letter-mlp": Setting(),
    "chembl234-mlp": Setting(),
    "sp500-transformer": Setting(),
    "sp500-rnn": Setting(),
    "reuters52-cnn": Setting(epochs=8),
    "mnist1d-transformer": Setting(),
    "mnist1d-rnn": Setting(),
    "fashion-cnn": Setting(train_size=5_000),
    "fashion-rnn": Setting(train_size=5_000),
    "fashion-transformer": Setting(train_size=5_000),
    "chembl234-rnn": Setting(epochs=8),
    "newsgroups-rnn": Setting(train_size=2_000, epochs=4),
    "newsgroups-transformer": Setting(train_size=2_000, epochs=4),
    "chembl234-transformer": Setting(epochs=10),
    "g2p-rnn": Setting(epochs=4),
    "kjv-transformer": Setting(epochs=2),
    "bible-transformer": Setting(train_size=5_000, epochs=4),
}


def main(
    task: Annotated[list[str] | None, typer.Option(help="A built-in task; repeatable. [default: all]")] = None,
    strategies: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(STRATEGIES),
    trials: Annotated[int, typer.Option(min=1, help="Budget of a search, in full trainings.")] = 20,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds per search.", show_default="1, of some 3")] = None,
    out: Annotated[Path, typer.Option(help="Table to update; other rows are kept.")] = Path("results/tuned.csv"),
    page: Annotated[
        Path | None,
        typer.Option(help=f"Also replace the part of this page between <!-- {BLOCK} --> and <!-- /{BLOCK} -->."),
    ] = None,
) -> None:
    """Run the missing searches, and write the table and its summary."""
    for name in task or SETTINGS:
        if name not in SETTINGS:
            raise UserError(f"unknown task {name!r}; choose one of: {', '.join(SETTINGS)}")
    rows: list[dict[Any, Any]] = pd.read_csv(out).to_dict("records") if out.exists() else []
    for name in task or SETTINGS:
        for seed in range(seeds or SETTINGS[name].seeds):
            for strategy in strategies.split(","):
                key = {"task": name, "strategy": strategy, "seed": seed, "trials": trials}
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append(key | searched(name, strategy, seed, trials))
                write_atomic(out, pd.DataFrame(rows).to_csv(index=False, float_format="%.5g"))
                scores = ", ".join(f"{what} {rows[-1][what]}" for what in ("baseline", "default", "tuned"))
                print(f"{name} {strategy} seed {seed}: {scores}", flush=True)
                shutil.rmtree(folder_of(name, strategy, seed, trials))  # never resume it with different code
    table = pd.DataFrame(rows)
    write_atomic(out.with_suffix(".md"), summary(table))
    if page is not None:
        lines = "\n".join(grid(table))
        write_atomic(page, markdown.with_block(page.read_text(encoding="utf-8"), lines, page, BLOCK))
    print(out)


def folder_of(name: str, strategy: str, seed: int, trials: int) -> Path:
    """The folder of a run that is not yet in the table."""
    return KEPT / f"{name}-{strategy}-{seed}-{trials}"


def searched(name: str, strategy: str, seed: int, trials: int) -> dict[str, Any]:
    """Run the main command, or resume it; returns the scores."""
    folder = folder_of(name, strategy, seed, trials)
    command = [sys.executable, "-m", "automl.run", "--out", str(folder), "--json"]
    if folder.exists():
        command.append("--resume")
    else:
        command += ["--task", name, *SETTINGS[name].options, "--strategy", strategy, "--trials", str(trials)]
        command += ["--seed", str(seed), "--final-seeds", str(N_FINAL), "--prior", "none", "--no-learn"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{name} with {strategy} exited with status {done.returncode}: {done.stderr.strip()}")
    run = json.loads(done.stdout)
    final = run["final"]
    first_try = final["baseline"] or {}
    return {
        "train_size": SETTINGS[name].train_size,
        "epochs": run["max_epochs"],
        "metric": run["metric"],
        "first_try": first_try.get("name"),
        "baseline": first_try.get("score"),
        "default": mean(final["default"]),
        "chosen": mean(final["chosen"]),
        "kept": final["kept"],
        "tuned": mean(final[final["kept"]]),
        "search_trials": run["n_trials"],
        "search_seconds": round(run["seconds"], 1),
        "training_seconds": round(run["training_seconds"], 1),
        "commit": run["commit"],
    }


def mean(scores: list[float | None]) -> float:
    """The mean over the trainings that did not fail; NaN if all did."""
    return float(pd.Series(scores, dtype=float).mean())


def summary(table: pd.DataFrame) -> str:
    """The table as Markdown, and the tasks on which tuning is worse than the baseline or the default."""
    lines = [
        "# The gain from tuning",
        "",
        "By `python -m benchmarks.experiments.tuned`; every run is a row of tuned.csv. Scores are on the test set,",
        f"averaged over {N_FINAL} trainings with fresh seeds and the seeds of the search. Each search had a budget of",
        f"{table['trials'].max()} full trainings and no known-good configs; its seconds are those of its trials. The",
        "column of a strategy has the config that its runs keep: the chosen one, or the default if it is better on",
        "validation in the final evaluation (marked by an asterisk if this happened in any run). The baseline, a",
        "practitioner's first try, used the same training examples.",
        "",
        *grid(table),
        "",
        *(losses(table) or ["Tuning is never worse than the baseline or the default."]),
    ]
    return "\n".join(lines) + "\n"


def grid(table: pd.DataFrame) -> list[str]:
    """A row per task, with means over the seeds."""
    strategies = list(dict.fromkeys(table["strategy"]))
    header = ["task", "examples", "epochs", "metric", "baseline", "default", *strategies, "seconds", "seeds"]
    rows = []
    for task, of in by_task(table):
        first, tuned = of.iloc[0], of.groupby("strategy")["tuned"].mean()
        given_up = set(of.loc[of["kept"] == "default", "strategy"])
        rows.append(
            [
                task,
                "all" if pd.isna(first["train_size"]) else f"{first['train_size']:,.0f}",
                str(first["epochs"]),
                f"{first['metric']}, {'higher' if goes_up(of) else 'lower'} is better",
                *(_cell(score) for score in (first["baseline"], of["default"].mean())),
                *(_cell(tuned.get(name, np.nan)) + "*" * (name in given_up) for name in strategies),
                f"{of['search_seconds'].mean():,.0f}",
                str(of["seed"].nunique()),
            ]
        )
    return markdown.grid(header, rows)


def losses(table: pd.DataFrame) -> list[str]:
    """A line for each strategy that is worse than the baseline or the default on a task."""
    table = table.astype({"baseline": float})  # without a baseline, NaN compares as neither better nor worse
    behind = []
    for task, of in by_task(table):
        first, tuned = of.iloc[0], of.groupby("strategy")["tuned"].mean()
        rivals = {
            f"the baseline, {first['first_try']},": pd.Series(first["baseline"], tuned.index),
            "the default": of.groupby("strategy")["default"].mean(),  # of the same runs: equal if the default is kept
        }
        for rival, known in rivals.items():
            for strategy in tuned.index[(known > tuned) if goes_up(of) else (known < tuned)]:
                scores = f"({known[strategy]:.4g}) than {strategy} ({tuned[strategy]:.4g})"
                behind.append(f"- {task}: {rival} is better {scores}.")
    return behind


def by_task(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each task, in the order of SETTINGS."""
    tasks = [*SETTINGS, *(name for name in table["task"].unique() if name not in SETTINGS)]
    return [(name, table[table["task"] == name]) for name in tasks if name in set(table["task"])]


def goes_up(of_task: pd.DataFrame) -> bool:
    """Whether a higher score is better."""
    return METRICS[of_task["metric"].iloc[0]].best is not None


def _cell(score: float) -> str:
    return "" if pd.isna(score) else f"{score:.4g}"


if __name__ == "__main__":
    run_command(main)
