"""Record trainings for replay: ``python -m benchmarks.experiments.record --task mnist1d-cnn``.

The first pass trains the default, a Sobol sequence and then proposals of TPE, so that good regions are covered densely;
every further pass trains the same configs with other seeds. The first pass is a run in its own folder, which is resumed
if it was interrupted; passes already in the table are kept. If all are there, the command only recomputes the facts.
If several passes are missing, the seeds of a config are trained as lanes of one program if possible: they get the
seconds of the first pass, since a lane takes less time than a training alone.

``--short 2`` then retrains the recorded configs whose learning rate follows a schedule, with a complete schedule of two
epochs, which differs from the second epoch of a long schedule.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console

from automl.api import tune
from automl.errors import UserError
from automl.provenance import commit, versions
from automl.runs.settings import default_workers
from automl.study.run_folder import write_atomic
from automl.study.trial import Trial
from automl.task import Task, vary
from automl.tasks.registry import load_task
from automl.tuning.executor import Executor
from automl.tuning.jobs import Job
from automl.tuning.packs import packed, train_jobs
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.trainings import training_seed
from benchmarks.command import run_command
from benchmarks.runner.results import write_parquet
from benchmarks.suites.recordings import Recording, describe
from benchmarks.suites.scored_task import Scored
from strategies.base import Strategy
from strategies.config_strategy import ConfigStrategy
from strategies.tpe import TPE
from strategies.types import JSON, Config

SEED = 1_000_000  # not used in comparisons, which would otherwise propose the recorded points
CONFIGS_AT_ONCE = 40  # results are written after so many
SPREAD = 0.6  # share of the configs that fill the space; the others are proposed by TPE


def main(
    task: Annotated[str, typer.Option(help="Built-in task.")] = "mnist1d-cnn",
    configs: Annotated[int, typer.Option(min=2, help="Number of configs.")] = 250,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per config.")] = 2,
    train_size: Annotated[int | None, typer.Option(help="Number of training examples to use.")] = None,
    short: Annotated[
        int | None, typer.Option(min=1, help="Record the configs in the table with complete schedules of this length.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Training processes.", show_default="one per core")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("results/recorded"),
    work: Annotated[Path, typer.Option(help="Folder for the underlying runs.")] = Path("runs/recorded"),
) -> None:
    """Train what is missing and write OUT/TASK.parquet, with facts about it in OUT/TASK.json."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("automl").setLevel(logging.INFO)  # a line per trial without a terminal
    live = load_task(task, train_size=train_size)
    name = task if train_size is None else f"{task}-{train_size}"
    console = Console()
    workers = workers or default_workers("auto")
    file = out / f"{name}.parquet"
    if short is not None:
        record_short(live, file, short, workers, work, console)
        return
    known = pd.read_parquet(file) if file.exists() else pd.DataFrame(columns=["number", "seed"])
    by_seed = {seed: known[known["seed"] == seed] for seed in range(seeds)}
    passes = {seed: rows for seed, rows in by_seed.items() if rows["number"].nunique() == configs}
    if 0 not in passes:
        first = record(live, filling(configs), configs, SEED, workers, work / f"{name}-0", console)
        passes[0] = table(first, 0)
        write(passes, file)
    missing = [seed for seed in range(seeds) if seed not in passes]
    if missing:
        passes |= repeated(live, passes[0], missing, workers, work / f"{name}-{configs}-repeats", console)
        write(passes, file)
    frame = pd.concat([passes[seed] for seed in range(seeds)], ignore_index=True)
    recording = Recording.of(frame, live.max_epochs, live.metric, live.maximize)
    facts = describe(recording, live.space)
    write_atomic(out / f"{name}.json", json.dumps(facts, indent=1) + "\n")
    answers = "by a model" if facts["interpolated"] else "by the nearest recorded one"
    console.print(
        f"{file}: {facts['training_hours']} hours of training; rank correlation with unseen configs "
        f"{facts['rank_correlation']}, so configs in between are predicted {answers}",
        soft_wrap=True,
    )


def write(passes: Mapping[int, pd.DataFrame], file: Path) -> None:
    """Write the passes to the table."""
    trained = pd.concat([passes[seed] for seed in sorted(passes)], ignore_index=True)
    trained.attrs = {"versions": versions(), "commit": commit()}
    write_parquet(trained, file)


def repeated(
    live: Task, first: pd.DataFrame, seeds: Sequence[int], workers: int, folder: Path, console: Console
) -> dict[int, pd.DataFrame]:
    """The rows of further passes, by seed; rows already in the folder are read from there."""
    task, configs, parts = Scored(live, shares=True), configs_of(first), list[pd.DataFrame]()
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessExecutor(task, workers, logs=folder / "logs") as executor:
        for start in range(0, len(configs), CONFIGS_AT_ONCE):
            file = folder / f"seeds-{'-'.join(map(str, seeds))}-from-{start}.parquet"
            if not file.exists():
                chosen = dict(enumerate(configs[start : start + CONFIGS_AT_ONCE], start))
                console.print(f"{live.name}, seeds {seeds} of {len(chosen)} configs from {start} on", markup=False)
                write_parquet(repeats(task, chosen, seeds, executor, folder / "trainings"), file)
            parts.append(pd.read_parquet(file))
    rows = with_seconds_of(first, pd.concat(parts, ignore_index=True))
    return {seed: rows[rows["seed"] == seed].sort_values(["number", "epoch"]) for seed in seeds}


