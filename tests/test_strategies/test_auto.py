"""How auto chooses, how arms share a budget, and its short trainings."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import loss_of, space

from automl.space.parse import load_space
from strategies import check_spec, make_strategy
from strategies._halving import SHORT_SHARE, levels_of
from strategies._mix import Mix
from strategies.auto import Auto
from strategies.base import Outcome
from strategies.encoding import Encoding
from strategies.errors import UnknownStrategy
from strategies.fidelity import Fidelity
from strategies.random_search import RandomSearch
from strategies.sobol import SobolSearch

NUMERIC = load_space({f"x{i}": {"float": [0.0, 1.0]} for i in range(3)})


def run(strategy, n_epochs, loss=lambda config, trial: loss_of(config)):
    """The proposals of a whole budget, each told immediately; curves decrease to the loss."""
    proposals, spent = [], {}
    while sum(spent.values()) < n_epochs and (proposal := strategy.ask()) is not None:
        proposals.append(proposal)
        spent[proposal.trial] = proposal.epochs
        end = loss(proposal.config, proposal.trial)
        strategy.tell(Outcome(proposal, tuple(end + 1 / (1 + e) for e in range(proposal.epochs)), 1.0))
    return proposals


def test_the_choice_depends_on_the_budget_and_is_explained():
    assert make_strategy("auto", space("conditional"), seed=0, n_trials=50).why() == "bo"
    assert make_strategy("auto", space("mixed"), seed=0, n_trials=1000).why().startswith("tpe and ga, as 1000 trials")


def test_without_epochs_and_families_a_small_budget_is_searched_as_by_bo():
    def configs(name):
        return [p.config for p in run(make_strategy(name, space("mixed"), seed=3, n_trials=20), 20)]

    assert configs("auto") == configs("bo")


def fidelity(kind, min_epochs=1):
    return lambda config: Fidelity(kind, min_epochs)


@pytest.mark.parametrize(
    ("kind", "max_epochs", "levels"),
    [
        ("whole", 20, [20]),
        ("resume", 20, [2, 7, 20]),
        ("resume", 52, [2, 6, 17, 52]),
        ("stop", 9, [3, 9]),
        ("resume", 3, [3]),  # one epoch is uninformative
        ("restart", 20, [2, 20]),
        ("restart", 90, [10, 90]),
        ("restart", 10, [2, 10]),
        ("restart", 8, [8]),  # two epochs of eight save too little
    ],
)
def test_the_rungs_depend_on_the_fidelity(kind, max_epochs, levels):
    assert levels_of(Encoding(NUMERIC), fidelity(kind), max_epochs) == levels


def test_uninformative_short_trainings_are_not_used():
    assert levels_of(Encoding(NUMERIC), fidelity("restart", 4), 20) == [4, 20]
    assert levels_of(Encoding(NUMERIC), fidelity("restart", 5), 20) == [20]


def test_a_training_that_is_never_short_is_compared_by_its_last_loss_only():
    strategy = make_strategy(
        "auto", NUMERIC, seed=0, n_trials=20, max_epochs=20,
        fidelity=lambda config: Fidelity("whole" if config["x0"] < 0.5 else "resume"),
    )  # fmt: skip
    proposals = run(strategy, 20 * 20)
    (ladder,) = [halving.ladder for halving in strategy._halvings]
    whole = [p.trial for p in proposals if p.config["x0"] < 0.5 and p.info["from"] != "default"]
    assert whole
    assert all([*ladder.losses[trial]] == [len(ladder.levels) - 1] for trial in whole)


def test_short_trainings_get_a_share_of_the_budget_then_all_are_full():
    proposals = run(make_strategy("auto", NUMERIC, seed=0, n_trials=20, max_epochs=27), 19 * 27)
    first = {p.trial: p.epochs for p in reversed(proposals)}
    last = {p.trial: p.epochs for p in proposals}
    assert all(first[trial] == 3 for trial in range(10))
    assert last[0] == 27  # the default
    assert first[max(first)] == 27
    short = sum(epochs for epochs in last.values() if epochs < 27)
    assert short <= SHORT_SHARE * 20 * 27 + 27


def test_a_schedule_is_never_truncated_and_longer_trainings_restart():
    strategy = make_strategy("auto", NUMERIC, seed=0, n_trials=20, max_epochs=18, fidelity=fidelity("restart"))
    proposals = run(strategy, 20 * 18)
    assert [p.trial for p in proposals] == list(range(len(proposals)))
    assert {p.epochs for p in proposals} == {2, 18}
    assert all(p.schedule == p.epochs for p in proposals)
    promoted = [p for p in proposals if p.promotes is not None]
    assert promoted
    for proposal in promoted:
        short = proposals[proposal.promotes]
        assert (short.config, short.epochs, proposal.epochs) == (proposal.config, 2, 18)
    assert {p.trial for p in proposals if p.epochs == 2} <= strategy.abandoned()


def test_unpredictive_short_trainings_are_abandoned_and_reported():
    def misleading(config, epochs):
        return config["x0"] if epochs > 2 else 1.0 - config["x0"]

    strategy = make_strategy("auto", NUMERIC, seed=0, n_trials=60, max_epochs=18, fidelity=fidelity("restart"))
    assert not strategy.findings
    spent = 0
    while spent < 40 * 18:
        proposal = strategy.ask()
        spent += proposal.epochs
        strategy.tell(Outcome(proposal, (misleading(proposal.config, proposal.epochs),) * proposal.epochs, 1.0))
    assert "do not predict" in strategy.findings[0]


def test_each_trial_of_a_large_budget_records_the_arm_that_proposed_it():
    proposals = run(make_strategy("auto", space("mixed"), seed=0, n_trials=301), 26)
    assert {p.info.get("arm") for p in proposals[:8]} == {None}
    assert {p.info["arm"] for p in proposals[8:]} == {"tpe", "ga"}


def test_the_better_arm_gets_more_proposals_and_most_at_the_end():
    mix = Mix(NUMERIC, arms={"sobol": SobolSearch, "random": RandomSearch}, shares=[0.5, 0.5], seed=0, n_trials=60)
    taken = []
    for _ in range(60):
        proposal = mix.ask()
        taken.append(proposal.info.get("arm"))
        good = proposal.info.get("arm") == "random"
        mix.tell(Outcome(proposal, (0.5 if good else 1.0 + proposal.config["x0"],), 1.0))
    assert taken[8:42].count("random") > taken[8:42].count("sobol") > 0
    assert taken[42:].count("random") >= 0.8 * 18
    assert mix.shares().sum() == pytest.approx(1)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(0, 3), min_size=30, max_size=50), st.sampled_from([1, 9]))
def test_restoring_any_prefix_gives_the_same_next_proposal(order, max_epochs):
    def make():
        return make_strategy("auto", space("conditional"), seed=1, n_trials=20, max_epochs=max_epochs)

    strategy, log, pending = make(), [], []
    for step, k in enumerate(order):
        proposal = strategy.ask()
        if proposal is not None:
            pending.append(proposal)
            log.append(("ask", proposal))
        if pending and (k or proposal is None):
            told = pending.pop(k % len(pending))
            loss = loss_of(told.config) + step / 100
            log.append(("tell", Outcome(told, tuple(loss + 1 / (1 + e) for e in range(told.epochs)), 1.0)))
            strategy.tell(log[-1][1])
    restored = make()
    for kind, value in log:
        (restored.restore if kind == "ask" else restored.tell)(value)
    assert [restored.ask() for _ in range(3)] == [strategy.ask() for _ in range(3)]


def test_wrappers_are_rejected():
    with pytest.raises(UnknownStrategy, match="already does early stopping"):
        check_spec("auto+asha")


def test_non_resumable_trainings_are_stopped_at_rungs():
    strategy = make_strategy("auto", NUMERIC, seed=0, n_trials=20, max_epochs=9, resumable=False)
    assert isinstance(strategy, Auto)
    assert {strategy.ask().epochs for _ in range(4)} == {9}


def test_epochs_saved_by_stopping_are_available_to_the_search():
    """Non-resumable trainings are proposed in full, but most of their epochs are never spent."""
    strategy = make_strategy("auto", NUMERIC, seed=0, n_trials=20, max_epochs=9, resumable=False)
    spent = n_searched = 0
    while spent < 20 * 9:
        proposal = strategy.ask()
        losses: list[float] = []
        while len(losses) < proposal.epochs and not (losses and strategy.should_stop(proposal, tuple(losses))):
            losses.append(loss_of(proposal.config) + 1 / (1 + len(losses)))
        spent += len(losses)
        strategy.tell(Outcome(proposal, tuple(losses), 1.0, stopped=len(losses) < proposal.epochs))
        n_searched += 1
    assert n_searched > 20
