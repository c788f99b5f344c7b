"""The report of a run on several targets: an overview that links to the report of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from automl.analysis.ensembles import baseline_in_words, not_better_than_baseline
from automl.analysis.formatting import as_heading, show
from automl.analysis.report import environment
from automl.metrics import METRICS
from automl.study.run_folder import write_atomic


def write_targets_report(
    file: Path, joint: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]], reports: Mapping[str, str]
) -> None:
    """Write the overview.

    ``joint``: the card of the joint model, with mean scores. ``cards``: the card of each target's model. ``reports``:
    the report of each target, relative to the overview.
    """
    metric = joint["metric"]
    on_test = metric in joint["test"]

    def reached(card: Mapping[str, Any]) -> str:
        return show(card["test"][metric] if on_test else card["validation"])

    lead = f"Mean {metric} {reached(joint)}"
    if METRICS[metric].has_unit:
        lead = f"{as_heading(metric)} " + ", ".join(f"{reached(card)} of {name}" for name, card in cards.items())
    doubts = {name: not_better_than_baseline(card) for name, card in cards.items()}
    page = (
        environment()
        .get_template("targets.html")
        .render(
            title=f"{joint['task']}: {len(cards)} targets",
            lead=f"{lead} on {'test' if on_test else 'validation'}",
            doubts=[f"{name}: {doubt}" for name, doubt in doubts.items() if doubt],
            metric=metric,
            scores=list(joint["test"]),
            rows=[
                {
                    "name": name,
                    "model": card["said"],
                    "validation": card["validation"],
                    "test": [card["test"][score] for score in joint["test"]],
                    "baseline": baseline_in_words(card),
                    "report": quote(reports[name]),
                }
                for name, card in cards.items()
            ],
            mean=joint,
            show=lambda value: "-" if value is None else show(value),
            metrics=METRICS,
        )
    )
    write_atomic(file, page)
