"""How every strategy in STRATEGIES, also with a wrapper, uses the configs to start with."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import N_CELLS_FINITE, loss_of, space

from strategies import STRATEGIES, make_strategy
from strategies.base import Outcome, Proposal, Start, Strategy
from strategies.config_strategy import PATIENCE
from strategies.encoding import Encoding

every_strategy = pytest.mark.parametrize("name", [*STRATEGIES, "bo+asha", "tpe+asha"])


def starts(space_name: str, n: int = 5, study: str | None = "past") -> list[Start]:
    encoding, rng = Encoding(space(space_name)), np.random.default_rng(8)
    found: list[Start] = []
    while len(found) < n:
        config = encoding.decode(rng.random(len(encoding.dimensions)))
        known = [start.config for start in found] + [encoding.default]
        if encoding.allows(config) and config not in known:
            found.append(Start(config, study))
    return found


def make(name: str, prior: list[Start], space_name: str = "mixed", seed: int = 0) -> Strategy:
    return make_strategy(name, space(space_name), seed=seed, n_trials=30, max_epochs=9, prior=prior)


def tell(strategy: Strategy, proposal: Proposal, loss: float | None = None) -> Outcome:
    """Tell an outcome; a loss of NaN is a failure."""
    loss = loss_of(proposal.config) if loss is None else loss
    outcome = Outcome(proposal, tuple(loss + 0.1 * (9 - epoch) for epoch in range(1, proposal.epochs + 1)), 1.0)
    strategy.tell(outcome)
    return outcome


def new_configs(strategy: Strategy, losses: list[float]) -> list[Proposal]:
    """The first proposals of trials, told the given losses in order, regardless of promotions in between."""
    found = []
    while len(found) < len(losses):
        proposal = strategy.ask()
        assert proposal is not None
        is_new = proposal.trial == len(found)
        if is_new:
            found.append(proposal)
        tell(strategy, proposal, losses[proposal.trial])
    return found


@every_strategy
def test_the_prior_comes_after_the_default_and_before_everything_else(name):
    prior = starts("mixed", 3) + starts("mixed", 4, study=None)[3:]
    proposals = new_configs(make(name, prior), [5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    proposals = proposals[0 if name == "grid" else 1 :][: len(prior)]
    assert [p.config for p in proposals] == [start.config for start in prior]
    assert [dict(p.info) for p in proposals] == [{"from": "prior", "study": "past"}] * 3 + [{"from": "start"}]


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "grid"] + ["bo+asha", "tpe+asha"])
def test_disappointing_past_studies_are_dropped_but_user_configs_are_not(name):
    theirs, own = starts("mixed", 6)[:5], starts("mixed", 7, study=None)[5:]
    proposals = new_configs(make(name, theirs + own), [1.0, 0.5, *[1.0 + i for i in range(9)]])
    tried = [p.info["from"] for p in proposals[1:]]
    assert tried[: 1 + PATIENCE] == ["prior"] * (1 + PATIENCE)
    assert "prior" not in tried[1 + PATIENCE :]
    assert [p.config for p in proposals if p.info["from"] == "start"] == [start.config for start in own]


def test_a_stopped_start_is_compared_with_the_default_after_as_many_epochs():
    strategy = make("bo", starts("mixed"))
    default = strategy.ask()
    assert default is not None
    strategy.tell(Outcome(default, tuple(float(10 - epoch) for epoch in range(9)), 1.0))  # from 10 down to 2
    for _ in range(1 + PATIENCE):
        proposal = strategy.ask()
        assert proposal is not None
        assert proposal.info["from"] == "prior"
        strategy.tell(Outcome(proposal, (6.0, 5.0), 1.0, stopped=True))


@every_strategy
def test_after_a_failed_default_every_success_is_better(name):
    prior = starts("mixed")
    proposals = new_configs(make(name, prior), [math.nan, *range(9)])
    assert [p.config for p in proposals if p.info["from"] == "prior"] == [start.config for start in prior]


@every_strategy
def test_asks_before_any_tell_use_the_prior(name):
    prior = starts("conditional")
    strategy = make(name, prior, "conditional")
    asked = [strategy.ask().config for _ in range(8)]
    assert [config for config in asked if any(config == start.config for start in prior)] == [s.config for s in prior]
    assert len({tuple(sorted(config.items())) for config in asked}) == 8


@every_strategy
def test_a_finite_space_is_enumerated_once_with_a_prior_too(name):
    strategy = make(name, starts("finite", 4), "finite")
    configs = []
    while (proposal := strategy.ask()) is not None:
        if proposal.config not in configs:
            configs.append(proposal.config)
        tell(strategy, proposal)
    assert len(configs) == N_CELLS_FINITE
    assert strategy.exhausted


@every_strategy
@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_restoring_any_prefix_with_a_prior_gives_the_same_next_proposals(name, data):
    """Up to three pending proposals, told in any order, with failures and with good or disappointing priors."""
    prior = starts("mixed", 4) + starts("mixed", 6, study=None)[4:]
    strategy, log, pending = make(name, prior), [], []
    better = data.draw(st.booleans())
    for _ in range(data.draw(st.integers(0, 16))):
        if pending and (len(pending) == 3 or data.draw(st.booleans())):
            proposal = pending.pop(data.draw(st.integers(0, len(pending) - 1)))
            loss = proposal.trial + 1.0
            if data.draw(st.integers(0, 9)) < 2:
                loss = math.nan
            log.append(("tell", tell(strategy, proposal, -loss if better else loss)))
        else:
            pending.append(strategy.ask())
            log.append(("ask", pending[-1]))
    restored = make(name, prior)
    for kind, value in log:
        (restored.restore if kind == "ask" else restored.tell)(value)
    assert [restored.ask() for _ in range(3)] == [strategy.ask() for _ in range(3)]


@every_strategy
def test_a_config_outside_the_space_is_rejected(name):
    with pytest.raises(ValueError, match="unknown hyperparameter"):
        make(name, [Start({"nonsense": 1})])


@pytest.mark.parametrize(("losses", "n_sobol"), [([0.5, 0.4], 1), ([0.5, 0.4, 0.3], 0), ([2.0, 3.0, 4.0], 7)])
def test_only_a_useful_prior_replaces_part_of_the_initial_design(losses, n_sobol):
    proposals = new_configs(make("tpe", starts("mixed", len(losses))), [1.0, *losses, *[5.0 + i for i in range(9)]])
    assert [p.info["from"] for p in proposals].count("initial design") == n_sobol
