"""Prepare the user's data for a run, with progress in the terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl.data.ingest.data_report import show_report
from automl.data.ingest.prepare import prepare
from automl.data.ingest.read_table import reading_watched
from automl.data.ingest.request import Request
from automl.study.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def prepared_for(request: Request | None, out: Path | None, console: Console) -> Iterator[Path | None]:
    """The folder of the prepared data of a new run, beside that of the run, which it may move into.

    The report is shown. What is left of the folder at the end goes. Nothing, where no data are asked for.
    """
    if request is None:
        yield None
        return
    from rich.progress import Progress

    if out is not None:
        RunFolder(out).check_is_free()
    place = (out or Path("runs") / "run").absolute().parent
    while not place.is_dir():
        place = place.parent
    with tempfile.TemporaryDirectory(prefix=".automl-", dir=place, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "data"
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("reading the data", total=1.0)
            with reading_watched(lambda share: progress.update(bar, completed=share)):
                report = prepare(request, folder)
        show_report(console, report)
        yield folder
