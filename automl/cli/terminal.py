"""What a run shows in the terminal: a live table while it goes on, and tables at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from automl.analysis.formatting import chosen, often, too_short
from automl.analysis.sentences import beaten_in_words, contenders_in_words, described_model, kept_in_words

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder
    from automl.study.trial import Trial
    from automl.tuning.tuner import Tuner


class LiveTable:
    """Trials done, best so far, the epoch of each running trial, time left. A line a trial where it is no terminal."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._n_shown = 0

    def __enter__(self) -> LiveTable:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(self._title, markup=False, soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, tuner: Tuner) -> None:
        """To be given to a Tuner as ``watch``."""
        if self._console.is_terminal:
            self._live.update(_live_table(tuner, self._title))
            return
        done = [trial for trial in tuner.study.trials.values() if trial.state not in ("running", "paused")]
        done.sort(key=lambda trial: trial.at or 0.0)
        for trial in done[self._n_shown :]:
            self._console.print(_trial_line(tuner, trial), markup=False, soft_wrap=True)
        self._n_shown = len(done)

    def note(self, text: str) -> None:
        """What is going on besides trials."""
        if self._console.is_terminal:
            self._live.update(Text(text))


def _live_table(tuner: Tuner, title: str) -> Group:
    trials = list(tuner.study.trials.values())
    counts = {state: sum(trial.state == state for trial in trials) for state in ("complete", "stopped", "failed")}
    done = sum(counts.values())
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    best = tuner.study.best
    head = Table.grid(padding=(0, 2))
    head.add_row(Text(title, style="bold"))
    incumbent = "none yet"
    if best is not None:
        incumbent = f"{tuner.task.metric} {best.mean(tuner.task.metric):.4g} (trial {best.number})"
    head.add_row(Text(f"{done} trials done{failed}   best: {incumbent}   {_time_left(tuner)}"))
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("trial", "epoch", "", tuner.task.metric, "config"):
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for number, running in sorted(tuner.running.items()):
        epochs = len(running.losses)
        shown = running.metrics.get(tuner.task.metric) or running.losses
        table.add_row(
            str(number),
            f"{epochs}/{running.proposal.epochs}",
            ProgressBar(total=running.proposal.epochs, completed=epochs, width=20),
            f"{shown[-1]:.4g}" if shown else "",
            Text(short_config(running.proposal.config)),
        )
    return Group(head, table)


def _time_left(tuner: Tuner) -> str:
    epochs = sum(trial.epochs for trial in tuner.study.trials.values() if trial.state != "running")
    epochs += sum(len(running.losses) for running in tuner.running.values())
    elapsed = tuner.seconds
    budget = tuner.budget_epochs
    left = None if epochs == 0 or budget is None else elapsed * max(0, budget - epochs) / epochs
    if tuner.time_limit is not None:
        left = min(tuner.time_limit - elapsed, np.inf if left is None else left)
    return f"{format_duration(elapsed)} gone" + (
        "" if left is None else f", about {format_duration(max(0.0, left))} left"
    )


def _trial_line(tuner: Tuner, trial: Trial) -> str:
    result = trial.error or f"{tuner.task.metric} {trial.value(tuner.task.metric):.4g}"
    best = tuner.study.best
    incumbent = "" if best is None else f"best {best.mean(tuner.task.metric):.4g}  "
    # The mean of a config's trainings is what counts, so the best may look worse after this.
    again = "" if trial.repeats is None else f"  trial {trial.repeats} once more"
    when = format_duration(trial.at or 0.0)
    return f"trial {trial.number:3d}  {trial.state:8s}  {result}  {incumbent}({when}){again}"


def short_config(config: Mapping[str, Any]) -> str:
    """A config in one line."""
    return " ".join(f"{name}={format_value(value)}" for name, value in config.items())


