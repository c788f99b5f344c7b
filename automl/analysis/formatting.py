"""Formatting of values, names and ranges for the figures and sentences of a report."""

from __future__ import annotations

import html
import math
import re
import statistics
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.metrics import METRICS
from automl.study.contenders import paired
from automl.study.study import Study
from automl.study.trial import Trial
from automl.wording import counted, grouped, significant
from strategies.base import LARGEST_LOSS
from strategies.types import Config

NUMBER = re.compile(r"\d[\d.,]*(e[+-]?\d+)?")
FRAME = re.compile(r'^  File "(.+)", line (\d+)', re.MULTILINE)  # of a traceback
PACKAGE = Path(__file__).parents[1]


def ordered(study: Study) -> list[Trial]:
    """The trials by number."""
    return sorted(study.trials.values(), key=lambda trial: trial.number)


def as_heading(metric: str) -> str:
    """A metric's name at the beginning of a sentence: RMSE, Log loss."""
    label = METRICS[metric].label if metric in METRICS else None
    return label or f"{metric[:1].upper()}{metric[1:]}".replace("_", " ")


def finite(number: float | None) -> float | None:
    """The number if it is finite, else None."""
    return number if number is not None and math.isfinite(number) else None


def numbers(scores: Sequence[float | None]) -> list[float]:
    """The finite scores."""
    return [s for s in map(finite, scores) if s is not None]


def value(trial: Trial, metric: str) -> float | None:
    """A trial's value of the metric; None if not finite."""
    return finite(trial.value(metric))


def values(trials: Iterable[Trial], metric: str) -> list[float]:
    """The trials' finite values of the metric."""
    return [v for v in (value(trial, metric) for trial in trials) if v is not None]


def score(entry: Mapping[str, Any] | None, metric: str) -> float | None:
    """The metric's value of a trial in summary.json."""
    return None if entry is None else finite(entry["metrics"].get(metric, entry["loss"]))


def often(entry: Mapping[str, Any]) -> str:
    """A note that the score of a trial in summary.json is a mean, if it is one."""
    n = entry["trainings"]
    return f" (mean of {n} trainings)" if n > 1 else ""


def has_folds(summary: Mapping[str, Any]) -> bool:
    """Whether the trials of a run are cross-validated."""
    return (summary.get("settings") or {}).get("folds") is not None


def scored_on(n_folds: int) -> str:
    """What trials of the default plan are scored on; a single fold is the validation set."""
    return "out of fold" if n_folds > 1 else "on the validation set"


def shares_below_quantiles(shares: Mapping[str, float]) -> str:
    """The shares of the test rows at or below the quantiles of a model, by level as in its card."""
    listed = ", ".join(f"{share:.1%} ({level})" for level, share in shares.items())
    return f"test rows below its quantiles: {listed}"


def too_short(summary: Mapping[str, Any]) -> str | None:
    """A note that the default was not trained as long as the best trial, so they cannot be compared; else None."""
    best, default = summary["best"], summary["default"]
    if best is None or default is None:
        return None
    epochs, of = default["epochs"], summary["max_epochs"]
    if default.get("complete") or (epochs == best["epochs"] and not best.get("complete")):
        return None
    if has_folds(summary):
        return f"the default config was scored on {epochs} of {of} folds only, too few to compare"
    return f"the default config was trained for {epochs} of {of} epochs only, too short to compare"


