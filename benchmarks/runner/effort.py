"""What the runs took, by folder and suite, and the commits and versions that their rows come from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from benchmarks.runner.results import with_provenance
from benchmarks.suites import LIVE

COLUMNS = ["suite", "task", "strategy", "seed", "n_workers", "trial", "at_seconds", "strategy_seconds", "commit"]


@dataclass(frozen=True)
class SuiteEffort:
    """The runs of a suite in a folder.

    ``training_hours``: core-hours of trainings as charged to the runs: one that several runs share counts for each of
    them, and retrainings of what a run returned do not count. None if trainings are looked up.
    """

    folder: str
    suite: str
    n_tasks: int
    n_strategies: int
    n_seeds: tuple[int, int]  # of a strategy: fewest and most
    n_runs: int
    strategy_hours: float
    training_hours: float | None
    n_rows: int
    n_clean: int  # rows that are known to come from one commit, without uncommitted changes
    commits: tuple[str, ...]


def efforts(folders: Iterable[Path]) -> list[SuiteEffort]:
    """A row per folder and suite; the same run with several budgets counts as several runs."""
    found = []
    for folder in folders:
        parts = [_rows(file, COLUMNS).assign(file=str(file)) for file in _files(folder)]
        if parts:
            every = pd.concat(parts, ignore_index=True)
            found += [_effort(folder.name, str(suite), rows) for suite, rows in every.groupby("suite", sort=False)]
    return found


def commits_of(text: str) -> list[str]:
    """The commits in a cell of the column ``commit``: several if the file does not say which one a row comes from."""
    return re.findall(r"[^\s,]+", text)


def listed_versions(folders: Iterable[Path]) -> list[str]:
    """The distinct versions that the runs were made with, each with the commits of its rows."""
    files = [file for folder in folders for file in _files(folder)]
    parts = [_rows(file, ["versions", "commit"]).drop_duplicates() for file in files]
    found: dict[str, dict[str, None]] = {}
    for versions, commits in pd.concat(parts).itertuples(index=False) if parts else ():
        found.setdefault(versions, {}).update(dict.fromkeys(map(short, commits_of(commits))))
    return [f"{versions}; commits: {', '.join(commits)}" for versions, commits in found.items()]


def short(commit: str) -> str:
    """An abbreviated hash; a trailing + marks uncommitted changes."""
    return commit[:10] + "+" * (commit.endswith("+") and len(commit) > 10)


def _rows(file: Path, columns: list[str]) -> pd.DataFrame:
    """The columns that the file has, and all of the commit and the versions that are among them."""
    names = pq.read_schema(file).names
    rows = with_provenance(pd.read_parquet(file, columns=[name for name in columns if name in names]))
    return rows[[name for name in columns if name in rows]]


def _files(folder: Path) -> list[Path]:
    """The files about runs; others hold recorded trainings."""
    return [file for file in sorted(folder.rglob("*.parquet")) if "strategy_seconds" in pq.read_schema(file).names]


def _effort(folder: str, suite: str, rows: pd.DataFrame) -> SuiteEffort:
    run = ["file", "task", "strategy", "seed"]
    trials = rows.drop_duplicates([*run, "trial"])  # each of a trial's rows has all its seconds
    strategy_seconds = trials["strategy_seconds"].sum()
    clocks = rows.groupby(run).agg(seconds=("at_seconds", "max"), n_workers=("n_workers", "first"))
    training_seconds = float((clocks["seconds"] * clocks["n_workers"]).sum() - strategy_seconds)
    seeds = rows.groupby("strategy")["seed"].nunique()
    counts = rows["commit"].value_counts()
    commits = {text: commits_of(text) for text in counts.index}
    clean = [text for text, found in commits.items() if len(found) == 1 and found[0] != "unknown" and text[-1] != "+"]
    return SuiteEffort(
        folder=folder,
        suite=suite,
        n_tasks=rows["task"].nunique(),
        n_strategies=len(seeds),
        n_seeds=(int(seeds.min()), int(seeds.max())),
        n_runs=len(clocks),
        strategy_hours=float(strategy_seconds) / 3600,
        training_hours=max(0.0, training_seconds) / 3600 if suite in LIVE else None,
        n_rows=len(rows),
        n_clean=int(counts[clean].sum()),
        commits=tuple(sorted({short(commit) for found in commits.values() for commit in found})),
    )
