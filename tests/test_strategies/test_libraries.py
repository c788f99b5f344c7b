"""Pitfalls of the wrapped libraries: each test fails if the guard against one is removed."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from spaces import loss_of, space

from automl.space.parse import load_space
from strategies import ALIASES, check_spec, make_strategy
from strategies.base import Outcome, Proposal
from strategies.errors import UnknownStrategy


def told(strategy, n, loss=loss_of):
    for _ in range(n):
        proposal = strategy.ask()
        strategy.tell(Outcome(proposal, (loss(proposal.config),), 0.0))
    return strategy


@pytest.mark.parametrize("name", ["bo", "skopt", "tpe", "hyperopt"])
def test_pending_proposals_spread_once_the_model_is_fitted(name):
    """Without liars scikit-optimize repeats its point, Optuna's points cluster, and hyperopt ignores them."""
    strategy = told(make_strategy(name, space("numeric"), seed=0, n_trials=40), 15)
    points = np.array([strategy.encoding.encode(strategy.ask().config) for _ in range(6)])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(6, 1)]
    assert gaps.min() > 1e-4


def test_skopt_accepts_the_ends_of_a_log_range():
    strategy = make_strategy("skopt", space("numeric"), seed=0)
    for i, (x, y) in enumerate([(-5.0, 1e-4), (5.0, 10.0), (5.0, 1e-4), (-5.0, 10.0)]):
        strategy.tell(Outcome(Proposal(-1 - i, {"x": x, "y": y}, 1), (float(i),), 0.0))
    told(strategy, 10)
    assert [strategy.outcomes[trial].proposal.info["from"] for trial in range(4, 10)] == ["skopt"] * 6


@pytest.mark.parametrize("penalty", [1e155, 1e308, -1e308])
def test_skopt_fits_a_model_beside_huge_losses(penalty):
    strategy = told(make_strategy("skopt", space("numeric"), seed=0), 12, lambda c: penalty if c["x"] < 2 else c["x"])
    fitted = [strategy.outcomes[trial].proposal for trial in range(8, 12)]
    assert [proposal.info["from"] for proposal in fitted] == ["skopt"] * 4
    assert sum((proposal.config["x"] < 2) == (penalty < 0) for proposal in fitted) >= 3


def test_skopt_keeps_the_best_and_the_latest_points_when_there_are_many():
    strategy = make_strategy("skopt", space("numeric"), seed=0)
    rng = np.random.default_rng(0)
    for i in range(260):
        config = strategy.encoding.decode(rng.random(2))
        strategy.tell(Outcome(Proposal(-1 - i, config, 1), (float((i * 37) % 260),), 0.0))
    points, losses = strategy._training_data()
    assert len(points) == 200
    assert 0.0 in losses
    assert losses[-1] == float((259 * 37) % 260)


def test_tpe_is_not_poisoned_by_infinite_losses():
    """Optuna stores an infinite loss as a completed trial; here it is a failure."""
    clean = make_strategy("tpe", space("numeric"), seed=0)
    for strategy in (clean,):
        told(strategy, 12, loss=lambda config: math.inf if config["x"] > 3 else config["x"] ** 2)
        assert all(abs(strategy.ask().config["x"]) <= 5 for _ in range(5))
    values = [trial.value for trial in clean._mirror().get_trials() if trial.value is not None]
    assert np.isfinite(values).all()


def test_tpe_models_conditional_hyperparameters_jointly():
    """group=True: with all of a branch good, the branch and its own hyperparameters are found together."""
    strategy = make_strategy("tpe", space("conditional"), seed=0)

    def loss(config):
        return abs(config["momentum"] - 0.5) if config["optimizer"] == "sgd" else 2.0

    told(strategy, 40, loss)
    late = [outcome.proposal.config for outcome in list(strategy.outcomes.values())[-10:]]
    near = [c for c in late if c["optimizer"] == "sgd" and abs(c["momentum"] - 0.5) < 0.25]
    assert len(near) >= 6


