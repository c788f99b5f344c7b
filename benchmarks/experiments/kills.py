"""Runs that are killed at random moments, resumed, and compared with the same run without a kill.

``python -m benchmarks.experiments.kills --kills 200`` writes results/kills.csv, results/kills.md and the table of a
page of the documentation: for each kind of run, how often it was killed, how many outcomes were told, how many of them
the resumed runs had lost, and how many runs ended with the same trials as the uninterrupted one. All kinds get the same
time. The tables are written after each run, so that the command may be stopped.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import itertools
import random
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from automl.errors import UserError
from automl.provenance import commit
from automl.study.run_folder import RunFolder, write_atomic
from automl.study.snapshot import look
from automl.study.trial import TellEntry
from benchmarks.command import run_command
from benchmarks.experiments.crews import MAX_SECONDS, Crew, RunKind, Services, started
from benchmarks.pages.markdown import grid, put

SPACE = "x: {float: [-5, 5]}\nn: {int: [1, 9]}\n"
OBJECTIVE = """
import time

def curve(config, seed, epochs=6):
    for epoch in range(1, epochs + 1):
        time.sleep(0.02)
        if config["n"] == 9:
            raise ValueError("no nines")
        yield (config["x"] - 1) ** 2 + config["n"] + seed % 7 / epoch
"""
COMMAND = "for i in 1 2 3; do sleep 0.02; echo {n}.$i; done; echo {x} {seed} > /dev/null"
FUNCTION = ("--task", "mine.py:curve", "--space", "space.yaml", "--final-seeds", "0")
SMALL = ("--trials", "4", "--epochs", "3", "--workers", "2", "--strategy", "tpe", "--final-seeds", "1")
MAX_KILLS = 8  # of one run, which then continues to its end
PAGE, BLOCK = Path("docs/how-to/resume.md"), "kills"


KINDS = {
    "function": RunKind((*FUNCTION, "--strategy", "random", "--trials", "20", "--workers", "1")),
    "function, 2 workers": RunKind((*FUNCTION, "--strategy", "tpe", "--trials", "20", "--workers", "2")),
    "function, early stopping": RunKind((*FUNCTION, "--strategy", "bo+asha", "--trials", "10", "--workers", "2")),
    "function, resumes of resumes": RunKind(
        (*FUNCTION, "--strategy", "tpe", "--trials", "60", "--workers", "2"), least_kills=4
    ),
    "command": RunKind(
        ("--command", COMMAND, "--space", "space.yaml", "--epochs", "3", "--strategy", "random+stop", "--trials", "15",
         "--final-seeds", "0"),
    ),
    "network with checkpoints": RunKind(
        ("--task", "digits-cnn", "--epochs", "6", "--strategy", "random+asha", "--trials", "5", "--workers", "2",
         "--final-seeds", "1"),
    ),
    "network in lanes": RunKind(
        ("--task", "mnist1d-cnn", "--train-size", "500", "--epochs", "3", "--strategy", "random", "--trials", "8",
         "--workers", "2", "--lanes", "4", "--final-seeds", "1"),
    ),
    "table, default plan": RunKind(
        ("--data", "table.csv", "--target", "target", "--time-limit", "120"), time_limit=120, predicts="table.csv"
    ),
    "series, default plan": RunKind(
        ("--data", "series.csv", "--target", "volume", "--time", "date", "--horizon", "2", "--time-limit", "30"),
        time_limit=30, predicts="series.csv",
    ),
    "pictures": RunKind(("--data", "pictures", "--model", "cnn,mlp", *SMALL), predicts="pictures"),
    "texts": RunKind(
        ("--data", "texts.csv", "--text", "text", "--target", "topic", "--model", "linear,cnn", *SMALL),
        predicts="texts.csv",
    ),
    "study in PostgreSQL": RunKind((*FUNCTION, "--strategy", "tpe", "--trials", "40", "--workers", "2"), sharing=1),
    "shared by three processes": RunKind(  # random: no trial depends on the order of outcomes
        (*FUNCTION, "--strategy", "random", "--trials", "60", "--workers", "1"), sharing=3
    ),
    "workers over TCP": RunKind(
        (*FUNCTION, "--strategy", "tpe", "--trials", "40", "--workers", "2"), workers="tcp", n_workers=2
    ),
    "workers on Ray": RunKind((*FUNCTION, "--strategy", "tpe", "--trials", "40", "--workers", "2"), workers="ray"),
}  # fmt: skip
Facts = list[Any]


@dataclass
class UninterruptedRun:
    """The uninterrupted run of a kind."""

    seconds: float
    facts: Facts = field(default_factory=list)


@dataclass
class KindResults:
    """The results of the runs of a kind."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)


