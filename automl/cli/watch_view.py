"""One frame of `automl watch`: the best value over time, current trainings, and the latest trials."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from automl.analysis.formatting import at_resolution, duration, finite, resolution, show, shown_range, value, values
from automl.cli.terminal import ENDED, short_config
from automl.study.facts import GONE, RUNNING
from automl.study.snapshot import RunSnapshot
from automl.study.study import counts_in_words
from automl.study.trial import Trial, incumbent

MAX_LATEST = 12  # trials shown
WIDTH, HEIGHT = 60, 6  # of the plot, in characters
LEVELS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"  # eighths of a character's height


def frame(seen: RunSnapshot) -> Group:
    """The whole frame."""
    metric, maximize = seen.objective.metric, seen.objective.maximize
    step = resolution(values(seen.study.trials.values(), metric), maximize)
    parts: list[Any] = [Text(_title(seen), style="bold"), Text(_progress(seen, metric, step))]
    course = list(_course(seen, metric))
    if len(course) > 1:
        parts += [Text(f"\n{metric}, best so far over {len(course)} trials", style="dim"), _plot(course, maximize)]
    if seen.is_running and seen.trainings:
        parts += [Text(""), _trainings(seen)]
    parts += [Text(""), _latest(seen, metric, step)]
    return Group(*parts)


def _title(seen: RunSnapshot) -> str:
    settings = seen.settings
    what = settings.get("task") or settings.get("command") or "run"
    return f"{what} with {settings.get('strategy')}, seed {settings.get('seed')}, in {seen.where}: {_state(seen)}"


def _state(seen: RunSnapshot) -> str:
    if seen.stop_reason == RUNNING:
        return RUNNING
    if seen.stop_reason != GONE:
        return f"ended, {seen.stop_reason}"
    if seen.folder is None:
        return "stopped without ending; continue with --resume"
    if seen.settings.get("from_python"):
        return f"stopped without ending; continue with automl.tune(..., study={seen.folder!r}, resume=True)"
    return f"stopped without ending; continue with --resume --out {shlex.quote(seen.folder)}"


def _progress(seen: RunSnapshot, metric: str, step: float | None) -> str:
    study = seen.study
    counts = study.counts
    words = [counts_in_words({state: counts[state] for state in ENDED}, study.n_too_slow)]
    best = study.best
    reached = None if best is None else _shown(finite(best.mean(metric)), step)
    words.append("no finished trial yet" if best is None else f"best {metric} {reached} (trial {best.number})")
    if best is not None:
        words.append(short_config(best.config))
    return "   ".join([*words[:-1], _time(seen)]) + (f"\n{words[-1]}" if best is not None else f"   {words[-1]}")


def _time(seen: RunSnapshot) -> str:
    """The time elapsed, and an estimate of the time left at the pace so far."""
    study = seen.study
    elapsed = study.clock
    if not seen.is_running:
        return f"{duration(elapsed)} in total"
    done = sum(trial.fidelity for trial in study.trials.values() if trial.state != "running")
    under_way = sum(len(training.losses) for training in seen.trainings)
    n_trials, limit = seen.settings.get("n_trials"), seen.settings.get("time_limit")
    lefts = [] if limit is None else [max(0.0, limit - elapsed)]
    if done and n_trials:
        lefts.append(elapsed / done * max(0, n_trials * study.max_epochs - done - under_way))
    if not done or not lefts:
        return f"{duration(elapsed)} elapsed"
    left = min(lefts)
    return f"{duration(elapsed)} elapsed, about {duration(left)} left"


def _course(seen: RunSnapshot, metric: str) -> Iterator[float]:
    """The incumbent's value after each finished trial, in order of finishing."""
    best: Trial | None = None
    ended = [trial for trial in seen.study.trials.values() if trial.at is not None]
    for trial in sorted(ended, key=lambda trial: trial.at or 0.0):
        best = incumbent([trial] if best is None else [best, trial]) or best
        reached = None if best is None else finite(best.mean(metric))
        if reached is not None:
            yield reached


def _plot(course: list[float], maximize: bool) -> Text:
    """A bar chart with a resolution of an eighth of a line; each bar is one trial or several."""
    low, high = shown_range(course, maximize)
    labels = {HEIGHT // 2 - 1: show(course[0])}  # of equal bars, where they end
    if max(course) > min(course):
        above, below = ">" * (max(course) > high), "<" * (min(course) < low)
        low, high = max(low, min(course)), min(high, max(course))
        labels = {HEIGHT - 1: above + show(high), 0: below + show(low)}
    n_columns = min(WIDTH, len(course))
    columns = [course[round(i * (len(course) - 1) / max(1, n_columns - 1))] for i in range(n_columns)]
    heights = [round(8 * HEIGHT * min(1.0, max(0.02, (v - low) / (high - low)))) for v in columns]
    lines = []
    for row in reversed(range(HEIGHT)):
        lines.append(
            f"{labels.get(row, ''):>9} " + "".join(LEVELS[min(8, max(0, height - 8 * row))] for height in heights)
        )
    return Text("\n".join(lines))


def _unit(seen: RunSnapshot) -> str:
    return "epoch" if seen.settings.get("folds") is None else "fold"


def _trainings(seen: RunSnapshot) -> Table:
    table = _table("training", _unit(seen), "", "loss", "left", "config")
    for training in seen.trainings:
        trial, epochs = seen.study.trials[training.trial], len(training.losses)
        table.add_row(
            str(training.trial),
            f"{epochs}/{training.epochs}",
            ProgressBar(total=training.epochs, completed=epochs, width=12),
            show(training.losses[-1]) if training.losses else "",
            _left(training.epochs, epochs, len(trial.losses), training.since),
            Text(short_config(trial.config)),
        )
    return table


def _left(asked: int, epochs: int, before: int, since: datetime | None) -> str:
    """Estimated time left; empty for a training continued after a pause, whose start time is unknown."""
    if since is None or before or not epochs:
        return ""
    elapsed = (datetime.now() - since).total_seconds()
    return duration(max(0.0, elapsed / epochs * (asked - epochs)))


def _latest(seen: RunSnapshot, metric: str, step: float | None) -> Table:
    trials = [trial for trial in seen.study.trials.values() if trial.at is not None]
    table = _table("trial", "state", f"{_unit(seen)}s", metric, "at", "config")
    for trial in sorted(trials, key=lambda trial: trial.at or 0.0)[-MAX_LATEST:]:
        reached = trial.error.splitlines()[0] if trial.error else _shown(value(trial, metric), step)
        style = "bold" if trial is seen.study.best else ""
        row = (trial.number, trial.state, trial.epochs, reached[:24], duration(trial.at or 0.0))
        table.add_row(*(Text(str(cell)) for cell in row), Text(short_config(trial.config)), style=style)
    return table


def _table(*columns: str) -> Table:
    """A table whose last column takes the remaining width."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=1 if column == columns[-1] else None)
    return table


def _shown(reached: float | None, step: float | None) -> str:
    return "-" if reached is None else at_resolution(reached, step)
