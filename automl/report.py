"""The report of one run: a single HTML file that opens offline. ``python -m automl.report RUN_FOLDER`` writes it anew."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from automl import figures
from automl.errors import UserError
from automl.figures import finite, score, setting, show
from automl.folders import RunFolder
from automl.outputs import write_aside
from automl.space import load_space
from automl.study import Store, Study, Trial, distribution, sqlite_url
from strategies.encoding import Dimension, Encoding

ENOUGH_FOR_IMPORTANCE = 10  # trials trained to the end


def write_report(file: Path, study: Study, summary: Mapping[str, Any]) -> None:
    """Write the report of a run. ``summary`` is what summary.json holds."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    slices = figures.slices(study, summary)
    drawn = {"search": figures.search_curve(study, summary), "curves": figures.learning_curves(study)}
    drawn |= {f"slice-{i}": figure for i, figure in enumerate(slices.values())}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("automl"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    title, lead, *notes = headline(study, summary)
    page = environment.get_template("report.html").render(
        title=title,
        lead=lead,
        notes=notes,
        summary=summary,
        figures=drawn,
        slices=list(slices),
        hyperparameters=compare_configs(study, summary),
        final=final_rows(summary),
        importance=importance(study, summary),
        failures=[trial for trial in figures.ordered(study) if trial.state == "failed"],
        described=figures.described,
        facts=facts(study, summary),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704 - the library's own text
    )
    write_aside(file, page)


def read_run(folder: Path) -> tuple[Study, dict[str, Any]]:
    """The study and the summary that lie in a run's folder. UserError where they do not."""
    run = RunFolder(folder)
    if not run.study.exists():
        raise UserError(f"there is no run in {str(folder)!r}: it has no study.db")
    try:
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"the run in {str(folder)!r} has no summary.json yet; finish it with --resume") from None
    except ValueError as error:
        raise UserError(f"{str(run.summary)!r} is not JSON: {error}") from None
    url = sqlite_url(run.study)
    settings = Store.settings(url)
    if not isinstance(settings.get("space"), dict):
        raise UserError(f"the space of the run in {str(folder)!r} has no short form, so it cannot be read from there")
    space = load_space(settings["space"])
    return Study(space, settings["max_epochs"], Store.open(url, space)), summary


# --- in words -----------------------------------------------------------------------------------------------------


def headline(study: Study, summary: Mapping[str, Any]) -> list[str]:
    """The title, the result in one sentence, and what must be known beside it."""
    n, failed = summary["n_trials"], summary["n_failed"]
    title = f"{summary['task']}, {_count(n, 'trial')} with {summary['strategy']}"
    lines = [title, _search_result(study, summary)]
    if summary["best"] is not None:
        lines += _final_result(summary)
    if failed and summary["best"] is not None:
        lines.append(f"{failed} of {_count(n, 'trial')} failed.")
    if summary["stop_reason"] != "budget spent":
        lines.append(f"The run ended early: {summary['stop_reason']}.")
    return lines


def _search_result(study: Study, summary: Mapping[str, Any]) -> str:
    n, failed, best, default = summary["n_trials"], summary["n_failed"], summary["best"], summary["default"]
    if best is None:
        return f"No trial succeeded: {'all' if failed == n else failed} of {n} failed." if failed else "No trial was finished."
    where = _on_validation(summary)
    what = f"{_metric(summary).capitalize()} {_score(best, summary)}{where}"
    if default is None:
        config = Encoding(study.space).default
        tried = any(trial.config == config and trial.state == "failed" for trial in study.trials.values())
        return f"{what}. The default config {'failed' if tried else 'was not tried'}, so there is nothing to compare with."
    if best["config"] == default["config"]:
        rest = f"none of the other {n - 1} trials was better" if n > 1 else "nothing else was tried"
        return f"{what} with the default config; {rest}."
    return f"{what}, against {_score(default, summary)} of the default config."


def _final_result(summary: Mapping[str, Any]) -> list[str]:
    final = summary["final"]
    if final is None:
        return [
            "The chosen config was not trained again with fresh seeds. A search also picks the luckiest trial, "
            "so expect somewhat less of it than the value above."
        ]
    chosen, default = numbers(final["chosen"]), numbers(final["default"])
    lines = [] if final["split"] == "test" else ["There is no test set."]
    place = "On the test set" if final["split"] == "test" else "Trained again and scored on the data that guided the search"
    if not chosen:
        return [*lines, f"{place}: no score, as the final trainings of the chosen config failed."]
    trainings = f"mean and standard deviation of {_count(len(chosen), 'training')} with fresh seeds"
    if summary["default"] is not None and summary["best"]["config"] == summary["default"]["config"]:
        return [*lines, f"{place} {final['metric']} {_mean(chosen)} ({trainings})."]
    if not default:
        return [*lines, f"{place} {final['metric']} {_mean(chosen)} ({trainings}); the default config failed there."]
    against = f"{place} {final['metric']} {_mean(chosen)}, against {_mean(default)} of the default ({trainings})."
    return [*lines, against, verdict(final, summary["maximize"])]