def main(
    kills: Annotated[int, typer.Option(min=1, help="Total kills, over all kinds of runs.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the kill times.")] = 0,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of run; repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Table to write, with a summary beside it.")] = Path("results/kills.csv"),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = PAGE,
) -> None:
    """Kill, resume, and write the tables; exit code 1 if anything was lost or changed."""
    for name in kind or ():
        if name not in KINDS:
            raise UserError(f"unknown kind {name!r}; choose one of: {'; '.join(KINDS)}")
    kinds = {name: KINDS[name] for name in kind or KINDS}
    rng, code = random.Random(seed), commit()
    tallies = {name: KindResults() for name in kinds}
    with tempfile.TemporaryDirectory(prefix="automl-kills-") as root, Services() as services:
        folder = Path(root)
        make_inputs(folder)
        straight: dict[str, UninterruptedRun] = {}
        for i in itertools.count():
            if sum(tally.counts["kills"] for tally in tallies.values()) >= kills:
                break
            name = min(kinds, key=lambda each: tallies[each].seconds)
            start = time.perf_counter()
            if name not in straight:
                straight[name] = run_straight(kinds[name], folder / f"straight-{i}", services)
            run_killed(kinds[name], folder / f"killed-{i}", services, rng, straight[name], tallies[name])
            tallies[name].seconds += time.perf_counter() - start
            table = tabulated(tallies).assign(seed=seed, commit=code)
            write_atomic(out, table.to_csv(index=False))
            write_atomic(out.with_suffix(".md"), "\n".join(["# Runs that are killed", "", *shown(table)]) + "\n")
            put(page, BLOCK, shown(table))
            typer.echo(f"{name}: {dict(tallies[name].counts)}")
    for error in itertools.chain.from_iterable(tally.errors for tally in tallies.values()):
        typer.echo(error, err=True)
    if table["lost"].any() or table["failed"].any() or (table["same"].fillna(table["runs"]) < table["runs"]).any():
        raise typer.Exit(1)


def make_inputs(folder: Path) -> None:
    """Write the task, its space and the data of all kinds."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_diabetes, load_digits

    (folder / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    (folder / "token").write_text("0" * 32, encoding="utf-8")
    load_diabetes(as_frame=True).frame.to_csv(folder / "table.csv", index=False)
    dates, noise = pd.date_range("2022-01-01", periods=300).strftime("%Y-%m-%d"), np.random.default_rng(0)
    volumes = 50 + 10 * np.sin(np.arange(300) * 2 * np.pi / 7) + noise.normal(size=300)
    pd.DataFrame({"date": dates, "volume": volumes.round(3)}).to_csv(folder / "series.csv", index=False)
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:400], digits.target, strict=False)):
        place = folder / "pictures" / str(label % 3)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype(np.uint8)).resize((16, 16)).save(place / f"{number}.png")
    words = {"sport": ("goal", "match", "team", "coach"), "law": ("court", "vote", "judge", "senate")}
    rng = random.Random(0)
    lines = [f"{' '.join(rng.choices(words[topic], k=6))} number {i},{topic}" for i in range(150) for topic in words]
    (folder / "texts.csv").write_text("\n".join(["text,topic", *lines]) + "\n", encoding="utf-8")


def run_straight(kind: RunKind, out: Path, services: Services) -> UninterruptedRun:
    """The run without a kill; not needed if a time limit gives its length. UserError if it fails."""
    if kind.time_limit is not None:
        return UninterruptedRun(kind.time_limit)
    start = time.perf_counter()
    crew = Crew(kind, out, services)
    crew.has_ended(MAX_SECONDS)
    seconds, wrong = time.perf_counter() - start, crew.end()
    if wrong:
        raise UserError(f"a run fails without a kill: {' '.join(kind.arguments)}: {wrong[0]}")
    return UninterruptedRun(seconds, facts(out))


def run_killed(
    kind: RunKind, out: Path, services: Services, rng: random.Random, straight: UninterruptedRun, tally: KindResults
) -> None:
    """Kill and resume a run until it ends by itself. Trainings that a kill does not reach end by themselves."""
    start = time.perf_counter()
    counts, crew, before, n_kills = tally.counts, Crew(kind, out, services), list[Any](), 0
    while True:
        most = 0.5 if n_kills < kind.least_kills else 1.0
        seconds = MAX_SECONDS if n_kills == MAX_KILLS else rng.uniform(0.2, most) * straight.seconds
        if crew.has_ended(seconds) or n_kills == MAX_KILLS:
            break
        killed = crew.kill(rng)
        counts["kills"] += 1
        counts["kills_of_resumed"] += n_kills > 0
        n_kills += 1
        before = compared(before, out, counts)
        crew.start_again(killed)
    wrong = crew.end()
    compared(before, out, counts)
    if n_kills == 0:  # the machine is now faster, as it is less busy
        straight.seconds = time.perf_counter() - start
    counts["runs"] += 1
    if not wrong and not predicts(kind, out):
        wrong = ["its model does not predict"]
    if wrong:
        counts["failed"] += 1
        tally.errors.append(f"after {n_kills} kills: {'; '.join(wrong)}")
    elif kind.time_limit is None:
        counts["same"] += facts(out) == straight.facts


def compared(before: Sequence[Any], out: Path, counts: Counter[str]) -> list[tuple[int, tuple[float, ...]]]:
    """The outcomes told so far, with counts of new and lost ones relative to those before."""
    now = told(out)
    counts["lost"] += n_lost(before, now)
    counts["told"] += len(now) - len(before)
    return now


def predicts(kind: RunKind, out: Path) -> bool:
    """Whether the model of an ended run predicts, if it must."""
    if kind.predicts is None:
        return True
    file = out.with_name(f"{out.name}.csv")
    asked = ["predict", str(out), "--data", str(out.parent / kind.predicts), "--out", str(file)]
    errors = out.with_name(f"{out.name}-predict.errors")
    return started(asked, out.parent, errors).wait() == 0 and file.exists()


def told(out: Path) -> list[tuple[int, tuple[float, ...]]]:
    """The outcomes in a run's study, in order; empty before there is one."""
    try:
        log = look(RunFolder(out)).study.log
    except UserError:
        return []
    return [(e.outcome.proposal.trial, e.outcome.losses) for e in log if isinstance(e, TellEntry)]