def chosen(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """The trial in summary.json that the final has chosen, or that alone makes up the model of a default plan; else the
    best of the search."""
    final = summary["final"]
    entries = [] if final is None else [each for each in final["contenders"] if each["trial"] == final["trial"]]
    found: Mapping[str, Any] = entries[0] if entries else summary.get("kept_trial") or summary["best"]
    return found


def picked(final: Mapping[str, Any] | None) -> str:
    """A note that the chosen config is the best of several on fresh seeds, if so."""
    n = 0 if final is None else len(final["contenders"])
    return f", the best of {n} contenders on validation with fresh seeds" if n > 1 else ""


def shown_range(numbers: Sequence[float], maximize: bool, default: float | None = None) -> tuple[float, float]:
    """The range of an axis that shows the best values and the bulk, but not a few that are far worse.

    Values farther from the best than four times the third quartile are left out; the default only beyond eight times.
    Ascending, with a margin.
    """
    signed = (-number if maximize else number for number in numbers)
    turned = sorted(min(max(number, -LARGEST_LOSS), LARGEST_LOSS) for number in signed)
    if not turned:
        return (0.0, 1.0)
    best, edge = turned[0], turned[-1]
    bulk = turned[math.ceil(0.75 * (len(turned) - 1))] - best
    if len(turned) >= 5 and bulk > 0:
        edge = max(number for number in turned if number <= best + 4 * bulk)
    if default is not None:
        turned_default = -default if maximize else default
        if turned_default <= best + 8 * bulk:
            edge = max(edge, turned_default)
    margin = 0.08 * (edge - best) or 0.05 * abs(best) or 1.0
    low, high = best - margin, edge + margin
    return (-high, -low) if maximize else (low, high)


def show(value: Any) -> str:
    """A formatted value: numbers with about four digits, booleans as in YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if abs(value) < 0.1:
            return f"{value:.3g}"
        return f"{value:.3f}" if abs(value) < 10 else at_resolution(value, None)
    return str(value)


def resolution(numbers: Iterable[float], maximize: bool) -> float | None:
    """The power of ten to which values must be written to show their differences; None if all are equal.

    The one below a thirtieth of the median distance from the best, so that a few bad values have little influence; None
    also if that distance is no ordinary number, as with penalties of 1e308.
    """
    known = list(numbers)
    best = (max if maximize else min)(known, default=0.0)
    distances = [abs(number - best) for number in known if number != best]
    step = statistics.median(min(each, sys.float_info.max) / 30 for each in distances) if distances else 0.0
    return 10.0 ** math.floor(math.log10(step)) if sys.float_info.min <= step < math.inf else None


def at_resolution(value: float, step: float | None) -> str:
    """A value down to the decimal place of ``step``, with 4 to 12 significant digits; without a step, with 4."""
    if not math.isfinite(value):
        return str(value)
    exponent = math.floor(math.log10(abs(value))) if value else 0
    digits = 4 if step is None else min(12, max(4, exponent - round(math.log10(step)) + 1))
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}"
    return grouped(value, max(0, digits - 1 - exponent))


def seed_gains(final: Mapping[str, Any], maximize: bool) -> list[float | None]:
    """By how much the chosen config was better than the default, seed by seed."""
    pairs = zip(*(map(finite, scores) for scores in paired(final["chosen"], final["default"])), strict=True)
    return [None if c is None or d is None else (c - d if maximize else d - c) for c, d in pairs]


def show_mean(scores: Sequence[float], *, alone: bool = False) -> str:
    """The formatted mean, with the standard deviation of several scores unless ``alone``."""
    if not scores:
        return "-"
    mean = show(statistics.fmean(scores))
    return mean if alone or len(scores) == 1 else f"{mean}\u00a0\u00b1\u00a0{show_deviation(scores)}"


def show_deviation(scores: Sequence[float]) -> str:
    """The formatted standard deviation."""
    if len(scores) < 2:
        return "-"
    deviation = statistics.stdev(scores)
    return f"{deviation:.3f}" if 0.001 <= deviation < 10 else significant(deviation, 2)


def setting(value: Any) -> str:
    """A formatted hyperparameter value: numbers without trailing zeros."""
    return significant(value) if isinstance(value, float) else show(value)


def duration(seconds: float) -> str:
    """Formatted seconds: ``2.4 s``, ``3 min 05 s``, ``1 h 20 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def shorten(text: str, length: int) -> str:
    """The beginning of a long text."""
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def most_common(errors: Iterable[str]) -> list[str]:
    """Those of the errors that are the most common, where they may differ in numbers; empty without errors."""
    alike: dict[str, list[str]] = {}
    for error in errors:
        alike.setdefault(NUMBER.sub("#", error), []).append(error)
    return max(alike.values(), key=len, default=[])


def inert(text: str) -> str:
    """A text escaped so that Plotly shows it literally."""
    return html.escape(text, quote=False)


def described(config: Config) -> list[str]:
    """A config as lines, one per hyperparameter."""
    return [f"{shorten(name, 60)} = {shorten(setting(value), 60)}" for name, value in config.items()]


def failure(trial: Trial) -> str:
    """Why a trial failed, preceded by the file and line of the user's code if its traceback has them."""
    error = trial.error or "no reason given"
    if trial.traceback is None or not trial.traceback.startswith("Traceback"):
        return error
    frames = [(Path(file), line) for file, line in FRAME.findall(trial.traceback)]
    own = [(file, line) for file, line in frames if not _is_library(file)]
    if not own:
        return error
    file, line = own[-1]
    return f"{_in_short(file)}, line {line}: {error}"


def failed_in_words(n_failed: int, n_too_slow: int, n_trials: int) -> str:
    """How many trials failed, and how many of these were too slow for their time limit."""
    of = f"{n_failed} of {counted(n_trials, 'trial')}"
    if n_failed == n_too_slow:
        return f"{of} {'was' if n_failed == 1 else 'were'} too slow"
    return f"{of} failed{f', {n_too_slow} as too slow' if n_too_slow else ''}"


def _in_short(file: Path) -> str:
    """A file's path in the working directory, else its name."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the objective changed to a folder that it then removed
        return file.name
    return str(file.relative_to(here)) if file.is_relative_to(here) else file.name


def _is_library(file: Path) -> bool:
    """Whether a file in a traceback belongs to Python, to an installed package, or to this one."""
    if str(file).startswith("<"):
        return not str(file).startswith(("<ipython", "<stdin>"))
    return (
        file.is_relative_to(PACKAGE)
        or "site-packages" in file.parts
        or file.is_relative_to(sysconfig.get_path("stdlib"))
    )
