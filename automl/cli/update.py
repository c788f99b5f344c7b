"""Update a run's model with new data: ``automl update RUN --data new.csv``; without data, list its versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.continual import SEARCHED, TOLERANCE
from automl.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from automl.continual.versions import Versions
    from automl.study.run_folder import RunFolder

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def update(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run on your own data.")],
    data: Annotated[Path | None, typer.Option(help="New labelled data, in the format of the run's data.")] = None,
    search: Annotated[
        int, typer.Option(min=0, help="New configs to train, in addition to the current one.")
    ] = SEARCHED,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Allowed loss on old data, as a fraction of the metric's scale.")
    ] = TOLERANCE,
    workers: Annotated[int | None, typer.Option(min=1, help="Trainings in parallel. [default: one per core]")] = None,
    rollback: Annotated[
        int | None, typer.Option(metavar="VERSION", help="Make this version the current one again.")
    ] = None,
) -> None:
    """Score the model on new data, test for drift, fine-tune, and promote the new model only if it is better."""
    from rich.console import Console

    from automl.cli.terminal import show_line
    from automl.continual.versions import Versions
    from automl.study.run_folder import RunFolder

    folder, console = RunFolder(run), Console()
    if not folder.has_run:
        raise UserError(f"there is no run in {str(run)!r}: it has no study.db")
    if data is not None and rollback is not None:
        raise UserError("--data and --rollback exclude each other: give one of them")
    if data is not None:
        from automl.continual.update import update as bring_up_to_date
        from automl.runs.settings import default_workers

        bring_up_to_date(
            folder,
            data,
            n_search=search,
            tolerance=tolerance,
            n_workers=workers or default_workers("cpu"),
            say=lambda line: show_line(console, line),
        )
    versions = Versions(folder)
    if rollback is not None:
        with folder.locked():
            known = versions.current == rollback
            if not known:
                versions.use(rollback)
        show_line(console, f"version {rollback} is {'already' if known else 'now'} in use")
    _show(console, versions)
    for line in _despite_the_test(versions):
        show_line(console, line)
    if data is not None or rollback is not None:
        _rewrite_report(console, folder, versions)


def _rewrite_report(console: Console, folder: RunFolder, versions: Versions) -> None:
    """Let the report tell of the current version; without it, the update is complete nevertheless."""
    from automl.analysis.report import write_report
    from automl.cli.terminal import show_line
    from automl.study.snapshot import read_run

    try:
        study, summary = read_run(folder.path)
        write_report(folder.report, study, summary, history=versions.history)
    except (OSError, UserError) as error:
        show_line(console, f"the report is that of an earlier version, as it cannot be written: {error}")


def _show(console: Console, versions: Versions) -> None:
    """Print one row per version: its origin and its scores."""
    from rich.table import Table

    table = Table(title="versions: scores before and after, on the new and the old test set", title_justify="left")
    for name in ("version", "date", "data", "made", "epochs", "on new", "on old"):
        table.add_column(name, overflow="fold")
    current = versions.current
    for number in versions.numbers:
        facts = versions.facts(number)
        version = f"{number} in use" if number == current else str(number)
        if not facts:
            table.add_row(version, "", "", "by the run", "", "", "")
            continue
        made = facts["chosen"]["what"] if facts["promoted"] else "refused"
        epochs = "" if facts["epochs"] is None else f"{facts['epochs']:g}"
        sides = [_pair(facts["test"][side]) if side in facts["test"] else "" for side in ("new", "old")]
        table.add_row(version, facts["started"][5:10], Path(facts["data"]).name, made, epochs, *sides)
    console.print(table)


def _despite_the_test(versions: Versions) -> Iterator[str]:
    """That validation data decided, where the latest version was refused and is better on new test data."""
    from automl.metrics import loss_of

    number = versions.numbers[-1]
    facts = versions.facts(number)
    if not facts or facts["promoted"]:
        return
    before, after = (loss_of(facts["metric"], facts["test"]["new"][which]) for which in ("in_use", "candidate"))
    if after < before:
        yield f"version {number} is better on the new test set, which decides nothing: validation data refused it"


def _pair(scores: dict[str, Any]) -> str:
    return f"{scores['in_use']:.3g} {scores['candidate']:.3g}"
