"""Asynchronous Hyperband: brackets, and the comparison of all trials on common rungs."""

from collections import Counter

import numpy as np

from automl.space.parse import load_space
from strategies import make_strategy
from strategies.base import Outcome
from strategies.hyperband import brackets

SPACE = load_space({"x": {"float": [0, 1]}})


def test_a_round_has_the_proportions_of_the_paper():
    assert Counter(brackets(4)) == {0: 27, 1: 12, 2: 6, 3: 4}
    assert Counter(brackets(5)) == {0: 81, 1: 34, 2: 15, 3: 8, 4: 5}  # its table 1
    assert brackets(1) == (0,)


def test_new_trials_start_at_every_rung_from_the_lowest_up():
    strategy = make_strategy("random+hyperband", SPACE, seed=0, n_trials=20, max_epochs=27)
    starts = [strategy.ask().epochs for _ in range(2 * 49)]
    assert starts[:49] == [1] * 27 + [3] * 12 + [9] * 6 + [27] * 4
    assert starts[49:] == starts[:49]


def test_trials_that_start_higher_are_compared_with_promoted_ones():
    strategy = make_strategy("random+hyperband", SPACE, seed=0, n_trials=40, max_epochs=27)
    reached = {}
    while len(reached) < 98:
        proposal = strategy.ask()
        reached[proposal.trial] = proposal
        strategy.tell(Outcome(proposal, (proposal.config["x"],) * proposal.epochs, 1.0))
    low = [p.config["x"] for trial, p in reached.items() if trial % 49 < 27 and p.epochs == 27]
    middle = [p.config["x"] for trial, p in reached.items() if 27 <= trial % 49 < 45 and p.epochs == 27]
    everyone = [p.config["x"] for p in reached.values()]
    assert max(low + middle) < np.median(everyone)


def test_uninformative_rungs_have_no_bracket():
    strategy = make_strategy("random+hyperband", SPACE, seed=0, n_trials=20, max_epochs=27)
    rng = np.random.default_rng(0)
    for _ in range(200):
        proposal = strategy.ask()
        end = proposal.config["x"]
        strategy.tell(Outcome(proposal, (float(rng.random()), *[end] * (proposal.epochs - 1)), 1.0))
    assert strategy.ladder.lowest == 1
    starts = Counter(p.epochs for p in (strategy.ask() for _ in range(100)) if p.info["from"] != "asha")
    assert 1 not in starts
    assert starts[3] > starts[9] > starts[27] > 0
