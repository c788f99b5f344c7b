"""Hyperparameter importance in the terminal: ``automl explain RUN``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli.which_run import NAME, RUN, history_of, locations, report_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from automl.analysis.explanation import Explanation
    from automl.analysis.importance import Share
    from automl.study.location import Location

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
BAR = 10  # characters of a bar of 100%
OPTIONAL = ("", "PED-ANOVA", "fANOVA")  # columns that are left out of a narrow terminal, the first first; "": the bar


@app.command()
def explain(
    run: Annotated[str, RUN],
    name: Annotated[str | None, NAME] = None,
) -> None:
    """Show which hyperparameters mattered in a run and how, the best trials, and why trials failed."""
    from rich.console import Console

    from automl.cli.terminal import show_line

    console, found = Console(), list(locations(run, name))
    for at in found:
        if len(found) > 1:
            show_line(console, f"the run in {at}")
        _explain(console, at)


def _explain(console: Console, at: Location) -> None:
    """Explain one run, and write its report again."""
    from automl.analysis import explanation
    from automl.analysis.report import write_report
    from automl.cli.terminal import show_line
    from automl.study.snapshot import read_run

    study, summary = read_run(at)
    explained = explanation.explain(study, summary)
    report, history = report_of(at), history_of(at)
    write_report(report, study, summary, explained, history)
    if history:
        used = next(facts["number"] for facts in history if facts["in_use"])
        show_line(console, f"This is about the search of the run, which made version 1; version {used} is in use.")
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
        cells: dict[str, list[str]] = {
            "hyperparameter": [row.name for row in found.each],
            "": ["\u2588" * round(BAR * row.share.value) for row in found.each],
            "share": [_in_short(row.share) for row in found.each],
            "fANOVA": [_in_short(row.fanova) for row in found.each],
            "PED-ANOVA": [_in_short(row.ped) for row in found.each],
            "verdict": [verdict(row) for row in found.each],
        }
        console.print(_fitting(console, title, cells))
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


def _fitting(console: Console, title: str, cells: Mapping[str, Sequence[str]]) -> Table:
    """A table of these columns, without some of OPTIONAL where it would not fit the width, which cuts names apart."""
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
