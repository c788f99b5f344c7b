"""The files of a finished run: trials.csv, best.yaml, summary.json. Each is written atomically."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from automl.analysis.ensembles import best_alone
from automl.analysis.formatting import chosen, often, picked
from automl.deployment.model_card import without_nan
from automl.provenance import commit, versions
from automl.study.run_folder import RunFolder, write_atomic
from automl.task import epochs_are
from automl.tuning.result import Result, trial_row
from automl.tuning.tuner import Tuner


def summarise(
    result: Result, tuner: Tuner, settings: Mapping[str, Any], final: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The content of summary.json."""
    return {
        **result.summary(),
        "task": settings["task"] or tuner.task.name,
        "why": tuner.strategy.why(epochs_are(tuner.task)),
        "findings": tuner.strategy.findings,
        "started": settings.get("started"),
        "budget_epochs": tuner.budget_epochs,
        "memory": _memory(tuner),
        "final": final,
        "settings": dict(settings),
        "versions": versions(),
        "commit": commit(),
    }


def _memory(tuner: Tuner) -> list[dict[str, Any]] | None:
    """The trainings on graphics cards: card, start and end on the run's clock, peak and total bytes; or None."""
    begin = tuner.executor.now() - tuner.seconds
    spans = [asdict(span) for span in tuner.executor.spans]
    times = [{name: round(span[name] - begin, 3) for name in ("start", "end")} for span in spans]
    return [span | time for span, time in zip(spans, times, strict=True)] or None


def write_trials(file: Path, result: Result) -> None:
    """Write trials.csv: one row per trial, with the columns of ``Result.to_frame``."""
    rows = [trial_row(trial) for trial in result.trials]
    content = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    table = csv.DictWriter(content, names, lineterminator="\n")  # pandas takes longer to import than this to write
    table.writeheader()
    table.writerows({name: "" if value != value else value for name, value in row.items()} for row in rows)
    write_atomic(file, content.getvalue())


def write_best(file: Path, summary: Mapping[str, Any]) -> None:
    """Write best.yaml: the final config, with its provenance as comments."""
    from automl.space.yaml_text import dump_yaml

    best, final = chosen(summary), summary["final"]
    found, config = f"trial {best['trial']}, loss {best['loss']:.6g}{often(best)}{picked(final)}", best["config"]
    if final is not None and final["kept"] == "default":
        found, config = f"the default, which was better in the final than {found}", final["config"]
    alone = best_alone(summary)
    if alone is not None:
        found += f"; {alone}"
    head = f"# {summary['task']}, {summary['strategy']}, seed {summary['seed']}: {found}\n"
    write_atomic(file, head + dump_yaml(dict(config)))


def write_summary(file: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json."""
    write_atomic(file, json.dumps(without_nan(summary), indent=2, allow_nan=False) + "\n")


def read_summary(folder: RunFolder) -> dict[str, Any] | None:
    """The content of summary.json; None if the file is missing or damaged."""
    try:
        content = json.loads(folder.summary.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
