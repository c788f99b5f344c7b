"""What is kept sorted as trials come and go equals what is computed from all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import loss_of, space

from strategies import make_strategy
from strategies._ladder import ETA, MIN_PAIRS, Ladder, RankedLadder, rank_correlation
from strategies._mix import Standings
from strategies._ranking import Ranking
from strategies._tally import Tally
from strategies.base import Outcome, Proposal
from strategies.genetic import POPULATION, Individual

LEVELS = [1, 2, 4]
tied = st.sampled_from([-1.5, 0.0, 0.25, 1.0, 3.0, math.inf])
changes = st.lists(st.tuples(st.integers(0, 9), st.none() | tied | st.just(math.nan)), max_size=40)
curves = st.lists(st.tuples(st.integers(0, 25), st.lists(tied, min_size=1, max_size=4), st.booleans()), max_size=60)


@settings(derandomize=True, deadline=None)
@given(changes)
def test_a_ranking_is_the_sorted_items(changes):
    ranking, values = Ranking(), {}
    for item, value in changes:
        if value is None:
            ranking.discard(item)
            values.pop(item, None)
        else:
            ranking.put(item, value)
            values[item] = math.inf if math.isnan(value) else value
    ordered = sorted(values, key=lambda item: (values[item], item))
    assert ranking.items() == ordered
    assert [ranking.rank(item) for item in ordered] == list(range(len(ordered)))
    assert ranking.items(1, 3) == ordered[1:3]
    assert all((item in ranking) == (item in values) for item in range(10))
    for limit in (-2.0, 0.0, 1.1):
        assert ranking.n_above(limit, 0.1) == sum(value + 0.1 > limit for value in values.values())
    if values and math.isfinite(max(values.values())):
        assert ranking.median() == np.median(list(values.values()))
        assert ranking.value(-1) == max(values.values())


def naive_correlation(ladder: Ladder, rung: int) -> float | None:
    pairs = np.array([(e[rung], e[rung + 1]) for e in ladder.losses.values() if {rung, rung + 1} <= e.keys()])
    if len(pairs) < MIN_PAIRS:
        return None
    better = pairs[np.argsort(pairs[:, 1], kind="stable")[: (len(pairs) + 1) // 2]]
    return rank_correlation(better[:, 0], better[:, 1])


def entered(kind: type[Ladder], curves: list) -> Ladder:
    ladder = kind(LEVELS)
    for trial, losses, stopped in curves:
        ladder.enter(Outcome(Proposal(trial, {}, len(losses)), tuple(losses), 1.0, stopped=stopped))
    return ladder


@settings(derandomize=True, deadline=None)
@given(curves)
def test_a_ranked_ladder_is_up_to_date(curves):
    ladder, naive = entered(RankedLadder, curves), entered(Ladder, curves)
    assert ladder.losses == naive.losses
    with np.errstate(invalid="ignore"):
        assert np.array_equal(ladder.steps(), naive.steps(), equal_nan=True)
    for rung, ranked in enumerate(ladder.ranked):
        losses = {trial: each[rung] for trial, each in naive.losses.items() if rung in each}
        assert ranked.items() == sorted(losses, key=lambda trial: (losses[trial], trial))
    for rung in range(len(LEVELS) - 1):
        assert ladder.correlation(rung) == pytest.approx(naive_correlation(naive, rung), nan_ok=True)


@settings(derandomize=True, deadline=None)
@given(curves)
def test_standings_count_the_worse_trials(curves):
    standings, naive = entered(Standings, curves), entered(Ladder, curves)
    with np.errstate(invalid="ignore"):
        steps = naive.steps()
    values = {trial: naive.value(trial, steps) for trial in naive.losses}
    for trial, value in values.items():
        assert standings.n_worse(trial) == sum(value < other for other in values.values())


def test_a_tally_knows_its_sum():
    tally = Tally()
    for trial, n in [(0, 3), (1, 9), (0, 1), (2, 27)]:
        tally[trial] = n
    assert tally.total == sum(tally.values()) == 37


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 7), min_size=40, max_size=120), st.booleans())
def test_asha_promotes_the_best_of_all_that_wait(order, has_ties):
    """With up to eight pending trials, failures and ties."""
    strategy = make_strategy("random+asha", space("numeric"), seed=len(order), n_trials=20, max_epochs=9)
    pending = []
    for i, k in enumerate(order):
        pending.append(strategy.ask())
        if len(pending) > k:
            proposal = pending.pop(k)
            end = loss_of(proposal.config)
            losses = tuple((round(end, 1) if has_ties else end) + 1 / (1 + epoch) for epoch in range(proposal.epochs))
            strategy.tell(Outcome(proposal, (math.nan,) if i % 9 == 5 else losses, 1.0))
        assert strategy._promotable() == naive_promotion(strategy)


def naive_promotion(strategy) -> tuple[int, int] | None:
    if strategy._default_is_due():
        return 0, len(strategy.ladder.levels) - 1
    for rung in reversed(range(len(strategy.ladder.levels) - 1)):
        losses = {trial: each[rung] for trial, each in strategy.ladder.losses.items() if rung in each}
        ranked = sorted(losses, key=lambda trial: (losses[trial], trial))
        for trial in ranked[: len(ranked) // ETA]:
            if trial not in strategy._promoted[rung] | strategy._failed:
                return trial, rung + 1
    return None


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.none() | tied), min_size=1, max_size=60))
def test_the_population_is_that_of_all_trials(told):
    """Trials may be told again, as by a wrapper; failures count as the worst loss."""
    strategy = make_strategy("ga", space("numeric"), seed=0)
    draws = np.random.default_rng(0)
    configs = [strategy.encoding.decode(draws.random(2)) for _ in range(31)]
    strategy.tell(Outcome(Proposal(-1, configs[0], 1), (0.5,), 1.0))
    for trial, loss in told:
        strategy.tell(Outcome(Proposal(-2 - trial, configs[trial], 1), () if loss is None else (loss,), 1.0))
    everyone = [
        Individual(strategy.encoding.encode(config), trial, loss)
        for trial, config, loss in zip(strategy.outcomes, *strategy.observations(), strict=True)
    ]
    survive = strategy._toolbox.survive
    population, expected = (survive(each, POPULATION) for each in (strategy._fittest(), everyone))
    assert [each.trial for each in population] == [each.trial for each in expected]