def repeats(
    task: Scored, configs: Mapping[int, Config], seeds: Sequence[int], executor: Executor, folder: Path
) -> pd.DataFrame:
    """Train the configs, by number, with every seed."""
    shutil.rmtree(folder, ignore_errors=True)
    plan = [(number, seed) for number in configs for seed in seeds]
    jobs = [
        Job(key, configs[number], training_seed(SEED + seed, number), task.max_epochs, folder=str(folder / str(key)))
        for key, (number, seed) in enumerate(plan)
    ]
    trained = train_jobs(packed(task, jobs, executor.n_workers), executor)
    shutil.rmtree(folder)
    rows: list[dict[str, Any]] = []
    for key, (number, seed) in enumerate(plan):
        done, what = trained[key], {"number": number, "config": json.dumps(configs[number]), "seed": seed}
        rows += [{**what, "epoch": e.epoch, "loss": e.loss, **e.metrics, "error": None} for e in done.epochs]
        if done.ended.error is not None:
            rows.append({**what, "epoch": len(done.epochs) + 1, "error": done.ended.error})
    return pd.DataFrame(rows)


def with_seconds_of(first: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the seconds of the same epoch in the first pass, if known."""
    alone = first.set_index(["number", "epoch"])["seconds"].rename("alone")
    joined = rows.join(alone, on=["number", "epoch"])
    known = joined["alone"].where(joined["seconds"].notna()).fillna(joined["seconds"])
    return joined.assign(seconds=known).drop(columns="alone")


def record_short(live: Task, file: Path, epochs: int, workers: int, work: Path, console: Console) -> None:
    """Train the configs of a table with complete schedules of ``epochs``, and write a table next to it.

    Configs with a constant learning rate are skipped: their first epochs are already in the table.
    """
    recorded = pd.read_parquet(file)
    numbers = {number: i for i, number in enumerate(sorted(recorded["number"].unique()))}
    configs = [config for config in configs_of(recorded) if config["schedule"] != "constant"]
    own_number = {json.dumps(config): numbers[i] for i, config in enumerate(configs_of(recorded))}
    passes = []
    for seed in sorted(recorded["seed"].unique()):
        folder = work / f"{file.stem}-{epochs}-epochs-{seed}"
        shortened = vary(live, max_epochs=epochs)
        trials = record(shortened, repeating(configs), len(configs), SEED + int(seed), workers, folder, console)
        rows = table(trials, int(seed))
        passes.append(rows.assign(number=rows["config"].map(own_number)))
    frame = pd.concat(passes, ignore_index=True)
    frame.attrs = {"versions": versions(), "commit": commit()}
    write_parquet(frame, file.with_name(f"{file.stem}-{epochs}-epochs.parquet"))


def filling(n_configs: int) -> type[Strategy]:
    """A strategy with Sobol points first, then TPE."""

    class Filling(TPE):
        n_initial = round(SPREAD * n_configs)

    return Filling


def repeating(configs: list[Config]) -> type[Strategy]:
    """A strategy that proposes these configs in order."""

    class Repeating(ConfigStrategy):
        n_initial = 0

        def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
            return configs[self._n_asked], {"from": "the first pass"}

    return Repeating


def record(
    task: Task, strategy: type[Strategy], n_configs: int, seed: int, n_workers: int, folder: Path, console: Console
) -> list[Trial]:
    """Complete one pass; UserError if it is interrupted."""
    console.print(f"{task.name}, {n_configs} configs, seed {seed}, {n_workers} workers, in {folder}", markup=False)
    result = tune(
        Scored(task),
        strategy=strategy,
        n_trials=n_configs,
        seed=seed,
        n_workers=n_workers,
        study=folder,
        resume=(folder / "study.db").exists(),
    )
    if result.stop_reason == "interrupted":
        raise UserError(f"interrupted after {len(result.trials)} configs; run the same command to resume")
    return sorted(result.trials, key=lambda trial: trial.number)


def table(trials: list[Trial], seed: int) -> pd.DataFrame:
    """A row per epoch: config (its number and its JSON), seed (the pass), epoch, loss, metrics, seconds, error.

    A failed training has one more row, with the error.
    """
    rows: list[dict[str, Any]] = []
    for trial in trials:
        what = {"number": trial.number, "config": json.dumps(trial.config), "seed": seed}
        for i, loss in enumerate(trial.losses):
            metrics = {name: values[i] for name, values in trial.metrics.items()}
            rows.append({**what, "epoch": i + 1, "loss": loss, **metrics, "error": None})
        if trial.error is not None:
            rows.append({**what, "epoch": len(trial.losses) + 1, "error": trial.error})
    return pd.DataFrame(rows)


def configs_of(rows: pd.DataFrame) -> list[Config]:
    """The configs of a pass, by number."""
    return [json.loads(text) for text in rows.groupby("number")["config"].first().sort_index()]


if __name__ == "__main__":
    run_command(main)
