"""Ship the recorded trainings as past studies: ``python -m benchmarks.experiments.publish_studies``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from automl.runs.past_studies import SHIPPED, write_study
from automl.space.edit import space_to_dict
from benchmarks.command import run_command
from benchmarks.suites.recorded import FOLDER, live_task
from benchmarks.suites.recordings import Recording


def main(
    recorded: Annotated[Path, typer.Option(help="Folder with the tables of benchmarks.experiments.record.")] = FOLDER,
    out: Annotated[Path, typer.Option(help="Folder for the studies.")] = SHIPPED,
) -> None:
    """Write one study per table."""
    tables = sorted(facts.with_suffix(".parquet") for facts in recorded.glob("*.json"))
    if not tables:
        raise UserError(f"no recorded trainings in {str(recorded)!r}; make some with benchmarks.experiments.record")
    out.mkdir(parents=True, exist_ok=True)
    for table in tables:
        file = out / f"{table.stem}.json"
        write_study(file, study_of(table))
        print(file)


def study_of(table: Path) -> dict[str, Any]:
    """Each config with the mean of its final validation losses; None if all of its trainings failed."""
    live = live_task(table.stem)
    recording = Recording.of(pd.read_parquet(table), live.max_epochs, live.metric, live.maximize)
    finals = recording.losses[:, :, -1]
    known = np.isfinite(finals)
    trials = [
        {"config": config, "loss": round(float(losses[good].mean()), 6) if good.any() else None}
        for config, losses, good in zip(recording.configs, finals, known, strict=True)
    ]
    return {
        "task": table.stem,
        "max_epochs": live.max_epochs,
        "space": space_to_dict(live.space),
        "trials": trials,
    }


if __name__ == "__main__":
    run_command(main)
