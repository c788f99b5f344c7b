"""`automl baseline NAME`: the scores of a practitioner's baseline on a built-in data set."""

from typing import Annotated

import typer
from rich.table import Table

from automl.cli.console import literal_console
from automl.errors import UserError
from automl.tasks.baselines import BASELINES, run_baseline
from automl.wording import significant

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def baseline(names: Annotated[list[str], typer.Argument(metavar="NAME...", help="; ".join(BASELINES))]) -> None:
    """Print the baseline's test scores and training time on each data set."""
    table = Table(box=None)
    for header in ("data", "baseline", "metric"):
        table.add_column(header)
    for header in ("test", "seconds"):
        table.add_column(header, justify="right")
    for name in names:
        if name not in BASELINES:
            raise UserError(f"there is no baseline for '{name}'; choose one of: {', '.join(BASELINES)}")
    for name in names:
        scores, seconds = run_baseline(name)
        for i, (metric, score) in enumerate(scores.items()):
            first = (name, BASELINES[name].description) if i == 0 else ("", "")
            table.add_row(*first, metric, significant(score), significant(seconds, 2) if i == 0 else "")
    literal_console().print(table)
