"""What mattered in a run, in words and in numbers: importances, effects, what the best share, and why trials failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from automl import patterns
from automl.importance import MAX_TRIALS, Importance, Importances, Pair, importances
from automl.readable import ordered, show
from automl.study import Study, Trial
from automl.surrogate import Background, Effect, Surrogate, comparable
from strategies._features import Features
from strategies.encoding import Encoding
from strategies.threads import one_thread

ENOUGH = 10  # trials that can be compared
SKILFUL = 0.1  # a model with less skill knows no more of a new trial than the mean
MATTERS = 0.05  # a hyperparameter whose share is surely more than this matters,
HARDLY = 0.10  # and one whose share is surely less than this hardly does
TOGETHER = 0.02  # of the variance, surely more than this is a pair's alone

Verdict = Literal["matters", "hardly matters", "cannot be told"]


@dataclass(frozen=True)
class Explanation:
    """Everything that can be told. Where ``reason`` is set, importances and effects cannot be."""

    words: list[str]  # sentences, what matters most first
    reason: str | None
    n_trials: int  # compared
    n_early: int  # of these, stopped early
    importances: Importances | None = None
    effects: dict[str, Effect] = field(default_factory=dict)
    n_best: int = 0
    best: list[patterns.Shared] = field(default_factory=list)
    n_failed: int = 0


def explain(study: Study, summary: Mapping[str, Any]) -> Explanation:
    """Of a run that has a summary, from its trials alone; the same each time."""
    metric, maximize, seed = summary["metric"], summary["maximize"], summary["seed"]
    encoding = Encoding(study.space)
    trials, values = comparable(study, metric, maximize)
    n_early = sum(trial.state != "complete" for trial in trials)
    failed = [trial for trial in study.trials.values() if trial.state == "failed"]
    about_failures = list(_about_failures(study, encoding, failed, seed))
    told: dict[str, Any] = {"n_trials": len(trials), "n_early": n_early, "n_failed": len(failed)}
    reason = _too_little(encoding, trials, values)
    if reason is not None:
        return Explanation(words=[reason, *about_failures], reason=reason, **told)
    found = importances(encoding, trials, values, maximize, seed)
    best = patterns.best_of(values, maximize)
    told |= {"n_best": len(best), "best": patterns.shared(encoding, trials, best, seed)}
    about_best = list(_about_the_best(told["best"], len(best)))
    if found.skill < SKILFUL:
        reason = (
            f"Which hyperparameters matter cannot be told from these {len(trials)} trials: a model of them knows no "
            "more of a trial that it has not seen than the mean. More trials, or a metric with less noise, may tell."
        )
        return Explanation([reason, *about_best, *about_failures], reason, **told)
    first, *rest = _about_importance(found)
    matters = [importance.name for importance in found.each if verdict(importance) == "matters"]
    nothing_works = _where_nothing_works(encoding, matters, trials, values, summary)
    words = [first, *nothing_works, *rest, *_about_pairs(found.pairs), *about_best, *about_failures]
    return Explanation(words, None, importances=found, effects=_effects(encoding, trials, values, seed), **told)


def verdict(importance: Importance) -> Verdict:
    """What the interval of its share allows to say."""
    if importance.share.low > MATTERS:
        return "matters"
    return "hardly matters" if importance.share.high < HARDLY else "cannot be told"


def _too_little(encoding: Encoding, trials: list[Trial], values: np.ndarray) -> str | None:
    if len(trials) < ENOUGH:
        were = f"{len(trials)} {'was' if len(trials) == 1 else 'were'}"
        return f"Too few trials to tell: {were} trained far enough to be compared, {ENOUGH} are needed."
    if not patterns.varying(encoding):
        return "Nothing to tell: no hyperparameter can vary."
    if np.ptp(values) == 0:
        return "Nothing to tell: all trials reached the same value."
    return None


def _effects(encoding: Encoding, trials: list[Trial], values: np.ndarray, seed: int) -> dict[str, Effect]:
    points = np.array([encoding.encode(trial.config) for trial in trials])
    if len(points) > MAX_TRIALS:
        kept = np.random.default_rng(seed).choice(len(points), MAX_TRIALS, replace=False)
        points, values = points[kept], values[kept]
    with one_thread():
        model = Surrogate.fit(Features(encoding), points, values, Background.of(encoding, seed))
        dims = enumerate(encoding.dimensions)
        return {dim.name: model.effect(i) for i, dim in dims if dim.n_values > 1 and model.reaches(i)}


# --- in words -----------------------------------------------------------------------------------------------------


def _about_importance(found: Importances) -> Iterator[str]:
    groups: dict[Verdict, list[Importance]] = {"matters": [], "hardly matters": [], "cannot be told": []}
    for importance in found.each:
        groups[verdict(importance)].append(importance)
    first, others = next(iter(groups["matters"]), None), groups["matters"][1:]
    if first is None:
        yield "No hyperparameter is sure to matter: their shares are too uncertain."
    elif others and others[0].share.high > first.share.low:
        level = [o for o in others if o.share.high > first.share.low]
        others = others[len(level) :]
        yield f"{_listed([_with_share(i) for i in (first, *level)])} matter most; which of them more cannot be told."
    else:
        rivals = [i for i in groups["cannot be told"] if i.share.high > first.share.low]
        yield f"{_with_share(first)} {'is sure to matter' if rivals else 'matters most'}."
    if others:
        yield f"{_listed([_with_share(i) for i in others])} {_verb('matter', len(others))} too."
    hardly = [importance.name for importance in groups["hardly matters"]]
    if hardly:
        yield f"{_listed(hardly)} hardly {_verb('matter', len(hardly))}."
    unsure = [importance.name for importance in groups["cannot be told"]]
    if unsure:
        yield f"Whether {_listed(unsure, 'or')} {_verb('matter', len(unsure))}, these trials do not tell."


def _about_pairs(pairs: list[Pair]) -> Iterator[str]:
    for pair in pairs:
        if pair.share.low > TOGETHER:
            yield (
                f"{pair.names[0]} and {pair.names[1]} act together: what one does depends on the other "
                f"({100 * pair.share.value:.0f}% of the variation is theirs only together, {pair.share.interval})."
            )


def _where_nothing_works(
    encoding: Encoding, names: list[str], trials: list[Trial], values: np.ndarray, summary: Mapping[str, Any]
) -> Iterator[str]:
    """A trial works that comes half of the way from the worst, but for a tenth of the trials, to the best."""
    maximize = summary["maximize"]
    best, worst = (values.max(), np.quantile(values, 0.1)) if maximize else (values.min(), np.quantile(values, 0.9))
    bar = float(best + worst) / 2
    good = values >= bar if maximize else values <= bar
    dims = [dim for dim in encoding.dimensions if dim.name in names]
    for found in patterns.hopeless(dims, trials, good):
        yield (
            f"{found.where[:1].upper()}{found.where[1:]} nothing works: none of {found.n_trials} trials reaches "
            f"{summary['metric']} {show(bar)}, half of the way to the best."
        )


def _about_the_best(best: list[patterns.Shared], n_best: int) -> Iterator[str]:
    telling = [f"{row.name} {row.values}" for row in best if row.telling]
    if telling:
        yield f"The best {n_best} trials have in common: {_listed(telling)}."


def _about_failures(study: Study, encoding: Encoding, failed: list[Trial], seed: int) -> Iterator[str]:
    if not failed:
        return
    n = len(study.trials)
    (reason, times), *_ = patterns.reasons(failed)
    yield f"{len(failed)} of {n} trials failed, {'all' if times == len(failed) else times} of them with: {reason}."
    common = patterns.failing(encoding, ordered(study), seed)
    if common is not None:
        yield (
            f"Those with {common.condition} fail: {common.n_failed_with} of {common.n_with}, "
            f"against {common.n_failed_without} of {common.n_without} others."
        )
    elif len(failed) < n:
        few = len(failed) < patterns.FEWEST_FAILED
        yield f"What failed trials have in common cannot be told{': they are too few' if few else ''}."


def _with_share(importance: Importance) -> str:
    share = importance.share
    return f"{importance.name} ({100 * share.value:.0f}% of the variation, {share.interval})"


def _listed(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _verb(verb: str, n: int) -> str:
    return verb if n > 1 else f"{verb}s"
