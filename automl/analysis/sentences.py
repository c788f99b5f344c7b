"""The sentences of a report about a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from automl.analysis.ensembles import not_better_than_baseline, result_in_words
from automl.analysis.formatting import (
    as_heading,
    at_resolution,
    chosen,
    failed_in_words,
    failure,
    has_folds,
    most_common,
    numbers,
    often,
    resolution,
    score,
    seed_gains,
    shares_below_quantiles,
    shorten,
    show,
    show_mean,
    too_short,
)
from automl.study.contenders import paired
from automl.study.facts import RUNNING
from automl.study.study import Study
from automl.task import TOO_SLOW
from automl.wording import counted
from strategies.encoding import Encoding


def headline(study: Study, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome of the run: a title, the result of the search, the verdict of the final, and notes."""
    n, failed = summary["n_trials"], summary["n_failed"]
    lead, judged, notes = _search_result(study, summary), "", commonest_error(study)
    if has_folds(summary) and summary.get("model"):
        lead, notes = result_in_words(summary)
    elif summary["best"] is not None:
        judged, notes = _final_result(summary)
    short = too_short(summary)
    if short is not None:
        notes.append(f"In the search, {short}{'; the final compares both' if summary['final'] is not None else ''}.")
    if failed > study.n_without_time and summary["best"] is not None:
        notes.append(f"{failed_in_words(failed, study.n_too_slow, n)}.")
    notes += [f"{finding[:1].upper()}{finding[1:]}." for finding in summary.get("findings", [])]
    if summary["stop_reason"] == RUNNING:
        notes.append("The run is still active.")
    elif not _is_complete(summary):
        notes.append(f"The run ended early: {summary['stop_reason']}.")
    notes += [note for note in (contenders_in_words(summary), kept_in_words(summary), beaten_in_words(summary)) if note]
    title = f"{summary['task']}, {counted(n, 'trial')} with {summary['strategy']}"
    return {"title": title, "lead": lead, "verdict": judged, "notes": notes}


def _is_complete(summary: Mapping[str, Any]) -> bool:
    """Whether the search used its whole budget, or nothing was left to try."""
    in_time = summary["budget_epochs"] is None and summary["stop_reason"].startswith("time limit")
    return in_time or summary["stop_reason"] in ("budget spent", "every config of the space was tried")


def _search_result(study: Study, summary: Mapping[str, Any]) -> str:
    n, failed, best, default = summary["n_trials"], summary["n_failed"], summary["best"], summary["default"]
    if best is None:
        if failed == n == 1:
            return "The only trial failed."
        which = "all" if failed == n else str(failed)
        return f"No trial succeeded: {which} of {n} failed." if failed else "No trial was finished."
    metric = str(summary["metric"])
    what = f"{as_heading(metric)} {_score(best, summary)}{_on_validation(summary)}"
    if default is None:
        config = Encoding(study.space).default
        failed_too = any(trial.config == config and trial.state == "failed" for trial in study.trials.values())
        return f"{what}. The default config {'failed' if failed_too else 'was not tried'} in the search."
    if best["config"] == default["config"]:
        rest = f"no other of the {n} trials was better" if n > 1 else "nothing else was tried"
        return f"{what} with the default config; {rest}."
    if too_short(summary) is not None:
        return f"{what}."
    return f"{what}, against {_score(default, summary)} of the default config."


def commonest_error(study: Study) -> list[str]:
    """The most common reason for failures; empty if no trial failed."""
    prefix = f"{TOO_SLOW}: " if study.n_too_slow == study.counts["failed"] else ""  # common to all
    failed = [trial for trial in study.trials.values() if trial.error]
    same = most_common(shorten(failure(trial), 200).removeprefix(prefix) for trial in failed)
    if not same:
        return []
    example = ", for example" if len({*same}) > 1 else ""
    return [f"The most common reason ({counted(len(same), 'trial')}){example}: {same[0]}"]


def about_lengths(study: Study, option: str) -> Iterator[str]:
    """Sentences on objectives that reported fewer or more losses than epochs, though not a single one.

    ``option``: how the user gives the number of epochs.
    """
    whole = [trial for trial in study.trials.values() if trial.state == "complete" and study.max_epochs > 1]
    shorter = [trial for trial in whole if trial.epochs < trial.fidelity]
    longer = [trial for trial in whole if len(trial.losses) > trial.fidelity]
    for odd, than, way_out in (
        (shorter, "fewer", f"lower {option} if all trainings are that short"),
        (longer, "more", f"raise {option} to the number of losses"),
    ):
        if odd:
            first, each = odd[0], "it counts" if len(odd) == 1 else "each counts"
            yield (
                f"{counted(len(odd), 'trial')} reported {than} losses than epochs ({len(first.losses)} instead of "
                f"{first.fidelity} in trial {first.number}); {each} as complete, with its last loss; {way_out}"
            )


