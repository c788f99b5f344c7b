"""What commands show in the terminal: lines, and the tables at the end of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from automl.analysis.ensembles import baseline_in_words, best_alone, members
from automl.analysis.formatting import chosen, duration, has_folds, often, scored_on, show, too_short
from automl.analysis.sentences import beaten_in_words, contenders_in_words, described_model, kept_in_words
from automl.cli.console import literal_console
from automl.study.study import counts_in_words
from automl.study.trial import State
from automl.tuning.progress import Values
from automl.wording import grouped, significant

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder

OTHERS_GO_ON = "other processes continue the run"
ENDED: tuple[State, ...] = ("complete", "paused", "stopped", "failed")


def short_config(config: Mapping[str, Any]) -> str:
    """A config in one line."""
    return " ".join(f"{name}={format_value(value)}" for name, value in config.items())


def format_value(value: Any) -> str:
    """A hyperparameter's value; a dash for an inactive one."""
    if value is None:
        return "-"
    return significant(value) if isinstance(value, float) else str(value)


def show_summary(
    console: Console, summary: Mapping[str, Any], default: Mapping[str, Any], shown: Values | None = None
) -> None:
    """Print the end of a run: the best hyperparameters next to the defaults, the final scores, and the time spent.

    ``shown``: formats the values of the metric.
    """
    shown = shown or Values()
    counts: dict[State, int] = {state: summary[f"n_{state}"] for state in ENDED}
    counts["running"] = summary["n_unfinished"]
    budget = "" if summary["budget_epochs"] is None else f" of {summary['budget_epochs']}"
    folds = has_folds(summary)
    n = summary["epochs_trained"] if summary["budget_epochs"] is None else summary["budget_epochs"]
    what = ("fold" if folds else "epoch") + "s" * (n != 1)
    reason = summary["stop_reason"]
    if reason == "budget spent" and summary["epochs_trained"] < n:
        reason += f"; {'failed trials' if counts['failed'] else 'trainings that ended on their own'} count in full"
    show_line(
        console,
        f"{counts_in_words(counts, summary['n_too_slow'], ended=True)}, {summary['epochs_trained']}{budget} {what} "
        f"({reason})",
    )
    _show_time(console, summary["time"])
    if summary["best"] is None:
        reasons = "the reasons are in trials.csv and report.html" if counts["failed"] else "none was finished"
        console.print(Text.assemble(("no trial has succeeded", "bold"), f"; {reasons}"), soft_wrap=True)
        return
    best = chosen(summary)
    which = "best" if not folds or best["trial"] == summary["best"]["trial"] else "kept"
    alone = best_alone(summary)
    title = f"{which} hyperparameters" if alone is None else alone
    console.print(f"{title} (trial {best['trial']})", style="bold", soft_wrap=True)
    table = Table()
    table.add_column("hyperparameter", overflow="fold")  # so that a long name leaves room for the values
    for column in (which, "default"):
        table.add_column(column, justify="right", overflow="fold")
    # With folds, the default is of another family.
    for name in best["config"] if folds else dict.fromkeys([*default, *best["config"]]):
        value, usual = best["config"].get(name), default.get(name)
        table.add_row(
            Text(name), Text(format_value(value), style="" if value == usual else "bold"), Text(format_value(usual))
        )
    console.print(table)
    reached = shown.show(best["metrics"].get(summary["metric"], best["loss"]))
    before = summary["default"]
    compared = ""
    short = too_short(summary)
    if short is not None:
        compared = f"; {short}"
    elif before is not None:
        compared = f", default {shown.show(before['metrics'].get(summary['metric'], before['loss']))}"
    what = f"validation {summary['metric']} in the search"
    if folds:
        what = f"{summary['metric']} {scored_on(summary['max_epochs'])}"
    show_line(console, f"{what}: {reached}{often(best)}{compared}")
    if summary["final"] is not None:
        _show_final(console, summary["final"], shown)
        sentences = contenders_in_words(summary), kept_in_words(summary), beaten_in_words(summary)
        for sentence in filter(None, sentences):
            show_line(console, sentence)
    if summary["model"] is not None:
        if folds:
            _show_members(console, summary["model"], summary["max_epochs"], shown)
        show_line(console, described_model(summary["model"]))
        if folds:
            notes = baseline_in_words(summary["model"], shown.show), beaten_in_words(summary)
            for sentence in filter(None, notes):
                show_line(console, sentence)


