"""`python -m automl.data list` and `fetch NAME`: which data are on this machine, and how they get there."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from automl.data import SOURCES, DataMissing, source_module

app = typer.Typer(add_completion=False, help="Data sets of the built-in tasks.", no_args_is_help=True)


@app.command("list")
def list_sources() -> None:
    """Lists the data sets, their sizes and where they are."""
    table = Table(box=None)
    for header, wraps in (("name", False), ("data", True), ("train", False), ("valid", False), ("test", False)):
        table.add_column(header, no_wrap=not wraps)
    table.add_column("where", overflow="fold")
    for name, source in SOURCES.items():
        try:
            where = source_module(name).where()
        except DataMissing:
            where = f"missing: python -m automl.data fetch {name}"
        sizes = (f"{n:,}" for n in (source.n_train, source.n_valid, source.n_test))
        table.add_row(name, source.description, *sizes, where)
    _console().print(table)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="one of: " + ", ".join(SOURCES))]) -> None:
    """Puts a data set on this machine: from Debian's package where that is installed, else downloaded."""
    if name not in SOURCES:
        fail(f"unknown data set '{name}'; choose one of: {', '.join(SOURCES)}")
    module = source_module(name)
    try:
        _console().print(f"{name}: {module.fetch(download=True)}; {module.where()}")
    except DataMissing as error:
        fail(str(error))


def fail(message: str) -> None:
    _console(stderr=True).print(message, style="red")
    raise typer.Exit(2)


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
