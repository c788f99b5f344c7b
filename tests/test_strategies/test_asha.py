"""Asynchronous successive halving: rungs, promotions, losses told to the wrapped strategy, stopping without pausing."""

import numpy as np
import pytest
from searches import DIGITS

import automl
from automl.space.parse import load_space
from strategies import make_strategy
from strategies._ladder import Ladder, RankedLadder, rank_correlation, rungs
from strategies.base import Outcome, Proposal

SPACE = load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}})


def curve(config, epochs):
    """Losses that decrease towards x, with the same ranks at every rung."""
    return tuple(config["x"] + 1 / (epoch + 1) for epoch in range(epochs))


def ended(trial, *losses, stopped=False):
    return Outcome(Proposal(trial, {}, len(losses)), losses, 1.0, stopped=stopped)


def run(strategy, n_epochs):
    """Run one worker for a number of epochs; returns the proposals."""
    proposals, trained = [], {}
    while sum(trained.values()) < n_epochs:
        proposal = strategy.ask()
        proposals.append(proposal)
        trained[proposal.trial] = proposal.epochs
        strategy.tell(Outcome(proposal, curve(proposal.config, proposal.epochs), 1.0))
    return proposals


def test_rungs_are_thirds_of_a_full_training():
    assert rungs(81) == [3, 9, 27, 81]
    assert rungs(52) == [2, 6, 17, 52]
    assert rungs(20) == [1, 2, 7, 20]
    assert rungs(1) == [1]


def test_the_best_third_resumes_from_where_it_paused():
    strategy = make_strategy("random+asha", SPACE, seed=0, n_trials=20, max_epochs=27)
    proposals = run(strategy, 27 * 20)
    epochs = {}
    for proposal in proposals:
        assert proposal.epochs > epochs.get(proposal.trial, 0)
        epochs[proposal.trial] = proposal.epochs
    assert set(epochs.values()) == {1, 3, 9, 27}
    loss = {p.trial: p.config["x"] for p in proposals}
    whole = [trial for trial, n in epochs.items() if n == 27]
    assert np.mean([loss[trial] for trial in whole]) < np.quantile(list(loss.values()), 0.1)
    for low, high in ((1, 3), (3, 9), (9, 27)):
        n_low, n_high = (sum(n >= level for n in epochs.values()) for level in (low, high))
        assert n_high <= n_low / 2  # a third, and those whose better ones came later


@pytest.mark.parametrize("wrapper", ["asha", "hyperband"])
def test_the_default_is_trained_fully_after_another_was_whatever_its_rank(wrapper):
    worst = load_space({"x": {"float": [0, 1], "default": 1.0}, "y": {"float": [0, 1]}})
    strategy = make_strategy(f"random+{wrapper}", worst, seed=0, n_trials=6, max_epochs=27)
    whole = [proposal.trial for proposal in run(strategy, 27 * 6) if proposal.epochs == 27]
    assert whole[1] == 0  # the trial of the default
    assert whole.count(0) == 1


def test_the_default_waits_while_another_is_trained_fully():
    worst = load_space({"x": {"float": [0, 1], "default": 1.0}, "y": {"float": [0, 1]}})
    strategy = make_strategy("random+asha", worst, seed=0, n_trials=20, max_epochs=3)
    for proposal in [strategy.ask() for _ in range(6)]:
        strategy.tell(Outcome(proposal, curve(proposal.config, 1), 1.0))
    whole = [strategy.ask(), strategy.ask()]  # the best third
    strategy.tell(Outcome(whole[0], curve(whole[0].config, 3), 1.0))
    new = strategy.ask()
    assert (new.trial, new.epochs) == (6, 1)
    strategy.tell(Outcome(whole[1], curve(whole[1].config, 3), 1.0))
    default = strategy.ask()
    assert (default.trial, default.epochs) == (0, 3)