def format_value(value: Any) -> str:
    """A hyperparameter's value for people; an inactive one is a dash."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_duration(seconds: float) -> str:
    """Seconds for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def show_summary(console: Console, summary: Mapping[str, Any], default: Mapping[str, Any]) -> None:
    """The end of a run: the best hyperparameters beside the defaults, the final scores, and where the time went."""
    failed = f", {summary['n_failed']} failed" if summary["n_failed"] else ""
    budget = "" if summary["budget_epochs"] is None else f" of {summary['budget_epochs']}"
    console.print(
        f"{summary['n_trials']} trials{failed}, {summary['epochs_trained']}{budget} epochs in "
        f"{format_duration(summary['seconds'])} ({summary['stop_reason']}): "
        f"{summary['training_seconds']:.1f} s of training, "
        f"{summary['strategy_seconds']:.1f} s in the strategy",
        soft_wrap=True,
    )
    if summary["best"] is None:
        console.print("[bold]no trial has succeeded[/]; the reasons are in trials.csv and report.html")
        return
    best = chosen(summary)
    console.print(f"best hyperparameters (trial {best['trial']})", style="bold", soft_wrap=True)
    table = Table()
    table.add_column("hyperparameter")
    table.add_column("best", justify="right")
    table.add_column("default", justify="right")
    for name in dict.fromkeys([*default, *best["config"]]):
        value, usual = best["config"].get(name), default.get(name)
        table.add_row(
            Text(name), Text(format_value(value), style="" if value == usual else "bold"), Text(format_value(usual))
        )
    console.print(table)
    shown = best["metrics"].get(summary["metric"], best["loss"])
    before = summary["default"]
    usual = ""
    short = too_short(summary)
    if short is not None:
        usual = f"; {short}"
    elif before is not None:
        usual = f", default {before['metrics'].get(summary['metric'], before['loss']):.4f}"
    console.print(f"validation {summary['metric']} in the search: {shown:.4f}{often(best)}{usual}", soft_wrap=True)
    if summary["final"] is not None:
        _show_final(console, summary["final"])
        for said in filter(None, (contenders_in_words(summary), kept_in_words(summary), beaten_in_words(summary))):
            show_line(console, said)
    if summary["model"] is not None:
        show_line(console, described_model(summary["model"]))


def _show_final(console: Console, final: Mapping[str, Any]) -> None:
    n = len(final["seeds"])
    split = final["split"] if final["split"] == "test" else "validation (there is no test set)"
    trainings = f"{n} training{'s' * (n != 1)} with fresh seeds"
    console.print(f"{final['metric']} on {split}, {trainings}", style="bold", soft_wrap=True)
    table = Table()
    table.add_column("config")
    for i in range(n):
        table.add_column(f"seed {i + 1}", justify="right")
    table.add_column("mean", justify="right")
    if final["split"] == "test":
        table.add_column("gap to own validation", justify="right")
    for who in ("chosen", "default"):
        scores = final[who]
        shown = ["failed" if score is None else f"{score:.4f}" for score in scores]
        if who in final.get("any_seed", ()):
            shown += ["the same"] * (n - 1)
        row = [who, *shown, _mean(scores)]
        if final["split"] == "test":
            row.append(
                _mean(
                    [
                        None if t is None or v is None else t - v
                        for t, v in zip(scores, final[f"{who}_validation"], strict=True)
                    ],
                    "+",
                )
            )
        table.add_row(*row)
    console.print(table)
    baseline = final.get("baseline")
    if baseline is not None:
        told = baseline.get("error") or f"{final['metric']} {baseline['score']:.4f} ({baseline['seconds']:.1f} s)"
        show_line(console, f"baseline, {baseline['name']}: {told}" if "name" in baseline else f"no baseline: {told}")
    others = {name: of for name, of in final["others"].items() if len(of) == 2}
    if "log_loss" in others:
        others.pop("cross_entropy", None)  # the same by another name
    if others:
        told = (f"{name} {of['chosen']:.4f} ({of['default']:.4f})" for name, of in others.items())
        show_line(console, f"also on {final['split']}, of the default in brackets: {', '.join(told)}")
    for error in dict.fromkeys(final["errors"]):
        console.print(f"a training of the final failed: {error}", markup=False)


def _mean(values: list[float | None], sign: str = "") -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):{sign}.4f}" if known else "-"


def show_line(console: Console, text: str) -> None:
    """A line as it is: no markup in it, and no break where the terminal ends."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def show_names() -> None:
    """The strategies and the tasks there are."""
    from automl.tasks.registry import TASKS
    from strategies import STRATEGIES, WRAPPERS

    for title, rows in (
        ("strategy", {name: line for name, (_, line) in STRATEGIES.items()}),
        ("around one, as in bo+asha", {name: line for name, (_, line) in WRAPPERS.items()}),
        ("task", {name: line for name, (line, _) in TASKS.items()}),
    ):
        table = Table(box=None, padding=(0, 2))
        table.add_column(title)
        table.add_column("")
        for name, line in rows.items():
            table.add_row(name, line)
        Console().print(table)


def show_paths(console: Console, folder: RunFolder, *, resume_hint: bool) -> None:
    """Where the files of a run are, and how it goes on."""
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
    if resume_hint:
        show_line(console, f"interrupted; continue with --resume --out {folder.path}")
