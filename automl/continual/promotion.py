"""Choice of the best candidate, and its comparison with the model in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.analysis.ensembles import not_better_than_baseline
from automl.continual.candidates import Candidate
from automl.continual.new_data import n_old, splits_by_family, truth_of
from automl.continual.paired_bootstrap import (
    CONFIDENCE,
    PROMOTION_CONFIDENCE,
    Gain,
    GroundTruth,
    allowance,
    follows,
    gain,
    score,
    widened,
    without_forgetting,
)
from automl.continual.scores import compare, on_test
from automl.continual.versions import MODEL, Lineage
from automl.data.ingest.windows import LAST_VALUE
from automl.data.splits import Splits, held_out
from automl.deployment.model_card import ModelDraft, write_card
from automl.metrics import DEFAULT_THRESHOLD, METRICS, loss_of
from automl.runs.final_model import fingerprint
from automl.tasks.user_data import OwnData
from automl.wording import significant

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor
    from automl.tasks.cross_validated import CrossValidated

SAW_VALID = "saw_valid"  # key in a card: see `saw_validation`


@dataclass(frozen=True)
class Verdict:
    """The comparison of the best candidate with the model in use, on validation data."""

    new: Gain
    both: Gain  # on new and old data together
    lost: Gain  # of the model in use over the candidate, on old data
    allowed: float  # loss on old data
    n_old: int  # old examples to judge by; 0 if the model was fitted to all

    @property
    def promoted(self) -> bool:
        return follows(self.new, self.both, self.lost, self.allowed)


def saw_validation(card: Mapping[str, Any]) -> bool:
    """Whether a model was trained on its run's validation set: refitted to it, or fine-tuned from such a model."""
    return card.get("made") == "refit" or bool(card.get(SAW_VALID))


def promote(
    task: OwnData | CrossValidated,
    before: Predictor,
    lineage: Lineage,
    candidates: Sequence[Candidate],
    writing: Path,
    tolerance: float,
    metric: str,
) -> dict[str, Any]:
    """Choose and judge on the validation set, by cross-fitting; write the model if it is to be promoted.

    ``task``: with the metric to judge by. ``before``: the model in use. ``lineage``: its versions, which are scored on
    the test set too. ``metric``: the run's, for the model's card.
    """
    from automl.deployment.predictor import Predictor, load_predictor

    choice = _choose(task, before, candidates, tolerance)
    verdict, model = choice.verdict, choice.candidate.model
    why = f"{SHORT[choice.candidate.what]} {_in_words(task.metric, verdict)}"
    rules = {
        "temperature": _temperature(task.metric, choice), "threshold": model.threshold, "shifts": model.shifts,
    }  # fmt: skip
    after, coming = Predictor(model.members, None, rules), lineage.coming
    others = ((number, place) for number, place in lineage.models.items() if number != lineage.current)
    earlier = ((number, load_predictor(place)) for number, place in others)
    compared = compare(task, chain([(lineage.current, before)], earlier, [(coming, after)]))
    in_use, candidate = (compared["scores"][str(version)] for version in (lineage.current, coming))
    doubt = None
    if verdict.promoted:
        about = {name: before.card.get(name) for name in ("strategy", "seed", "n_trials", "started")}
        about |= {"updated": datetime.now(UTC).isoformat(timespec="seconds"), "version": coming, SAW_VALID: choice.saw}
        reported = replace(task, metric=metric)
        how = _in_words(task.metric, verdict)
        facts = compared if metric == task.metric else compare(reported, [])
        card = _write(reported, choice, after, writing, about, how, _baseline(facts))
        doubt = not_better_than_baseline(card)
    return {
        "chosen": {"what": choice.candidate.what, "config": dict(choice.candidate.config)},
        "metric": task.metric,
        "gain_on_new": verdict.new.value,
        "gain_on_new_low": verdict.new.low,
        "gain_on_all": verdict.both.value,
        "gain_on_all_low": verdict.both.low,
        "loss_on_old": verdict.lost.value,
        "loss_on_old_low": verdict.lost.low,
        "allowed_on_old": verdict.allowed,
        "test": {side: {"in_use": in_use[side], "candidate": candidate[side]} for side in in_use if side != "all"},
        **compared,
        "promoted": verdict.promoted,
        "why": why,
        "doubt": doubt,
    }


def outcome(facts: Mapping[str, Any]) -> Iterator[str]:
    """What an update has done, for its result of ``promote``."""
    yield f"promoted: {facts['why']}" if facts["promoted"] else f"not promoted: {facts['why']}; {NOT_USED}"
    if facts["doubt"]:
        yield facts["doubt"]


