"""Time to write and read a study on disk, compared with Optuna's own storage.

``python -m benchmarks.experiments.study_store`` writes results/study_store.csv, results/study_store.md and the table of
a page of the documentation. Both write the same log of trials with eight hyperparameters and one epoch each, in turn,
to new files; the numbers are medians. Then a search with ``random`` runs on an instant objective, and is resumed.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import pandas as pd
import typer

import automl
from automl.provenance import commit
from automl.space.parse import load_space
from automl.study.rows import Epochs, TrialRows
from automl.study.run_folder import write_atomic
from automl.study.sqlite import sqlite_url
from automl.study.storage import Store
from automl.study.study import Study
from benchmarks.command import run_command
from benchmarks.experiments.overhead import SPACE
from benchmarks.pages.markdown import grid, put
from strategies import make_strategy
from strategies.base import Outcome, Proposal

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.trial import TrialState
    from sqlalchemy import Connection

PAGE, BLOCK = Path("docs/how-to/watch.md"), "study-store"


class OptunaRows(TrialRows):
    """The rows of a study written by the methods of Optuna's storage, each of which is a transaction."""

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        super().__init__(storage, study_id)
        self._storage = storage

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        yield cast("Connection", None)

    def add(
        self,
        connection: Connection,
        parameters: Mapping[str, tuple[Any, BaseDistribution, str]],
        attributes: Mapping[str, Any],
    ) -> int:
        from optuna.trial import TrialState, create_trial

        template = create_trial(
            state=TrialState.RUNNING,
            params={name: value for name, (value, _, _) in parameters.items()},
            distributions={name: kind for name, (_, kind, _) in parameters.items()},
            user_attrs=dict(attributes),
        )
        return self._storage.create_new_trial(self._study_id, template)

    def set_attributes(self, connection: Connection, entry: int, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self._storage.set_trial_user_attr(entry, key, value)

    def set_epochs(self, connection: Connection, epochs: Epochs) -> None:
        for entry, epoch, loss in epochs:
            self._storage.set_trial_intermediate_value(entry, epoch, loss)

    def end(self, connection: Connection, entries: Sequence[int], state: TrialState, loss: float | None = None) -> None:
        for entry in entries:
            self._storage.set_trial_state_values(entry, state, None if loss is None else [loss])


class OptunaStore(Store):
    """A study written by Optuna's storage."""

    rows = OptunaRows


def proposals(n_trials: int) -> list[Proposal]:
    """Proposals of random search."""
    strategy = make_strategy("random", load_space(SPACE), seed=0)
    found = []
    for _ in range(n_trials):
        proposal = strategy.ask()
        assert proposal is not None
        strategy.tell(Outcome(proposal, (0.5,), 0.0))
        found.append(proposal)
    return found


def write(kind: type[Store], file: Path, asked: Sequence[Proposal]) -> None:
    """Write a study with one epoch per proposal."""
    space = load_space(SPACE)
    study = Study(space, 1, kind.create(sqlite_url(file), space, {"task": "none"}))
    for proposal in asked:
        study.asked(proposal, 0.001)
        study.trained(proposal.trial, 1, 0.5)
        study.told(Outcome(proposal, (0.5,), 0.01, metrics={"accuracy": (0.5,)}), 0.001, 1.0)
    study.close()


def read_through_optuna(file: Path) -> None:
    """Read all trials as Optuna's objects."""
    import optuna

    optuna.storages.RDBStorage(sqlite_url(file)).get_all_trials(1)


def read(file: Path) -> None:
    """Read all trials as our objects."""
    space = load_space(SPACE)
    Study(space, 1, Store.open(sqlite_url(file), space))


def timed(work: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    work(*arguments)
    return time.perf_counter() - wall, time.process_time() - processor


def row(
    what: str, by: str, times: Sequence[tuple[float, float]], scale: float = 1.0, unit: str = "s"
) -> dict[str, Any]:
    """A row of the table: medians of the times, and their number."""
    wall, processor = (scale * statistics.median(column) for column in zip(*times, strict=True))
    return {
        "what": what, "by": by, "time": round(wall, 2), "processor_time": round(processor, 2), "unit": unit,
        "repeats": len(times),
    }  # fmt: skip


def main(
    trials: Annotated[int, typer.Option(help="Trials per file.")] = 200,
    repeats: Annotated[int, typer.Option(help="Files to write with each storage.")] = 5,
    search: Annotated[int, typer.Option(help="Trials of the search; 0 for none.")] = 10_000,
    out: Annotated[Path, typer.Option(help="Table to write, with a summary beside it.")] = Path(
        "results/study_store.csv"
    ),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = PAGE,
) -> None:
    """Measure, and write the table and its summary."""
    with tempfile.TemporaryDirectory() as root:
        rows = compared(Path(root), trials, repeats)
        if search:
            rows += searched(Path(root), search)
    table = pd.DataFrame(rows).assign(commit=commit())
    write_atomic(out, table.to_csv(index=False))
    lines = shown(table)
    write_atomic(out.with_suffix(".md"), "\n".join(["# Writing and reading a study", "", *lines]) + "\n")
    put(page, BLOCK, lines)
    typer.echo("\n".join(lines))


def compared(folder: Path, n_trials: int, repeats: int) -> list[dict[str, Any]]:
    """The time to write a trial, with both."""
    kinds: dict[str, type[Store]] = {"Optuna's storage": OptunaStore, "automl": Store}
    asked = proposals(n_trials)
    write(Store, folder / "imports.db", asked[:1])
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for i in range(repeats):
        for name, kind in kinds.items():
            times[name].append(timed(write, kind, folder / f"{kind.__name__}-{i}.db", asked))
    return [row("write a trial", name, times[name], 1000 / n_trials, "ms") for name in kinds]


def searched(folder: Path, n_trials: int) -> list[dict[str, Any]]:
    """The times of a search, of resuming it and of reading its study."""
    options: dict[str, Any] = {"strategy": "random", "n_trials": n_trials, "study": folder / "run", "progress": False}

    def objective(config: Mapping[str, Any]) -> float:
        return float(config["lr"])

    trials, file = f"{n_trials:,} trials", folder / "run" / "study.db"
    search = [timed(lambda: automl.tune(objective, SPACE, **options))]
    resumed = [timed(lambda: automl.tune(objective, SPACE, resume=True, **options)) for _ in range(3)]
    return [
        row(f"search of {trials}", "automl", search),
        row(f"resume of {trials}", "automl", resumed),
        row(f"read {trials}", "Optuna's storage", [timed(read_through_optuna, file)]),
        row(f"read {trials}", "automl", [timed(read, file) for _ in range(3)]),
    ]


def shown(table: pd.DataFrame) -> list[str]:
    """The table in Markdown, and how it was made."""
    code = table["commit"].iloc[0][:9]
    rows = []
    for each in table.to_dict("records"):
        times = (f"{each[name]:.2f} {each['unit']}" for name in ("time", "processor_time"))
        rows.append([each["what"], each["by"], *times, f"{each['repeats']} times"])
    return [
        f"By `python -m benchmarks.experiments.study_store`, commit {code}, on one core: medians.",
        "",
        *grid(["what", "by", "time", "processor time", "measured"], rows, n_left=2),
    ]


if __name__ == "__main__":
    run_command(main)
