"""Medians of test_speed.py as a table: ``python -m benchmarks.experiments.speed``, results/speed.csv."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.experiments.test_speed import N_REPLAYED


def main(out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/speed.csv")) -> None:
    """Run the benchmarks and write their times."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "speed.json"
        file = Path(__file__).with_name("test_speed.py")
        # CPU seconds, to be independent of other load on the machine.
        timer = "--benchmark-timer=time.process_time"
        command = [
            sys.executable,
            "-m",
            "pytest",
            str(file),
            "--benchmark-enable",
            "-n0",
            timer,
            f"--benchmark-json={found}",
        ]
        subprocess.run(command, check=True)
        benchmarks = json.loads(found.read_text(encoding="utf-8"))["benchmarks"]
    rows = ["what,median_seconds,min_seconds,rounds,trials_a_second"]
    for benchmark in benchmarks:
        stats = benchmark["stats"]
        n_trials = N_REPLAYED if "replay" in benchmark["name"] else 1
        what = benchmark["name"].removeprefix("test_").replace("[", " ").rstrip("]")
        rows.append(
            f"{what},{stats['median']:.6f},{stats['min']:.6f},{stats['rounds']},{n_trials / stats['median']:.1f}"
        )
    write_atomic(out, "\n".join(rows) + "\n")
    print(out)


if __name__ == "__main__":
    run_command(main)
