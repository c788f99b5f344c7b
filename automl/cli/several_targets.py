"""Several numeric targets, `--target a,b`: the plan for each target, and one joint model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.analysis.formatting import at_resolution
from automl.cli.pipeline import new_folder
from automl.cli.terminal import show_line
from automl.cli.which_run import rewrite_overview
from automl.deployment.model_card import CARD
from automl.errors import UserError
from automl.metrics import check_metric
from automl.runs.run_files import write_summary
from automl.runs.settings import BEYOND_DEFAULT_PLAN, DEFAULT_SECONDS, Settings
from automl.study.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console

    from automl.data.ingest.request import Request
    from automl.runs.time_plan import Clock

Run = Callable[["Request", Settings, Path], tuple[RunFolder, int]]


def names_of(request: Request | None) -> tuple[str, ...]:
    """The targets if several are given, separated by commas; empty if there is a column of that name."""
    if request is None or "," not in (request.target or "") or not request.path.is_file():
        return ()
    from automl.data.ingest.read_table import column_names
    from automl.data.ingest.request import column

    assert request.target is not None
    columns = column_names(request.path)
    if request.target in columns:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in request.target.split(",") if name.strip()))
    return tuple(column(name, columns, "--target") for name in names)


def run_each(
    names: tuple[str, ...],
    request: Request,
    asked: Settings,
    out: Path | None,
    run: Run,
    console: Console,
    clock: Clock,
) -> tuple[RunFolder, int]:
    """Run the plan for each target within its share of the time, and join the models.

    ``run``: one run, into a folder. ``clock``: of the command.
    """
    from automl.deployment.several_targets import folder_names, join

    given = asked.options_given([*BEYOND_DEFAULT_PLAN, "track", "machines"])
    if request.quantiles:
        given.append("--quantiles")
    if request.target_kind == "classes":
        given.append("--kind classification")
    if given:
        raise UserError(f"several targets are predicted as numbers, by the default plan: leave {', '.join(given)} out")
    if asked.metric is not None:
        check_metric(asked.metric, "number")
    folder = RunFolder(out or new_folder("-".join([request.path.stem, *names])))
    folder.check_is_free()
    _check_are_numbers(names, request.path)
    places, limit = folder_names(names), asked.time_limit or DEFAULT_SECONDS
    made: dict[str, Path] = {}
    latency = None if asked.max_latency is None else asked.max_latency / len(names)
    if latency is not None:
        show_line(console, f"--max-latency {asked.max_latency:g} for a row is {latency:g} for each of the targets")
    for i, name in enumerate(names):
        seconds = max(1.0, round((limit - clock.seconds) / (len(names) - i), 1))
        show_line(console, f"target {name!r}, {i + 1} of {len(names)}, within {seconds:.0f} s")
        kind = ",".join(dict.fromkeys([*request.kind_words, "regression"]))
        part = replace(request, target=name, others=[other for other in names if other != name], kind=kind)
        within = replace(asked, data=asdict(part), time_limit=seconds, max_latency=latency)
        run_folder, exit_code = run(part, within, folder.targets / places[name])
        if exit_code or not run_folder.model.is_dir():
            show_line(console, f"no model of all targets is written; the runs on some are in {folder.targets}")
            return folder, exit_code or 1
        made[name] = run_folder.model
    card = join(made, folder.model)
    cards = {name: json.loads((model / CARD).read_text(encoding="utf-8")) for name, model in made.items()}
    summary = {"targets": cards, **{name: card[name] for name in ("metric", "validation", "test")}}
    write_summary(folder.summary, summary)
    rewrite_overview(str(folder.path))
    _show(console, summary)
    show_line(console, f"report       {folder.report}")
    show_line(console, f"model        {folder.model}")
    show_line(console, f"runs         {folder.targets}")
    return folder, 0


def _check_are_numbers(names: Sequence[str], path: Path) -> None:
    """UserError if a target is not numeric, before any is trained."""
    from automl.data.ingest.read_table import read_table
    from automl.data.ingest.target import numbers

    frame = read_table(path, columns=names).frame
    for name in names:
        try:
            numbers(frame[name], name, None)
        except UserError as error:
            reason = str(error).partition(";")[0]
            raise UserError(f"{reason}; several targets must all be numbers: leave {name!r} out") from None


def _show(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the scores of each target, and their means unless they are in the units of the targets."""
    from rich.table import Table

    from automl.deployment.several_targets import score_rows

    table = Table()
    table.add_column("target")
    table.add_column(f"{summary['metric']} on validation", justify="right")
    for metric in summary["test"]:
        table.add_column(f"{metric} on test", justify="right")
    for name, scores in score_rows(summary, summary["targets"]):
        if scores.count(None) < len(scores):
            table.add_row(name, *("" if score is None else at_resolution(score, None) for score in scores))
    console.print(table)