@pytest.mark.parametrize("seed", range(4))
def test_tpe_models_together_what_its_outcomes_have_in_common_whenever_it_was_asked_before(seed):
    """Optuna's cache of groups of hyperparameters would keep those of the first ask."""
    families = {
        "m": {"choice": ["svm", "rf", "nn"]},
        "C": {"float": [1e-3, 1e3], "log": True, "when": {"m": "svm"}},
        "n": {"int": [1, 50], "when": {"m": "rf"}},
        "l": {"int": [1, 3], "when": {"m": "nn"}},
        "w": {"float": [0, 1], "when": {"m": "nn"}},
    }
    strategy, restored = (make_strategy("tpe", load_space(families), seed=3) for _ in range(2))
    rng, log, pending = np.random.default_rng(seed), [], []
    for _ in range(24):
        pending.append(strategy.ask())
        log.append(pending[-1])
        if len(pending) > 4:
            log.append(Outcome(pending.pop(rng.integers(5)), (rng.random(),), 1.0))
            strategy.tell(log[-1])
    for entry in log:
        (restored.restore if isinstance(entry, Proposal) else restored.tell)(entry)
    assert restored.ask() == strategy.ask()


def test_hyperopt_draws_differ_between_calls():
    """Its seeds restart with each call, so each ask needs its own."""
    strategy = told(make_strategy("hyperopt", space("numeric"), seed=0), 10)
    assert len({strategy.ask().config["x"] for _ in range(8)}) == 8


def test_deap_global_namespace_is_unchanged():
    code = (
        "import deap.creator as c; before = set(vars(c)); import strategies.genetic;"
        "import importlib; importlib.reload(strategies.genetic); assert set(vars(c)) == before"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_ga_mutations_are_reflected_at_the_bounds(bound):
    """Clipped ones would gather there."""
    strategy = make_strategy("ga", space("numeric"), seed=0)
    start, rng = np.full(len(strategy.encoding.dimensions), bound), np.random.default_rng(0)
    mutated = np.array([strategy._mutate(start.copy(), rng=rng) for _ in range(300)])
    moved = mutated[mutated != bound]
    assert len(moved) >= 300  # every child has moved
    assert 0 < moved.min() < moved.max() < 1


def test_ga_never_waits_for_a_generation():
    strategy = told(make_strategy("ga", space("numeric"), seed=0), 10)
    parents = [strategy.ask().info["parents"] for _ in range(30)]
    assert all(set(pair) <= set(range(10)) for pair in parents)


def test_cmaes_handles_a_population_of_equal_or_failed_losses():
    """With equal losses, its penalty for bounds has no scale (the median of an empty array)."""
    for loss in (lambda config: 0.5, lambda config: math.nan):
        strategy = told(make_strategy("cmaes", space("mixed"), seed=0), 1)
        told(strategy, 40, loss)
        assert strategy._optimizer.generation >= 3


def test_cmaes_is_told_the_loss_of_each_of_its_samples():
    """Known configs are not proposed again, forbidden ones not told."""
    n_known = 0
    for each in (space("forbidden"), load_space({"a": {"int": [0, 9]}, "b": {"int": [0, 9]}})):
        strategy = told(make_strategy("cmaes", each, seed=0), 1)
        for _ in range(80):
            told(strategy, 1)
            for sample, trial in strategy._generation:
                assert strategy._decode(sample) == strategy.outcomes[trial].proposal.config
            n_known += len(strategy._generation) > len({trial for _, trial in strategy._generation})
    assert n_known > 0


@pytest.mark.parametrize("loss", [lambda c: (c["x"] - 0.3) ** 2 + (c["y"] - 0.6) ** 2, lambda c: 1.0])
def test_cmaes_starts_again_where_it_has_converged(loss):
    plane = load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}})
    strategy = told(make_strategy("cmaes", plane, seed=0), 1)
    first, copy = strategy._optimizer.population_size, make_strategy("cmaes", plane, seed=0)
    copy.restore(strategy.outcomes[0].proposal)
    copy.tell(strategy.outcomes[0])
    for _ in range(900):
        proposal = strategy.ask()
        assert strategy._optimizer._sigma < 10.0
        copy.restore(proposal)
        for each in (strategy, copy):
            each.tell(Outcome(proposal, (loss(proposal.config),), 0.0))
    assert copy.ask() == strategy.ask()
    if loss(proposal.config) < 1.0:
        assert strategy._optimizer.population_size == 2 * first
        assert min(outcome.loss for outcome in strategy.outcomes.values()) < 1e-15


def test_cmaes_starts_from_the_best_warm_start():
    strategy = make_strategy("cmaes", space("numeric"), seed=0)
    for i, x in enumerate([-4.0, 3.0, 4.5]):
        strategy.tell(Outcome(Proposal(-1 - i, {"x": x, "y": 0.1}, 1), (abs(x - 3.0),), 0.0))
    told(strategy, 2)
    assert strategy._optimizer._mean[0] == pytest.approx(0.8)


