"""Input warping: the function and its slopes in closed form, and that it finds where a loss varies fast."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from automl.space.parse import load_space
from strategies import gaussian_process
from strategies._warp import Warp, fitted
from strategies.base import Outcome
from strategies.bayesian import BayesianOptimization

COLUMNS = np.array([0, 2])


class Warped(BayesianOptimization):
    warps = True


def test_a_warp_is_kumaraswamys_distribution_function():
    warp = Warp(COLUMNS, np.log([2.0, 1.0]), np.log([1.0, 3.0]))
    X = np.array([[0.0, 0.3, 0.0], [0.5, 0.7, 0.5], [1.0, 0.1, 1.0]])
    expected = [[0.0, 0.3, 0.0], [0.25, 0.7, 1 - 0.5**3], [1.0, 0.1, 1.0]]
    assert warp(X) == pytest.approx(np.array(expected))
    assert Warp.none(COLUMNS)(X) == pytest.approx(X)


def test_slopes_are_derivatives():
    warp = Warp(COLUMNS, np.array([0.7, -0.7]), np.array([-0.7, 1.4]))
    x = np.array([0.2, 0.4, 0.6])
    for column in range(3):
        numeric = approx_fprime(x, lambda v, column=column: warp(v[None])[0, column], 1e-7)
        assert warp.slopes(x[None])[0, column] == pytest.approx(numeric[column], abs=1e-5)
    assert np.isfinite(warp.slopes(np.array([[0.0, 0.0, 1.0]]))).all()


def test_a_loss_that_varies_near_one_end_is_stretched_there():
    x = np.linspace(0.0, 1.0, 25)[:, None]
    y = np.sin(12 * x[:, 0] ** 4)  # flat near 0, fast near 1
    y = (y - y.mean()) / y.std()
    gp = gaussian_process.fit(x, y, np.array([0]), None)
    warp = fitted(Warp.none(np.array([0])), x, y, gp.theta, np.array([0]), None)
    low, high = warp.slopes(np.array([[0.15], [0.85]]))[:, 0]
    assert high > 2 * low


def test_a_loss_that_varies_at_one_pace_is_not_warped():
    x = np.linspace(0.0, 1.0, 25)[:, None]
    y = np.sin(9 * x[:, 0])
    y = (y - y.mean()) / y.std()
    gp = gaussian_process.fit(x, y, np.array([0]), None)
    assert fitted(Warp.none(np.array([0])), x, y, gp.theta, np.array([0]), None).is_identity


def test_a_resumed_search_has_its_warp_again():
    form = {f"x{i}": {"float": [0.0, 1.0]} for i in range(2)}

    def told(strategy, n):
        for _ in range(n):
            proposal = strategy.ask()
            loss = float(np.sin(12 * proposal.config["x0"] ** 4) + proposal.config["x1"])
            log.append(("ask", proposal))
            log.append(("tell", Outcome(proposal, (loss,), 0.0)))
            strategy.tell(log[-1][1])

    log = []
    strategy = Warped(load_space(form), seed=0, n_trials=140)
    told(strategy, 120)  # from 100 on, theta and warp are not fitted at every ask
    assert any("warp" in entry.info for kind, entry in log if kind == "ask")
    again = Warped(load_space(form), seed=0, n_trials=140)
    for kind, entry in log:
        (again.restore if kind == "ask" else again.tell)(entry)
    assert [again.ask() for _ in range(3)] == [strategy.ask() for _ in range(3)]
