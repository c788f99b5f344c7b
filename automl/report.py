"""The report of one run: a single HTML file that opens offline.

``python -m automl.report RUN_FOLDER`` writes it anew from the run's study and summary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from automl import figures, slices
from automl.errors import UserError
from automl.explanation import TOGETHER, Explanation, explain, verdict
from automl.findings import compare_configs, described_model, facts, final_rows, headline
from automl.folders import RunFolder
from automl.outputs import write_aside
from automl.readable import chosen, described, inert, ordered, picked
from automl.space import load_space
from automl.store import Store, sqlite_url
from automl.study import Study


def write_report(file: Path, study: Study, summary: Mapping[str, Any], told: Explanation | None = None) -> None:
    """Write the report of a run. ``summary`` is what summary.json holds; ``told``, what mattered, where it is known."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    told = explain(study, summary) if told is None else told
    sliced = slices.by_hyperparameter(study, summary, told.effects, told.compared)
    search = figures.search_curve(study, summary)
    drawn = {"search": search, "curves": figures.learning_curves(study, summary)}
    drawn |= {f"slice-{i}": figure for i, figure in enumerate(sliced.values())}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("automl"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        headline=headline(study, summary),
        summary=summary,
        figures=drawn,
        n_open=sum(t.loss is not None and t.epochs < study.max_epochs for t in study.trials.values()),
        beyond=any(trace["name"] == figures.BEYOND for trace in search["data"]),
        slices={name: sum(name in t.config for t in study.trials.values()) for name in sliced},
        hyperparameters=compare_configs(study, summary),
        final=final_rows(summary),
        chosen=None if summary["best"] is None else chosen(summary),
        picked=picked(summary["final"]),
        model=described_model(summary["model"]) if summary.get("model") else None,
        told=told,
        verdict=verdict,
        pairs=[pair for pair in told.importances.pairs if pair.share.low > TOGETHER] if told.importances else [],
        failures=[trial for trial in ordered(study) if trial.state == "failed"],
        described=described,
        facts=facts(study, summary),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # the library's own text
    )
    write_aside(file, page)


def read_run(folder: Path) -> tuple[Study, dict[str, Any]]:
    """The study and the summary that lie in a run's folder. UserError where they do not."""
    run = RunFolder(folder)
    if not run.study.exists():
        raise UserError(f"there is no run in {str(folder)!r}: it has no study.db")
    try:
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"the run in {str(folder)!r} has no summary.json yet; finish it with --resume") from None
    except ValueError as error:
        raise UserError(f"{str(run.summary)!r} is not JSON: {error}") from None
    url = sqlite_url(run.study)
    settings = Store.settings(url)
    if not isinstance(settings.get("space"), dict):
        raise UserError(f"the space of the run in {str(folder)!r} has no short form, so it cannot be read from there")
    space = load_space(settings["space"])
    return Study(space, settings["max_epochs"] or 1, Store.open(url, space)), summary


# --- the command --------------------------------------------------------------------------------------------------


def save_png(file: Path, study: Study, summary: Mapping[str, Any]) -> None:
    """Save the search curve as a picture. UserError where what it takes is not installed."""
    import plotly.graph_objects as go

    figure = figures.search_curve(study, summary)
    del figure["layout"]["updatemenus"]  # buttons are of no use in a picture
    figure["layout"]["title"] = {"text": inert(headline(study, summary)["title"]), "x": 0.04}
    if find_spec("kaleido") is None:
        raise UserError("a PNG needs the package kaleido; install it with: pip install kaleido")
    from kaleido.errors import BrowserFailedError  # type: ignore[import-untyped,unused-ignore]

    try:
        picture = go.Figure(figure).to_image(format="png", width=1000, height=600, scale=2)
    except (RuntimeError, BrowserFailedError) as error:
        if "chrome" not in str(error).lower() and not isinstance(error, BrowserFailedError):
            raise
        raise UserError(
            "a PNG needs Chrome or Chromium, and none starts; install one with: plotly_get_chrome"
        ) from None
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise UserError(f"cannot write {str(file)!r}: {error.strerror}") from None


def main(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The folder of a finished run.")],
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Also save the search curve as a PNG.")] = None,
) -> None:
    """Write report.html in a run's folder anew."""
    try:
        study, summary = read_run(folder)
        report = RunFolder(folder).report
        write_report(report, study, summary)
        typer.echo(str(report))
        if png is not None:
            save_png(png, study, summary)
            typer.echo(str(png))
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