def test_the_default_is_trained_fully_late_if_no_other_was():
    strategy = make_strategy("random+asha", SPACE, seed=0, n_trials=2, max_epochs=27)
    whole = [proposal.trial for proposal in run(strategy, 27 * 2) if proposal.epochs == 27]
    assert 0 in whole


def test_it_never_waits():
    strategy = make_strategy("random+asha", SPACE, seed=0, n_trials=20, max_epochs=27)
    proposals = [strategy.ask() for _ in range(12)]
    assert [p.trial for p in proposals] == list(range(12))
    for proposal in proposals:
        strategy.tell(Outcome(proposal, curve(proposal.config, proposal.epochs), 1.0))
    promoted = [strategy.ask() for _ in range(4)]
    best = sorted(proposals, key=lambda p: p.config["x"])[:4]
    assert [p.trial for p in promoted] == [p.trial for p in best]
    assert all(p.epochs == 3 and p.info["from"] == "asha" for p in promoted)
    assert strategy.ask().trial == 12


def test_failures_are_never_promoted():
    strategy = make_strategy("random+asha", SPACE, seed=0, n_trials=20, max_epochs=9)
    failed = set()
    for i in range(60):
        proposal = strategy.ask()
        assert proposal.trial not in failed
        if i % 3 == 0 and proposal.info["from"] != "asha":
            failed.add(proposal.trial)
            strategy.tell(Outcome(proposal, (), 1.0, error="out of memory"))
        else:
            strategy.tell(Outcome(proposal, curve(proposal.config, proposal.epochs), 1.0))


def test_losses_at_lower_rungs_are_converted_to_the_highest_known_rung():
    ladder = Ladder([1, 3, 9])
    for trial in range(4):
        ladder.enter(ended(trial, 5.0 + trial, 4.0, 3.0 + trial))
    ladder.enter(ended(9, 10.0))
    assert ladder.steps() == [-2.0]  # 3 - 5, 4 - 6, 5 - 7, 6 - 8
    assert ladder.value(9, ladder.steps()) == 8.0
    assert ladder.value(2, ladder.steps()) == 5.0
    for trial in range(3):
        ladder.enter(ended(trial, *(float(9 - epoch) for epoch in range(9))))
    assert len(ladder.steps()) == 2
    assert ladder.value(0, ladder.steps()) == 1.0


def test_a_curve_may_be_shorter_than_its_training_or_than_the_lowest_rung():
    ladder = Ladder([2, 6])
    ladder.enter(Outcome(Proposal(0, {}, 6), (0.5,), 1.0))  # a function with a single loss for six epochs
    ladder.enter(ended(1, 0.7, stopped=True))
    assert ladder.losses == {0: {0: 0.5, 1: 0.5}, 1: {0: 0.7}}


def test_a_curve_that_is_longer_than_its_training_ends_with_its_last_loss():
    ladder = Ladder([1, 3])
    ladder.enter(Outcome(Proposal(0, {}, 1), (0.9, 0.8, 0.7, 0.6), 1.0))  # of a generator of unknown length
    ladder.enter(Outcome(Proposal(1, {}, 3), (0.9, 0.8, 0.7, 0.6), 1.0))
    assert ladder.losses == {0: {0: 0.6}, 1: {0: 0.9, 1: 0.6}}


def test_a_lowest_rung_with_uninformative_ranks_is_dropped():
    rng = np.random.default_rng(0)
    telling, noise = RankedLadder([1, 3]), RankedLadder([1, 3])
    for trial in range(20):
        end = float(rng.random())
        telling.enter(ended(trial, end + 0.1, end, end))
        noise.enter(ended(trial, float(rng.random()), end, end))
    assert telling.lowest == 0
    assert noise.lowest == 1
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 9.0])) == pytest.approx(1.0)


