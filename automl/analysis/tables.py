"""The tables of a report: chosen and default side by side, the final seed by seed, and what was run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from automl.analysis.formatting import (
    chosen,
    duration,
    finite,
    has_folds,
    numbers,
    seed_gains,
    setting,
    show,
    show_deviation,
    show_mean,
)
from automl.study.contenders import paired
from automl.study.study import Study
from automl.wording import significant
from strategies.encoding import Dimension, Encoding

TIMES = {"search": "the search, without the strategy", "rest": "everything else"}


def compare_configs(study: Study, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per hyperparameter: the chosen value, the default, and the range searched.

    With folds, the default is often of another family, whose other hyperparameters are left out.
    """
    encoding, folds = Encoding(study.space), has_folds(summary)
    best = None if summary["best"] is None else chosen(summary)["config"]
    rows = []
    for dim in encoding.dimensions:
        value, default = (best or {}).get(dim.name), encoding.default.get(dim.name)
        rows.append(
            {
                "name": dim.name,
                "chosen": "-" if value is None else setting(value),
                "default": "-" if default is None else setting(default),
                "used": value is not None or (default is not None and not folds),
                "changed": best is not None and value != default and not (folds and None in (value, default)),
                "range": _range(dim),
                "edge": "" if value is None or value == default else _edge(dim, value),
            }
        )
    return rows


def _range(dim: Dimension) -> str:
    if dim.n_values == 1:
        return "fixed"
    if dim.values:
        values = [setting(value) for value in dim.values]
        return ", ".join(values) if len(values) <= 8 else f"{values[0]}, {values[1]} \u2026 {values[-1]}"
    return f"{setting(dim.low)} to {setting(dim.high)}{', log' * dim.log}"


def _edge(dim: Dimension, value: Any) -> str:
    """A note if the best value lies at an end of its range, since a wider one may contain better values."""
    if dim.values or dim.n_values < 10:
        return ""
    place = dim.to_unit(value)
    return "near the lower end" if place < 0.02 else "near the upper end" if place > 0.98 else ""


def final_rows(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The final scores seed by seed, and their means."""
    final = summary["final"]
    if final is None:
        return None

    gains = seed_gains(final, summary["maximize"])
    scores = paired(final["chosen"], final["default"])
    rows = [
        {"seed": seed, "chosen": _cell(c), "default": _cell(d), "difference": _difference(c, d), "gain": gain}
        for seed, c, d, gain in zip(final["seeds"], *scores, gains, strict=True)
    ]
    known = numbers(gains)
    one_sided = len(known) > 1 and (all(gain > 0 for gain in known) or all(gain < 0 for gain in known))
    mean = statistics.fmean(known) if known else None
    return {
        "metric": final["metric"],
        "split": final["split"],
        "rows": rows,
        "mean": [show_mean(numbers(final[role]), alone=True) for role in ("chosen", "default")],
        "deviation": [show_deviation(numbers(final[role])) for role in ("chosen", "default")],
        "difference": "-" if mean is None else _difference(mean if summary["maximize"] else -mean, 0.0),
        "chance": 2 ** (len(known) - 1) if one_sided else None,  # equal configs look one-sided in one of this many runs
        "errors": final["errors"],
        "any_seed": final["any_seed"],
        "baseline": _baseline_in_words(final),
    }


def _baseline_in_words(final: Mapping[str, Any]) -> str | None:
    """The score of a practitioner's first try on the same test set."""
    baseline = final["baseline"]
    if baseline is None or "score" not in baseline:
        return None
    return f"Baseline: {final['metric']} {_cell(baseline['score'])}, {baseline['name']}."


def _cell(number: float | None) -> str:
    return "failed" if number is None or finite(number) is None else show(float(number))


def _difference(score: float | None, default: float | None) -> str:
    if finite(score) is None or finite(default) is None or score is None or default is None:
        return "-"
    difference = score - default + 0.0  # no -0.000
    if 0.001 <= abs(difference) < 10 or difference == 0:
        return f"{difference:+.3f}"
    return f"{'+' if difference > 0 else ''}{significant(difference, 2)}"


def facts(study: Study, summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was run, as pairs of a label and its value."""
    by_state = ["slow" if trial.is_too_slow else trial.state for trial in study.trials.values()]
    states = {"complete": "trained to the end", "stopped": "stopped early", "paused": "paused", "failed": "failed"}
    states |= {"slow": "too slow", "running": "unfinished"}
    counts = [
        f"{'all' if by_state.count(s) == len(by_state) > 1 else by_state.count(s)} {words}"
        for s, words in states.items()
        if s in by_state
    ]
    yield "task", str(summary["task"])
    yield "strategy", f"{summary['strategy']}: {summary['why']}" if summary.get("why") else str(summary["strategy"])
    yield "seed", str(summary["seed"])
    if summary.get("started"):
        yield "started", str(summary["started"])
    yield "trials", f"{len(by_state)}: {', '.join(counts) or 'none ended'}"
    used, budget = summary["epochs_trained"], summary["budget_epochs"]
    of = "" if budget is None else f" of a budget of {budget}"
    what = "folds" if has_folds(summary) else "epochs"
    yield what, f"{used} trained{of}; at most {summary['max_epochs']} in a trial"
    yield "ended because", str(summary["stop_reason"])
    if "time" in summary:  # missing until a run has ended
        stages = {stage: seconds for stage, seconds in summary["time"].items() if seconds and stage != "total"}
        yield "time", f"{duration(summary['time']['total'])} in all"
        for stage, seconds in stages.items():
            yield f"time of {TIMES.get(stage, f'the {stage}')}", duration(seconds)
    else:
        yield "time", duration(summary["seconds"])
    yield "spent in training", f"{duration(summary['training_seconds'])}, added up over all workers"
    yield "spent in the strategy", duration(summary["strategy_seconds"])
    yield "commit", str(summary["commit"] or "unknown")
    if summary["versions"]:
        yield "versions", ", ".join(f"{package} {version}" for package, version in summary["versions"].items())