def verdict(final: Mapping[str, Any], maximize: bool) -> str:
    """What the paired final scores say of chosen and default."""
    gains = numbers(_gains(final, maximize))
    if len(gains) < 2:
        return "Too few final trainings succeeded to tell chosen and default apart."
    if all(gain == 0 for gain in gains):
        return "No gain over the default: the scores are the same with every seed."
    if all(gain > 0 for gain in gains):
        return f"Better than the default with each of the {len(gains)} seeds."
    if all(gain < 0 for gain in gains):
        return f"Worse than the default with each of the {len(gains)} seeds: prefer the default config."
    return "No clear gain over the default: it was not better with every seed."


def _on_validation(summary: Mapping[str, Any]) -> str:
    """A function's loss or value may be anything; a task's metric is that of its validation part."""
    final = summary["final"]
    known = summary["metric"] not in ("loss", "value") or (final is not None and final["split"] == "test")
    return " on validation" if known else ""


def _metric(summary: Mapping[str, Any]) -> str:
    return str(summary["metric"])


def _score(entry: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    reached = score(entry, summary["metric"])
    return "unknown" if reached is None else show(reached)


def _mean(scores: Sequence[float]) -> str:
    mean = show(statistics.fmean(scores))
    return f"{mean} \u00b1 {_deviation(scores)}" if len(scores) > 1 else mean


def _deviation(scores: Sequence[float]) -> str:
    deviation = statistics.stdev(scores)
    return f"{deviation:.3f}" if 0.001 <= deviation < 10 else f"{deviation:.2g}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def numbers(scores: Sequence[float | None]) -> list[float]:
    """The scores that there are."""
    return [s for s in map(finite, scores) if s is not None]


# --- tables -------------------------------------------------------------------------------------------------------


def compare_configs(study: Study, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a hyperparameter: the chosen value beside the default, and the range searched."""
    encoding = Encoding(study.space)
    best = None if summary["best"] is None else summary["best"]["config"]
    rows = []
    for dim in encoding.dimensions:
        chosen, default = (best or {}).get(dim.name), encoding.default.get(dim.name)
        rows.append(
            {
                "name": dim.name,
                "chosen": "-" if chosen is None else setting(chosen),
                "default": "-" if default is None else setting(default),
                "changed": best is not None and chosen != default,
                "range": _range(dim),
                "edge": "" if chosen is None else _edge(dim, chosen),
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
    """Where the best value of a number lies at an end of its range, a wider one may hold better ones."""
    if dim.values or dim.n_values < 10:
        return ""
    place = dim.to_unit(value)
    return "near the lower end" if place < 0.02 else "near the upper end" if place > 0.98 else ""


def final_rows(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The final scores seed by seed, and their means."""
    final = summary["final"]
    if final is None:
        return None

    def cell(number: float | None, sign: str = "") -> str:
        return "failed" if finite(number) is None else f"{'+' * (sign == '+' and number > 0)}{show(float(number))}"  # type: ignore[operator, arg-type]

    gains = _gains(final, summary["maximize"])
    raw = [gain if summary["maximize"] or gain is None else -gain for gain in gains]
    seeds = final.get("seeds") or range(1, len(final["chosen"]) + 1)
    rows = [
        {"seed": seed, "chosen": cell(c), "default": cell(d), "difference": "-" if r is None else cell(r, "+"), "gain": gain}
        for seed, c, d, r, gain in zip(seeds, final["chosen"], final["default"], raw, gains, strict=True)
    ]
    means = [_mean(numbers(final[who])) if numbers(final[who]) else "-" for who in ("chosen", "default")]
    difference = cell(statistics.fmean(numbers(raw)), "+") if numbers(raw) else "-"
    same = all(g > 0 for g in numbers(gains)) or all(g < 0 for g in numbers(gains))
    chance = 2 ** len(numbers(gains)) // 2 if len(numbers(gains)) > 1 and same else None
    return {"rows": rows, "chosen": means[0], "default": means[1], "difference": difference, "split": final["split"],
            "metric": final["metric"], "errors": final.get("errors") or [], "chance": chance}  # fmt: skip


def _gains(final: Mapping[str, Any], maximize: bool) -> list[float | None]:
    """By how much the chosen config was better than the default, seed by seed."""
    pairs = zip(map(finite, final["chosen"]), map(finite, final["default"]), strict=True)
    return [None if c is None or d is None else (c - d if maximize else d - c) for c, d in pairs]


def facts(study: Study, summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was run, as pairs of a word and its value."""
    by_state = [trial.state for trial in study.trials.values()]
    states = {"complete": "trained to the end", "stopped": "stopped early", "paused": "paused", "failed": "failed"}
    counts = [f"{by_state.count(s)} {words}" for s, words in states.items() if s in by_state]  # type: ignore[arg-type]
    yield "task", str(summary["task"])
    yield "strategy", str(summary["strategy"])
    yield "seed", str(summary["seed"])
    if summary.get("started"):
        yield "started", str(summary["started"])
    yield "trials", f"{summary['n_trials']}: {', '.join(counts) or 'none ended'}"
    used, budget = summary["epochs_trained"], summary["budget_epochs"]
    yield "epochs", f"{used} trained of a budget of {budget}; at most {summary['max_epochs']} in a trial"
    yield "ended because", str(summary["stop_reason"])
    yield "time", _duration(summary["seconds"])
    training = summary.get("training_seconds", sum(trial.seconds for trial in study.trials.values()))
    yield "spent in training", f"{_duration(training)}, added up over all workers"
    yield "spent in the strategy", _duration(summary["strategy_seconds"])
    yield "commit", str(summary["commit"] or "unknown")
    yield "versions", ", ".join(f"{package} {version}" for package, version in summary["versions"].items())


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


# --- importance ---------------------------------------------------------------------------------------------------


def importance(study: Study, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The share of each hyperparameter in the variation of the metric (fANOVA), or in words why it cannot be told.

    F. Hutter, H. Hoos, K. Leyton-Brown (2014): An efficient approach for assessing hyperparameter importance.
    Values beyond the range of the plots count as its edge: a few that are worse by far would decide everything.
    """
    metric = summary["metric"]
    trials = [t for t in figures.ordered(study) if t.state == "complete" and figures.value(t, metric) is not None]
    if len(trials) < ENOUGH_FOR_IMPORTANCE:
        were = f"{len(trials)} {'was' if len(trials) == 1 else 'were'}"
        return {"reason": f"Too few trials to tell: {were} trained to the end, {ENOUGH_FOR_IMPORTANCE} are needed."}
    dimensions = [dim for dim in Encoding(study.space).dimensions if dim.n_values > 1]
    always = [dim for dim in dimensions if all(dim.name in trial.config for trial in trials)]
    left_out = [dim.name for dim in dimensions if dim not in always]
    heights = figures.values(trials, metric)
    if not always or max(heights) == min(heights):
        why = "all trials reached the same value" if always else "none of the hyperparameters is part of all trials"
        return {"reason": f"Nothing to tell: {why}."}
    low, high = figures.shown_range(heights, summary["maximize"])
    shares = _fanova(always, trials, [min(max(height, low), high) for height in heights], summary["seed"])
    return {"reason": None, "shares": shares, "n_trials": len(trials), "left_out": left_out}


def _fanova(
    dimensions: Sequence[Dimension], trials: Sequence[Trial], heights: Sequence[float], seed: int
) -> list[tuple[str, float]]:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        known = optuna.create_study()
        distributions = {dim.name: distribution(dim) for dim in dimensions}
        for trial, height in zip(trials, heights, strict=True):
            params = {dim.name: trial.config[dim.name] for dim in dimensions}
            known.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=height))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        shares = optuna.importance.get_param_importances(known, evaluator=evaluator, params=[dim.name for dim in dimensions])
    finally:
        optuna.logging.set_verbosity(verbosity)
    return sorted(shares.items(), key=lambda item: -item[1])


# --- the command --------------------------------------------------------------------------------------------------


def save_png(file: Path, study: Study, summary: Mapping[str, Any]) -> None:
    """Save the search curve as a picture. UserError where what it takes is not installed."""
    import plotly.graph_objects as go

    figure = figures.search_curve(study, summary)
    del figure["layout"]["updatemenus"]  # buttons are of no use in a picture
    try:
        import kaleido  # noqa: F401
        from choreographer.errors import BrowserFailedError, ChromeNotFoundError
    except ImportError:
        raise UserError("a PNG needs the package kaleido; install it with: pip install kaleido") from None
    try:
        picture = go.Figure(figure).to_image(format="png", width=1000, height=600, scale=2)
    except (ChromeNotFoundError, BrowserFailedError):
        raise UserError("a PNG needs Chrome or Chromium; install one, e.g. with: plotly_get_chrome") from None
    except RuntimeError as error:
        if "chrome" not in str(error).lower():
            raise
        raise UserError("a PNG needs Chrome or Chromium; install one, e.g. with: plotly_get_chrome") from None
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise UserError(f"cannot write {str(file)!r}: {error.strerror}") from None


def main(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The folder of a finished run.")],
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also save the search curve as a PNG.")] = None,
) -> None:
    """Write report.html in a run's folder anew."""
    try:
        study, summary = read_run(folder)
        report = RunFolder(folder).report
        write_report(report, study, summary)
        typer.echo(str(report))
        if png is not None:
            save_png(png, study, summary)
            typer.echo(str(png))
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
