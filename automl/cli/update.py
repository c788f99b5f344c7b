"""Update a run's model with new data: ``automl update RUN --data new.csv``; without data, list its versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.continual import N_SEARCH, TOLERANCE
from automl.errors import UserError, writes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.table import Table

    from automl.analysis.versions import VersionTable
    from automl.continual.versions import Versions

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
MAX_NAME_LENGTH = 15  # characters of a file's name that is kept in one line on a narrow terminal


@app.command()
def update(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run on your own data.")],
    data: Annotated[Path | None, typer.Option(help="New labelled data, in the format of the run's data.")] = None,
    search: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="New configs to train, besides the current one; not for a run by the default plan.",
            show_default=str(N_SEARCH),
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Allowed degradation on old data, as a fraction of the metric's scale.",
            show_default=str(TOLERANCE),
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trainings in parallel. [default: one per core]")] = None,
    rollback: Annotated[int | None, typer.Option(metavar="VERSION", help="Use this version again.")] = None,
) -> None:
    """Score the model on new data, test for drift, fine-tune, and promote the new model only if it is better."""
    from automl.cli.console import literal_console
    from automl.cli.terminal import show_line
    from automl.continual.versions import Versions
    from automl.study.run_folder import RunFolder

    folder, console = RunFolder(run), literal_console()
    several = folder.targets.is_dir()
    if not folder.has_run and not several:
        raise folder.no_run()
    whole = folder.of_all_targets
    if whole is not None and (data is not None or rollback is not None):
        raise UserError(f"{str(run)!r} is a part of the run on several targets in {str(whole.path)!r}; update that one")
    if whole is None and not (several or folder.model.is_dir() or folder.versions.is_dir()):
        from automl.deployment.predictor import model_folder

        model_folder(run)  # UserError if there is none
    if data is not None and rollback is not None:
        raise UserError("--data and --rollback exclude each other: give one of them")
    for option, value in {"--search": search, "--tolerance": tolerance, "--workers": workers}.items():
        if data is None and value is not None:
            raise UserError(f"{option} is about an update, which needs new data: give --data too")
    if data is not None:
        from automl.continual.new_data import TooFewNewExamples
        from automl.continual.several_targets import update_all
        from automl.continual.update import UpdateOptions
        from automl.continual.update import update as update_one
        from automl.runs.settings import default_workers

        allowed = TOLERANCE if tolerance is None else tolerance
        effort = UpdateOptions(search, allowed, n_workers=workers or default_workers("cpu"))
        bring_up_to_date = update_all if several else update_one
        try:
            with writes(run):
                bring_up_to_date(folder, data, effort, say=lambda line: show_line(console, line))
        except TooFewNewExamples as reason:  # not an error: most nightly updates find no new data
            show_line(console, str(reason))
            return
    versions = Versions(folder)
    if rollback is not None:
        _roll_back(console, versions, rollback)
    try:
        _show(console, run)
        for line in _despite_the_test(versions):
            show_line(console, line)
    except UserError as error:  # a rollback does not need the facts of other versions
        if rollback is None:
            raise
        show_line(console, f"the versions cannot be listed: {error}")
    if data is not None or rollback is not None:
        _rewrite_reports(console, run)


def _roll_back(console: Console, versions: Versions, number: int) -> None:
    """Make a version the current one."""
    from automl.cli.terminal import show_line

    folder = versions.folder
    with folder.locked(), writes(folder.path):
        versions.recover()
        known = versions.current == number
        if not known:
            versions.use(number)
    show_line(console, f"version {number} is {'already' if known else 'now'} in use")


def _rewrite_reports(console: Console, run: Path) -> None:
    """Rewrite the report, or that of each target, for the current version; the update is complete without it."""
    from automl.cli.terminal import show_line
    from automl.cli.which_run import locations, rewrite_overview, rewrite_report

    try:
        for at in locations(str(run), None):
            rewrite_report(at)
        rewrite_overview(str(run))
    except (OSError, UserError) as error:
        show_line(console, f"the report is that of an earlier version, as it cannot be written: {error}")


def _show(console: Console, run: Path) -> None:
    """Print the versions and the baseline with their scores on the same rows, for each target."""
    from automl.analysis.versions import version_table
    from automl.cli.terminal import show_line
    from automl.cli.which_run import history_of, locations
    from automl.study.snapshot import read_run

    found = list(locations(str(run), None))
    for at in found:
        summary = read_run(at)[1]
        versions = version_table(history_of(at), summary)
        if versions is None:
            show_line(console, "version 1, made by the run, is the only one")
            return
        title = "versions of the model" + (f" of {summary['settings']['data']['target']}" if len(found) > 1 else "")
        console.print(_table(title, versions))
        if not any(row.in_use for row in versions.rows):
            show_line(console, versions.lead)


def _table(title: str, versions: VersionTable) -> Table:
    """The rows of a report's table, without its empty columns and the reasons for promotions."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells = {
        "version": [row.name.removeprefix("version ") + " in use" * row.in_use for row in versions.rows],
        "date": [row.date for row in versions.rows],
        "data": [row.data for row in versions.rows],
        "rows": [row.rows for row in versions.rows],
        **{side: [row.scores[i] for row in versions.rows] for i, side in enumerate(versions.sides)},
        "result": [row.made.partition(":")[0] for row in versions.rows],
    }
    shown = {name: column for name, column in cells.items() if any(column)}
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name, column in shown.items():
        whole = name in ("version", "date", "data") and max(map(len, column)) <= MAX_NAME_LENGTH
        table.add_column(Text(name), overflow="fold", no_wrap=whole)
        if name in versions.sides:
            table.columns[-1].justify = "right"
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def _facts(versions: Versions, number: int) -> dict[str, dict[str, Any]]:
    """The content of update.json by target ("" for a single one); empty for the run itself."""
    facts = versions.facts(number)
    found: dict[str, dict[str, Any]] = facts.get("targets") or ({"": facts} if facts else {})
    return found


def _despite_the_test(versions: Versions) -> Iterator[str]:
    """A note that validation data decided, if they refused the latest version but it is better on new test data."""
    from automl.metrics import loss_of

    number = versions.numbers[-1]
    for target, facts in _facts(versions, number).items():
        if facts["promoted"] or facts["gain_on_new"] > 0 or None in facts["test"].get("new", {"in_use": None}).values():
            continue  # as already reported, the gain was too uncertain, or outweighed by a loss on old data
        before, after = (loss_of(facts["metric"], facts["test"]["new"][each]) for each in ("in_use", "candidate"))
        if after < before:
            which = f"version {number} of {target}" if target else f"version {number}"
            yield f"{which} is better on the new test set, but validation data decide, and it was not better there"
