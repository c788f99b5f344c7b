"""The importance of columns and hyperparameters in the terminal: ``automl explain RUN``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli.which_run import NAME, RUN, columns_of, history_of, locations, model_of, report_of
from automl.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from automl.analysis.columns import ColumnImportances
    from automl.analysis.explanation import Explanation
    from automl.analysis.importance import Share
    from automl.study.location import Location

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
BAR = 10  # characters of a bar of 100%
MAX_COLUMNS = 15  # report.html has all
OPTIONAL = ("", "PED-ANOVA", "fANOVA")  # columns to drop on a narrow terminal, in this order; "": the bar


@app.command()
def explain(
    run: Annotated[str, RUN],
    name: Annotated[str | None, NAME] = None,
) -> None:
    """Show which columns the model relies on, which hyperparameters mattered and how, and why trials failed."""
    from automl.cli.console import literal_console
    from automl.cli.terminal import show_line

    console, found = literal_console(), list(locations(run, name))
    for at in found:
        if len(found) > 1:
            show_line(console, f"the run in {at}")
        _explain(console, at)


def _explain(console: Console, at: Location) -> None:
    """Explain one run, and rewrite its report."""
    from automl.analysis import explanation
    from automl.analysis.columns import reads_columns
    from automl.analysis.report import write_report
    from automl.cli.terminal import show_line
    from automl.study.snapshot import read_run

    study, summary = read_run(at)
    explained = explanation.explain(study, summary)
    report, history = report_of(at), history_of(at)
    columns = _columns(console, at, summary["metric"]) if reads_columns(summary.get("model")) else None
    if columns is not None:
        _show_columns(console, columns, report)
    if history:
        used = next(facts["number"] for facts in history if facts["in_use"])
        show_line(console, f"This explains the search, which produced version 1; version {used} is in use.")
    for sentence in explained.words:
        show_line(console, sentence)
    _show_tables(console, explained)
    try:
        write_report(report, study, summary, explained, history, columns)
    except OSError as error:  # for example, the folder belongs to another user
        show_line(console, f"the report stays as it is, since it cannot be written: {error}")
    else:
        show_line(console, f"figures: {report}, section 'what mattered'")


def _columns(console: Console, at: Location, metric: str) -> ColumnImportances | None:
    """The column importances of the model in use, computed if not known yet; None without a model."""
    from automl.analysis.columns import ColumnImportances
    from automl.deployment.column_importance import column_importances, keep_columns
    from automl.deployment.predictor import load_predictor

    found = columns_of(at)
    places = None if at.folder is None else model_of(at.folder)
    if (found is not None and found.reason is None) or at.folder is None or places is None:
        return found
    model, data = places
    try:
        with console.status("shuffling the columns of the test set, one by one"):
            found = column_importances(load_predictor(model), data, metric)
    except UserError as error:  # the search can be explained without the model
        return ColumnImportances(metric, reason=str(error))
    assert found is not None
    with suppress(OSError):  # otherwise they are computed again when needed
        keep_columns(at.folder.columns, model, found)
    return found


def _show_columns(console: Console, found: ColumnImportances, report: Path) -> None:
    from rich.text import Text

    from automl.cli.terminal import show_line
    from automl.wording import counted

    for sentence in found.words:
        show_line(console, sentence)
    if not found.each:
        return
    largest = max(1e-300, *(column.worse for column in found.each))
    show_line(console, f"worse by: {found.basis}")
    table = _table("", "column", "", "worse by", "std. dev.", "")
    for column in found.each[:MAX_COLUMNS]:
        bar = "\u2588" * round(BAR * max(0.0, column.worse) / largest)
        name = Text(column.short())
        table.add_row(name, bar, found.shown(column.worse), found.shown(column.deviation), column.verdict)
    console.print(table)
    if len(found.each) > MAX_COLUMNS:
        more = counted(len(found.each) - MAX_COLUMNS, "more column")
        show_line(console, f"{more}: {report}, section 'which columns matter'")
    console.print()


def _show_tables(console: Console, explained: Explanation) -> None:
    from automl.analysis.explanation import MIN_INTERACTION, verdict
    from automl.cli.terminal import show_line

    found = explained.importances
    if found is not None:
        title = f"share of the variance{explained.compared.after}, from {explained.n_trials} trials"
        title += "; after each, the central 90% of 20 refits"
        cells: dict[str, list[str]] = {
            "hyperparameter": [row.name for row in explained.judged],
            "": ["\u2588" * round(BAR * row.share.value) for row in explained.judged],
            "share": [_in_short(row.share) for row in explained.judged],
            "fANOVA": [_in_short(row.fanova) for row in explained.judged],
            "PED-ANOVA": [_in_short(row.ped) for row in explained.judged],
            "verdict": [verdict(row) for row in explained.judged],
        }
        console.print(_fitting(console, title, cells))
        if explained.not_judged:
            show_line(console, explained.not_judged)
        pairs = [pair for pair in found.pairs if pair.share.low > MIN_INTERACTION]
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


def _fitting(console: Console, title: str, cells: Mapping[str, Sequence[str]]) -> Table:
    """A table of these columns, without some of OPTIONAL if it would not fit the width and names would be cut."""
    names = list(cells)
    while True:
        table = _table(title, *("" if name == "verdict" else name for name in names))
        for row in zip(*(cells[name] for name in names), strict=True):
            table.add_row(*row)
        width = sum(max(map(len, (name, *cells[name]))) + 3 for name in names)  # with padding and divider
        leaves = next((name for name in OPTIONAL if name in names), None)
        if width <= console.width or leaves is None:
            return table
        names.remove(leaves)


def _table(title: str, *columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, overflow="fold" if i == 0 else "ellipsis", no_wrap=i == 0)
    return table


def _in_short(share: Share | None) -> str:
    return "-" if share is None else f"{100 * share.value:.0f}% {100 * share.low:.0f}-{100 * share.high:.0f}"
