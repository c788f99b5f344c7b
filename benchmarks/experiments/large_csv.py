"""Time and memory of reading a large file: ``python -m benchmarks.experiments.large_csv``, results/large_csv.csv.

The file is a generated CSV of numbers, categories and missing values. Peak memory is measured in separate processes:
for preparing the file for a search (read, split, encoded and written), and for ``pandas.read_csv``. Linux only.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.provenance import commit
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.experiments.peak_memory import peak

ROWS_A_CHUNK = 200_000
N_NUMBERS, N_CATEGORIES = 8, 3


def main(
    megabytes: Annotated[int, typer.Option(min=1, help="Size of the file.")] = 1_000,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/large_csv.csv"),
) -> None:
    """Generate the file, read it in both ways, and write the measurements."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".large-csv-") as scratch:
        file = Path(scratch) / "large.csv"
        n_rows = write_file(file, megabytes * 1_000_000)
        size = file.stat().st_size
        rows = [measured(way, file) | {"rows": n_rows, "megabytes": round(size / 1e6)} for way in WAYS]
    table = pd.DataFrame(rows).assign(commit=commit())
    table.insert(3, "peak_by_size", (table["peak_megabytes"] / table["megabytes"]).round(2))
    write_atomic(out, table.to_csv(index=False))
    print(table.drop(columns="commit").to_string(index=False))


def write_file(file: Path, size: int) -> int:
    """Write a CSV of at least ``size`` bytes; returns the number of rows."""
    rng, n = np.random.default_rng(0), 0
    names = np.array([f"town {i}" for i in range(200)])
    with file.open("w", encoding="utf-8") as opened:
        while opened.tell() < size:
            chunk = pd.DataFrame(rng.normal(size=(ROWS_A_CHUNK, N_NUMBERS)).round(6)).add_prefix("number_")
            chunk = chunk.mask(rng.random(chunk.shape) < 0.02)
            for i in range(N_CATEGORIES):
                chunk[f"category_{i}"] = names[rng.integers(0, len(names), len(chunk))]
            chunk["price"] = rng.normal(size=len(chunk)).round(4)
            chunk.to_csv(opened, index=False, header=n == 0)
            n += len(chunk)
    return n


def prepared(file: Path) -> None:
    prepare(Request(str(file), target="price"), file.with_name("prepared"))


def read_whole(file: Path) -> None:
    pd.read_csv(file)


WAYS: dict[str, Callable[[Path], None]] = {"prepare": prepared, "pandas.read_csv": read_whole}


def measured(way: str, file: Path) -> dict[str, object]:
    """Seconds and peak memory of one way, in a separate process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, n_bytes = pool.apply(_measured, (way, file))
    return {"what": way, "seconds": round(seconds, 1), "peak_megabytes": round(n_bytes / 1e6)}


def _measured(way: str, file: Path) -> tuple[float, int]:
    start = time.perf_counter()
    WAYS[way](file)
    return time.perf_counter() - start, peak()


if __name__ == "__main__":
    run_command(main)
