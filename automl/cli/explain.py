"""What mattered in a run, in the terminal: ``automl explain RUN_FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from automl.analysis.explanation import Explanation
    from automl.analysis.importance import Share

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
BAR = 10  # characters of a share of 100%


@app.command()
def explain(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The folder of a finished run.")],
) -> None:
    """Say which hyperparameters mattered in a run, how, which trials were best, and why others failed."""
    from rich.console import Console

    from automl.analysis import explanation
    from automl.analysis.report import write_report
    from automl.cli.terminal import show_line
    from automl.study.run_folder import RunFolder
    from automl.study.snapshot import read_run

    study, summary = read_run(folder)
    told = explanation.explain(study, summary)
    report = RunFolder(folder).report
    write_report(report, study, summary, told)
    console = Console()
    for sentence in told.words:
        show_line(console, sentence)
    _show_tables(console, told)
    show_line(console, f"pictures: {report}, under what mattered")


def _show_tables(console: Console, told: Explanation) -> None:
    from automl.analysis.explanation import TOGETHER, verdict

    found = told.importances
    if found is not None:
        title = f"share in the variation{told.compared.after}, from {told.n_trials} trials"
        title += "; the middle 90% of 20 refits behind each"
        table = _table(title, "hyperparameter", "", "share", "fANOVA", "PED-ANOVA", "")
        for row in found.each:
            bar = "\u2588" * round(BAR * row.share.value)
            table.add_row(row.name, bar, *map(_in_short, (row.share, row.fanova, row.ped)), verdict(row))
        console.print(table)
        pairs = [pair for pair in found.pairs if pair.share.low > TOGETHER]
        if pairs:
            table = _table("share that two have only together", "hyperparameters", "", "share")
            for pair in pairs:
                bar = "\u2588" * round(BAR * pair.share.value)
                table.add_row(" and ".join(pair.names), bar, _in_short(pair.share))
            console.print(table)
    if told.best:
        table = _table(f"the best {told.n_best} trials{told.compared.after}", "hyperparameter", "values", "")
        for shared in told.best:
            table.add_row(shared.name, shared.values, "sets them apart" if shared.telling else "")
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, overflow="fold" if i == 0 else "ellipsis")
    return table


def _in_short(share: Share | None) -> str:
    return "-" if share is None else f"{100 * share.value:.0f}% {100 * share.low:.0f}-{100 * share.high:.0f}"
