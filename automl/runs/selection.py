"""Selection of an ensemble's members by out-of-fold predictions and by the time for fits to all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.datasets.registry import load_data
from automl.data.targets import levels_of
from automl.deployment.calibration import fit_shifts
from automl.deployment.ensemble import greedy_ensemble
from automl.metrics import DEFAULT_THRESHOLD, METRICS, best_threshold, loss_of, measure, seen_by_rows

if TYPE_CHECKING:
    from automl.runs.member_candidates import MemberCandidate
    from automl.tasks.cross_validated import CrossValidated

MAX_MEMBERS = 8
FEW_ROWS = 5_000  # up to this many, the weights are means over bootstrap samples
N_SAMPLES = 20  # bootstrap samples
NOISE = 2.0  # standard errors up to which a difference in the metric may be chance
MIN_WEIGHT = 0.005
SHARES = (1.0, 0.25)  # of the weight: an ensemble gets the largest with which the metric is not worse
MIN_SECONDS = 1.0  # members whose fits to all rows take less together are never left out for the time limit
MANY_ROWS = 20_000  # maximum size of a sample to measure a difference on


@dataclass(frozen=True)
class Selection:
    """The members of a model with their weights, which sum to 1, and out-of-fold scores."""

    members: Mapping[int, MemberCandidate]  # by trial
    weights: Mapping[int, float]
    score: float  # of the members together, by the task's metric, before shifts
    loss: float  # of the members together, which the weights are chosen by
    alone: float  # the same loss of the best single candidate
    threshold: float = DEFAULT_THRESHOLD  # between two classes
    shifts: Sequence[float] = ()  # of quantiles, one per level
    leader: MemberCandidate | None = None  # the best by the metric, where another one is kept alone
    as_scored: frozenset[int] = frozenset()  # the members kept as scored on the validation set; others get all rows
    wanted: int = 0  # number of members before some were dropped for lack of time; 0: none were

    @property
    def refit_seconds(self) -> list[float]:
        """The expected seconds to fit each member to all rows."""
        return [member.refit_seconds for member in self.members.values()]


def choose(task: CrossValidated, found: Sequence[MemberCandidate], max_members: int | None) -> Selection:
    """Choose ensemble weights by the out-of-fold predictions, with at most ``max_members`` members.

    On few rows, greedy weights and even more the best candidate overfit, so the weights are means over bootstrap
    samples of the rows (Caruana et al., Getting the Most Out of Ensemble Selection, ICDM 2006, sample candidates
    instead). The best candidate is kept alone only if the others do not improve on it. The comparison of such rules is
    in results/selection.csv.

    A metric without a row loss is replaced by its stand-in, as accuracy is by log loss, which is more informative. But
    the choice must not be worse by the metric itself, beyond NOISE, than the candidate that is best by it. An ensemble
    that is worse gets only a share of the weight (see SHARES); the best candidate that is not worse gets the rest.
    """
    splits, known = load_data(task.data_of(""), None, True), task.folds() >= 0
    y, counts = np.asarray(splits.y_train)[known], task.weights()
    counts = None if counts is None else counts[known]
    levels = levels_of(splits.target)
    by_row = losses_by_row(task, y, counts, levels)
    every = [candidate.predictions for candidate in found]
    shown = np.array([seen_by_rows(task.metric, y, predictions) for predictions in every])
    ranked = sorted(range(len(found)), key=lambda i: by_row(shown[i]).mean())
    decides = METRICS[task.metric].stand_in is None
    leader = ranked[0] if decides else min(ranked, key=lambda i: found[i].loss)

    def is_good(predicted: NDArray[Any]) -> bool:
        return decides or not _is_worse(task, y, counts, levels, every[leader], predicted)

    best = next(i for i in ranked if i == leader or is_good(every[i]))
    weights, alone = {best: 1.0}, float(by_row(shown[best]).mean())
    if max_members != 1:
        n = min(max_members or MAX_MEMBERS, MAX_MEMBERS, len(found))
        together = _together(task, y, counts, levels, shown, n)
        if by_row(_mean(shown, together)).mean() < alone:
            mixed = (_with(best, together, share, n) for share in SHARES)
            weights = _without_negligible(next((each for each in mixed if is_good(_mean(every, each))), weights))
    predicted = _mean(every, weights)
    threshold = best_threshold(task.metric, y, predicted, counts)
    shifts = [] if levels is None else fit_shifts(y, predicted, levels, counts)
    return Selection(
        {found[i].trial.number: found[i] for i in weights},
        {found[i].trial.number: weight for i, weight in weights.items()},
        measure(task.metric, y, predicted, threshold, counts, levels),
        float(by_row(_mean(shown, weights)).mean()),
        alone,
        threshold,
        shifts,
        found[leader] if set(weights) == {best} != {leader} else None,
    )


def _is_worse(
    task: CrossValidated,
    y: NDArray[Any],
    counts: NDArray[Any] | None,
    levels: Sequence[float] | None,
    leader: NDArray[Any],
    predicted: NDArray[Any],
) -> bool:
    """Whether predictions are worse by the metric than the leader's, by more than NOISE.

    The standard error is over bootstrap samples stratified by class, of at most about MANY_ROWS rows, scaled to the
    size of y.
    """
    thresholds = [best_threshold(task.metric, y, each, counts) for each in (leader, predicted)]

    def gap(rows: NDArray[np.intp] | slice) -> float:
        weights = None if counts is None else counts[rows]
        pairs = zip((leader, predicted), thresholds, strict=True)
        scores = [measure(task.metric, y[rows], each[rows], threshold, weights, levels) for each, threshold in pairs]
        return loss_of(task.metric, scores[1]) - loss_of(task.metric, scores[0])

    whole = gap(slice(None))
    if whole <= 0:
        return False
    rng, share = np.random.default_rng(0), min(1.0, MANY_ROWS / len(y))
    has_classes = METRICS[task.metric].kind == "classes"
    of_class = [np.flatnonzero(y == label) for label in np.unique(y)] if has_classes else [np.arange(len(y))]
    gaps = [
        gap(np.concatenate([rng.choice(rows, int(np.ceil(share * len(rows)))) for rows in of_class]))
        for _ in range(N_SAMPLES)
    ]
    return bool(whole > NOISE * np.std(gaps) * np.sqrt(share))


def _together(
    task: CrossValidated,
    y: NDArray[Any],
    counts: NDArray[Any] | None,
    levels: Sequence[float] | None,
    shown: NDArray[Any],
    max_members: int,
) -> dict[int, float]:
    """Greedy weights, or their means over bootstrap samples of few rows; the largest ``max_members``, summing to 1."""
    rng, n = np.random.default_rng(0), len(y)
    samples = [rng.integers(0, n, n) for _ in range(N_SAMPLES)] if n <= FEW_ROWS else [np.arange(n)]
    total: dict[int, float] = {}
    for rows in samples:
        by_row = losses_by_row(task, y[rows], None if counts is None else counts[rows], levels)
        found = greedy_ensemble(list(shown[:, rows]), lambda predicted: float(by_row(predicted).mean()), max_members)  # noqa: B023
        for place, weight in found.items():
            total[place] = total.get(place, 0.0) + weight
    kept = sorted(total, key=lambda place: -total[place])[:max_members]
    return {place: total[place] / sum(total[each] for each in kept) for place in sorted(kept)}


def _with(best: int, together: Mapping[int, float], share: float, max_members: int) -> dict[int, float]:
    """A share of the weights ``together``, and the rest for ``best``, perhaps one of them; ``max_members`` at most."""
    if share == 1.0:
        return dict(together)
    others = sorted((i for i in together if i != best), key=lambda i: -together[i])[: max_members - 1]
    total = sum(together[i] for i in others) + together.get(best, 0.0)
    weights = {i: share * together[i] / total for i in sorted({best, *others} & together.keys())}
    return weights | {best: weights.get(best, 0.0) + 1.0 - share}


def _without_negligible(weights: Mapping[int, float]) -> dict[int, float]:
    """The weights, which sum to 1, without those below MIN_WEIGHT: a member costs time at each prediction."""
    kept = {i: weight for i, weight in weights.items() if weight >= MIN_WEIGHT}
    return {i: weight / sum(kept.values()) for i, weight in kept.items()}


def _mean(predictions: Any, weights: Mapping[int, float]) -> NDArray[Any]:
    found: NDArray[Any] = np.sum([weight * predictions[i] for i, weight in weights.items()], axis=0)
    return found


def losses_by_row(
    task: CrossValidated, y: NDArray[Any], weights: NDArray[Any] | None, levels: Sequence[float] | None
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A function from the result of ``seen_by_rows`` to weighted row losses, by the metric or its stand-in."""
    loss = METRICS[METRICS[task.metric].stand_in or task.metric].row_loss
    assert loss is not None
    share: Any = 1.0 if weights is None else weights / weights.mean()
    return lambda predicted: share * (loss(y, predicted) if levels is None else loss(y, predicted, levels))


