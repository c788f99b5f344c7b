"""The report of one run: a single HTML file that opens offline."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.analysis import figures, slices
from automl.analysis.card_memory import memory_curve
from automl.analysis.columns import DRAWN, ColumnImportances, column_bars, reads_columns
from automl.analysis.ensembles import best_alone, members
from automl.analysis.explanation import MIN_INTERACTION, Explanation, explain, verdict
from automl.analysis.formatting import (
    chosen,
    described,
    failed_in_words,
    failure,
    has_folds,
    ordered,
    picked,
    scored_on,
    show,
)
from automl.analysis.sentences import described_model, headline
from automl.analysis.tables import compare_configs, facts, final_rows
from automl.analysis.versions import version_table
from automl.study.run_folder import write_atomic
from automl.study.study import Study

if TYPE_CHECKING:
    import jinja2


@functools.cache
def environment() -> jinja2.Environment:
    """The templates, each compiled once."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("automl.analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_report(
    file: Path,
    study: Study,
    summary: Mapping[str, Any],
    explanation: Explanation | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    columns: ColumnImportances | None = None,
) -> None:
    """Write the report of a run.

    ``summary``: the content of summary.json. ``explanation``: computed if None. ``history``: of the model, if it was
    updated; see ``version_table``. ``columns``: the importance of the columns to the model, if known.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    explanation = explain(study, summary) if explanation is None else explanation
    sliced = slices.by_hyperparameter(study, summary, explanation.effects, explanation.compared)
    pairs = explanation.importances.pairs if explanation.importances else []
    search = figures.search_curve(study, summary)
    drawn = {"search": search, "curves": figures.learning_curves(study, summary)}
    if summary.get("memory"):
        drawn["memory"] = memory_curve(summary["memory"])
    if columns is not None and columns.each:
        drawn["columns"] = column_bars(columns)
    drawn |= {f"slice-{i}": figure for i, figure in enumerate(sliced.values())}
    ended = [trial for trial in study.trials.values() if trial.state != "running"]
    page = (
        environment()
        .get_template("report.html")
        .render(
            headline=headline(study, summary),
            versions=version_table(history, summary),
            summary=summary,
            figures=drawn,
            n_open=sum(t.loss is not None and t.fidelity < study.max_epochs for t in study.trials.values()),
            beyond=any(trace["name"] == figures.OUT_OF_RANGE for trace in search["data"]),
            slices={name: sum(name in t.config for t in ended) for name in sliced},
            hyperparameters=compare_configs(study, summary),
            final=final_rows(summary),
            chosen=None if summary["best"] is None else chosen(summary),
            picked=picked(summary["final"]),
            model=described_model(summary["model"]) if summary.get("model") else None,
            folds=has_folds(summary),
            scored_on=scored_on(summary["max_epochs"]),
            members=members(summary["model"]) if has_folds(summary) and summary.get("model") else [],
            best_alone=best_alone(summary),
            columns=columns,
            reads_columns=reads_columns(summary.get("model")),
            n_drawn=DRAWN,
            show=show,
            explanation=explanation,
            verdict=verdict,
            pairs=[pair for pair in pairs if pair.share.low > MIN_INTERACTION],
            failures=[trial for trial in ordered(study) if trial.state == "failed"],
            all_too_slow=0 < summary["n_failed"] == study.n_too_slow,
            failed=failed_in_words(summary["n_failed"], study.n_too_slow, summary["n_trials"]),
            described=described,
            failure=failure,
            facts=facts(study, summary),
            plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # the library's own text  # nosec B704
        )
    )
    write_atomic(file, page)
