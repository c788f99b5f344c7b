"""The acquisition function against its integral, and its maximisation."""

import numpy as np
import pytest
from scipy import stats

from automl.space.parse import load_space
from strategies._acquisition import LogEI, log_h, maximise
from strategies._observations import chosen, standardised
from strategies._success import success
from strategies._trust_region import trust_length
from strategies.encoding import Encoding
from strategies.features import Features
from strategies.gaussian_process import GP

OWNER = np.arange(3)
THETA = np.array([-0.5, -0.5, 0.5, 0.0, -4.0])


def process(n: int = 15) -> GP:
    rng = np.random.default_rng(0)
    X = rng.random((n, 3))
    y = ((X - 0.4) ** 2).sum(axis=1)
    return GP.given(X, ((y - y.mean()) / y.std())[:, None], THETA, OWNER)


@pytest.mark.parametrize("z", [-1e6, -1e4, -300.0, -37.0, -5.0, -1.0, -0.999, 0.0, 2.0, 30.0])
def test_log_h_is_accurate_and_finite_anywhere(z):
    found = float(log_h(np.array([z]))[0])
    if z > -5.5:
        assert found == pytest.approx(np.log(stats.norm.pdf(z) + z * stats.norm.cdf(z)), rel=1e-7)
    else:  # the asymptotic series: phi(z) (1/z^2 - 3/z^4 + 15/z^6 ...)
        series = np.log(z**-2.0) + np.log1p(-3 / z**2 + 15 / z**4 - 105 / z**6)
        assert found == pytest.approx(stats.norm.logpdf(z) + series, rel=1e-4)


def test_log_h_is_continuous_and_increasing():
    z = np.linspace(-20, 5, 5001)
    slopes = np.diff(log_h(z)) / np.diff(z)
    assert (slopes > 0).all()
    assert np.abs(np.diff(slopes)).max() < 0.05
    far = log_h(-np.logspace(3, 5, 200))
    assert (np.diff(far) < 0).all()


def test_expected_improvement_matches_its_monte_carlo_mean():
    model = process()
    at = np.random.default_rng(1).random((4, 3))
    means, sd = model.predict(at)
    draws = means[:, 0] + sd * np.random.default_rng(2).standard_normal((400_000, 4))
    improvement = np.maximum(0.2 - draws, 0).mean(axis=0)
    assert np.exp(LogEI(model, np.array([0.2]))(at)) == pytest.approx(improvement, rel=0.02)


def test_fantasies_are_averaged():
    model, rng = process(), np.random.default_rng(0)
    waiting = rng.random((2, 3))
    imagined = model.sample(waiting, 3, rng)
    together = model.with_more(waiting, imagined)
    bests = np.array([-0.5, -0.6, -0.7])
    at = rng.random((4, 3))
    one_by_one = [
        np.exp(LogEI(model.with_more(waiting, imagined[:, i : i + 1]), bests[i : i + 1])(at)) for i in range(3)
    ]
    assert np.exp(LogEI(together, bests)(at)) == pytest.approx(np.mean(one_by_one, axis=0))


def test_gradients_match_finite_differences():
    model, rng = process(), np.random.default_rng(0)
    model = model.with_more(rng.random((2, 3)), model.sample(rng.random((2, 3)), 4, rng))
    acquisition = LogEI(model, model.predict(model.X)[0].min(axis=0))
    at = rng.random((5, 3))
    values, gradients = acquisition.gradients(at)
    assert values == pytest.approx(acquisition(at))
    for i, step in enumerate(1e-6 * np.eye(3)):
        slope = (acquisition(at + step) - acquisition(at - step)) / 2e-6
        assert gradients[:, i] == pytest.approx(slope, rel=1e-4, abs=1e-6)


SPACE = load_space(
    {
        "lr": {"float": [1e-4, 1.0], "log": True},
        "width": {"int": [1, 500], "log": True},
        "layers": {"int": [1, 4]},
        "batch": {"ordinal": [16, 32, 64]},
        "optimizer": {"choice": ["sgd", "adamw", "lion"]},
        "momentum": {"float": [0.0, 0.9], "when": {"optimizer": "sgd"}},
        "nesterov": {"choice": [True, False], "when": {"optimizer": "sgd"}},
        "one": {"choice": ["only"]},
    }
)


