"""Runs that are killed at random moments, resumed, and compared with the same run without a kill.

``python -m benchmarks.experiments.kills --kills 200`` prints a table: for each kind of run, how often it was killed,
how many outcomes had been told by then, how many of them the resumed runs had lost, and how many runs ended with the
same trials as the uninterrupted one. All runs are reproducible and use one worker process or more.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import itertools
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from automl.errors import UserError
from automl.study.run_folder import RunFolder
from automl.study.snapshot import look
from automl.study.trial import Told
from benchmarks.command import run_command

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
COMMON = ("--no-learn", "--final-seeds", "0", "--reproducible")
RUNS: dict[str, tuple[str, ...]] = {
    "function, random": ("--task", "mine.py:curve", "--strategy", "random", "--trials", "20", "--workers", "1"),
    "function, 2 workers, tpe": ("--task", "mine.py:curve", "--strategy", "tpe", "--trials", "20", "--workers", "2"),
    "generator, bo+asha": ("--task", "mine.py:curve", "--strategy", "bo+asha", "--trials", "10", "--workers", "2"),
    "command, random+stop": ("--command", COMMAND, "--epochs", "3", "--strategy", "random+stop", "--trials", "15"),
    "digits-cnn, random+asha": (
        "--task", "digits-cnn", "--epochs", "6", "--strategy", "random+asha", "--trials", "5", "--workers", "2",
    ),
}  # fmt: skip
Facts = list[Any]


def started(arguments: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
    """The command, in a folder with the task and its space."""
    space = () if "digits-cnn" in arguments else ("--space", "space.yaml")
    command = [sys.executable, "-m", "automl", "run", *arguments, *COMMON, *space, "--out", str(out)]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=out.parent, stdout=silent, stderr=silent, start_new_session=True)


def resumed(out: Path) -> subprocess.Popen[bytes]:
    """The run, continued."""
    command = [sys.executable, "-m", "automl", "run", "--resume", "--out", str(out)]
    return subprocess.Popen(
        command, cwd=out.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def told(out: Path) -> list[tuple[int, tuple[float, ...]]]:
    """The outcomes in a run's study, in order; empty before there is one."""
    try:
        log = look(RunFolder(out)).study.log
    except UserError:
        return []
    return [(e.outcome.proposal.trial, e.outcome.losses) for e in log if isinstance(e, Told)]


def facts(out: Path) -> Facts:
    """What two equal runs have in common."""
    trials = look(RunFolder(out)).study.trials.values()
    return [(t.number, t.config, t.losses, t.state, t.error) for t in trials]


def main(
    kills: Annotated[int, typer.Option(help="Kills over all kinds of runs.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Print the table; exit code 1 if anything was lost or changed."""
    rng = random.Random(seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in RUNS}
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        (folder / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
        straight: dict[str, Facts] = {}
        seconds: dict[str, float] = {}
        for name, arguments in RUNS.items():
            out = folder / f"straight-{len(straight)}"
            start = time.perf_counter()
            if started(arguments, out).wait() != 0:
                raise UserError(f"the run {name!r} fails without a kill")
            straight[name], seconds[name] = facts(out), time.perf_counter() - start
        for i, name in zip(itertools.count(), itertools.cycle(RUNS)):
            if sum(count["kills"] for count in counts.values()) >= kills:
                break
            one_run(RUNS[name], folder / f"killed-{i}", rng, seconds[name], straight[name], counts[name])
    typer.echo("| run | runs | kills | outcomes told | lost | same as uninterrupted |\n|---|---:|---:|---:|---:|---:|")
    for name, count in counts.items():
        cells = (count[column] for column in ("runs", "kills", "told", "lost", "same"))
        typer.echo(f"| {name} | {' | '.join(map(str, cells))} |")
    if any(count["lost"] or count["same"] < count["runs"] for count in counts.values()):
        raise typer.Exit(1)


def one_run(
    arguments: Sequence[str], out: Path, rng: random.Random, seconds: float, wanted: Facts, count: Counter[str]
) -> None:
    """Kill and resume it until it ends by itself. The kill reaches the tuner; its workers end by themselves."""
    before: list[tuple[int, tuple[float, ...]]] = []
    process = started(arguments, out)
    while True:
        try:
            process.wait(rng.uniform(0.2, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            count["kills"] += 1
        now = told(out)
        count["lost"] += sum(a != b for a, b in itertools.zip_longest(before, now[: len(before)]))
        count["told"] += len(now) - len(before)
        if process.returncode == 0:
            break
        if process.returncode != -signal.SIGKILL:
            raise UserError(f"a run ended with exit code {process.returncode} after {count['kills']} kills")
        before = now
        folder = RunFolder(out)
        has_begun = folder.study.exists() and not folder.starting.exists()
        process = resumed(out) if has_begun else started(arguments, out)
    count["runs"] += 1
    count["same"] += facts(out) == wanted


if __name__ == "__main__":
    run_command(main)
