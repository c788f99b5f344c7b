"""Prepare the user's data for a run, with progress in the terminal."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl.data.ingest.data_report import Report, show_report
from automl.data.ingest.prepare import prepare
from automl.data.ingest.read_table import reading_watched
from automl.data.ingest.request import Request
from automl.errors import writes
from automl.study.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def prepared_for(
    request: Request | None, out: Path | None, console: Console, metric: str | None = None
) -> Iterator[Path | None]:
    """The folder of the prepared data of a new run, next to the run's folder, into which it may be moved.

    Shows the report on the data, and finally removes the folder if it is still there. None without a ``request``.
    ``metric``: the one to optimise, if it is given.
    """
    if request is None:
        yield None
        return
    if out is not None:
        RunFolder(out).check_is_free()
    place = (out or Path("runs") / "run").absolute().parent
    while not place.is_dir():
        place = place.parent
    # Named before it is created, so that it is removed even if its creation is interrupted.
    scratch = place / f".automl-{secrets.token_hex(4)}"
    folder = scratch / "data"
    try:
        with writes(place):
            scratch.mkdir(mode=0o700)
            report = _prepare_watched(request, folder, metric, console)
        show_report(console, report)
        yield folder
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prepare_watched(request: Request, folder: Path, metric: str | None, console: Console) -> Report:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading the data", total=None)

        def watch(share: float, n_rows: int) -> None:
            # Once read, the data are split and encoded, which has no known length.
            what = f"reading the data: {n_rows:,} rows" if share < 1 else f"encoding {n_rows:,} rows"
            progress.update(bar, completed=share, total=1.0 if share < 1 else None, description=what)

        with reading_watched(watch):
            return prepare(request, folder, metric)