def test_legal_points_match_their_configs():
    encoding = Encoding(SPACE)
    features = Features(encoding)
    points = np.random.default_rng(0).random((200, len(encoding.dimensions)))
    legal = features.legal(points)
    own = np.array([encoding.encode(encoding.decode(point)) for point in points])
    assert legal == pytest.approx(own, abs=1e-9)
    assert features.legal(legal) == pytest.approx(legal, abs=1e-9)


def test_any_two_values_of_a_choice_are_at_distance_one():
    encoding = Encoding(SPACE)
    features = Features(encoding)
    config = encoding.default | {"optimizer": "adamw"}
    config = {name: value for name, value in config.items() if name not in ("momentum", "nesterov")}
    a, b = (features.features(encoding.encode(config | {"optimizer": name})[None])[0] for name in ("adamw", "lion"))
    assert np.linalg.norm(a - b) == pytest.approx(1.0)


def test_the_search_finds_the_maximum_of_a_small_space():
    space = load_space({"x": {"float": [0, 1]}, "k": {"int": [0, 5]}, "c": {"choice": ["a", "b"]}})
    encoding = Encoding(space)
    features = Features(encoding)
    rng = np.random.default_rng(0)
    points = features.legal(rng.random((12, 3)))
    y = (points[:, 0] - 0.7) ** 2 + (points[:, 1] - 0.2) ** 2 + 0.3 * (points[:, 2] > 0.5)
    theta = np.array([-0.5, -0.5, 0.5, 0.0, -8.0])
    X = features.features(points)
    model = GP.given(X, ((y - y.mean()) / y.std())[:, None], theta, features.hyperparameter)
    acquisition = LogEI(model, model.predict(X)[0].min(axis=0))
    found, values = maximise(acquisition, features, rng.random((30, 3)), np.zeros(3), np.ones(3))
    everywhere = features.legal(
        np.stack(np.meshgrid(np.linspace(0, 1, 400), (np.arange(6) + 0.5) / 6, [0.25, 0.75]), axis=-1).reshape(-1, 3)
    )
    assert values[0] >= acquisition(features.features(everywhere)).max() - 1e-3
    assert (np.diff(values) <= 0).all()
    assert features.legal(found) == pytest.approx(found)


def test_failures_lower_the_success_probability_nearby():
    model = process(20)
    failed = model.X[:, 0] > 0.6
    log_success = success(model.X, failed, model)
    near_bad, near_good = (log_success(model.X[mask] + 0.01).mean() for mask in (failed, ~failed))
    assert near_bad < np.log(0.3) < np.log(0.7) < near_good


def test_losses_are_standardised_and_clipped():
    y = standardised(np.array([1.0, 2.0, 3.0, 1e9]))
    assert y.mean() == pytest.approx(0)
    assert y.std() == pytest.approx(1)
    assert y[3] < 2
    assert standardised(np.array([5.0, 5.0])).tolist() == [0.0, 0.0]


def test_the_best_and_latest_of_too_many_observations_are_kept():
    losses = np.random.default_rng(0).random(1000)
    kept = chosen(losses, np.random.default_rng(0))
    assert len(kept) == 500
    assert losses.argmin() in kept
    assert set(range(800, 1000)) <= set(kept)
    assert chosen(losses[:500], np.random.default_rng(0)).tolist() == list(range(500))


def test_the_trust_region_grows_with_success_and_shrinks_with_failure():
    start = np.array([5.0])
    assert trust_length(np.array([]), start) == 0.8
    assert trust_length(np.array([4.0, 3.0, 2.0]), start) == 1.6
    assert trust_length(np.full(8, 9.0), start) == 0.4
    assert trust_length(np.full(8 * 10, 9.0), start) >= 2.0**-6
