"""The part of a report about the versions of an updated model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.analysis.formatting import show


@dataclass(frozen=True)
class VersionRow:
    """A version, or the baseline."""

    name: str
    made: str
    scores: tuple[str, ...]  # on the parts of the test set
    date: str = ""
    data: str = ""
    rows: str = ""
    in_use: bool = False


@dataclass(frozen=True)
class VersionTable:
    """The versions of a model, with their scores on the same rows."""

    lead: str
    notes: Sequence[str]
    sides: Sequence[str]  # the parts of the test set
    rows: Sequence[VersionRow]


def version_table(history: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> VersionTable | None:
    """The versions and the baseline; None for a model that was not updated.

    ``history``: the content of each version's update.json, empty for the run's own, with ``number`` and ``in_use``.
    """
    if not history:
        return None
    latest = history[-1]
    scores, n_test = latest.get("scores", {}), latest.get("n_test", {})  # missing in older updates
    metric = latest.get("metric", summary["metric"])  # another one than the run's if that was undefined
    sides = [side for side in ("new", "old") if n_test.get(side)]

    def shown(found: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple("-" if found.get(side) is None else show(found[side]) for side in sides)

    rows = [_row(facts, summary, shown(scores.get(str(facts["number"]), {}))) for facts in history]
    if "baseline" in latest:
        name = latest["baseline"]["name"]
        rows.append(VersionRow("baseline", f"{name}, no model", shown(latest["baseline"])))
    return VersionTable(
        _lead(history, rows, metric, n_test),
        latest.get("notes", []),
        [f"{metric} on {n_test[side]:,} {'new' if side == 'new' else 'earlier'} test rows" for side in sides],
        rows,
    )


def _row(facts: Mapping[str, Any], summary: Mapping[str, Any], scores: tuple[str, ...]) -> VersionRow:
    name, in_use = f"version {facts['number']}", facts["in_use"]
    if "started" not in facts:
        data = (summary.get("settings") or {}).get("data") or {}
        sizes = (summary.get("model") or {}).get("data") or {}
        n = sum(sizes[part] for part in ("train", "valid", "test")) if sizes else 0
        return VersionRow(
            name, "by the run", scores, str(summary["started"] or "")[:10], Path(data.get("data", "")).name,
            f"{n:,}" if n else "", in_use,
        )  # fmt: skip
    made = f"{'promoted' if facts['promoted'] else 'refused'}: {facts['why']}"
    new, total = sum(facts["rows"].values()), sum(facts.get("rows_in_all", {}).values())
    n_rows = f"{total:,}, {new:,} of them new" if total else f"{new:,} new"
    return VersionRow(name, made, scores, facts["started"][:10], Path(facts["data"]).name, n_rows, in_use)


def _lead(
    history: Sequence[Mapping[str, Any]], rows: Sequence[VersionRow], metric: str, n_test: Mapping[str, int]
) -> str:
    """Which version is in use, and how it compares on the newest rows with the latest other one and the baseline."""
    used = next((facts for facts in history if facts["in_use"]), None)
    if used is None:
        return "the folder of the version in use is missing: copy it back, or use an earlier version with --rollback"
    row = next(row for row in rows if row.in_use)
    origin = f"made by the update of {row.date}" if used["number"] > 1 else "made by the run"
    lead = f"Version {used['number']} of the model is in use, {origin}"
    if not row.scores or row.scores[0] == "-":
        return f"{lead}."
    others = [other for other in rows if other is not row and other.scores[0] != "-"][-2:]
    refused = {f"version {facts['number']}" for facts in history if not facts.get("promoted", True)}
    names = {row.name: f"the refused {row.name}" if row.name in refused else row.name for row in rows}
    against = [f"{other.scores[0]} of {names[other.name] if other.date else 'the baseline'}" for other in others]
    which = "new" if n_test.get("new") else "earlier"
    return f"{lead}: {metric} {row.scores[0]} on the {which} test rows, against {' and '.join(against)}."
