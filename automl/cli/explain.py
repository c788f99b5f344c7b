"""Hyperparameter importance in the terminal: ``automl explain RUN``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli.which_run import NAME, RUN, report_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from automl.analysis.explanation import Explanation
    from automl.analysis.importance import Share

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
BAR = 10  # characters of a bar of 100%


@app.command()
def explain(
    run: Annotated[str, RUN],
    name: Annotated[str | None, NAME] = None,
) -> None:
    """Show which hyperparameters mattered in a run and how, the best trials, and why trials failed."""
    from rich.console import Console

    from automl.analysis import explanation
    from automl.analysis.report import write_report
    from automl.cli.terminal import show_line
    from automl.study.location import located
    from automl.study.snapshot import read_run

    at = located(run, name)
    study, summary = read_run(at)
    explained = explanation.explain(study, summary)
    report = report_of(at)
    write_report(report, study, summary, explained)
    console = Console()
    for sentence in explained.words:
        show_line(console, sentence)
    _show_tables(console, explained)
    show_line(console, f"figures: {report}, section 'what mattered'")


def _show_tables(console: Console, explained: Explanation) -> None:
    from automl.analysis.explanation import TOGETHER, verdict

    found = explained.importances
    if found is not None:
        title = f"share of the variance{explained.compared.after}, from {explained.n_trials} trials"
        title += "; after each, the central 90% of 20 refits"
        table = _table(title, "hyperparameter", "", "share", "fANOVA", "PED-ANOVA", "")
        for row in found.each:
            bar = "\u2588" * round(BAR * row.share.value)
            table.add_row(row.name, bar, *map(_in_short, (row.share, row.fanova, row.ped)), verdict(row))
        console.print(table)
        pairs = [pair for pair in found.pairs if pair.share.low > TOGETHER]
        if pairs:
            table = _table("share of the interaction of two", "hyperparameters", "", "share")
            for pair in pairs:
                bar = "\u2588" * round(BAR * pair.share.value)
                table.add_row(" and ".join(pair.names), bar, _in_short(pair.share))
            console.print(table)
    if explained.best:
        title = f"the best {explained.n_best} trials{explained.compared.after}"
        table = _table(title, "hyperparameter", "values", "")
        for shared in explained.best:
            table.add_row(shared.name, shared.values, "distinguishes them" if shared.telling else "")
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
