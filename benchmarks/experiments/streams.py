"""Keeping a model up to date: ``python -m benchmarks.experiments.streams``, results/streams.csv and .md.

Data arrive in parts. After each part, four methods are compared, all starting from the same first run: never updating;
``automl update``; fine-tuning on the new part alone (no replay, no test before promotion); and a full search on all
data so far. Scores are on the test examples of the newest part and of the earlier ones (forgetting).
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.continual.continued_data import continued
from automl.continual.new_data import n_old, read_new, request_for, splits_by_family, unite
from automl.continual.versions import Versions
from automl.deployment.predictor import load_predictor, model_folder
from automl.errors import UserError
from automl.provenance import commit
from automl.runs.settings import Settings, build_task
from automl.study.run_folder import RunFolder, write_atomic
from automl.study.snapshot import look
from automl.tasks.user_data import OwnData
from automl.tuning.final_evaluation import train_once
from benchmarks.command import run_command
from benchmarks.experiments.arrivals import IN_TIME, STREAMS, Arrivals, predictions_of, scored
from benchmarks.pages.markdown import grid

TRIALS = 20  # for the first search and each full search
METHODS = ("never", "update", "new part alone", "full search")


@dataclass(frozen=True)
class MethodRun:
    """The run folder of one method, and the cost of a part."""

    folder: Path
    epochs: float = 0.0
    seconds: float = 0.0
    said: str = ""


def main(
    stream: Annotated[list[str] | None, typer.Option(help=f"One of: {', '.join(STREAMS)}. [default: all]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the runs.")] = 0,
    trials: Annotated[int, typer.Option(min=1, help="Trials of the first search and each full search.")] = TRIALS,
    keep_full: Annotated[
        bool,
        typer.Option("--keep-full", help="Keep the full searches in the table."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Table to update; rows of other streams and seeds are kept.")] = Path(
        "results/streams.csv"
    ),
) -> None:
    """Run the streams, and write the table and its summary."""
    for name in stream or STREAMS:
        if name not in STREAMS:
            raise UserError(f"unknown stream {name!r}; choose one of: {', '.join(STREAMS)}")
        before = pd.read_csv(out) if out.exists() else pd.DataFrame()
        kept = full_searches(before, name, seed, trials) if keep_full else before[:0]
        with tempfile.TemporaryDirectory(prefix="automl-stream-") as scratch:
            methods = METHODS if kept.empty else METHODS[:-1]
            rows = run_stream(STREAMS[name](Path(scratch) / "data"), name, Path(scratch), seed, trials, methods)
        table = pd.DataFrame(rows).assign(stream=name, seed=seed, trials=trials, commit=commit())
        table = pd.concat([table, kept]).sort_values("part", kind="stable")
        if not before.empty:
            table = pd.concat([before[(before["stream"] != name) | (before["seed"] != seed)], table])
        write_atomic(out, table.to_csv(index=False, float_format="%.4f"))
        write_atomic(out.with_suffix(".md"), summary(table))
        print(out, flush=True)


def full_searches(table: pd.DataFrame, name: str, seed: int, trials: int) -> pd.DataFrame:
    """The rows of a stream's full searches with this seed and number of trials."""
    if table.empty:
        return table
    of_stream = (table["stream"] == name) & (table["seed"] == seed) & (table["trials"] == trials)
    return table[of_stream & (table["method"] == METHODS[-1])]


def run_stream(
    arrivals: Arrivals, name: str, scratch: Path, seed: int, trials: int, methods: Sequence[str] = METHODS
) -> list[dict[str, Any]]:
    """A row per part and method."""
    first = search(arrivals, 1, scratch / "first", seed, trials)
    ways = dict.fromkeys(methods, first)
    for method in ("update", "new part alone"):
        shutil.copytree(first.folder, scratch / method, symlinks=True)
        ways[method] = replace(first, folder=scratch / method)
    rows = [_row(arrivals, 0, method, way) for method, way in ways.items()]
    for part in range(1, len(arrivals.parts)):
        ways["never"] = replace(ways["never"], epochs=0.0, seconds=0.0)
        ways["update"] = updated(ways["update"].folder, arrivals.parts[part])
        ways["new part alone"] = fine_tuned(ways["new part alone"].folder, arrivals.parts[part], seed)
        if "full search" in ways:
            ways["full search"] = search(arrivals, part + 1, scratch / f"full-{part}", seed, trials)
        rows += [_row(arrivals, part, method, way) for method, way in ways.items()]
        for row in rows[-len(ways) :]:
            scores = f"{row['new']:.4f} new, {row['old']:.4f} old, {row['epochs']:g} epochs  {row['said']}"
            print(f"{name} part {part} {row['method']}: {scores}", flush=True)
    return rows


def _row(arrivals: Arrivals, part: int, method: str, way: MethodRun) -> dict[str, Any]:
    model = load_predictor(model_folder(way.folder))
    scored_tests = [(test.y, predictions_of(test, model)) for test in arrivals.tests[: part + 1]]
    return {
        "part": part,
        "method": method,
        "metric": arrivals.metric,
        "new": scored(arrivals.metric, scored_tests[-1:]),
        "old": scored(arrivals.metric, scored_tests[:-1]) if part else float("nan"),
        "all": scored(arrivals.metric, scored_tests),
        "epochs": way.epochs,
        "seconds": round(way.seconds, 1),
        "said": way.said,
    }


