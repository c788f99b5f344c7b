"""The README's first command before and after a change: ``python -m benchmarks.experiments.main_job --before DIR``.

Both are run in turn, each from a checkout, on a machine that does nothing else. Writes results/main_job.csv.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command

HERE = Path(__file__).resolve().parents[2]


def main(
    before: Annotated[Path, typer.Option(help="Checkout of the code before the change.")],
    after: Annotated[Path, typer.Option(help="Checkout of the code after it.")] = HERE,
    job: Annotated[str, typer.Option(help="The command's options.")] = "--strategy bo",
    after_job: Annotated[str, typer.Option(help="More options of the second, such as '--lanes 4'.")] = "",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each, with seeds 0, 1, ...")] = 5,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/main_job.csv"),
) -> None:
    """Run both in turn, write a row per run, and print the medians."""
    rows = []
    for seed in range(repeats):
        for which, checkout, options in (("before", before, job), ("after", after, f"{job} {after_job}")):
            rows.append({"which": which, "options": options.strip(), "seed": seed, **run(checkout, options, seed)})
            print(" ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
            write_atomic(out, pd.DataFrame(rows).to_csv(index=False))
    medians = (
        pd.DataFrame(rows).groupby("which")[["seconds", "search", "final", "test"]].median().loc[["before", "after"]]
    )
    print(medians.round(4).to_string())
    for part in ("seconds", "search", "final"):
        print(f"{part}: {medians[part].iloc[0] / medians[part].iloc[1]:.2f} times as fast")


def run(checkout: Path, options: str, seed: int) -> dict[str, Any]:
    """Run the command once: its seconds, those of search and final, and the mean test score of the chosen config."""
    if not (checkout / "automl" / "run.py").is_file():
        raise UserError(f"{str(checkout)!r} is no checkout: it has no automl/run.py")
    with tempfile.TemporaryDirectory(prefix="main-job-") as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "automl.run", *shlex.split(options), "--seed", str(seed), "--out", str(out)]
        paths = {"PYTHONPATH": str(checkout.resolve()), "XDG_DATA_HOME": folder}  # what it learns stays there
        start = time.monotonic()
        ended = subprocess.run(command, cwd=folder, env=os.environ | paths, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
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
        "commit": summary["commit"],
    }


if __name__ == "__main__":
    run_command(main)
