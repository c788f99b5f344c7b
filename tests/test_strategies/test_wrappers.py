"""Contract tests of every wrapper and every supported combination of wrappers, around any strategy."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from spaces import N_CELLS_FINITE, loss_of, space

import automl
from strategies import STRATEGIES, WRAPPERS, check_spec, make_strategy
from strategies.base import Outcome
from strategies.errors import UnknownStrategy

MAX_EPOCHS = 9
ROWS = [*WRAPPERS, "asha+stop", "hyperband+stop"]

every_row = pytest.mark.parametrize("row", ROWS)
pausing_or_not = pytest.mark.parametrize("resumable", [True, False])


def make(spec, space_name="mixed", *, resumable=True, n_trials=8):
    return make_strategy(spec, space(space_name), seed=1, n_trials=n_trials, max_epochs=MAX_EPOCHS, resumable=resumable)


def trained(strategy, proposal, failed=False):
    """The outcome of a training that calls should_stop after each epoch, like the tuner."""
    rng = np.random.default_rng(proposal.trial)
    end = loss_of(proposal.config)
    curve = [end + (MAX_EPOCHS - epoch) * 0.1 + 0.05 * rng.random() for epoch in range(1, MAX_EPOCHS + 1)]
    losses = curve[: proposal.epochs]
    if failed:
        return Outcome(proposal, (*losses[:-1], math.nan), 1.0)
    for n in range(1, proposal.epochs):
        if strategy.should_stop(proposal, tuple(losses[:n])):
            return Outcome(proposal, tuple(losses[:n]), 1.0, stopped=True)
    return Outcome(proposal, tuple(losses), 1.0)


@pytest.mark.parametrize(
    ("name", "row", "resumable", "n_asks"),
    [(name, row, True, 15) for name in STRATEGIES if name != "auto" for row in ("asha", "stop")]
    + [(name, row, resumable, 40) for name in ("random", "ga") for row in ROWS for resumable in (True, False)],
)
def test_parallel_trials_with_failures_follow_the_contract(name, row, resumable, n_asks):
    strategy = make(f"{name}+{row}", resumable=resumable)
    pending, epochs, configs, ended = [], {}, {}, set()
    for i in range(n_asks):
        proposal = strategy.ask()
        assert proposal.trial not in ended
        assert epochs.get(proposal.trial, 0) < proposal.epochs <= MAX_EPOCHS
        assert configs.setdefault(proposal.trial, proposal.config) == proposal.config
        epochs[proposal.trial] = proposal.epochs
        pending.append(proposal)
        if len(pending) == 3:
            told = trained(strategy, pending.pop(i % 3), failed=i % 7 == 3)
            if told.loss is None or told.stopped:
                ended.add(told.proposal.trial)
            strategy.tell(told)
    assert sorted(configs) == list(range(len(configs)))
    assert len({tuple(sorted(config.items())) for config in configs.values()}) == len(configs)


@every_row
@pausing_or_not
@pytest.mark.parametrize("name", ["random", "bo", "ga"])
def test_a_restored_run_continues_identically(name, row, resumable):
    whole, log = make(f"{name}+{row}", resumable=resumable), []
    pending = []
    for i in range(30):
        pending.append(whole.ask())
        log.append(pending[-1])
        if len(pending) == 2:
            log.append(trained(whole, pending.pop(i % 2), failed=i == 9))
            whole.tell(log[-1])
    again = make(f"{name}+{row}", resumable=resumable)
    for entry in log:
        again.tell(entry) if isinstance(entry, Outcome) else again.restore(entry)
    assert again.abandoned() == whole.abandoned()
    for _ in range(3):
        assert (proposal := whole.ask()) == again.ask()
        assert trained(whole, proposal) == trained(again, proposal)


@every_row
@pausing_or_not
def test_a_finite_space_ends_with_its_configs_trained_to_the_end_or_stopped(row, resumable):
    strategy = make(f"random+{row}", "finite", resumable=resumable, n_trials=N_CELLS_FINITE)
    epochs, stopped = {}, set()
    while not strategy.exhausted:
        told = trained(strategy, strategy.ask())
        epochs[told.proposal.trial] = len(told.losses)
        if told.stopped:
            stopped.add(told.proposal.trial)
        strategy.tell(told)
    assert strategy.ask() is None
    assert len(epochs) == N_CELLS_FINITE
    assert {trial for trial, n in epochs.items() if n < MAX_EPOCHS} == stopped


@every_row
def test_a_stop_decision_uses_only_earlier_outcomes(row):
    strategy = make(f"random+{row}", resumable=False)
    early = strategy.ask()
    for _ in range(12):
        strategy.tell(trained(strategy, strategy.ask()))
    hopeless = tuple(100.0 - epoch for epoch in range(MAX_EPOCHS - 1))
    assert not any(strategy.should_stop(early, hopeless[:n]) for n in range(1, MAX_EPOCHS))
    late = strategy.ask()
    assert any(strategy.should_stop(late, hopeless[:n]) for n in range(1, MAX_EPOCHS))


@every_row
def test_the_default_is_never_stopped(row):
    strategy = make(f"random+{row}", resumable=False)
    first = strategy.ask()
    assert first.info["from"] == "default"
    for _ in range(12):
        strategy.tell(trained(strategy, strategy.ask()))
    strategy.restore(first)  # resumed after a crash: by now others would be stopped
    hopeless = tuple(100.0 - epoch for epoch in range(MAX_EPOCHS - 1))
    assert not any(strategy.should_stop(first, hopeless[:n]) for n in range(1, MAX_EPOCHS))


@every_row
def test_it_says_that_trainings_without_a_curve_are_never_stopped(row):
    flat, curved = (make(f"random+{row}", resumable=False) for _ in range(2))
    for _ in range(3):
        proposal = flat.ask()
        flat.tell(Outcome(proposal, (loss_of(proposal.config),), 1.0))
        curved.tell(trained(curved, curved.ask()))
    assert flat.findings == ["trainings report a single loss, not one after each epoch, so none is stopped early"]
    assert not curved.findings


@every_row
def test_a_single_epoch_leaves_nothing_to_stop(row):
    plain = make_strategy("tpe", space("mixed"), seed=0, n_trials=20)
    wrapped = make_strategy(f"tpe+{row}", space("mixed"), seed=0, n_trials=20)
    for _ in range(15):
        proposal = plain.ask()
        assert wrapped.ask() == proposal
        for strategy in (plain, wrapped):
            strategy.tell(Outcome(proposal, (loss_of(proposal.config),), 1.0))


@every_row
def test_a_parallel_reproducible_run_is_deterministic(row):
    def training(config, seed):
        noise = np.random.default_rng(seed).random()
        for epoch in range(1, MAX_EPOCHS + 1):
            yield config["x"] ** 2 + (1 + noise) / epoch

    options = {"strategy": f"random+{row}", "n_trials": 9, "max_epochs": MAX_EPOCHS}
    runs = [
        automl.tune(training, {"x": {"float": [-5, 5]}}, n_workers=2, reproducible=True, **options) for _ in range(2)
    ]
    curves = [[(t.number, t.config, t.losses, t.state) for t in run.trials] for run in runs]
    assert curves[0] == curves[1]
    assert any(state == "stopped" for *_, state in curves[0])


@pytest.mark.parametrize("spec", ["bo+stop+asha", "bo+asha+hyperband", "bo+asha+asha", "bo+stop+stop"])
def test_unsupported_combinations_of_wrappers_are_rejected(spec):
    with pytest.raises(UnknownStrategy, match=r"not supported: use one of \+asha and \+hyperband at most, \+stop last"):
        check_spec(spec)


def test_unknown_wrappers_are_rejected():
    with pytest.raises(UnknownStrategy, match="unknown wrapper 'ashe'; did you mean 'asha'"):
        make_strategy("bo+ashe", space("mixed"), seed=0)


@pytest.mark.parametrize("spec", ["auto", "bo+hyperband"])
@pytest.mark.parametrize("undefined", [math.nan, -math.inf])
def test_the_model_learns_from_curves_with_a_loss_that_is_undefined_at_first(spec, undefined):
    """As an outcome with a finite last loss is a success, whatever came before."""
    strategy, proposals = make(spec, "numeric", n_trials=20), []
    for _ in range(30):
        proposals.append(strategy.ask())
        told = trained(strategy, proposals[-1])
        first = (undefined,) if len(told.losses) > 1 else told.losses[:1]
        strategy.tell(replace(told, losses=first + told.losses[1:]))
    assert any("log_ei" in proposal.info for proposal in proposals)
    for proposal in proposals:
        json.dumps(dict(proposal.info), allow_nan=False)