def search(arrivals: Arrivals, n_parts: int, folder: Path, seed: int, trials: int) -> MethodRun:
    """A new run on the first parts together."""
    start = time.perf_counter()
    data = arrivals.together(n_parts, folder.with_name(f"{folder.name}-data"))
    command = [
        sys.executable, "-m", "automl.run", "--data", str(data), *arrivals.options, "--strategy", "auto",
        "--trials", str(trials), "--epochs", str(arrivals.epochs), "--seed", str(seed), "--final-seeds", "1",
        "--prior", "none", "--no-learn", "--out", str(folder), "--json",
    ]  # fmt: skip
    summary = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return MethodRun(folder, summary["epochs_trained"], time.perf_counter() - start, "")


def updated(folder: Path, part: Path) -> MethodRun:
    """Run ``automl update`` on a new part."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "automl", "update", folder, "--data", part], check=True, capture_output=True)
    versions = Versions(RunFolder(folder))
    facts = versions.facts(versions.numbers[-1])
    verdict = ("promoted: " if facts["promoted"] else "not promoted: ") + facts["why"]
    return MethodRun(folder, facts["epochs"], time.perf_counter() - start, verdict)


def fine_tuned(folder: Path, part: Path, seed: int) -> MethodRun:
    """Fine-tune on the new part alone and always accept the result: the manual approach."""
    start = time.perf_counter()
    run = RunFolder(folder)
    settings = Settings.from_json(look(run).settings)
    versions, before = Versions(run), load_predictor(model_folder(folder))
    data = versions.data(versions.current)
    task = build_task(settings, data)
    assert isinstance(task, OwnData)
    target = splits_by_family(task)(task.space["model"].default_value).target
    encoder: Any = before.encoder
    new = read_new(encoder, request_for(settings.data, part), target, data)
    writing = versions.begin()
    unite(data, new, writing / "data")
    model: Any = before.model
    model.save(writing / "start")
    united = replace(task, data=str(writing / "data"))
    fine_tuning = continued(united, writing / "start", n_old(writing / "data")["train"], replay=0.0)
    training = train_once(fine_tuning, model.config, writing / "work", seed=seed)
    if training.error is not None:
        raise UserError(training.error)
    united.export(training.folder, writing / "model")
    n_train = len(splits_by_family(united)(model.preprocessing.model).y_train)
    versions.finish(writing, {})
    n_new = n_train - fine_tuning.n_old
    return MethodRun(folder, fine_tuning.max_epochs * n_new / n_train, time.perf_counter() - start, "")


def summary(table: pd.DataFrame) -> str:
    """The table as Markdown, with the goal: within one point of the full search with at most a fifth of its epochs."""
    lines = [
        "# Keeping a model up to date",
        "",
        "By `python -m benchmarks.experiments.streams`; every part of every stream is a row of streams.csv, with its",
        "commit (full searches may be from an earlier commit than the updates). Scores are means over the parts after",
        "the first (and over seeds), on test examples: of the newest part, the earlier ones, all. For sp500, only",
        "the newest part counts: a year is tested on its last months, which the next part trains on. Epochs are means",
        "per part, where an epoch is a pass over all data so far. Only networks, since all methods apply to them. The",
        "goal of an update: at most 1 point (0.01 of accuracy or R2) behind a full search on all parts, with no more",
        "than 20% of its epochs.",
        "",
    ]
    header = ["stream", "metric", "method", "newest part", "earlier parts", "all parts", "epochs per part", "promoted"]
    later, cells = _later(table), []
    for name, of in later.groupby("stream", sort=False):
        for method in METHODS:
            rows = of[of["method"] == method]
            n = rows["said"].fillna("").str.startswith("promoted").sum()
            promoted = f"{n} of {len(rows)}" if method == "update" else ""
            means = ("" if np.isnan(m) else f"{m:.4f}" for m in rows[["new", "old", "all"]].mean())
            metric = rows["metric"].iloc[0]
            cells.append([str(name), metric, method, *means, f"{rows['epochs'].mean():.1f}", promoted])
    verdicts = [_verdict(str(name), row["points"], row["share"]) for name, row in gaps(table).iterrows()]
    return "\n".join([*lines, *grid(header, cells), "", *verdicts]) + "\n"


def _later(table: pd.DataFrame) -> pd.DataFrame:
    later = table[table["part"] > 0].copy()
    later.loc[later["stream"].isin(IN_TIME), ["old", "all"]] = np.nan
    return later


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """By stream: how many points updates are behind the full search on all tests (or, if only that counts, the newest),
    their share of its epochs, and their seconds as a multiple of its own."""
    later = _later(table)
    later["score"] = later["all"].fillna(later["new"])
    columns = ["score", "epochs", "seconds"]
    means = later.groupby(["stream", "method"], sort=False)[columns].mean().unstack("method")
    points = 100 * (means["score", "full search"] - means["score", "update"])
    share, time = (means[name, "update"] / means[name, "full search"] for name in ("epochs", "seconds"))
    return pd.DataFrame({"points": points, "share": share, "time": time})


def _verdict(name: str, points: float, share: float) -> str:
    met = "reached" if points <= 1 and share <= 0.2 else "missed"
    place = f"{abs(points):.1f} points {'behind' if points >= 0 else 'ahead of'}"
    return f"- {name}: the updates are {place} the full search, with {share:.0%} of its epochs: the goal is {met}."


if __name__ == "__main__":
    run_command(main)