def test_a_rung_that_misleads_about_full_trainings_is_dropped_though_a_lower_one_predicts_it():
    """Of few promoted configs of similar quality, a low correlation may be chance."""
    reversing, unclear, rng = RankedLadder([1, 2, 3]), RankedLadder([1, 2, 3]), np.random.default_rng(0)
    for trial in range(12):
        quality = trial / 12
        reversing.enter(ended(trial, quality, quality, 1.0 - quality))
        unclear.enter(ended(trial, quality, quality, float(rng.random())))
    assert (reversing.correlation(0), reversing.correlation(1)) == (pytest.approx(1.0), pytest.approx(-1.0))
    assert reversing.lowest == 2
    assert unclear.correlation(1) < 0.3
    assert unclear.lowest == 0


def test_a_dropped_rung_returns_when_its_ranks_agree_again():
    ladder, rng = RankedLadder([1, 3]), np.random.default_rng(0)
    for trial in range(12):
        ladder.enter(ended(trial, float(rng.random()), 0.0, float(rng.random())))
    assert ladder.lowest == 1
    for trial in range(12, 80):  # they start at the second rung, and pass the first
        end = float(rng.random())
        ladder.enter(ended(trial, end, end, end))
    assert ladder.lowest == 0


def test_only_trials_that_can_no_longer_be_promoted_are_abandoned():
    strategy = make_strategy("random+asha", SPACE, seed=0, n_trials=4, max_epochs=27)
    abandoned, trained, since = set(), {}, []
    while sum(trained.values()) < 4 * 27:
        proposal = strategy.ask()
        assert proposal.trial not in abandoned
        trained[proposal.trial] = proposal.epochs
        strategy.tell(Outcome(proposal, curve(proposal.config, proposal.epochs), 1.0))
        assert abandoned <= strategy.abandoned()
        abandoned = strategy.abandoned()
        since.append(len(abandoned))
    paused = {trial for trial, epochs in trained.items() if epochs < 27}
    assert 0 not in abandoned  # the default
    assert abandoned <= paused
    assert len(abandoned) > 0.8 * len(paused)
    assert 0 < since[len(since) // 2] < since[-1]  # some of them long before the end
    assert not make_strategy("random+asha", SPACE, seed=0, max_epochs=27).abandoned()  # unknown budget


def test_trainings_that_cannot_pause_are_stopped_at_the_rungs():
    def training(config):
        yield from curve(config, 9)

    result = automl.tune(training, SPACE, strategy="random+asha", n_trials=12, max_epochs=9)
    states = {trial.state for trial in result.trials}
    assert states == {"complete", "stopped"}
    assert {trial.epochs for trial in result.trials} <= {1, 3, 9}
    assert len(result.trials) > 12
    assert sum(trial.epochs for trial in result.trials) < 12 * 9 + 9  # the last one may reach beyond the budget
    assert result.best.epochs == 9


def test_a_task_that_can_pause_is_tuned_with_pauses():
    result = automl.tune(DIGITS, strategy="tpe+asha", n_trials=2, max_epochs=6)
    assert {trial.epochs for trial in result.trials} > {1}
    assert sum(trial.epochs for trial in result.trials) <= 2 * 6 + 6


@pytest.mark.parametrize(
    ("spec", "d", "n"),
    [("bo", 4, 4), ("bo", 9, 4), ("bo", 10, 8), ("bo", 3, 8), ("bo+asha", 4, 8), ("auto", 4, 8)],
)
def test_a_model_comes_early_where_an_initial_design_costs_much_and_says_little(spec, d, n):
    floats = {f"x{i}": {"float": [0, 1]} for i in range(d)}
    space = load_space({**floats, "y": {"choice": ["a", "b", "c"]}, "constant": {"choice": ["only"]}})
    strategy = make_strategy(spec, space, seed=0, n_trials=20, max_epochs=27)
    origins = {}
    for _ in range(30):
        proposal = strategy.ask()
        origins.setdefault(proposal.trial, proposal.info["from"])
        strategy.tell(Outcome(proposal, (proposal.config["x0"] + 1.0,) * proposal.epochs, 1.0))
    assert [origins[trial] for trial in range(n + 1)] == ["default", *["initial design"] * (n - 1), "gp"]