def n_lost(before: Sequence[Any], now: Sequence[Any]) -> int:
    """How many of the earlier outcomes are now missing or different."""
    return sum(a != b for a, b in itertools.zip_longest(before, now[: len(before)]))


def facts(out: Path) -> Facts:
    """What must be the same in two equal runs."""
    trials = look(RunFolder(out)).study.trials.values()
    return [(t.number, t.config, t.losses, t.state, t.error) for t in trials]


def tabulated(tallies: Mapping[str, KindResults]) -> pd.DataFrame:
    """A row per kind of run."""
    columns = ("runs", "kills", "kills_of_resumed", "told", "lost", "failed", "same")
    rows = [{"kind": name} | {column: tally.counts[column] for column in columns} for name, tally in tallies.items()]
    table = pd.DataFrame(rows).astype({"same": "Int64"})
    table.loc[[KINDS[name].time_limit is not None for name in table["kind"]], "same"] = pd.NA
    return table


def shown(table: pd.DataFrame) -> list[str]:
    """The table in Markdown, and how it was made."""
    text = (
        f"By `python -m benchmarks.experiments.kills --seed {table['seed'].iloc[0]}`, commit "
        f"{table['commit'].iloc[0][:9]}: {table['kills'].sum()} kills (SIGKILL) at random moments, after each of which "
        "what was killed is started again (a run of one process with `--resume`). Of runs with several processes, a "
        "kill hits one of them, the search or a worker, or all at once. An outcome that was told before a kill and is "
        "missing or different after it is lost. The last column compares the trials of a run with those of the "
        "uninterrupted one; runs that are limited by time have other trials."
    )
    header = [
        "run", "runs", "kills", "of these, of resumed runs", "outcomes told", "lost", "failed", "same as uninterrupted",
    ]  # fmt: skip
    rows = []
    for row in table.to_dict("records"):
        same = f"{row['same']} of {row['runs']}" if KINDS[row["kind"]].time_limit is None else "-"
        cells = [row[name] for name in ("kind", "runs", "kills", "kills_of_resumed", "told", "lost", "failed")] + [same]
        rows.append([str(cell) for cell in cells])
    return [*textwrap.wrap(text, 120), "", *grid(header, rows, n_left=1)]


if __name__ == "__main__":
    run_command(main)
