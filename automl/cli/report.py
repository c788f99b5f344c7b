"""Rewrite the report of a run: ``automl report RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli.which_run import NAME, RUN, locations, report_of, rewrite_overview, rewrite_report
from automl.errors import UserError

if TYPE_CHECKING:
    from automl.study.study import Study

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def report(
    run: Annotated[str, RUN],
    name: Annotated[str | None, NAME] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Also save the search curve as a PNG.")] = None,
) -> None:
    """Rewrite a run's report.html from its study and summary; for a run in a database, write NAME.html here.

    For a run on several targets, rewrite the report of each and the overview.
    """
    found = list(locations(run, name))
    if png is not None and len(found) > 1:
        raise UserError(f"--png is for one run, and {run!r} has one for each target; give one: {str(found[0])!r}")
    for at in found:
        study, summary = rewrite_report(at)
        typer.echo(str(report_of(at)))
    overview = rewrite_overview(run)
    if overview is not None:
        typer.echo(str(overview))
    if png is not None:
        save_png(png, study, summary)
        typer.echo(str(png))


def save_png(file: Path, study: Study, summary: Mapping[str, Any]) -> None:
    """Save the search curve as a PNG. UserError if kaleido or Chrome is not installed."""
    import plotly.graph_objects as go

    from automl.analysis import figures
    from automl.analysis.formatting import inert
    from automl.analysis.sentences import headline

    figure = figures.search_curve(study, summary)
    del figure["layout"]["updatemenus"]  # buttons do not work in a PNG
    figure["layout"]["title"] = {"text": inert(headline(study, summary)["title"]), "x": 0.04}
    if find_spec("kaleido") is None:
        raise UserError("a PNG needs the package kaleido; install it with: pip install kaleido")
    from kaleido.errors import BrowserFailedError  # type: ignore[import-untyped,unused-ignore]

    try:
        image = go.Figure(figure).to_image(format="png", width=1000, height=600, scale=2)
    except (RuntimeError, BrowserFailedError) as error:
        if "chrome" not in str(error).lower() and not isinstance(error, BrowserFailedError):
            raise
        raise UserError(
            "a PNG needs Chrome or Chromium, and none starts; install one with: plotly_get_chrome"
        ) from None
    try:
        file.write_bytes(image)
    except OSError as error:
        raise UserError(f"cannot write {str(file)!r}: {error.strerror}") from None
