"""The explanation of a run in words and numbers: importances, effects, what the best share, and why trials failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from automl.analysis import patterns
from automl.analysis.comparable import MIN_COMPARED, BarelyExplored, ComparedTrials, barely_explored, compared
from automl.analysis.formatting import failed_in_words, has_folds, most_common, ordered, shorten, show
from automl.analysis.importance import MAX_TRIALS, Importance, Importances, importances
from automl.analysis.surrogate import Background, Effect, Surrogate
from automl.study.study import Study
from automl.study.trial import Trial
from automl.task import TOO_SLOW
from automl.wording import counted
from strategies.encoding import Encoding, plain
from strategies.features import Features
from strategies.threads import one_thread

MIN_TRIALS = 10  # for a statement about a hyperparameter
MAX_NAMED = 3  # hyperparameters without a verdict in a sentence
MIN_SKILL = 0.1  # a model with less skill is no better than the mean
GOOD_SKILL = 0.5  # a model with less skill may overlook an important hyperparameter
MAJOR_SHARE = 0.05  # a hyperparameter matters if its share is significantly larger
MIN_TRIALS_PER_VALUE = 3  # a choice is judged only if two of its values have as many compared trials
MINOR_SHARE = 0.10  # a hyperparameter hardly matters if its share is significantly smaller
MIN_GAP = 0.02  # shares whose intervals are closer are not ordered, as they are estimated on a grid
MIN_INTERACTION = 0.02  # an interaction is reported if its share is significantly larger

Verdict = Literal["matters", "hardly matters", "uncertain"]


@dataclass(frozen=True)
class Explanation:
    """The explanation. If ``reason`` is set, there are no importances and effects."""

    words: list[str]  # sentences, the most important first
    reason: str | None
    compared: ComparedTrials  # the trials used, except for the statements on failures
    importances: Importances | None = None
    effects: dict[str, Effect] = field(default_factory=dict)
    n_best: int = 0
    best: list[patterns.SharedValues] = field(default_factory=list)
    n_failed: int = 0

    @property
    def n_trials(self) -> int:
        """The number of compared trials."""
        return len(self.compared.trials)

    @property
    def judged(self) -> list[Importance]:
        """The importances from enough trials for a verdict; the uncertain ones come last."""
        each = [] if self.importances is None else self.importances.each
        return sorted((row for row in each if row.n_trials >= MIN_TRIALS), key=lambda row: verdict(row) == "uncertain")

    @property
    def not_judged(self) -> str:
        """One line on the hyperparameters that too few trials have; empty without any."""
        each = [] if self.importances is None else self.importances.each
        few = [row.name for row in each if row.n_trials < MIN_TRIALS]
        where = f"in fewer than {MIN_TRIALS} of the compared trials"
        return f"{where}, too few for a verdict: {_listed(_cut(few))}" if few else ""


def explain(study: Study, summary: Mapping[str, Any]) -> Explanation:
    """Explain a run from its trials; deterministic."""
    metric, maximize, seed = summary["metric"], summary["maximize"], summary["seed"]
    encoding = Encoding(study.space)
    comparison = compared(study, metric, maximize, "folds" if has_folds(summary) else "epochs")
    trials, values = comparison.trials, comparison.values
    failed = [trial for trial in study.trials.values() if trial.state == "failed"]
    barely = barely_explored(encoding, comparison) if comparison.enough else []
    basis = [comparison.basis] if comparison.basis else []
    ending = [*_about_barely(barely, comparison), *_about_failures(study, encoding, failed, seed)]
    facts: dict[str, Any] = {"compared": comparison, "n_failed": len(failed)}
    reason = _why_unexplained(encoding, trials, values)
    if reason is not None:
        return Explanation(words=[*basis, reason, *ending], reason=reason, **facts)
    found = importances(encoding, trials, values, maximize, seed)
    each = [_settled(importance, encoding, comparison, barely, found.skill) for importance in found.each]
    found = replace(found, each=[_within(importance, study, len(trials)) for importance in each])
    best = patterns.best_of(values, maximize)
    facts |= {"n_best": len(best), "best": patterns.shared(encoding, trials, best, seed)}
    about_best = list(_about_the_best(facts["best"], len(best), comparison))
    if found.skill < MIN_SKILL:
        reason = (
            f"Which hyperparameters matter cannot be determined from these {len(trials)} trials: a model of them "
            "predicts unseen trials no better than the mean. More trials, or a metric with less noise, may help."
        )
        return Explanation([*basis, reason, *about_best, *ending], reason, **facts)
    first, *rest = _about_importance(found)
    matters = [importance.name for importance in found.each if verdict(importance) == "matters"]
    nothing_works = _where_nothing_works(encoding, matters, comparison, barely, summary)
    words = [*basis, first, *nothing_works, *rest, *_about_pairs(found), *about_best, *ending]
    return Explanation(words, None, importances=found, effects=_effects(encoding, trials, values, seed), **facts)


def verdict(importance: Importance) -> Verdict:
    """The verdict from the interval of its share, and from how well its values are explored."""
    if importance.n_trials < MIN_TRIALS or not importance.contrasted:
        return "uncertain"
    if importance.share.low > MAJOR_SHARE:
        return "matters"
    return "hardly matters" if importance.share.high < MINOR_SHARE and importance.settled else "uncertain"


def _settled(
    importance: Importance, encoding: Encoding, comparison: ComparedTrials, barely: list[BarelyExplored], skill: float
) -> Importance:
    """The importance, settled if the model is good and all values are explored, contrasted if enough of them are."""
    dim = encoding.dimensions[encoding.names.index(importance.name)]
    tried = Counter(trial.config[dim.name] for trial in comparison.trials if dim.name in trial.config)
    gaps = len(tried) < 2 or (not dim.numeric and len(tried) < dim.n_values)
    gaps = gaps or any(region.name == dim.name for region in barely)
    contrasted = dim.numeric or sum(n >= MIN_TRIALS_PER_VALUE for n in tried.values()) > 1
    return replace(importance, settled=skill >= GOOD_SKILL and not gaps, contrasted=contrasted)


def _within(importance: Importance, study: Study, n_trials: int) -> Importance:
    """The importance with its condition in words, if not all trials have the hyperparameter."""
    if importance.n_trials == n_trials:
        return importance
    conditions = study.space.parent_conditions_of[importance.name]
    parts = [part for condition in conditions for part in getattr(condition, "components", [condition])]
    return replace(importance, within=" and ".join(map(_condition, parts)))


def _condition(part: Any) -> str:
    from ConfigSpace import EqualsCondition, InCondition

    if not isinstance(part, EqualsCondition | InCondition):
        return str(part)
    values = [part.value] if isinstance(part, EqualsCondition) else part.value
    name = "" if part.parent.name == "model" else f"{part.parent.name} "  # a family is known by its own name
    return name + " or ".join(show(plain(value)) for value in values)


def _why_unexplained(encoding: Encoding, trials: list[Trial], values: np.ndarray) -> str | None:
    if len(trials) < MIN_COMPARED:
        were = f"{len(trials)} {'was' if len(trials) == 1 else 'were'}"
        return f"Too few trials: {were} trained long enough to be compared, {MIN_COMPARED} are needed."
    if not patterns.varying(encoding):
        return "Nothing to explain: no hyperparameter can vary."
    if np.ptp(values) == 0:
        return "Nothing to explain: all trials reached the same value."
    return None


def _effects(encoding: Encoding, trials: list[Trial], values: np.ndarray, seed: int) -> dict[str, Effect]:
    points = np.array([encoding.encode(trial.config) for trial in trials])
    if len(points) > MAX_TRIALS:
        kept = np.random.default_rng(seed).choice(len(points), MAX_TRIALS, replace=False)
        points, values = points[kept], values[kept]
    with one_thread():
        background = Background.of(encoding, seed, [trial.config for trial in trials])
        model = Surrogate.fit(Features(encoding), points, values, background)
        dims = enumerate(encoding.dimensions)
        tried = {name for trial in trials for name in trial.config}
        return {d.name: model.effect(i) for i, d in dims if d.n_values > 1 and d.name in tried and model.reaches(i)}


# --- in words -----------------------------------------------------------------------------------------------------


def _about_importance(found: Importances) -> Iterator[str]:
    groups: dict[Verdict, list[Importance]] = {"matters": [], "hardly matters": [], "uncertain": []}
    for importance in found.each:
        groups[verdict(importance)].append(importance)
    everywhere = [importance for importance in groups["matters"] if not importance.within]
    within = [importance for importance in groups["matters"] if importance.within]
    first, others = next(iter(everywhere), None), everywhere[1:]
    if first is None:
        which = "No hyperparameter that all trials have" if within else "No hyperparameter"
        yield f"{which} matters with certainty: their shares are too uncertain."
    elif level := [o for o in others if o.share.high > first.share.low - MIN_GAP]:
        others = [o for o in others if o not in level]
        yield f"{_listed([_with_share(i) for i in (first, *level)])} matter most; their order is uncertain."
    else:
        rivals = [i for i in groups["uncertain"] if i.share.high > first.share.low]
        yield f"{_with_share(first)} {'matters' if rivals else 'matters most'}."
    if others:
        yield f"{_listed([_with_share(i) for i in others])} {_matter(len(others))} too."
    for importance in within:
        where = f"Within {importance.within} ({importance.n_trials} trials)"
        yield f"{where}, {_with_share(importance)} matters."
    hardly = [importance.name for importance in groups["hardly matters"]]
    if hardly:
        yield f"{_listed(hardly)} hardly {_matter(len(hardly))}."
    unsure = [importance.name for importance in groups["uncertain"] if importance.n_trials >= MIN_TRIALS]
    if unsure:
        shown = _cut(unsure)  # the verb agrees with the last of them, such as 3 more
        yield f"Whether {_listed(shown, 'or')} {'matters' if shown == unsure else 'matter'} is uncertain."


def _about_pairs(found: Importances) -> Iterator[str]:
    unknown = {importance.name for importance in found.each if not importance.contrasted}
    for pair in found.pairs:
        if pair.share.low > MIN_INTERACTION and unknown.isdisjoint(pair.names):
            yield (
                f"{pair.names[0]} and {pair.names[1]} interact: the effect of one depends on the other "
                f"({100 * pair.share.value:.0f}% of the variance is their interaction, {pair.share.interval})."
            )


def _where_nothing_works(
    encoding: Encoding,
    names: list[str],
    comparison: ComparedTrials,
    barely: list[BarelyExplored],
    summary: Mapping[str, Any],
) -> Iterator[str]:
    """Regions where no trial gets halfway from the worst tenth of the trials to the best.

    Only full trainings are used, since a slow start may end well. If others were stopped early, the full ones are a
    selection, and even the worst of them may be good.
    """
    if not comparison.whole:
        return
    values, maximize = comparison.values, summary["maximize"]
    best, worst = (values.max(), np.quantile(values, 0.1)) if maximize else (values.min(), np.quantile(values, 0.9))
    bar = float(best + worst) / 2
    good = values >= bar if maximize else values <= bar
    dims = [dim for dim in encoding.dimensions if dim.name in names]
    reached = f"reaches {summary['metric']} {show(bar)}, halfway"
    for found in patterns.hopeless(dims, comparison.trials, good, barely):
        where = f"{found.where[:1].upper()}{found.where[1:]}"
        if comparison.others:
            yield f"{where} none of {found.n_trials} full trainings {reached} from the worst tenth of them to the best."
        else:
            yield f"{where} nothing works: none of {found.n_trials} trials {reached} from the worst tenth to the best."


def _about_barely(barely: list[BarelyExplored], comparison: ComparedTrials) -> Iterator[str]:
    if barely:
        regions = "; ".join(region.in_words(comparison.length) for region in barely)
        yield f"Too little explored to say anything about: {regions}."


def _about_the_best(best: list[patterns.SharedValues], n_best: int, comparison: ComparedTrials) -> Iterator[str]:
    telling = [f"{row.name} {row.values}" for row in best if row.telling]
    if telling:
        yield f"The best {n_best} trials{comparison.after} have in common: {_listed(telling)}."


def _about_failures(study: Study, encoding: Encoding, failed: list[Trial], seed: int) -> Iterator[str]:
    if not failed:
        return
    n = study.n_ended
    same = most_common(shorten(trial.error or "no reason given", 120) for trial in failed)
    reason = same[0]
    slow = sum(trial.is_too_slow for trial in failed)
    failures = failed_in_words(len(failed), slow, n)
    if all(trial.had_no_time_left for trial in failed):
        yield f"{len(failed)} of {counted(n, 'trial')} had no time left."
        return
    if slow == len(failed):
        yield f"{failures}, as in: {reason.removeprefix(f'{TOO_SLOW}: ')}."
        return
    example = ", for example" if len({*same}) > 1 else ""
    of = f", {'all' if len(same) == len(failed) else len(same)} of them" if len(failed) > 1 else ""
    yield f"{failures}{of} with{example}: {reason}."
    common = patterns.failing(encoding, ordered(study), seed)
    if common is not None:
        yield (
            f"Those with {common.condition} fail: {common.n_failed_with} of {common.n_with}, "
            f"against {common.n_failed_without} of {common.n_without} others."
        )
    elif len(failed) < n:
        few = len(failed) < patterns.MIN_FAILED
        yield f"No common cause of the failures was found{': they are too few' if few else ''}."


def _with_share(importance: Importance) -> str:
    share = importance.share
    return f"{importance.name} ({100 * share.value:.0f}% of the variance, {share.interval})"


def _cut(names: list[str]) -> list[str]:
    return names if len(names) <= MAX_NAMED + 1 else [*names[:MAX_NAMED], f"{len(names) - MAX_NAMED} more"]


def _listed(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _matter(n: int) -> str:
    return "matter" if n > 1 else "matters"