def affordable(
    task: CrossValidated, found: Sequence[MemberCandidate], chosen: Selection, n_workers: int, left: float
) -> Selection:
    """The choice, limited to members that can be fitted to all rows within ``left`` seconds; at least one.

    If scored models are kept, these stand in for the fits that take too long. Otherwise, candidates that alone take
    longer are dropped, then members until the rest fits. If all take longer, the quickest is kept.
    """
    n, most = len(chosen.members), max(left, MIN_SECONDS)

    def fits(seconds: Sequence[float]) -> bool:
        return max(sum(seconds) / n_workers, max(seconds)) <= most

    if fits(chosen.refit_seconds):
        return chosen
    if task.keeps_models:
        order = sorted(chosen.members, key=lambda number: chosen.members[number].refit_seconds)
        while order and not fits([chosen.members[number].refit_seconds for number in order]):
            order.pop()
        return replace(chosen, as_scored=frozenset(chosen.members.keys() - {*order}))
    quick = [candidate for candidate in found if candidate.refit_seconds <= most]
    quick = quick or [min(found, key=lambda candidate: candidate.refit_seconds)]
    best, chosen = chosen, choose(task, quick, n)
    while len(chosen.members) > 1 and not fits(chosen.refit_seconds):
        chosen = choose(task, quick, len(chosen.members) - 1)
    return chosen if chosen.members.keys() == best.members.keys() else replace(chosen, wanted=n)


def without_damaged(
    task: CrossValidated,
    found: Sequence[MemberCandidate],
    max_members: int | None,
    left: float,
    say: Callable[[str], None],
) -> tuple[Sequence[MemberCandidate], Selection]:
    """The candidates and the choice among them, without members whose damaged models cannot be refitted within ``left``
    seconds; at least one remains. ``say``: called with a line about each that is left out."""
    while True:
        chosen = choose(task, found, max_members)
        late = {n: m for n, m in chosen.members.items() if m.damage and m.refit_seconds > max(left, MIN_SECONDS)}
        rest = [candidate for candidate in found if candidate.trial.number not in late]
        if not late or not rest:
            return found, chosen
        for number, member in late.items():
            say(f"ensemble: trial {number} is left out, as there is no time to fit it again: {member.damage[0]}")
        found = rest