def _final_result(summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The verdict on chosen and default, and the numbers behind it."""
    final = summary["final"]
    if final is None:
        return "", [
            "The chosen config was not trained again with fresh seeds. Where training depends on chance, expect a "
            "slightly worse value: the best trial of a search is partly lucky."
        ]
    scores, default = numbers(final["chosen"]), numbers(final["default"])
    on_test = final["split"] == "test"
    place = "On the test set" if on_test else "There is no test set. Trained again, on the data that guided the search"
    if not scores:
        return "The final trainings of the chosen config failed.", []
    trainings = f"mean and standard deviation of {len(scores)} trainings with fresh seeds"
    if len(scores) == 1:
        trainings = "one training with a fresh seed"
    if "chosen" in final["any_seed"]:
        trainings = "one training; its result does not depend on the seed"
    what = f"{place}: {final['metric']} {show_mean(scores)}"
    if summary["default"] is not None and chosen(summary)["config"] == summary["default"]["config"]:
        return "", [f"{what} ({trainings})."]
    if not default:
        return "", [f"{what} ({trainings}); the default config failed there."]
    return verdict(final, summary["maximize"]), [f"{what}, against {show_mean(default)} of the default ({trainings})."]


def verdict(final: Mapping[str, Any], maximize: bool) -> str:
    """A comparison of chosen and default by their paired final scores."""
    gains = numbers(seed_gains(final, maximize))
    if len(gains) == 1 and set(final["any_seed"]) == {"chosen", "default"}:
        than = "Better than" if gains[0] > 0 else "Worse than" if gains[0] < 0 else "No gain over"
        return f"{than} the default; neither training depends on its seed."
    if len(gains) == 1 == len(final["chosen"]):
        return "One fresh seed cannot tell whether the chosen config is better than the default."
    if len(gains) < 2:
        return "Too few final trainings succeeded to tell chosen and default apart."
    if all(gain == 0 for gain in gains):
        return "No gain over the default: the final scores are the same with every seed."
    if all(gain > 0 for gain in gains):
        return f"Better than the default with each of {len(gains)} fresh seeds."
    if all(gain < 0 for gain in gains):
        return f"Worse than the default with each of {len(gains)} fresh seeds."
    return "No clear gain over the default: with fresh seeds it was not better every time."


def contenders_in_words(summary: Mapping[str, Any]) -> str | None:
    """A note that the chosen config was the best of several on fresh seeds, with their scores; None if it was alone."""
    final = summary["final"]
    if final is None or len(final["contenders"]) < 2:
        return None
    entries = final["contenders"]
    if not any(numbers(entry["validation"]) for entry in entries):
        return (
            f"Every training of the final's {len(entries)} contenders failed: the chosen config, of trial "
            f"{final['trial']}, is the best of the search."
        )
    means = dict(zip((entry["trial"] for entry in entries), _apart([e["validation"] for e in entries]), strict=True))
    others = ", ".join(f"{mean} of trial {trial}" for trial, mean in means.items() if trial != final["trial"])
    once = [str(entry["trial"]) for entry in entries if entry["any_seed"]]
    same = f" Trained once, as the seed has no effect: trial{'s' * (len(once) > 1)} {', '.join(once)}." if once else ""
    return (
        f"The chosen config, of trial {final['trial']}, was the best of {len(entries)} contenders by mean "
        f"{final['metric']} on validation with fresh seeds ({means[final['trial']]}; {others}).{same}"
    )


def kept_in_words(summary: Mapping[str, Any]) -> str | None:
    """A note that the run keeps the default, and why; None if it keeps the chosen config."""
    final = summary["final"]
    if final is None or final["kept"] != "default":
        return None
    pairs = zip(*paired(final["chosen_validation"], final["default_validation"]), strict=True)
    both = [(c, d) for c, d in pairs if c is not None and d is not None]
    why = "all final trainings of the chosen config failed"
    if both:
        scores, default = (show(statistics.fmean(scores)) for scores in zip(*both, strict=True))
        why = f"on validation it did better in the final than the chosen one ({default} against {scores})"
    model = summary.get("model")
    where = "in best.yaml and for its model" if model and model["made"] != "ensemble" else "in best.yaml"
    return f"The run keeps the default config, {where}: {why}."


def beaten_in_words(summary: Mapping[str, Any]) -> str | None:
    """A note if the baseline is better on the test set than the config that the run keeps or, in the default plan, not
    worse than its model; else None."""
    final = summary["final"]
    if has_folds(summary) and summary.get("model"):
        return not_better_than_baseline(summary["model"])
    baseline = (final or {}).get("baseline") or {}
    if final is None or "score" not in baseline or final["split"] != "test":
        return None
    kept = final["kept"]
    reached = numbers(final[kept])
    if not reached:
        return None
    mean = statistics.fmean(reached)
    better = baseline["score"] > mean if summary["maximize"] else baseline["score"] < mean
    if not better or show(baseline["score"]) == show(mean):
        return None
    return (
        f"The baseline is better on test than the {kept} config ({show(baseline['score'])} against {show(mean)}); "
        "more examples, longer trainings or another metric to search by may change that."
    )


def described_model(card: Mapping[str, Any]) -> str:
    """A description of the kept model with its own score, from its card."""
    test = card["test"].get(card["metric"])
    scored = "" if test is None else f"; {card['metric']} {at_resolution(test, None)} on test"
    calibrated = "" if card["temperature"] == 1.0 else f"; calibrated, temperature {card['temperature']:.2f}"
    below = f"; {shares_below_quantiles(card['below_quantiles'])}" if card.get("below_quantiles") else ""
    return f"the model is {card['said']}{scored}{calibrated}{below}"


def _on_validation(summary: Mapping[str, Any]) -> str:
    """The split as a phrase; empty if unknown, since a function's loss or value may be of any data."""
    final = summary["final"]
    known = summary["metric"] not in ("loss", "value") or (final is not None and final["split"] == "test")
    return " on validation" if known else ""


def _score(entry: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    reached = score(entry, summary["metric"])
    return "unknown" if reached is None else f"{show(reached)}{often(entry)}"


def _apart(scores: Sequence[Sequence[float | None]]) -> list[str]:
    """Means, with enough digits to tell them apart."""
    means = [statistics.fmean(known) if (known := numbers(each)) else None for each in scores]
    shown = ["-" if mean is None else show(mean) for mean in means]
    if len(set(shown)) == len(set(means)):
        return shown
    step = resolution(numbers(means), maximize=False)
    return ["-" if mean is None else at_resolution(mean, step) for mean in means]
