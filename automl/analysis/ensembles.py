"""Sentences about a run of the default plan, whose model is made of cross-validated trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automl.analysis.formatting import (
    as_heading,
    has_folds,
    score,
    scored_on,
    shares_below_quantiles,
    show,
    too_short,
)
from automl.metrics import METRICS

GOOD_AUC = 0.7


@dataclass(frozen=True)
class MemberRow:
    """A member of an ensemble: a trial and its weight."""

    trial: int
    family: str
    weight: float
    score: float  # out of fold


def members(card: Mapping[str, Any]) -> list[MemberRow]:
    """The members in a model's card, the heaviest first; a bagged member has one entry there per fold."""
    weights: dict[int, float] = {}
    for entry in card["members"]:
        weights[entry["trial"]] = weights.get(entry["trial"], 0.0) + entry["weight"]
    entries = {entry["trial"]: entry for entry in card["members"]}
    rows = [MemberRow(n, entries[n]["family"], weight, entries[n]["score"]) for n, weight in weights.items()]
    return sorted(rows, key=lambda row: -row.weight)


def best_alone(summary: Mapping[str, Any]) -> str | None:
    """A label for the best trial if the model combines several, perhaps other, trials; None for any other model."""
    card = summary.get("model")
    if not has_folds(summary) or card is None or summary.get("kept_trial"):
        return None
    trials = {row.trial for row in members(card)}
    return f"best single configuration{'' if summary['best']['trial'] in trials else ', not a member of the model'}"


def baseline_in_words(card: Mapping[str, Any], show: Callable[[float], str] = show) -> str | None:
    """The score of a prediction without a model; None if there is none."""
    baseline = card["baseline"]
    if baseline is None:
        return None
    return f"baseline, {baseline['name']}: {card['metric']} {show(baseline['score'])} {_where(baseline)}"


def not_better_than_baseline(card: Mapping[str, Any]) -> str | None:
    """A warning if the model is not better than a prediction without one, else None."""
    baseline = card.get("baseline")
    if baseline is None or baseline["beaten"]:
        return None
    reached = card["test"].get(card["metric"], card["validation"])
    if ranks := _ranks_well(card):
        return (
            f"The model is not better {_where(baseline)} than the baseline, {baseline['name']}, on {card['metric']} "
            f"({show(reached)} against {show(baseline['score'])}), but it ranks rows well ({ranks}): it hardly ever "
            "predicts the rarer classes; use its probabilities, or give --metric f1 or balanced_accuracy."
        )
    if baseline["name"].startswith(("last value", "value ")):
        why = "the changes of the series may not be predictable from these inputs, or there are too few examples"
    else:
        why = "the inputs may carry no information about the target, there may be too few examples"
        why += ", or a few extreme values decide the score" if METRICS[card["metric"]].is_squared else ""
    return (
        f"The model is not better {_where(baseline)} than the baseline, {baseline['name']} ({card['metric']} "
        f"{show(reached)} against {show(baseline['score'])}): {why}."
    )


def _ranks_well(card: Mapping[str, Any]) -> str:
    """The AUC of a model that ranks rows well although its accuracy is that of a constant; else empty."""
    auc = card["test"].get("auc")
    return f"auc {show(auc)}" if METRICS[card["metric"]].is_share and auc is not None and auc >= GOOD_AUC else ""


def _where(baseline: Mapping[str, Any]) -> str:
    return "on test" if baseline["split"] == "test" else str(baseline["split"])


def result_in_words(summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The score of a run's model, and notes on how it came about."""
    card, metric, where = summary["model"], summary["metric"], scored_on(summary["max_epochs"])
    name = as_heading(metric)
    on_test = card["test"].get(metric)
    best, default = (score(summary[which], metric) for which in ("best", "default"))
    against = "" if default is None or too_short(summary) else f", against {show(default)} of the default config"
    if default is not None and summary["best"] == summary["default"]:
        against = ": it is the default"
    notes, without = [f"The model is {card['said']}."], baseline_in_words(card)
    if without is not None:
        notes.append(f"{without[:1].upper()}{without[1:]}.")
    if card.get("below_quantiles"):
        notes.append(f"Shares of the {shares_below_quantiles(card['below_quantiles'])}.")
    if best is not None:
        notes.append(f"The best single config has {metric} {show(best)} {where}{against}.")
    if on_test is None:
        notes.append(
            f"There is no test set. Scores {where} also chose the model: expect slightly worse scores on new data."
        )
        return f"{name} {show(card['validation'])} {where}.", notes
    notes.append(f"The search did not see the test set; scores {where} also chose the model.")
    return f"{name} {show(on_test)} on the test set.", notes
