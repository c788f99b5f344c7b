"""More pending trials than a model can be told of, and a strategy that thinks longer than its workers train."""

import json
import math

import numpy as np
import pytest
from spaces import loss_of, space

from automl.space.parse import load_space
from strategies import make_strategy
from strategies._pace import FEW_WORKERS, WINDOW
from strategies.auto import MANY_TRIALS
from strategies.base import MANY_PENDING, Outcome, Proposal

FAMILIES = load_space(
    {
        "model": {"choice": ["a", "b"]},
        **{f"{m}{i}": {"float": [0.0, 1.0], "when": {"model": m}} for m in "ab" for i in range(3)},
    }
)


def outcome(proposal, seconds=1.0, failed=False):
    end = loss_of(proposal.config)
    losses = tuple(end + 1 / (1 + epoch) for epoch in range(proposal.epochs))
    return Outcome(proposal, (math.nan,) if failed else losses, seconds)


def searched(strategy, n_workers, n_told, thinking=0.0, seconds=1.0):
    """The log of a search with workers that are always busy; each ask and tell is charged."""
    log, pending, order = [], [], np.random.default_rng(0)
    while sum(isinstance(entry, Outcome) for entry in log) < n_told:
        if len(pending) < n_workers:
            entry = strategy.ask()
            pending.append(entry)
        else:
            entry = outcome(pending.pop(int(order.integers(len(pending)))), seconds, failed=len(log) % 11 == 7)
            strategy.tell(entry)
        strategy.charge(thinking, n_workers)
        log.append(entry)
    return log


def replayed(strategy, log, thinking=0.0, n_workers=1):
    for entry in log:
        if isinstance(entry, Proposal):  # as it comes out of the study
            strategy.restore(Proposal(entry.trial, entry.config, entry.epochs, json.loads(json.dumps(entry.info))))
        else:
            strategy.tell(entry)
        strategy.charge(thinking, n_workers)


@pytest.mark.parametrize(
    ("name", "which", "max_epochs"),
    [
        ("bo", "mixed", 1),
        ("bo+asha", "mixed", 9),
        ("ga+asha", "mixed", 9),
        ("tpe+asha", "mixed", 9),
        ("auto", "mixed", 9),
        ("auto", "families", 1),
    ],
)
def test_a_restored_search_with_many_pending_trials_continues_identically(name, which, max_epochs):
    def make():
        return make_strategy(
            name, FAMILIES if which == "families" else space(which), seed=1, n_trials=200, max_epochs=max_epochs
        )

    strategy, restored = make(), make()
    log = searched(strategy, MANY_PENDING + 6, 30)
    configs = {p.trial: json.dumps(p.config) for p in log if isinstance(p, Proposal)}
    assert len(set(configs.values())) == len(configs)
    replayed(restored, log)
    assert [restored.ask() for _ in range(20)] == [strategy.ask() for _ in range(20)]


def test_a_model_makes_several_proposals_only_with_many_pending_trials():
    few, many = (make_strategy("bo", space("mixed"), seed=0) for _ in range(2))
    for strategy, n_workers in ((few, MANY_PENDING), (many, MANY_PENDING + 1)):
        searched(strategy, n_workers, 12)
    few.tell(outcome(next(iter(few.pending.values()))))
    assert "ahead" not in few.ask().info
    proposals = [many.ask() for _ in range(5)]
    models = [p for p in proposals if "theta" in p.info]
    assert len(models) < len(proposals)
    assert all("left" in p.info for p in proposals if p not in models)


def test_further_proposals_keep_their_distance():
    """They are made as if the earlier ones were pending."""
    strategy = make_strategy("bo", load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}}), seed=0)
    log = searched(strategy, MANY_PENDING + 2, 12)
    ahead = next(p.info["ahead"] for p in reversed(log) if isinstance(p, Proposal) and "ahead" in p.info)
    points = np.array([[config["x"], config["y"]] for config in ahead])
    distances = np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(len(points), 1)]
    assert distances.min() > 0
    assert np.median(distances) > 0.05


def auto(**options):
    return make_strategy("auto", space("mixed"), seed=0, n_trials=250, **options)


def moves(strategy):
    return [finding for finding in strategy.findings if "the strategy takes" in finding]


def tiers(log):
    return [p.info.get("tier", 0) for p in log if isinstance(p, Proposal)]


def test_auto_moves_to_cheaper_strategies_while_workers_wait_and_says_so():
    strategy = auto()
    log = searched(strategy, 20, 2 * WINDOW + 4, thinking=0.06, seconds=1.0)  # 20 x 2 x 0.06 s of thinking: 2.4 s
    assert tiers(log) == sorted(tiers(log))
    assert set(tiers(log)) == {0, 1, 2}
    first, second = moves(strategy)
    assert first.startswith("tpe and ga from trial ")
    assert second.startswith("ga from trial ")
    assert first.endswith(": the strategy takes 0.12 s per training of 1 s, too long for 20 workers")
    arms = [p.info.get("arm") for p in log if isinstance(p, Proposal) and p.info.get("tier") == 2]
    assert set(arms) <= {"ga", None}


@pytest.mark.parametrize(
    ("n_workers", "thinking", "options"),
    [(FEW_WORKERS, 10.0, {}), (20, 0.02, {}), (20, 10.0, {"timed": False})],
    ids=["few workers", "fast enough", "reproducible"],
)
def test_auto_does_not_move_otherwise(n_workers, thinking, options):
    strategy = auto(**options)
    log = searched(strategy, n_workers, WINDOW + 4, thinking=thinking, seconds=1.0)
    assert set(tiers(log)) == {0}
    assert not moves(strategy)


@pytest.mark.parametrize("n_told", [WINDOW, WINDOW + 2, 2 * WINDOW + 4])
def test_a_resumed_auto_moves_at_the_same_trials(n_told):
    strategy, resumed = auto(max_epochs=9), auto(max_epochs=9)
    log = searched(strategy, 20, n_told, thinking=0.06, seconds=1.0)
    replayed(resumed, log, thinking=0.06, n_workers=20)
    assert moves(resumed) == moves(strategy)
    assert [resumed.ask() for _ in range(20)] == [strategy.ask() for _ in range(20)]
    assert moves(resumed) == moves(strategy)


def test_a_run_that_moved_can_be_extended_beyond_the_trials_that_a_model_is_worth():
    log = searched(auto(), 20, 2 * WINDOW + 4, thinking=0.06, seconds=1.0)
    extended = make_strategy("auto", space("mixed"), seed=0, n_trials=MANY_TRIALS + 1)
    replayed(extended, log)
    assert extended.ask().info["tier"] == 2
    assert moves(extended)[-1].startswith("ga from trial ")


def test_auto_with_many_trials_moves_to_the_cheapest_at_once():
    strategy = make_strategy("auto", space("mixed"), seed=0, n_trials=MANY_TRIALS + 1)
    log = searched(strategy, 20, 2 * WINDOW + 4, thinking=0.06, seconds=1.0)
    assert set(tiers(log)) == {0, 2}
    assert [move.startswith("ga from trial ") for move in moves(strategy)] == [True]
