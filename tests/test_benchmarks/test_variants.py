"""The variants of bo: each is bo but for its part, proposes what the space allows, and repeats by its seed."""

import numpy as np
import pytest
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from scipy.optimize import approx_fprime

from benchmarks.opponents import make
from benchmarks.variants import VARIANTS, Averaged, _draws
from strategies._acquisition import LogEI
from strategies._gp import BOUNDS, GP, fit
from strategies.base import Outcome

SPACE = ConfigurationSpace(
    space={"x": Float("x", (0.0, 1.0)), "n": Integer("n", (1, 9)), "c": Categorical("c", ["a", "b", "d"])}
)
OWNER = np.arange(2)


def configs(spec, n=20):
    """What it proposes for a smooth loss, one config a line of text."""
    strategy = make(spec, SPACE, seed=1, n_trials=n)
    found = []
    for _ in range(n):
        proposal = strategy.ask()
        x, number, c = (proposal.config[name] for name in ("x", "n", "c"))
        loss = (x - 0.3) ** 2 + 0.01 * (number - 6) ** 2 + 0.1 * (c != "b")
        strategy.tell(Outcome(proposal, (loss,), 0.0))
        found.append(str(sorted(proposal.config.items())))
    return found


@pytest.mark.parametrize("spec", [name for name in VARIANTS if name != "bo~no-ceiling"])  # here no losses are equal
def test_a_variant_starts_like_bo_repeats_and_goes_its_own_way(spec):
    found, bo = configs(spec), configs("bo")
    assert found == configs(spec)
    assert len(set(found)) == len(found)
    assert found[:4] == bo[:4]  # the default, and the Sobol points of the seed
    assert found != bo


@pytest.mark.parametrize("spec", ["bo~no-ceiling", "bo~credulous"])
def test_without_the_ceiling_equal_losses_put_no_bound_on_the_noise(spec):
    y = np.concatenate([np.full(8, -1.0), np.linspace(-0.9, 2.0, 20)])
    unbounded, bounded = (make(name, SPACE, seed=0)._noise_ceiling(y) for name in (spec, "bo"))
    assert unbounded == BOUNDS["noise"][1]
    assert bounded < -1


def process():
    rng = np.random.default_rng(0)
    X = rng.random((12, 2))
    return fit(X, np.sin(5 * X[:, 0]) + 0.1 * rng.standard_normal(12), OWNER, None)


def test_theta_is_drawn_around_its_mode():
    gp = process()
    draws = np.concatenate([_draws(gp, np.random.default_rng(seed)) for seed in range(200)])
    assert np.median(draws, axis=0) == pytest.approx(gp.theta, abs=0.2)
    assert (draws.std(axis=0) > 0.05).all()
    assert (draws.std(axis=0) < 2.0).all()


def test_an_averaged_improvement_has_the_gradient_of_its_value():
    gp = process()
    gps = [gp, *(GP.given(gp.X, gp.Y, theta, OWNER) for theta in _draws(gp, np.random.default_rng(1)))]
    averaged = Averaged(tuple(LogEI(each, np.array([-0.5])) for each in gps))
    at = np.array([[0.3, 0.7], [0.9, 0.1]])
    values, gradients = averaged.gradients(at)
    alone = np.array([part(at) for part in averaged.parts])
    assert values == pytest.approx(np.log(np.exp(alone).mean(axis=0)))
    for x, gradient in zip(at, gradients, strict=True):
        assert gradient == pytest.approx(approx_fprime(x, lambda p: averaged(p[None])[0], 1e-7), rel=1e-3, abs=1e-4)