def test_grid_refines_the_first_hyperparameters_first_and_keeps_its_values():
    strategy = make_strategy("grid", load_space({"a": {"float": [0, 1]}, "b": {"float": [0, 1]}}), seed=0)
    told(strategy, 9)
    cells = {tuple(o.proposal.config.values()) for o in strategy.outcomes.values()}
    assert cells == {(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)}
    assert {tuple(o.proposal.config.values()) for o in list(strategy.outcomes.values())[:3]} == {
        (0.0, 0.5), (0.5, 0.5), (1.0, 0.5),
    }  # fmt: skip


def test_grid_handles_many_hyperparameters():
    form = {f"x{i}": {"float": [0, 1]} for i in range(30)} | {f"c{i}": {"choice": list("abcdef")} for i in range(10)}
    strategy = told(make_strategy("grid", load_space(form), seed=0), 50)
    assert len(strategy.outcomes) == 50


def test_random_search_is_uniform_under_forbidden_clauses():
    strategy = make_strategy("random", space("forbidden"), seed=0)
    configs = [o.proposal.config for o in told(strategy, 400, lambda c: 0.0).outcomes.values()]
    allowed = [(a, b) for a in range(10) for b in "pqr" if not (a >= 5 and b in "qr") and (a, b) != (0, "r")]
    counts = [sum((c["a"], c["b"]) == cell for c in configs) for cell in allowed]
    assert sum(counts) == 400
    assert max(counts) < 3 * 400 / len(allowed)
    assert min(counts) > 0


def test_a_large_finite_space_is_not_enumerated_at_once():
    form = {f"c{i}": {"choice": list("abcdefgh")} for i in range(20)}
    strategy = told(make_strategy("random", load_space(form), seed=0), 20)
    assert len({str(told.proposal.config) for told in strategy.outcomes.values()}) == 20


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownStrategy, match=r"unknown strategy 'hyperop'; did you mean 'hyperopt'\? choose one of: "):
        make_strategy("hyperop", space("numeric"), seed=0)
    with pytest.raises(UnknownStrategy, match=r"unknown strategy 'bp'; .*choose one of: random, sobol"):
        make_strategy("bp", space("numeric"), seed=0)


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("BO", "bo"), ("bayes", "bo"), ("Bayesian", "bo"), ("GP", "bo"), ("genetic", "ga"), ("optuna", "tpe"),
        ("grid-search", "grid"), ("asha", "bo+asha"), ("hyperband", "bo+hyperband"),
    ],
)  # fmt: skip
def test_a_common_name_of_a_strategy_gets_ours_as_suggestion(name, suggested):
    with pytest.raises(UnknownStrategy, match=f"unknown strategy '{name}'; did you mean '{re.escape(suggested)}'"):
        check_spec(name)


def test_every_suggestion_for_a_common_name_is_a_valid_spec():
    for spec in ALIASES.values():
        check_spec(spec)


def test_listing_the_strategies_imports_no_library():
    code = (
        "import sys, strategies, strategies.base;"
        "heavy = {'torch', 'skopt', 'optuna', 'hyperopt', 'deap', 'cmaes', 'scipy', 'ConfigSpace'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_grid_proposes_a_configuration_of_a_conditional_space_once():
    """The product of all axes, most of them inactive, has 3^18 cells and nearly as many copies."""
    families = [f"f{i}" for i in range(6)]
    form = {"model": {"choice": families}}
    form |= {f"{name}_{i}": {"float": [0, 1], "when": {"model": name}} for name in families for i in range(3)}
    strategy = make_strategy("grid", load_space(form), seed=0)
    configs = [strategy.ask().config for _ in range(1 + 6 * 27)]
    assert len({json.dumps(config) for config in configs}) == len(configs)
    assert {config["model"] for config in configs} == set(families)


@pytest.mark.parametrize("form", [{"int": [-(2**53), 2**53]}, {"int": [1, 2**53], "log": True}])
def test_tpe_models_integers_of_any_range(form):
    """Optuna's density of an integer would vanish in rounding, with warnings, which are errors here."""
    strategy = make_strategy("tpe", load_space({"n": form}), seed=0)
    told(strategy, 60, lambda config: abs(config["n"] - 1e15))
    assert abs(min(o.loss for o in strategy.outcomes.values())) < 2e14
