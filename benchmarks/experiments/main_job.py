"""The README's first command before and after a change: ``python -m benchmarks.experiments.main_job --before DIR``.

The runs alternate, each from its checkout, on an otherwise idle machine. Writes results/main_job.csv.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psutil
import typer

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.pages.lanes import of_jobs
from benchmarks.pages.markdown import put

HERE = Path(__file__).resolve().parents[2]


def main(
    before: Annotated[Path, typer.Option(help="Checkout of the code before the change.")],
    after: Annotated[Path, typer.Option(help="Checkout of the code after the change.")] = HERE,
    job: Annotated[str, typer.Option(help="Options of the command.")] = "--strategy bo",
    after_job: Annotated[
        list[str] | None, typer.Option(help="Extra options after the change, such as '--lanes 4'; repeat to compare.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs per variant, with seeds 0, 1, ...")] = 5,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/main_job.csv"),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = None,
) -> None:
    """Run the variants in turn, write a row per run, and print the medians."""
    rows = list[dict[str, Any]]()
    ways = [("before", before, job), *(("after", after, f"{job} {more}".strip()) for more in after_job or [""])]
    for seed in range(repeats):
        for which, checkout, options in ways:
            rows.append({"which": which, "options": options, "seed": seed, **run(checkout, options, seed)})
            print(" ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
            write_atomic(out, pd.DataFrame(rows).to_csv(index=False))
    lines = of_jobs(pd.DataFrame(rows))
    put(page, "main-job", lines)
    print("\n".join(lines))


def run(checkout: Path, options: str, seed: int) -> dict[str, Any]:
    """Run the command once: its seconds, those of search and final, and the mean test score of the chosen config."""
    if not (checkout / "automl" / "run.py").is_file():
        raise UserError(f"{str(checkout)!r} is no checkout: it has no automl/run.py")
    with tempfile.TemporaryDirectory(prefix="main-job-") as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "automl.run", *shlex.split(options), "--seed", str(seed), "--out", str(out)]
        paths = {"PYTHONPATH": str(checkout.resolve()), "XDG_DATA_HOME": folder}  # for what it learns
        start, all_before, own_before = time.monotonic(), busy(), own()
        ended = subprocess.run(command, cwd=folder, env=os.environ | paths, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
        others = (busy() - all_before - (own() - own_before)) / seconds
        if ended.returncode:
            raise UserError(f"{shlex.join(command)} in {str(checkout)!r} failed: {ended.stderr.strip()[-500:]}")
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    scores, time_of = summary["final"]["chosen"], summary["time"]
    return {
        "seconds": round(seconds, 2),
        "search": round(time_of["search"] + time_of["strategy"], 2),
        "final": round(time_of["final"], 2),
        "trainings": summary["n_trials"],
        "test": round(float(np.mean(scores)), 4),
        "others": round(max(0.0, others), 2),  # cores used by other processes
        "commit": summary["commit"],
    }


def busy() -> float:
    """Seconds that the machine's cores have been busy."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def own() -> float:
    """CPU seconds of this process's ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_command(main)
