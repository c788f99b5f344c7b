"""The runs of the comparison on disk: Parquet files of tidy rows, one per suite, strategy and budget.

Each row has the configuration that was trained, as compact JSON, so that its loss can be recomputed, and the commit
and the versions that it was computed with. Older rows have a configuration only if it was returned, or lack the
columns ``seconds`` and ``config``; older files have one list of commits and of versions for all rows.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl.errors import UserError
from automl.provenance import commit, versions
from automl.study.run_folder import write_atomic
from benchmarks import opponents, suites
from benchmarks.runner.simulate import Run

# On development and on held-out tasks; real trainings whose results were retrained.
COMMITTED = (Path("results/runs"), Path("results/holdout"), Path("results/peers/networks"))
FOLDERS = (Path("results/runs"), Path("results/holdout"), Path("results/peers"))  # of all committed runs
SINGLE = ("loss", "worth", "test", "retrained", "returned", "at_seconds")  # in single precision


class Results:
    """The files in a folder, written atomically. Only one comparison at a time can write to it."""

    def __init__(self, folder: Path, settings: str | None = None) -> None:
        """``settings``: identifies comparable runs. Raises UserError if the folder has runs with other settings."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder, os.O_RDONLY)  # held until this process ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another comparison is writing to {str(folder)!r}; wait or choose another --out") from None
        if settings is not None:
            file = folder / "settings.json"
            if file.exists() and file.read_text(encoding="utf-8") != settings:
                raise UserError(f"{str(folder)!r} has a comparison of another task or code; choose another --out")
            write_atomic(file, settings)
        self._folder = folder
        self._frames: dict[Path, pd.DataFrame] = {}
        self._done: dict[Path, set[tuple[str, int]]] = {}
        self._new: dict[Path, list[dict[str, Any]]] = {}

    def file(self, run: Run) -> Path:
        """The file for the rows of a run."""
        budget = f"{run.n_trials}-trials" if run.seconds is None else f"{run.seconds:g}-seconds"
        return self._folder / run.suite / f"{run.strategy}-{budget}-{run.n_workers}-workers.parquet"

    def has(self, run: Run) -> bool:
        """Whether the run was completed before; crashed runs are retried."""
        file = self.file(run)
        if file not in self._frames:
            frame = read_rows(file) if file.exists() else pd.DataFrame(columns=["task", "seed", "crash"])
            self._frames[file] = frame
            good = frame[frame["crash"].isna()]
            self._done[file] = set(zip(good["task"], good["seed"], strict=True))
        return (run.task, run.seed) in self._done[file]

    def add(self, run: Run, rows: list[dict[str, Any]]) -> None:
        """Add the rows of a run; ``save`` writes them."""
        self._new.setdefault(self.file(run), []).extend(rows)

    def why_nothing_worked(self, runs: list[Run]) -> str | None:
        """The most common error if all trainings of the runs failed, else None."""
        frames = [self._frames[file] for file in {self.file(run) for run in runs}]
        rows = pd.concat(frames, ignore_index=True)
        return None if rows.empty or not rows["failed"].all() else str(rows["error"].mode().iloc[0])

    def save(self) -> None:
        """Write the rows added since the last save."""
        for file, rows in self._new.items():
            installed = _listed(versions(*opponents.PACKAGES, *suites.PACKAGES))
            old, new = self._frames[file], pd.DataFrame(rows).assign(commit=commit(), versions=installed)
            again = set(zip(new["task"], new["seed"], strict=True))  # crashed before
            kept = old[[key not in again for key in zip(old["task"], old["seed"], strict=True)]]
            frame = new if kept.empty else pd.concat([kept, new], ignore_index=True)
            frame = frame.sort_values(["task", "seed", "at_epochs", "trial"], kind="stable", ignore_index=True)
            for column in ("repeats", "loss", "worth", "test", "retrained", "returned", "seconds"):
                frame[column] = frame[column].astype(float)
            for column in ("crash", "error", "config", "commit", "versions"):
                frame[column] = frame[column].astype("str").where(frame[column].notna(), None)
            frame["is_returned"] = frame["is_returned"].eq(True)  # older rows without configurations have no value
            frame.attrs = old.attrs  # the commits and versions of older rows
            write_rows(frame, file)
            self._frames[file] = frame
        self._new = {}


def write_rows(frame: pd.DataFrame, file: Path) -> None:
    """Write rows compactly: in single precision, unless that changes which losses are a run's new best; ``worth`` only
    if it differs from the loss; and ``strategy_seconds`` with two digits."""
    seconds = frame["strategy_seconds"].astype(float)
    scale = 10.0 ** (1 - np.floor(np.log10(seconds.where(seconds > 0, 1.0))))
    compact = {
        "worth": frame["worth"].mask(frame["worth"] == frame["loss"]),
        "strategy_seconds": (seconds * scale).round() / scale,
    }
    frame = frame.assign(**compact)
    single = frame[[name for name in SINGLE if name in frame]].astype("float32")
    if not _new_bests(frame).equals(_new_bests(frame.assign(loss=single["loss"]))):
        single = single.drop(columns="loss")
    write_parquet(frame.assign(**single), file, few_values=("strategy_seconds",))


def _new_bests(frame: pd.DataFrame) -> pd.Series[bool]:
    """Whether a row has the lowest loss of its run so far."""
    runs = [frame["task"], frame["seed"], frame["epochs"]]
    best = frame["loss"].groupby(runs).cummin()
    return best < best.groupby(runs).shift(fill_value=np.inf)


def read_rows(file: Path) -> pd.DataFrame:
    """Read rows written by ``write_rows``."""
    frame = pd.read_parquet(file)
    frame = frame.astype({name: float for name in SINGLE if name in frame})
    if {"worth", "loss"} <= set(frame):
        frame["worth"] = frame["worth"].fillna(frame["loss"])
    if "config" in frame and "is_returned" not in frame:
        frame["is_returned"] = frame["config"].notna()
    return frame


def with_provenance(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a file, each with its commit and versions, as far as it has these columns.

    For a row without its own, ``commit`` has all commits of the file, separated by spaces, and ``versions`` its latest.
    """
    recorded = rows.attrs.get("commits") or [rows.attrs.get("commit")]
    of_file = {
        "commit": " ".join(name or "unknown" for name in recorded),
        "versions": _listed(rows.attrs.get("versions", {})) or "unknown",
    }
    filled = {name: rows[name].fillna(text) if name in rows else text for name, text in of_file.items()}
    found = rows.assign(**filled)
    found.attrs = {}
    return found


def _listed(installed: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in installed.items())


def write_parquet(frame: pd.DataFrame, file: Path, few_values: tuple[str, ...] = ()) -> None:
    """Write a table atomically. ``few_values``: float columns with few distinct values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(f".{os.getpid()}")
    floats = [n for n in frame if pd.api.types.is_float_dtype(frame[n]) and n not in few_values]
    frame.to_parquet(
        aside, index=False, compression="zstd", compression_level=19,
        use_byte_stream_split=floats, use_dictionary=[name for name in frame if name not in floats],
    )  # fmt: skip
    aside.replace(file)