@dataclass(frozen=True)
class _Choice:
    """The best candidate, judged against the model in use."""

    candidate: Candidate
    predicted: NDArray[Any]  # its predictions for the validation set
    truth: GroundTruth  # of the validation set
    unseen: NDArray[np.int64]  # the validation examples that no candidate was trained on
    halves: Sequence[NDArray[np.int64]]  # of these
    saw: bool  # whether this candidate was trained on the others
    verdict: Verdict


def _choose(
    task: OwnData | CrossValidated, before: Predictor, candidates: Sequence[Candidate], tolerance: float
) -> _Choice:
    splits, old, truth = splits_by_family(task), n_old(Path(task.data)), truth_of(task, "valid")
    models = [candidate.model for candidate in candidates]
    on_valid = [model.deciding(lambda family: splits(family).x_valid) for model in models]
    comparison = _Comparison.of(task, before, splits, old, tolerance)
    usable = without_forgetting(
        [comparison.lost(model, on_valid[i]) for i, model in enumerate(models)], comparison.allowed
    )
    seen = [saw_validation(before.card) and candidate.what == "continued" for candidate in candidates]
    unseen = np.arange(old["valid"] if any(seen) else 0, len(truth))
    halves = [unseen[half] for half in held_out(truth.y[unseen], len(unseen) // 2)]
    place, crossed = _best(task.metric, truth, [on_valid[i] for i in usable], halves, old["valid"])
    best = usable[place]
    verdict = comparison.verdict(models[best], crossed)
    return _Choice(candidates[best], on_valid[best], truth, unseen, halves, seen[best], verdict)


def _temperature(metric: str, choice: _Choice) -> float:
    """The temperature of the candidate's probabilities."""
    from automl.deployment.calibration import LabelledProbabilities, temperature_that_helps

    has_own_threshold = choice.candidate.model.threshold != DEFAULT_THRESHOLD
    if METRICS[metric].kind != "classes" or has_own_threshold:  # these need raw probabilities
        return 1.0
    truth = choice.truth
    return temperature_that_helps(
        *(LabelledProbabilities(choice.predicted[half], truth.y[half], truth[half].weights) for half in choice.halves)
    )


def _write(
    task: OwnData | CrossValidated,
    choice: _Choice,
    after: Predictor,
    writing: Path,
    about: Mapping[str, Any],
    how: str,
    baseline: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the promoted model; returns its card. ``how``: how it compares with the model in use."""
    scores, shares = on_test(task, after)
    kept = ModelDraft(
        "updated",
        f"{LONG[choice.candidate.what]}; compared with the previous model, it {how}",
        choice.candidate.write(writing / MODEL),
        temperature=float(after.card["temperature"]),
        threshold=after.threshold,
        shifts=after.shifts,
        scores=scores,
        below_quantiles=shares,
        baseline=baseline,
    )
    data = fingerprint(splits_by_family(task)(task.space["model"].default_value))
    on_valid = score(task.metric, choice.truth[choice.unseen], choice.predicted[choice.unseen])
    return write_card(writing / MODEL, task, kept, data, about, on_valid)


def _baseline(compared: Mapping[str, Any]) -> dict[str, Any]:
    """The score of the baseline on all test rows, for a model card."""
    n, baseline = compared["n_test"], compared["baseline"]
    rows = f"Both are scored on {n['old']:,} earlier rows and {n['new']:,} new ones"
    if baseline["name"] != LAST_VALUE:
        rows += f"; the baseline is that of the {compared['rows_in_all']['train']:,} training rows, old and new"
    return {"name": baseline["name"], "score": baseline["all"], "split": "test", "rows": f"{rows}."}


def _best(
    metric: str,
    truth: GroundTruth,
    predicted: Sequence[NDArray[Any]],
    halves: Sequence[NDArray[np.int64]],
    n_old_rows: int,
) -> tuple[int, NDArray[Any]]:
    """The best candidate's index, and predictions for judging it: the candidate chosen on each half of the examples is
    judged on the other half, so that every example is used and none judges its own choice. ``halves``: of validation
    examples that no candidate was trained on."""

    def best_by(rows: NDArray[np.int64]) -> int:
        return int(np.argmin([loss_of(metric, _balanced(metric, truth, p, rows, n_old_rows)) for p in predicted]))

    best = best_by(np.concatenate(halves))
    crossed = predicted[best].copy()
    for choosing, judging in (halves, halves[::-1]):
        crossed[judging] = predicted[best_by(choosing)][judging]
    return best, crossed


@dataclass(frozen=True)
class _Comparison:
    """The examples for judging: new validation examples, and old ones that the model in use was not trained on."""

    metric: str
    truth: GroundTruth  # of the validation set, old before new
    ours: NDArray[Any]  # the model in use's predictions for it
    n_old: int
    old: GroundTruth
    ours_old: NDArray[Any]
    x_old: Callable[[str], NDArray[Any]] | None  # by model family, if the old examples are not from the validation set
    allowed: float  # loss on them

    @classmethod
    def of(
        cls,
        task: OwnData | CrossValidated,
        before: Predictor,
        splits: Callable[[str], Splits],
        old: Mapping[str, int],
        tolerance: float,
    ) -> _Comparison:
        truth, n = truth_of(task, "valid"), old["valid"]
        ours = widened(before.deciding(lambda family: splits(family).x_valid), truth)
        truth_old, ours_old, x_old = truth[:n], ours[:n], None
        if saw_validation(before.card) or not n:

            def x_old(family: str) -> NDArray[Any]:
                return splits(family).x_test[: old["test"]]

            truth_old, ours_old = truth_of(task, "test")[: old["test"]], widened(before.deciding(x_old), truth)
        allowed = allowance(task.metric, tolerance, score(task.metric, truth_old, ours_old)) if len(truth_old) else 0.0
        return cls(task.metric, truth, ours, n, truth_old, ours_old, x_old, allowed)

    def lost(self, model: Predictor, predicted: NDArray[Any]) -> Gain:
        """The gain of the model in use over ``model`` on old examples; ``predicted``: for the validation set."""
        return self._lost(self._theirs(model, predicted))

    def verdict(self, model: Predictor, predicted: NDArray[Any]) -> Verdict:
        new, on_old = slice(self.n_old, None), self._theirs(model, predicted)
        on_new = widened(predicted, self.truth)[new]
        ours = np.concatenate([self.ours_old, self.ours[new]])
        return Verdict(
            gain(self.metric, self.truth[new], self.ours[new], on_new, PROMOTION_CONFIDENCE),
            gain(self.metric, self.old + self.truth[new], ours, np.concatenate([on_old, on_new]), PROMOTION_CONFIDENCE),
            self._lost(on_old),
            self.allowed,
            len(self.old),
        )

    def _lost(self, on_old: NDArray[Any]) -> Gain:
        if not len(self.old):
            return Gain(0.0, 0.0)
        return gain(self.metric, self.old, on_old, self.ours_old, CONFIDENCE)

    def _theirs(self, model: Predictor, predicted: NDArray[Any]) -> NDArray[Any]:
        """A candidate's predictions for the old examples."""
        on_old = predicted[: self.n_old] if self.x_old is None else model.deciding(self.x_old)
        return widened(on_old, self.truth)


def _balanced(metric: str, truth: GroundTruth, predicted: NDArray[Any], rows: NDArray[np.int64], n: int) -> float:
    """The mean of the scores on old and on new examples, so that many old ones do not outweigh the new."""
    sides = [rows[rows < n], rows[rows >= n]]
    return float(np.mean([score(metric, truth[side], widened(predicted, truth)[side]) for side in sides if len(side)]))


NOT_USED = "later updates do not use these rows unless they are given again"
SHORT = {"continued": "the fine-tuned model", "retrained": "the model, trained again,", "searched": "a new config"}
LONG = {
    "continued": "the previous model, fine-tuned on new data",
    "retrained": "the previous model, trained again on old and new data",
    "searched": "a new config, trained on old and new data",
}


def _in_words(metric: str, verdict: Verdict) -> str:
    """How a candidate compares with the model in use."""
    found, both, lost = verdict.new, verdict.both, verdict.lost
    by = f"{metric} by {significant(abs(found.value))} on new validation data"
    if found.low > 0:
        new = f"is better in {by} (likely by {significant(found.low)})"
    elif found.value > 0 and both.low > 0:
        new = f"is better in {by}, on all data likely by {significant(both.low)},"
    elif found.value > 0:
        new = f"is better in {by}, which may be chance,"
    elif found.value < 0:
        new = f"is worse in {by}"
    else:
        new = f"is equal in {metric} on new validation data"
    if not verdict.n_old:
        return f"{new.removesuffix(',')}; there is no test set of the run to compare on"
    if lost.value <= 0:
        old = "no worse on old"
    elif lost.low > 0:
        old = f"worse by {significant(lost.value)} on old ({significant(verdict.allowed)} is allowed)"
    else:
        old = f"worse by {significant(lost.value)} on old, which may be chance"
    return f"{new} and {old}"