def _show_time(console: Console, stages: Mapping[str, float]) -> None:
    taken = {stage: seconds for stage, seconds in stages.items() if seconds >= 0.05 or stage == "total"}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("time", style="dim")
    for stage in taken:
        table.add_column(stage, justify="right", no_wrap=True)
    table.add_row("", *map(duration, taken.values()))
    console.print(table)


def _show_final(console: Console, final: Mapping[str, Any], shown: Values) -> None:
    n = len(final["seeds"])
    split = final["split"] if final["split"] == "test" else "validation (there is no test set)"
    trainings = "1 training with a fresh seed" if n == 1 else f"{n} trainings with fresh seeds"
    console.print(f"{final['metric']} on {split}, {trainings}", style="bold", soft_wrap=True)
    table = Table()
    table.add_column("config", no_wrap=True)
    for i in range(n):
        table.add_column(f"seed {i + 1}", justify="right")
    table.add_column("mean", justify="right")
    if final["split"] == "test":
        table.add_column("gap to own validation", justify="right")
    for role in ("chosen", "default"):
        scores = final[role]
        cells = ["failed" if score is None else shown.show(score) for score in scores]
        if role in final["any_seed"]:
            cells += ["the same"] * (n - 1)
        row = [role, *cells, shown.show(_mean(scores))]
        if final["split"] == "test":
            gaps = zip(scores, final[f"{role}_validation"], strict=True)
            gap = _mean([None if t is None or v is None else t - v for t, v in gaps])
            row.append("-" if gap is None else f"{'+' if gap >= 0 else ''}{grouped(gap, _n_decimals(row[-1]))}")
        table.add_row(*row)
    console.print(table)
    baseline = final["baseline"]
    if baseline is not None:
        reached = baseline.get("error")
        if reached is None:
            reached = f"{final['metric']} {shown.show(baseline['score'])} ({duration(baseline['seconds'])})"
        show_line(
            console, f"baseline, {baseline['name']}: {reached}" if "name" in baseline else f"no baseline: {reached}"
        )
    others = {name: of for name, of in final["others"].items() if len(of) == 2}
    if "log_loss" in others:
        others.pop("cross_entropy", None)  # the same metric under another name
    if others:
        pairs = (f"{name} {show(of['chosen'])} ({show(of['default'])})" for name, of in others.items())
        show_line(console, f"also on {final['split']}, with the default in brackets: {', '.join(pairs)}")
    for error in dict.fromkeys(final["errors"]):
        console.print(f"a training of the final failed: {error}", markup=False)


def _show_members(console: Console, card: Mapping[str, Any], n_folds: int, shown: Values) -> None:
    table = Table()
    for column in ("member", "trial", "weight", f"{card['metric']} {scored_on(n_folds)}"):
        table.add_column(column, justify="left" if column == "member" else "right")
    for row in members(card):
        table.add_row(row.family, str(row.trial), f"{row.weight:.0%}", shown.show(row.score))
    console.print(table)


def _n_decimals(shown: str) -> int:
    """The decimals of a formatted number; 4 if it is not a number."""
    return len(shown.partition(".")[2]) if re.fullmatch(r"-?[\d,.]+", shown) else 4


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def show_line(console: Console, text: str) -> None:
    """Print a line as it is, without markup and without wrapping."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def show_names() -> None:
    """Print the strategies and the tasks."""
    from automl.tasks.registry import TASKS
    from strategies import STRATEGIES, WRAPPERS

    for title, rows in (
        ("strategy", {name: line for name, (_, line) in STRATEGIES.items()}),
        ("early stopping, as in bo+asha", {name: line for name, (_, line) in WRAPPERS.items()}),
        ("task", {name: line for name, (line, _) in TASKS.items()}),
    ):
        table = Table(box=None, padding=(0, 2))
        table.add_column(title)
        table.add_column("")
        for name, line in rows.items():
            table.add_row(name, line)
        literal_console().print(table)


def show_paths(console: Console, folder: RunFolder, *, resume_hint: str | None) -> None:
    """Print where the files of a run are. ``resume_hint``: how to continue an interrupted run."""
    files = {
        "report": folder.report,
        "model": folder.model,
        "best config": folder.best,
        "trials": folder.trials_csv,
        "summary": folder.summary,
        "study": folder.study,
    }
    for label, file in files.items():
        if file.exists():
            show_line(console, f"{label:12s} {file}")
    if resume_hint is not None:
        show_line(console, f"interrupted; {resume_hint}")
